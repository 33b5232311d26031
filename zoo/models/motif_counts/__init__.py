"""Counts of known motifs with a linear readout: position weight matrices scan both strands, and their hits are counted.

A motif is a matrix of whole-number scores, and the score from which a site is a hit. Both are computed from
probabilities as FIMO does (Grant, Bailey, Noble, Bioinformatics 2011, doi:10.1093/bioinformatics/btr064; see
scoring.py). The activity of a target is a bias plus, for each motif, its hits on both strands times a weight (log2
activity per hit). A site that is a hit on both strands, as of a palindrome, counts twice, as in FIMO. A site with an N
is not a hit.

Training changes only the readout: one weight per motif and target. The matrices are part of the config, so every
weights file has them, with their names. `zoo train motif-counts --motifs known.meme` reads them from a file in the MEME
format; the default is those in fly_motifs.py. Arithmetic: 16 FLOP per base and motif position.

This file needs no PyTorch; torch_network.py is the network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from zoo.errors import ZooError
from zoo.layers import onnx_graph
from zoo.layers.config import NetworkConfig, network_in
from zoo.layers.onnx_graph import Tensors
from zoo.models._fly_data import S2
from zoo.models.motif_counts import fly_motifs, scoring
from zoo.models.motif_counts.scoring import P_VALUE, ScoredMotif
from zoo.spec import ALPHABET

if TYPE_CHECKING:
    import onnx


HEAD = "effects"

MOST_MOTIFS = 2_000
"""Maximum number of motifs in one network; the header of a weights file has space for their matrices."""


@dataclasses.dataclass(frozen=True)
class Config(NetworkConfig):
    """Motifs and dimensions of one network; raises ZooError for values that do not make a network.

    motifs: one or more with different names; default those in fly_motifs.py.
    """

    motifs: tuple[ScoredMotif, ...] = dataclasses.field(default_factory=lambda: fly(P_VALUE))
    sequence_length: int = 249
    targets: tuple[str, ...] = ("dev", "hk")

    def __post_init__(self) -> None:
        if isinstance(self.motifs, list | tuple):
            object.__setattr__(self, "motifs", tuple(scoring.motif_of(motif) for motif in self.motifs))
        super().__post_init__()
        if not 1 <= len(self.motifs) <= MOST_MOTIFS:
            raise ZooError(f"motifs: expected 1 to {MOST_MOTIFS:,}, got {len(self.motifs):,}")
        if len(set(self.names)) < len(self.names):
            raise ZooError(f"motifs: expected different names, got {', '.join(self.names)}")
        if self.sequence_length < self.widest:
            raise ZooError(
                f"sequence_length: expected at least {self.widest} bases, the width of the widest motif, "
                f"got {self.sequence_length}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(motif.name for motif in self.motifs)

    @property
    def widest(self) -> int:
        """Bases of the widest motif."""
        return max(len(motif.scores) for motif in self.motifs)


def fly(p_value: float) -> tuple[ScoredMotif, ...]:
    """The motifs in fly_motifs.py. Raises ZooError if one can have no hit at this p-value."""
    return scoring.scored(fly_motifs.motifs(), fly_motifs.BACKGROUND, p_value)


VARIANTS = {"motif-counts": Config()}

CARD = dataclasses.replace(S2, citation="Grant et al., Bioinformatics 2011, doi:10.1093/bioinformatics/btr064")

RECIPE = {"learning_rate": 0.005, "epsilon": 1e-8, "patience": 5}
"""One weight per motif cannot overfit, so a large learning rate is safe. The recipe is the zoo's own."""


def configure(
    *,
    motifs: Annotated[Path | None, "File with the motifs to count, in the MEME format."] = None,
    p_value: Annotated[float | None, f"Largest probability of a hit at a random site; default {P_VALUE:g}."] = None,
) -> Mapping[str, Any]:
    """Fields of the Config for the motifs in a file.

    Raises ZooError for an invalid file or p-value, and for motifs too short or too weak to have a hit at the p-value.
    """
    if motifs is None and p_value is None:
        return {}
    from zoo.formats import meme

    limit = P_VALUE if p_value is None else p_value
    if motifs is None:
        return {"motifs": fly(limit)}
    content = meme.read(motifs)
    try:
        given = [(motif.name, motif.probabilities, motif.sites) for motif in content.motifs]
        return {"motifs": scoring.scored(given, content.background, limit)}
    except ZooError as error:
        raise ZooError(f"{motifs}: {error}") from None


def array_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """effects.weight: (T, motifs). effects.bias: (T,)."""
    targets = len(config.targets)
    return {f"{HEAD}.weight": (targets, len(config.motifs)), f"{HEAD}.bias": (targets,)}


network = network_in(__name__, "MotifCounts")


def onnx_model(config: Config, arrays: Mapping[str, np.ndarray], tensors: Tensors, opset: int) -> onnx.ModelProto:
    """The network as an ONNX graph: convolution, comparison, sum, matrix."""
    from onnx import TensorProto

    kernels, limits = scoring.kernels(config.motifs)
    weight = np.tile(arrays[f"{HEAD}.weight"].T, (2, 1))  # a motif has the same weight on both strands
    graph = onnx_graph.Chain(tensors.input)
    # two-dimensional with a height of 1, for which ONNX Runtime has fast kernels
    graph.add("height", "Unsqueeze", {"axis": np.array([2])})
    pads = [0, 0, 0, config.widest - 1]
    graph.add("scores", "Conv", {"motifs": kernels[:, :, None]}, kernel_shape=[1, config.widest], pads=pads)
    graph.add("hit", "GreaterOrEqual", {"limits": limits[:, None, None]})
    graph.add("hit_number", "Cast", to=TensorProto.FLOAT)
    graph.add("hits", "ReduceSum", {"axes": np.array([2, 3])}, keepdims=0)
    graph.add(HEAD, "Gemm", {"weight": weight, "bias": arrays[f"{HEAD}.bias"]})
    return graph.model(tensors, (len(ALPHABET), config.sequence_length), len(config.targets), opset)


def activities(config: Config, arrays: Mapping[str, np.ndarray], one_hot: np.ndarray) -> np.ndarray:
    """The network in NumPy: one-hot bases (N, L, 4) -> float64 (N, T)."""
    hits = scoring.hits(config.motifs, one_hot)
    return hits @ arrays[f"{HEAD}.weight"].T.astype(np.float64) + arrays[f"{HEAD}.bias"]
