"""Counts of known motifs with a linear readout: a convolution of fixed position weight matrices, both strands, hits
counted.

A motif is a matrix of whole-number scores and the score from which a site is a hit, both made from probabilities as
FIMO makes them (Grant, Bailey, Noble, Bioinformatics 2011, doi:10.1093/bioinformatics/btr064; see scoring.py). The
activity of a target is a bias and, for each motif, its hits on both strands times a weight: log2 activity a hit. A site
that is a hit on both strands, as of a palindrome, is two, as FIMO lists it. A site that touches an N is none.

Only the readout is trained: one weight a motif and target. The matrices are settings of the network, so that they
travel with their names in the config of every file. `zoo train motif-counts --motifs known.meme` takes them from a file
in the MEME format; without one they are those of fly_motifs.py. Arithmetic: 16 FLOP a base and position of a motif.

What the zoo's contract for a model asks (zoo/contracts.py); the network itself is in torch_network.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from zoo.errors import ZooError
from zoo.models.motif_counts import fly_motifs, scoring
from zoo.models.motif_counts.scoring import P_VALUE, ScoredMotif
from zoo.spec import check_targets

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from zoo.layers.onnx_graph import Tensors
    from zoo.models.motif_counts.torch_network import MotifCounts

HEAD = "effects"

MOST_MOTIFS = 2_000
"""In one network: as many as its config can hold."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Motifs and dimensions of one network. A bad value is refused when the Config is made.

    motifs: one or more of different names, those of fly_motifs.py by default.  sequence_length: L, bases.
    targets: names of the T outputs.
    """

    motifs: tuple[ScoredMotif, ...] = dataclasses.field(default_factory=lambda: fly(P_VALUE))
    sequence_length: int = 249
    targets: tuple[str, ...] = ("dev", "hk")

    def __post_init__(self) -> None:
        for name in ("motifs", "targets"):
            if not isinstance(getattr(self, name), (list, tuple)):
                raise ZooError(f"{name}: expected a list, got {getattr(self, name)!r}")
        if not 1 <= len(self.motifs) <= MOST_MOTIFS:
            raise ZooError(f"motifs: expected 1 to {MOST_MOTIFS:,}, got {len(self.motifs):,}")
        object.__setattr__(self, "motifs", tuple(scoring.motif_of(motif) for motif in self.motifs))
        object.__setattr__(self, "targets", tuple(self.targets))
        if len(set(self.names)) < len(self.names):
            raise ZooError("motifs: expected different names")
        check_targets(self.targets)
        if type(self.sequence_length) is not int or self.sequence_length < self.widest:
            raise ZooError(
                f"sequence_length: expected at least {self.widest} bases, the width of the widest motif, "
                f"got {self.sequence_length!r}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(motif.name for motif in self.motifs)

    @property
    def widest(self) -> int:
        """Bases of the widest motif."""
        return max(len(motif.scores) for motif in self.motifs)

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; `Config(**config.to_dict()) == config`."""
        return {
            "motifs": [motif.to_dict() for motif in self.motifs],
            "sequence_length": self.sequence_length,
            "targets": list(self.targets),
        }


def fly(p_value: float) -> tuple[ScoredMotif, ...]:
    """The motifs of fly_motifs.py. Raises ZooError if one has no hit at this p-value."""
    return scoring.scored(fly_motifs.motifs(), fly_motifs.BACKGROUND, p_value)


VARIANTS = {"motif-counts": Config()}

RECIPE = {"learning_rate": 0.005, "epsilon": 1e-8, "patience": 5}
"""A weight a motif: nothing to overfit, so that a large step is safe. A recipe of the zoo; no paper gives one."""


def configure(
    *,
    motifs: Annotated[Path | None, "Motifs to count, in the MEME format."] = None,
    p_value: Annotated[float | None, f"Chance of a hit at a random site, at most; else {P_VALUE:g}."] = None,
) -> Mapping[str, Any]:
    """Fields of the Config for the motifs of a file. Raises ZooError for a file that is none, a p-value that is none,
    and motifs too short or too weak to have a hit at it."""
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
    """effects.weight: a row a target, a column a motif. effects.bias: (T,)."""
    targets = len(config.targets)
    return {f"{HEAD}.weight": (targets, len(config.motifs)), f"{HEAD}.bias": (targets,)}


def layer_norms(config: Config) -> dict[str, str]:  # noqa: ARG001
    """None: there is no batch norm."""
    return {}


def network(config: Config) -> MotifCounts:
    """The PyTorch network, all weights zero. Needs the extra `train`."""
    from zoo.models.motif_counts.torch_network import MotifCounts

    return MotifCounts(config)


def onnx_model(config: Config, arrays: Mapping[str, np.ndarray], tensors: Tensors, opset: int) -> onnx.ModelProto:
    """The network as an ONNX graph, see graph.py."""
    from zoo.models.motif_counts import graph

    return graph.build(config, arrays, tensors, opset)


def activities(config: Config, arrays: Mapping[str, np.ndarray], one_hot: np.ndarray) -> np.ndarray:
    """The network in NumPy: one-hot bases (N, L, 4) -> float64 (N, T)."""
    import numpy as np

    hits = scoring.hits(config.motifs, one_hot)
    return hits @ arrays[f"{HEAD}.weight"].T.astype(np.float64) + arrays[f"{HEAD}.bias"]
