"""Constraints of designs: parsing of options, allowed substitutions, repair of starts."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from refusals import refuses

from zoo.design.constraints import Constraints
from zoo.design.options import DesignOptions
from zoo.dna.encoding import encode
from zoo.spec import ModelSpec

LENGTH = 30

TARGETS = ("dev", "hk")


def constraints(length: int = LENGTH, **options: Any) -> Constraints:
    return Constraints(DesignOptions(**options), ModelSpec("toy", {}, length, TARGETS, "0" * 64))


def bases(number: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (number, LENGTH), np.uint8)


def kept(one: Constraints, codes: np.ndarray, start: np.ndarray) -> bool:
    """Whether a sequence meets every constraint on its bases, checked on its text."""
    text = "".join("ACGT"[code] for code in codes)
    strong = sum(letter in "GC" for letter in text)
    return (
        not any(site in text for site in ("GAT", "ATC", "AAAA", "CCCC", "GGGG", "TTTT"))
        and one.gc[0] <= strong <= one.gc[1]
        and (codes != start).sum() <= one.distance
        and bool((codes[4:9] == start[4:9]).all())
    )


def test_allowed_substitutions_keep_every_constraint() -> None:
    one = constraints(protect=("5-9",), avoid=("GAT", "homopolymer:4"), gc="0.4-0.6", distance=3)
    generator = np.random.default_rng(0)
    seen = set()
    for start in bases(12, seed=1):
        edits = one.repair(start, generator)
        if edits is None:
            continue
        codes = start.copy()
        for position, base in edits:
            codes[position] = base
        assert kept(one, codes, start)
        allowed = one.allowed(codes[None], start[None])[0]
        for position, base in itertools.product(range(LENGTH), range(4)):
            mutant = codes.copy()
            mutant[position] = base
            expected = base != codes[position] and kept(one, mutant, start)
            assert allowed[position, base] == expected
            seen.add(bool(expected))
    assert seen == {True, False}


def test_edits_are_counted_against_the_start() -> None:
    one = constraints(distance=1)
    start = bases(1, seed=2)
    codes = start.copy()
    codes[0, 7] = (start[0, 7] + 1) % 4
    allowed = one.allowed(codes, start)[0]
    assert allowed[7].sum() == 3
    assert allowed.sum() == 3


def test_breach_is_the_distance_from_the_bounds() -> None:
    one = constraints(keep=("hk<0.5", "dev>-1", "hk>0"))
    values = np.array([[0, 0.4], [0, 0.75], [-2, 0.25], [-3, -1], [0, 0.5], [0, 0]], np.float32)
    np.testing.assert_allclose(one.breach(values), [0, 0.25, 1, 3, 0, 0], atol=3e-6)
    assert (one.breach(values) > 0).tolist() == [False, True, True, True, True, True]  # a bound itself is beyond it


@pytest.mark.parametrize("text", ["A" * LENGTH, "GC" * 15, "GATC" * 7 + "GA"])
def test_a_start_is_repaired(text: str) -> None:
    one = constraints(avoid=("GAT", "homopolymer:4"), gc="0.4-0.6")
    start = encode([text])[0]
    edits = one.repair(start, np.random.default_rng(0))
    assert edits
    codes = start.copy()
    for position, base in edits:
        assert codes[position] != base
        codes[position] = base
    assert one.faults(codes[None]).tolist() == [0]
    assert one.faults(start[None])[0] > 0


def test_a_start_that_needs_no_repair_has_none() -> None:
    assert constraints(avoid=("GAT",)).repair(encode(["ACGTC" * 6])[0], np.random.default_rng(0)) == []


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"avoid": ("AAA",), "protect": ("1-3",)}, ["protect", "AAA"]),
        ({"avoid": ("AAA",), "distance": 2}, ["AAA", "28"]),
        ({"gc": "0.5-0.6", "distance": 3}, ["15 to 18", "0"]),
    ],
)
def test_a_start_that_cannot_be_repaired_is_refused_with_the_reason(options: dict[str, Any], facts: list[str]) -> None:
    one = constraints(**options)
    start = encode(["A" * LENGTH])[0]
    assert one.repair(start, np.random.default_rng(0)) is None
    reason = one.complaint(start)
    assert not [fact for fact in facts if fact not in reason], reason


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"protect": "20-30"}, ["protect: ", "list", "text"]),
        ({"avoid": "GGG"}, ["avoid: ", "list", "text"]),
        ({"keep": "hk<1"}, ["keep: ", "list", "text"]),
        ({"protect": ("20-31",)}, ["protect: ", "1 to 30", "20-31"]),
        ({"protect": ("0-3",)}, ["protect: ", "'0-3'"]),
        ({"protect": ("9-3",)}, ["protect: ", "'9-3'"]),
        ({"protect": ("x",)}, ["protect: ", "100-120", "'x'"]),
        ({"avoid": ("N",)}, ["avoid: ", "30 bases", "N"]),
        ({"avoid": ("RY", "YR", "homopolymer:2", "AGA", "GAG")}, ["avoid: ", "30 bases", "RY,YR,"]),
        ({"avoid": ("homopolymer:1",)}, ["avoid: ", "homopolymer:6", "'homopolymer:1'"]),
        ({"avoid": ("homopolymer",)}, ["avoid: ", "homopolymer:6", "'homopolymer'"]),
        ({"avoid": ("GAAXTC",)}, ["GAAXTC", "IUPAC"]),
        ({"gc": "0.5"}, ["gc: ", "0.35-0.55", "'0.5'"]),
        ({"gc": "0.6-0.5"}, ["gc: ", "0.35-0.55", "'0.6-0.5'"]),
        ({"gc": "35-55"}, ["gc: ", "0.35-0.55", "'35-55'"]),
        ({"gc": "0.51-0.52"}, ["gc: ", "30 bases", "0.51-0.52"]),
        ({"keep": ("hk=0.5",)}, ["keep: ", "hk<0.5", "'hk=0.5'"]),
        ({"keep": ("hk<x",)}, ["keep: ", "hk<0.5", "'hk<x'"]),
        ({"keep": ("hx<1",)}, ["target", "dev, hk", "'hx'"]),
        ({"number": 0}, ["number: ", "at least 1", "got 0"]),
        ({"rounds": 0}, ["rounds: ", "at least 1", "got 0"]),
        ({"beam": 0}, ["beam: ", "at least 1", "got 0"]),
        ({"distance": -1}, ["distance: ", "0", "got -1"]),
        ({"diverse": -1}, ["diverse: ", "0", "got -1"]),
        ({"reach": float("nan")}, ["reach: ", "got nan"]),
        ({"reach": float("inf")}, ["reach: ", "got inf"]),
        ({"prefix": "a b"}, ["prefix: ", "'a b'"]),
        ({"seed": -1}, ["seed: ", "0", "got -1"]),
    ],
)  # fmt: skip
def test_bad_options_are_refused(options: dict[str, Any], facts: list[str]) -> None:
    with refuses(*facts):
        constraints(**options)


def test_the_share_of_g_and_c_counts_both_ends() -> None:
    assert constraints(gc="0.5-0.6").gc == (15, 18)
    assert constraints(gc="0-1").gc == (0, LENGTH)
