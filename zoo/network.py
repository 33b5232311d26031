"""Checkpoint <-> PyTorch network. The only place where canonical arrays become tensors and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo import checkpoint, registry
from zoo.checkpoint import Checkpoint
from zoo.errors import MissingDependency

if TYPE_CHECKING:
    from torch import nn


def require_torch() -> None:
    """Raise MissingDependency, with the command that helps, where PyTorch is not installed."""
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise MissingDependency("PyTorch is not installed; pip install 'deepstarr-zoo[train]' brings it")


def from_checkpoint(weights: Checkpoint) -> nn.Module:
    """The network with its weights, in evaluation mode, on the CPU. Its parameters share no memory with `weights`."""
    require_torch()
    import torch

    module = registry.load("models", weights.spec.architecture).network(weights.config)
    state = {name: torch.from_numpy(array.copy()) for name, array in weights.arrays.items()}
    missing, unexpected = module.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise RuntimeError(f"{weights.spec.architecture}: array_shapes and network disagree: {missing} {unexpected}")
    return module.eval()


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
