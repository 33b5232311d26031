"""Labelled sequences that are not as they should be: every one is refused in one clear line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from labelled_files import LENGTH, TARGETS, dna, read_split, refusal, table, write_published

from zoo.data import dataset
from zoo.data.dataset import Layout
from zoo.data.training_source import DatasetSource
from zoo.errors import ZooError
from zoo.formats import columns

SIDES_OF_FOUR = ("train", "val") * 2


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

    def test_requests_that_make_no_sense(self, folder: Path, tmp_path: Path) -> None:
        assert "its files divide it already; leave out --split-by" in refusal(
            folder, layout=Layout(split_by="fraction")
        )
        with pytest.raises(ZooError, match=r"^--split-by: expected chromosome or fraction, got 'coin'$"):
            Layout(split_by="coin")
        with pytest.raises(ZooError, match="for both"):
            Layout(validation_chromosomes=("chr2L",), test_chromosomes=("chr2L",))
        with pytest.raises(ZooError, match=r"something to validate and to train on, got 0.5 for validation and 0.5"):
            Layout(validation_fraction=0.5, test_fraction=0.5)
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
                line = refusal(mine, layout=Layout(split_by=split_by, **{name: value}))
                assert line == f"{option}: has a say with --split-by {division} alone"
        labels = Layout(labels=folder / "labels.tsv")
        assert f"labels.tsv: belongs to a FASTA file; {folder} is none" in refusal(folder, layout=labels)
        assert f"labels.tsv: belongs to a FASTA file; {mine} is none" in refusal(mine, layout=labels)
        with pytest.raises(ZooError, match="one or more different columns, got dev, dev"):
            dataset.read(folder, ("dev", "dev"), length=LENGTH)

    def test_a_compressed_table_that_is_cut_off(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.csv", dna(50))
        cut = tmp_path / "x.csv.gz"
        cut.write_bytes(gzip.compress(path.read_bytes())[:-30])
        with pytest.raises(ZooError, match=r"x.csv.gz: the compressed file is cut off; copy or make it again"):
            columns.read(cut, TARGETS)
