"""Patterns of TF-MoDISco (Shrikumar et al. 2018, arXiv:1811.00416), found by modisco-lite in contributions of bases.

modisco-lite is imported when patterns are looked for; the extra `motifs` brings it. Axes: N sequences, L positions, 4
bases, W positions of a pattern.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import MissingDependency, ZooError
from zoo.explain.options import MotifOptions
from zoo.spec import ALPHABET

FALSE_DISCOVERY_RATE = 0.05
"""Of seqlets, as the command of modisco-lite has it."""

LEAST_SEQLETS = 100
"""Of one sign; with fewer, TF-MoDISco does not look for patterns (its `min_metacluster_size`)."""

TRIMMED_TO = 0.3
"""A pattern is shown and named from its first to its last position with this share of the largest contribution, as the
report of modisco-lite does."""

FLANK = 2
"""Positions on either side of a core that a logo shows."""

CERTAIN, LIKELY = 0.7, 0.4
"""Frequencies from which on a consensus has a capital, or a small letter; else N."""

SIGNS = {"pos_patterns": 1, "neg_patterns": -1}
"""Groups of modisco-lite's files -> the sign of their contributions."""


@dataclasses.dataclass(frozen=True)
class Seqlet:
    """A place that a pattern was made of: [start, end) of sequence number `sequence`. contribution: the sum."""

    sequence: int
    start: int
    end: int
    strand: str
    contribution: float


@dataclasses.dataclass(frozen=True)
class Pattern:
    """name: as modisco-lite's files have it.  frequencies, contributions: means over seqlets, float64 (W, 4)."""

    name: str
    frequencies: np.ndarray
    contributions: np.ndarray
    seqlets: tuple[Seqlet, ...]

    @property
    def core(self) -> slice:
        """The positions that matter, see TRIMMED_TO."""
        sizes = np.abs(self.contributions).sum(1)
        found = np.flatnonzero(sizes >= sizes.max() * TRIMMED_TO)
        return slice(int(found[0]), int(found[-1]) + 1)

    @property
    def shown(self) -> slice:
        """What a logo shows: the core and FLANK positions on either side."""
        return slice(max(0, self.core.start - FLANK), self.core.stop + FLANK)

    @property
    def consensus(self) -> str:
        """Of the core: capitals from CERTAIN on, small letters from LIKELY on, else N."""
        letters = []
        for row in self.frequencies[self.core]:
            letter, share = ALPHABET[int(row.argmax())], row.max()
            letters.append(letter if share >= CERTAIN else letter.lower() if share >= LIKELY else "N")
        return "".join(letters)


def require() -> None:
    """Raise MissingDependency without modisco-lite."""
    if importlib.util.find_spec("modiscolite") is None:
        raise MissingDependency("zoo motifs: needs modisco-lite; pip install 'deepstarr-zoo[motifs]' brings it")


def find(
    one_hot: np.ndarray, hypothetical: np.ndarray, options: MotifOptions, path: Path, numbers: np.ndarray
) -> list[Pattern]:
    """Patterns in (N, 4, L) both, L even; those that contribute first, and each sign by the number of seqlets.

    path: HDF5 file to write them to, as modisco-lite does.  numbers: of the sequences, int (N,), for their seqlets.
    Sequences are shuffled first, since seqlets are taken in their order until there are enough.
    Raises ZooError if there are too few seqlets for a pattern.
    """
    from modiscolite import tfmodisco
    from modiscolite.io import save_hdf5

    offset, window = _window(one_hot.shape[2], options.window)
    part = slice(offset, offset + window)
    order = np.random.default_rng(options.seed).permutation(len(one_hot))
    numbers = numbers[order]
    ordered, scores = (
        np.ascontiguousarray(array[order][:, :, part].transpose(0, 2, 1), np.float32)
        for array in (one_hot, hypothetical)
    )
    seqlet = options.size + 2 * options.flank
    if window <= seqlet:
        raise ZooError(f"expected more than the {seqlet} bases of a seqlet, got {window}; lower --size and --flank")
    found = tfmodisco.TFMoDISco(
        one_hot=ordered,
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
        for group, ones in zip(SIGNS, found, strict=True)
        for number, one in enumerate(ones or [])
    ]
    if not patterns:
        raise ZooError(_too_few(ordered, scores, options))
    save_hdf5(path, *found, window)
    _number(path, numbers)
    return patterns


def _window(length: int, window: int | None) -> tuple[int, int]:
    """Where the window in the middle begins, and how long it is. Raises ZooError for one that is too long."""
    if window is None:
        return 0, length
    if window > length:
        raise ZooError(f"window: expected at most {length} bases, got {window}")
    window -= window % 2  # the commands of modisco-lite count from the middle, and fail on an odd window
    return (length - window) // 2, window


def _pattern(name: str, found: Any, numbers: np.ndarray, offset: int) -> Pattern:
    seqlets = tuple(
        Seqlet(
            int(numbers[one.example_idx]),
            int(one.start) + offset,
            int(one.end) + offset,
            "-" if one.is_revcomp else "+",
            float(one.contrib_scores.sum()),
        )
        for one in found.seqlets
    )
    return Pattern(name, np.array(found.sequence, np.float64), np.array(found.contrib_scores, np.float64), seqlets)


def _number(path: Path, numbers: np.ndarray) -> None:
    """Have modisco-lite's file count sequences as they were counted before they were shuffled."""
    import h5py

    with h5py.File(path, "r+") as file:

        def restore(name: str, item: Any) -> None:
            if name.endswith("/example_idx"):
                item[...] = numbers[item[...]]

        file.visititems(restore)


def _too_few(one_hot: np.ndarray, hypothetical: np.ndarray, options: MotifOptions) -> str:
    from modiscolite.extract_seqlets import extract_seqlets

    seqlets, _ = extract_seqlets(
        (one_hot * hypothetical).sum(2),
        window_size=options.size,
        flank=options.flank,
        suppress=options.size // 2 + options.flank,
        target_fdr=FALSE_DISCOVERY_RATE,
        min_passing_windows_frac=0.03,
        max_passing_windows_frac=0.2,
        weak_threshold_for_counting_sign=0.8,
    )
    return (
        f"{len(one_hot):,} sequences gave {len(seqlets):,} seqlets and no pattern; expected more than {LEAST_SEQLETS} "
        "that contribute in one direction: explain more sequences, best those that are predicted to be active"
    )


def hits(patterns: Sequence[Pattern]) -> Iterator[tuple[Seqlet, Pattern]]:
    """All seqlets with their patterns, by sequence and position."""
    every = ((seqlet, pattern) for pattern in patterns for seqlet in pattern.seqlets)
    return iter(sorted(every, key=lambda hit: (hit[0].sequence, hit[0].start, hit[1].name)))
