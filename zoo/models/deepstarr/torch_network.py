"""DeepSTARR in PyTorch: one class for the original, the tuned and every other Config."""

from __future__ import annotations

from torch import nn

from zoo.models._convolutional_network import ConvolutionalNetwork
from zoo.models.deepstarr import Config


class DeepSTARR(ConvolutionalNetwork):
    """The network of a Config, initialised as Keras does: Glorot-uniform kernels, zero biases, unit batch norm."""

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        for layer in self.children():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
