"""Tiny networks of each framework that hold all operators of the table in docs/import.md, one output an operator."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from zoo.weights.importers.graphs import graph as graphs
from zoo.weights.importers.graphs.graph import ForeignGraph

LENGTH = 20

TABLE = Path(__file__).parents[1] / "docs" / "import.md"


def documented(source: str) -> dict[str, str]:
    """Operator -> what docs/import.md says of it for a source."""
    rows = [
        [cell.strip() for cell in line.strip("| \n").split("|")]
        for line in TABLE.read_text().splitlines()
        if re.match(r"\| [^-]", line)
    ]
    (head,) = [row for row in rows if row[0] == "operator"]
    return {row[0]: row[head.index(source)] for row in rows if len(row) == len(head) and row[0] != "operator"}


def verdicts(graph: ForeignGraph, names: list[str]) -> dict[str, str]:
    """Operator -> "yes" if its output agrees at every batch size. names: operators in the order of the outputs."""
    run = graphs.onnx_run(graph.model, "the test")
    feeds = {}
    for one in graph.inputs:
        shape = [64, *(size if isinstance(size, int) else LENGTH for size in one.shape[1:])]
        feeds[one.name] = np.random.default_rng(1).random(shape).astype(one.dtype)
    expected = graph.run(feeds)
    found = dict.fromkeys(names, "yes")
    for count in (1, 2, 7, 64):
        results = run({name: array[:count] for name, array in feeds.items()})
        for name, output in zip(names, graph.outputs, strict=True):
            wanted, got = expected[output.name][:count], results[output.name]
            assert wanted.std() > 0, f"{name} is constant, and proves nothing"
            if got.shape != wanted.shape or np.abs(got - wanted).max() > 2e-5 * np.abs(wanted).max():
                found[name] = f"differs at {count}"
    return found


def keras_network(keras: Any, length: int | None = LENGTH) -> tuple[Any, list[str]]:
    """A functional model of Keras 2 or 3, and the operators of its outputs."""
    layers = keras.layers
    x = keras.Input((length, 4), name="sequence")
    h = layers.Conv1D(8, 5, padding="same")(x)
    mean = layers.GlobalAveragePooling1D()(h)
    gate = layers.Dense(8, "sigmoid")(layers.Dense(2, "relu")(mean))
    weights = layers.Softmax(axis=1)(layers.Dense(1)(h))
    first, second = layers.Dense(3, "relu")(mean), layers.Dense(3, "relu")(mean)
    outputs = {
        "convolution, valid": layers.Conv1D(3, 4)(x),
        "convolution, same": layers.Conv1D(3, 4, strides=2, padding="same")(x),
        "convolution, dilated": layers.Conv1D(3, 3, dilation_rate=2, padding="same")(h),
        "convolution, grouped": layers.Conv1D(8, 3, groups=4)(h),
        "convolution, depthwise": layers.DepthwiseConv1D(3, padding="same")(h),
        "convolution, transposed": layers.Conv1DTranspose(3, 4, strides=2, padding="same")(h),
        "squeeze and excitation": layers.Multiply()([h, layers.Reshape((1, 8))(gate)]),
        "residual, added": layers.Add()([h, layers.Conv1D(8, 3, padding="same")(h)]),
        "residual, concatenated": layers.Concatenate()([h, layers.Conv1D(2, 3, padding="same")(h)]),
        "ReLU before batch norm": layers.BatchNormalization()(layers.ReLU()(h)),
        "layer norm": layers.LayerNormalization()(h),
        "SiLU": layers.Activation("swish")(h),
        "GELU": layers.Activation("gelu")(h),
        "exponential": layers.Activation("exponential")(h),
        "softplus": layers.Activation("softplus")(h),
        "sigmoid gate": layers.Multiply()([h, layers.Conv1D(8, 1, activation="sigmoid")(h)]),
        "max pooling": layers.MaxPooling1D(3, padding="same")(h),
        "mean pooling": layers.AveragePooling1D(3)(h),
        "attention pooling": layers.Dot(1)([weights, h]),
        "global pooling": layers.Concatenate()([mean, layers.GlobalMaxPooling1D()(h)]),
        "LSTM, both ways": layers.Bidirectional(layers.LSTM(3, return_sequences=True))(h),
        "GRU, both ways": layers.Bidirectional(layers.GRU(3))(h),
        "multi-head attention": layers.MultiHeadAttention(2, 3)(h, h),
        "branched linear": layers.Concatenate()([layers.Dense(1)(first), layers.Dense(1)(second)]),
        "two heads": layers.Dense(2)(mean),
        "softmax profile": layers.Softmax(axis=1)(layers.Conv1D(2, 3, padding="same")(h)),
    }
    model = keras.Model(x, list(outputs.values()))
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.05, 0.4, array.shape) for array in model.get_weights()])
    return model, list(outputs)


def torch_network() -> tuple[Any, list[str]]:
    """A PyTorch module with one input (N, 4, L), and the operators of its outputs."""
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv1d(4, 8, 5, padding="same")
            self.valid = nn.Conv1d(4, 3, 4)
            self.same = nn.Conv1d(4, 3, 4, padding="same")
            self.dilated = nn.Conv1d(8, 3, 3, dilation=2)
            self.grouped = nn.Conv1d(8, 8, 3, groups=4)
            self.depthwise = nn.Conv1d(8, 8, 3, groups=8)
            self.transposed = nn.ConvTranspose1d(8, 3, 4, stride=2)
            self.squeeze = nn.Sequential(nn.Linear(8, 2), nn.ReLU(), nn.Linear(2, 8), nn.Sigmoid())
            self.residual = nn.Conv1d(8, 8, 3, padding=1)
            self.norm = nn.BatchNorm1d(8)
            self.layer_norm = nn.LayerNorm(8)
            self.gate = nn.Conv1d(8, 8, 1)
            self.score = nn.Linear(8, 1)
            self.lstm = nn.LSTM(8, 3, batch_first=True, bidirectional=True)
            self.gru = nn.GRU(8, 3, batch_first=True, bidirectional=True)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.branches = nn.Parameter(torch.zeros(8, 3, 2))
            self.head = nn.Linear(8, 2)
            self.profile = nn.Conv1d(8, 2, 3, padding=1)

        def forward(self, x):
            h = self.first(x)
            t = h.transpose(1, 2)
            mean = h.mean(2)
            weights = torch.softmax(self.score(t), 1)
            return (
                self.valid(x),
                self.same(x),
                self.dilated(h),
                self.grouped(h),
                self.depthwise(h),
                self.transposed(h),
                h * self.squeeze(mean).unsqueeze(2),
                h + self.residual(h),
                torch.cat([h, self.residual(h)], 1),
                self.norm(torch.relu(h)),
                self.layer_norm(t),
                nn.functional.silu(h),
                nn.functional.gelu(h),
                torch.exp(h),
                nn.functional.softplus(h),
                h * torch.sigmoid(self.gate(h)),
                nn.functional.max_pool1d(h, 3),
                nn.functional.avg_pool1d(h, 3),
                (weights * t).sum(1),
                torch.cat([mean, h.amax(2)], 1),
                self.lstm(t)[0],
                self.gru(t)[0],
                self.attention(t, t, t, need_weights=False)[0],
                torch.einsum("nc,cdb->nbd", mean, self.branches),
                self.head(mean),
                torch.softmax(self.profile(h), 2),
            )

    torch.manual_seed(0)
    network = Network().eval()
    with torch.no_grad():
        for array in (*network.parameters(), network.norm.running_var):
            array.uniform_(0.05, 0.4)
    return network, list(documented(".pt2"))[:-1]
