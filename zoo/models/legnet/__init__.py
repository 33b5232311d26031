"""MPRALegNet (Agarwal et al., Nature 2025, doi:10.1038/s41586-024-08430-9; code autosome-ru/human_legnet, MIT): a
convolutional network for massively parallel reporter assays of human elements, with blocks as in EfficientNetV2.

The study measured elements of 200 bp between the two adapters of its library, and its networks see all 230 bp. The
variant `legnet` takes the 200 bp and adds the adapters; `legnet-230` takes whole constructs. The arrays of a weights
file do not show which one was meant, and the sizes of the poolings neither. Each cell line has its own network of one
target. The study averages both strands (--both-strands), and the networks of its folds.

Its authors order the bases A, G, C, T: `zoo import --alphabet AGCT` reads weights that their scripts trained. They
encode an N as a quarter of each base, the zoo as zeros.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Annotated, Any

from zoo.card import Card
from zoo.errors import ZooError
from zoo.layers.config import NetworkConfig, check_flanks, network_in
from zoo.options import Bounds
from zoo.weights.model_arrays import Shapes

HEAD = "output"
BASE_ARRAYS = ("stem.conv.weight",)
# fmt: off
RECIPE = {"optimizer": "adamw", "learning_rate": 0.01, "epsilon": 1e-8, "weight_decay": 0.1, "clip_gradient": 1.0,
          "schedule": "one-cycle", "batch_size": 1024, "epochs": 20, "patience": 0, "augment": ["reverse-complement"]}
# fmt: on
"""The defaults of core.py and trainer.py in autosome-ru/human_legnet. docs/models.md says what differs."""


@dataclasses.dataclass(frozen=True)
class Config(NetworkConfig):
    """block_filters, pools: one for each block.  widening: channels inside a block per channel of its input.
    left_flank, right_flank: bases that the network adds."""

    sequence_length: int = 200
    targets: tuple[str, ...] = ("HepG2",)
    stem_filters: Annotated[int, Bounds(1)] = 64
    stem_kernel: Annotated[int, Bounds(1)] = 11
    block_filters: Annotated[tuple[int, ...], Bounds(1)] = (80, 96, 112, 128)
    block_kernel: Annotated[int, Bounds(1)] = 9
    pools: Annotated[tuple[int, ...], Bounds(1)] = (2, 2, 2, 2)
    widening: Annotated[int, Bounds(1)] = 4
    left_flank: str = "AGGACCGGATCAACT"
    right_flank: str = "CATTGCGTGAACCGA"

    def __post_init__(self) -> None:
        super().__post_init__()
        seen = check_flanks(self, self.left_flank, self.right_flank)
        if not 1 <= len(self.block_filters) == len(self.pools) or seen < math.prod(self.pools):
            raise ZooError(f"pools: expected one a block, with a product of at most {seen}, got {list(self.pools)}")


VARIANTS = {"legnet": Config(), "legnet-230": Config(sequence_length=230, left_flank="", right_flank="")}

CARD = Card(
    species="human",
    tissue="HepG2",
    assay="lentiMPRA",
    unit="log2 RNA/DNA",
    training_data="elements of 200 bp, in ten folds, each of which tests one network",
    citation="Agarwal et al., Nature 2025, doi:10.1038/s41586-024-08430-9",
)

SEARCH_SPACE = Path(__file__).with_name("search_space.toml")

PARTS = {"0.fn.block.0": "expand.conv", "0.fn.block.1": "expand.norm", "0.fn.block.3": "depthwise.conv",
         "0.fn.block.4": "depthwise.norm", "0.fn.block.6.fc.0": "gate.squeeze", "0.fn.block.6.fc.2": "gate.excite",
         "0.fn.block.7": "project.conv", "0.fn.block.8": "project.norm", "1.block.0": "join.conv",
         "1.block.1": "join.norm"}  # fmt: skip
ARRAY_NAMES = {
    **{rf"main\.(\d+)\.{theirs}\.(\w+)": rf"blocks.\1.{ours}.\2" for theirs, ours in PARTS.items()},
    r"stem\.block\.0\.(\w+)": r"stem.conv.\1", r"stem\.block\.1\.(\w+)": r"stem.norm.\1",
    r"mapper\.block\.0\.(\w+)": r"mapper_norm.\1", r"mapper\.block\.1\.(\w+)": r"mapper.\1",
    r"head\.0\.(\w+)": r"hidden.\1", r"head\.1\.(\w+)": r"hidden_norm.\1", r"head\.3\.(\w+)": r"output.\1",
}  # fmt: skip


def sizes(shapes: Shapes) -> dict[str, Any]:
    """Fields of the Config that the shapes of the arrays show."""
    stem, inner = shapes["stem.conv.weight"], shapes["blocks.0.expand.norm.bias"][0]
    joins = [shape for name, shape in shapes.items() if name.endswith("join.conv.weight")]
    return {"stem_filters": stem[0], "stem_kernel": stem[2], "widening": inner // stem[0], "block_kernel": joins[0][2],
            "block_filters": tuple(join[0] for join in joins)}  # fmt: skip


network = network_in(__name__, "LegNet")
