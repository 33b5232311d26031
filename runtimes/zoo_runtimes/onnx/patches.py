"""Stretches of positions of arrays, one for each row of a batch. The first axis has the rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Patch(NamedTuple):
    """New numbers of a tensor. starts: their first position in each row, (M,).  values: (M, ..., positions, ...)."""

    starts: np.ndarray
    values: np.ndarray


def cut(array: np.ndarray, axis: int, starts: np.ndarray, width: int, edge: float) -> np.ndarray:
    """`width` positions of the one row of an array, from each of `starts`; `edge` where it has no position."""
    low, high = int(starts.min()), int(starts.max()) + width
    positions = array.shape[axis]
    inner = array[0][_at(axis - 1, max(low, 0), min(high, positions))]
    if low < 0 or high > positions:
        outside = [(0, 0)] * inner.ndim
        outside[axis - 1] = (max(-low, 0), max(high - positions, 0))
        inner = np.pad(inner, outside, constant_values=edge)
    each = np.lib.stride_tricks.sliding_window_view(inner, width, axis=axis - 1)
    table = np.ascontiguousarray(np.moveaxis(np.moveaxis(each, axis - 1, 0), -1, axis))
    return np.take(table, starts - low, axis=0)


def spread(array: np.ndarray, axis: int, rows: range, apart: tuple[int, int], start: int, width: int) -> np.ndarray:
    """`width` positions of each window of a stretch, from position `start` of the window.

    array: the stretch, one row.  rows: numbers of the windows.  apart: steps along the axis from one window to the
    next, and from one position of a window to the next.  The result is a view.
    """
    row, step = apart
    inner, stride = array[0], array.strides[axis]
    first = rows[0] * row + start * step
    ends = (
        first,
        first + (width - 1) * step,
        rows[-1] * row + start * step,
        rows[-1] * row + (start + width - 1) * step,
    )
    if width and not 0 <= min(ends) <= max(ends) < array.shape[axis]:
        raise IndexError(f"positions {min(ends)} to {max(ends)} of {array.shape[axis]}")
    shape, strides = [*inner.shape], [*inner.strides]
    shape[axis - 1], strides[axis - 1] = width, step * stride
    begin = inner[_at(axis - 1, first, None)]
    return np.lib.stride_tricks.as_strided(
        begin, (len(rows), *shape), (rows.step * row * stride, *strides), writeable=False
    )


def overlay(target: np.ndarray, axis: int, starts: np.ndarray, patch: Patch) -> None:
    """Write a patch into stretches that begin at `starts`, as far as it lies in them."""
    width, room = patch.values.shape[axis], target.shape[axis]
    offsets = patch.starts - starts
    for offset in np.unique(offsets):
        low, high = max(offset, 0), min(offset + width, room)
        if low >= high:
            continue
        rows = np.nonzero(offsets == offset)[0]
        chosen = slice(None) if len(rows) == len(offsets) else rows
        target[(chosen, *_at(axis - 1, low, high))] = patch.values[
            (chosen, *_at(axis - 1, low - offset, high - offset))
        ]


def _at(axis: int, start: int, stop: int | None) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(start, stop))
