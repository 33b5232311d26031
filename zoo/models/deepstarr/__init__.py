"""DeepSTARR (de Almeida et al., Nature Genetics 2022, doi:10.1038/s41588-022-01048-5) and its relatives.

What the zoo's contract for a model asks (zoo/contracts.py): the network as numbers, and where to find the rest. The
network itself is in torch_network.py, which needs PyTorch; this file does not, so that the base install can read, check
and serve weights. No other folder knows a name of this one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.options import check
from zoo.spec import ALPHABET, check_targets
from zoo.weights.published import Published, PublishedFiles

if TYPE_CHECKING:
    import numpy as np
    import torch

    from zoo.layers.keras_layers import KerasModel
    from zoo.layers.plain import PlainLayers, PlainShape
    from zoo.models.deepstarr.torch_network import DeepSTARR
    from zoo.weights.checkpoint import Checkpoint
    from zoo.weights.importers.layers import ImportedFile, ImportOptions

HEAD = "head"

POOL_SIZE = 2
"""Stride and window of every max-pooling; a last odd position is dropped."""

BATCH_NORM_EPSILON = 1e-3
"""Added to the variance, as Keras does by default (PyTorch: 1e-5, off by up to 0.0098 on the published weights)."""

BATCH_NORM_MOMENTUM = 0.01
"""Weight of the newest batch in the running statistics: 1 - 0.99, Keras's momentum in PyTorch's sense."""


def positions(sequence_length: int, poolings: int) -> int:
    """Length of the sequence axis that is left after so many poolings."""
    return sequence_length // POOL_SIZE**poolings


@dataclasses.dataclass(frozen=True)
class Config:
    """Dimensions of one network. A bad value is refused when the Config is made.

    filters, kernel_sizes: one entry a convolution.  dense_units: one entry a hidden dense layer.
    dropout: probability after each dense layer.  sequence_length: L, bases.  targets: names of the T outputs.
    """

    filters: tuple[int, ...] = (256, 60, 60, 120)
    kernel_sizes: tuple[int, ...] = (7, 3, 5, 3)
    dense_units: tuple[int, ...] = (256, 256)
    dropout: float = 0.4
    sequence_length: int = 249
    targets: tuple[str, ...] = ("dev", "hk")

    def __post_init__(self) -> None:
        check(self)
        for name in ("filters", "kernel_sizes", "dense_units", "targets"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("filters", "kernel_sizes", "dense_units"):
            values = getattr(self, name)
            if not values or any(type(value) is not int or value < 1 for value in values):
                raise ZooError(f"{name}: expected one or more whole numbers of at least 1, got {list(values)}")
        if len(self.filters) != len(self.kernel_sizes):
            raise ZooError(
                f"filters and kernel_sizes: expected one of each a convolution, got {len(self.filters)} filters "
                f"and {len(self.kernel_sizes)} kernel sizes"
            )
        if not 0 <= self.dropout < 1:
            raise ZooError(f"dropout: expected a probability of at least 0 and under 1, got {self.dropout}")
        shortest = POOL_SIZE ** len(self.filters)
        if type(self.sequence_length) is not int or self.sequence_length < shortest:
            raise ZooError(
                f"sequence_length: expected at least {shortest} bases, halved by each of {len(self.filters)} "
                f"poolings, got {self.sequence_length}"
            )
        check_targets(self.targets)

    @property
    def positions(self) -> tuple[int, ...]:
        """Length of the sequence axis before the first convolution and after each pooling: 249, 124, 62, 31, 15."""
        return tuple(positions(self.sequence_length, depth) for depth in range(len(self.filters) + 1))

    @property
    def flat_features(self) -> int:
        """Inputs of the first dense layer, in (channel, position) order."""
        return self.filters[-1] * self.positions[-1]

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; `Config(**config.to_dict()) == config`."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}


VARIANTS = {
    # the published network; its text says 246 filters, its weights and code have 256
    "original": Config(),
    # found by a hyper-parameter search over the original: a third of the arithmetic
    "tuned": Config(filters=(128, 60, 60, 30), kernel_sizes=(7, 3, 3, 7), dense_units=(256,)),
}


PUBLISHED = Published(
    variant="original",
    weights=PublishedFiles(
        "pulled/keras",
        {
            "DeepSTARR.model.h5": "7e53a9351b2520a4713a5ffdb5f1566c",
            "DeepSTARR.model.json": "9b796f79441e53dc75dd79b911fff872",
        },
        # the Zenodo record of the paper (doi:10.5281/zenodo.5502060)
        ("https://zenodo.org/records/5502060/files",),
        sizes={"DeepSTARR.model.h5": 2_561_720, "DeepSTARR.model.json": 11_615},
        # it says how the layers are connected, which is the same for every DeepSTARR
        optional=("DeepSTARR.model.json",),
    ),
    data=PublishedFiles(
        "pulled/data",
        {
            "Sequences_Train.fa": "fe474a31c23db2daf7dc4d1fc49a8e5a",
            "Sequences_Val.fa": "9d1a0e5c9228aa033378af93074109e6",
            "Sequences_Test.fa": "c2d831a6e2cfb9345fa5e52de76bb453",
            "Sequences_activity_Train.txt": "4e65afa021fd426c74dbf24c31b8bbf9",
            "Sequences_activity_Val.txt": "5f30e863b2239e4f9ade6e7b81b3ff3c",
            "Sequences_activity_Test.txt": "011690ca80cf967d56fefd0c1386419f",
        },
        # the authors' laboratory, then the Zenodo record
        ("https://data.starklab.org/almeida/DeepSTARR/Data", "https://zenodo.org/records/5502060/files"),
        # the sizes are not known to us: the largest has 402,296 records of 249 bases, a tenth of this
        at_most=1 << 30,
    ),
    files=("Sequences_{}.fa", "Sequences_activity_{}.txt"),
    splits={"train": "Train", "validation": "Val", "test": "Test"},
    columns={"dev": "Dev_log2_enrichment", "hk": "Hk_log2_enrichment"},
    citations={
        "7e53a9351b2520a4713a5ffdb5f1566c": (
            "de Almeida et al., Nature Genetics 2022, doi:10.1038/s41588-022-01048-5; Zenodo record 5502060",
            "MIT",
        )
    },
)

SEARCH_SPACE = Path(__file__).with_name("search_space.toml")
"""The space in which `tuned` was found."""

LOGGED_AS = {"validation": "valid", "pearson": "pcc", "spearman": "scc"}
"""As whoever found it logged metrics: valid_pcc_dev."""

RECIPE = {"learning_rate": 0.002, "epsilon": 1e-7, "batch_size": 128, "epochs": 100, "patience": 10}
"""Training as in the paper: Adam as Keras has it, mean squared errors summed over targets, the best weights kept."""


def array_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every float32 array of a canonical weights file, first layer first.

    Convolution kernels are (filter, input channel, position), dense kernels (output, input), as in PyTorch; `head`
    holds one row a target. Names are those of the network's state dict.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def add(layer: str, norm: str | None, kernel: tuple[int, ...]) -> None:
        shapes.update({f"{layer}.weight": kernel, f"{layer}.bias": kernel[:1]})
        if norm:
            shapes.update({f"{norm}.{name}": kernel[:1] for name in ("weight", "bias", "running_mean", "running_var")})

    channels = len(ALPHABET)
    for number, (filters, size) in enumerate(zip(config.filters, config.kernel_sizes, strict=True), 1):
        add(f"conv{number}", f"conv{number}_norm", (filters, channels, size))
        channels = filters
    features = config.flat_features
    for number, units in enumerate(config.dense_units, 1):
        add(f"dense{number}", f"dense{number}_norm", (units, features))
        features = units
    add("head", None, (len(config.targets), features))
    return shapes


def layer_norms(config: Config) -> dict[str, str]:
    """Layer -> the batch norm behind it, first layer first."""
    layers = [f"conv{number}" for number in range(1, len(config.filters) + 1)]
    layers += [f"dense{number}" for number in range(1, len(config.dense_units) + 1)]
    return {layer: f"{layer}_norm" for layer in layers}


def network(config: Config) -> DeepSTARR:
    """The PyTorch network, freshly initialised. Needs the extra `train`."""
    from zoo.models.deepstarr.torch_network import DeepSTARR

    return DeepSTARR(config)


def training_forward(model: DeepSTARR, one_hot: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The network in training mode on a CPU, faster than its modules: see training.py. One-hot is (N, L, 4)."""
    from zoo.models.deepstarr.training import forward

    return forward(model, one_hot, dtype)


def plain_shape(config: Config) -> PlainShape:
    """Sizes of the network as plain convolutions and matrices."""
    from zoo.layers.plain import PlainShape

    depth = len(config.filters)
    return PlainShape(
        config.filters,
        config.kernel_sizes,
        same=(True,) * depth,
        pools=(POOL_SIZE,) * depth,
        sequence_length=config.sequence_length,
        targets=len(config.targets),
    )


def plain_layers(config: Config, arrays: Mapping[str, np.ndarray]) -> PlainLayers:
    """The network as plain convolutions and matrices, batch norm folded in."""
    from zoo.layers import plain

    return plain.fold(plain_shape(config), arrays, layer_norms(config), HEAD, BATCH_NORM_EPSILON)


def keras_model(config: Config) -> KerasModel:
    """The network as the published Keras graph has it."""
    from zoo.models.deepstarr import keras_graph

    return keras_graph.model(config)


def read_layers(file: ImportedFile, options: ImportOptions) -> tuple[Config, dict[str, np.ndarray]]:
    """A DeepSTARR of any size in another program's file -> Config and canonical arrays."""
    from zoo.models.deepstarr import keras_graph
    from zoo.weights.importers import layers

    found = layers.network(file)
    depth = len(found.filters)
    config = Config(
        filters=found.filters,
        kernel_sizes=found.kernel_sizes,
        dense_units=found.dense_units,
        dropout=Config.dropout if file.dropout is None else file.dropout,
        sequence_length=layers.sequence_length(
            file, lambda bases: positions(bases, depth), found.positions, options.length, Config.sequence_length
        ),
        targets=layers.targets(file, found, options.targets, keras_graph.OUTPUT, Config.targets),
    )
    if file.graph is not None:
        # with targets that Keras accepts as names, since the file's own may not be
        file.graph.check(keras_graph.model(dataclasses.replace(config, targets=Config.targets)))
    return config, layers.arrays(file, found, options, layer_norms(config), HEAD, BATCH_NORM_EPSILON)


def read_published(folder: Path) -> Checkpoint:
    """The published weights, with the facts of their graph."""
    from zoo.weights.importers import importer
    from zoo.weights.importers.layers import ImportOptions

    weights, graph = (folder / name for name in PUBLISHED.weights.md5)
    return importer.read(weights, ImportOptions(graph=graph if graph.is_file() else None), architecture="deepstarr")


def findings() -> dict[str, str]:
    """Whether the compiled training step (trunk.py) works here."""
    try:
        from zoo.models.deepstarr import _trunk
    except ImportError:
        return {"training step": "not built; install again where there is a C compiler"}
    if _trunk.matrix_unit():
        return {"training step": "ready (AMX)"}
    if _trunk.available():
        return {"training step": "ready for --precision bf16 (AVX-512 BF16)"}
    return {"training step": "needs a processor with AMX or AVX-512 BF16, on Linux"}
