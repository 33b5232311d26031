"""A Basset in another program's file -> Config and canonical arrays.

What is Basset's about it: three convolutions with the poolings of the paper, which no array tells. How layers become
canonical is in zoo/weights/imported_layers.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import OtherArchitecture
from zoo.models.basset import BATCH_NORM_EPSILON, HEAD, Config, keras_graph, layer_norms
from zoo.spec import ALPHABET
from zoo.weights import imported_layers, keras_h5, state_dict
from zoo.weights.imported_layers import ImportedLayer, ImportedNetwork
from zoo.weights.keras_h5 import KerasFile

if TYPE_CHECKING:
    from zoo.weights.importing import ImportOptions


def read_keras(file: KerasFile, options: ImportOptions) -> tuple[Config, dict[str, np.ndarray]]:
    """As contracts.ModelExtras says. Length and dropout come from the graph or the spec, where there is one."""
    found = keras_h5.network(file)
    length = file.sequence_length if options.length is None else options.length
    told = keras_h5.output_names(file, found, f"{HEAD}_")
    dropout = Config.dropout if file.dropout is None else file.dropout
    pools = file.spec.config.get("pools", Config.pools) if file.spec else Config.pools
    config = _config(found, options, length, told, dropout, tuple(pools))
    if file.graph is not None:
        file.graph.check(keras_graph.model(config))
    epsilon = file.default_epsilon if options.epsilon is None else options.epsilon
    return config, _arrays(found, config, options, "length", epsilon)


def read_state_dict(
    layers: Sequence[ImportedLayer], options: ImportOptions, where: str
) -> tuple[Config, dict[str, np.ndarray]]:
    """As contracts.ModelExtras says."""
    found = imported_layers.network(layers, where)
    told = state_dict.output_names(found, Config.targets)
    config = _config(found, options, options.length, told, Config.dropout, Config.pools)
    flatten = imported_layers.unsaid(found, options.flatten, options.epsilon, layer_norms(config), HEAD)
    return config, _arrays(found, config, options, flatten, options.epsilon)


def _config(
    found: ImportedNetwork,
    options: ImportOptions,
    length: int | None,
    told: Sequence[str] | None,
    dropout: float,
    pools: tuple[int, ...],
) -> Config:
    """told: names of the outputs as the file has them."""
    if len(found.convolutions) != len(pools):
        raise OtherArchitecture(
            f"{found.where}: expected {len(pools)} convolutions as in Basset, got {len(found.convolutions)}"
        )

    def positions(bases: int) -> int:
        for size, pool in zip(found.kernel_sizes, pools, strict=True):
            bases = max(0, bases - size + 1) // pool
        return bases

    return Config(
        filters=found.filters,
        kernel_sizes=found.kernel_sizes,
        pools=pools,
        dense_units=found.dense_units,
        dropout=dropout,
        sequence_length=imported_layers.sequence_length(found, positions, length, Config.sequence_length),
        targets=imported_layers.targets(found, options.targets, told, Config.targets),
    )


def _arrays(
    found: ImportedNetwork, config: Config, options: ImportOptions, flatten: str, epsilon: float | None
) -> dict[str, np.ndarray]:
    return imported_layers.arrays(
        found,
        layer_norms(config),
        HEAD,
        flatten=flatten,
        alphabet=options.alphabet or ALPHABET,
        epsilon=epsilon,
        own_epsilon=BATCH_NORM_EPSILON,
    )
