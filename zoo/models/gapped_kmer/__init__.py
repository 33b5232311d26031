"""Gapped k-mer counts with a linear readout (Ghandi, Lee, Mohammad-Noori, Beer, PLoS Computational Biology 2014,
doi:10.1371/journal.pcbi.1003711): the features of gkm-SVM, here trained by the squared error on any targets.

Every window of `word_length` bases is one word. It contains one gapped word for each choice of `informative` of its
positions; the bases at the other positions do not matter. The activity of a target is a bias plus, for each gapped
word, its count times a weight (log2 activity per occurrence). A gapped word and its reverse complement are one feature
with one weight, so both strands get the same number. The count is the number of windows that contain either; a gapped
word that is its own reverse complement counts once, as in counts of canonical k-mers. A window with an N, even in a
gap, counts nothing. informative = word_length gives plain k-mers.

Size: 57,472 weights per target for words of 8 bases with 6 informative (28 gapped words per window), 2,703,360 for 11
with 7 (330 per window). The sum of the weights of all gapped words in a window depends only on the window, so engines
without PyTorch look it up in a table of 4^word_length rows: 0.5 MB for 8 bases and two targets, 34 MB for 11.

This file needs no PyTorch. words.py says which gapped word has which weight; torch_network.py is the network.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from zoo.errors import ZooError
from zoo.layers import onnx_graph
from zoo.layers.config import NetworkConfig, network_in
from zoo.layers.onnx_graph import Tensors
from zoo.models._fly_data import S2
from zoo.models.gapped_kmer import words
from zoo.options import Bounds
from zoo.spec import ALPHABET

if TYPE_CHECKING:
    import onnx


HEAD = "readout"

LONGEST_WORD = 12
"""Longest word, in bases. The ONNX graph numbers words in float32, which is exact up to 4^12 = 2^24."""

MOST_WEIGHTS = 1 << 24
"""Maximum number of weights per target: a hundred times the default, and more than any training set can determine."""


@dataclasses.dataclass(frozen=True)
class Config(NetworkConfig):
    """Dimensions of one network; raises ZooError for values that do not make a network.

    word_length: bases of a word, gaps included.  informative: number of positions that a gapped word fixes.
    """

    word_length: Annotated[int, Bounds(1, LONGEST_WORD)] = 8
    informative: Annotated[int, Bounds(1)] = 6
    sequence_length: int = 249
    targets: tuple[str, ...] = ("dev", "hk")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.informative > self.word_length:
            raise ZooError(f"informative: expected at most the word_length, {self.word_length}, got {self.informative}")
        if self.sequence_length < self.word_length:
            raise ZooError(
                f"sequence_length: expected at least the word_length, {self.word_length}, got {self.sequence_length}"
            )
        gapped = self.choices * len(ALPHABET) ** self.informative
        if gapped > 2 * MOST_WEIGHTS:
            raise ZooError(
                f"word_length {self.word_length} and informative {self.informative}: expected at most "
                f"{2 * MOST_WEIGHTS:,} gapped words, got {gapped:,}; use fewer informative positions"
            )

    @property
    def positions(self) -> int:
        """Number of windows in a sequence."""
        return self.sequence_length - self.word_length + 1

    @property
    def choices(self) -> int:
        """Number of gapped words in a window."""
        return math.comb(self.word_length, self.informative)


VARIANTS = {"gapped-kmer": Config(), "gapped-kmer-11": Config(word_length=11, informative=7)}

FASTEST = 4.0
"""Highest learning rate of the recipe; the bias would oscillate with a higher one."""


def recipe(config: Config) -> dict[str, Any]:
    """Gradient descent with momentum and early stopping, which for a linear model is nearly a ridge regression with the
    best penalty (Ali, Kolter and Tibshirani 2019, arXiv:1810.10082).

    An epsilon of 1 is far above every gradient of a weight, so Adam becomes gradient descent. Adam with a small epsilon
    would divide each gradient by its own size: words that occur a few times would get as large weights as common ones,
    and fit the noise of their few sequences. The learning rate is inversely proportional to the sum of squared features
    of a sequence, which is about the number of windows divided by the gapped words in each.
    """
    return {"learning_rate": min(FASTEST, 4 * config.choices / config.positions), "epsilon": 1.0, "patience": 5}


CARD = dataclasses.replace(
    S2, citation="Ghandi et al., PLoS Computational Biology 2014, doi:10.1371/journal.pcbi.1003711"
)

RECIPE = recipe


def array_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """readout.weight: (T, gapped words), columns in the order of words.blocks. readout.bias: (T,)."""
    targets = len(config.targets)
    return {f"{HEAD}.weight": (targets, words.features(config)), f"{HEAD}.bias": (targets,)}


network = network_in(__name__, "GappedKmer")


def onnx_model(config: Config, arrays: Mapping[str, np.ndarray], tensors: Tensors, opset: int) -> onnx.ModelProto:
    """The network as an ONNX graph: number each window, look its sum up, add all sums.

    Numbers are exact: base codes are float32, numbers of windows int64; a convolution on a GPU might round. An N has a
    code so large that the number of its window is beyond the table, and becomes that of a last row of zeros.
    """
    from onnx import TensorProto

    length = config.word_length
    unknown = words.BASES**length
    table = words.window_table(config, arrays[f"{HEAD}.weight"])
    table = np.vstack([table, np.zeros(table.shape[1])]).astype(np.float32)
    places = np.arange(config.positions)[:, None] + np.arange(length)
    powers = (words.BASES ** np.arange(length - 1, -1, -1)).astype(np.float32)

    graph = onnx_graph.Chain(tensors.input)
    bases = np.arange(words.BASES, dtype=np.float32)[:, None] - unknown
    graph.add("base_values", "Mul", {"per_base": bases})
    graph.add("base_value", "ReduceSum", {"axis": np.array([1])}, keepdims=0)
    graph.add("base_code", "Add", {"unknown": np.array(unknown, np.float32)})
    graph.add("windows", "Gather", {"places": places}, axis=1)
    graph.add("window_values", "Mul", {"powers": powers})
    graph.add("window_value", "ReduceSum", {"axis": np.array([2])}, keepdims=0)
    # before the cast, since the huge number of a window with an N overflows in engines with 32-bit integers
    graph.add("window_code", "Min", {"last": np.array(unknown, np.float32)})
    graph.add("window_number", "Cast", to=TensorProto.INT64)
    graph.look_up("window_sums", table)
    graph.add("sum", "ReduceSum", {"axis": np.array([1])}, keepdims=0)
    graph.add(HEAD, "Add", {"bias": arrays[f"{HEAD}.bias"]})
    return graph.model(tensors, (words.BASES, config.sequence_length), len(config.targets), opset)


def activities(config: Config, arrays: Mapping[str, np.ndarray], one_hot: np.ndarray) -> np.ndarray:
    """The network in NumPy: one-hot bases (N, L, 4) -> float64 (N, T)."""
    return words.activities(config, arrays[f"{HEAD}.weight"], arrays[f"{HEAD}.bias"], one_hot)
