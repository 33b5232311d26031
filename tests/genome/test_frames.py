"""zoo.predict_intervals and zoo.variant_effects: the tables of the commands, as DataFrames."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import genomes
import numpy as np
import pytest
from alleles import WORDS
from command_line import RUNTIME, Zoo
from refusals import refuses

import zoo as package
from zoo.errors import ZooWarning

pandas = pytest.importorskip("pandas")
pytest.importorskip("pysam", reason="pysam is not installed; the extra genome brings it")

LOADED: dict[str, Any] = {"weights": "w.safetensors", "runtime": RUNTIME[1]}


def read(text: str) -> Any:
    return pandas.read_csv(io.StringIO(text), sep="\t")


def same(found: Any, table: Any) -> None:
    assert list(found) == list(table)
    for name in table:
        if table[name].dtype.kind == "f":
            np.testing.assert_allclose(found[name], table[name], atol=2e-5)
        else:
            assert found[name].tolist() == table[name].tolist(), name


@pytest.mark.filterwarnings("ignore::zoo.errors.ZooWarning")
@pytest.mark.parametrize("summary", ["center", "max", "mean"])
def test_intervals_are_those_of_the_command(zoo: Zoo, contigs: dict[str, str], summary: str) -> None:  # noqa: ARG001
    rows = [("chr2", 100, 300, "a", 0, "-"), ("chr10", 5, 20, "b", 0, "."), ("chr2", 0, 900, "c", 0, "+")]
    Path("p.bed").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    words = ("predict", "--bed", "p.bed", *WORDS, "--summary", summary)
    table = read(zoo(*words)[1])
    for given in ("p.bed", Path("p.bed"), rows):
        same(package.predict_intervals(given, "g.fa", summary=summary, **LOADED), table)
    model = package.load(**LOADED)
    found = package.predict_intervals(["chr2:101-300", "chr10:6-20", "chr2"], "g.fa", model, summary="mean")
    assert found["end"].tolist() == [300, 20, 900]


def test_what_the_command_notes_is_a_warning(contigs: dict[str, str]) -> None:
    contigs["chr2"] = f"{contigs['chr2'][:110]}Y{contigs['chr2'][111:]}"
    genomes.write(Path("g.fa"), contigs)
    rows = [("chr2", 100, 300), ("chr9", 1, 5)]
    with refuses("intervals[1]", "chr9"):
        package.predict_intervals(rows, "g.fa", **LOADED)
    with pytest.warns(ZooWarning) as caught:
        found = package.predict_intervals(rows, "g.fa", skip_bad=True, summary="max", **LOADED)
    assert len(found) == 1
    messages = [str(one.message) for one in caught]
    assert [message.split(":")[0] for message in messages] == [
        "1 interval skipped", "1 letter of the genome read as N",
    ]  # fmt: skip
    with refuses("position 111", "'Y'"):
        package.predict_intervals(["chr2:1-200"], "g.fa", ambiguous="refuse", summary="max", **LOADED)
    with refuses("summary", "center", "'middle'"):
        package.predict_intervals(rows, "g.fa", summary="middle", **LOADED)
    with refuses("intervals", "empty"):
        package.predict_intervals([], "g.fa", **LOADED)


@pytest.mark.filterwarnings("error")
def test_effects_are_those_of_the_command(zoo: Zoo, contigs: dict[str, str]) -> None:  # noqa: ARG001
    assert zoo("variants", "v.vcf", *WORDS, "-o", "out.tsv", "--shifts", "-5,5")[0] == 0
    table = read(Path("out.tsv").read_text())
    same(package.variant_effects("v.vcf", "g.fa", shifts=(-5, 5), **LOADED), table)
    rows = list(table[["chrom", "pos", "ref", "alt", "id"]].itertuples(index=False, name=None))
    same(package.variant_effects(rows, "g.fa", shifts=(-5, 5), **LOADED), table)


def test_variants_that_are_left_out_are_a_warning(contigs: dict[str, str]) -> None:
    base = contigs["chr2"][99].upper()
    other = "A" if base != "A" else "C"
    rows = [("chr2", 100, base, other), ("chr2", "x", "A", "C"), ("chr2", 100, other, base)]
    with refuses("variants[1]", "'x'"):
        package.variant_effects(rows, "g.fa", **LOADED)
    with pytest.warns(ZooWarning, match="another REF"):
        found = package.variant_effects([rows[0], rows[2]], "g.fa", **LOADED)
    assert found["status"].tolist() == ["scored", "ref_mismatch"]
    assert found["delta_a"].isna().tolist() == [False, True]
    with pytest.warns(ZooWarning, match="2 variants left out"):
        found = package.variant_effects(rows, "g.fa", skip_bad=True, **LOADED)
    assert found["status"].tolist() == ["scored"]
    for bad, facts in (([], ["none"]), ([("chr2", 5)], ["variants[0]", "chrom"]), ("none.vcf", ["none.vcf"])):
        with refuses(*facts):
            package.variant_effects(bad, "g.fa", **LOADED)
