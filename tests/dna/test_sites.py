"""Sites and runs: what occurs, what a substitution would make occur, and what can be avoided, against enumerations."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from refusals import refuses

from zoo.dna import sites
from zoo.dna.encoding import encode

EXPRESSIONS = {letter: f"[{bases}]" for letter, bases in sites.IUPAC.items()}

SITES = ["GAATTC", "GGWCC", "AY", "NGRN", "CACNNNGTG"]


def random_texts(number: int, length: int, seed: int = 1) -> list[str]:
    letters = np.array(list("ACGT"))
    return ["".join(row) for row in letters[np.random.default_rng(seed).integers(0, 4, (number, length))]]


def counted(text: str, site: str) -> int:
    """Occurrences by a regular expression that sees those that overlap."""
    return len(re.findall(f"(?={''.join(EXPRESSIONS[letter] for letter in site)})", text))


@pytest.mark.parametrize("site", SITES)
def test_occurrences_are_those_of_a_regular_expression(site: str) -> None:
    texts = [*random_texts(50, 40), "A" * 20 + "GAATTC" + "CACGGGGTG" + "N" * 5]
    found = sites.occurrences(encode(texts), [sites.pattern(site)])
    assert found.tolist() == [counted(text, site) for text in texts]
    assert found.sum() > 0


def test_the_other_strand_has_the_reverse_complement_and_a_palindrome_counts_once() -> None:
    assert len(sites.on_both_strands([sites.pattern("GAATTC")])) == 1
    there, back = sites.on_both_strands([sites.pattern("GGTCTCN")])
    assert sites.occurrences(encode(["AANGAGACCTT", "AAAGAGACCTT"]), [back]).tolist() == [0, 1]
    assert sites.occurrences(encode(["AAAGAGACCTT"]), [there]).tolist() == [0]
    assert len(sites.on_both_strands(sites.runs(6))) == 4


def test_covered_positions_are_those_of_occurrences() -> None:
    covered = sites.covered(encode(["TTGAATTCGAATTCTTT"]), [sites.pattern("GAATTC")])
    assert "".join(".x"[int(one)] for one in covered[0]) == "..xxxxxxxxxxxx..."


@pytest.mark.parametrize("given", [["GAATTC"], ["AYA", "GC"], ["TTT"], ["CACNNNGTG", "RGY"]])
def test_completing_substitutions_are_those_after_which_a_pattern_occurs(given: list[str]) -> None:
    patterns = sites.on_both_strands(map(sites.pattern, given))
    codes = encode(random_texts(60, 17, seed=3))
    codes = codes[sites.occurrences(codes, patterns) == 0]
    assert len(codes) > 3
    found = sites.completing(codes, patterns)
    for row, position, base in itertools.product(range(len(codes)), range(17), range(4)):
        mutant = codes[row : row + 1].copy()
        mutant[0, position] = base
        assert found[row, position, base] == (sites.occurrences(mutant, patterns)[0] > 0)


def test_a_pattern_longer_than_the_sequence_occurs_nowhere() -> None:
    codes, patterns = encode(["ACGT"]), [sites.pattern("ACGTA")]
    assert sites.occurrences(codes, patterns).tolist() == [0]
    assert not sites.completing(codes, patterns).any()
    assert not sites.covered(codes, patterns).any()


@pytest.mark.parametrize(
    "given",
    [["N"], ["A", "C"], ["S", "W"], ["RR", "YY", "RY"], ["AA", "CC", "NG", "GN", "ACA"], ["RY", "YR"], ["NNNNN"]],
)
def test_avoidable_is_what_an_enumeration_says(given: list[str]) -> None:
    patterns = sites.on_both_strands(map(sites.pattern, given))
    for length in range(1, 7):
        every = np.array(list(itertools.product(range(4), repeat=length)), np.uint8)
        clean = every[sites.occurrences(every, patterns) == 0]
        assert sites.avoidable(patterns, np.full(length, 4, np.uint8)) == (len(clean) > 0)
        fixed = np.full(length, 4, np.uint8)
        fixed[length // 2 :] = 2
        assert sites.avoidable(patterns, fixed) == bool((clean[:, length // 2 :] == 2).all(1).any())


def test_a_long_sequence_is_decided_too() -> None:
    free = np.full(249, 4, np.uint8)
    patterns = sites.on_both_strands([*map(sites.pattern, SITES[:2]), *sites.runs(3)])
    assert sites.avoidable(patterns, free)
    assert not sites.avoidable([sites.pattern("NNNNNNNNNN")], free)


@pytest.mark.parametrize(("text", "letter"), [("GAAXTC", "X"), ("GA-TC", "-")])
def test_another_letter_is_refused(text: str, letter: str) -> None:
    with refuses(text, "ACGTRYSWKMBDHVN", repr(letter)):
        sites.pattern(text)
