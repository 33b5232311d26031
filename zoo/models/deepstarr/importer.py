"""A DeepSTARR of any size in another program's file -> Config and canonical arrays.

What is DeepSTARR's about it: how its length shrinks, and the names in its Keras graph. The rest is in
zoo/weights/convolutional.py.
"""

from __future__ import annotations

import dataclasses

from zoo.layers.keras_layers import KerasModel
from zoo.models.deepstarr import BATCH_NORM_EPSILON, HEAD, Config, keras_graph, layer_norms, positions
from zoo.weights.convolutional import Importer, Told
from zoo.weights.importers import imported_layers
from zoo.weights.importers.imported_layers import ImportedNetwork


def _config(found: ImportedNetwork, told: Told) -> Config:
    depth = len(found.filters)
    return Config(
        filters=found.filters,
        kernel_sizes=found.kernel_sizes,
        dense_units=found.dense_units,
        dropout=told.dropout,
        sequence_length=imported_layers.sequence_length(
            found, lambda bases: positions(bases, depth), told.length, Config.sequence_length
        ),
        targets=imported_layers.targets(found, told.given, told.names, Config.targets),
    )


def _graph(config: Config) -> KerasModel:
    # under names that any Keras takes: those of the targets may be others
    return keras_graph.model(dataclasses.replace(config, targets=Config.targets))


IMPORTER = Importer(Config, HEAD, BATCH_NORM_EPSILON, layer_norms, keras_graph.OUTPUT, _config, _graph)
