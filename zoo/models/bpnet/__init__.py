"""BPNet (Avsec et al., Nature Genetics 2021, doi:10.1038/s41588-021-00782-6) and ChromBPNet (Pampari et al., bioRxiv
2024, doi:10.1101/2024.12.25.630221): how many reads end in the middle 1,000 of 2,114 bases, and at which of them.

A wide convolution and dilated residual ones; then a convolution for the profiles, and a dense layer on the mean over
positions for the counts. A target is the natural logarithm of counts: networks are trained on log(1 + counts). Its
profile has one strand or two, whose probabilities sum to 1 together.

A ChromBPNet has a second, smaller network, which learned the sequence preference of the enzyme outside peaks and is
not trained any more (`bias_filters`). While the first is trained, logits are added and counts are summed; its
predictions are then without bias (`predicts`), which is what its users score.

Variants differ in what no array of a weights file shows:

    bpnet, chrombpnet, chrombpnet-bias    convolutions without padding, as in kundajelab/chrombpnet (MIT); the counts
                                          are from all positions that are left
    bpnet-lite, chrombpnet-lite           BPNet and ChromBPNet of jmschrei/bpnet-lite (MIT): convolutions see zeros
                                          beyond the ends; the counts are from the positions that the profile sees
    basepairnet                           BasePairNet of bpnet-lite, for networks of kundajelab/basepairmodels: ReLU
                                          before each convolution, and not behind it

At the usual sizes the first two compute the same.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from zoo.card import Card
from zoo.errors import ZooError
from zoo.frame import Profile
from zoo.layers.config import NetworkConfig, network_in
from zoo.models.bpnet import keras_files
from zoo.options import Bounds
from zoo.weights.model_arrays import Shapes

if TYPE_CHECKING:
    import numpy as np

    from zoo.weights.checkpoint import Checkpoint
    from zoo.weights.importers.layers import ImportedFile, ImportOptions

__all__ = [
    "ARRAY_NAMES", "BASE_ARRAYS", "CARD", "HEAD", "RECIPE", "UNIT", "VARIANTS", "Config", "network", "profiles",
    "read_layers", "sizes", "start_arrays",
]  # fmt: skip

HEAD = "heads"
BASE_ARRAYS = ("trunk.first.weight", "bias_trunk.first.weight")
UNIT = "natural log of counts"
CARD = Card(unit=UNIT, citation="Avsec et al., Nature Genetics 2021, doi:10.1038/s41588-021-00782-6")

DILATED_KERNEL = 3

STRANDS = ("plus", "minus")


@dataclasses.dataclass(frozen=True)
class Config(NetworkConfig):
    """profile_length: positions of a profile, in the middle of the sequence.  strands: of each target.  layers: dilated
    convolutions; number i has the dilation 2^i.  padding, activation: see above.  profile_offset, count_offset: whether
    the heads add constants.  control_tracks: with which the network was trained; `control` must say what they are now,
    and control_log_counts is what the counts then see.  bias_filters, bias_layers: of the second network, 0 for
    none."""

    sequence_length: int = 2114
    targets: tuple[str, ...] = ("log_counts",)
    profile_length: Annotated[int, Bounds(1)] = 1000
    strands: Annotated[int, Bounds(1, len(STRANDS))] = 2
    filters: Annotated[int, Bounds(1)] = 64
    layers: Annotated[int, Bounds(0, 16)] = 8
    first_kernel: Annotated[int, Bounds(1)] = 21
    profile_kernel: Annotated[int, Bounds(1)] = 75
    padding: Literal["valid", "same"] = "valid"
    activation: Literal["after", "before"] = "after"
    profile_offset: bool = True
    count_offset: bool = True
    control_tracks: Annotated[int, Bounds(0)] = 0
    control: Literal["zero"] | None = None
    control_log_counts: float = 0.0
    bias_filters: Annotated[int, Bounds(0)] = 0
    bias_layers: Annotated[int, Bounds(0, 16)] = 4
    predicts: Literal["without bias", "with bias"] = "without bias"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.first_kernel % 2 or not self.profile_kernel % 2:
            raise ZooError(f"first_kernel, profile_kernel: expected odd widths, got {self.first_kernel} and "
                           f"{self.profile_kernel}")  # fmt: skip
        edge = self.profile_kernel // 2
        if self.padding == "valid":
            edge = max(self.reach(self.layers), self.reach(self.bias_layers if self.bias_filters else 0))
        around = self.sequence_length - self.profile_length
        if around % 2 or around < 2 * edge:
            raise ZooError(
                f"sequence_length: expected at least {2 * edge} bases more than the {self.profile_length} positions of "
                f"a profile, an even number, got {self.sequence_length}"
            )
        if self.control_tracks and self.control is None:
            raise ZooError(
                f"control: the network was trained with {self.control_tracks} control tracks, which it needs to "
                "predict; --control zero gives it zeros there, as without a control"
            )
        if self.control_tracks and self.bias_filters:
            raise ZooError("control_tracks: expected 0 for a network with a bias network")

    def reach(self, layers: int) -> int:
        """Bases on each side of a position of the profile that a network with this many dilated layers sees."""
        return self.first_kernel // 2 + (2 ** (layers + 1) - 2) * (DILATED_KERNEL // 2) + self.profile_kernel // 2

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the columns of a profile: strands, targets, or strands of targets."""
        if self.strands == 1:
            return self.targets if len(self.targets) > 1 else ()
        if len(self.targets) == 1:
            return STRANDS
        return tuple(f"{target}_{strand}" for target in self.targets for strand in STRANDS)


CHROMATIN = Config(strands=1, filters=512, bias_filters=128)

VARIANTS = {
    "bpnet": Config(),
    "chrombpnet": CHROMATIN,
    "chrombpnet-bias": Config(strands=1, filters=128, layers=4),
    "bpnet-lite": Config(padding="same"),
    "chrombpnet-lite": dataclasses.replace(CHROMATIN, padding="same"),
    "basepairnet": Config(padding="same", activation="before", control_log_counts=math.log(2)),
}

RECIPE = {"learning_rate": 0.001, "batch_size": 64, "epochs": 50, "patience": 5, "augment": ["reverse-complement"]}

PARTS = {"iconv": "{}trunk.first", r"rconvs\.(\d+)": r"{}trunk.dilated.\1", "fconv": "heads.{}profile",
         "linear": "heads.{}count"}  # fmt: skip
ARRAY_NAMES = {
    rf"{start}{theirs}\.(weight|bias)": rf"{ours.format(which)}.\{1 + theirs.count('(')}"
    for start, which in ((r"(?:accessibility\.)?", ""), (r"bias\.", "bias_"))
    for theirs, ours in PARTS.items()
}


def sizes(shapes: Shapes) -> dict[str, Any]:
    """Fields of the Config that the shapes of the arrays show."""
    first, profile, count = (shapes[f"{name}.weight"] for name in ("trunk.first", "heads.profile", "heads.count"))
    found = {
        "filters": first[0],
        "layers": sum(name.startswith("trunk.dilated.") and name.endswith("weight") for name in shapes),
        "first_kernel": first[2],
        "profile_kernel": profile[2],
        "strands": profile[0] // count[0],
        "control_tracks": profile[1] - first[0],
        "profile_offset": "heads.profile.bias" in shapes,
        "count_offset": "heads.count.bias" in shapes,
        "bias_filters": shapes.get("bias_trunk.first.weight", (0,))[0],
    }
    if not found["bias_filters"]:
        return found
    layers = sum(name.startswith("bias_trunk.dilated.") and name.endswith("weight") for name in shapes)
    return {**found, "bias_layers": layers}


def read_layers(file: ImportedFile, options: ImportOptions) -> tuple[Config, dict[str, np.ndarray]]:
    """Read a Keras file of chrombpnet or basepairmodels, see zoo/weights/importers/importer.py."""
    fields, arrays = keras_files.read(file, options)
    return Config(**fields), arrays


def profiles(config: Config) -> tuple[Profile, ...]:
    """The share of each position in the counts of its target, and the expected counts: the share times the counts."""
    return tuple(Profile(name, targets=config.tracks, positions=config.profile_length)
                 for name in ("probability", "counts"))  # fmt: skip


def start_arrays(config: Config, weights: Checkpoint) -> dict[str, np.ndarray] | None:
    """The arrays of a bias network that was trained before; None if these are weights of the whole network."""
    bias = weights.config
    if not config.bias_filters or bias.bias_filters or bias.filters != config.bias_filters:
        return None
    wanted = dataclasses.replace(
        config, filters=config.bias_filters, layers=config.bias_layers, bias_filters=0, predicts=bias.predicts
    )
    if dataclasses.replace(bias, bias_layers=config.bias_layers) != wanted:
        raise ZooError(f"start: expected a bias network of {wanted.to_dict()}, got {bias.to_dict()}")
    return {name.replace("trunk.", "bias_trunk.").replace("heads.", "heads.bias_"): array
            for name, array in weights.arrays.items()}  # fmt: skip


network = network_in(__name__, "BPNet")
