"""Labelled sequences that are not as they should be: every one is refused in one clear line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from labelled_files import LENGTH, TARGETS, check_refused, dna, read_split, table, write_published
from refusals import refuses

from zoo.data import dataset
from zoo.data.dataset import Layout
from zoo.data.labelled import DIVISIONS
from zoo.formats import columns

SIDES_OF_FOUR = ("train", "val") * 2


class TestBadInput:
    def test_different_counts(self, folder: Path) -> None:
        write_published(folder, "Val", dna(4, seed=5), ["1\t1"] * 3)
        check_refused(folder, f"{folder}/Sequences_Val.fa", "3 records", "Sequences_activity_Val.txt", "got 4")
        write_published(folder, "Val", dna(4, seed=5), ["1\t1"] * 5)
        check_refused(folder, "5 records", "got 4")

    @pytest.mark.parametrize("column", ["name", "peak"])
    def test_a_name_in_the_labels_is_that_of_the_record(self, tmp_path: Path, column: str) -> None:
        fasta = tmp_path / "x.fa"
        fasta.write_text("".join(f">s{n} described\n{sequence}\n" for n, sequence in enumerate(dna(3))))
        layout = Layout(name_column=column)
        labels = tmp_path / "x_activity.tsv"
        labels.write_text(f"{column}\tdev\thk\ns0\t1\t1\ns1 described\t2\t2\ns2\t3\t3\n")
        assert read_split(fasta, layout=layout).names == ["s0", "s1", "s2"]
        labels.write_text(f"{column}\tdev\thk\ns0\t1\t1\ns2\t3\t3\ns1\t2\t2\n")
        with refuses(f"{labels}: row 2", "'s1'", "record 2 of x.fa", "'s2'"):
            read_split(fasta, layout=layout)

    def test_two_names_of_one_target(self, tmp_path: Path) -> None:
        path = tmp_path / "x.tsv"
        path.write_text(f"sequence\tdev\tDev_log2_enrichment\n{dna(1)[0]}\t1\t2\n")
        with refuses("dev, Dev_log2_enrichment"):
            dataset.read(path, ("dev", "Dev_log2_enrichment"), length=LENGTH)

    def test_a_contig_is_not_cropped_to_its_middle(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", [*dna(2), "ACGT" * 41])
        for layout in (Layout(), Layout(resize="center")):
            check_refused(path, f"{path}: row 3", 40, 164, "zoo predict --bed", "zoo scan", layout=layout)

    def test_a_missing_column_lists_those_that_exist(self, folder: Path) -> None:
        with refuses("Train.txt", "'activity'", "dev, hk"):
            dataset.read(folder, ("activity",), length=LENGTH)

    def test_a_target_is_the_column_of_its_name_before_the_published_one(self, tmp_path: Path) -> None:
        path = tmp_path / "both.tsv"
        text = dna(4)
        for header, expected in (("Dev_log2_enrichment\tdev", 2.0), ("Dev_log2_enrichment\tother", 1.0)):
            rows = [f"{sequence}\t1\t2\t{split}" for sequence, split in zip(text, SIDES_OF_FOUR, strict=True)]
            path.write_text("\n".join([f"sequence\t{header}\tsplit", *rows, ""]))
            data = dataset.read(path, ("dev",), length=LENGTH)
            assert data.train.targets.tolist() == [[expected]] * 2
            assert data.targets == ("dev",)

    def test_a_target_may_be_the_column_of_another_name(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.tsv"
        rows = [f"{text}\t{n}\t{-n}\t{side}" for n, (text, side) in enumerate(zip(dna(4), SIDES_OF_FOUR, strict=True))]
        path.write_text("\n".join(["sequence\tlog2FC\tdev\tsplit", *rows, ""]))
        data = dataset.read(path, ("dev=log2FC", "hk=dev"), length=LENGTH)
        assert data.targets == ("dev", "hk")
        assert data.train.targets.tolist() == [[0, 0], [2, -2]]
        with refuses("'none'", "--targets TARGET=COLUMN"):
            dataset.read(path, ("dev=none",), length=LENGTH)
        with refuses("dev, Dev_log2_enrichment"):
            dataset.read(path, ("dev=dev", "Dev_log2_enrichment=log2FC"), length=LENGTH)
        for text in ("dev=", "=log2FC"):
            with refuses("--targets", repr(text)):
                dataset.read(path, (text,), length=LENGTH)

    def test_all_missing_columns_are_named_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "x.tsv"
        path.write_text("seq\tdev\n")
        with refuses("'hk', 'sequence'", "seq, dev", "--targets TARGET="):
            dataset.read(path, ("dev", "hk"), length=LENGTH)

    def test_a_missing_sequence_column(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.parquet", dna(3))
        layout = Layout(sequence_column="dna")
        check_refused(path, path, "'dna'", "sequence, dev, hk", "--sequence-column NAME", layout=layout)

    @pytest.mark.parametrize("value", ["high", "inf", "1,500"])
    def test_a_label_that_is_no_number(self, folder: Path, value: str) -> None:
        write_published(folder, "Val", dna(3, seed=5), ["1\t1", f"2\t{value}", "3\tlow"])
        check_refused(folder, f"{folder}/Sequences_activity_Val.txt", "column hk, row 2", repr(value))

    def test_rows_with_too_many_fields(self, folder: Path) -> None:
        write_published(folder, "Val", dna(3, seed=5), ["a\t1\t1", "b\t2\t2", "c\t3\t3"])
        path = folder / "Sequences_activity_Val.txt"
        check_refused(folder, path, "line 2", "2 fields", "got 3")
        write_published(folder, "Val", dna(3, seed=5), ["1\t1", "2\t2\t2", "3\t3"])
        check_refused(folder, path, "line 3", "2 fields", "got 3")

    def test_rows_with_too_few_fields(self, folder: Path) -> None:
        write_published(folder, "Val", dna(3, seed=5), ["1\t1", "2\t2", "3"])
        path = folder / "Sequences_activity_Val.txt"
        check_refused(folder, path, "line 4", "2 fields", "got 1")

    def test_lengths_that_differ(self, folder: Path) -> None:
        write_published(folder, "Val", [*dna(2, seed=5), "ACGT"])
        check_refused(folder, "Sequences_Val.fa: record 3 (chr2L_2_41_+_class)", "40 bases", "got 4")
        path = table(folder / "x.tsv", [*dna(2), "ACGT"])
        check_refused(path, f"{path}: row 3", "40 bases", "got 4", "--crop-or-pad")

    @pytest.mark.parametrize(
        ("letter", "advice"),
        [
            ("R", "--ambiguous-as-n"),
            ("U", "seqkit seq --rna2dna"),
            ("-", "ACGTN"),
        ],
    )
    def test_a_letter_that_is_no_base(self, tmp_path: Path, letter: str, advice: str) -> None:
        path = table(tmp_path / "x.tsv", [*dna(2), "A" * 7 + letter + "A" * 32])
        check_refused(path, f"{path}: row 3, position 8", repr(letter), advice)

    def test_a_sequence_that_is_missing_is_not_padded(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", [*dna(1), ""])
        check_refused(path, f"{path}: column sequence, row 2", "missing")
        path = table(tmp_path / "x.parquet", [*dna(1), ""])
        check_refused(path, f"{path}: column sequence, row 2", "missing", layout=Layout(resize="center"))

    def test_an_empty_split(self, folder: Path, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", dna(3), split=["train", "test", "train"])
        check_refused(path, path, "validation", "2 in train, 1 in test")
        with refuses(path, "validation", "2 in train, 1 in test"):
            read_split(path, "val")
        (folder / "Sequences_activity_Val.txt").write_text("dev\thk\n")
        check_refused(folder, "Sequences_activity_Val.txt", "rows")

    def test_a_target_without_any_value(self, folder: Path) -> None:
        write_published(folder, "Val", dna(2, seed=5), ["1\t", "2\t"])
        check_refused(folder, folder, "validation", "hk", "2 rows")

    def test_an_unknown_suffix_and_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        (tmp_path / "x.xlsx").write_text("")
        kinds = ".tsv, .txt, .csv, .parquet, .pq", ".fa, .fasta, .fna"
        check_refused(tmp_path / "x.xlsx", f"{tmp_path}/x.xlsx", *kinds)
        check_refused(tmp_path / "none", f"{tmp_path}/none", "no such file", *kinds)
        check_refused(tmp_path / "none.csv", f"{tmp_path}/none.csv", "no such file")

    def test_a_word_in_the_split_column(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", dna(3), split=["train", "val", "fold3"])
        check_refused(path, f"{path}: column split, row 3", "train, training, val,", "'fold3'")

    def test_nothing_that_divides(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", dna(3))
        check_refused(path, path, "'split'", "--split-by", *DIVISIONS)
        with refuses(path, "'split'", "--split-by", "--split all", *DIVISIONS):
            read_split(path)
        assert len(read_split(path, "all")) == 3

    def test_chromosomes_that_are_not_named_or_not_there(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", dna(3), chromosome=["chr2L", "chr2R", "chr2L"])
        facts = "--validation-chromosomes", "chr2L (2), chr2R (1)"
        check_refused(path, path, *facts, layout=Layout(split_by="chromosome"))
        layout = Layout(split_by="chromosome", validation_chromosomes=("chr3",))
        check_refused(path, path, "'chr3'", "chr2L, chr2R", layout=layout)
        path = table(tmp_path / "y.tsv", dna(2), name=["chr2L_1_40", "enhancer7"])
        layout = Layout(split_by="chromosome", validation_chromosomes=("chr2L",))
        check_refused(path, path, "row 2", "chr2L_5750_5998", "'enhancer7'", layout=layout)

    def test_requests_that_make_no_sense(self, folder: Path, tmp_path: Path) -> None:
        check_refused(folder, folder, "--split-by", layout=Layout(split_by="fraction"))
        with refuses("split-by", *DIVISIONS, "'coin'"):
            Layout(split_by="coin")
        with refuses("chr2L", "both"):
            Layout(validation_chromosomes=("chr2L",), test_chromosomes=("chr2L",))
        with refuses("0.5 for validation", "0.5 for test"):
            Layout(validation_fraction=0.5, test_fraction=0.5)
        for name, value in (
            ("validation_fraction", 0.0), ("validation_fraction", 1.0), ("test_fraction", -0.1), ("test_fraction", 1.0),
            ("split_seed", -1), ("split_seed", 2**64), ("split_seed", "x"),
        ):  # fmt: skip
            with refuses(name.replace("_", "-"), value):
                Layout(**{name: value})
        mine = table(tmp_path / "mine.tsv", dna(3))
        for name, value, division in (
            ("test_chromosomes", ("chr2L",), "chromosome"),
            ("validation_chromosomes", ("chr2L",), "chromosome"),
            ("test_fraction", 0.2, "fraction"),
            ("validation_fraction", 0.2, "fraction"),
            ("split_seed", 1, "fraction"),
        ):
            option = f"--{name.replace('_', '-')}"
            for split_by in {None, "chromosome", "fraction"} - {division}:
                layout = Layout(split_by=split_by, **{name: value})
                check_refused(mine, option, f"--split-by {division}", layout=layout)
        labels = Layout(labels=folder / "labels.tsv")
        check_refused(folder, "labels.tsv", "FASTA", folder, layout=labels)
        check_refused(mine, "labels.tsv", "FASTA", mine, layout=labels)
        with refuses("targets", "dev, dev"):
            dataset.read(folder, ("dev", "dev"), length=LENGTH)

    def test_a_compressed_table_that_is_cut_off(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.csv", dna(50))
        cut = tmp_path / "x.csv.gz"
        cut.write_bytes(gzip.compress(path.read_bytes())[:-30])
        with refuses("x.csv.gz", "cut off"):
            columns.read(cut, TARGETS)
