"""The diagnosis finds a split of the residuals where there is one, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.evaluation import diagnosis
from zoo.evaluation.diagnosis import Diagnosis, diagnose

NO_STRAND = np.full(1000, "")


def gaussian(n: int = 1000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def criteria(found: Diagnosis) -> tuple[str, str]:
    """The criteria of one and of two Gaussians, as the statement gives them."""
    return f"{found.one.bic:,.1f}", f"{found.two.bic:,.1f}"


def test_two_groups_are_found_with_their_shares_and_places() -> None:
    values = gaussian() * 0.5
    values[:300] += 3
    found = diagnose(values, {}, NO_STRAND)
    assert found.split is True
    assert found.two.shares == pytest.approx((0.7, 0.3), abs=0.02)
    assert found.two.means == pytest.approx((0, 3), abs=0.1)
    assert found.two.deviations == pytest.approx((0.5, 0.5), abs=0.05)
    assert found.two.bic < found.one.bic - 100
    assert all(fact in found.statement for fact in ("split", "70%", "30%"))


@pytest.mark.parametrize("seed", range(5))
def test_one_gaussian_is_not_split(seed: int) -> None:
    found = diagnose(gaussian(seed=seed) + 7, {}, NO_STRAND)
    assert found.split is False
    assert found.one.means == pytest.approx((7,), abs=0.2)
    assert all(fact in found.statement for fact in ("no split", *criteria(found)))
    assert "outliers" not in found.statement


def test_heavy_tails_are_no_split() -> None:
    values = np.random.default_rng(1).standard_t(2, size=1000)
    found = diagnose(values, {}, NO_STRAND)
    assert found.two.bic < found.one.bic - 10  # BIC alone would have called it two
    assert found.split is False
    assert all(fact in found.statement for fact in ("no split", *criteria(found), f"separation {found.separation:.1f}"))


def test_a_few_outliers_are_not_half_of_a_trend() -> None:
    values = gaussian() * 0.5
    values[:20] += 8
    found = diagnose(values, {}, NO_STRAND)
    assert found.split is False
    assert all(fact in found.statement for fact in ("no split", "2.0% outliers", *criteria(found)))


def test_the_bic_is_that_of_the_likelihood() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = gaussian(200)
    likelihood = stats.norm.logpdf(values, values.mean(), values.std()).sum()
    assert diagnosis.one_gaussian(values).bic == pytest.approx(2 * np.log(200) - 2 * likelihood, rel=1e-12)


def test_the_verdict_does_not_depend_on_the_unit() -> None:
    values = gaussian()
    values[:500] += 4
    first, second = (diagnose(values * scale, {}, NO_STRAND) for scale in (1, 1000))
    assert first.separation == pytest.approx(second.separation, rel=1e-6)
    assert first.one.bic - first.two.bic == pytest.approx(second.one.bic - second.two.bic, rel=1e-6)


def test_too_few_or_equal_residuals_decide_nothing() -> None:
    few, equal = diagnose(gaussian(10), {}, NO_STRAND[:10]), diagnose(np.ones(100), {}, NO_STRAND[:100])
    assert (few.split, equal.split) == (None, None)
    assert all(fact in few.statement for fact in ("not decided", "10 measurements", str(diagnosis.FEWEST)))
    assert all(fact in equal.statement for fact in ("not decided", "equal"))


def test_residuals_are_compared_with_covariates_and_strands() -> None:
    values = gaussian(100)
    values[::10] = np.nan
    present = ~np.isnan(values)
    covariate = np.where(present, 2 * values + 1, 50)
    partly = covariate.copy()
    partly[1] = np.nan
    strands = np.where(np.arange(100) < 40, "+", "-")
    found = diagnose(values, {"whole": covariate, "partly": partly, "constant": np.ones(100)}, strands)
    assert found.n == 90
    assert found.correlations == {"whole": pytest.approx(1), "partly": pytest.approx(1), "constant": None}
    assert found.strands == {
        "+": (36, pytest.approx(np.nanmean(values[:40]))),
        "-": (54, pytest.approx(np.nanmean(values[40:]))),
    }


def test_gc_content_leaves_unknown_bases_out() -> None:
    codes = np.array([[0, 1, 2, 3], [1, 2, 4, 4], [4, 4, 4, 4]], np.uint8)
    np.testing.assert_array_equal(diagnosis.gc_content(codes), [0.5, 1, np.nan])


def test_strands_come_from_published_names() -> None:
    names = ["chr2L_5750_5998_+_positive_peaks", "chr2R_1_249_-_negative", "chr2L_5750_5998_-", "enhancer_001", "a-b"]
    assert diagnosis.strands_of(names).tolist() == ["+", "-", "-", "", ""]
