"""A network that makes the number of sequences a constant is explained, and a recurrent one keeps its layer."""

from __future__ import annotations

import pytest
from refusals import refuses

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from zoo_exporters.onnx import TENSORS, traced  # noqa: E402

from zoo.spec import ModelSpec  # noqa: E402

SPEC = ModelSpec("deepstarr", {}, 10, ("a",), "")


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(4, 2, batch_first=True)
        self.dense = torch.nn.Linear(40, 1)

    def forward(self, hot: torch.Tensor) -> torch.Tensor:
        hidden = self.lstm(hot.transpose(1, 2))[0].flatten(1)
        return self.dense(torch.cat([hidden, hidden], 1))


class Fixed(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(40, 1)

    def forward(self, hot: torch.Tensor) -> torch.Tensor:
        return self.dense(hot.reshape(len(hot), -1))


def test_a_batch_axis_that_became_fixed_is_explained() -> None:
    with refuses("fixed at 2", "len(x)", "x.shape[0]"):
        traced.trace(Fixed().eval(), SPEC, TENSORS, 18)


def test_an_lstm_stays_one_node() -> None:
    graph = traced.trace(Network().eval(), SPEC, TENSORS, 18).graph
    assert [node.op_type for node in graph.node].count("LSTM") == 1
    assert len(graph.node) < 30
