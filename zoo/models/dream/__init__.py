"""Networks of the random promoter DREAM challenge (Rafi et al., Nature Biotechnology 2024,
doi:10.1038/s41587-024-02414-w; benchmarks/drosophila in de-Boer-Lab/random-promoter-dream-challenge-2022, MIT), in the
form that its authors trained on DeepSTARR's data: `dream-cnn`, `dream-rnn` and `dream-attn`.

Two convolutions beside each other; then a core of gated blocks (cnn), or of an LSTM and two convolutions (rnn); then a
head for each target. With attention (attn) it is one convolution, then blocks in which all positions see each other.
Their class takes a number of heads and ignores it: there are always four.

The authors order the bases A, G, C, T: `zoo import --alphabet AGCT` reads weights that their scripts trained.

A fifth channel says which strand a row is: 0 for the strand that the user gives, 1 for its reverse complement. The
network adds it. With strand = "given", the default, it predicts the given strand, and the channel is 0. With strand =
"mean" it predicts both strands, each with its channel, and returns the mean. A mean over the strands outside the
network would leave the channel at 0, and is refused.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from zoo.errors import ZooError
from zoo.layers.config import MOST_LAYERS, NetworkConfig, network_in
from zoo.models._fly_data import S2
from zoo.options import Bounds
from zoo.weights.model_arrays import Shapes

HEAD = "final"
BASE_ARRAYS = ("first.0.weight", "first.1.weight", "first.conv.weight")
"""Those of all cores; a network has the first two or the last one."""


@dataclasses.dataclass(frozen=True)
class Config(NetworkConfig):
    """kernel_sizes: one for an attn, two for the others.  first_filters, core_filters: channels before and after the
    core.  block_filters, squeezing, group: of the gated blocks of a cnn.  block_kernel, widening: of the blocks of a
    cnn or attn.  lstm_units, core_dropout: of an rnn.  attention_blocks, heads: of an attn.  strand: see above."""

    sequence_length: int = 249
    targets: tuple[str, ...] = ("dev", "hk")
    core: Literal["cnn", "rnn", "attn"] = "cnn"
    kernel_sizes: Annotated[tuple[int, ...], Bounds(1)] = (9, 15)
    first_filters: Annotated[int, Bounds(1)] = 320
    core_filters: Annotated[int, Bounds(1)] = 64
    block_filters: Annotated[tuple[int, ...], Bounds(1)] = (128, 128, 64, 64, 64)
    block_kernel: Annotated[int, Bounds(1)] = 7
    widening: Annotated[int, Bounds(1)] = 4
    squeezing: Annotated[int, Bounds(1)] = 4
    group: Annotated[int, Bounds(1)] = 2
    lstm_units: Annotated[int, Bounds(1)] = 320
    attention_blocks: Annotated[int, Bounds(1, MOST_LAYERS)] = 4
    heads: Annotated[int, Bounds(1)] = 4
    head_filters: Annotated[int, Bounds(1)] = 256
    dropout: Annotated[float, Bounds(0, below=1)] = 0.2
    core_dropout: Annotated[float, Bounds(0, below=1)] = 0.5
    strand: Literal["given", "mean"] = "given"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.targets) > MOST_LAYERS:
            raise ZooError(f"targets: expected at most {MOST_LAYERS}, each with a head, got {len(self.targets):,}")
        if self.core == "attn":
            self._check_attention()
            return
        inner = [filters * self.widening for filters in (*self.block_filters, self.core_filters)]
        split = (self.first_filters, self.core_filters) if self.core == "rnn" else (self.first_filters,)
        if len(self.kernel_sizes) != 2 or math.gcd(*split) % len(self.kernel_sizes):
            raise ZooError(f"kernel_sizes: expected two, and even numbers of filters, got {self.kernel_sizes}, {split}")
        if self.core == "cnn" and math.gcd(*inner) % self.group:
            raise ZooError(f"group: expected a divisor of the channels inside the blocks, {inner}, got {self.group}")
        if self.core == "cnn" and min(self.first_filters, *self.block_filters) < self.squeezing:
            raise ZooError(f"squeezing: expected at most the filters before each block, got {self.squeezing}")

    def _check_attention(self) -> None:
        if len(self.kernel_sizes) != 1:
            raise ZooError(f"kernel_sizes: expected one for attention, got {self.kernel_sizes}")
        if self.core_filters != self.first_filters or self.first_filters % self.heads:
            raise ZooError(
                f"first_filters, core_filters: expected the same number for attention, a multiple of the {self.heads} "
                f"heads; got {self.first_filters} and {self.core_filters}"
            )
        if self.first_filters * self.widening % 2:
            raise ZooError(f"widening: expected an even number of channels inside, got {self.widening}")


VARIANTS = {
    "dream-cnn": Config(),
    "dream-rnn": Config(core="rnn", core_filters=320),
    "dream-attn": Config(
        core="attn", kernel_sizes=(7,), first_filters=256, core_filters=256, block_kernel=15, dropout=0.1
    ),
}

CARD = dataclasses.replace(
    S2,
    training_data=f"{S2.training_data}; the benchmark of the challenge divides them into folds",
    held_out=(),
    citation="Rafi et al., Nature Biotechnology 2024, doi:10.1038/s41587-024-02414-w",
)


def recipe(config: Config) -> dict[str, Any]:
    """Training as in AutosomeTrainer and the notebook of benchmarks/drosophila. docs/models.md says what differs."""
    return {"optimizer": "adamw", "learning_rate": 0.001 if config.core == "attn" else 0.005, "epsilon": 1e-8,
            "weight_decay": 0.01, "schedule": "one-cycle", "cycle_momentum": True, "batch_size": 32, "epochs": 80,
            "patience": 0, "augment": ["reverse-complement"]}  # fmt: skip


RECIPE = recipe

SEARCH_SPACE = Path(__file__).with_name("search_space.toml")

PARTS = {"0": "expand.conv", "1": "expand.norm", "3": "depthwise.conv", "4": "depthwise.norm", "6.fc.0": "gate.squeeze",
         "6.fc.2": "gate.excite", "7": "project.conv", "8": "project.norm"}  # fmt: skip
ATTENTION_PARTS = {
    r"ff([12])\.layernorm\.(\w+)": r"feed\2.norm.\3",
    r"ff([12])\.linear1\.weight": r"feed\2.expand.weight",
    r"ff([12])\.linear2\.weight": r"feed\2.project.weight",
    r"layernorm1\.(\w+)": r"conv_norm.\2",
    r"conv\.0\.weight": "depthwise.weight",
    r"conv\.1\.(\w+)": r"pointwise.\2",
    r"layernorm2\.(\w+)": r"attention_norm.\2",
    r"attn\.in_proj_(\w+)": r"attention.project.\2",
    r"attn\.out_proj\.(\w+)": r"attention.output.\2",
}
CORE = r"core\.seqextractor\."
ARRAY_NAMES = {
    r"first\.conv_list\.(\d+)\.conv\.(\w+)": r"first.\1.\2",
    **{rf"{CORE}inv_res_blc(\d+)\.{theirs}\.(\w+)": rf"blocks.\1.{ours}.\2" for theirs, ours in PARTS.items()},
    rf"{CORE}resize_blc(\d+)\.0\.(\w+)": r"blocks.\1.join.conv.\2",
    rf"{CORE}resize_blc(\d+)\.1\.(\w+)": r"blocks.\1.join.norm.\2",
    r"core\.lstm\.(\w+)": r"lstm.\1",
    r"core\.conv_list\.(\d+)\.conv\.(\w+)": r"core.\1.\2",
    r"final\.linear(\d+)\.0\.(\w+)": r"final.linear\1.\2",
    r"first\.block\.0\.(\w+)": r"first.conv.\1",
    r"first\.block\.1\.(\w+)": r"first.norm.\1",
    r"core\.pos_embedding\.weight": "position_embedding",
    **{rf"core\.blocks\.(\d+)\.{theirs}": rf"blocks.\1.{ours}" for theirs, ours in ATTENTION_PARTS.items()},
}


def sizes(shapes: Shapes) -> dict[str, Any]:
    """Fields of the Config that the shapes of the arrays show."""
    first = [shapes[name] for name in BASE_ARRAYS if name in shapes]
    found: dict[str, Any] = {
        "kernel_sizes": tuple(shape[2] for shape in first),
        "first_filters": sum(shape[0] for shape in first),
        "head_filters": shapes["final.mapper1.weight"][0],
        "core_filters": shapes["final.mapper1.weight"][1],
    }
    if "lstm.weight_hh_l0" in shapes:
        return {**found, "core": "rnn", "lstm_units": shapes["lstm.weight_hh_l0"][1]}
    if "position_embedding" in shapes:
        blocks = {name.split(".")[1] for name in shapes if name.startswith("blocks.")}
        return {
            **found,
            "core": "attn",
            "sequence_length": shapes["position_embedding"][0],
            "attention_blocks": len(blocks),
            "block_kernel": shapes["blocks.0.depthwise.weight"][2],
            "widening": shapes["blocks.0.feed1.expand.weight"][0] // found["first_filters"],
        }
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
