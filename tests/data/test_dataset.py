"""Labelled sequences: every way in gives the same arrays."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas
import pytest
from labelled_files import TARGETS, check_refused, dna, read, read_split, table, write_published
from refusals import refuses

from zoo.data import dataset
from zoo.data.dataset import Layout
from zoo.data.splits import SIDES
from zoo.dna.encoding import encode


class TestPublishedLayout:
    def test_row_i_of_the_labels_belongs_to_record_i(self, folder: Path) -> None:
        data = read(folder)
        assert [len(split) for split in data.splits.values()] == [6, 5, 4]
        assert data.train.codes.dtype == np.uint8
        np.testing.assert_array_equal(data.validation.codes, encode(dna(5, seed=1)))
        np.testing.assert_array_equal(data.test.targets, np.array([[n + 0.5, -n] for n in range(4)], np.float32))
        assert data.train.names[:2] == ["chr2L_0_39_+_class", "chr2L_1_40_+_class"]
        assert data.targets == TARGETS
        assert data.source == str(folder)

    def test_gzipped_files_are_the_same_data(self, folder: Path) -> None:
        plain = read(folder)
        for path in list(folder.iterdir()):
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
        assert read(folder).sha256 == plain.sha256

    def test_the_real_labels_are_read_as_float32(self, data: Path) -> None:
        split = dataset.read_split(data / "test_first10.fa", "test", TARGETS, length=249)
        assert split.codes.shape == (10, 249)
        np.testing.assert_array_equal(split.targets[0], np.float32([3.41830647507405, 1.98308120651419]))
        assert split.names[0] == "chr2R_10574736_10574984_+_positive_peaks"

    def test_a_target_that_is_missing_is_nan(self, folder: Path) -> None:
        write_published(folder, "Val", dna(3, seed=8), ["1\t", "NA\t2", "3\t4"])
        targets = read(folder).validation.targets
        np.testing.assert_array_equal(np.isnan(targets), [[False, True], [True, False], [False, False]])

    def test_the_test_split_may_be_absent_as_a_whole(self, folder: Path) -> None:
        (folder / "Sequences_Test.fa").unlink()
        check_refused(folder, "Sequences_Test.fa and Sequences_activity_Test.txt", "only the labels")
        (folder / "Sequences_activity_Test.txt").unlink()
        assert read(folder).test is None

    def test_one_split_is_read_without_the_files_of_the_others(self, folder: Path) -> None:
        whole = read(folder)
        (folder / "Sequences_Train.fa").unlink()
        np.testing.assert_array_equal(read_split(folder, "val").codes, whole.validation.codes)
        check_refused(folder, "only the labels", "zoo pull data")

    def test_the_sha256_follows_every_code_and_target(self, folder: Path) -> None:
        before = read(folder).sha256
        write_published(folder, "Test", dna(4, seed=2), ["0.5\t0", "1.5\t-1", "2.5\t-2", "3.5\t-3.0001"])
        assert read(folder).sha256 != before


class TestTables:
    @pytest.mark.parametrize("name", ["x.tsv", "x.csv", "x.csv.gz", "x.txt", "x.parquet"])
    def test_every_kind_of_table_gives_the_same_data(self, tmp_path: Path, name: str) -> None:
        sequences = dna(5)
        path = table(
            tmp_path / name, sequences, split=["train", "VAL", "test", "Training", "valid"], name=list("abcde")
        )
        data = read(path)
        assert [split.names for split in data.splits.values()] == [["a", "d"], ["b", "e"], ["c"]]
        np.testing.assert_array_equal(data.train.codes, encode([sequences[0], sequences[3]]))
        np.testing.assert_array_equal(data.train.targets, np.float32([[0, 0], [1, 3]]))
        np.testing.assert_array_equal(read_split(path, "validation").codes, data.validation.codes)

    def test_columns_can_have_other_names(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        pandas.DataFrame({"dna": dna(2), "dev": [1, 2], "hk": [3, 4], "fold": ["train", "val"]}).to_csv(path)
        assert read(path, layout=Layout(sequence_column="dna", split_column="fold")).test is None

    def test_a_fasta_with_labels_beside_it_divides_like_a_table(self, tmp_path: Path) -> None:
        write_published(tmp_path, "All", dna(200))
        path = tmp_path / "Sequences_All.fa"
        data = read(path, layout=Layout(split_by="fraction"))
        np.testing.assert_array_equal(
            read_split(path, "val", layout=Layout(split_by="fraction")).codes, data.validation.codes
        )
        assert len(read_split(path)) == 200
        assert sum(map(len, data.splits.values())) == 200
        check_refused(path, path, "--split-by")

    def test_a_split_column_of_labels_divides_their_fasta(self, tmp_path: Path) -> None:
        sequences = dna(12)
        fasta = tmp_path / "mine.fa"
        fasta.write_text("".join(f">s{n}\n{sequence}\n" for n, sequence in enumerate(sequences)))
        sides, chromosomes = ["train", "val", "test"] * 4, ["chr2", "chr3", "chr4", "chr2"] * 3
        rows = [f"{n}\t{-n}\t{side}\t{chrom}" for n, (side, chrom) in enumerate(zip(sides, chromosomes, strict=True))]
        (tmp_path / "mine_activity.tsv").write_text("\n".join(["dev\thk\tsplit\tchromosome", *rows]) + "\n")
        assert read_split(fasta, "test").names == ["s2", "s5", "s8", "s11"]
        assert {side: len(split) for side, split in read(fasta).splits.items()} == dict.fromkeys(SIDES, 4)
        assert len(read_split(fasta, "all")) == 12
        held_out = Layout(split_by="chromosome", validation_chromosomes=("chr3",), test_chromosomes=("chr4",))
        assert read_split(fasta, "test", layout=held_out).names == ["s2", "s6", "s10"]

    def test_other_lengths_and_letters_are_changed_where_asked_as_fasta_is(self, tmp_path: Path) -> None:
        sequences = ["acgt" * 10, "R" + "A" * 39, "C" * 43, "G" * 37, "T" * 41]
        fasta, labels = tmp_path / "x.fa", tmp_path / "x_activity.tsv"
        fasta.write_text("".join(f">{n}\n{sequence}\n" for n, sequence in enumerate(sequences)))
        path = table(labels, sequences)
        layout = Layout(resize="center", ambiguous="n")
        np.testing.assert_array_equal(
            read_split(path, "all", layout=layout).codes, read_split(fasta, layout=layout).codes
        )


def test_without_a_length_the_first_sequence_gives_it(tmp_path: Path) -> None:
    sequences = dna(6, length=23)
    (tmp_path / "pair.fa").write_text("".join(f">s{n}\n{one[:10]}\n{one[10:]}\n" for n, one in enumerate(sequences)))
    table(tmp_path / "pair_activity.tsv", sequences)
    layout = Layout(split_by="fraction", validation_fraction=0.4, test_fraction=0.2)
    for name in ("pair.fa", "pair_activity.tsv"):
        found = dataset.read(tmp_path / name, TARGETS, length=None, layout=layout)
        assert found.sequence_length == 23
        assert sum(map(len, found.splits.values())) == 6
    for side, count in (("Train", 5), ("Val", 3)):
        write_published(tmp_path, side, dna(count, seed=count, length=31))
    assert dataset.read(tmp_path, TARGETS, length=None).sequence_length == 31
    table(tmp_path / "mixed.tsv", [*sequences, dna(1, length=24)[0]])
    with refuses("mixed.tsv", "row 7", "23", "24"):
        dataset.read(tmp_path / "mixed.tsv", TARGETS, length=None, layout=layout)
