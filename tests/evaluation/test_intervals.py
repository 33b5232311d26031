"""Intervals contain the true difference as often as they should, and the verdicts agree with the numbers."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from refusals import refuses

from zoo.evaluation import metrics
from zoo.evaluation.intervals import PairedDifference, mean_score, paired_difference, verdict
from zoo.evaluation.metrics import Interval

stats = pytest.importorskip("scipy.stats")


def trainings(
    generator: np.random.Generator, labels: np.ndarray, runs: int, error: float, luck: float, alone: float = 0.02
) -> np.ndarray:
    """Predictions (runs, N) of a model whose mean squared error is `error` on average over sequences and trainings.

    luck: standard deviation of a training's mean squared error around that.  alone: the part of `error` that each
    training makes on sequences of its own; the rest all trainings make on the same ones.
    """
    size = np.sqrt(error - alone + luck * np.sqrt(3) * generator.uniform(-1, 1, (runs, 1)))
    own = np.sqrt(alone) * generator.normal(size=(runs, len(labels)))
    return labels + size * generator.normal(size=len(labels)) + own


def share_held(runs: int, luck: float, alone: float) -> float:
    """How many of 400 intervals hold the true difference of two models, 0.3 in mean squared error."""
    generator = np.random.default_rng(1)
    held = 0
    for number in range(400):
        labels, shared = generator.normal(size=(2, 300))
        first, second = (trainings(generator, labels, runs, error, luck, alone) + shared for error in (1.0, 0.7))
        found = paired_difference(labels, first, second, "mse", 300, number)
        held += found.low <= 0.3 <= found.high
    return held / 400


@pytest.mark.parametrize(("runs", "luck"), [(1, 0.0), (5, 0.0), (5, 0.1), (5, 0.2), (3, 0.2)])
def test_the_interval_contains_the_true_difference_at_its_nominal_rate(runs: int, luck: float) -> None:
    assert 0.92 <= share_held(runs, luck, 0.02) <= 0.975


def test_the_interval_is_too_wide_where_every_training_errs_on_other_sequences() -> None:
    assert 0.975 < share_held(5, 0.0, 0.7) <= 1


def test_trainings_that_differ_by_chance_have_a_verdict_from_one_run_each_but_not_from_five() -> None:
    generator = np.random.default_rng(2)
    alone = together = 0
    for number in range(100):
        labels = generator.normal(size=400)
        error = np.sqrt(0.8) * generator.normal(size=400)  # of every training of both
        sides = [trainings(generator, labels, 5, 0.2, 0.1, 0.02) + error for _ in range(2)]
        alone += (
            paired_difference(labels, sides[0][:1], sides[1][:1], "mse", 200, number).verdict != "no clear difference"
        )
        together += paired_difference(labels, *sides, "mse", 200, number).verdict != "no clear difference"
    assert alone > 30
    assert together <= 10


@pytest.mark.parametrize(("metric", "name"), [("pearson", "pearsonr"), ("spearman", "spearmanr")])
def test_the_interval_of_one_training_is_that_of_the_bootstrap_of_scipy(metric: str, name: str) -> None:
    generator = np.random.default_rng(3)
    labels = generator.normal(size=120)
    first, second = labels + generator.normal(size=(2, 120)) * np.array([[0.5], [1.0]])
    correlation = getattr(stats, name)

    def difference(rows: np.ndarray) -> float:
        return correlation(labels[rows], first[rows])[0] - correlation(labels[rows], second[rows])[0]

    expected = stats.bootstrap(
        (np.arange(120),), difference, vectorized=False, n_resamples=2000, method="percentile", rng=0
    ).confidence_interval
    found = paired_difference(labels, first[None], second[None], metric, 2000)
    assert found.difference == pytest.approx(difference(np.arange(120)), abs=1e-12)
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.05 * width)
    assert found.high == pytest.approx(expected.high, abs=0.05 * width)
    assert found.verdict == "better"


def test_the_variation_between_trainings_is_that_of_a_t_test_where_sequences_add_none() -> None:
    """If the error is the same for every sequence, only the trainings vary, and Welch's t gives the interval."""
    labels = np.zeros(10)
    of_first, of_second = np.array([1.0, 1.2, 0.9, 1.1]), np.array([1.5, 1.9, 1.4, 2.0, 1.6])
    first, second = (np.sqrt(errors)[:, None] * np.ones(10) for errors in (of_first, of_second))
    expected = stats.ttest_ind(of_first, of_second, equal_var=False).confidence_interval()
    found = paired_difference(labels, first, second, "mse", 20_000)
    assert found.difference == pytest.approx(of_first.mean() - of_second.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=0.1)
    assert found.verdict == "better"


def example(runs: int, count: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (count,) and predictions (runs, count) of a better and of a worse model."""
    generator = np.random.default_rng(4)
    labels = generator.normal(size=count)
    noise = generator.normal(size=(2, runs, count))
    return labels, labels + 0.7 * noise[0], labels + 1.1 * noise[1]


@pytest.mark.parametrize("metric", metrics.METRICS)
@pytest.mark.parametrize("runs", [1, 4])
def test_swapped_models_give_the_opposite_difference(metric: str, runs: int) -> None:
    labels, good, bad = example(runs)
    forward, backward = paired_difference(labels, good, bad, metric), paired_difference(labels, bad, good, metric)
    assert (forward.verdict, backward.verdict) == ("better", "worse")
    assert forward.difference == pytest.approx(-backward.difference, abs=1e-12)
    assert (forward.low, forward.high) == pytest.approx((-backward.high, -backward.low), abs=1e-9)


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_equal_models_have_no_clear_difference(metric: str) -> None:
    labels, good, _ = example(4)
    for runs in (1, 4):
        same = paired_difference(labels, good[:runs], good[:runs], metric)
        assert same == PairedDifference(0.0, 0.0, 0.0, "no clear difference")
    reordered = paired_difference(labels, good, good[::-1], metric)
    assert reordered.difference == pytest.approx(0, abs=1e-12)
    assert reordered.low < 0 < reordered.high
    assert reordered.verdict == "no clear difference"


def test_one_training_each_gives_the_difference_of_the_metrics() -> None:
    labels, good, bad = example(1)
    for metric in metrics.METRICS:
        found = paired_difference(labels, good, bad, metric, 100, seed=7)
        (expected,) = metrics.resample(labels[:, None], [good.T, bad.T], resamples=100, seed=7).differences(0, 1)
        assert (found.difference, found.low, found.high) == pytest.approx(
            dataclasses.astuple(expected[metric]), rel=1e-9
        )


def test_the_score_of_one_model_varies_with_sequences_and_trainings() -> None:
    labels, good, _ = example(1)
    (expected,) = metrics.resample(labels[:, None], [good.T], resamples=100).intervals(0)
    found = mean_score(labels, good, "pearson", 100)
    assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(expected["pearson"]), rel=1e-9)
    generator = np.random.default_rng(5)
    alike, unlike = (trainings(generator, labels, 5, 1.0, luck) for luck in (0.0, 0.3))
    widths = [(spread := mean_score(labels, runs, "mse", 300)).high - spread.low for runs in (alike, unlike)]
    assert widths[1] > 1.5 * widths[0]
    assert mean_score(labels, np.ones((2, len(labels))), "pearson") is None
    with refuses("predictions", "(runs, 300)", (300,)):
        mean_score(labels, good[0], "mse")


def test_missing_labels_are_left_out() -> None:
    labels, good, bad = example(3)
    with_gaps = np.concatenate([labels, np.full(50, np.nan)])
    longer = [np.concatenate([side, np.full((3, 50), 9.0)], axis=1) for side in (good, bad)]
    assert paired_difference(with_gaps, *longer, "pearson", 100) == paired_difference(labels, good, bad, "pearson", 100)


def test_both_strands_of_a_sequence_count_once_when_grouped() -> None:
    labels, good, bad = example(1)
    strands = np.tile(np.arange(len(labels)), 2)
    once = paired_difference(labels, good, bad, "pearson", 500)
    twice = [np.tile(values, 2) for values in (labels, good, bad)]
    grouped = paired_difference(*twice, "pearson", 500, groups=strands)
    rows = paired_difference(*twice, "pearson", 500)
    assert (grouped.low, grouped.high) == pytest.approx((once.low, once.high), rel=1e-9)
    assert rows.high - rows.low < 0.8 * (once.high - once.low)


def test_the_same_seed_gives_the_same_numbers() -> None:
    labels, good, bad = example(3)
    first = paired_difference(labels, good, bad, "pearson", 100, seed=5)
    assert first == paired_difference(labels, good, bad, "pearson", 100, seed=5)
    assert first != paired_difference(labels, good, bad, "pearson", 100, seed=6)


def test_a_difference_that_is_not_defined_has_no_verdict_but_a_note() -> None:
    labels, good, bad = example(2)
    flat = np.stack([bad[0], np.ones(len(labels))])
    found = paired_difference(labels, good, flat, "pearson")
    assert found == PairedDifference(None, None, None, "no clear difference", found.note)
    assert "constant predictions" in found.note
    nothing = paired_difference(np.full(len(labels), np.nan), good, bad, "mse")
    assert nothing == PairedDifference(None, None, None, "no clear difference", nothing.note)
    assert "no measurements" in nothing.note
    few = paired_difference(labels[:4], good[:, :4], bad[:, :4], "mse")
    assert few == PairedDifference(None, None, None, "no clear difference", few.note)
    assert "few" in few.note
    assert mean_score(labels[:4], good[:, :4], "mse") is None


def test_a_smaller_error_and_a_larger_correlation_are_better() -> None:
    above, below, around = Interval(2, 1, 3), Interval(-2, -3, -1), Interval(0.5, -1, 2)
    assert [verdict("mse", one) for one in (above, below, around)] == ["worse", "better", "no clear difference"]
    assert [verdict("pearson", one) for one in (above, below, around)] == ["better", "worse", "no clear difference"]
    assert verdict("pearson", None) == "no clear difference"


def test_forty_thousand_rows_take_seconds() -> None:
    """Ten trainings of two models, 1,000 draws."""
    labels, good, bad = example(5, 40_000)
    began = time.process_time()
    found = paired_difference(labels, good, bad, "pearson", groups=np.arange(40_000) // 2)
    assert time.process_time() - began < 30
    assert found.verdict == "better"


def test_bad_arguments_are_refused() -> None:
    labels, good, bad = example(2, 20)
    with refuses("metric", "pearson, spearman, mse, r2", "'rho'"):
        paired_difference(labels, good, bad, "rho")
    with refuses("labels", "(N,)", (20, 1)):
        paired_difference(labels[:, None], good, bad, "mse")
    with refuses("second", "(runs, 20)", (20,)):
        paired_difference(labels, good, bad[0], "mse")
    with refuses("first", "(runs, 20)", (2, 19)):
        paired_difference(labels, good[:, 1:], bad, "mse")
    with refuses("resamples", 1, "got 0"):
        paired_difference(labels, good, bad, "mse", 0)
    with refuses(20, (3,)):
        paired_difference(labels, good, bad, "mse", groups=np.zeros(3, int))
