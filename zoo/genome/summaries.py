"""One number for each target from all windows of an interval that is longer than the model: the maximum or the mean.

Windows with more than half Ns are left out unless the interval has no other. A window on the reverse strand covers the
same bases as on the other. Axes: W windows, T targets.
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


def summarized(model: Model, pieces: Sequence[Piece], options: SummaryOptions) -> tuple[np.ndarray, np.ndarray]:
    """Values, float32 (N, T), and the centres of the windows with the maxima, int64 (N, T); the first of equal ones."""
    values = np.empty((len(pieces), len(model.spec.targets)), np.float32)
    places = np.empty(values.shape, np.int64)
    single = [row for row, piece in enumerate(pieces) if piece.kept is None]
    if single:
        values[single] = model.predict_codes(np.stack([pieces[row].codes for row in single]))
        places[single] = np.array([pieces[row].centre for row in single])[:, None]
    best, total = np.full(values.shape, -np.inf, np.float32), np.zeros(values.shape)
    for blocks in _together(_blocks(pieces, model.spec.sequence_length, options.stride)):
        found = _predicted(model, [block.codes for block in blocks], options.stride)
        for (row, first, _), ones in zip(blocks, found, strict=True):
            piece = pieces[row]
            ones = ones[::-1] if piece.strand == "-" else ones
            kept = piece.kept[first : first + len(ones)] if piece.kept is not None else np.ones(0, bool)
            total[row] += ones[kept].sum(axis=0, dtype=np.float64)
            ones = np.where(kept[:, None], ones, -np.inf)
            at, highest = ones.argmax(axis=0), ones.max(axis=0)
            centres = piece.start + (first + at) * options.stride + before_centre(model.spec.sequence_length)
            places[row] = np.where(highest > best[row], centres, places[row])
            best[row] = np.maximum(best[row], highest)
    for row, piece in enumerate(pieces):
        if piece.kept is not None:
            values[row] = best[row] if options.summary == "max" else total[row] / piece.kept.sum()
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


def _predicted(model: Model, stretches: Sequence[np.ndarray], stride: int) -> list[np.ndarray]:
    """Base codes, uint8 (B,) each -> activities of every window of each, float32 (W, T)."""
    length = model.spec.sequence_length
    counts = [windows.count(len(codes), length, stride) for codes in stretches]
    if model.runtime not in runtimes_with("windows"):
        values = model.predict_codes(np.concatenate([windows.cut(codes, length, stride) for codes in stretches]))
        return np.split(values, np.cumsum(counts)[:-1])
    # one call for all, where each begins at a multiple of the stride; windows that lie in two stretches are not used
    ends = np.cumsum([-(-len(codes) // stride) for codes in stretches])
    joined = [windows.padded(codes, 0, -len(codes) % stride) for codes in stretches]
    values = model.windows(np.concatenate(joined), stride)
    starts = ends - [len(codes) // stride for codes in joined]
    return [values[start : start + count] for start, count in zip(starts, counts, strict=True)]
