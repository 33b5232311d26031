"""Each loss against PyTorch's own function: values, gradients, missing labels, shares of a batch, bad settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from refusals import refuses  # noqa: E402
from torch.nn import functional  # noqa: E402
from toy import Toy, trainer  # noqa: E402

from zoo.models import malinois  # noqa: E402
from zoo.training.config import TrainConfig  # noqa: E402
from zoo.training.losses import Loss  # noqa: E402
from zoo.training.notes import at_start  # noqa: E402

TARGETS = ("a", "b", "c")
GENERATOR = np.random.default_rng(0)
PREDICTED = torch.from_numpy(GENERATOR.normal(size=(12, 3)) * 2)
COUNTS = torch.from_numpy(GENERATOR.poisson(3.0, (12, 3)) + np.array([0.0, 0.0, 1.0]))
SHARES = COUNTS / COUNTS.sum(1, keepdim=True)


def loss(**settings: Any) -> Loss:
    return Loss(TrainConfig(**settings), TARGETS)


def poisson(predicted: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    best = observed.clamp(min=1e-12).log()
    values = (functional.poisson_nll_loss(one, observed, reduction="none") for one in (predicted, best))
    return next(values).mean(0).sum() - next(values).mean(0).sum()


def kl(predicted: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    shares = observed / observed.sum(1, keepdim=True)
    return functional.kl_div(predicted.log_softmax(1), shares, reduction="batchmean")


def of_targets(function: Any) -> Any:
    return lambda predicted, observed: sum(function(*both) for both in zip(predicted.T, observed.T, strict=True))


THEIRS = {
    "mse": of_targets(functional.mse_loss),
    "l1": of_targets(functional.l1_loss),
    "huber": of_targets(functional.huber_loss),
    "poisson": poisson,
    "kl": kl,
}


@pytest.mark.parametrize("name", THEIRS)
def test_each_loss_and_its_gradient_are_those_of_pytorch(name: str) -> None:
    ours, theirs = (PREDICTED.clone().requires_grad_() for _ in range(2))
    found, expected = loss(loss=name)(ours, COUNTS), THEIRS[name](theirs, COUNTS)
    torch.testing.assert_close(found, expected)
    found.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert loss(loss=name).of_arrays(PREDICTED.numpy(), COUNTS.numpy()) == pytest.approx(expected.item())


def test_poisson_has_the_gradient_of_cross_entropy_over_counts_and_kl_that_of_cross_entropy_over_bins() -> None:
    ours, theirs = (PREDICTED.clone().requires_grad_() for _ in range(2))
    loss(loss="poisson")(ours, COUNTS).backward()
    functional.poisson_nll_loss(theirs, COUNTS, reduction="sum").div(len(COUNTS)).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    ours, theirs = (PREDICTED.clone().requires_grad_() for _ in range(2))
    loss(loss="kl")(ours, COUNTS).backward()
    functional.cross_entropy(theirs, SHARES).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(("name", "best"), [("mse", COUNTS), ("poisson", COUNTS.log()), ("kl", COUNTS.log() + 5)])
def test_every_loss_is_0_for_a_perfect_prediction(name: str, best: torch.Tensor) -> None:
    assert float(loss(loss=name)(best.clamp(min=-700), COUNTS)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("weights", [[0.5, 2.0, 0.25], {"c": 0.25, "a": 0.5, "b": 2}, ["a=0.5", "b=2.0", "c=0.25"]])
@pytest.mark.parametrize("kinds", [["mse", "poisson", "l1"], {"b": "poisson", "c": "l1", "a": "mse"}])
def test_targets_have_losses_and_weights_of_their_own(kinds: Any, weights: Any) -> None:
    mixed = loss(loss=kinds, target_weights=weights)
    a, b, c = (slice(number, number + 1) for number in range(3))
    expected = 0.5 * THEIRS["mse"](PREDICTED[:, a], COUNTS[:, a]) + 2 * poisson(PREDICTED[:, b], COUNTS[:, b])
    expected = expected + 0.25 * THEIRS["l1"](PREDICTED[:, c], COUNTS[:, c])
    torch.testing.assert_close(mixed(PREDICTED, COUNTS), expected)


def test_bins_may_stand_beside_a_target_of_another_loss() -> None:
    mixed = loss(loss=["kl", "mse", "kl"], target_weights=[3, 1, 3])
    both = [0, 2]
    expected = 3 * kl(PREDICTED[:, both], COUNTS[:, both]) + functional.mse_loss(PREDICTED[:, 1], COUNTS[:, 1])
    torch.testing.assert_close(mixed(PREDICTED, COUNTS), expected)


def test_the_loss_of_malinois_is_that_of_its_authors_class() -> None:
    """L1KLmixed of boda2 with alpha 1 and beta 5: both terms are means over rows and targets, divided by 6."""
    recipe = TrainConfig(**malinois.RECIPE)
    l1 = functional.l1_loss(PREDICTED, COUNTS)
    logs = PREDICTED.log_softmax(1), COUNTS.log_softmax(1)
    divergence = functional.kl_div(*logs, reduction="none", log_target=True).mean()
    torch.testing.assert_close(Loss(recipe, TARGETS)(PREDICTED, COUNTS), (l1 + 5 * divergence) / 6)
    alone = Loss(recipe, TARGETS[:1])(PREDICTED[:, :1], COUNTS[:, :1])
    torch.testing.assert_close(alone, functional.l1_loss(PREDICTED[:, :1], COUNTS[:, :1]) / 18)


@pytest.mark.parametrize("settings", [{"loss": ["poisson", "mse", "l1"]}, {"loss": "kl"}, {"divergence": 0.5}])
def test_missing_labels_are_left_out_and_have_no_gradient(settings: dict[str, Any]) -> None:
    observed = COUNTS.clone()
    observed[3, 0] = observed[7, :] = observed[8, 2] = torch.nan
    predicted = PREDICTED.clone().requires_grad_()
    found = loss(**settings)(predicted, observed)
    found.backward()
    assert (predicted.grad[7] == 0).all()
    whole = ~observed.isnan().any(1)
    if settings == {"loss": "kl"}:
        torch.testing.assert_close(found, kl(PREDICTED[whole], COUNTS[whole]))
        assert (predicted.grad[[3, 8]] == 0).all()
        return
    assert predicted.grad[3, 0] == 0 or "divergence" in settings
    alone = [loss(loss=kind) for kind in settings.get("loss", ["mse"] * 3)]
    expected = sum(
        one(PREDICTED[~column.isnan()], COUNTS[~column.isnan()].where(torch.arange(3) == number, torch.nan))
        for number, (one, column) in enumerate(zip(alone, observed.T, strict=True))
    )
    between = functional.kl_div(
        PREDICTED[whole].log_softmax(1), COUNTS[whole].log_softmax(1), reduction="batchmean", log_target=True
    )
    torch.testing.assert_close(found, expected + settings.get("divergence", 0) * between)


@pytest.mark.parametrize("settings", [{"loss": ["kl", "mse", "kl"]}, {"loss": "l1", "divergence": 2.0}])
def test_the_shares_of_several_processes_add_up_to_the_loss_of_the_batch(settings: dict[str, Any]) -> None:
    observed = COUNTS.clone()
    observed[::5, 2] = torch.nan
    joint = loss(**settings)
    counts = joint.measured(observed).sum(0)
    shares = [joint(PREDICTED[rank::2], observed[rank::2], counts) for rank in range(2)]
    torch.testing.assert_close(shares[0] + shares[1], joint(PREDICTED, observed))


@pytest.mark.parametrize("name", THEIRS)
def test_no_constant_is_much_better_than_the_constant_with_which_a_diverging_loss_is_compared(name: str) -> None:
    def of(constant: torch.Tensor) -> torch.Tensor:
        return loss(loss=name)(constant.expand_as(SHARES), SHARES)

    constant = torch.zeros(3, dtype=SHARES.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([constant], max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        found = of(constant)
        found.backward()
        return found

    optimizer.step(closure)
    assert (
        of(constant).item() <= loss(loss=name).of_a_constant(SHARES.numpy()) * (1 + 1e-6) <= of(constant).item() * 1.1
    )


def test_bad_losses_and_weights_are_refused() -> None:
    for value, facts in (
        ("msee", ["loss", "msee", "mse"]),
        (["a=mse", "l1"], ["TARGET=VALUE", "l1"]),
        (["a=mse", "a=l1"], ["once"]),
        ({"a": "hinge"}, ["loss of a", "hinge"]),
    ):
        with refuses(*facts):
            TrainConfig(loss=value)
    for value, facts in ((["a=x"], ["target-weights of a", "x"]), ([-1.0], ["-1.0"]), ([float("inf")], ["inf"])):
        with refuses(*facts):
            TrainConfig(target_weights=value)
    for settings, facts in (
        ({"loss": ["mse", "l1"]}, ["loss", "3", "a, b, c", "got 2"]),
        ({"target_weights": {"a": 1, "x": 2}}, ["target-weights", "a, b, c", "a, x"]),
        ({"loss": ["kl", "mse", "mse"]}, ["kl", "several bins", "a"]),
        ({"loss": "kl", "target_weights": [1, 2, 2]}, ["kl", "weight"]),
    ):
        with refuses(*facts):
            loss(**settings)
    with refuses("poisson", "-1", "b"):
        loss(loss=["mse", "poisson", "mse"]).check(np.array([[-3, 2, 3], [1, -1, 2]], np.float32))
    with refuses("kl", "row 2"):
        loss(loss="kl").check(np.array([[0, 2, 3], [0, 0, 0]], np.float32))


def test_measurements_that_do_not_fit_the_loss_are_refused_before_the_training(tmp_path: Any) -> None:
    class Negative(Toy):
        def _split(self, seed: int, size: int) -> Any:
            split = super()._split(seed, size)
            split.targets[5, 1] = -0.5
            return split

    with refuses("poisson", "-0.5", "hk"):
        trainer(tmp_path / "run", source=Negative(), loss=["mse", "poisson"])


@pytest.mark.parametrize("kinds", [["mse", "poisson"], "kl"])
def test_a_training_lowers_the_loss_it_was_told_and_reports_it(kinds: Any, tmp_path: Any) -> None:
    made = trainer(tmp_path / "run", loss=kinds, epochs=6, learning_rate=0.02)
    made.run()
    names = {"hk"} if "mse" in kinds else {"dev", "hk"}
    line = next(line for line in at_start(made, "cpu") if "R2" in line)
    assert names == {name for name in ("dev", "hk") if name in line}
    first, *_, last = [row["validation_loss"] for row in made.progress.history]
    assert last < first
