"""DeepLIFT of networks with products and adaptive pooling, for which the PyTorch runtimes have rules of their own."""

from __future__ import annotations

import numpy as np
import pytest
from refusals import refuses

from zoo.explain import methods
from zoo.options import RunOptions
from zoo.prediction.model import Model
from zoo.prediction.session import Session
from zoo.spec import ModelSpec
from zoo.weights import network
from zoo.weights.checkpoint import Checkpoint

torch = pytest.importorskip("torch")
pytest.importorskip("tangermeme", reason="tangermeme is not installed; see extra explain")
nn = torch.nn

LENGTH = 41
CODES = np.random.default_rng(0).integers(0, 4, (4, LENGTH), np.uint8)


ORDERS = ["channels * gate", "gate * channels", "torch.mul", "square", "adaptive pooling", "matmul", "@"]


class Gated(nn.Module):
    """Convolution, squeeze-and-excitation, and a readout. order: in which the gate and the channels are multiplied."""

    def __init__(self, order: str, gate: type[nn.Module] = nn.Sigmoid) -> None:
        super().__init__()
        self.order = order
        self.convolution, self.relu = nn.Conv1d(4, 6, 5), nn.ReLU()
        self.excitation, self.gate = nn.Linear(6, 6), gate()
        self.pool = nn.AdaptiveMaxPool1d(3)
        self.scale = nn.Parameter(torch.rand(6, 1))
        self.readout = nn.Linear(6, 2)

    def forward(self, one_hot: torch.Tensor) -> torch.Tensor:
        channels = self.relu(self.convolution(one_hot)) * self.scale
        gate = self.gate(self.excitation(channels.mean(2))).unsqueeze(2)
        product = {
            "channels * gate": lambda: channels * gate,
            "gate * channels": lambda: gate * channels,
            "torch.mul": lambda: torch.mul(channels, gate),
            "square": lambda: channels * channels,
            "matmul": lambda: channels.matmul(channels.mT.matmul(channels)) * 1e-3,
            "@": lambda: (channels @ channels.mT) @ channels * 1e-3,
            "adaptive pooling": lambda: self.pool(channels * gate),
        }[self.order]()
        return self.readout(product.sum(2))


class Sine(nn.Module):
    """An activation that no rule covers."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.sin()


def model(module: nn.Module, monkeypatch: pytest.MonkeyPatch) -> Model:
    from zoo import registry

    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    monkeypatch.setattr(network, "from_checkpoint", lambda _: module.eval())
    spec = ModelSpec("gated", {}, LENGTH, ("a", "b"), "0" * 64, "made here", "none")
    start = registry.load("runtimes", "torch").start
    return Model(Session(start(Checkpoint(spec, {}), "cpu", RunOptions(threads=1)), "torch-cpu"))


@pytest.mark.parametrize("order", ORDERS)
def test_contributions_through_a_gate_add_up_to_the_prediction(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    running = model(Gated(order), monkeypatch)
    found = methods.contributions(running, CODES, "a", 10)
    assert np.abs(found.delta).max() < 1e-4
    assert np.abs(found.actual.sum((1, 2))).max() > 0.05


def test_an_activation_without_a_rule_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    running = model(Gated("channels * gate", Sine), monkeypatch)
    with refuses("delta", "zoo.explain.ism", "docs/explain.md"):
        methods.contributions(running, CODES, "a", 10)
    assert np.abs(methods.contributions(running, CODES, "a", 10, force=True).delta).max() > 1e-3


def test_a_product_outside_deeplift_keeps_its_derivative(monkeypatch: pytest.MonkeyPatch) -> None:
    module = Gated("channels * gate")
    gradient = model(module, monkeypatch).session.gradient(CODES, 1)
    bases = torch.nn.functional.one_hot(torch.from_numpy(CODES.astype(np.int64)), 4).float().mT.requires_grad_()
    (expected,) = torch.autograd.grad(module(bases)[:, 1].sum(), bases)
    np.testing.assert_allclose(gradient, expected.mT.numpy(), rtol=1e-5, atol=1e-6)
