"""Basset (Kelley, Snoek, Rinn, Genome Research 2016, doi:10.1101/gr.200535.115), here as a regression of any targets.

The paper's network: three convolutions of 300 x 19, 200 x 11 and 200 x 7 without padding, max-pooled by 3, 4 and 4, and
two hidden layers of 1,000 units, each with batch norm, ReLU and dropout 0.3. The paper takes 600 bp and gives 164
probabilities of accessibility; here the output layer is linear, since activities are no probabilities, and the default
is 249 bp, the length of the STARR-seq fragments that the zoo began with. The length decides what the first hidden layer
sees: 400 features (200 filters at 2 positions) at 249 bp, 2,000 (200 at 10) at 600 bp.

What the zoo's contract for a model asks (zoo/contracts.py): the network as numbers, and where to find the rest. The
network itself is in torch_network.py, which needs PyTorch; this file does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import OtherArchitecture, ZooError
from zoo.spec import ALPHABET, check_targets

if TYPE_CHECKING:
    import numpy as np

    from zoo.layers.keras_layers import KerasModel
    from zoo.layers.plain import PlainLayers, PlainShape
    from zoo.models.basset.torch_network import Basset
    from zoo.weights.importers.layers import ImportedFile, ImportOptions

HEAD = "output"

BATCH_NORM_EPSILON = 1e-5
"""Added to the variance, as Torch7 does by default."""

BATCH_NORM_MOMENTUM = 0.1
"""Weight of the newest batch in the running statistics, as in Torch7 and PyTorch."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Dimensions of one network. A bad value is refused when the Config is made.

    filters, kernel_sizes, pools: one entry a convolution; a pool is the window and the stride of the max-pooling behind
    it.  dense_units: one entry a hidden layer.  dropout: probability after each hidden layer.  sequence_length: L,
    bases.  targets: names of the T outputs.
    """

    filters: tuple[int, ...] = (300, 200, 200)
    kernel_sizes: tuple[int, ...] = (19, 11, 7)
    pools: tuple[int, ...] = (3, 4, 4)
    dense_units: tuple[int, ...] = (1000, 1000)
    dropout: float = 0.3
    sequence_length: int = 249
    targets: tuple[str, ...] = ("dev", "hk")

    def __post_init__(self) -> None:
        for name in ("filters", "kernel_sizes", "pools", "dense_units"):
            values = self._as_tuple(name)
            if not values or any(type(value) is not int or value < 1 for value in values):
                raise ZooError(f"{name}: expected one or more whole numbers of at least 1, got {list(values)}")
        if not len(self.filters) == len(self.kernel_sizes) == len(self.pools):
            raise ZooError(
                f"filters, kernel_sizes and pools: expected one of each a convolution, got {len(self.filters)}, "
                f"{len(self.kernel_sizes)} and {len(self.pools)}"
            )
        if type(self.dropout) not in (int, float) or not 0 <= self.dropout < 1:
            raise ZooError(f"dropout: expected a probability of at least 0 and under 1, got {self.dropout!r}")
        shortest = self._shortest()
        if type(self.sequence_length) is not int or self.sequence_length < shortest:
            raise ZooError(
                f"sequence_length: expected at least {shortest} bases, which leave one position after the last "
                f"pooling, got {self.sequence_length!r}"
            )
        check_targets(self._as_tuple("targets"))

    def _as_tuple(self, name: str) -> tuple[Any, ...]:
        """Make the field `name`, which JSON gives as a list, a tuple."""
        value = getattr(self, name)
        if not isinstance(value, (list, tuple)):
            raise ZooError(f"{name}: expected a list, got {value!r}")
        object.__setattr__(self, name, tuple(value))
        return tuple(value)

    def _shortest(self) -> int:
        """Bases that leave one position after the last pooling."""
        length = 1
        for size, pool in zip(reversed(self.kernel_sizes), reversed(self.pools), strict=True):
            length = length * pool + size - 1
        return length

    @property
    def positions(self) -> tuple[int, ...]:
        """Length of the sequence axis before the first convolution and after each pooling: 249, 77, 16, 2."""
        return plain_shape(self).positions

    @property
    def flat_features(self) -> int:
        """Inputs of the first hidden layer, in (channel, position) order."""
        return self.filters[-1] * self.positions[-1]

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; `Config(**config.to_dict()) == config`."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}


VARIANTS = {"basset": Config()}

RECIPE = {"learning_rate": 0.001, "epsilon": 1e-8, "batch_size": 128}
"""Batches of the paper. Its learning rate of 0.002 belongs to RMSprop (momentum 0.98); the zoo's trainer has Adam, here
with the rate and the epsilon of Adam's authors (Kingma and Ba 2015, arXiv:1412.6980)."""


def array_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every float32 array of a weights file, first layer first.

    Convolution kernels are (filter, input channel, position), dense kernels (output, input), as in PyTorch; `output`
    holds one row a target. Names are those of the network's state dict.
    """
    channels = (len(ALPHABET), *config.filters[:-1])
    features = (config.flat_features, *config.dense_units)
    kernels: dict[str, tuple[int, ...]] = {}
    for number, sizes in enumerate(zip(config.filters, channels, config.kernel_sizes, strict=True), 1):
        kernels[f"conv{number}"] = sizes
    for number, units in enumerate(config.dense_units, 1):
        kernels[f"hidden{number}"] = (units, features[number - 1])
    kernels[HEAD] = (len(config.targets), features[-1])
    norms = layer_norms(config)
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, kernel in kernels.items():
        shapes |= {f"{layer}.weight": kernel, f"{layer}.bias": kernel[:1]}
        if layer in norms:
            ends = ("weight", "bias", "running_mean", "running_var")
            shapes |= {f"{norms[layer]}.{end}": kernel[:1] for end in ends}
    return shapes


def layer_norms(config: Config) -> dict[str, str]:
    """Layer -> the batch norm behind it, first layer first."""
    layers = [f"conv{number}" for number in range(1, len(config.filters) + 1)]
    layers += [f"hidden{number}" for number in range(1, len(config.dense_units) + 1)]
    return {layer: f"{layer}_bn" for layer in layers}


def network(config: Config) -> Basset:
    """The PyTorch network, freshly initialised. Needs the extra `train`."""
    from zoo.models.basset.torch_network import Basset

    return Basset(config)


def plain_shape(config: Config) -> PlainShape:
    """Sizes of the network as plain convolutions and matrices."""
    from zoo.layers.plain import PlainShape

    return PlainShape(
        config.filters,
        config.kernel_sizes,
        same=(False,) * len(config.filters),
        pools=config.pools,
        sequence_length=config.sequence_length,
        targets=len(config.targets),
    )


def plain_layers(config: Config, arrays: Mapping[str, np.ndarray]) -> PlainLayers:
    """The network as plain convolutions and matrices, batch norm folded in."""
    from zoo.layers import plain

    return plain.fold(plain_shape(config), arrays, layer_norms(config), HEAD, BATCH_NORM_EPSILON)


def read_layers(file: ImportedFile, options: ImportOptions) -> tuple[Config, dict[str, np.ndarray]]:
    """A Basset in another program's file -> Config and canonical arrays.

    Arrays do not show the sizes of the poolings: they are the paper's, except in a file that the zoo exported.
    """
    from zoo.weights.importers import layers

    found = layers.network(file)
    pools = tuple(file.spec.config.get("pools", Config.pools)) if file.spec else Config.pools
    if len(found.convolutions) != len(pools):
        raise OtherArchitecture(
            f"{file.path}: expected {len(pools)} convolutions as in Basset, got {len(found.convolutions)}"
        )

    def positions(bases: int) -> int:
        for size, pool in zip(found.kernel_sizes, pools, strict=True):
            bases = max(0, bases - size + 1) // pool
        return bases

    config = Config(
        filters=found.filters,
        kernel_sizes=found.kernel_sizes,
        pools=pools,
        dense_units=found.dense_units,
        dropout=Config.dropout if file.dropout is None else file.dropout,
        sequence_length=layers.sequence_length(
            file, positions, found.positions, options.length, Config.sequence_length
        ),
        targets=layers.targets(file, found, options.targets, f"{HEAD}_", Config.targets),
    )
    if file.graph is not None:
        file.graph.check(keras_model(config))
    return config, layers.arrays(file, found, options, layer_norms(config), HEAD, BATCH_NORM_EPSILON)


def keras_model(config: Config) -> KerasModel:
    """The network as Keras layers, under the names of its modules; output_1 is the first target."""
    from zoo.models.basset import keras_graph

    return keras_graph.model(config)
