"""Which arrays a training changes: frozen layers keep theirs to the bit, adapters change them in few directions.

An adapter (LoRA: Hu et al. 2021, arXiv:2106.09685) adds a product of two narrow matrices to the frozen weights W of a
dense or convolution layer, W + B A, and only B and A are trained. The sum is an ordinary weight, which `merged` puts
back, so a weights file knows no adapters. Needs PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from zoo.errors import ZooError, did_you_mean, nearest_first
from zoo.spec import listed
from zoo.training.config import TrainConfig
from zoo.weights import model_arrays, network

TRUNK = "trunk"
"""In `freeze`: every layer but the head."""

EXCEPT = "!"
"""In `freeze`, before a name: the layer is trained, whatever came before, as in a .gitignore file."""

ADAPTED = (nn.Linear, nn.Conv1d, nn.Conv2d)
"""Kinds of layers that adapters are added to. The first axis of their weights are the outputs."""


class LowRank(nn.Module):
    """Weights, float (outputs, ...) -> the same and B A, where A is random and B begins with zeros."""

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__()
        outputs, inputs = len(weight), weight[0].numel()
        rank = min(rank, outputs, inputs)
        self.a = nn.Parameter(torch.empty(rank, inputs, dtype=weight.dtype, device=weight.device))
        self.b = nn.Parameter(torch.zeros(outputs, rank, dtype=weight.dtype, device=weight.device))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (self.b @ self.a).view_as(weight)


def prepare(module: nn.Module, architecture: str, settings: TrainConfig, given: bool) -> list[nn.Module]:
    """Freeze layers and add adapters as `settings` say. given: whether the network has given weights.

    Returns the modules whose running statistics stay unchanged; they must be in evaluation mode in a step.
    Raises ZooError for settings that keep given weights without any, and as `frozen` and `add_adapters` do.
    """
    patterns = settings.freeze or ((TRUNK,) if settings.adapter_rank else ())
    for name in ("freeze_batch_norm", "freeze", "adapter_rank"):
        if getattr(settings, name) and not given:
            raise ZooError(f"{name}: there are no weights to keep; give some with --start")
    untrained = [name for name, one in module.named_parameters() if not one.requires_grad]
    if untrained and not given:
        raise ZooError(
            f"{architecture}: {untrained[0].rpartition('.')[0]} and others are not trained; give their weights with "
            "--start"
        )
    if patterns and settings.rescale_start:
        raise ZooError("rescale_start: changes the layers that freeze and adapter_rank keep; omit one of them")
    kept = batch_norms(module) if settings.freeze_batch_norm else []
    if patterns:
        kept += freeze(module, frozen(module, architecture, patterns))
    if settings.adapter_rank:
        add_adapters(module, settings.adapter_rank)
    return kept


def batch_norms(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]


def frozen(module: nn.Module, architecture: str, patterns: Sequence[str]) -> set[str]:
    """Names of the arrays of a network that `patterns` freeze.

    patterns: names of layers, or patterns such as conv*, each with all that is inside the layer; TRUNK; and exceptions.
    Raises ZooError for a pattern that names no layer, TRUNK for a model that names no head, and if nothing is left.
    """
    arrays = list(model_arrays.state(module))
    found: set[str] = set()
    for pattern in patterns:
        name = pattern.removeprefix(EXCEPT)
        matching = {array for array in arrays if _matches(array, name, architecture)}
        if not matching:
            layers = list(dict.fromkeys(array.rpartition(".")[0] for array in arrays))
            raise ZooError(
                f"freeze: no layer is called {name!r}{did_you_mean(name, layers)}; the layers of {architecture} are "
                f"{listed(nearest_first(name, layers))}"
            )
        found = found - matching if pattern != name else found | matching
    if not {name for name, _ in module.named_parameters()} - found:
        raise ZooError(f"freeze: {', '.join(patterns)} freezes every layer, so there is nothing to train")
    return found


def _matches(array: str, pattern: str, architecture: str) -> bool:
    if pattern == TRUNK:
        if not model_arrays.heads(architecture):
            raise ZooError(f"freeze: the model {architecture} does not say which layers are its head; name the layers")
        return not model_arrays.in_head(architecture, array)
    parts = array.split(".")
    return any(fnmatchcase(".".join(parts[:end]), pattern) for end in range(1, len(parts) + 1))


def freeze(module: nn.Module, arrays: Collection[str]) -> list[nn.Module]:
    """Exclude these arrays from training. Returns the modules with frozen running statistics, such as batch norms,
    which must be in evaluation mode in a step."""
    for name, parameter in module.named_parameters():
        if name in arrays:
            parameter.requires_grad_(False)
    return [
        layer
        for path, layer in module.named_modules()
        if any(f"{path}.{name}".removeprefix(".") in arrays for name, _ in layer.named_buffers(recurse=False))
    ]


def add_adapters(module: nn.Module, rank: int) -> int:
    """Add adapters to the frozen dense and convolution layers. Returns how many layers have one.

    Raises ZooError if there is none.
    """
    layers: list[Any] = [layer for layer in module.modules() if isinstance(layer, ADAPTED)]
    layers = [layer for layer in layers if not layer.weight.requires_grad]
    if not layers:
        raise ZooError("adapter_rank: there is no frozen dense or convolution layer to add adapters to")
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, rank))
    return len(layers)


def merged(module: nn.Module) -> dict[str, np.ndarray]:
    """Canonical arrays of a network, float32, with its adapters added to the weights."""
    arrays = network.arrays(module)
    for path, layer in module.named_modules():
        if parametrize.is_parametrized(layer, "weight"):
            parts = f"{path}.parametrizations.weight."
            arrays = {name: array for name, array in arrays.items() if not name.startswith(parts)}
            arrays[f"{path}.weight"] = layer.weight.detach().float().cpu().numpy()
    return arrays


def trained_numbers(module: nn.Module) -> int:
    """How many numbers a training changes."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
