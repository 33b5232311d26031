"""Split conformal intervals: coverage on simulated data, blocks, difficulties, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from refusals import refuses

from zoo.prediction import conformal as c


def simulated(generator: np.random.Generator, blocks: int, size: int = 1) -> tuple[np.ndarray, ...]:
    """Heteroscedastic measurements (N,), predictions, the true sizes of the errors, and blocks with a common error."""
    number = np.repeat(np.arange(blocks), size)
    predicted = generator.normal(0, 2, blocks).repeat(size)
    sizes = 0.2 + np.abs(predicted)
    common, own = generator.normal(size=blocks).repeat(size), generator.normal(size=blocks * size)
    noise = common if size > 1 else own
    return predicted + sizes * noise, predicted, sizes, number


@pytest.mark.parametrize("kind", ["constant", "neighbours", "spread"])
def test_intervals_contain_the_share_that_they_promise(kind: str) -> None:
    covered, widths = [], []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        observed, predicted, sizes, number = simulated(generator, 1000)
        spread = sizes * generator.uniform(0.5, 1.5, len(sizes))
        scale = {"constant": c.CONSTANT, "spread": c.by_spread(spread)}.get(kind)
        if scale is None:
            first, second = slice(0, 500), slice(500, None)
            scale = c.by_neighbours(predicted[first], np.abs(observed - predicted)[first], 100)
            observed, predicted, spread, number = (one[second] for one in (observed, predicted, spread, number))
        found = c.conformal(observed, predicted, spread, number, scale)
        new, at, true, _ = simulated(generator, 1000)
        half = found.half_widths(at, true * generator.uniform(0.5, 1.5, len(true)), 0.9)
        covered.append((np.abs(new - at) <= half).mean())
        far = np.abs(at) > 3
        widths.append(half[far].mean() / half[np.abs(at) < 0.5].mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.01)
    assert np.mean(widths) == 1 if kind == "constant" else np.mean(widths) > 3


def test_blocks_of_dependent_rows_keep_the_coverage() -> None:
    """With rows that repeat their block, coverage of a new block needs the weights; blocks differ in size."""
    covered = []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        sizes = generator.integers(1, 30, 60)
        number = np.repeat(np.arange(60), sizes)
        # larger blocks have larger errors
        error = (generator.normal(size=60) * sizes)[number]
        found = c.conformal(error, np.zeros(len(error)), None, number, c.CONSTANT)
        fresh = generator.integers(1, 30, 500)
        new = generator.normal(size=500) * fresh
        covered.append((np.abs(new) <= found.half_widths(np.zeros(500), None, 0.9)).mean())
    assert np.mean(covered) == pytest.approx(0.9 + 0.5 / 61, abs=0.012)


def test_rows_that_are_alone_give_the_usual_quantile() -> None:
    errors = np.random.default_rng(0).normal(size=99)
    found = c.conformal(errors, np.zeros(99), None, np.arange(99), c.CONSTANT)
    assert found.factor(0.9) == np.sort(np.abs(errors))[89]  # the ceil(0.9 * 100)th
    assert found.factor(0.99) == np.abs(errors).max()
    with refuses("0.99", "99", "0.995"):
        found.half_widths(np.zeros(1), None, 0.995)


def test_neighbours_are_the_rows_with_the_nearest_predictions() -> None:
    predicted, errors = np.array([3.0, 1, 2, 4, 5]), np.array([30.0, 10, 20, 40, 50])
    scale = c.by_neighbours(predicted, errors, 3)
    assert scale.of(np.array([1, 2, 3, 4, 5, 9.0, 2.5]), None).tolist() == [20, 20, 30, 40, 40, 40, 25]


def test_equal_predictions_have_one_difficulty() -> None:
    scale = c.by_neighbours(np.array([1.0, 1, 1, 2]), np.array([0.0, 6, 3, 3]), 1)
    assert scale.of(np.array([1.0, 2]), None).tolist() == [3, 3]


def test_an_ensemble_that_agrees_by_chance_is_not_certain() -> None:
    scale = c.by_spread(np.array([0.0, 1, 2]))
    assert scale.of(np.zeros(2), np.array([0.0, 1])).tolist() == [0.1, 1]
    with refuses("ensemble"):
        scale.of(np.zeros(2), None)
