"""Metrics agree with scipy, and their bootstrap intervals have the right properties."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from refusals import refuses

from zoo.evaluation import metrics

stats = pytest.importorskip("scipy.stats")


def linear(n: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Observed and predicted, float32 (n, 2)."""
    generator = np.random.default_rng(seed)
    predicted = generator.normal(size=(n, 2)).astype(np.float32)
    observed = predicted * [1, 2] + generator.normal(scale=noise, size=(n, 2)) + 3
    return observed.astype(np.float32), predicted


def test_scores_agree_with_scipy() -> None:
    observed, predicted = linear(501, 1.0, seed=1)
    for t, found in enumerate(metrics.score(observed, predicted)):
        o, p = observed[:, t].astype(float), predicted[:, t].astype(float)
        assert found.n == 501
        assert found.note == ""
        assert found.pearson == pytest.approx(stats.pearsonr(o, p).statistic, abs=1e-12)
        assert found.spearman == pytest.approx(stats.spearmanr(o, p).statistic, abs=1e-12)
        assert found.mse == pytest.approx(np.mean((o - p) ** 2), rel=1e-12)
        assert found.r2 == pytest.approx(1 - np.sum((o - p) ** 2) / np.sum((o - o.mean()) ** 2), rel=1e-12)


def intervals(observed: np.ndarray, predicted: np.ndarray, **bootstrap: Any) -> list[dict[str, Any]]:
    return metrics.resample(observed, [predicted], **bootstrap).intervals(0)


def differences(observed: np.ndarray, first: np.ndarray, second: np.ndarray, **bootstrap: Any) -> list[dict[str, Any]]:
    return metrics.resample(observed, [first, second], **bootstrap).differences(0, 1)


def test_spearman_with_ties_agrees_with_scipy() -> None:
    generator = np.random.default_rng(2)
    observed = generator.integers(0, 5, size=(200, 1)).astype(np.float32)
    predicted = (observed + generator.integers(0, 4, size=(200, 1))).astype(np.float32)
    expected = stats.spearmanr(observed[:, 0], predicted[:, 0]).statistic
    assert metrics.score(observed, predicted)[0].spearman == pytest.approx(expected, abs=1e-12)


def test_a_correlation_far_from_zero_keeps_its_digits() -> None:
    generator = np.random.default_rng(3)
    predicted = generator.normal(size=(1000, 1)) + 1e6
    observed = predicted + generator.normal(size=(1000, 1))
    expected = stats.pearsonr(observed[:, 0], predicted[:, 0]).statistic
    assert metrics.score(observed, predicted)[0].pearson == pytest.approx(expected, abs=1e-9)


def test_missing_measurements_are_left_out_of_their_target_only() -> None:
    observed, predicted = linear(100, 1.0, seed=4)
    observed[::3, 1] = np.nan
    first, second = metrics.score(observed, predicted)
    assert first == metrics.score(*(a[:, :1] for a in linear(100, 1.0, seed=4)))[0]
    kept = np.arange(100) % 3 != 0
    assert second == metrics.score(observed[kept, 1:], predicted[kept, 1:])[0]
    assert second.n == 66


@pytest.mark.parametrize(
    ("observed", "predicted", "facts", "defined"),
    [
        ([2, 2, 2], [1, 2, 3], ("constant", "target"), {"mse"}),
        ([1, 2, 3], [0.1, 0.1, 0.1], ("constant", "predictions"), {"mse", "r2"}),
        ([5, np.nan, np.nan], [1, 2, 3], ("one", "measurement"), {"mse"}),
        ([5, 4, np.nan], [1, 2, 3], ("two measurements", "correlations"), {"mse", "r2"}),
        ([5, 4, np.nan], [1, 1, 3], ("two measurements", "correlations"), {"mse", "r2"}),
        ([5, 5, np.nan], [1, 2, 3], ("constant", "target"), {"mse"}),
        ([5, 4, 1], [1, 2, 3], (), {"pearson", "spearman", "mse", "r2"}),
        ([np.nan] * 3, [1, 2, 3], ("no", "measurements"), set()),
        ([1, 2, 3], [1, np.nan, 3], ("predictions", "finite"), set()),
        ([1, np.inf, 3], [1, 2, 3], ("measurements", "finite"), set()),
    ],
)
def test_a_metric_that_is_not_defined_is_none_with_a_note_and_no_warning(
    observed: list[float], predicted: list[float], facts: tuple[str, ...], defined: set[str]
) -> None:
    o, p = np.array(observed, np.float32)[:, None], np.array(predicted, np.float32)[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics.score(o, p)[0]
        spread = intervals(o, p, resamples=50)[0]
    assert not [fact for fact in facts if fact not in found.note], found.note
    assert {name for name in metrics.METRICS if getattr(found, name) is not None} == defined
    assert set(spread.values()) == {None}


@pytest.mark.parametrize(("rows", "defined"), [(2, False), (3, False), (4, False), (5, True)])
def test_few_rows_or_few_sequences_have_no_interval(rows: int, defined: bool) -> None:
    observed, predicted = linear(rows, 1.0, seed=1)
    groups = np.arange(2 * rows) % rows
    for found in (
        metrics.resample(observed, [predicted, observed], resamples=100),
        metrics.resample(np.tile(observed, (2, 1)), [np.tile(predicted, (2, 1))] * 2, resamples=100, groups=groups),
    ):
        for target in (*found.intervals(0), *found.differences(0, 1)):
            assert (target["mse"] is not None) == defined


def test_a_metric_that_many_draws_leave_undefined_has_no_interval() -> None:
    """One row differs from all others; a third of the draws do not hold it."""
    observed, predicted = linear(50, 1.0, seed=1)
    observed[:, 0] = np.arange(50) == 7
    found = metrics.resample(observed, [predicted]).intervals(0)[0]
    assert metrics.score(observed, predicted)[0].pearson is not None
    assert {name for name, interval in found.items() if interval is not None} == {"mse"}


def test_the_bootstrap_draws_rows() -> None:
    """Weights per row give the same metrics as the drawn rows one by one."""
    observed, predicted = (np.round(a, 1) for a in linear(40, 1.0, seed=5))
    draws = metrics.resample(observed[:, :1], [predicted[:, :1]], resamples=20, seed=9).draws[0, 0]
    generator = np.random.default_rng(9)
    for found, rows in zip(draws, generator.integers(0, 40, size=(20, 40)), strict=True):
        expected = metrics.score(observed[rows, :1], predicted[rows, :1])[0]
        np.testing.assert_allclose(found, [expected.pearson, expected.spearman, expected.mse, expected.r2], rtol=1e-9)


def test_intervals_depend_on_the_seed_and_contain_the_value() -> None:
    observed, predicted = linear(80, 1.0, seed=6)
    first = intervals(observed, predicted, resamples=200, seed=1)
    assert first == intervals(observed, predicted, resamples=200, seed=1)
    assert first != intervals(observed, predicted, resamples=200, seed=2)
    for target in first:
        assert all(found is not None and found.contains(found.value) for found in target.values())


def test_chunks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    observed, predicted = linear(30, 1.0, seed=7)
    whole = intervals(observed, predicted, resamples=50)
    monkeypatch.setattr(metrics, "_CHUNK", 7 * 30)
    for found, expected in zip(intervals(observed, predicted, resamples=50), whole, strict=True):
        for name in metrics.METRICS:
            assert found[name].low == pytest.approx(expected[name].low, rel=1e-9)


def test_intervals_contain_the_true_correlation_at_their_nominal_rate() -> None:
    truth = 0.8
    generator = np.random.default_rng(8)
    covered = 0
    for number in range(200):
        x = generator.normal(size=(100, 1))
        y = truth * x + np.sqrt(1 - truth**2) * generator.normal(size=(100, 1))
        found = intervals(x, y, resamples=200, seed=number)[0]["pearson"]
        covered += found.contains(truth)
    assert 0.88 <= covered / 200 <= 0.99


def test_both_strands_of_a_sequence_count_once_when_grouped() -> None:
    observed, predicted = linear(100, 1.0, seed=10)
    twice = np.concatenate([observed, observed]), np.concatenate([predicted, predicted])
    strands = np.tile(np.arange(100), 2)
    once = intervals(observed, predicted)[0]["pearson"]
    rows = intervals(*twice)[0]["pearson"]
    grouped = intervals(*twice, groups=strands)[0]["pearson"]
    assert grouped.high - grouped.low == pytest.approx(once.high - once.low, rel=1e-6)
    assert rows.high - rows.low < 0.8 * (once.high - once.low)


def test_a_paired_difference_is_clear_where_two_intervals_overlap() -> None:
    generator = np.random.default_rng(11)
    truth, shared = generator.normal(size=(2, 300, 1))
    good = truth + shared
    bad = good + 0.5 * generator.normal(size=(300, 1))
    of_good, of_bad = (intervals(truth, p)[0]["pearson"] for p in (good, bad))
    assert of_good.low < of_bad.high  # side by side, they overlap
    difference = differences(truth, good, bad)[0]["pearson"]
    assert difference.value == pytest.approx(of_good.value - of_bad.value, abs=1e-12)
    assert difference.low > 0


def test_a_prediction_does_not_differ_from_itself() -> None:
    observed, predicted = linear(50, 1.0, seed=12)
    for target in differences(observed, predicted, predicted, resamples=50):
        assert all((found.value, found.low, found.high) == (0, 0, 0) for found in target.values())


def test_draws_of_equal_values_do_not_widen_an_interval() -> None:
    observed = np.repeat([[0.1], [0.7], [1.3]], 2, axis=0)
    found = intervals(observed, np.repeat([[0.3], [0.8], [1.2]], 2, axis=0))[0]
    assert found["r2"].low > -50  # a draw of one value six times has no variance, and is left out
    assert found["pearson"].high == 1


def test_bad_arguments_are_refused() -> None:
    observed, predicted = linear(5, 1.0, seed=13)
    with refuses("(N, T)", (5, 2), (5, 1)):
        metrics.score(observed, predicted[:, :1])
    with refuses("resamples", 1, "got 0"):
        intervals(observed, predicted, resamples=0)
    with refuses(5, (4,)):
        intervals(observed, predicted, groups=np.zeros(4, int))
