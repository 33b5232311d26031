"""Labelled sequences: every way in gives the same arrays, no strand leaks, every bad input is one clear line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas
import pytest

from zoo.data import dataset, splits
from zoo.data.dataset import Layout
from zoo.data.training_source import DatasetSource
from zoo.dna.encoding import ASCII_TO_CODE, encode, reverse_complement
from zoo.errors import ZooError
from zoo.formats import columns

LENGTH = 40
TARGETS = ("dev", "hk")
SIDES_OF_FOUR = ("train", "val") * 2


def dna(count: int, seed: int = 0, length: int = LENGTH) -> list[str]:
    letters = np.random.default_rng(seed).integers(0, 4, (count, length))
    return ["".join(row) for row in np.array(list("ACGT"))[letters]]


def other_strand(sequence: str) -> str:
    return "".join("ACGTN"[code] for code in reverse_complement(ASCII_TO_CODE[list(sequence.encode())]))


def write_published(folder: Path, side: str, sequences: list[str], labels: list[str] | None = None) -> None:
    fasta = "".join(f">chr2L_{n}_{n + 39}_+_class\n{sequence}\n" for n, sequence in enumerate(sequences))
    (folder / f"Sequences_{side}.fa").write_text(fasta)
    rows = labels or [f"{n}.5\t{-n}" for n in range(len(sequences))]
    (folder / f"Sequences_activity_{side}.txt").write_text("\n".join(["dev\thk", *rows]) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, side in enumerate(("Train", "Val", "Test")):
        write_published(tmp_path, side, dna(6 - number, seed=number))
    return tmp_path


def table(path: Path, sequences: list[str], **more: list) -> Path:
    count = len(sequences)
    frame = pandas.DataFrame({"sequence": sequences, "dev": np.arange(count) / 3, "hk": np.arange(count), **more})
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, sep="," if ".csv" in path.name else "\t", index=False)
    return path


def read(path: Path, **settings) -> dataset.Dataset:
    return dataset.read(path, TARGETS, length=LENGTH, **settings)


def read_split(path: Path, split: str = "test", **settings) -> dataset.Split:
    return dataset.read_split(path, split, TARGETS, length=LENGTH, **settings)


def refusal(path: Path, **settings) -> str:
    with pytest.raises(ZooError) as caught:
        read(path, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
        assert (
            "expected Sequences_Test.fa and Sequences_activity_Test.txt, plain or .gz, got only the labels"
            in refusal(folder)
        )
        (folder / "Sequences_activity_Test.txt").unlink()
        assert read(folder).test is None

    def test_one_split_is_read_without_the_files_of_the_others(self, folder: Path) -> None:
        whole = read(folder)
        (folder / "Sequences_Train.fa").unlink()
        np.testing.assert_array_equal(read_split(folder, "val").codes, whole.validation.codes)
        assert "got only the labels; zoo pull data fetches the published ones" in refusal(folder)

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
        assert "does not say which split a sequence is in; --split-by" in refusal(path)

    def test_other_lengths_and_letters_are_changed_where_asked_as_fasta_is(self, tmp_path: Path) -> None:
        sequences = ["acgt" * 10, "R" + "A" * 39, "C" * 43, "G" * 37, "T" * 41]
        fasta, labels = tmp_path / "x.fa", tmp_path / "x_activity.tsv"
        fasta.write_text("".join(f">{n}\n{sequence}\n" for n, sequence in enumerate(sequences)))
        path = table(labels, sequences)
        layout = Layout(resize="center", ambiguous="n")
        np.testing.assert_array_equal(
            read_split(path, "all", layout=layout).codes, read_split(fasta, layout=layout).codes
        )


class TestDivision:
    def test_both_strands_share_a_key_and_other_sequences_do_not(self) -> None:
        codes = encode([*dna(500), "N" * LENGTH])
        keys = splits.keys(codes)
        np.testing.assert_array_equal(keys, splits.keys(reverse_complement(codes)))
        assert len(np.unique(keys)) == len(codes)
        one_base_off = codes.copy()
        one_base_off[:, LENGTH // 2] = (one_base_off[:, LENGTH // 2] + 1) % 4
        assert not np.isin(splits.keys(one_base_off), keys).any()

    def test_the_fraction_division_is_the_same_on_every_machine(self) -> None:
        """Goldens: a change of these numbers would reshuffle the splits of every user."""
        keys = splits.keys(encode(["ACGTTGCA", "AAAAAAAA", "CCGATNAC"]))
        assert keys.tolist() == [1709432564936412973, 0, 11537327777186628274]
        keys = splits.keys(encode([base * 8 + other * 8 for base in "ACGT" for other in "ACGTN"]))
        assert "".join(map(str, splits.by_fraction(keys, 0.25, 0.25, seed=1))) == "12002211001012201212"

    def test_fractions_hold_out_their_share_and_keep_strands_together(self, tmp_path: Path) -> None:
        sequences = dna(2000)
        path = table(tmp_path / "x.tsv", sequences + [other_strand(sequence) for sequence in sequences])
        data = read(path, layout=Layout(split_by="fraction", validation_fraction=0.2, test_fraction=0.1))
        assert 0.17 < len(data.validation) / 4000 < 0.23
        assert 0.08 < len(data.test) / 4000 < 0.12
        assert data.notes == ()

    def test_a_sequence_stays_on_its_side_when_others_come_and_another_seed_moves_it(self) -> None:
        few, many = splits.keys(encode(dna(50))), splits.keys(encode([*dna(70, seed=1), *dna(50)]))
        sides = splits.by_fraction(few, 0.3, 0.3, seed=0)
        np.testing.assert_array_equal(splits.by_fraction(many, 0.3, 0.3, seed=0)[70:], sides)
        assert (splits.by_fraction(few, 0.3, 0.3, seed=1) != sides).any()

    def test_a_test_fraction_of_nothing_leaves_no_test_split(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", dna(50))
        assert read(path, layout=Layout(split_by="fraction", validation_fraction=0.5, test_fraction=0)).test is None

    @pytest.mark.parametrize("column", ["chromosome", "name"])
    def test_chromosomes_are_held_out_whole(self, tmp_path: Path, column: str) -> None:
        chromosomes = ["chrX", "chr2L", "chr2R", "chr2L", "chrUn_random"]
        values = (
            chromosomes if column == "chromosome" else [f"{name}_{n}_{n + 39}_+" for n, name in enumerate(chromosomes)]
        )
        sequences = dna(5)
        layout = Layout(split_by="chromosome", validation_chromosomes=("chr2L",), test_chromosomes=("chrUn_random",))
        data = read(table(tmp_path / "x.tsv", sequences, **{column: values}), layout=layout)
        np.testing.assert_array_equal(data.validation.codes, encode([sequences[1], sequences[3]]))
        np.testing.assert_array_equal(data.test.codes, encode(sequences[4:]))

    def test_a_sequence_on_several_chromosomes_goes_to_the_held_out_side(self, tmp_path: Path) -> None:
        first, second, third = dna(3)
        path = table(
            tmp_path / "x.tsv",
            [first, second, other_strand(first), third, second],
            chromosome=["chrX", "chrX", "chr2L", "chrX", "chr2R"],
        )
        layout = Layout(split_by="chromosome", validation_chromosomes=("chr2L",), test_chromosomes=("chr2R",))
        data = read(path, layout=layout)
        assert [len(split) for split in data.splits.values()] == [1, 2, 2]
        assert data.notes == (
            "2 sequences stand on several chromosomes too; all their copies went to the held-out side",
        )


class TestLeakage:
    def test_a_copy_on_either_strand_is_refused_with_the_counts(self, folder: Path) -> None:
        train = dna(6)
        write_published(folder, "Val", [train[2], *dna(3, seed=1)])
        write_published(folder, "Test", [*dna(2, seed=2), other_strand(train[0]), train[1]])
        line = (
            f"{folder}: sequences, or their reverse complements, in two splits: "
            "1 of validation in train too, 2 of test in train too (chr2L_0_39_+_class)"
        )
        assert refusal(folder) == f"{line}; their scores flatter a model: remove them, or --allow-leakage"
        assert read(folder, allow_leakage=True).notes == (line,)

    def test_copies_within_one_split_are_fine(self, folder: Path) -> None:
        write_published(folder, "Train", dna(4) + dna(4))
        assert read(folder).notes == ()


class TestBadInput:
    def test_different_counts(self, folder: Path) -> None:
        write_published(folder, "Val", dna(4, seed=5), ["1\t1"] * 3)
        assert refusal(folder) == (
            f"{folder}/Sequences_Val.fa: expected 3 records, one for each row of Sequences_activity_Val.txt, got 4; "
            "row i must belong to record i"
        )
        write_published(folder, "Val", dna(4, seed=5), ["1\t1"] * 5)
        assert "expected 5 records" in refusal(folder)

    @pytest.mark.parametrize("column", ["name", "peak"])
    def test_a_name_in_the_labels_is_that_of_the_record(self, tmp_path: Path, column: str) -> None:
        fasta = tmp_path / "x.fa"
        fasta.write_text("".join(f">s{n} described\n{sequence}\n" for n, sequence in enumerate(dna(3))))
        layout = Layout(name_column=column)
        labels = tmp_path / "x_activity.tsv"
        labels.write_text(f"{column}\tdev\thk\ns0\t1\t1\ns1 described\t2\t2\ns2\t3\t3\n")
        assert read_split(fasta, layout=layout).names == ["s0", "s1", "s2"]
        labels.write_text(f"{column}\tdev\thk\ns0\t1\t1\ns2\t3\t3\ns1\t2\t2\n")
        with pytest.raises(ZooError) as refused:
            read_split(fasta, layout=layout)
        assert str(refused.value) == (
            f"{labels}: row 2: expected 's1', the name of record 2 of x.fa, got 's2'; row i must belong to record i"
        )

    def test_two_names_of_one_target(self, tmp_path: Path) -> None:
        path = tmp_path / "x.tsv"
        path.write_text(f"sequence\tdev\tDev_log2_enrichment\n{dna(1)[0]}\t1\t2\n")
        with pytest.raises(ZooError, match="dev, Dev_log2_enrichment, of which two are the same target"):
            dataset.read(path, ("dev", "Dev_log2_enrichment"), length=LENGTH)

    def test_a_contig_is_not_cropped_to_its_middle(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", [*dna(2), "ACGT" * 41])
        for layout in (Layout(), Layout(resize="center")):
            assert refusal(path, layout=layout) == (
                f"{path}: row 3: expected 40 bases, got 164; cut windows of 40 bases out of it first; of a genome, "
                "zoo predict --bed and zoo scan do"
            )

    def test_a_missing_column_lists_those_that_exist(self, folder: Path) -> None:
        with pytest.raises(ZooError, match=r"Train.txt: has no column 'activity'; its columns are dev, hk"):
            dataset.read(folder, ("activity",), length=LENGTH)

    def test_a_target_is_the_column_of_its_name_before_the_published_one(self, tmp_path: Path) -> None:
        path = tmp_path / "both.tsv"
        text = dna(4)
        for header, expected in (("Dev_log2_enrichment\tdev", 2.0), ("Dev_log2_enrichment\tother", 1.0)):
            rows = [f"{sequence}\t1\t2\t{split}" for sequence, split in zip(text, SIDES_OF_FOUR, strict=True)]
            path.write_text("\n".join([f"sequence\t{header}\tsplit", *rows, ""]))
            data = dataset.read(path, ("dev",), length=LENGTH)
            assert data.train.targets.tolist() == [[expected]] * 2
            assert DatasetSource(data).targets == ("dev",)

    def test_a_target_may_be_the_column_of_another_name(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.tsv"
        rows = [f"{text}\t{n}\t{-n}\t{side}" for n, (text, side) in enumerate(zip(dna(4), SIDES_OF_FOUR, strict=True))]
        path.write_text("\n".join(["sequence\tlog2FC\tdev\tsplit", *rows, ""]))
        data = dataset.read(path, ("dev=log2FC", "hk=dev"), length=LENGTH)
        assert DatasetSource(data).targets == ("dev", "hk")
        assert data.train.targets.tolist() == [[0, 0], [2, -2]]
        with pytest.raises(ZooError, match=r"has no column 'none'; its columns are .*; --targets TARGET=COLUMN takes"):
            dataset.read(path, ("dev=none",), length=LENGTH)
        with pytest.raises(ZooError, match="got dev, Dev_log2_enrichment, of which two are the same target"):
            dataset.read(path, ("dev=dev", "Dev_log2_enrichment=log2FC"), length=LENGTH)
        for text in ("dev=", "=log2FC"):
            with pytest.raises(ZooError, match=f"--targets: expected COLUMN or TARGET=COLUMN, got '{text}'"):
                dataset.read(path, (text,), length=LENGTH)

    def test_all_missing_columns_are_named_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "x.tsv"
        path.write_text("seq\tdev\n")
        with pytest.raises(
            ZooError, match="has no column 'hk', 'sequence'; its columns are seq, dev; --targets TARGET="
        ):
            dataset.read(path, ("dev", "hk"), length=LENGTH)

    def test_a_missing_sequence_column(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.parquet", dna(3))
        layout = Layout(sequence_column="dna")
        assert refusal(path, layout=layout) == (
            f"{path}: has no column 'dna'; its columns are sequence, dev, hk; --sequence-column NAME takes another"
        )

    @pytest.mark.parametrize("value", ["high", "inf", "1,5"])
    def test_a_label_that_is_no_number(self, folder: Path, value: str) -> None:
        write_published(folder, "Val", dna(3, seed=5), ["1\t1", f"2\t{value}", "3\tlow"])
        assert refusal(folder) == (
            f"{folder}/Sequences_activity_Val.txt: column hk, row 2: expected a number or nothing, got {value!r}"
        )

    def test_rows_with_too_many_fields(self, folder: Path) -> None:
        write_published(folder, "Val", dna(3, seed=5), ["a\t1\t1", "b\t2\t2", "c\t3\t3"])
        path = folder / "Sequences_activity_Val.txt"
        assert refusal(folder) == f"{path}: line 2: expected 2 fields as the header has, got 3"
        write_published(folder, "Val", dna(3, seed=5), ["1\t1", "2\t2\t2", "3\t3"])
        assert refusal(folder) == f"{path}: line 3: expected 2 fields as the header has, got 3"

    def test_rows_with_too_few_fields(self, folder: Path) -> None:
        write_published(folder, "Val", dna(3, seed=5), ["1\t1", "2\t2", "3"])
        path = folder / "Sequences_activity_Val.txt"
        assert refusal(folder) == f"{path}: line 4: expected 2 fields as the header has, got 1"

    def test_lengths_that_differ(self, folder: Path) -> None:
        write_published(folder, "Val", [*dna(2, seed=5), "ACGT"])
        assert "Sequences_Val.fa: record 3 (chr2L_2_41_+_class): expected 40 bases, got 4" in refusal(folder)
        path = table(folder / "x.tsv", [*dna(2), "ACGT"])
        assert refusal(path) == f"{path}: row 3: expected 40 bases, got 4; --crop-or-pad crops or pads with N"

    @pytest.mark.parametrize(
        ("letter", "advice"),
        [
            ("R", "; --ambiguous-as-n takes it as N"),
            ("U", ": RNA? change U to T, for example with seqkit seq --rna2dna"),
            ("-", ""),
        ],
    )
    def test_a_letter_that_is_no_base(self, tmp_path: Path, letter: str, advice: str) -> None:
        path = table(tmp_path / "x.tsv", [*dna(2), "A" * 7 + letter + "A" * 32])
        assert refusal(path) == f"{path}: row 3, position 8: expected a letter of ACGTN, got {letter!r}{advice}"

    def test_a_sequence_that_is_missing_is_not_padded(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", [*dna(1), ""])
        assert refusal(path) == f"{path}: column sequence, row 2: expected text, the value is missing"
        path = table(tmp_path / "x.parquet", [*dna(1), ""])
        line = refusal(path, layout=Layout(resize="center"))
        assert line == f"{path}: column sequence, row 2: expected text, the value is missing"

    def test_an_empty_split(self, folder: Path, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", dna(3), split=["train", "test", "train"])
        assert refusal(path) == f"{path}: the split validation is empty; there is 2 in train, 1 in test"
        with pytest.raises(ZooError, match="the split validation is empty; there is 2 in train, 1 in test"):
            read_split(path, "val")
        (folder / "Sequences_activity_Val.txt").write_text("dev\thk\n")
        assert "expected rows below the header, found none" in refusal(folder)

    def test_a_target_without_any_value(self, folder: Path) -> None:
        write_published(folder, "Val", dna(2, seed=5), ["1\t", "2\t"])
        assert refusal(folder) == f"{folder}: the split validation: no value of hk in any of 2 rows"

    def test_an_unknown_suffix_and_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        (tmp_path / "x.xlsx").write_text("")
        kinds = "a folder, a table (.tsv, .txt, .csv, .parquet, .pq) or a FASTA file (.fa, .fasta, .fna)"
        assert refusal(tmp_path / "x.xlsx") == f"{tmp_path}/x.xlsx: expected {kinds}"
        assert refusal(tmp_path / "none") == f"{tmp_path}/none: no such file or folder; expected {kinds}"
        assert refusal(tmp_path / "none.csv") == f"{tmp_path}/none.csv: no such file"

    def test_a_word_in_the_split_column(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", dna(3), split=["train", "val", "fold3"])
        assert f"{path}: column split, row 3: expected one of train, training, val," in refusal(path)

    def test_nothing_that_divides(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", dna(3))
        line = (
            f"{path}: does not say which split a sequence is in (it has no column 'split'); "
            "--split-by chromosome or fraction divides it"
        )
        assert refusal(path) == line
        with pytest.raises(ZooError) as caught:
            read_split(path)
        assert str(caught.value) == f"{line}, --split all takes every row"
        assert len(read_split(path, "all")) == 3

    def test_chromosomes_that_are_not_named_or_not_there(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", dna(3), chromosome=["chr2L", "chr2R", "chr2L"])
        line = refusal(path, layout=Layout(split_by="chromosome"))
        assert line.endswith("say which to hold out, --validation-chromosomes NAME; there are chr2L (2), chr2R (1)")
        line = refusal(path, layout=Layout(split_by="chromosome", validation_chromosomes=("chr3",)))
        assert line == f"{path}: no sequence lies on the chromosome 'chr3'; there are chr2L, chr2R"
        path = table(tmp_path / "y.tsv", dna(2), name=["chr2L_1_40", "enhancer7"])
        line = refusal(path, layout=Layout(split_by="chromosome", validation_chromosomes=("chr2L",)))
        assert "row 2: expected a name with its chromosome, chr2L_5750_5998, got 'enhancer7'" in line

    def test_requests_that_make_no_sense(self, folder: Path) -> None:
        assert "its files divide it already; leave out --split-by" in refusal(
            folder, layout=Layout(split_by="fraction")
        )
        with pytest.raises(ZooError, match=r"^--split-by: expected chromosome or fraction, got 'coin'$"):
            Layout(split_by="coin")
        with pytest.raises(ZooError, match="for both"):
            Layout(validation_chromosomes=("chr2L",), test_chromosomes=("chr2L",))
        with pytest.raises(ZooError, match=r"something to validate and to train on, got 0.5 for validation and 0.5"):
            Layout(validation_fraction=0.5, test_fraction=0.5)
        with pytest.raises(ZooError, match="one or more different columns, got dev, dev"):
            dataset.read(folder, ("dev", "dev"), length=LENGTH)

    def test_a_compressed_table_that_is_cut_off(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.csv", dna(50))
        cut = tmp_path / "x.csv.gz"
        cut.write_bytes(gzip.compress(path.read_bytes())[:-30])
        with pytest.raises(ZooError, match=r"x.csv.gz: the compressed file is cut off; copy or make it again"):
            columns.read(cut, TARGETS)
