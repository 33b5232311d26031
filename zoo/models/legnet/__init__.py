"""MPRALegNet (Agarwal et al., Nature 2025, doi:10.1038/s41586-024-08430-9; code autosome-ru/human_legnet, MIT): a
convolutional network for massively parallel reporter assays of human elements, with blocks as in EfficientNetV2.

The study measured elements of 200 bp between the two adapters of its library, and its networks see all 230 bp. The
variant `legnet` takes the 200 bp and adds the adapters; `legnet-230` takes whole constructs. The arrays of a weights
file do not show which one was meant, and the sizes of the poolings neither. Each cell line has its own network of one
target. The study averages both strands (--rc average), and the networks of its folds.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, Any

from zoo.card import Card
from zoo.errors import ZooError
from zoo.layers.config import NetworkConfig, check_flanks
from zoo.options import Bounds

if TYPE_CHECKING:
    from zoo.models.legnet.torch_network import LegNet
    from zoo.weights.model_arrays import Shapes

HEAD = "output"
BASE_ARRAYS = ("stem.conv.weight",)
RECIPE = {"optimizer": "adamw", "learning_rate": 0.01, "epsilon": 1e-8, "weight_decay": 0.1, "clip_gradient": 1.0,
          "schedule": "one-cycle", "batch_size": 1024, "epochs": 20, "patience": 0,
          "augment": ("reverse-complement",)}  # fmt: skip


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
            raise ZooError(f"pools: expected one for each of {len(self.block_filters)} blocks, with a product of at "
                           f"most {seen}, the bases with flanks; got {list(self.pools)}")  # fmt: skip


VARIANTS = {"legnet": Config(), "legnet-230": Config(sequence_length=230, left_flank="", right_flank="")}

CARD = Card(species="human", tissue="HepG2", assay="lentiMPRA", unit="log2 RNA/DNA",
            citation="Agarwal et al., Nature 2025, doi:10.1038/s41586-024-08430-9")  # fmt: skip

PARTS = {"0.fn.block.0": "expand.conv", "0.fn.block.1": "expand.norm", "0.fn.block.3": "depthwise.conv",
         "0.fn.block.4": "depthwise.norm", "0.fn.block.6.fc.0": "gate.squeeze", "0.fn.block.6.fc.2": "gate.excite",
         "0.fn.block.7": "project.conv", "0.fn.block.8": "project.norm", "1.block.0": "join.conv",
         "1.block.1": "join.norm"}  # fmt: skip
LAYERS = {"stem.block.0": "stem.conv", "stem.block.1": "stem.norm", "mapper.block.0": "mapper_norm",
          "mapper.block.1": "mapper", "head.0": "hidden", "head.1": "hidden_norm", "head.3": "output"}  # fmt: skip
ARRAY_NAMES = {
    **{rf"main\.(\d+)\.{theirs}\.(\w+)": rf"blocks.\1.{ours}.\2" for theirs, ours in PARTS.items()},
    **{rf"{theirs}\.(\w+)": rf"{ours}.\1" for theirs, ours in LAYERS.items()},
}


def sizes(shapes: Shapes) -> dict[str, Any]:
    """Fields of the Config that the shapes of the arrays show."""
    stem, join = shapes["stem.conv.weight"], "blocks.{}.join.conv.weight".format
    blocks = [shapes[join(i)] for i in range(len(shapes)) if join(i) in shapes]
    filters, kernel, inner = tuple(block[0] for block in blocks), blocks[0][2], shapes["blocks.0.expand.norm.bias"][0]
    return {"stem_filters": stem[0], "stem_kernel": stem[2], "block_filters": filters, "block_kernel": kernel,
            "widening": inner // stem[0]}  # fmt: skip


def network(config: Config) -> LegNet:
    """The PyTorch network with initial weights. Needs the extra `train`."""
    from zoo.models.legnet.torch_network import LegNet

    return LegNet(config)
