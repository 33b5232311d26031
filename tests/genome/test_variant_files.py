"""Variants in every kind of file, whole or in parts: the same effects, or one line that says what is wrong."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import importlib
import json
import lzma
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alleles import COLUMNS, HEADER, WORDS, Allele, expected, random_alleles, read, write_vcf
from checkpoints import ODD, random_checkpoint
from command_line import Zoo, one_line
from refusals import refuses

from zoo.formats import bed, text_input, vcf
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.genome.intervals import outside
from zoo.weights import checkpoint

pysam = pytest.importorskip("pysam", reason="pysam is not installed; the extra genome brings it")


class TestFiles:
    """Every kind in and out."""

    def rows(self, zoo: Zoo, name: str) -> list[str]:
        assert zoo("variants", name, *WORDS, "-o", "out.tsv", "--overwrite")[0] == 0
        return Path("out.tsv").read_text().splitlines()

    def test_compressed_bcf_and_tables_give_the_same(self, zoo: Zoo, contigs: dict[str, str]) -> None:
        whole = self.rows(zoo, "v.vcf")
        pysam.tabix_compress("v.vcf", "z.vcf.gz")
        assert self.rows(zoo, "z.vcf.gz") == whole
        Path("g.vcf.gz").write_bytes(gzip.compress(Path("v.vcf").read_bytes()))
        assert self.rows(zoo, "g.vcf.gz") == whole
        with pysam.VariantFile("v.vcf") as source, pysam.VariantFile("b.bcf", "wb", header=source.header) as written:
            for record in source:
                written.write(record)
        assert self.rows(zoo, "b.bcf") == whole
        for separator, name in (("\t", "t.tsv"), (",", "t.csv")):
            lines = [separator.join(("chrom", "pos", "id", "ref", "alt"))]
            lines += [separator.join(row.split("\t")[:5]) for row in whole[1:]]
            Path(name).write_text("\n".join([*lines, ""]))
            assert self.rows(zoo, name) == whole
        for row in whole[1:4]:
            assert contigs[row.split("\t")[0]]

    def test_without_a_contig_in_the_header_and_unsorted(self, zoo: Zoo, contigs: dict[str, str]) -> None:
        whole = self.rows(zoo, "v.vcf")
        shuffled = random_alleles(contigs, 60)
        order = list(range(len(shuffled)))
        random.Random(1).shuffle(order)
        write_vcf(Path("u.vcf"), [shuffled[place] for place in order], {})
        found = self.rows(zoo, "u.vcf")
        strip = [row.split("\t")[:2] + row.split("\t")[3:5] for row in whole[1:]]
        assert [row.split("\t")[:2] + row.split("\t")[3:5] for row in found[1:]] == [strip[place] for place in order]
        numbers = read()[1]
        np.testing.assert_allclose(numbers, expected(contigs, [shuffled[place] for place in order]), atol=2e-5)

    def test_parquet(self, zoo: Zoo, contigs: dict[str, str]) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        write = [("chr2", 100, "<X>", "A"), *random_alleles(contigs, 5)]
        write_vcf(Path("v.vcf"), write, contigs)
        words = ("variants", "v.vcf", *WORDS, "--max-mismatch", 1)
        assert zoo(*words, "-o", "out.tsv")[0] == 0
        assert zoo(*words, "-o", "out.parquet")[0] == 0
        table = parquet.read_table("out.parquet")
        rows, numbers = read()
        assert table.column_names == COLUMNS
        assert table.column("pos").to_pylist() == [int(row[1]) for row in rows]
        assert table.column("delta_b")[0].as_py() is None
        np.testing.assert_array_equal(table.column("delta_b").to_numpy()[1:], numbers[1:, 2, 1].astype(np.float32))

    def test_vcf_with_fields_header_lines_and_an_index(self, zoo: Zoo, contigs: dict[str, str]) -> None:
        base = contigs["chr2"][99]
        others = [letter for letter in "ACGT" if letter != base.upper()]
        wrong = next(letter for letter in "ACGT" if letter != contigs["chr2"][149].upper())
        rows = [("chr2", 100, base, f"{others[0]},<DEL>,{others[1]}"), ("chr2", 150, wrong, "A,C")]
        write_vcf(Path("v.vcf"), [*rows, *random_alleles({"chr10": contigs["chr10"]}, 5)], contigs, info="AF=0.5")
        status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.vcf.gz", "--max-mismatch", 0.5)
        assert status == 0, err
        with pysam.VariantFile("out.vcf.gz") as found:
            assert found.header.info["ZOO_DELTA_a"].number == "A"
            assert found.header.info["ZOO_REF_a"].number == 1
            records = list(found)
            (fetched,) = found.fetch("chr2", 149, 150)
        first, second, *rest = records
        assert first.info["AF"] == pytest.approx((0.5,))
        effects = expected(contigs, [Allele("chr2", 100, base, alt) for alt in others[:2]])
        for column, target in enumerate("abc"):
            assert first.info[f"ZOO_REF_{target}"] == pytest.approx(effects[0, 0, column], abs=1e-4)
            for kind, name in ((1, "ALT"), (2, "DELTA")):
                one, missing, two = first.info[f"ZOO_{name}_{target}"]
                assert missing is None
                assert [one, two] == pytest.approx(effects[:, kind, column], abs=1e-4)
        assert fetched.pos == second.pos == 150
        assert second.info["ZOO_REF_MISMATCH"] is True
        assert "ZOO_REF_a" not in second.info
        assert all("ZOO_DELTA_c" in record.info for record in rest)
        with pysam.BGZFile("out.vcf.gz") as text:
            lines = [line.decode() for line in text if not line.startswith(b"#")]
        given = [line for line in Path("v.vcf").read_text().splitlines() if line[0] != "#"]
        assert [line.split(";ZOO")[0] for line in lines] == given
        assert sorted(path.name for path in Path().iterdir() if path.name.startswith("out")) == [
            "out.vcf.gz", "out.vcf.gz.json", "out.vcf.gz.tbi",
        ]  # fmt: skip
        facts = ["out.vcf.gz", "11 of the INFO fields", "ZOO_REF_MISMATCH", "--prefix"]
        for words in ((), ("--part-size", 3), ("--shard", "1/2")):
            one_line(zoo, facts, "variants", "out.vcf.gz", *WORDS, "-o", "again.vcf.gz", *words)
        assert not list(Path().glob("again*"))
        # a second model annotates the same file
        assert (
            zoo("variants", "out.vcf.gz", *WORDS, "-o", "again.vcf.gz", "--max-mismatch", 1, "--prefix", "B2")[0] == 0
        )
        with pysam.VariantFile("again.vcf.gz") as found:
            again = list(found)
        assert again[0].info["ZOO_STATUS"] == again[0].info["B2_STATUS"] == ("scored", "symbolic", "scored")
        assert again[1].info["B2_REF_MISMATCH"] is True
        assert all(record.info["ZOO_DELTA_c"] == record.info["B2_DELTA_c"] for record in again[2:])

    def test_an_unsorted_vcf_has_no_index(self, zoo: Zoo, contigs: dict[str, str]) -> None:
        write_vcf(Path("v.vcf"), random_alleles(contigs, 5)[::-1], contigs)
        status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.vcf.gz")
        assert status == 0
        assert all(fact in err.splitlines()[-1] for fact in ("v.vcf", "out.vcf.gz", "index"))
        assert not Path("out.vcf.gz.tbi").exists()
        with pysam.VariantFile("out.vcf.gz") as found:
            assert all("ZOO_DELTA_a" in record.info for record in found)


class TestSkipBad:
    """Records that cannot be read, or whose REF is not that of the genome, are left out and listed."""

    @pytest.fixture
    def bad(self, contigs: dict[str, str]) -> list[str]:
        """Facts about the bad records of v.vcf and t.tsv, in order; every second record is good."""
        self.good = [("chr2", place, contigs["chr2"][place - 1], "A,C") for place in (100, 110, 120, 130)]
        wrong = next(letter for letter in "ACGT" if letter != contigs["chr2"][104].upper())
        lines = ["chr2\tx\t.\tA\tC\t.\t.\t.", "chr9\t5\t.\tA\tC\t.\t.\t.", f"chr2\t105\t.\t{wrong}\tC\t.\t.\t."]
        rows = [f"{c}\t{p}\trs\t{ref}\t{alt}\t.\t.\tAF=1" for c, p, ref, alt in self.good]
        mixed = [rows[0], lines[0], rows[1], lines[1], lines[2], rows[2], "chr2\t5", rows[3]]
        Path("v.vcf").write_text(HEADER + "\n".join([*mixed, ""]))
        cells = [line.split("\t") for line in mixed if line.count("\t") > 1]
        Path("t.tsv").write_text(
            "\n".join(["\t".join(row[:5]) for row in [["chrom", "pos", "id", "ref", "alt"], *cells]])
        )
        return ["POS", "'chr9'", f"got {wrong}", "columns"]

    @pytest.mark.parametrize("size", [1 << 20, 1, 3])
    @pytest.mark.parametrize("name", ["v.vcf", "t.tsv"])
    def test_the_others_are_scored(
        self, zoo: Zoo, contigs: dict[str, str], bad: list[str], name: str, size: int
    ) -> None:
        words = ("variants", name, *WORDS, "-o", "out.tsv", "--part-size", size)
        lines = (4, 6, 7, 9) if name == "v.vcf" else (2, 4, 5)
        unit = "line" if name == "v.vcf" else "row"
        one_line(zoo, [name, f"{unit} {lines[0]}", "--skip-bad"], *words)
        assert not list(Path().glob("out*"))
        status, _, err = zoo(*words, "--skip-bad")
        assert status == 0
        rows, numbers = read()
        alleles = [Allele(c, p, ref, alt) for c, p, ref, alts in self.good for alt in alts.split(",")]
        assert [(row[0], int(row[1]), row[3], row[4]) for row in rows] == [tuple(one) for one in alleles]
        np.testing.assert_allclose(numbers, expected(contigs, alleles), atol=2e-5)
        skipped = json.loads(Path("out.tsv.json").read_text())["skipped"]
        assert len(skipped) == len(lines)
        for line, number, fact in zip(skipped, lines, bad, strict=False):
            assert f"{name}: {unit} {number}:" in line
            assert fact.replace("POS", "POS" if name == "v.vcf" else "pos") in line
            assert f"skipped: {line}"[:100] in err
        assert f"{len(lines)} skipped" in err

    @pytest.mark.parametrize("size", [1 << 20, 3])
    @pytest.mark.usefixtures("bad")
    def test_a_vcf_keeps_the_good_records(self, zoo: Zoo, size: int) -> None:
        given = [line for line in Path("v.vcf").read_text().splitlines() if "AF=1" in line]
        assert zoo("variants", "v.vcf", *WORDS, "-o", "out.vcf", "--skip-bad", "--part-size", size)[0] == 0
        written = [line for line in Path("out.vcf").read_text().splitlines() if line[0] != "#"]
        assert [line.split(";ZOO")[0] for line in written] == given
        assert all("ZOO_DELTA_a=" in line for line in written)

    def test_where_none_is_left_nothing_is_written(self, zoo: Zoo, contigs: dict[str, str]) -> None:  # noqa: ARG002
        Path("v.vcf").write_text(f"{HEADER}chr9\t5\t.\tA\tC\t.\t.\t.\n")
        one_line(zoo, ["v.vcf", "only variant", "'chr9'"], "variants", "v.vcf", *WORDS, "-o", "out.tsv", "--skip-bad")
        one_line(zoo, ["-: ", "file", "read twice"], "variants", "-", *WORDS, "-o", "out.tsv")
        one_line(zoo, ["-: ", "file", "standard input"], "evaluate", "-")
        assert not list(Path().glob("out*"))


class TestRefused:
    """A file that is refused midway leaves no folder of parts."""

    @pytest.fixture
    def midway(self, contigs: dict[str, str]) -> None:
        rows = [("chr2", place, contigs["chr2"][place - 1], "<X>") for place in range(100, 110)]
        write_vcf(Path("v.vcf"), [*rows, ("chr9", 1, "A", "C")], contigs)

    @pytest.mark.usefixtures("midway")
    @pytest.mark.parametrize("words", [("--part-size", 2), ("--part-size", 2, "--shard", "2/2"), ("--shard", "1/1")])
    def test_leaves_nothing(self, zoo: Zoo, words: tuple[object, ...]) -> None:
        one_line(zoo, ["v.vcf", "line 16", "'chr9'"], "variants", "v.vcf", *WORDS, "-o", "out.tsv", *words)
        assert not list(Path().glob("*out*"))

    @pytest.mark.parametrize("words", [(), ("--skip-bad",)])
    def test_leaves_nothing_where_no_ref_is_right(
        self, zoo: Zoo, contigs: dict[str, str], words: tuple[str, ...]
    ) -> None:
        others = {"a": "C", "c": "G", "g": "T", "t": "A", "n": "A"}
        rows = [("chr2", place, others[contigs["chr2"][place - 1].lower()], "<X>") for place in range(100, 108)]
        write_vcf(Path("v.vcf"), rows, contigs)
        one_line(zoo, ["v.vcf", "8"], "variants", "v.vcf", *WORDS, "-o", "out.tsv", "--part-size", 3, *words)
        assert not list(Path().glob("*out*"))

    @pytest.mark.usefixtures("midway")
    def test_keeps_the_parts_of_other_shards(self, zoo: Zoo) -> None:
        words = ("variants", "v.vcf", *WORDS, "-o", "out.tsv", "--part-size", 2)
        assert zoo(*words, "--shard", "1/2")[0] == 0
        one_line(zoo, ["v.vcf", "line 16"], *words, "--shard", "2/2")
        assert sorted(path.name for path in Path("out.tsv.parts").glob("0*")) == [
            f"{part:07}.safetensors" for part in (0, 2, 4)
        ]


class TestParts:
    """Shards, a stop and a merge give the bytes of one run."""

    @pytest.mark.parametrize("output", ["out.tsv", "out.vcf.gz"])
    def test_shards_are_merged_to_the_same_bytes(self, zoo: Zoo, contigs: dict[str, str], output: str) -> None:  # noqa: ARG002
        words = ("variants", "v.vcf", *WORDS, "--part-size", 17)
        assert zoo(*words, "-o", output)[0] == 0
        whole = Path(output).read_bytes()
        for shard in ("2/2", "1/2"):
            status, _, err = zoo(*words, "-o", output, "--overwrite", "--shard", shard)
            assert status == 0
        assert all(fact in err for fact in ("1/2", "8 parts", "--merge"))
        Path(f"{output}.parts/0000003.safetensors").unlink()
        one_line(
            zoo,
            [f"{output}.parts", "1 of 8", "(4)"],
            *words,
            "-o",
            output,
            "--overwrite",
            "--merge",
        )
        assert zoo(*words, "-o", output, "--overwrite", "--resume")[0] == 0
        assert Path(output).read_bytes() == whole
        assert not Path(f"{output}.parts").exists()

    def test_parts_of_other_variants_are_refused(self, zoo: Zoo, contigs: dict[str, str]) -> None:
        words = ("variants", "v.vcf", *WORDS, "-o", "out.tsv", "--part-size", 50)
        assert zoo(*words, "--shard", "1/2")[0] == 0
        write_vcf(Path("v.vcf"), random_alleles(contigs, 60, seed=1), contigs)
        one_line(zoo, ["out.tsv.parts", "variants sha256"], *words, "--merge")
        write_vcf(Path("v.vcf"), random_alleles(contigs, 60), contigs)
        one_line(
            zoo,
            "holds parts of another run: shifts is [0] there and [-1, 1] here",
            *words,
            "--shifts",
            "-1,1",
            "--merge",
        )


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        ("", ["v.vcf", "empty"]),
        ("chr2\t5\t.\tA\tC\t.\t.\t.\n", ["v.vcf", "line 1", "#CHROM", "##fileformat", r"'chr2\t5\t."]),
        (HEADER[: HEADER.index("#CHROM")] * 3, ["v.vcf", "#CHROM", "3 lines"]),
        (HEADER, ["v.vcf", "variants", "2 lines"]),
        (HEADER + "chr2\t5\t.\tA\n", ["v.vcf", "line 3", "ALT"]),
        (HEADER + "chr2\tx\t.\tA\tC\t.\t.\t.\n", ["v.vcf", "line 3", "POS", "'x'"]),
        (HEADER + "10\t5\t.\tA\tC\t.\t.\t.\n", ["v.vcf", "g.fa", "'10'", "'chr10'"]),
        (HEADER + "x\t5\t.\tA\tC\t.\t.\t.\n", ["v.vcf", "g.fa", "'x'", "chr2, chr10"]),
    ],
)
def test_bad_vcf(zoo: Zoo, contigs: dict[str, str], content: str, facts: list[str]) -> None:  # noqa: ARG001
    Path("v.vcf").write_text(content)
    one_line(zoo, facts, "variants", "v.vcf", *WORDS, "-o", "out.tsv")
    assert not Path("out.tsv").exists()


OPENED = ("builtins.open", "io.open", "pysam.VariantFile")
"""All ways by which the variants are opened."""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        *((name, ["-o", output]) for name in ("v.vcf", "z.vcf.gz", "b.bcf") for output in ("out.tsv", "out.vcf.gz")),
        ("v.vcf", ["-o", "out.vcf"]),
        ("t.tsv", ["-o", "out.tsv"]),
        ("v.vcf", ["-o", "out.tsv", "--part-size", "17"]),
    ],
)
def test_variants_are_read_twice_at_most(
    zoo: Zoo,
    contigs: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    words: list[str],
) -> None:
    """Once for the digest and the number of the records, once for the effects."""
    if name == "z.vcf.gz":
        pysam.tabix_compress("v.vcf", name)
    if name == "b.bcf":
        with pysam.VariantFile("v.vcf") as source, pysam.VariantFile(name, "wb", header=source.header) as written:
            for record in source:
                written.write(record)
    if name == "t.tsv":
        Path(name).write_text(f"chrom\tpos\tref\talt\nchr2\t5\t{contigs['chr2'][4]}\tC\n")
    opened = []
    for place in OPENED:
        module, _, function = place.rpartition(".")
        original = getattr(importlib.import_module(module), function)

        def noted(path: object, *rest: object, _original: Any = original, **options: object) -> Any:
            opened.extend([path] if str(path) == name else [])
            return _original(path, *rest, **options)

        monkeypatch.setattr(place, noted)
    assert (
        zoo(
            "variants",
            name,
            *WORDS,
            *words,
        )[0]
        == 0
    )
    assert len(opened) == 2


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["none.vcf"], ["none.vcf"]),
        (["g.fa"], ["g.fa", ".vcf, .vcf.gz, .vcf.bgz, .bcf", ".tsv, .txt, .csv", "FASTA"]),
        (["v.vcf", "-o", "out.xls"], ["out.xls", ".tsv, .txt, .csv, .parquet"]),
        (["t.tsv", "-o", "out.vcf.gz"], ["out.vcf.gz", "table", ".tsv"]),
        (["v.vcf", "-o", "out.bcf"], ["out.bcf", "out.vcf.gz"]),
        (["bad.tsv"], ["bad.tsv", "pos", "row 1", "'0'"]),
        (["far.tsv"], ["far.tsv", "g.fa", "'chr77'"]),
        (["head.tsv"], ["head.tsv", "'chrom', 'pos'", "CHR, POSITION"]),
        (["v.vcf", "--shifts", "27"], ["shifts", "-26", "26", "53", "27"]),
        (["v.vcf", "--shifts", "-1,-1"], ["shifts", "[-1, -1]"]),
        (["v.vcf", "--max-mismatch", "2"], ["max-mismatch", "1", "2.0"]),
        (["v.vcf", "--prefix", "B2"], ["--prefix", "out.tsv"]),
        (["v.vcf", "--prefix", "2B", "-o", "out.vcf"], ["prefix", "'2B'"]),
        (["v.vcf", "--shard", "3/2"], ["shard", "i/n", "'3/2'"]),
        (["v.vcf", "-o", "v.vcf", "--overwrite"], ["v.vcf", "input"]),
    ],
)
def test_usage(zoo: Zoo, contigs: dict[str, str], words: list[str], facts: list[str]) -> None:  # noqa: ARG001
    Path("t.tsv").write_text("chrom\tpos\tref\talt\nchr2\t5\tA\tC\n")
    Path("bad.tsv").write_text("chrom\tpos\tref\talt\nchr2\t0\tA\tC\n")
    Path("far.tsv").write_text("chrom\tpos\tref\talt\nchr77\t5\tA\tC\n")
    Path("head.tsv").write_text("CHR\tPOSITION\tREF\tALT\nchr2\t5\tA\tC\n")
    one_line(zoo, facts, "variants", *WORDS, "-o", "out.tsv", *words)
    assert not list(Path().glob("out.*"))


@pytest.mark.parametrize(
    ("targets", "facts"),
    [
        (("a-b", "c", "a_b"), ["'a-b'", "'a_b'", "ZOO_REF_a_b"]),
        (("a", "b", "MISMATCH"), ["'MISMATCH'", "ZOO_REF_MISMATCH"]),
    ],
)
def test_targets_that_vcf_cannot_tell_apart(
    zoo: Zoo,
    contigs: dict[str, str],  # noqa: ARG001
    targets: tuple[str, ...],
    facts: list[str],
) -> None:
    checkpoint.save(random_checkpoint(dataclasses.replace(ODD, targets=targets)), Path("w.safetensors"), overwrite=True)
    one_line(zoo, ["out.vcf", *facts], "variants", "v.vcf", *WORDS, "-o", "out.vcf")
    assert zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv")[0] == 0


@pytest.mark.parametrize("output", ["out.tsv", "out.vcf"])
def test_variants_that_change_between_the_two_readings_are_refused(
    zoo: Zoo,
    contigs: dict[str, str],  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
    output: str,
) -> None:
    digest, count = vcf.digest_and_count(Path("v.vcf"))
    monkeypatch.setattr(vcf, "digest_and_count", lambda _: (digest, count - 1))
    one_line(zoo, ["v.vcf", str(count - 1), str(count)], "variants", "v.vcf", *WORDS, "-o", output)
    assert not list(Path().glob("out.*"))


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("ending", ["\n", ""])
def test_records_are_counted_and_the_file_is_digested(
    contigs: dict[str, str], monkeypatch: pytest.MonkeyPatch, ending: str, size: int
) -> None:
    monkeypatch.setattr(text_input, "BLOCK_BYTES", size)
    count = len(random_alleles(contigs, 60))
    text = Path("v.vcf").read_text().rstrip("\n") + ending
    Path("v.vcf").write_text(text)
    Path("g.vcf.gz").write_bytes(gzip.compress(text.encode()))
    Path("x.vcf").write_bytes(lzma.compress(text.encode()))
    pysam.tabix_compress("v.vcf", "z.vcf.gz")
    with pysam.VariantFile("v.vcf") as source:
        records = list(source)
        with pysam.VariantFile("b.bcf", "wb", header=source.header) as written:
            for record in records:
                written.write(record)
    Path("u.bcf").write_bytes(gzip.decompress(Path("b.bcf").read_bytes()))
    rows = [f"{record.contig}\t{record.pos}\t{record.ref}\t{record.alts[0]}" for record in records]
    Path("t.tsv").write_text("\n".join(["chrom\tpos\tref\talt", *rows]) + ending)
    for name in ("v.vcf", "g.vcf.gz", "x.vcf", "z.vcf.gz", "b.bcf", "u.bcf", "t.tsv"):
        digest = hashlib.sha256(Path(name).read_bytes()).hexdigest()
        assert vcf.digest_and_count(Path(name)) == (digest, count), name
    Path("v.vcf").write_text(HEADER.rstrip("\n") + ending)
    assert vcf.digest_and_count(Path("v.vcf"))[1] == 0


def test_bytes_after_the_compressed_text_count_in_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "v.vcf"
    path.write_bytes(gzip.compress(HEADER.encode()) + bytes(3000))
    assert vcf.digest_and_count(path) == (hashlib.sha256(path.read_bytes()).hexdigest(), 0)


def test_rows_of_parquet_are_counted(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "v.parquet"
    parquet.write_table(pyarrow.table({"chrom": ["c", "c"], "pos": [3, 4], "ref": ["A", "A"], "alt": ["C", "C"]}), path)
    assert vcf.digest_and_count(path) == (hashlib.sha256(path.read_bytes()).hexdigest(), 2)
    assert [variant.position for variant in vcf.Records(path)] == [2, 3]


@pytest.mark.parametrize(
    ("record", "facts"),
    [
        ("chr2\t5\t.\tA\tC\t.\t.", ["8 columns", "got 7", "INFO is missing"]),
        ("chr2\t5001\t.\tC", ["got 4", "ALT is missing"]),
        ("chr2 5 . A C . . .", ["got 1", "blanks"]),
        ("chr2\t-5\t.\tA\tC\t.\t.\t.", ["POS", "whole number", "'-5'"]),
        ("chr2\t1_0\t.\tA\tC\t.\t.\t.", ["POS", "'1_0'"]),
        ("chr2\tpos123\t.\tA\tC\t.\t.\t.", ["POS", "'pos123'"]),
        ("chr2\t5000.0\t.\tA\tC\t.\t.\t.", ["POS", "'5000.0'", "decimal point"]),
        ("chr2\t5E+3\t.\tA\tC\t.\t.\t.", ["POS", "'5E+3'", "spreadsheet"]),
        ("chr2\t5,000\t.\tA\tC\t.\t.\t.", ["POS", "'5,000'", "separators"]),
        ("chr2\t5\t\udcff\tA\tC\t.\t.\t.", ["ID", "UTF-8"]),
        ("", ["empty"]),
    ],
)
def test_an_invalid_record_is_named_by_its_line_and_field(tmp_path: Path, record: str, facts: list[str]) -> None:
    path = tmp_path / "v.vcf"
    text = f"{HEADER}chr2\t5\tid\tA\tC,<DEL>\t.\t.\t.\n{record}\n"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    reading = iter(vcf.Records(path))
    assert next(reading)[:6] == ("chr2", 4, "id", "A", ("C", "<DEL>"), f"{path}: line 3")
    with refuses("v.vcf", "line 4", *facts):
        next(reading)


def test_positions_of_tables_are_whole_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for text, hint in (
        ("5.00E+03", "spreadsheet"),
        ("5e3", "spreadsheet"),
        ("5000.0", "decimal"),
        ("NA", ""),
        ("0", ""),
    ):
        path.write_text(f"chrom,pos,ref,alt\nchr2,7,A,C\nchr2,{text},A,C\n")
        with refuses(path, "row 2", "pos", repr(text), hint):
            list(vcf.Records(path))
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    for values, facts in (([5.0, 6.0], ["row 1", "'5.0'", "decimal"]), ([5, None], ["row 2", "pos", "whole number"])):
        frame = pandas.DataFrame({"chrom": "chr2", "pos": values, "ref": "A", "alt": "C"})
        frame.astype({"pos": "Int64"} if None in values else {}).to_parquet(tmp_path / "t.parquet")
        with refuses("t.parquet", *facts):
            list(vcf.Records(tmp_path / "t.parquet"))


def test_words_for_a_missing_allele_of_a_table_are_rows_without_numbers(zoo: Zoo, contigs: dict[str, str]) -> None:
    base = contigs["chr2"][4]
    cells = ["", "NA", "nan", ".", "N/A", "null", "None", "-", "#N/A", "NaN"]
    rows = [f"NA,chr2,5,{base},{cell}" for cell in cells] + [f",chr2,5,{cell},A" for cell in cells]
    Path("t.csv").write_text("\n".join(["id,chrom,pos,ref,alt", *rows, f"NA,chr2,5,{base},T", ""]))
    status, _, err = zoo("variants", "t.csv", *WORDS, "-o", "out.tsv")
    assert status == 0, err
    counts = json.loads(Path("out.tsv.json").read_text())["counts"]
    assert (counts["missing"], counts["ref_mismatch"], counts["records"]) == (20, 0, 21)
    found, numbers = read()
    assert np.isnan(numbers[:20]).all()
    assert np.isfinite(numbers[20]).all()
    assert [row[4] for row in found[:10]] == [cell or "." for cell in cells]
    assert [row[2] for row in found] == ["NA"] * 10 + ["."] * 10 + ["NA"]


def test_a_bcf_that_cannot_be_read_says_after_which_record(tmp_path: Path, contigs: dict[str, str]) -> None:  # noqa: ARG001
    with pysam.VariantFile("v.vcf") as source, pysam.VariantFile("b.bcf", "wb", header=source.header) as written:
        last = [(record.contig, record.pos) for record in source if not written.write(record)][-2]
    Path("b.bcf").write_bytes(gzip.decompress(Path("b.bcf").read_bytes())[:-5])
    with refuses("b.bcf", "record", f"{last[0]}:{last[1]}", "bcftools"):
        list(vcf.Records(Path("b.bcf")))
    Path("b.bcf").write_bytes(Path("v.vcf").read_bytes())
    assert len(list(vcf.Records(Path("b.bcf")))) == vcf.digest_and_count(Path("b.bcf"))[1]
    Path("b.bcf").write_text("chr2\t5\n")
    with refuses("b.bcf", "line 1", "#CHROM"):
        vcf.Records(Path("b.bcf"))
    with pysam.VariantFile("v.vcf") as source, pysam.VariantFile("b.bcf", "wb", header=source.header) as written:
        written.write(next(source))
    with refuses("b.vcf", "BCF", ".bcf"):
        vcf.Records(Path("b.bcf").rename("b.vcf"))


def test_vcf_is_read_as_pysam_reads_it(zoo: Zoo, contigs: dict[str, str]) -> None:  # noqa: ARG001
    for variant, record in zip(vcf.Records(Path("v.vcf"), keep_lines=True), pysam.VariantFile("v.vcf"), strict=True):
        assert variant.line == str(record).removesuffix("\n")
        read = record.contig, record.pos - 1, record.id or ".", record.ref, record.alts or ()
        assert read == variant[:5]


def test_contigs_and_identifiers_may_be_called_like_missing_values(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">NA\nACGTACGTAC\n>nan\nTTTTTTTTTT\n")
    (tmp_path / "t.tsv").write_text("chrom\tpos\tref\talt\tid\nNA\t1\tA\tC\tnull\nnan\t2\tT\tNA\t\n")
    (tmp_path / "i.bed").write_text("NA\t0\t5\tNone\t0\t+\nnan\t1\t6\tNA\n")
    assert [tuple(variant[:5]) for variant in vcf.Records(tmp_path / "t.tsv")] == [
        ("NA", 0, "null", "A", ("C",)),
        ("nan", 1, ".", "T", ("NA",)),
    ]
    intervals = list(bed.read(tmp_path / "i.bed"))
    assert [(one.contig, one.name) for one in intervals if isinstance(one, bed.Interval)] == [
        ("NA", "None"),
        ("nan", "NA"),
    ]
    with IndexedFasta(tmp_path / "g.fa") as genome:
        assert genome.contigs == {"NA": 10, "nan": 10}
        assert [outside(genome, one) for one in intervals if isinstance(one, bed.Interval)] == [None, None]
