"""DeepLIFT contributions of a model that is a sum over bases, whose contributions are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoints import random_codes
from explain.toy_model import LENGTH, WEIGHTS, both_strands, model, texts
from refusals import refuses

import zoo
from zoo.dna.encoding import ONE_HOT
from zoo.dna.shuffle import references as shuffles

CODES = np.random.default_rng(3).integers(0, 4, (6, LENGTH), np.uint8)
REFERENCES = np.random.default_rng(4).integers(0, 4, (6, 5, LENGTH), np.uint8)


def test_contributions_to_a_sum_are_its_terms_minus_those_of_the_references() -> None:
    found = zoo.explain.contributions(model(), texts(CODES), "hk", REFERENCES)
    terms = WEIGHTS[..., 1]
    expected = terms - (ONE_HOT[REFERENCES] * terms).sum(3).mean(1)[..., None]
    np.testing.assert_allclose(found.hypothetical, expected, atol=1e-6)
    np.testing.assert_allclose(found.actual, expected * ONE_HOT[CODES], atol=1e-6)
    assert np.abs(found.delta).max() < 1e-5
    assert found.hypothetical.dtype == found.actual.dtype == found.delta.dtype == np.float32


def test_a_number_of_references_means_shuffles_of_each_sequence() -> None:
    found = zoo.explain.contributions(model(), CODES, 0, 30, seed=9)
    given = zoo.explain.contributions(model(), CODES, 0, shuffles(CODES, 30, 9))
    np.testing.assert_array_equal(found.hypothetical, given.hypothetical)


def test_the_order_of_sequences_does_not_matter() -> None:
    forward = zoo.explain.contributions(model(), CODES, "dev", 300)
    backward = zoo.explain.contributions(model(), CODES[::-1], "dev", 300)
    np.testing.assert_array_equal(forward.hypothetical, backward.hypothetical[::-1])


def test_a_sequence_that_cannot_be_shuffled_is_scored_zero() -> None:
    codes = CODES.copy()
    codes[2] = 0
    found = zoo.explain.contributions(model(), codes, "dev", 4)
    assert not found.hypothetical[2].any()
    assert found.delta[2] == 0
    assert found.hypothetical[[0, 1, 3, 4, 5]].any((1, 2)).all()


def test_n_gets_no_contribution() -> None:
    codes = random_codes(6, LENGTH)
    codes[0, 4] = 4
    found = zoo.explain.contributions(model(), codes, "dev", 10)
    assert not found.actual[codes == 4].any()
    assert found.hypothetical[0, 4].any()


def test_delta_is_by_how_much_contributions_miss_the_difference() -> None:
    found = zoo.explain.contributions(model(factor=1.5), CODES, "dev", REFERENCES, force=True)
    activities = model().predict_codes(CODES)[:, 0]
    against = model().predict_codes(REFERENCES.reshape(-1, LENGTH))[:, 0].reshape(6, 5).mean(1)
    np.testing.assert_allclose(found.delta, 0.5 * (activities - against), atol=1e-5)


def test_both_strands_give_the_contributions_of_the_model_that_is_the_mean() -> None:
    found = zoo.explain.contributions(model(rc="average"), CODES, "dev", REFERENCES)
    expected = zoo.explain.contributions(model(both_strands(WEIGHTS)), CODES, "dev", REFERENCES)
    np.testing.assert_allclose(found.hypothetical, expected.hypothetical, atol=1e-6)
    assert np.abs(found.delta).max() < 1e-5


def test_no_sequences_give_empty_arrays() -> None:
    found = zoo.explain.contributions(model(), CODES[:0], "dev", 3)
    assert (found.hypothetical.shape, found.actual.shape, found.delta.shape) == ((0, LENGTH, 4), (0, LENGTH, 4), (0,))


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"target": "dve"}, ["target", "dev, hk", "'dve'", "did you mean dev?"]),
        ({"target": 2}, ["target", "dev, hk", "got 2"]),
        ({"target": -1}, ["target", "dev, hk", "got -1"]),
        ({"references": 0}, ["references: ", "at least 1", "got 0"]),
        ({"references": 1.5}, ["references: ", "got 1.5"]),
        ({"seed": -1}, ["seed: ", "at least 0", "got -1"]),
        ({"references": REFERENCES[:, :, 1:]}, ["references: ", f"uint8 (6, R, {LENGTH})", "20"]),
        ({"references": REFERENCES[:3]}, ["references: ", f"uint8 (6, R, {LENGTH})", f"uint8 (3, 5, {LENGTH})"]),
        ({"references": REFERENCES[:, :0]}, ["references: ", f"uint8 (6, R, {LENGTH})", f"uint8 (6, 0, {LENGTH})"]),
        ({"references": REFERENCES + 3}, ["references: ", f"uint8 (6, R, {LENGTH})", "0 to 4", "uint8", "up to 6"]),
        ({"references": REFERENCES.astype(float)}, ["references: ", "0 to 4", "float64", "up to 3.0"]),
        ({"sequences": ["ACGT"]}, ["sequence 1", LENGTH, "got 4"]),
    ],
)
def test_bad_input_is_refused(changes: dict[str, object], facts: list[object]) -> None:
    arguments = {"sequences": CODES, "target": "dev", **changes}
    with refuses(*facts):
        zoo.explain.contributions(model(), **arguments)  # type: ignore[arg-type]
