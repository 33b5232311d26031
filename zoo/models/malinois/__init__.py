"""Malinois (Gosai et al., Nature 2024, doi:10.1038/s41586-024-08070-z; BassetBranched in sjgosai/boda2, MIT): Basset
with a tower of dense layers for each cell line, for massively parallel reporter assays of human elements.

The study measured elements of 200 bp in a plasmid. Its network sees 600 bp: the element between the last 200 bases of
the vector upstream and the first 200 downstream. The variant `malinois` takes the 200 bp and adds the vector;
`malinois-600` takes all 600 bp. The arrays of a weights file do not show which one was meant. In the published network
the towers have ReLU; `malinois-relu6` has the defaults of the authors' class, ReLU6 and 600 bp. The study averages
both strands (--both-strands).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

from zoo.card import Card
from zoo.errors import ZooError
from zoo.layers.config import NetworkConfig, check_flanks, network_in
from zoo.options import Bounds
from zoo.weights.model_arrays import Shapes

HEAD = ("branches", "output")
BASE_ARRAYS = ("trunk.conv1.weight",)
RECIPE = {"learning_rate": 0.0032658700881052086, "epsilon": 1e-8, "beta1": 0.8661062881299633,
          "beta2": 0.879223105336538, "amsgrad": True, "weight_decay": 0.0003438210249762151, "loss": "l1",
          "target_weights": 1 / 18, "divergence": 5 / 18, "schedule": "restarts", "cycle_steps": 4096,
          "batch_size": 1076, "epochs": 200, "patience": 30, "augment": ["reverse-complement"]}  # fmt: skip
"""The command for training in the README of sjgosai/boda2. Its loss, L1KLmixed with alpha 1 and beta 5, is the mean of
the errors over 3 targets plus 5 times that of the divergence, divided by 6. docs/models.md says what differs."""

POOLS = (3, 4, 4)
MOST_BRANCH_LAYERS = 16

UPSTREAM = (
    "GTACGGGAGGTATTGGACAGGCCGCAATAAAATATCTTTATTTTCATTACATCTGTGTGTTGGTTTTTTGTGTGAATCGATAGTACTAACATACGCTCTC"
    "CATCAAAACAAAACGAAACAAAACAAACTAGCAAAATAGGCTGTCCCCAGTGCAAGTGCAGGTGCCAGAACATTTCTCTGGCCTAACTGGCCGCTTGACG"
)
"""The 200 bases of the plasmid before the element, as in boda/common/constants.py."""

DOWNSTREAM = (
    "CACTGCGGCTCCTGCGATCTAACTGGCCGGTACCTGAGCTCGCTAGCCTCGAGGATATCAAGATCTGGCCTCGGCGGCCAAGCTTAGACACTAGAGGGTA"
    "TATAATGGAAGCTCGACTTCCAGCTTGGCAATCCGGTACTGTTGGTAAAGCCACCATGGTGAGCAAGGGCGAGGAGCTGTTCACCGGGGTGGTGCCCATC"
)
"""The 200 bases after it."""


@dataclasses.dataclass(frozen=True)
class Config(NetworkConfig):
    """filters, kernel_sizes: three convolutions.  dense_units: one for each shared dense layer.  branch_layers,
    branch_units: dense layers for each target, and their units.  left_flank, right_flank: bases that the network
    adds."""

    sequence_length: int = 200
    targets: tuple[str, ...] = ("K562", "HepG2", "SKNSH")
    filters: Annotated[tuple[int, ...], Bounds(1)] = (300, 200, 200)
    kernel_sizes: Annotated[tuple[int, ...], Bounds(1)] = (19, 11, 7)
    dense_units: Annotated[tuple[int, ...], Bounds(1)] = (1000,)
    dropout: Annotated[float, Bounds(0, below=1)] = 0.11625456877954289
    branch_layers: Annotated[int, Bounds(1, MOST_BRANCH_LAYERS)] = 3
    branch_units: Annotated[int, Bounds(1)] = 140
    branch_activation: Literal["relu", "relu6"] = "relu"
    branch_dropout: Annotated[float, Bounds(0, below=1)] = 0.5757068086404574
    left_flank: str = UPSTREAM
    right_flank: str = DOWNSTREAM

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flanks(self, self.left_flank, self.right_flank)
        if not len(self.filters) == len(self.kernel_sizes) == len(POOLS) or not self.dense_units:
            raise ZooError(f"filters, kernel_sizes: expected {len(POOLS)} of each, and dense_units; got "
                           f"{self.filters}, {self.kernel_sizes} and {self.dense_units}")  # fmt: skip
        if self.positions < 1:
            raise ZooError(f"sequence_length: expected at least 24 bases with flanks, got {self.sequence_length}")

    @property
    def positions(self) -> int:
        """Positions after the last pooling, which sees a zero on each side."""
        first, second, third = POOLS
        return (check_flanks(self, self.left_flank, self.right_flank) // first // second + 2) // third


CARD = Card(
    species="human",
    tissue="K562, HepG2 and SK-N-SH",
    assay="MPRA",
    unit="log2 fold change of RNA over DNA",
    training_data="elements of 200 bp; gs://tewhey-public-data/CODA_resources/Table_S2__MPRA_dataset.txt",
    held_out=("chr7", "chr13", "chr9", "chr21", "chrX"),  # the first two validate, the others test
    citation="Gosai et al., Nature 2024, doi:10.1038/s41586-024-08070-z",
)

WHOLE = Config(sequence_length=600, left_flank="", right_flank="")
VARIANTS = {
    "malinois": Config(),
    "malinois-600": WHOLE,
    "malinois-relu6": dataclasses.replace(WHOLE, branch_activation="relu6"),
}

SEARCH_SPACE = Path(__file__).with_name("search_space.toml")

ARRAY_NAMES = {
    r"conv(\d)\.conv\.(\w+)": r"trunk.conv\1.\2",
    r"linear(\d+)\.linear\.(\w+)": r"trunk.dense\1.\2",
    r"conv(\d)\.bn_layer\.(\w+)": r"trunk.conv\1_norm.\2",
    r"linear(\d+)\.bn_layer\.(\w+)": r"trunk.dense\1_norm.\2",
    **{
        rf"branched\.branched_layer_{number + 1}\.(\w+)": rf"branches.{number}.\1"
        for number in range(MOST_BRANCH_LAYERS)
    },
}


def sizes(shapes: Shapes) -> dict[str, Any]:
    """Fields of the Config that the shapes of the arrays show."""
    kernels = [shapes[f"trunk.conv{number}.weight"] for number in (1, 2, 3)]
    dense = [shape[0] for name, shape in shapes.items() if name.startswith("trunk.dense") and len(shape) == 2]
    branches = [shape for name, shape in shapes.items() if name.startswith("branches.") and name.endswith("weight")]
    return {"filters": tuple(kernel[0] for kernel in kernels), "kernel_sizes": tuple(kernel[2] for kernel in kernels),
            "dense_units": tuple(dense), "branch_layers": len(branches),
            "branch_units": branches[0][2]}  # fmt: skip


network = network_in(__name__, "Malinois")
