"""Networks of convolutions, then dense layers: what DeepSTARR, Basset and their relatives share. Needs no PyTorch.

Each convolution is followed by batch norm, ReLU and max-pooling, each hidden dense layer by batch norm, ReLU and
dropout; the output layer is linear, or has a sigmoid. A model adds its Config with its Conventions, and takes from here
the functions that zoo/contracts.py asks for. _convolutional_network.py is the network in PyTorch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from zoo.errors import OtherArchitecture, ZooError
from zoo.layers import plain
from zoo.layers.config import NetworkConfig
from zoo.layers.keras_layers import KerasLayer, KerasModel
from zoo.layers.plain import PlainLayers, PlainShape
from zoo.options import Bounds, names
from zoo.spec import ALPHABET

if TYPE_CHECKING:
    import numpy as np

    from zoo.weights.importers.layers import ImportedFile, ImportOptions


@dataclasses.dataclass(frozen=True)
class Conventions:
    """What an architecture fixes for networks of every size.

    name: name of the architecture, for messages.  dense: name of the hidden dense layers, before their number.  norm:
    what the name of a batch norm adds to that of its layer.  head: name of the output layer.  same: whether
    convolutions are padded to keep the length.  epsilon: added to the variance by batch norms.  momentum: weight of the
    newest batch in their running statistics, PyTorch's convention; Keras's is 1 minus it.  keras_output: name of an
    output in a Keras model, before that of its target.
    """

    name: str
    dense: str
    norm: str
    head: str
    same: bool
    epsilon: float
    momentum: float
    keras_output: str


@dataclasses.dataclass(frozen=True)
class ConvolutionalConfig(NetworkConfig):
    """Dimensions of one network; raises ZooError for values that do not make a network.

    filters, kernel_sizes: one entry for each convolution.  dense_units: one entry for each hidden dense layer.
    dropout: probability after each hidden dense layer.
    """

    conventions: ClassVar[Conventions]

    filters: Annotated[tuple[int, ...], Bounds(1)]
    kernel_sizes: Annotated[tuple[int, ...], Bounds(1)]
    dense_units: Annotated[tuple[int, ...], Bounds(1)]
    dropout: Annotated[float, Bounds(0, below=1)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.filters or not self.dense_units:
            raise ZooError(
                f"filters and dense_units: expected one or more layers of each, got {len(self.filters)} and "
                f"{len(self.dense_units)}"
            )
        if not len(self.filters) == len(self.kernel_sizes) == len(self.pools):
            raise ZooError(
                f"filters, kernel_sizes and pools: expected one of each for every convolution, got "
                f"{len(self.filters)}, {len(self.kernel_sizes)} and {len(self.pools)}"
            )
        shortest = 1
        for size, pool in zip(reversed(self.kernel_sizes), reversed(self.pools), strict=True):
            shortest = shortest * pool + (0 if self.conventions.same else size - 1)
        if self.sequence_length < shortest:
            raise ZooError(
                f"sequence_length: expected at least {shortest} bases, which leave one position after the last "
                f"pooling, got {self.sequence_length}"
            )

    @property
    def pools(self) -> tuple[int, ...]:
        """Window and stride of the max-pooling after each convolution."""
        raise NotImplementedError

    @property
    def sigmoid(self) -> bool:
        """Whether the outputs are probabilities."""
        return False

    @property
    def positions(self) -> tuple[int, ...]:
        """Length of the sequence axis before the first convolution and after each pooling."""
        return plain_shape(self).positions

    @property
    def flat_features(self) -> int:
        """Inputs of the first dense layer, in (channel, position) order."""
        return self.filters[-1] * self.positions[-1]


def array_shapes(config: ConvolutionalConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every float32 array of a canonical weights file, first layer first.

    Convolution kernels are (filter, input channel, position), dense kernels (output, input), as in PyTorch; the output
    layer has one row for each target. Names are those of the network's state dict.
    """
    kernels = [*zip(config.filters, (len(ALPHABET), *config.filters), config.kernel_sizes, strict=False)]
    features = (config.flat_features, *config.dense_units)
    dense = [*zip(config.dense_units, features, strict=False)]
    shapes: dict[str, tuple[int, ...]] = {}
    for (layer, norm), kernel in zip(layer_norms(config).items(), [*kernels, *dense], strict=True):
        shapes |= {f"{layer}.weight": kernel, f"{layer}.bias": kernel[:1]}
        shapes |= {f"{norm}.{name}": kernel[:1] for name in plain.NORM}
    head = config.conventions.head
    return {**shapes, f"{head}.weight": (len(config.targets), features[-1]), f"{head}.bias": (len(config.targets),)}


def layer_norms(config: ConvolutionalConfig) -> dict[str, str]:
    """Layer -> the batch norm after it, first layer first."""
    layers = [f"conv{number}" for number in range(1, len(config.filters) + 1)]
    layers += [f"{config.conventions.dense}{number}" for number in range(1, len(config.dense_units) + 1)]
    return {layer: layer + config.conventions.norm for layer in layers}


def plain_shape(config: ConvolutionalConfig) -> PlainShape:
    """Sizes of the network as plain convolutions and matrices."""
    return PlainShape(
        config.filters,
        config.kernel_sizes,
        same=(config.conventions.same,) * len(config.filters),
        pools=config.pools,
        sequence_length=config.sequence_length,
        targets=len(config.targets),
        sigmoid=config.sigmoid,
    )


def plain_layers(config: ConvolutionalConfig, arrays: Mapping[str, np.ndarray]) -> PlainLayers:
    """The network as plain convolutions and matrices, with batch norms folded in."""
    conventions = config.conventions
    return plain.fold(plain_shape(config), arrays, layer_norms(config), conventions.head, conventions.epsilon)


def keras_model(config: ConvolutionalConfig) -> KerasModel:
    """The network as Keras layers with the names of the PyTorch modules; output_1 is the first target of `output`."""
    conventions = config.conventions
    layers: list[KerasLayer] = []

    def add(name: str, class_name: str, flattened: tuple[int, int] | None = None, **settings: Any) -> None:
        layers.append(KerasLayer(name, class_name, name, settings, flattened=flattened))

    def add_norm_and_relu(layer: str) -> None:
        momentum = 1 - conventions.momentum
        add(layer + conventions.norm, "BatchNormalization", axis=-1, momentum=momentum, epsilon=conventions.epsilon)
        add(f"{layer}_relu", "Activation", activation="relu")

    padding = "same" if conventions.same else "valid"
    for number, pool in enumerate(config.pools, 1):
        layer, size = f"conv{number}", config.kernel_sizes[number - 1]
        add(layer, "Conv1D", filters=config.filters[number - 1], kernel_size=[size], strides=[1], padding=padding)
        add_norm_and_relu(layer)
        add(f"{layer}_pool", "MaxPooling1D", pool_size=[pool], strides=[pool], padding="valid")
    flat = (config.filters[-1], config.positions[-1])
    add("flatten", "Flatten", flat)
    for number, units in enumerate(config.dense_units, 1):
        layer = f"{conventions.dense}{number}"
        add(layer, "Dense", flat if number == 1 else None, units=units)
        add_norm_and_relu(layer)
        add(f"{layer}_dropout", "Dropout", rate=config.dropout)
    head = conventions.head
    settings = {"units": 1, **({"activation": "sigmoid"} if config.sigmoid else {})}
    outputs = [KerasLayer(f"{head}_{row + 1}", "Dense", head, settings, row) for row in range(len(config.targets))]
    return KerasModel(conventions.name, "one_hot", (*layers, *outputs))


def read_layers(
    default: ConvolutionalConfig,
    pools: tuple[int, ...],
    file: ImportedFile,
    options: ImportOptions,
    usual_length: int | None = None,
) -> tuple[Any, dict[str, np.ndarray]]:
    """A network of any size in another program's file -> Config and canonical arrays.

    default: gives the values that neither the file nor an option gives.  pools: those of the network, which no array
    shows.  usual_length: bases, if neither the file nor an option says it; the default's if it is None.
    Raises as importer.Reader says.
    """
    from zoo.weights.importers import layers

    found = layers.network(file)
    conventions = default.conventions
    if len(found.convolutions) != len(pools):
        raise OtherArchitecture(
            f"{file.path}: expected {len(pools)} convolutions as in {conventions.name}, got {len(found.convolutions)}"
        )

    def positions(bases: int) -> int:
        for size, pool in zip(found.kernel_sizes, pools, strict=True):
            bases = (bases if conventions.same else max(0, bases - size + 1)) // pool
        return bases

    sigmoid = default.sigmoid
    if file.graph is not None:
        sigmoid = file.graph.output_activation == "sigmoid"
    elif file.spec is not None:
        sigmoid = bool(file.spec.config.get("sigmoid", False))
    length = layers.sequence_length(
        file, positions, found.positions, options.length, usual_length or default.sequence_length
    )
    own = {"pools": pools, "pool_size": pools[0], "sigmoid": sigmoid}
    config = dataclasses.replace(
        default,
        filters=found.filters,
        kernel_sizes=found.kernel_sizes,
        dense_units=found.dense_units,
        dropout=default.dropout if file.dropout is None else file.dropout,
        sequence_length=length,
        targets=layers.targets(file, found, options.targets, conventions.keras_output, default.targets),
        **{name: value for name, value in own.items() if name in names(default)},
    )
    if file.graph is not None:
        file.graph.check(keras_model(config))
    return config, layers.arrays(file, found, options, layer_norms(config), conventions.head, conventions.epsilon)
