"""Patterns that TF-MoDISco (Shrikumar et al. 2018, arXiv:1811.00416) finds in contributions, and similar known motifs.

modisco-lite, and memelite that comes with it, are imported when they are used; the extra `motifs` installs them.
Axes: N sequences, L positions, 4 bases, W positions of a pattern.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.motifs.options import MotifOptions
from zoo.spec import ALPHABET

FALSE_DISCOVERY_RATE = 0.05
"""False discovery rate of seqlets, the default of the command of modisco-lite."""

LEAST_SEQLETS = 100
"""TF-MoDISco searches for patterns among more than this many seqlets of one sign (its `min_metacluster_size`)."""

TRIMMED_TO = 0.3
"""The core of a pattern reaches from its first to its last position with this share of the largest contribution, as in
the report of modisco-lite."""

FLANK = 2
"""Positions on each side of a core that a logo shows."""

CAPITAL, SMALL = 0.7, 0.4
"""Least frequencies of a capital and of a small letter in a consensus; below both it has N."""

SIGNS = {"pos_patterns": 1, "neg_patterns": -1}
"""Groups of modisco-lite's files -> the sign of their contributions."""

FEW_MOTIFS = 25
"""With fewer known motifs, p-values are rough: TOMTOM estimates the scores of chance matches from the motifs."""


@dataclasses.dataclass(frozen=True)
class Seqlet:
    """Positions [start, end) of sequence number `sequence`, part of a pattern. contribution: the sum of its bases."""

    sequence: int
    start: int
    end: int
    strand: str
    contribution: float


@dataclasses.dataclass(frozen=True)
class Match:
    """The known motif that a pattern is most like.

    p_value: probability that a random motif aligns as well.  similarity: correlation of frequencies, see `similarity`.
    """

    name: str
    p_value: float
    similarity: float


@dataclasses.dataclass(frozen=True)
class Pattern:
    """name: as in the files of modisco-lite.  frequencies, contributions: means over seqlets, float64 (W, 4)."""

    name: str
    frequencies: np.ndarray
    contributions: np.ndarray
    seqlets: tuple[Seqlet, ...]
    match: Match | None = None

    @property
    def core(self) -> slice:
        """The positions that matter, see TRIMMED_TO."""
        sizes = np.abs(self.contributions).sum(1)
        large = np.flatnonzero(sizes >= sizes.max() * TRIMMED_TO)
        return slice(int(large[0]), int(large[-1]) + 1)

    @property
    def core_frequencies(self) -> np.ndarray:
        return self.frequencies[self.core]

    @property
    def logo(self) -> np.ndarray:
        """Contributions that a logo shows: those of the core and of FLANK positions on each side."""
        return self.contributions[max(0, self.core.start - FLANK) : self.core.stop + FLANK]

    @property
    def consensus(self) -> str:
        """Consensus of the core, see CAPITAL and SMALL."""
        letters = []
        for row in self.core_frequencies:
            letter, share = ALPHABET[int(row.argmax())], row.max()
            letters.append(letter if share >= CAPITAL else letter.lower() if share >= SMALL else "N")
        return "".join(letters)


def find(
    one_hot: np.ndarray, hypothetical: np.ndarray, options: MotifOptions, path: Path, numbers: np.ndarray
) -> list[Pattern]:
    """Return the patterns in one-hot bases and hypothetical contributions, both (N, 4, L), L even: positive patterns
    first, each sign by its number of seqlets. Also write them to an HDF5 file at `path`, in the layout of modisco-lite.

    numbers: int (N,), the number of each sequence, which its seqlets get.
    The sequences are shuffled, since TF-MoDISco takes seqlets in their order until there are enough.
    Raises ZooError if the seqlets are too few for a pattern.
    """
    from modiscolite import tfmodisco
    from modiscolite.io import save_hdf5

    offset, window = _window(one_hot.shape[2], options.window)
    seqlet = options.size + 2 * options.flank
    if window <= seqlet:
        raise ZooError(f"expected more than the {seqlet} bases of a seqlet, got {window}; lower --size and --flank")
    order = np.random.default_rng(options.seed).permutation(len(one_hot))
    numbers = numbers[order]
    shuffled, scores = (
        np.ascontiguousarray(array[order][:, :, offset : offset + window].transpose(0, 2, 1), np.float32)
        for array in (one_hot, hypothetical)
    )
    groups = tfmodisco.TFMoDISco(
        one_hot=shuffled,
        hypothetical_contribs=scores,
        sliding_window_size=options.size,
        flank_size=options.flank,
        trim_to_window_size=options.trim,
        initial_flank_to_add=options.initial_flank,
        max_seqlets_per_metacluster=options.seqlets,
        n_leiden_runs=options.leiden,
        target_seqlet_fdr=FALSE_DISCOVERY_RATE,
    )
    patterns = [
        _pattern(f"{group}.pattern_{number}", one, numbers, offset)
        for group, ones in zip(SIGNS, groups, strict=True)
        for number, one in enumerate(ones or [])
    ]
    if not patterns:
        raise ZooError(
            f"{len(shuffled):,} sequences gave {_count_seqlets(shuffled * scores, options):,} seqlets and no pattern; "
            f"expected more than {LEAST_SEQLETS} seqlets of one sign: explain more sequences, preferably those with a "
            "high prediction"
        )
    save_hdf5(path, *groups, window)
    _restore_numbers(path, numbers)
    return patterns


def _window(length: int, window: int | None) -> tuple[int, int]:
    """Return the first position and the length of the window. Raises ZooError if it is longer than the sequences."""
    if window is None:
        return 0, length
    if window > length:
        raise ZooError(f"window: expected at most {length} bases, got {window}")
    window -= window % 2  # the commands of modisco-lite count from the middle, and fail on an odd window
    return (length - window) // 2, window


def _pattern(name: str, pattern: Any, numbers: np.ndarray, offset: int) -> Pattern:
    """Convert a pattern of modisco-lite."""
    seqlets = tuple(
        Seqlet(
            int(numbers[one.example_idx]),
            int(one.start) + offset,
            int(one.end) + offset,
            "-" if one.is_revcomp else "+",
            float(one.contrib_scores.sum()),
        )
        for one in pattern.seqlets
    )
    return Pattern(name, np.array(pattern.sequence, np.float64), np.array(pattern.contrib_scores, np.float64), seqlets)


def _restore_numbers(path: Path, numbers: np.ndarray) -> None:
    """Replace the numbers of shuffled sequences in a file of modisco-lite by those of the input."""
    import h5py

    def restore(name: str, item: Any) -> None:
        if name.endswith("/example_idx"):
            item[...] = numbers[item[...]]

    with h5py.File(path, "r+") as file:
        file.visititems(restore)


def _count_seqlets(contributions: np.ndarray, options: MotifOptions) -> int:
    """Count the seqlets that TF-MoDISco takes from contributions, float32 (N, L, 4)."""
    from modiscolite.extract_seqlets import extract_seqlets

    seqlets, _ = extract_seqlets(
        contributions.sum(2),
        window_size=options.size,
        flank=options.flank,
        suppress=options.size // 2 + options.flank,
        target_fdr=FALSE_DISCOVERY_RATE,
        min_passing_windows_frac=0.03,
        max_passing_windows_frac=0.2,
        weak_threshold_for_counting_sign=0.8,
    )
    return len(seqlets)


def hits(patterns: Sequence[Pattern]) -> Iterator[tuple[Seqlet, Pattern]]:
    """All seqlets with their patterns, by sequence and position."""
    pairs = ((seqlet, pattern) for pattern in patterns for seqlet in pattern.seqlets)
    return iter(sorted(pairs, key=lambda pair: (pair[0].sequence, pair[0].start, pair[1].name)))


def with_matches(patterns: Sequence[Pattern], known: Mapping[str, np.ndarray]) -> list[Pattern]:
    """Add to each pattern the known motif that it is most like by TOMTOM (Gupta et al. 2007,
    doi:10.1186/gb-2007-8-2-r24). known: name -> frequencies, float64 (W, 4)."""
    from memelite import tomtom

    names = list(known)
    cores = [one.core_frequencies for one in patterns]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # memelite warns of few motifs; so does motifs.findings
        p_values = np.asarray(tomtom([core.T for core in cores], [known[name].T for name in names])[0])
    matched = []
    for pattern, core, row in zip(patterns, cores, p_values, strict=True):
        likeliest = np.flatnonzero(row == row.min())
        similarities = [similarity(core, known[names[number]]) for number in likeliest]
        best = int(np.argmax(similarities))
        match = Match(names[likeliest[best]], float(row.min()), similarities[best])
        matched.append(dataclasses.replace(pattern, match=match))
    return matched


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation of frequencies, float64 (W, 4), of the shorter motif and a part of the longer: the highest of
    all positions and both strands. 0 for a motif without information."""
    short, long = sorted((first, second), key=len)
    # the frequencies of a position sum to 1, so their mean is a quarter
    values = short.ravel() - 1 / 4
    correlations = []
    for strand in (long, long[::-1, ::-1]):
        for start in range(len(long) - len(short) + 1):
            part = strand[start : start + len(short)].ravel() - 1 / 4
            size = float(np.linalg.norm(values) * np.linalg.norm(part))
            correlations.append(float(values @ part) / size if size else 0.0)
    return max(correlations)
