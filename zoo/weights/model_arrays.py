"""Names and shapes of a model's arrays, and which of them belong to its head.

A model may list its arrays without PyTorch (`array_shapes`). For any other the network says: it is made without memory
for its weights, and what was found is kept in the cache, so that PyTorch is imported once for each network.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import zoo
from zoo import registry
from zoo.errors import BadPlugin, MissingDependency, ZooError, require
from zoo.system.atomic import replacing
from zoo.system.files import cache_path

if TYPE_CHECKING:
    from torch import nn

Shapes = Mapping[str, tuple[int, ...]]
"""Name of an array -> its shape, in the order of the network."""

COUNTER = "num_batches_tracked"
"""Last part of the names of batch counters, which are not weights."""


def shapes(architecture: str, config: Any) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every array of a weights file, in the order of the network's state dict.

    Raises MissingDependency if only the network can say and PyTorch is not installed, and BadPlugin if the network
    cannot be made or holds arrays that no weights file can hold.
    """
    plugin = registry.load("models", architecture)
    own = getattr(plugin, "array_shapes", None)
    if own:
        return dict(own(config))
    return dict(_of_network(architecture, json.dumps(config.to_dict()), plugin))


def known_shapes(architecture: str, config: Any) -> dict[str, tuple[int, ...]] | None:
    """The same; None if only the network can say and PyTorch is not installed."""
    try:
        return shapes(architecture, config)
    except MissingDependency:
        return None


def heads(architecture: str) -> tuple[str, ...]:
    """Names of the layers whose arrays depend on the targets; none if the model does not say."""
    found = getattr(registry.load("models", architecture), "HEAD", ())
    return (found,) if isinstance(found, str) else tuple(found)


def in_head(architecture: str, array: str) -> bool:
    """Whether an array belongs to one of `heads`."""
    return any(array.startswith(f"{head}.") for head in heads(architecture))


def layer_norms(architecture: str, config: Any) -> dict[str, str]:
    """Layer -> the batch norm right after it (contracts.ModelExtras); none if the model does not say."""
    own = getattr(registry.load("models", architecture), "layer_norms", None)
    return dict(own(config)) if own else {}


def state(module: nn.Module) -> dict[str, Any]:
    """The tensors of a network's state dict that are weights: all but batch counters.

    Raises BadPlugin for a tensor that is not of floating point numbers, which a weights file cannot hold.
    """
    found = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith(COUNTER)}
    for name, tensor in found.items():
        if not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise BadPlugin(
                f"network {type(module).__name__}: expected floats in its state dict, {name} is {kind}; "
                "keep constants out of it: register_buffer(name, tensor, persistent=False)"
            )
    return found


@lru_cache(maxsize=256)
def _of_network(architecture: str, config: str, plugin: Any) -> dict[str, tuple[int, ...]]:  # noqa: ARG001
    """Shapes of the network, kept in the cache. config: as JSON.  plugin: the module of the model as it is loaded."""
    code = registry.code_digest("models", architecture)
    key = hashlib.sha256(json.dumps([architecture, config, code, zoo.__version__]).encode()).hexdigest()
    path = cache_path("shapes") / f"{key}.json"
    try:
        return {name: tuple(map(int, shape)) for name, shape in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        pass  # absent or damaged: made again
    found = _made(architecture, json.loads(config))
    with contextlib.suppress(OSError, ZooError):  # a cache that cannot be written
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, overwrite=True) as partial:
            partial.write_text(json.dumps(found), "utf-8")
    return found


def _made(architecture: str, fields: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    require("torch", "train", f"the arrays of {architecture}")
    import torch

    plugin = registry.load("models", architecture)
    try:
        with torch.device("meta"):
            module = plugin.network(plugin.Config(**fields))
    except ZooError:
        raise
    except Exception as error:  # noqa: BLE001 - a mistake in another package, whatever it is, is one line
        raise BadPlugin(
            f"model {architecture!r}: its network cannot be made without memory for its weights "
            f"({type(error).__name__}: {error}); give the model array_shapes"
        ) from None
    return {name: tuple(tensor.shape) for name, tensor in state(module).items()}
