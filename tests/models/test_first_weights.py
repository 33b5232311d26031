"""Random weights before a training, where the authors of a network chose them."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from zoo import registry  # noqa: E402
from zoo.weights import lookup  # noqa: E402

PARTS = {"legnet": [""], "dream-cnn": ["blocks", "final"], "dream-rnn": ["final"]}


@pytest.mark.parametrize("variant", PARTS)
def test_convolutions_and_dense_layers_begin_as_the_authors_draw_them(variant: str) -> None:
    plugin = registry.load("models", lookup.variants()[variant])
    torch.manual_seed(0)
    network = plugin.network(plugin.VARIANTS[variant])
    layers = [layer for part in PARTS[variant] for layer in network.get_submodule(part).modules()]
    drawn = {nn.Conv1d: 0, nn.Linear: 0}
    for layer in layers:
        if isinstance(layer, nn.Conv1d | nn.Linear):
            wide = isinstance(layer, nn.Conv1d)
            expected = math.sqrt(2 / (layer.kernel_size[0] * layer.out_channels)) if wide else 0.001
            few = layer.weight.numel() < 1000
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.3 if few else 0.06)
            assert layer.bias is None or (layer.bias == 0).all()
            drawn[type(layer)] += 1
    assert min(drawn.values()) > 0
