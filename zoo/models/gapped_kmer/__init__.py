"""Gapped k-mer counts with a linear readout (Ghandi, Lee, Mohammad-Noori, Beer, PLoS Computational Biology 2014,
doi:10.1371/journal.pcbi.1003711): the features of gkm-SVM, here trained by the squared error on any targets.

Every window of `word_length` bases is one word. It contributes a gapped word for each choice of `informative` of its
positions; the bases between them do not matter. The activity of a target is a bias and, for each gapped word, its count
times a weight: log2 activity an occurrence. A gapped word and its reverse complement are one feature with one weight,
so that both strands get the same number. Their count is the number of windows that hold either; one that is its own
reverse complement counts once, as in counts of canonical k-mers. A window that holds an N, in a gap too, contributes
nothing. informative = word_length gives plain k-mers.

Size: 57,472 weights a target for words of 8 bases with 6 informative (28 gapped words a window), 2,703,360 for 11 with
7 (330 a window). All gapped words of a window together are a function of the window alone, so that engines without
PyTorch look up one sum a window, in a table of 4^word_length rows: 0.5 MB for 8 bases and two targets, 34 MB for 11.

What the zoo's contract for a model asks (zoo/contracts.py). words.py says which gapped word is which weight,
torch_network.py is the network, graph.py the same as an ONNX graph.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.spec import ALPHABET, check_targets

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from zoo.layers.onnx_graph import Tensors
    from zoo.models.gapped_kmer.torch_network import GappedKmer

HEAD = "readout"

LONGEST_WORD = 12
"""Bases. Words are numbered in float32 somewhere on their way, which holds every whole number up to 4^12 = 2^24."""

MOST_WEIGHTS = 1 << 24
"""For each target. A hundred times the default, and more than any training set can determine."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Dimensions of one network. A bad value is refused when the Config is made.

    word_length: bases of a word, gaps included.  informative: how many of them a gapped word names.
    sequence_length: L, bases.  targets: names of the T outputs.
    """

    word_length: int = 8
    informative: int = 6
    sequence_length: int = 249
    targets: tuple[str, ...] = ("dev", "hk")

    def __post_init__(self) -> None:
        self._require("word_length", 1, LONGEST_WORD, "bases")
        self._require("informative", 1, self.word_length, "positions, at most the word_length")
        if type(self.sequence_length) is not int or self.sequence_length < self.word_length:
            raise ZooError(
                f"sequence_length: expected at least the word_length, {self.word_length} bases, "
                f"got {self.sequence_length!r}"
            )
        if not isinstance(self.targets, (list, tuple)):
            raise ZooError(f"targets: expected a list, got {self.targets!r}")
        object.__setattr__(self, "targets", tuple(self.targets))
        check_targets(self.targets)
        gapped = self.choices * len(ALPHABET) ** self.informative
        if gapped > 2 * MOST_WEIGHTS:
            raise ZooError(
                f"word_length {self.word_length} and informative {self.informative}: {gapped:,} gapped words, "
                f"expected at most {2 * MOST_WEIGHTS:,}; take fewer informative positions"
            )

    def _require(self, name: str, least: int, most: int, unit: str) -> None:
        value = getattr(self, name)
        if type(value) is not int or not least <= value <= most:
            raise ZooError(f"{name}: expected {least} to {most} {unit}, got {value!r}")

    @property
    def positions(self) -> int:
        """Windows of a sequence."""
        return self.sequence_length - self.word_length + 1

    @property
    def choices(self) -> int:
        """Gapped words of a window."""
        return math.comb(self.word_length, self.informative)

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; `Config(**config.to_dict()) == config`."""
        return {**dataclasses.asdict(self), "targets": list(self.targets)}


VARIANTS = {"gapped-kmer": Config(), "gapped-kmer-11": Config(word_length=11, informative=7)}

RECIPE = {"learning_rate": 0.0005, "epsilon": 1e-8, "patience": 3}
"""A linear model is at its best after two to five passes over 30,000 sequences, where it is as good as a ridge
regression with the best penalty; from then on it learns the noise, so patience is short. A window counts once, however
many gapped words it has, so that the learning rate suits words of any length."""


def array_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """readout.weight: a row a target, a column a gapped word, in the order of words.blocks. readout.bias: (T,)."""
    from zoo.models.gapped_kmer import words

    targets = len(config.targets)
    return {f"{HEAD}.weight": (targets, words.features(config)), f"{HEAD}.bias": (targets,)}


def layer_norms(config: Config) -> dict[str, str]:  # noqa: ARG001
    """None: there is no batch norm."""
    return {}


def network(config: Config) -> GappedKmer:
    """The PyTorch network, all weights zero. Needs the extra `train`."""
    from zoo.models.gapped_kmer.torch_network import GappedKmer

    return GappedKmer(config)


def onnx_model(config: Config, arrays: Mapping[str, np.ndarray], tensors: Tensors, opset: int) -> onnx.ModelProto:
    """The network as an ONNX graph, see graph.py."""
    from zoo.models.gapped_kmer import graph

    return graph.build(config, arrays, tensors, opset)


def activities(config: Config, arrays: Mapping[str, np.ndarray], one_hot: np.ndarray) -> np.ndarray:
    """The network in NumPy: one-hot bases (N, L, 4) -> float64 (N, T)."""
    from zoo.models.gapped_kmer import words

    return words.activities(config, arrays[f"{HEAD}.weight"], arrays[f"{HEAD}.bias"], one_hot)
