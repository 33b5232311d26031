"""Basset in PyTorch, initialised as in Torch7."""

from __future__ import annotations

from zoo.models._convolutional_network import ConvolutionalNetwork


class Basset(ConvolutionalNetwork):
    """The network of a zoo.models.basset.Config."""
