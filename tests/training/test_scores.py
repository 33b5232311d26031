"""The numbers of an epoch: what counts in the loss by which the best weights are chosen."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from zoo.training import scores  # noqa: E402
from zoo.training.config import TrainConfig  # noqa: E402
from zoo.training.losses import Loss  # noqa: E402

MSE = Loss(TrainConfig(), ("a", "b"))
OBSERVED = np.array([[1, 5], [2, np.nan], [3, 7], [4, np.nan]], np.float32)


def test_the_loss_is_the_sum_of_the_mean_squared_errors_of_the_targets() -> None:
    found = scores.columns("validation", MSE, OBSERVED, np.zeros((4, 2), np.float32))
    assert found["validation_loss"] == (1 + 4 + 9 + 16) / 4 + (25 + 49) / 2
    found = scores.columns("validation", MSE, np.where([True, False], OBSERVED, np.nan), np.zeros((4, 2)))
    assert (found["validation_loss"], found["validation_mse_b"]) == (7.5, None)
    nothing = np.full((4, 2), np.nan, np.float32)
    assert scores.columns("train", MSE, nothing, nothing)["train_loss"] is None


@pytest.mark.parametrize("places", [[(0, 0)], [(0, 0), (0, 1)], [(0, 1), (2, 1)], [(2, 0)]])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_prediction_that_is_not_finite_leaves_no_loss(places: list[tuple[int, int]], value: float) -> None:
    predicted = np.nan_to_num(OBSERVED)
    for place in places:
        predicted[place] = value
    found = scores.columns("validation", MSE, OBSERVED, predicted)
    assert found["validation_loss"] is None
    for target, name in enumerate("ab"):
        finite = all(place[1] != target for place in places)
        assert found[f"validation_mse_{name}"] == (0.0 if finite else None)
