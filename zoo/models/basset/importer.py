"""A Basset in another program's file -> Config and canonical arrays.

What is Basset's about it: three convolutions with the poolings of the paper, which no array tells. The rest is in
zoo/weights/convolutional.py.
"""

from __future__ import annotations

from zoo.errors import OtherArchitecture
from zoo.models.basset import BATCH_NORM_EPSILON, HEAD, Config, keras_graph, layer_norms
from zoo.weights.convolutional import Importer, Told
from zoo.weights.importers import imported_layers
from zoo.weights.importers.imported_layers import ImportedNetwork


def _config(found: ImportedNetwork, told: Told) -> Config:
    pools = tuple(told.settings.get("pools", Config.pools))
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
        dropout=told.dropout,
        sequence_length=imported_layers.sequence_length(found, positions, told.length, Config.sequence_length),
        targets=imported_layers.targets(found, told.given, told.names, Config.targets),
    )


IMPORTER = Importer(Config, HEAD, BATCH_NORM_EPSILON, layer_norms, f"{HEAD}_", _config, keras_graph.model)
