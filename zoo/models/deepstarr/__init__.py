"""DeepSTARR (de Almeida et al., Nature Genetics 2022, doi:10.1038/s41588-022-01048-5) and its relatives.

Four convolutions that keep the length, each with batch norm, ReLU and max-pooling by 2, then two dense layers with
batch norm, ReLU and dropout, then one linear output per target.

The networks of the fly embryo (de Almeida et al., Nature 2024, doi:10.1038/s41586-023-06905-9) and of the mouse embryo
(Chen et al. 2025, github.com/Shenzhi-Chen/DeepSTARR-Mouse) take 1,001 bp, pool by 3 and predict one tissue: `embryo`
and `mouse` its accessibility, `embryo-activity` and `mouse-activity`, trained on from these, the probability that an
enhancer is active there. A tissue has a network for each of its folds and repetitions, whose mean is the prediction.

This file needs no PyTorch, so the base install can read, check and serve weights; torch_network.py is the network.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from zoo.card import Card
from zoo.errors import OtherArchitecture, ZooError
from zoo.layers.config import LONGEST, network_in
from zoo.layers.keras_layers import KerasLayer, KerasModel
from zoo.models import _convolutional
from zoo.models._convolutional import (
    Conventions,
    ConvolutionalConfig,
    array_shapes,
    layer_norms,
    plain_layers,
    plain_shape,
)
from zoo.models._fly_data import S2
from zoo.options import Bounds
from zoo.system import machine
from zoo.weights.published import Published, PublishedFiles

if TYPE_CHECKING:
    import numpy as np
    import torch

    from zoo.models.deepstarr.torch_network import DeepSTARR
    from zoo.weights.checkpoint import Checkpoint
    from zoo.weights.importers.layers import ImportedFile, ImportOptions

__all__ = [
    "CARD", "HEAD", "LOGGED_AS", "PUBLISHED", "RECIPE", "SEARCH_SPACE", "VARIANTS", "Config", "array_shapes",
    "findings", "keras_model", "layer_norms", "network", "plain_layers", "plain_shape", "read_layers",
    "read_published", "training_forward",
]  # fmt: skip

HEAD = "head"

POOL_SIZE = 2
"""Stride and window of every max-pooling in the network of 249 bp, for which training.py and trunk.py are written."""

BATCH_NORM_EPSILON = 1e-3
"""Added to the variance, Keras's default (with PyTorch's 1e-5, the published weights are off by up to 0.0098)."""

BATCH_NORM_MOMENTUM = 0.01
"""Weight of the newest batch in the running statistics; 0.99 in Keras's convention."""


@dataclasses.dataclass(frozen=True)
class Config(ConvolutionalConfig):
    """Dimensions of one network, see ConvolutionalConfig.

    pool_size: stride and window of every max-pooling; a last incomplete window is dropped.  sigmoid: whether the
    outputs are probabilities.
    """

    conventions: ClassVar[Conventions] = Conventions(
        name="DeepSTARR",
        dense="dense",
        norm="_norm",
        head=HEAD,
        same=True,
        epsilon=BATCH_NORM_EPSILON,
        momentum=BATCH_NORM_MOMENTUM,
        keras_output="Dense_",
    )

    filters: Annotated[tuple[int, ...], Bounds(1)] = (256, 60, 60, 120)
    kernel_sizes: Annotated[tuple[int, ...], Bounds(1)] = (7, 3, 5, 3)
    dense_units: Annotated[tuple[int, ...], Bounds(1)] = (256, 256)
    dropout: Annotated[float, Bounds(0, below=1)] = 0.4
    sequence_length: int = 249
    targets: tuple[str, ...] = ("dev", "hk")
    pool_size: Annotated[int, Bounds(1)] = POOL_SIZE
    sigmoid: bool = False

    @property
    def pools(self) -> tuple[int, ...]:
        return (self.pool_size,) * len(self.filters)


EMBRYO = Config(
    filters=(256, 120, 60, 60),
    kernel_sizes=(7, 3, 3, 3),
    dense_units=(64, 256),
    sequence_length=1001,
    targets=("CNS",),
    pool_size=3,
)

VARIANTS = {
    # the published network; its text says 246 filters, its weights and code have 256
    "original": Config(),
    # found by a hyper-parameter search over the original: a third of the arithmetic
    "tuned": Config(filters=(128, 60, 60, 30), kernel_sizes=(7, 3, 3, 7), dense_units=(256,)),
    "embryo": EMBRYO,
    "embryo-activity": dataclasses.replace(EMBRYO, sigmoid=True),
    "mouse": dataclasses.replace(EMBRYO, targets=("heart",)),
    "mouse-activity": dataclasses.replace(EMBRYO, targets=("heart",), sigmoid=True),
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
        # only says how the layers are connected, which is the same for every DeepSTARR
        optional=("DeepSTARR.model.json",),
    ),
    weights_id="b8a0c2cf12fc0cc5ca2ea1bf2eafa093d1b5ce82238e420cbc5156848498863a",
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
        # sizes are unknown; the largest file has 402,296 records of 249 bases, a tenth of this
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
    predicts="enhancer activity in Drosophila melanogaster S2 cells, measured by STARR-seq, as log2 enrichment over "
    "input: dev with a developmental core promoter (DSCP), hk with a housekeeping one (RpS12)",
)

S2_CARD = dataclasses.replace(S2, citation=PUBLISHED.citation.partition(";")[0])
FLY_EMBRYO_CARD = Card(
    species="Drosophila melanogaster",
    tissue="embryo, one tissue a network",
    assay="single-cell ATAC-seq",
    unit="accessibility, as in the authors' tables",
    training_data="windows of 1,001 bp in ten genomic folds, three networks each; Zenodo record 8011696",
    citation="de Almeida et al., Nature 2024, doi:10.1038/s41586-023-06905-9",
)
MOUSE_EMBRYO_CARD = Card(
    species="Mus musculus",
    tissue="embryo E11.5, one tissue a network",
    assay="ATAC-seq",
    unit="accessibility, as in the authors' tables",
    training_data="windows of 1,001 bp in three folds, two networks each; huggingface.co/Shenzhi-Chen/DeepSTARR-Mouse",
    held_out=("chr18",),
    citation="Chen et al. 2025, Predictive design of tissue-specific mammalian enhancers, bioRxiv",
)
ACTIVE = "probability of activity in the tissue"
CARD = {
    "original": S2_CARD,
    "tuned": S2_CARD,
    "embryo": FLY_EMBRYO_CARD,
    "embryo-activity": dataclasses.replace(FLY_EMBRYO_CARD, assay="transgenic reporter assays", unit=ACTIVE),
    "mouse": MOUSE_EMBRYO_CARD,
    "mouse-activity": dataclasses.replace(
        MOUSE_EMBRYO_CARD,
        assay="transgenic reporter assays (VISTA)",
        unit=ACTIVE,
        held_out=(),
    ),
}

SEARCH_SPACE = Path(__file__).with_name("search_space.toml")
"""The search space that `tuned` comes from."""

LOGGED_AS = {"validation": "valid", "pearson": "pcc", "spearman": "scc"}
"""Words in the metric names of that search, such as valid_pcc_dev."""


def recipe(config: Config) -> dict[str, Any]:
    """Training as in the papers: Adam with Keras's epsilon, mean squared errors summed over targets, the best weights
    kept. The embryo networks of 1,001 bp learn faster and stop earlier; those of activities, which should begin with
    the weights of accessibility, learn slowly."""
    found = {"learning_rate": 0.002, "epsilon": 1e-7, "batch_size": 128, "epochs": 100, "patience": 10}
    if config.sigmoid:
        return {**found, "learning_rate": 0.0001, "epochs": 200, "patience": 20}
    return found if config.pool_size == POOL_SIZE else {**found, "learning_rate": 0.005, "patience": 5}


RECIPE = recipe


network = network_in(__name__, "DeepSTARR")


def training_forward(model: DeepSTARR, one_hot: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Compute the network in training mode on a CPU, for poolings by 2 faster than its modules do, see training.py."""
    import torch

    from zoo.models.deepstarr.training import forward

    if model.config.pool_size == POOL_SIZE and not model.config.sigmoid:
        return forward(model, one_hot, dtype)
    with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
        found: torch.Tensor = model(one_hot.transpose(1, 2))
        return found


FIRST_NUMBERS = {"batch_normalization": 60, "activation": 60, "max_pooling1d": 44, "flatten": 11, "dropout": 17}
"""Prefix of a Keras layer's name -> its number in the first such layer of the published file."""

LAYER_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""Names that both TensorFlow and the groups of an .h5 file allow."""


def keras_model(config: Config) -> KerasModel:
    """The network as Keras layers with the names in the published file, which pipelines look for."""
    model = _convolutional.keras_model(config)
    counts = dict(FIRST_NUMBERS)
    prefixes = {"BatchNormalization": "batch_normalization", "MaxPooling1D": "max_pooling1d"}
    layers: list[KerasLayer] = []
    used: set[str] = set()
    for layer in model.layers:
        prefix = prefixes.get(layer.class_name, layer.class_name.lower())
        if layer.row is not None:
            target = config.targets[layer.row]
            name = f"{config.conventions.keras_output}{target[:1].upper()}{target[1:]}"
            if name in used or not LAYER_NAME.fullmatch(name):
                raise ZooError(f"targets: {target!r} cannot name a Keras layer beside {', '.join(sorted(used))}")
        elif prefix in counts:
            name = f"{prefix}_{counts[prefix]}"
            counts[prefix] += 1
        else:
            name = {"conv1": "Conv1D_1st"}.get(layer.name, re.sub(r"\D+", f"{layer.class_name}_", layer.name, count=1))
        used.add(name)
        layers.append(dataclasses.replace(layer, name=name))
    return KerasModel(model.name, "input_12", tuple(layers))


def read_layers(file: ImportedFile, options: ImportOptions) -> tuple[Any, dict[str, np.ndarray]]:
    """A DeepSTARR of any size in another program's file -> Config and canonical arrays."""
    pool, length = _pool_and_length(file, options)
    pools = (pool,) * sum(layer.kernel.ndim == 3 for layer in file.layers)
    return _convolutional.read_layers(VARIANTS["original"], pools, file, options, length)


def _pool_and_length(file: ImportedFile, options: ImportOptions) -> tuple[int, int]:
    """The size of all poolings, and the length of the variant that has it. A file that does not say the size has that
    of the first variant whose poolings leave as many positions as the file's network has."""
    pool = next(iter(file.graph.pools), None) if file.graph else None
    if file.spec is not None:
        pool = file.spec.config.get("pool_size", POOL_SIZE)
    if pool is None:
        from zoo.weights.importers import layers

        found = layers.network(file)
        for variant in VARIANTS.values():
            length = options.length or variant.sequence_length
            if length // variant.pool_size ** len(found.convolutions) == found.positions:
                return variant.pool_size, length
        pool = POOL_SIZE
    if type(pool) is not int or not 1 <= pool <= LONGEST:
        raise OtherArchitecture(f"{file.path}: expected poolings by a whole number, got {pool!r}")
    lengths = {variant.pool_size: variant.sequence_length for variant in VARIANTS.values()}
    return pool, lengths.get(pool, VARIANTS["original"].sequence_length)


def read_published(folder: Path) -> Checkpoint:
    """Read the published weights, with their Keras graph if it was pulled too."""
    from zoo.weights.importers import importer
    from zoo.weights.importers.layers import ImportOptions

    weights, graph = (folder / name for name in PUBLISHED.weights.md5)
    return importer.read(weights, ImportOptions(graph=graph if graph.is_file() else None), architecture="deepstarr")


def findings() -> dict[str, str]:
    """Whether the compiled training step (trunk.py) works on this machine. Raises BadSetting as machine.instruction_set
    does."""
    try:
        from zoo.models.deepstarr import _trunk
    except ImportError:
        return {"training step": "not built; install a C compiler, then reinstall deepstarr-zoo"}
    demanded = machine.instruction_set()
    if demanded not in (None, "avx512"):
        return {"training step": f"left out, since ZOO_INSTRUCTION_SET={demanded} has no bfloat16"}
    if _trunk.matrix_unit():
        return {"training step": "ready (AMX)"}
    if _trunk.available():
        return {"training step": "ready for --precision bf16 (AVX-512 BF16)"}
    return {"training step": "needs a processor with AMX or AVX-512 BF16, on Linux"}
