"""Basset (Kelley, Snoek, Rinn, Genome Research 2016, doi:10.1101/gr.200535.115), here as a regression of any targets.

The paper's network: three convolutions of 300 x 19, 200 x 11 and 200 x 7 without padding, max-pooled by 3, 4 and 4, and
two hidden layers of 1,000 units, each with batch norm, ReLU and dropout 0.3. The paper takes 600 bp and predicts 164
probabilities of accessibility; here the output layer is linear, since activities are not probabilities, and the default
is 249 bp, the length of DeepSTARR's fragments. The length decides what the first hidden layer sees: 400 features (200
filters at 2 positions) at 249 bp, 2,000 (200 at 10) at 600 bp. Its authors published no Keras model.

This file needs no PyTorch; torch_network.py is the network.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from zoo.layers.config import network_in
from zoo.models import _convolutional
from zoo.models._convolutional import (
    Conventions,
    ConvolutionalConfig,
    array_shapes,
    keras_model,
    layer_norms,
    plain_layers,
    plain_shape,
)
from zoo.models._fly_data import S2
from zoo.options import Bounds

if TYPE_CHECKING:
    import numpy as np

    from zoo.weights.importers.layers import ImportedFile, ImportOptions

__all__ = [
    "CARD", "HEAD", "RECIPE", "VARIANTS", "Config", "array_shapes", "keras_model", "layer_norms", "network",
    "plain_layers", "plain_shape", "read_layers",
]  # fmt: skip

HEAD = "output"

BATCH_NORM_EPSILON = 1e-5
"""Added to the variance, Torch7's default."""

BATCH_NORM_MOMENTUM = 0.1
"""Weight of the newest batch in the running statistics, as in Torch7 and PyTorch."""


@dataclasses.dataclass(frozen=True)
class Config(ConvolutionalConfig):
    """Dimensions of one network, see ConvolutionalConfig. pools: window and stride after each convolution."""

    conventions: ClassVar[Conventions] = Conventions(
        name="Basset",
        dense="hidden",
        norm="_bn",
        head=HEAD,
        same=False,
        epsilon=BATCH_NORM_EPSILON,
        momentum=BATCH_NORM_MOMENTUM,
        keras_output=f"{HEAD}_",
    )

    filters: Annotated[tuple[int, ...], Bounds(1)] = (300, 200, 200)
    kernel_sizes: Annotated[tuple[int, ...], Bounds(1)] = (19, 11, 7)
    dense_units: Annotated[tuple[int, ...], Bounds(1)] = (1000, 1000)
    dropout: Annotated[float, Bounds(0, below=1)] = 0.3
    sequence_length: int = 249
    targets: tuple[str, ...] = ("dev", "hk")
    pools: Annotated[tuple[int, ...], Bounds(1)] = (3, 4, 4)


VARIANTS = {"basset": Config()}

CARD = dataclasses.replace(S2, citation="Kelley et al., Genome Research 2016, doi:10.1101/gr.200535.115")
"""The data are those of the targets dev and hk, not the accessibility in the paper."""

RECIPE = {"learning_rate": 0.001, "epsilon": 1e-8, "batch_size": 128}
"""The paper's batch size. Its learning rate of 0.002 is for RMSprop (momentum 0.98); the zoo trains with Adam, here
with the rate and the epsilon of Adam's authors (Kingma and Ba 2015, arXiv:1412.6980)."""


network = network_in(__name__, "Basset")


def read_layers(file: ImportedFile, options: ImportOptions) -> tuple[Any, dict[str, np.ndarray]]:
    """A Basset in another program's file -> Config and canonical arrays.

    Arrays do not show the sizes of the poolings: they are the paper's, except in a file that the zoo exported.
    """
    pools = file.spec.config.get("pools", Config.pools) if file.spec else Config.pools
    return _convolutional.read_layers(VARIANTS["basset"], tuple(pools), file, options)
