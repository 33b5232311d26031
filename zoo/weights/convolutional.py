"""Networks of convolutions, then dense layers, in another program's file: what the importers of such models share.

A model says its own Config, its Keras graph and its names (Importer); how layers become canonical is in
imported_layers.py, how files are read in keras_h5.py and state_dict.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.spec import ALPHABET
from zoo.weights.importers import imported_layers, keras_h5, pytorch
from zoo.weights.importers.imported_layers import ImportedLayer, ImportedNetwork
from zoo.weights.importers.keras_h5 import KerasFile

if TYPE_CHECKING:
    from zoo.layers.keras_layers import KerasModel
    from zoo.weights.importers.importing import ImportOptions


@dataclasses.dataclass(frozen=True)
class Told:
    """What a file, or who imports it, says beside the layers; None where nobody does.

    length: of the sequences, bases.  given: names of the outputs, from the user; names: from the file.
    settings: of the Config, for a file of the zoo.
    """

    length: int | None
    given: Sequence[str]
    names: Sequence[str] | None
    dropout: float
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Importer:
    """What is one model's own. default: its Config class, whose defaults hold where a file says nothing.
    head, epsilon, layer_norms: its HEAD, the epsilon of its batch norm, and its `layer_norms`.
    output: what precedes the name of a target in the name of a Keras output.
    config: layers, and what is told beside them -> Config.  graph: Config -> the Keras graph that a file may have.
    """

    default: Any
    head: str
    epsilon: float
    layer_norms: Callable[[Any], Mapping[str, str]]
    output: str
    config: Callable[[ImportedNetwork, Told], Any]
    graph: Callable[[Any], KerasModel]

    def read_keras(self, file: KerasFile, options: ImportOptions) -> tuple[Any, dict[str, np.ndarray]]:
        """As importing.Reader says. Length and dropout come from the graph or the spec, where there is one."""
        found = keras_h5.network(file)
        told = Told(
            file.sequence_length if options.length is None else options.length,
            options.targets,
            keras_h5.output_names(file, found, self.output),
            self.default.dropout if file.dropout is None else file.dropout,
            file.spec.config if file.spec else {},
        )
        config = self.config(found, told)
        if file.graph is not None:
            file.graph.check(self.graph(config))
        epsilon = file.default_epsilon if options.epsilon is None else options.epsilon
        return config, self._arrays(found, config, options, "length", epsilon)

    def read_state_dict(
        self, layers: Sequence[ImportedLayer], options: ImportOptions, where: str
    ) -> tuple[Any, dict[str, np.ndarray]]:
        """As importing.Reader says."""
        found = imported_layers.network(layers, where)
        names = pytorch.output_names(found, self.default.targets)
        config = self.config(found, Told(options.length, options.targets, names, self.default.dropout))
        norms = self.layer_norms(config)
        flatten = imported_layers.unsaid(found, options.flatten, options.epsilon, norms, self.head)
        return config, self._arrays(found, config, options, flatten, options.epsilon)

    def _arrays(
        self, found: ImportedNetwork, config: Any, options: ImportOptions, flatten: str, epsilon: float | None
    ) -> dict[str, np.ndarray]:
        return imported_layers.arrays(
            found,
            self.layer_norms(config),
            self.head,
            flatten=flatten,
            alphabet=options.alphabet or ALPHABET,
            epsilon=epsilon,
            own_epsilon=self.epsilon,
        )
