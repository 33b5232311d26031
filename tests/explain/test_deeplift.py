"""DeepLIFT contributions against a sum over bases, of which they can be written down."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoints import random_codes
from explain.toy_model import LENGTH, WEIGHTS, both_strands, model, texts

import zoo
from zoo.dna.encoding import ONE_HOT
from zoo.dna.shuffle import references as shuffles
from zoo.errors import ZooError

CODES = np.random.default_rng(3).integers(0, 4, (6, LENGTH), np.uint8)
REFERENCES = np.random.default_rng(4).integers(0, 4, (6, 5, LENGTH), np.uint8)


def test_of_a_sum_they_are_its_terms_minus_those_of_the_references() -> None:
    found = zoo.explain.contributions(model(), texts(CODES), "hk", REFERENCES)
    terms = WEIGHTS[..., 1]
    expected = terms - (ONE_HOT[REFERENCES] * terms).sum(3).mean(1)[..., None]
    np.testing.assert_allclose(found.hypothetical, expected, atol=1e-6)
    np.testing.assert_allclose(found.actual, expected * ONE_HOT[CODES], atol=1e-6)
    assert np.abs(found.delta).max() < 1e-5
    assert found.hypothetical.dtype == found.actual.dtype == found.delta.dtype == np.float32


def test_a_number_of_references_stands_for_shuffles_of_each_sequence() -> None:
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


def test_delta_tells_of_contributions_that_do_not_sum_up() -> None:
    found = zoo.explain.contributions(model(factor=1.5), CODES, "dev", REFERENCES)
    activities = model().predict_codes(CODES)[:, 0]
    against = model().predict_codes(REFERENCES.reshape(-1, LENGTH))[:, 0].reshape(6, 5).mean(1)
    np.testing.assert_allclose(found.delta, 0.5 * (activities - against), atol=1e-5)


def test_of_the_mean_of_both_strands_they_are_those_of_the_model_that_is_the_mean() -> None:
    found = zoo.explain.contributions(model(rc="average"), CODES, "dev", REFERENCES)
    expected = zoo.explain.contributions(model(both_strands(WEIGHTS)), CODES, "dev", REFERENCES)
    np.testing.assert_allclose(found.hypothetical, expected.hypothetical, atol=1e-6)
    assert np.abs(found.delta).max() < 1e-5


def test_no_sequences_give_none() -> None:
    found = zoo.explain.contributions(model(), CODES[:0], "dev", 3)
    assert (found.hypothetical.shape, found.actual.shape, found.delta.shape) == ((0, LENGTH, 4), (0, LENGTH, 4), (0,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "dve"}, "targets: these weights predict dev, hk, got 'dve', did you mean dev?"),
        ({"target": 2}, "targets: these weights predict dev, hk, got 2"),
        ({"target": -1}, "targets: these weights predict dev, hk, got -1"),
        ({"references": 0}, "references: expected at least 1, got 0"),
        ({"references": 1.5}, "references: expected a whole number, got 1.5"),
        ({"seed": -1}, "seed: expected 0 to 2**64 - 1, got -1"),
        (
            {"references": REFERENCES[:, :, 1:]},
            f"references: expected base codes, uint8 (6, R, {LENGTH}) as the sequences are, got references of 20 bases",
        ),
        ({"references": REFERENCES[:3]}, f"expected base codes, uint8 (6, R, {LENGTH}), got uint8 (3, 5, {LENGTH})"),
        ({"references": REFERENCES[:, :0]}, f"expected base codes, uint8 (6, R, {LENGTH}), got uint8 (6, 0, {LENGTH})"),
        ({"references": REFERENCES + 3}, f"uint8 (6, R, {LENGTH}) from 0 to 4, got uint8 up to 6"),
        ({"references": REFERENCES.astype(float)}, f"uint8 (6, R, {LENGTH}) from 0 to 4, got float64 up to 3.0"),
        ({"sequences": ["ACGT"]}, f"sequence 1: expected {LENGTH} bases, got 4"),
    ],
)
def test_bad_input_is_told(changes: dict[str, object], message: str) -> None:
    arguments = {"sequences": CODES, "target": "dev", **changes}
    with pytest.raises(ZooError) as error:
        zoo.explain.contributions(model(), **arguments)  # type: ignore[arg-type]
    assert message in str(error.value)
