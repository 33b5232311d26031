"""Networks of the random promoter DREAM challenge (Rafi et al., Nature Biotechnology 2024,
doi:10.1038/s41587-024-02414-w; benchmarks/drosophila in de-Boer-Lab/random-promoter-dream-challenge-2022, MIT), in the
form that its authors trained on DeepSTARR's data: `dream-cnn` and `dream-rnn`.

Two convolutions beside each other; then a core of gated blocks (cnn), or of an LSTM and two convolutions (rnn); then a
head for each target.

A fifth channel says which strand a row is: 0 for the strand that the user gives, 1 for its reverse complement. The
network adds it. With strand = "given", the default, it predicts the given strand, and the channel is 0. With strand =
"mean" it predicts both strands, each with its channel, and returns the mean. A mean over the strands outside the
network would leave the channel at 0, and is refused.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, Literal

from zoo.errors import ZooError
from zoo.layers.config import MOST_LAYERS, NetworkConfig, network_in
from zoo.options import Bounds
from zoo.weights.model_arrays import Shapes

HEAD = "final"
BASE_ARRAYS = ("first.0.weight", "first.1.weight")


@dataclasses.dataclass(frozen=True)
class Config(NetworkConfig):
    """first_filters, core_filters: channels before and after the core.  block_filters, block_kernel, widening,
    squeezing, group: of the gated blocks of a cnn.  lstm_units, core_dropout: of an rnn.  strand: see above."""

    sequence_length: int = 249
    targets: tuple[str, ...] = ("dev", "hk")
    core: Literal["cnn", "rnn"] = "cnn"
    kernel_sizes: Annotated[tuple[int, ...], Bounds(1)] = (9, 15)
    first_filters: Annotated[int, Bounds(1)] = 320
    core_filters: Annotated[int, Bounds(1)] = 64
    block_filters: Annotated[tuple[int, ...], Bounds(1)] = (128, 128, 64, 64, 64)
    block_kernel: Annotated[int, Bounds(1)] = 7
    widening: Annotated[int, Bounds(1)] = 4
    squeezing: Annotated[int, Bounds(1)] = 4
    group: Annotated[int, Bounds(1)] = 2
    lstm_units: Annotated[int, Bounds(1)] = 320
    head_filters: Annotated[int, Bounds(1)] = 256
    dropout: Annotated[float, Bounds(0, below=1)] = 0.2
    core_dropout: Annotated[float, Bounds(0, below=1)] = 0.5
    strand: Literal["given", "mean"] = "given"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.targets) > MOST_LAYERS:
            raise ZooError(f"targets: expected at most {MOST_LAYERS}, each with a head, got {len(self.targets):,}")
        inner = [filters * self.widening for filters in (*self.block_filters, self.core_filters)]
        split = (self.first_filters, self.core_filters) if self.core == "rnn" else (self.first_filters,)
        if len(self.kernel_sizes) != len(BASE_ARRAYS) or math.gcd(*split) % len(self.kernel_sizes):
            raise ZooError(f"kernel_sizes: expected two, and even numbers of filters, got {self.kernel_sizes}, {split}")
        if self.core == "cnn" and math.gcd(*inner) % self.group:
            raise ZooError(f"group: expected a divisor of the channels inside the blocks, {inner}, got {self.group}")
        if self.core == "cnn" and min(self.first_filters, *self.block_filters) < self.squeezing:
            raise ZooError(f"squeezing: expected at most the filters before each block, got {self.squeezing}")


VARIANTS = {"dream-cnn": Config(), "dream-rnn": Config(core="rnn", core_filters=320)}

RECIPE = {"optimizer": "adamw", "learning_rate": 0.005, "epsilon": 1e-8, "weight_decay": 0.01,
          "schedule": "one-cycle", "batch_size": 1024, "epochs": 80, "patience": 0,
          "augment": ["reverse-complement"]}  # fmt: skip

PARTS = {"0": "expand.conv", "1": "expand.norm", "3": "depthwise.conv", "4": "depthwise.norm", "6.fc.0": "gate.squeeze",
         "6.fc.2": "gate.excite", "7": "project.conv", "8": "project.norm"}  # fmt: skip
CORE = r"core\.seqextractor\."
ARRAY_NAMES = {
    r"first\.conv_list\.(\d+)\.conv\.(\w+)": r"first.\1.\2",
    **{rf"{CORE}inv_res_blc(\d+)\.{theirs}\.(\w+)": rf"blocks.\1.{ours}.\2" for theirs, ours in PARTS.items()},
    rf"{CORE}resize_blc(\d+)\.0\.(\w+)": r"blocks.\1.join.conv.\2",
    rf"{CORE}resize_blc(\d+)\.1\.(\w+)": r"blocks.\1.join.norm.\2",
    r"core\.lstm\.(\w+)": r"lstm.\1",
    r"core\.conv_list\.(\d+)\.conv\.(\w+)": r"core.\1.\2",
    r"final\.linear(\d+)\.0\.(\w+)": r"final.linear\1.\2",
}


def sizes(shapes: Shapes) -> dict[str, Any]:
    """Fields of the Config that the shapes of the arrays show."""
    first = [shapes[name] for name in BASE_ARRAYS]
    found: dict[str, Any] = {
        "kernel_sizes": tuple(shape[2] for shape in first),
        "first_filters": sum(shape[0] for shape in first),
        "head_filters": shapes["final.mapper1.weight"][0],
        "core_filters": shapes["final.mapper1.weight"][1],
    }
    if "lstm.weight_hh_l0" in shapes:
        return {**found, "core": "rnn", "lstm_units": shapes["lstm.weight_hh_l0"][1]}
    join = "blocks.{}.join.conv.weight".format
    joins = [shapes[join(number)] for number in range(len(shapes)) if join(number) in shapes]
    inner = shapes["blocks.0.depthwise.conv.weight"]
    return {
        **found,
        "core": "cnn",
        "block_filters": tuple(shape[0] for shape in joins[:-1]),
        "block_kernel": joins[0][2],
        "widening": inner[0] // joins[0][0],
        "squeezing": found["first_filters"] // shapes["blocks.0.gate.squeeze.weight"][0],
        "group": inner[1],
    }


def refuses_both_strands(config: Config) -> str:
    """Why no mean over the strands is made outside the network."""
    if config.strand == "mean":
        return "the network predicts the mean of both strands itself"
    return 'the network has a channel for the strand; make weights with strand = "mean" (zoo.weights_from_state_dict)'


network = network_in(__name__, "Dream")
