"""Tracks of window values: the value around the centre, and the mean over all windows on a base, by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.genome import aggregate
from zoo.genome.aggregate import Aggregator, Stretch

L = 11


def by_base(stretch: Stretch, values: np.ndarray, stride: int, mode: str, cuts: list[int]) -> np.ndarray:
    """What the aggregator gives for windows that come in pieces, base by base, NaN where it gives nothing."""
    out = np.full((stretch.stop + 5, values.shape[1]), np.nan)
    made = Aggregator(stretch, L, stride, mode)
    before = 0
    for start, stop in zip([0, *cuts], [*cuts, len(values)], strict=True):
        for starts, ends, means in made.add(values[start:stop], stop == len(values)):
            assert means.dtype == np.float32
            for first, last, mean in zip(starts, ends, means, strict=True):
                assert before <= first < last
                before = last
                out[first:last] = mean
    return out


def expected(stretch: Stretch, values: np.ndarray, stride: int, mode: str) -> np.ndarray:
    """Base by base, as the words say."""
    out = np.full((stretch.stop + 5, values.shape[1]), np.nan)
    for base in range(stretch.start, stretch.stop):
        if mode == "mean":
            rows = [
                row
                for number, row in enumerate(values)
                if 0 <= base - stretch.start - number * stride < L and not np.isnan(row[0])
            ]
            if rows:
                out[base] = np.mean(np.array(rows, np.float64), axis=0)
        else:
            for number, row in enumerate(values):
                first = stretch.start + number * stride + L // 2 - stride // 2
                if first <= base < first + stride:
                    out[base] = row
    return out


@pytest.mark.parametrize("mode", ["window", "mean"])
@pytest.mark.parametrize("stride", [1, 2, 3, 5, 8, 11, 12, 30])
@pytest.mark.parametrize("cuts", [[], [1], [3, 4, 9]])
@pytest.mark.parametrize("chunk", [1, 4, 1000])
def test_every_base_has_what_brute_force_gives(
    monkeypatch: pytest.MonkeyPatch, mode: str, stride: int, cuts: list[int], chunk: int
) -> None:
    monkeypatch.setattr(aggregate, "CHUNK", chunk)
    generator = np.random.default_rng(stride)
    stretch = Stretch("c", 7, 7 + 19 * stride + L + stride // 2)
    values = generator.normal(0, 2, (20, 3)).astype(np.float32)
    values[[2, 3, 11, 19]] = np.nan
    found = by_base(stretch, values, stride, mode, cuts)
    np.testing.assert_allclose(found, expected(stretch, values, stride, mode), atol=1e-6)
    assert not np.isnan(found).all()


def test_249_bases_stand_as_the_conventions_say() -> None:
    made = Aggregator(Stretch("c", 1000, 2000), 249, 8, "window")
    ((starts, ends, _),) = made.add(np.zeros((3, 1), np.float32), last=True)
    assert starts.tolist() == [1000 + 124 - 4 + 8 * number for number in range(3)]
    assert (ends - starts).tolist() == [8, 8, 8]


def test_intervals_never_leave_their_stretch() -> None:
    stretch = Stretch("c", 100, 100 + L)
    found = by_base(stretch, np.ones((1, 1), np.float32), 50, "window", [])
    assert np.flatnonzero(~np.isnan(found[:, 0])).tolist() == list(range(100, 100 + L))
