"""One number for each target from all windows of an interval that is longer than the model: the maximum or the mean.

Windows with more than half Ns are left out unless the interval has no other. A window on the reverse strand covers the
same bases as on the other. For an ensemble, the mean over windows is that of each member. The maximum is that of the
mean over the members; the numbers are those of each member in that window. Axes: W windows, M members, T targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from zoo.dna import windows
from zoo.dna.encoding import reverse_complement
from zoo.dna.windows import before_centre, unknown_bases
from zoo.genome.options import SummaryOptions
from zoo.prediction.model import Model
from zoo.prediction.session import runtimes_with
from zoo.weights import spread

BLOCK_BASES = 1 << 18
"""Bases whose windows are predicted together, so that memory does not grow with an interval."""


class Piece(NamedTuple):
    """An interval to summarize.

    codes: all its bases on the forward strand, uint8 (B,); or one window on its own strand.
    start: position of the first base.  strand: "-" for the reverse one.  centre: that of the one window.
    kept: bool (W,), which of all its windows count; None for one window.
    """

    codes: np.ndarray
    start: int
    strand: str
    centre: int
    kept: np.ndarray | None = None


def kept_windows(codes: np.ndarray, length: int, stride: int) -> tuple[np.ndarray, bool]:
    """Which windows of an interval count, bool (W,), and whether it has only windows with more than half Ns."""
    kept = unknown_bases(codes, length, stride) * 2 <= length
    unknown = not kept.any()
    return (kept | unknown), unknown


def summarized(
    model: Model, pieces: Sequence[Piece], options: SummaryOptions, used: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of all members, float32 (N, M * T), and the centres of the windows with the maxima, int64 (N, T); the
    first of equal ones. used: which members predict each piece, bool (N, M); by default all."""
    if used is None:
        return _summarized(model, pieces, options, None)
    values = np.empty((len(pieces), model.spec.numbers), np.float32)
    places = np.empty((len(pieces), len(model.spec.targets)), np.int64)
    for members in np.unique(used, axis=0):
        rows = np.flatnonzero((used == members).all(1)).tolist()
        values[rows], places[rows] = _summarized(model, [pieces[row] for row in rows], options, members)
    return values, places


def _summarized(
    model: Model, pieces: Sequence[Piece], options: SummaryOptions, used: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The same where bool (M,) says which members predict all pieces."""
    spec = model.spec
    values = np.empty((len(pieces), spec.numbers), np.float32)
    places = np.empty((len(pieces), len(spec.targets)), np.int64)
    single = [row for row, piece in enumerate(pieces) if piece.kept is None]
    if single:
        of_each = None if used is None else np.broadcast_to(used, (len(single), len(used)))
        values[single] = model.each.predict(np.stack([pieces[row].codes for row in single]), of_each)
        places[single] = np.array([pieces[row].centre for row in single])[:, None]
    best, total = np.full(places.shape, -np.inf, np.float32), np.zeros(values.shape)
    for blocks in _together(_blocks(pieces, spec.sequence_length, options.stride)):
        found = _predicted(model, [block.codes for block in blocks], options.stride, used)
        for (row, first, _), ones in zip(blocks, found, strict=True):
            piece = pieces[row]
            ones = ones[::-1] if piece.strand == "-" else ones
            kept = piece.kept[first : first + len(ones)] if piece.kept is not None else np.ones(0, bool)
            total[row] += ones[kept].sum(axis=0, dtype=np.float64)
            means = np.where(kept[:, None], spread.mean(ones, spec, used), -np.inf)
            at, highest = means.argmax(axis=0), means.max(axis=0)
            centres = piece.start + (first + at) * options.stride + before_centre(spec.sequence_length)
            higher = highest > best[row]
            places[row] = np.where(higher, centres, places[row])
            best[row] = np.maximum(best[row], highest)
            if options.summary == "max":
                there = spread.by_member(ones, spec)[:, at, np.arange(len(at))]
                values[row] = np.where(higher, there, spread.by_member(values[row], spec)).reshape(-1)
    for row, piece in enumerate(pieces):
        if piece.kept is not None and options.summary == "mean":
            values[row] = total[row] / piece.kept.sum()
    return values, places


class _Block(NamedTuple):
    """Consecutive windows of a piece: its number, the first window, and their bases on the strand of the piece."""

    row: int
    first: int
    codes: np.ndarray


def _blocks(pieces: Sequence[Piece], length: int, stride: int) -> Iterator[_Block]:
    step = max(1, BLOCK_BASES // stride)
    for row, piece in enumerate(pieces):
        for first in range(0, 0 if piece.kept is None else len(piece.kept), step):
            count = min(step, windows.count(len(piece.codes), length, stride) - first)
            codes = piece.codes[first * stride : (first + count - 1) * stride + length]
            yield _Block(row, first, reverse_complement(codes) if piece.strand == "-" else codes)


def _together(blocks: Iterator[_Block]) -> Iterator[list[_Block]]:
    """Lists of blocks with about BLOCK_BASES bases each."""
    found: list[_Block] = []
    bases = 0
    for block in blocks:
        found.append(block)
        bases += len(block.codes)
        if bases >= BLOCK_BASES:
            yield found
            found, bases = [], 0
    if found:
        yield found


def _predicted(model: Model, stretches: Sequence[np.ndarray], stride: int, used: np.ndarray | None) -> list[np.ndarray]:
    """Base codes, uint8 (B,) each -> numbers of every window of each, float32 (W, M * T)."""
    length = model.spec.sequence_length
    counts = [windows.count(len(codes), length, stride) for codes in stretches]
    if not {*model.runtime.split(", ")} <= {*runtimes_with("windows")}:
        cut = np.concatenate([windows.cut(codes, length, stride) for codes in stretches])
        values = model.each.predict(cut, None if used is None else np.broadcast_to(used, (len(cut), len(used))))
        return np.split(values, np.cumsum(counts)[:-1])
    # one call for all, where each begins at a multiple of the stride; windows that lie in two stretches are not used
    ends = np.cumsum([-(-len(codes) // stride) for codes in stretches])
    joined = [windows.padded(codes, 0, -len(codes) % stride) for codes in stretches]
    values = model.each.windows(np.concatenate(joined), stride, used)
    starts = ends - [len(codes) // stride for codes in joined]
    return [values[start : start + count] for start, count in zip(starts, counts, strict=True)]
