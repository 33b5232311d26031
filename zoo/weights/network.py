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
from zoo.spec import ALPHABET, listed
from zoo.weights import checkpoint, lookup, model_arrays
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
    missing = [name for name in missing if not name.endswith(model_arrays.COUNTER)]
    if missing or unexpected:
        raise ZooError(
            f"{weights.spec.architecture}: the arrays are not those of the network: "
            f"{f'it lacks {unexpected[0]}' if unexpected else f'{missing[0]} is missing'}"
        )
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
    Raises ZooError if the weights are of another architecture or of other sizes, or if the targets differ and the model
    does not say which layers are its head.
    """
    import torch

    architecture, other = weights.spec.architecture, f"weights {weights.spec.weights_id[:12]} are of another network"
    if not isinstance(module.config, type(weights.config)):
        raise ZooError(f"{other} than the one to train: their architecture is {architecture}")
    own = getattr(registry.load("models", architecture), "start_arrays", None)
    part = own(module.config, weights) if own else None
    if part is not None:
        for name, array in part.items():
            model_arrays.state(module)[name].copy_(torch.from_numpy(array))
        return False
    fresh_head = module.config.targets != weights.config.targets
    if fresh_head and not model_arrays.heads(architecture):
        raise ZooError(
            f"{other} than the one to train: they predict {listed(weights.config.targets)}, and the model "
            f"{architecture} does not say which layers depend on the targets (HEAD)"
        )
    state = model_arrays.state(module)
    for name in {**state, **weights.arrays}:
        if fresh_head and model_arrays.in_head(architecture, name):
            continue
        if name not in weights.arrays:
            raise ZooError(f"{other} than the one to train: they lack {name}")
        shape, array = tuple(state[name].shape) if name in state else None, weights.arrays[name]
        if shape != array.shape:
            raise ZooError(f"{other} than the one to train: {name} is {array.shape} there, {shape or 'absent'} here")
        state[name].copy_(torch.from_numpy(array))
    return fresh_head


def sizes(module: nn.Module, norms: Mapping[str, str]) -> dict[str, float]:
    """Layer before a batch norm -> root mean square of the lengths of its filters or units. norms: see rescale."""
    return {name: float(_lengths(layer).square().mean().sqrt()) for name, layer, _ in _pairs(module, norms)}


def rescale(module: nn.Module, norms: Mapping[str, str], fresh: Mapping[str, float]) -> None:
    """Make each filter and dense unit before a batch norm as large as a fresh one, in place.

    norms: layer -> the batch norm right after it (contracts.ModelExtras.layer_norms).  fresh: `sizes` of a fresh
    network.

    In evaluation mode the network computes the same, since the batch norm divides by the size. In training, a step then
    changes their direction as much as that of fresh ones: before a batch norm, weights only grow (van Laarhoven 2017,
    arXiv:1706.05350), up to a hundredfold in a long run, and the larger they are, the less a step changes their
    direction.
    Raises ZooError as `sizes` does if a batch norm cannot correct its layer's size.
    """
    import torch

    with torch.no_grad():
        for name, layer, norm in _pairs(module, norms):
            length = _lengths(layer)
            factor = torch.where(length > 0, fresh[name] / length, 1.0)
            variance = norm.running_var.double()
            # the gain corrects for epsilon, which is not scaled
            gain = ((factor.square() * variance + norm.eps) / (factor.square() * (variance + norm.eps))).sqrt()
            layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.ndim - 1)))
            if layer.bias is not None:
                layer.bias.mul_(factor)
            norm.running_mean.mul_(factor)
            norm.running_var.mul_(factor.square())
            norm.weight.mul_(gain)


def _pairs(module: nn.Module, norms: Mapping[str, str]) -> list[tuple[str, Any, Any]]:
    """Name of a layer, the layer, and its batch norm. Raises ZooError unless the norm has a scale and statistics for
    each filter of the layer."""
    layers = dict(module.named_modules())
    for name, norm in norms.items():
        scale, mean = (getattr(layers.get(norm), array, None) for array in ("weight", "running_mean"))
        filters = len(getattr(layers.get(name), "weight", ()))
        if scale is None or mean is None or not len(scale) == len(mean) == filters:
            raise ZooError(
                f"layer_norms: expected a batch norm with a scale and statistics for each of the {filters} filters of "
                f"{name}, {norm} is {type(layers.get(norm)).__name__}"
            )
    return [(name, layers[name], layers[norm]) for name, norm in norms.items()]


def _lengths(layer: Any) -> torch.Tensor:
    """Length of each filter or unit, as a vector of its weights; float64 (filters,)."""
    return layer.weight.detach().double().flatten(1).norm(dim=1)


def arrays(module: nn.Module) -> dict[str, np.ndarray]:
    """Canonical arrays of a network: its state dict as float32 NumPy copies, without BatchNorm's batch counters.

    Raises BadPlugin for a tensor that is not of floating point numbers.
    """
    state = model_arrays.state(module)
    return {name: tensor.detach().cpu().float().numpy().copy() for name, tensor in state.items()}


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
