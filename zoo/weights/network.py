"""Checkpoint <-> PyTorch network. Only here do canonical arrays become tensors, and tensors arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import registry
from zoo.errors import ZooError, require
from zoo.options import check_kind
from zoo.spec import ALPHABET
from zoo.weights import checkpoint, lookup
from zoo.weights.checkpoint import Checkpoint

if TYPE_CHECKING:
    import torch
    from torch import nn


def from_checkpoint(weights: Checkpoint) -> nn.Module:
    """The network with its weights, in evaluation mode, on the CPU. Its parameters share no memory with `weights`."""
    require("torch", "train")
    import torch

    module = registry.load("models", weights.spec.architecture).network(weights.config)
    state = {name: torch.from_numpy(array.copy()) for name, array in weights.arrays.items()}
    missing, unexpected = module.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise RuntimeError(f"{weights.spec.architecture}: array_shapes and network disagree: {missing} {unexpected}")
    return module.eval()


def torch_module(weights: str | Path) -> nn.Module:
    """The PyTorch network with its weights, in evaluation mode, on the CPU: float (N, 4, L) -> float (N, T).

    weights: a name, "original" or "original:published", or a .safetensors file. Channels are A, C, G, T; see
    zoo.one_hot(..., channels_first=True). Raises ZooError unless `weights` names weights, MissingDependency without
    PyTorch.
    """
    require("torch", "train")
    check_kind("weights", weights, str | Path)
    return from_checkpoint(lookup.load(weights=weights))


def begin_with(module: nn.Module, weights: Checkpoint) -> bool:
    """Copy weights into a network before training, except the head if the targets differ.

    Returns whether the head kept its own weights.
    Raises ZooError if the weights are of another architecture or of other sizes.
    """
    import torch

    begin = weights.spec.weights_id[:12]
    if not isinstance(module.config, type(weights.config)):
        raise ZooError(
            f"weights {begin} are of another network than the one to train: their architecture is "
            f"{weights.spec.architecture}"
        )
    head = registry.load("models", weights.spec.architecture).HEAD
    same_targets = module.config.targets == weights.config.targets
    state = module.state_dict()
    for name, array in weights.arrays.items():
        if name.startswith(f"{head}.") and not same_targets:
            continue
        shape = tuple(state[name].shape) if name in state else None
        if shape != array.shape:
            raise ZooError(
                f"weights {begin} are of another network than the one to train: "
                f"{name} is {array.shape} there, {shape or 'absent'} here"
            )
        state[name].copy_(torch.from_numpy(array))
    absent = sorted(name for name in arrays(module) if name not in weights.arrays)
    if absent:
        raise ZooError(f"weights {begin} are of another network than the one to train: they lack {absent[0]}")
    return not same_targets


def sizes(module: nn.Module, norms: Mapping[str, str]) -> dict[str, float]:
    """Layer before a batch norm -> root mean square of the lengths of its filters or units. norms: see rescale."""
    layers = dict(module.named_modules())
    return {name: float(_lengths(layers[name]).square().mean().sqrt()) for name in norms}


def rescale(module: nn.Module, norms: Mapping[str, str], fresh: Mapping[str, float]) -> None:
    """Make each filter and dense unit before a batch norm as large as a fresh one, in place.

    norms: layer -> the batch norm behind it (contracts.Model.layer_norms).  fresh: `sizes` of a fresh network.

    In evaluation mode the network computes the same, since the batch norm divides by the size. In training, a step then
    changes their direction as much as that of fresh ones: before a batch norm, weights only grow (van Laarhoven 2017,
    arXiv:1706.05350), up to a hundredfold in a long run, and the larger they are, the less a step changes their
    direction.
    """
    import torch

    layers = dict(module.named_modules())
    with torch.no_grad():
        for name, norm in ((name, layers[norm]) for name, norm in norms.items()):
            layer = layers[name]
            length = _lengths(layer)
            factor = torch.where(length > 0, fresh[name] / length, 1.0)
            variance = norm.running_var.double()
            # the gain corrects for epsilon, which is not scaled
            gain = ((factor.square() * variance + norm.eps) / (factor.square() * (variance + norm.eps))).sqrt()
            layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.ndim - 1)))
            layer.bias.mul_(factor)
            norm.running_mean.mul_(factor)
            norm.running_var.mul_(factor.square())
            norm.weight.mul_(gain)


def _lengths(layer: Any) -> torch.Tensor:
    """Length of each filter or unit, as a vector of its weights; float64 (filters,)."""
    return layer.weight.detach().double().flatten(1).norm(dim=1)


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    """Canonical arrays of a network: its state dict as float32 NumPy copies, without BatchNorm's batch counters."""
    return {
        name: tensor.detach().cpu().float().numpy().copy()
        for name, tensor in module.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def to_checkpoint(module: nn.Module, architecture: str, source: str, licence: str) -> Checkpoint:
    """The network's weights, copied: later training of `module` does not change the result."""
    return checkpoint.make(architecture, module.config, arrays(module), source, licence)


def arithmetic(architecture: str, config: Any) -> int:
    """Floating-point operations of one forward pass over one sequence, as PyTorch counts them on the network, without
    memory for its weights: those of products, a multiplication and an addition each, and an addition for each weight
    that is looked up."""
    require("torch", "train")
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    looked_up = {torch.ops.aten.gather: lambda *_, out_shape, **__: math.prod(out_shape)}
    with FakeTensorMode(allow_non_fake_inputs=True), torch.inference_mode():
        module = registry.load("models", architecture).network(config).eval()
        one_hot = torch.empty(1, len(ALPHABET), config.sequence_length)
        with FlopCounterMode(display=False, custom_mapping=looked_up) as counter:
            module(one_hot)
    return counter.get_total_flops()
