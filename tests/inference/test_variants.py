"""`zoo variants`: every effect against predictions of two sequences that are built by hand, in plain Python."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import NamedTuple

import genomes
import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import RUNTIME, Zoo, one_line

from zoo.formats import vcf
from zoo.inference import genome_job, predict, variants
from zoo.inference.genome_options import VariantOptions
from zoo.inference.loading import Loading
from zoo.weights import checkpoint

pysam = pytest.importorskip("pysam", reason="pysam is not installed; the extra genome brings it")

L = ODD.sequence_length
H = L // 2
WORDS = ("--genome", "g.fa", "--weights", "w.safetensors", *RUNTIME)
EFFECTS = [f"{kind}_{target}" for target in "abc" for kind in ("ref", "alt", "delta")]
COLUMNS = ["chrom", "pos", "id", "ref", "alt", *EFFECTS, "ref_match"]


class Allele(NamedTuple):
    """1-based, as in the file."""

    contig: str
    position: int
    ref: str
    alt: str


def windows(contigs: dict[str, str], allele: Allele, shift: int = 0) -> tuple[str, str]:
    """The reference bases [p - 26, p + 27) for L = 53, moved by `shift`, and the same slice of the haplotype."""
    sequence, p = contigs[allele.contig].upper(), allele.position - 1
    haplotype = sequence[:p] + allele.alt.upper() + sequence[p + len(allele.ref) :]
    return genomes.window(sequence, p + shift, L), genomes.window(haplotype, p + shift, L)


def expected(
    contigs: dict[str, str], alleles: list[Allele], shifts: tuple[int, ...] = (0,), rc: bool = False
) -> np.ndarray:
    """ref, alt and delta of each allele: (A, 3, T)."""
    model = predict.load(weights="w.safetensors", runtime=RUNTIME[1], rc="average" if rc else None)
    pairs = [windows(contigs, allele, shift) for allele in alleles for shift in shifts]
    both = [model.predict([pair[side] for pair in pairs]).reshape(len(alleles), len(shifts), 3) for side in (0, 1)]
    ref, alt = (values.mean(axis=1) for values in both)
    return np.stack([ref, alt, alt - ref], axis=1)


def random_alleles(contigs: dict[str, str], count: int, seed: int = 0) -> list[Allele]:
    """Single bases, several bases, insertions and deletions, as they stand in a sorted VCF; at the ends too."""
    generator = random.Random(seed)
    found = []
    for contig, sequence in contigs.items():
        places = sorted(generator.randrange(len(sequence)) for _ in range(count))
        for place in [0, 1, *places, len(sequence) - 2, len(sequence) - 1]:
            ref = sequence[place : place + generator.choice([1, 1, 1, 2, 3, 20, L])]
            alt = "".join(generator.choice("ACGTacgt") for _ in range(generator.choice([1, 1, 1, 2, 5, 30, L])))
            kind = generator.random()
            if kind < 0.5:
                ref, alt = ref[:1], generator.choice("ACGT".replace(ref[:1].upper(), "") or "A")
            elif kind < 0.7:
                alt = ref[:1] + alt[: L - 1]
                ref = ref[:1]
            elif kind < 0.9:
                alt = ref[:1]
            found.append(Allele(contig, place + 1, ref, alt))
    return found


def write_vcf(path: Path, rows: list[tuple[str, int, str, str]], contigs: dict[str, str], info: str = ".") -> Path:
    header = ["##fileformat=VCFv4.2", '##INFO=<ID=AF,Number=A,Type=Float,Description="frequency">']
    header += [f"##contig=<ID={name},length={len(sequence)}>" for name, sequence in contigs.items()]
    header.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    lines = [f"{c}\t{p}\trs{number}\t{ref}\t{alt}\t.\t.\t{info}" for number, (c, p, ref, alt) in enumerate(rows)]
    path.write_text("\n".join([*header, *lines, ""]))
    return path


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The working folder, with weights w.safetensors, the genome g.fa and the variants v.vcf."""
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), tmp_path / "w.safetensors")
    contigs = genomes.contigs({"chr2": 900, "chr10": 400}, unknown=0.01)
    genomes.write(tmp_path / "g.fa", contigs)
    write_vcf(tmp_path / "v.vcf", random_alleles(contigs, 60), contigs)
    return contigs


def read(path: str = "out.tsv") -> tuple[list[list[str]], np.ndarray]:
    """Rows as text, and their numbers (A, 3, T)."""
    header, *rows = [line.split("\t") for line in Path(path).read_text().splitlines()]
    assert header == COLUMNS
    numbers = np.array([[np.nan if cell == "NA" else float(cell) for cell in row[5:14]] for row in rows])
    return rows, numbers.reshape(len(rows), 3, 3).swapaxes(1, 2)


@pytest.mark.parametrize("shifts", [(0,), (-20, 0, 20), (26,), (-26, 5)])
@pytest.mark.parametrize("rc", [False, True])
def test_every_effect_is_that_of_two_sequences_built_by_hand(
    zoo: Zoo, made: dict[str, str], shifts: tuple[int, ...], rc: bool
) -> None:
    alleles = random_alleles(made, 60)
    words = ["--shifts", ",".join(map(str, shifts)), *(["--rc", "average"] if rc else [])]
    status, out, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv", *words)
    assert (status, out) == (0, ""), err
    rows, numbers = read()
    assert [row[:5] for row in rows] == [
        [one.contig, str(one.position), f"rs{number}", one.ref, one.alt] for number, one in enumerate(alleles)
    ]
    assert {row[-1] for row in rows} == {"yes"}
    np.testing.assert_allclose(numbers, expected(made, alleles, shifts, rc), atol=2e-5)
    assert np.abs(numbers[:, 2]).max() > 0.1


def test_windows_are_those_that_the_conventions_name() -> None:
    """249 bases: [p - 124, p + 125), and a deletion draws in the bases behind it."""
    sequence = genomes.contigs({"c": 1000})["c"].upper()
    from zoo.dna.encoding import encode
    from zoo.formats.vcf import Variant
    from zoo.inference.haplotypes import Placements

    class Genome:
        def window(self, _: str, start: int, length: int) -> np.ndarray:
            return encode([sequence[start : start + length]])[0]

    p = 500
    variant = Variant("c", p, ".", sequence[p : p + 7], (sequence[p],))
    made = Placements(249, (0,))
    (ref,) = made.reference(Genome(), variant)  # type: ignore[arg-type]
    (alt,) = made.alternative(Genome(), variant, sequence[p])  # type: ignore[arg-type]
    assert ref.tolist() == encode([sequence[p - 124 : p + 125]])[0].tolist()
    assert alt.tolist() == encode([sequence[p - 124 : p + 1] + sequence[p + 7 : p + 131]])[0].tolist()


def test_alleles_of_a_record_are_rows_in_order(zoo: Zoo, made: dict[str, str]) -> None:
    base = made["chr2"][99]
    others = [letter for letter in "ACGT" if letter != base.upper()]
    write_vcf(Path("v.vcf"), [("chr2", 100, base, f"{others[2]},{base}GG,{others[0]}")], made)
    assert zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv")[0] == 0
    rows, numbers = read()
    assert [row[4] for row in rows] == [others[2], f"{base}GG", others[0]]
    alleles = [Allele("chr2", 100, base, row[4]) for row in rows]
    np.testing.assert_allclose(numbers, expected(made, alleles), atol=2e-5)


def test_the_reference_of_a_place_is_predicted_once(made: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    base = made["chr2"][99]
    others = [letter for letter in "ACGT" if letter != base.upper()]
    rows = [("chr2", 100, base, ",".join(others)), ("chr2", 100, base, "GATTACA")]
    write_vcf(Path("v.vcf"), rows, made)
    predicted = []
    submit = predict.Model.submit_codes
    monkeypatch.setattr(
        predict.Model, "submit_codes", lambda model, codes: predicted.append(len(codes)) or submit(model, codes)
    )
    loading = Loading(weights="w.safetensors", runtime=RUNTIME[1])
    genome_job.run(variants.Job(Path("g.fa"), Path("out.tsv"), variants=Path("v.vcf"), loading=loading))
    assert predicted == [1 + 4]


ODD_ALLELES = {
    "<DEL>": "symbolic",
    "*": "overlapping_deletion",
    "<*>": "overlapping_deletion",
    "G[chr2:7[": "breakend",
    "]chr2:7]G": "breakend",
    ".G": "breakend",
    "R": "other_letters",
    "A" * (L + 1): "too_long",
}


@pytest.mark.parametrize("alt", ODD_ALLELES)
def test_what_cannot_be_scored_is_counted_and_named(zoo: Zoo, made: dict[str, str], alt: str) -> None:
    base = made["chr2"][99]
    other = "A" if base.upper() != "A" else "C"
    write_vcf(Path("v.vcf"), [("chr2", 100, base, f"{alt},{other}"), ("chr2", 101, made["chr2"][100], ".")], made)
    status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv")
    assert status == 0
    rows, numbers = read()
    assert [row[4] for row in rows] == [alt, other]
    assert rows[0][5:] == ["NA"] * 9 + ["yes"]
    np.testing.assert_allclose(numbers[1:], expected(made, [Allele("chr2", 100, base, other)]), atol=2e-5)
    kind = ODD_ALLELES[alt]
    described = json.loads(Path("out.tsv.json").read_text())
    assert described["counts"][kind] == 1
    assert described["counts"]["variants_without_alleles"] == 1
    (named,) = described["not_scored"][kind]
    assert named.startswith(f"chr2:100 {base}>{alt[:40]}")
    assert err.splitlines()[1] == f"zoo: not scored, {kind.replace('_', ' ')}: {named}"


class TestMismatch:
    """A REF that the genome does not have."""

    def wrong(self, made: dict[str, str], place: int) -> tuple[str, int, str, str]:
        base = made["chr2"][place - 1].upper()
        return ("chr2", place, next(letter for letter in "ACGT" if letter != base), "T")

    def test_is_marked_and_more_than_a_share_is_exit_1(self, zoo: Zoo, made: dict[str, str]) -> None:
        right = [("chr2", place, made["chr2"][place - 1], "A") for place in range(100, 199)]
        write_vcf(Path("v.vcf"), [*right, self.wrong(made, 200)], made)
        status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv")
        rows, _ = read()
        assert status == 0
        assert rows[-1][5:] == ["NA"] * 9 + ["no"]
        assert "100 alleles, 1 ref mismatch" in err
        status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv", "--overwrite", "--max-mismatch", 0.005)
        assert status == 1
        assert err.splitlines()[-1] == (
            "zoo: the genome has other bases than REF at 1 of 100 alleles, more than --max-mismatch 0.005: is it "
            "another assembly?"
        )
        assert read()[0] == rows

    @pytest.mark.parametrize("row", [("chr2", 900, "AC", "A"), ("chr2", 901, "A", "C"), ("chr2", 0, "A", "C")])
    def test_beyond_the_contig_is_one(self, zoo: Zoo, made: dict[str, str], row: tuple[str, int, str, str]) -> None:
        write_vcf(Path("v.vcf"), [("chr2", 5, made["chr2"][4], "A"), row], made)
        assert zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv", "--max-mismatch", 1)[0] == 0
        assert [line[-1] for line in read()[0]] == ["yes", "no"]

    def test_everywhere_is_exit_2_and_nothing_is_written(self, zoo: Zoo, made: dict[str, str]) -> None:
        write_vcf(Path("v.vcf"), [self.wrong(made, place) for place in (100, 101)], made)
        message = "v.vcf: the genome g.fa has the REF of none of its 2 alleles; is it another assembly?"
        one_line(zoo, message, "variants", "v.vcf", *WORDS, "-o", "out.tsv")
        assert not list(Path().glob("out.tsv"))


class TestFiles:
    """Every kind in and out."""

    def rows(self, zoo: Zoo, name: str) -> list[str]:
        assert zoo("variants", name, *WORDS, "-o", "out.tsv", "--overwrite")[0] == 0
        return Path("out.tsv").read_text().splitlines()

    def test_compressed_bcf_and_tables_give_the_same(self, zoo: Zoo, made: dict[str, str]) -> None:
        whole = self.rows(zoo, "v.vcf")
        pysam.tabix_compress("v.vcf", "z.vcf.gz")
        assert self.rows(zoo, "z.vcf.gz") == whole
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
            assert made[row.split("\t")[0]]

    def test_without_a_contig_in_the_header_and_unsorted(self, zoo: Zoo, made: dict[str, str]) -> None:
        whole = self.rows(zoo, "v.vcf")
        shuffled = random_alleles(made, 60)
        order = list(range(len(shuffled)))
        random.Random(1).shuffle(order)
        write_vcf(Path("u.vcf"), [shuffled[place] for place in order], {})
        found = self.rows(zoo, "u.vcf")
        strip = [row.split("\t")[:2] + row.split("\t")[3:5] for row in whole[1:]]
        assert [row.split("\t")[:2] + row.split("\t")[3:5] for row in found[1:]] == [strip[place] for place in order]
        numbers = read()[1]
        np.testing.assert_allclose(numbers, expected(made, [shuffled[place] for place in order]), atol=2e-5)

    def test_parquet(self, zoo: Zoo, made: dict[str, str]) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        write = [("chr2", 100, "<X>", "A"), *random_alleles(made, 5)]
        write_vcf(Path("v.vcf"), write, made)
        words = ("variants", "v.vcf", *WORDS, "--max-mismatch", 1)
        assert zoo(*words, "-o", "out.tsv")[0] == 0
        assert zoo(*words, "-o", "out.parquet")[0] == 0
        table = parquet.read_table("out.parquet")
        rows, numbers = read()
        assert table.column_names == COLUMNS
        assert table.column("pos").to_pylist() == [int(row[1]) for row in rows]
        assert table.column("delta_b")[0].as_py() is None
        np.testing.assert_array_equal(table.column("delta_b").to_numpy()[1:], numbers[1:, 2, 1].astype(np.float32))

    def test_vcf_with_fields_header_lines_and_an_index(self, zoo: Zoo, made: dict[str, str]) -> None:
        base = made["chr2"][99]
        others = [letter for letter in "ACGT" if letter != base.upper()]
        wrong = next(letter for letter in "ACGT" if letter != made["chr2"][149].upper())
        rows = [("chr2", 100, base, f"{others[0]},<DEL>,{others[1]}"), ("chr2", 150, wrong, "A,C")]
        write_vcf(Path("v.vcf"), [*rows, *random_alleles({"chr10": made["chr10"]}, 5)], made, info="AF=0.5")
        status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.vcf.gz", "--max-mismatch", 0.5)
        assert status == 0, err
        with pysam.VariantFile("out.vcf.gz") as found:
            assert found.header.info["ZOO_DELTA_a"].number == "A"
            assert found.header.info["ZOO_REF_a"].number == 1
            records = list(found)
            (fetched,) = found.fetch("chr2", 149, 150)
        first, second, *rest = records
        assert first.info["AF"] == pytest.approx((0.5,))
        effects = expected(made, [Allele("chr2", 100, base, alt) for alt in others[:2]])
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
        message = (
            "out.vcf.gz: has the field INFO/ZOO_REF_MISMATCH already; remove it first, as with bcftools annotate -x"
        )
        one_line(zoo, message, "variants", "out.vcf.gz", *WORDS, "-o", "again.vcf.gz")

    def test_an_unsorted_vcf_has_no_index(self, zoo: Zoo, made: dict[str, str]) -> None:
        write_vcf(Path("v.vcf"), random_alleles(made, 5)[::-1], made)
        status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.vcf.gz")
        assert status == 0
        assert err.splitlines()[-1] == "zoo: v.vcf: is not sorted; out.vcf.gz has no index"
        assert not Path("out.vcf.gz.tbi").exists()
        with pysam.VariantFile("out.vcf.gz") as found:
            assert all("ZOO_DELTA_a" in record.info for record in found)


class TestParts:
    """Shards, a stop and a merge give the bytes of one run."""

    @pytest.mark.parametrize("output", ["out.tsv", "out.vcf.gz"])
    def test_shards_are_merged_to_the_same_bytes(self, zoo: Zoo, made: dict[str, str], output: str) -> None:  # noqa: ARG002
        words = ("variants", "v.vcf", *WORDS, "--part-size", 17)
        assert zoo(*words, "-o", output)[0] == 0
        whole = Path(output).read_bytes()
        for shard in ("2/2", "1/2"):
            status, _, err = zoo(*words, "-o", output, "--overwrite", "--shard", shard)
            assert status == 0
        assert err == "zoo: shard 1/2 is done; of 8 parts all there; join them with --merge\n"
        Path(f"{output}.parts/0000003.safetensors").unlink()
        one_line(
            zoo,
            f"{output}.parts: 1 of 8 parts are missing (4); run their",
            *words,
            "-o",
            output,
            "--overwrite",
            "--merge",
        )
        assert zoo(*words, "-o", output, "--overwrite", "--resume")[0] == 0
        assert Path(output).read_bytes() == whole
        assert not Path(f"{output}.parts").exists()

    def test_parts_of_other_variants_are_refused(self, zoo: Zoo, made: dict[str, str]) -> None:
        words = ("variants", "v.vcf", *WORDS, "-o", "out.tsv", "--part-size", 50)
        assert zoo(*words, "--shard", "1/2")[0] == 0
        write_vcf(Path("v.vcf"), random_alleles(made, 60, seed=1), made)
        one_line(zoo, "out.tsv.parts: holds parts of another run: variants sha256 is ", *words, "--merge")
        write_vcf(Path("v.vcf"), random_alleles(made, 60), made)
        one_line(
            zoo,
            "holds parts of another run: shifts is [0] there and [-1, 1] here",
            *words,
            "--shifts",
            "-1,1",
            "--merge",
        )


H1 = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "v.vcf: expected variants, found none; the file is empty"),
        ("chr2\t5\t.\tA\tC\t.\t.\t.\n", "v.vcf: cannot be read as VCF or BCF (invalid file "),
        (H1, "v.vcf: expected variants, found none; the file is empty"),
        (H1 + "chr2\t5\t.\tA\n", "v.vcf: record 1 cannot be read as VCF (unable to parse next record)"),
        (H1 + "chr2\tx\t.\tA\tC\t.\t.\t.\n", "v.vcf: record 1 cannot be read as VCF (unable to parse next record)"),
        (
            H1 + "10\t5\t.\tA\tC\t.\t.\t.\n",
            "v.vcf: the genome g.fa has no contig '10' but 'chr10': the names differ by",
        ),
        (H1 + "x\t5\t.\tA\tC\t.\t.\t.\n", "v.vcf: the genome g.fa has no contig 'x'; it has chr2, chr10"),
    ],
)
def test_bad_vcf(zoo: Zoo, made: dict[str, str], content: str, message: str) -> None:  # noqa: ARG001
    Path("v.vcf").write_text(content)
    one_line(zoo, message, "variants", "v.vcf", *WORDS, "-o", "out.tsv")
    assert not Path("out.tsv").exists()


def test_a_vcf_that_gzip_compressed_is_refused_with_the_command_that_helps(zoo: Zoo, made: dict[str, str]) -> None:  # noqa: ARG001
    Path("v.vcf.gz").write_bytes(gzip.compress((H1 + "chr2\t5\t.\tA\tC\t.\t.\t.\n").encode()))
    message = "v.vcf.gz: expected VCF compressed by bgzip, got gzip; gunzip -c v.vcf.gz | bgzip > new.vcf.gz makes one"
    one_line(zoo, message, "variants", "v.vcf.gz", *WORDS, "-o", "out.tsv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.vcf"], "none.vcf: no such file"),
        (["g.fa"], "g.fa: expected variants whose name ends in .vcf, .vcf.gz, .vcf.bgz, .bcf, or in .tsv, .txt, .csv"),
        (["v.vcf", "-o", "out.xls"], "out.xls: expected a name that ends in .tsv, .txt, .csv, .parquet, or in one of"),
        (
            ["t.tsv", "-o", "out.vcf.gz"],
            "out.vcf.gz: a table of variants has no header for VCF; give an output such as",
        ),
        (["v.vcf", "-o", "out.bcf"], "out.bcf: expected an output in VCF, such as out.vcf.gz, or a table"),
        (["bad.tsv"], "bad.tsv: column pos, row 1: expected a whole number of at least 1, got 0.0"),
        (["v.vcf", "--shifts", "27"], "shifts: expected -26 to 26 for windows of 53 bases, got 27"),
        (["v.vcf", "--shifts", "-1,-1"], "shifts: expected one or more different numbers of bases, got [-1, -1]"),
        (["v.vcf", "--max-mismatch", "2"], "max-mismatch: expected a share from 0 to 1, got 2.0"),
        (["v.vcf", "--shard", "3/2"], "shard: expected i/n with i from 1 to n, as 3/20, got '3/2'"),
        (["v.vcf", "-o", "v.vcf", "--overwrite"], "v.vcf: is an input of this command, which is never replaced"),
    ],
)
def test_usage(zoo: Zoo, made: dict[str, str], words: list[str], message: str) -> None:  # noqa: ARG001
    Path("t.tsv").write_text("chrom\tpos\tref\talt\nchr2\t5\tA\tC\n")
    Path("bad.tsv").write_text("chrom\tpos\tref\talt\nchr2\t0\tA\tC\n")
    one_line(zoo, message, "variants", *WORDS, "-o", "out.tsv", *words)


def test_shifts_keep_the_variant_inside() -> None:
    VariantOptions((-124, 124)).check(249)
    with pytest.raises(vcf.ZooError, match="shifts: expected -124 to 124 for windows of 249 bases, got -125"):
        VariantOptions((-125,)).check(249)


@pytest.mark.parametrize("ending", ["\n", ""])
@pytest.mark.parametrize("block", [7, 1 << 20])
def test_records_are_counted_without_reading_them(
    made: dict[str, str], monkeypatch: pytest.MonkeyPatch, ending: str, block: int
) -> None:
    monkeypatch.setattr(vcf, "BLOCK_BYTES", block)
    text = Path("v.vcf").read_text()
    Path("v.vcf").write_text(text.rstrip("\n") + ending)
    assert vcf.count(Path("v.vcf")) == len(random_alleles(made, 60))
    Path("v.vcf").write_text(H1.rstrip("\n") + ending)
    assert vcf.count(Path("v.vcf")) == 0
