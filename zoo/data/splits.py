"""Keys that identify sequences, and the division of sequences into train, validation and test.

A sequence and its reverse complement have the same key, so both strands are always on the same side. Arrays only; knows
no file. Axes: N sequences, L positions.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from zoo.dna.encoding import COMPLEMENT
from zoo.errors import ZooError, did_you_mean, nearest_first

SIDES = ("train", "validation", "test")
"""The sides of a division; a side array, uint8 (N,), holds indices into it. Train comes before the held-out sides."""

SPELLINGS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""Lower-case word in a split column or on the command line -> side."""

ROWS_AT_ONCE = 4096

_LOCUS = re.compile(r"(?<=.)[_:](?=(\d+)[_-](\d+)(?:\D|$))")
"""What stands before the locus of chrom_start_end..., as in the published names, or chrom:start-end."""

_UCSC = re.compile(r"chr[0-9A-Z]")
"""Names of UCSC, no part of which is a number: the first two numbers are the locus."""


def side(word: str) -> str:
    """One of SIDES, from any of its spellings in upper or lower case. Raises ZooError for another word."""
    known = SPELLINGS.get(word.strip().lower())
    if known is None:
        names = ", ".join(nearest_first(word, SPELLINGS))
        raise ZooError(f"expected a split, one of {names}, got {word!r}{did_you_mean(word, SPELLINGS)}")
    return known


def keys(codes: np.ndarray) -> np.ndarray:
    """Base codes, uint8 (N, L) -> uint64 (N,): equal for a sequence and its reverse complement, and on any machine.

    The smaller of the multilinear hashes (Carter and Wegman, 1979) of the two strands. Two different sequences have the
    same key with a probability of about 2**-62, any two of 500,000 with 10**-7.
    """
    length = codes.shape[1]
    factors = np.frombuffer(hashlib.shake_256(b"deepstarr-zoo sequence key").digest(8 * length), "<u8")
    found = np.empty(len(codes), np.uint64)
    for start in range(0, len(codes), ROWS_AT_ONCE):
        part = codes[start : start + ROWS_AT_ONCE]
        forward = part.astype(np.uint64) @ factors
        # the other strand, read 5' to 3', has the factors in reverse order
        backward = COMPLEMENT[part].astype(np.uint64) @ factors[::-1]
        found[start : start + ROWS_AT_ONCE] = np.minimum(forward, backward)
    return found


def by_fraction(sequence_keys: np.ndarray, validation: float, test: float, seed: int) -> np.ndarray:
    """Keys, uint64 (N,) -> sides, uint8 (N,): about these fractions of the sequences are held out.

    Only the sequence and the seed decide: a sequence stays on its side when rows are added, removed or reordered.
    """
    position = _positions(sequence_keys, seed)
    sides = np.zeros(len(sequence_keys), np.uint8)
    sides[position < validation + test] = SIDES.index("validation")
    sides[position < test] = SIDES.index("test")
    return sides


def by_chromosome(
    sequence_keys: np.ndarray, chromosomes: Sequence[str], validation: Sequence[str], test: Sequence[str]
) -> tuple[np.ndarray, int]:
    """Sides, uint8 (N,), by chromosome, and the number of sequences that changed sides because they are on several.

    A sequence that is also on a held-out chromosome goes to that side with all its copies, test before validation, so
    no tested sequence was trained on. Raises ZooError if a held-out chromosome is not among `chromosomes`.
    """
    given = np.asarray(chromosomes)
    present = np.unique(given)
    for name in (*validation, *test):
        if name not in present:
            raise ZooError(f"no sequence is on the chromosome {name!r}; known chromosomes: {', '.join(present[:30])}")
    sides = np.zeros(len(given), np.uint8)
    sides[np.isin(given, validation)] = SIDES.index("validation")
    sides[np.isin(given, test)] = SIDES.index("test")
    return _with_copies(sides, sequence_keys)


def by_fold(sequence_keys: np.ndarray, folds: np.ndarray, fold: int, number: int) -> tuple[np.ndarray, int]:
    """Folds of the rows, int (N,), 0 to number - 1 -> sides, uint8 (N,), that hold out `fold` as the test and the next
    one as the validation, and the number of sequences that changed sides because they are in several folds, see
    `by_chromosome`."""
    sides = np.zeros(len(folds), np.uint8)
    sides[folds == (fold + 1) % number] = SIDES.index("validation")
    sides[folds == fold] = SIDES.index("test")
    return _with_copies(sides, sequence_keys)


def folds_of_keys(sequence_keys: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Keys, uint64 (N,) -> fold of each, int (N,), 0 to number - 1, of about as many sequences each; only the sequence
    and the seed decide."""
    return (_positions(sequence_keys, seed) * number).astype(np.int64)


def groups(chromosomes: Sequence[str], folds: Sequence[str]) -> list[tuple[str, ...]]:
    """The chromosomes of each fold, from those of the rows.

    folds: a number, or the chromosomes of each fold, joined by "+". A number makes folds of about as many rows: from
    the largest chromosome to the smallest, each joins the fold that has the fewest rows so far.
    Raises ZooError if there are fewer chromosomes than folds, or if not every chromosome is in one of the given folds.
    """
    counts = Counter(chromosomes)
    known = ", ".join(f"{name} ({count:,})" for name, count in counts.most_common(30))
    if len(folds) == 1:
        number = int(folds[0])
        if len(counts) < number:
            raise ZooError(
                f"{number} folds need as many chromosomes, got {known}; give fewer folds, or --split-by fraction for "
                "folds of single sequences"
            )
        found: list[list[str]] = [[] for _ in range(number)]
        for name, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
            min(found, key=lambda group: sum(counts[other] for other in group)).append(name)
        return [tuple(group) for group in found]
    given = [tuple(text.split("+")) for text in folds]
    named = Counter(name for group in given for name in group)
    for name in (*named, *counts):
        if named[name] != 1 or not counts[name]:
            problem = "is in no row" if not counts[name] else "is in no fold" if not named[name] else "is in two folds"
            raise ZooError(f"--folds: the chromosome {name!r} {problem}; chromosomes of the data: {known}")
    return given


def _with_copies(sides: np.ndarray, sequence_keys: np.ndarray) -> tuple[np.ndarray, int]:
    """Sides with all copies of a held-out sequence held out, and how many that changes."""
    before = sides.copy()
    for name in ("validation", "test"):
        number = SIDES.index(name)
        sides[np.isin(sequence_keys, sequence_keys[before == number])] = number
    return sides, int((sides != before).sum())


def chromosome(name: str) -> str | None:
    """ "chr2L_5750_5998_+_positive_peaks" or "chr2L:5750-5998" -> "chr2L"; None if the name has no locus.

    Of more numbers in a row, the last two that rise are the locus: "scaffold_12_100_349_+" -> "scaffold_12".
    """
    locus = fallback = None
    for found in _LOCUS.finditer(name):
        fallback = fallback or found
        if locus and found.start(1) != locus.start(2):
            break
        if int(found[1]) <= int(found[2]):
            locus = found
            if _UCSC.match(name):
                break
    locus = locus or fallback
    return locus and name[: locus.start()]


def shared(side_keys: Mapping[str, np.ndarray]) -> dict[tuple[str, str], np.ndarray]:
    """Side -> keys, in the order of SIDES, to (later side, earlier side) -> indices of the later side's records whose
    sequence, or reverse complement, is also on the earlier side. Pairs that share nothing are omitted.
    """
    found = {}
    names = list(side_keys)
    for number, later in enumerate(names):
        for earlier in names[:number]:
            records = np.flatnonzero(np.isin(side_keys[later], side_keys[earlier]))
            if len(records):
                found[later, earlier] = records
    return found


def _positions(sequence_keys: np.ndarray, seed: int) -> np.ndarray:
    """Keys, uint64 (N,) -> evenly distributed numbers, float64 (N,), at least 0 and below 1."""
    return (_mix(sequence_keys ^ _mix(np.array([seed], np.uint64))) >> np.uint64(11)) * 2.0**-53


def _mix(numbers: np.ndarray) -> np.ndarray:
    """The output function of SplitMix64 (Steele, Lea and Flood, 2014): every bit depends on every bit."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
