"""A network of another program, kept as its ONNX graph.

Its layers are in its .onnx file, which `zoo import` writes, and nowhere else: there is no PyTorch network, and nothing
to train. The frame in its ModelSpec (zoo/frame.py) says what the graph expects and gives.
"""

from __future__ import annotations

import dataclasses
from typing import NoReturn

from zoo.errors import ZooError
from zoo.frame import Frame
from zoo.layers.config import NetworkConfig


@dataclasses.dataclass(frozen=True)
class Config(NetworkConfig):
    """The dimensions of the graph, see NetworkConfig."""


VARIANTS: dict[str, Config] = {}


def config_of_graph(frame: Frame, sequence_length: int) -> Config:
    """The Config of a graph with this frame, for sequences of this many bases."""
    return Config(sequence_length, tuple(target.name for target in frame.targets))


def array_shapes(config: Config) -> dict[str, tuple[int, ...]]:  # noqa: ARG001
    """No arrays: they are in the graph."""
    return {}


def network(config: Config) -> NoReturn:  # noqa: ARG001
    """Raises ZooError, since there is no PyTorch network."""
    raise ZooError("an imported network is an ONNX graph, not a PyTorch network; run its .onnx file on onnx-cpu")
