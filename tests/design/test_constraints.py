"""What designs keep to: texts of options, substitutions that are allowed, starts that are repaired or refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from zoo.design.constraints import Constraints
from zoo.design.options import DesignOptions
from zoo.dna.encoding import encode
from zoo.errors import ZooError

LENGTH = 30

TARGETS = ("dev", "hk")


def constraints(length: int = LENGTH, **options: Any) -> Constraints:
    return Constraints(DesignOptions(**options), length, TARGETS)


def bases(number: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (number, LENGTH), np.uint8)


def kept(one: Constraints, codes: np.ndarray, start: np.ndarray) -> bool:
    """What is asked of bases, one condition after the other, as words have it."""
    text = "".join("ACGT"[code] for code in codes)
    strong = sum(letter in "GC" for letter in text)
    return (
        not any(site in text for site in ("GAT", "ATC", "AAAA", "CCCC", "GGGG", "TTTT"))
        and one.gc[0] <= strong <= one.gc[1]
        and (codes != start).sum() <= one.distance
        and bool((codes[4:9] == start[4:9]).all())
    )


def test_allowed_substitutions_are_those_after_which_everything_still_holds() -> None:
    one = constraints(protect=("5-9",), avoid=("GAT", "homopolymer:4"), gc="0.4-0.6", distance=3)
    generator = np.random.default_rng(0)
    seen = set()
    for start in bases(12, seed=1):
        edits = one.repaired(start, generator)
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


def test_edits_are_counted_from_the_start_so_that_a_base_may_change_back_or_again() -> None:
    one = constraints(distance=1)
    start = bases(1, seed=2)
    codes = start.copy()
    codes[0, 7] = (start[0, 7] + 1) % 4
    allowed = one.allowed(codes, start)[0]
    assert allowed[7].sum() == 3
    assert allowed.sum() == 3


def test_breach_is_by_how_much_bounds_are_missed() -> None:
    one = constraints(keep=("hk<0.5", "dev>-1", "hk>0"))
    values = np.array([[0, 0.4], [0, 0.75], [-2, 0.25], [-3, -1], [0, 0.5], [0, 0]], np.float32)
    np.testing.assert_allclose(one.breach(values), [0, 0.25, 1, 3, 0, 0], atol=3e-6)
    assert (one.breach(values) > 0).tolist() == [False, True, True, True, True, True]  # a bound itself is beyond it


@pytest.mark.parametrize("text", ["A" * LENGTH, "GC" * 15, "GATC" * 7 + "GA"])
def test_a_start_is_repaired(text: str) -> None:
    one = constraints(avoid=("GAT", "homopolymer:4"), gc="0.4-0.6")
    start = encode([text])[0]
    edits = one.repaired(start, np.random.default_rng(0))
    assert edits
    codes = start.copy()
    for position, base in edits:
        assert codes[position] != base
        codes[position] = base
    assert one.faults(codes[None]).tolist() == [0]
    assert one.faults(start[None])[0] > 0


def test_a_start_that_needs_no_repair_has_none() -> None:
    assert constraints(avoid=("GAT",)).repaired(encode(["ACGTC" * 6])[0], np.random.default_rng(0)) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"avoid": ("AAA",), "protect": ("1-3",)}, "what is protected leaves no room to avoid AAA"),
        ({"avoid": ("AAA",), "distance": 2}, "without AAA, which it holds 28 times within the edits and positions"),
        ({"gc": "0.5-0.6", "distance": 3}, "with 15 to 18 of G and C, of which it has 0 within the edits"),
    ],
)
def test_a_start_that_cannot_be_repaired_is_told_why(options: dict[str, Any], message: str) -> None:
    one = constraints(**options)
    start = encode(["A" * LENGTH])[0]
    assert one.repaired(start, np.random.default_rng(0)) is None
    assert message in one.complaint(start)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protect": "20-30"}, "protect: expected a list of texts, got one text; put it in a list"),
        ({"avoid": "GGG"}, "avoid: expected a list of texts, got one text; put it in a list"),
        ({"keep": "hk<1"}, "keep: expected a list of texts, got one text; put it in a list"),
        ({"protect": ("20-31",)}, "protect: expected positions from 1 to 30, got 20-31"),
        ({"protect": ("0-3",)}, "protect: expected positions counted from 1, the lower first, got '0-3'"),
        ({"protect": ("9-3",)}, "the lower first, got '9-3'"),
        ({"protect": ("x",)}, "protect: expected positions counted from 1, such as 100-120, got 'x'"),
        ({"avoid": ("N",)}, "avoid: every sequence of 30 bases holds one of N; leave one out"),
        ({"avoid": ("RY", "YR", "homopolymer:2", "AGA", "GAG")}, "every sequence of 30 bases holds one of RY,YR,"),
        ({"avoid": ("homopolymer:1",)}, "avoid: expected homopolymer:N, N at least 2, such as homopolymer:6, got"),
        ({"avoid": ("homopolymer",)}, "such as homopolymer:6, got 'homopolymer'"),
        ({"avoid": ("GAAXTC",)}, "GAAXTC: expected IUPAC letters"),
        ({"gc": "0.5"}, "gc: expected two shares from 0 to 1, the lower first, such as 0.35-0.55, got '0.5'"),
        ({"gc": "0.6-0.5"}, "the lower first, such as 0.35-0.55, got '0.6-0.5'"),
        ({"gc": "35-55"}, "gc: expected two shares from 0 to 1"),
        ({"gc": "0.51-0.52"}, "gc: no number of G and C among 30 bases has a share of 0.51-0.52; widen it"),
        ({"keep": ("hk=0.5",)}, "keep: expected a target, < or > and a number, such as hk<0.5, got 'hk=0.5'"),
        ({"keep": ("hk<x",)}, "such as hk<0.5, got 'hk<x'"),
        ({"keep": ("hx<1",)}, "targets: these weights predict dev, hk, got 'hx'"),
        ({"number": 0}, "number: expected at least 1, got 0"),
        ({"rounds": 0}, "rounds: expected at least 1, got 0"),
        ({"beam": 0}, "beam: expected at least 1, got 0"),
        ({"distance": -1}, "distance: expected a number of bases from 0, got -1"),
        ({"diverse": -1}, "diverse: expected a number of bases from 0, got -1"),
        ({"reach": float("nan")}, "reach: expected a number, got nan"),
        ({"prefix": "a b"}, "prefix: expected a name without blanks, got 'a b'"),
        ({"seed": -1}, "seed: expected 0 to"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_options_is_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ZooError) as caught:
        constraints(**options)
    assert message in str(caught.value)


def test_the_share_of_g_and_c_counts_both_ends() -> None:
    assert constraints(gc="0.5-0.6").gc == (15, 18)
    assert constraints(gc="0-1").gc == (0, LENGTH)
