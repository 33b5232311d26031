"""`zoo variants`: every effect against predictions of two sequences that are built by hand, in plain Python."""

from __future__ import annotations

import json
from pathlib import Path

import genomes
import numpy as np
import pytest
from alleles import WORDS, Allele, L, expected, random_alleles, read, write_vcf
from command_line import RUNTIME, Zoo, one_line
from refusals import refuses

from zoo.genome import alleles as genome_alleles
from zoo.genome import variants
from zoo.genome.job import run_job
from zoo.genome.options import VariantOptions
from zoo.prediction.members import Each
from zoo.prediction.model import ModelSource

pysam = pytest.importorskip("pysam", reason="pysam is not installed; the extra genome brings it")


@pytest.mark.parametrize("shifts", [(0,), (-20, 0, 20), (26,), (-26, 5)])
@pytest.mark.parametrize(("rc", "flank"), [(False, "left"), (True, "left"), (False, "right")])
def test_every_effect_is_that_of_two_sequences_built_by_hand(
    zoo: Zoo, contigs: dict[str, str], shifts: tuple[int, ...], rc: bool, flank: str
) -> None:
    alleles = random_alleles(contigs, 60)
    words = ["--shifts", ",".join(map(str, shifts)), *(["--rc", "average"] if rc else []), "--flank", flank]
    status, out, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv", *words)
    assert (status, out) == (0, ""), err
    rows, numbers = read()
    assert [row[:5] for row in rows] == [
        [one.contig, str(one.position), f"rs{number}", one.ref, one.alt] for number, one in enumerate(alleles)
    ]
    assert {row[-2] for row in rows} == {"yes"}
    inside = L - L // 2 + min(shifts)
    # on the right flank, ALT ends where REF does
    before = L // 2 - max(shifts)
    assert [row[-1] for row in rows] == [
        "scored"
        if len(one.ref) <= inside
        and (len(one.alt) <= inside if flank == "left" else len(one.alt) - len(one.ref) <= before)
        else "partly_outside"
        for one in alleles
    ]
    np.testing.assert_allclose(numbers, expected(contigs, alleles, shifts, rc, flank), atol=2e-5)
    assert np.abs(numbers[:, 2]).max() > 0.1


def test_windows_are_those_that_the_conventions_name() -> None:
    """249 bases: [p - 124, p + 125), and a deletion draws in the bases behind it."""
    sequence = genomes.contigs({"c": 1000})["c"].upper()
    from zoo.dna.encoding import encode
    from zoo.formats.vcf import Variant

    class Genome:
        def window(self, _: str, start: int, length: int) -> np.ndarray:
            return encode([sequence[start : start + length]])[0]

    p = 500
    variant = Variant("c", p, ".", sequence[p : p + 7], (sequence[p],))
    (ref,) = genome_alleles.windows_of(Genome(), variant, None, 249, genome_alleles.UNMOVED)  # type: ignore[arg-type]
    (alt,) = genome_alleles.windows_of(Genome(), variant, sequence[p], 249, genome_alleles.UNMOVED)  # type: ignore[arg-type]
    assert ref.tolist() == encode([sequence[p - 124 : p + 125]])[0].tolist()
    assert alt.tolist() == encode([sequence[p - 124 : p + 1] + sequence[p + 7 : p + 131]])[0].tolist()


def test_alleles_of_a_record_are_rows_in_order(zoo: Zoo, contigs: dict[str, str]) -> None:
    base = contigs["chr2"][99]
    others = [letter for letter in "ACGT" if letter != base.upper()]
    write_vcf(Path("v.vcf"), [("chr2", 100, base, f"{others[2]},{base}GG,{others[0]}")], contigs)
    assert zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv")[0] == 0
    rows, numbers = read()
    assert [row[4] for row in rows] == [others[2], f"{base}GG", others[0]]
    alleles = [Allele("chr2", 100, base, row[4]) for row in rows]
    np.testing.assert_allclose(numbers, expected(contigs, alleles), atol=2e-5)


def test_the_reference_of_a_place_is_predicted_once(contigs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    base = contigs["chr2"][99]
    others = [letter for letter in "ACGT" if letter != base.upper()]
    rows = [("chr2", 100, base, ",".join(others)), ("chr2", 100, base, "GATTACA")]
    write_vcf(Path("v.vcf"), rows, contigs)
    predicted = []
    submit = Each.submit
    monkeypatch.setattr(
        Each, "submit", lambda each, codes, used: predicted.append(len(codes)) or submit(each, codes, used)
    )
    model_source = ModelSource(weights="w.safetensors", runtime=RUNTIME[1])
    run_job(variants.VariantsJob(Path("g.fa"), Path("out.tsv"), variants=Path("v.vcf"), model_source=model_source))
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
    **dict.fromkeys(("NA", "nan", "NaN", "N/A", "null", "None", "-", "#N/A"), "missing"),
}


@pytest.mark.parametrize("alt", ODD_ALLELES)
def test_what_cannot_be_scored_is_counted_and_named(zoo: Zoo, contigs: dict[str, str], alt: str) -> None:
    base = contigs["chr2"][99]
    other = "A" if base.upper() != "A" else "C"
    write_vcf(Path("v.vcf"), [("chr2", 100, base, f"{alt},{other}"), ("chr2", 101, contigs["chr2"][100], ".")], contigs)
    status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv")
    assert status == 0
    rows, numbers = read()
    assert [row[4] for row in rows] == [alt, other]
    assert rows[0][5:] == ["NA"] * 9 + ["yes", ODD_ALLELES[alt]]
    np.testing.assert_allclose(numbers[1:], expected(contigs, [Allele("chr2", 100, base, other)]), atol=2e-5)
    kind = ODD_ALLELES[alt]
    described = json.loads(Path("out.tsv.json").read_text())
    assert described["counts"][kind] == 1
    assert described["counts"]["variants_without_alleles"] == 1
    (named,) = described["not_scored"][kind]
    change = (f"{base}>{alt}",) if len(alt) <= L else ("1 base", str(L + 1), str(L), "inserts")
    assert named.startswith("chr2:100 ")
    assert any(one in named for one in change)
    assert err.splitlines()[1] == f"zoo: not scored, {kind.replace('_', ' ')}: {named}"


class TestMismatch:
    """A REF that the genome does not have."""

    def wrong(self, contigs: dict[str, str], place: int) -> tuple[str, int, str, str]:
        base = contigs["chr2"][place - 1].upper()
        return ("chr2", place, next(letter for letter in "ACGT" if letter != base), "T")

    def test_is_marked_and_more_than_a_share_is_exit_1(self, zoo: Zoo, contigs: dict[str, str]) -> None:
        right = [("chr2", place, contigs["chr2"][place - 1], "A") for place in range(100, 199)]
        write_vcf(Path("v.vcf"), [*right, self.wrong(contigs, 200)], contigs)
        status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv")
        rows, _ = read()
        assert status == 0
        assert rows[-1][5:] == ["NA"] * 9 + ["no", "ref_mismatch"]
        assert "100 alleles, 1 ref mismatch" in err
        status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv", "--overwrite", "--max-mismatch", 0.005)
        assert status == 1
        assert all(fact in err.splitlines()[-1] for fact in ("1 of 100", "--max-mismatch 0.005"))
        assert read()[0] == rows

    @pytest.mark.parametrize("row", [("chr2", 900, "AC", "A"), ("chr2", 901, "N", "C"), ("chr2", 0, "A", "C")])
    def test_beyond_the_contig_is_one(self, zoo: Zoo, contigs: dict[str, str], row: tuple[str, int, str, str]) -> None:
        write_vcf(Path("v.vcf"), [("chr2", 5, contigs["chr2"][4], "A"), row], contigs)
        assert zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv", "--max-mismatch", 1)[0] == 0
        assert [line[-2] for line in read()[0]] == ["yes", "no"]

    @pytest.mark.parametrize("position", [901, 99999999999])
    def test_a_position_beyond_the_contig_is_refused(self, zoo: Zoo, contigs: dict[str, str], position: int) -> None:
        words = ("variants", "v.vcf", *WORDS, "-o", "out.tsv")
        beyond = ("chr2", position, "G", "T")
        write_vcf(Path("v.vcf"), [beyond], contigs)
        for rest in ((), ("--skip-bad",)):
            one_line(zoo, ["v.vcf", "line 6", f"POS {position:,}", "chr2", "900 bases", "g.fa"], *words, *rest)
        write_vcf(Path("v.vcf"), [("chr2", 5, contigs["chr2"][4], "A"), beyond], contigs)
        one_line(zoo, ["v.vcf", "line 7", f"POS {position:,}", "--skip-bad"], *words)
        assert zoo(*words, "--skip-bad")[0] == 0
        assert len(read()[0]) == 1

    def test_everywhere_is_exit_2_and_nothing_is_written(self, zoo: Zoo, contigs: dict[str, str]) -> None:
        write_vcf(Path("v.vcf"), [self.wrong(contigs, place) for place in (100, 101)], contigs)
        one_line(zoo, ["v.vcf", "g.fa", "all of its 2 alleles"], "variants", "v.vcf", *WORDS, "-o", "out.tsv")
        assert not list(Path().glob("out.tsv"))


def test_shifts_keep_the_variant_inside() -> None:
    VariantOptions((-124, 124)).check(249)
    with refuses("shifts", -124, 124, 249, -125):
        VariantOptions((-125,)).check(249)


class TestShifted:
    """Positions that are off by one base."""

    def write(self, contigs: dict[str, str], places: range, by: int) -> None:
        rows = [("chr2", place + by, contigs["chr2"][place - 1], "<X>") for place in places]
        write_vcf(Path("v.vcf"), rows, contigs)

    @pytest.mark.parametrize(("by", "facts"), [(-1, ["1 added", "counted from 0"]), (1, ["1 subtracted", "too high"])])
    def test_are_said_with_the_direction(self, zoo: Zoo, contigs: dict[str, str], by: int, facts: list[str]) -> None:
        self.write(contigs, range(100, 140), by)
        status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv")
        assert status == 1
        assert all(fact in err for fact in (*facts, "40 of 40")), err
        status, _, err = zoo(
            "variants", "v.vcf", *WORDS, "-o", "out.tsv", "--overwrite", "--skip-bad", "--part-size", 7
        )
        assert status == 1
        assert all(fact in err.splitlines()[-1] for fact in facts), err
        assert "skipped" in err
        assert Path("out.tsv").exists()

    def test_are_said_where_none_matches(self, zoo: Zoo, contigs: dict[str, str]) -> None:
        places = [
            place for place in range(100, 200) if len({contigs["chr2"][place - by].upper() for by in (0, 1, 2)}) == 3
        ]
        self.write(contigs, places, -1)  # type: ignore[arg-type]
        one_line(zoo, ["v.vcf", "g.fa", "1 added"], "variants", "v.vcf", *WORDS, "-o", "out.tsv")
        one_line(zoo, ["v.vcf", "1 added"], "variants", "v.vcf", *WORDS, "-o", "out.tsv", "--skip-bad")

    def test_are_not_said_of_another_genome(self, zoo: Zoo, contigs: dict[str, str]) -> None:
        rows = [("chr2", place, "ACGT"[place % 4], "<X>") for place in range(100, 200)]
        write_vcf(Path("v.vcf"), rows, contigs)
        status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv")
        assert status == 1
        assert "every POS" not in err


class TestOtherLetters:
    """A genome with IUPAC letters."""

    @pytest.fixture
    def place(self, contigs: dict[str, str]) -> int:
        contigs["chr2"] = f"{contigs['chr2'][:99]}ACrTC{contigs['chr2'][104:]}"
        genomes.write(Path("g.fa"), contigs)
        return 102

    def test_ref_is_compared_with_the_letter(self, zoo: Zoo, contigs: dict[str, str], place: int) -> None:
        write_vcf(Path("v.vcf"), [("chr2", place, ref, "T") for ref in "RrNAGCT"] + [("chr2", 101, "Ca", "C")], contigs)
        status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv", "--max-mismatch", 1)
        rows, numbers = read()
        assert status == 0
        assert [row[-2:] for row in rows] == [
            *[["yes", "other_letters"]] * 2,
            ["no", "ref_mismatch"],
            ["yes", "scored"],
            *[["no", "ref_mismatch"]] * 3,
            ["yes", "scored"],
        ]
        # VCF writes R as A, the first of its bases
        known = {**contigs, "chr2": contigs["chr2"].replace("r", "A")}
        alleles = [Allele("chr2", place, "A", "T"), Allele("chr2", 101, "CA", "C")]
        np.testing.assert_allclose(numbers[[3, 7]], expected(known, alleles), atol=2e-5)
        assert "as N" not in err

    def test_in_a_window_they_are_n_and_said_or_refused(self, zoo: Zoo, contigs: dict[str, str], place: int) -> None:
        bases = contigs["chr2"]
        rows = [("chr2", at, bases[at - 1], "T" if bases[at - 1].upper() != "T" else "A") for at in (90, 104, 300)]
        write_vcf(Path("v.vcf"), rows, contigs)
        for words in ((), ("--part-size", 1)):
            status, _, err = zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv", "--overwrite", *words)
            assert status == 0
            named = f"R at contig chr2, position {place} (line 3)"
            assert all(fact in err for fact in ("2 ambiguous letters", named))
            assert json.loads(Path("out.tsv.json").read_text())["read_as_n"] == [named]
        alleles = [Allele(*row) for row in rows]
        as_n = {**contigs, "chr2": bases.replace("r", "N")}
        np.testing.assert_allclose(read()[1], expected(as_n, alleles), atol=2e-5)
        words = ("variants", "v.vcf", *WORDS, "-o", "out.tsv", "--overwrite", "--ambiguous", "refuse")
        one_line(zoo, ["v.vcf", "line 6", f"position {place}", "'R'", "--ambiguous", "--skip-bad"], *words)
        status, _, err = zoo(*words, "--skip-bad")
        assert status == 0
        assert "1 alleles, 2 skipped" in err.replace("1 allele,", "1 alleles,")
        np.testing.assert_allclose(read()[1], expected(contigs, alleles[2:]), atol=2e-5)
