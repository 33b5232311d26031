"""onnx-cpu: mutants and windows that share the local part of a graph have the numbers of plain predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.dna import encoding, windows
from zoo.prediction.session import predicted_mutants

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from zoo_runtimes.onnx import network, shared  # noqa: E402

LENGTH = 37
TARGETS = 2
OPSET = 18


class Net:
    """A graph with random weights, layer by layer; each method returns the name of its tensor."""

    def __init__(self, opset: int = OPSET) -> None:
        self.opset = opset
        self.random = np.random.default_rng(0)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def weights(self, *shape: int) -> str:
        return self.constant(self.random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape))

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def conv(self, x: str, channels: tuple[int, int], size: int, group: int = 1, **attributes: Any) -> str:
        weight = self.weights(channels[1], channels[0] // group, size)
        return self.add("Conv", x, weight, self.constant(self.random.normal(0, 0.3, channels[1])),
                        group=group, **attributes)  # fmt: skip

    def same(self, x: str, channels: tuple[int, int], size: int, dilation: int = 1) -> str:
        missing = (size - 1) * dilation
        return self.conv(x, channels, size, dilations=[dilation], pads=[missing // 2, missing - missing // 2])

    def relu_conv(self, x: str, channels: tuple[int, int], size: int, **attributes: Any) -> str:
        return self.add("Relu", self.conv(x, channels, size, **attributes))

    def dense(self, x: str, features: int) -> str:
        return self.add("Gemm", self.add("Flatten", x), self.weights(features, TARGETS))

    def mean_and_dense(self, x: str, channels: int) -> str:
        return self.dense(self.add("GlobalAveragePool", x), channels)

    def session(self, path: Path, output: str) -> Any:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4, LENGTH])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", TARGETS])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString())
        return start(path)


def start(model: Path | bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def feed(codes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(encoding.one_hot(codes).transpose(0, 2, 1))


NETWORKS: dict[str, Callable[[Net], str]] = {}


def case(make: Callable[[Net], str]) -> Callable[[Net], str]:
    NETWORKS[make.__name__] = make
    return make


@case
def valid(net: Net) -> str:
    x = net.add("MaxPool", net.relu_conv("x", (4, 6), 5), kernel_shape=[3], strides=[3])  # 33 -> 11
    x = net.add("MaxPool", net.relu_conv(x, (6, 5), 4), kernel_shape=[3], strides=[3])  # 8 -> 2, two are left over
    return net.dense(x, 5 * 2)


@case
def same_with_even_kernels(net: Net) -> str:
    x = net.add("MaxPool", net.add("Relu", net.same("x", (4, 6), 6)), kernel_shape=[2], strides=[2])
    x = net.add("MaxPool", net.add("Relu", net.same(x, (6, 5), 3)), kernel_shape=[2], strides=[2])
    return net.dense(net.same(x, (5, 4), 4), 4 * 9)


@case
def strides(net: Net) -> str:
    x = net.relu_conv("x", (4, 6), 5, strides=[2], pads=[1, 3])
    x = net.relu_conv(x, (6, 6), 3, strides=[3], pads=[2, 0])
    return net.mean_and_dense(net.same(x, (6, 5), 3), 5)


@case
def kernel_narrower_than_its_stride(net: Net) -> str:
    return net.mean_and_dense(net.same(net.relu_conv("x", (4, 6), 2, strides=[3]), (6, 5), 3), 5)


@case
def automatic_padding(net: Net) -> str:
    x = net.relu_conv("x", (4, 6), 4, auto_pad="SAME_UPPER", strides=[2])
    x = net.add("MaxPool", x, kernel_shape=[3], strides=[2], auto_pad="SAME_LOWER")
    return net.mean_and_dense(net.relu_conv(x, (6, 5), 4, auto_pad="SAME_LOWER"), 5)


@case
def dilated_residual(net: Net) -> str:
    x = net.same("x", (4, 6), 5)
    for dilation in (1, 2, 4):
        x = net.add("Add", net.same(net.add("Relu", x), (6, 6), 3, dilation), x)
    return net.mean_and_dense(x, 6)


@case
def branches_of_different_depth(net: Net) -> str:
    x = net.add("Relu", net.same("x", (4, 6), 3))
    deep = net.same(net.add("Relu", net.same(x, (6, 3), 7)), (3, 4), 5)
    pooled = net.add("MaxPool", x, kernel_shape=[3], pads=[1, 1])
    x = net.add("Concat", net.same(x, (6, 2), 1), deep, pooled, axis=1)
    return net.dense(net.add("AveragePool", x, kernel_shape=[4], strides=[4]), 12 * 9)


@case
def branches_that_meet_after_a_pooling(net: Net) -> str:
    x = net.add("Relu", net.same("x", (4, 6), 3))
    one = net.conv(x, (6, 5), 4, strides=[2])
    two = net.conv(net.add("AveragePool", x, kernel_shape=[2], strides=[2]), (6, 5), 2)
    return net.mean_and_dense(net.same(net.add("Mul", one, two), (5, 6), 3), 6)


@case
def depthwise_and_grouped(net: Net) -> str:
    x = net.same("x", (4, 6), 1)
    x = net.conv(x, (6, 6), 5, group=6, pads=[2, 2])
    return net.mean_and_dense(net.conv(net.add("Elu", x), (6, 4), 3, group=2, strides=[2]), 4)


@case
def gates(net: Net) -> str:
    x = net.conv("x", (4, 6), 5)
    x = net.add("Mul", x, net.add("Sigmoid", x))
    x = net.conv(x, (6, 6), 3, pads=[1, 1])
    half = net.add("Mul", x, net.constant(0.5))
    erf = net.add("Erf", net.add("Div", x, net.constant(np.sqrt(2))))
    return net.dense(net.add("Mul", half, net.add("Add", erf, net.constant([1.0]))), 6 * 33)


@case
def padding_as_a_node(net: Net) -> str:
    pads, value = net.constant([0, 0, 9, 0, 0, 4], np.int64), net.constant(0.25)
    x = net.relu_conv(net.add("Pad", net.same("x", (4, 6), 3), pads, value), (6, 5), 4, strides=[2])
    return net.mean_and_dense(x, 5)


@case
def crops_and_steps(net: Net) -> str:
    def cut(x: str, start: int, end: int, step: int) -> str:
        return net.add("Slice", x, *(net.constant([one], np.int64) for one in (start, end, 2, step)))

    x = net.same("x", (4, 6), 3)
    x = net.add("Add", cut(x, 3, -3, 1), net.conv(x, (6, 6), 7))
    return net.mean_and_dense(net.same(cut(x, 2, 100, 3), (6, 4), 3), 4)


@case
def channels_last(net: Net) -> str:
    x = net.add("Transpose", net.same("x", (4, 6), 5), perm=[0, 2, 1])
    x = net.add("Add", net.add("MatMul", x, net.weights(6, 5)), net.constant(net.random.normal(size=5)))
    x = net.add("Softmax", x, axis=-1)
    x = net.add("LayerNormalization", x, net.constant(np.ones(5)), net.constant(np.zeros(5)), axis=-1)
    return net.mean_and_dense(net.same(net.add("Transpose", x, perm=[0, 2, 1]), (5, 4), 3), 4)


@case
def height_one(net: Net) -> str:
    x = net.add("Reshape", "x", net.constant([-1, 4, 1, LENGTH], np.int64))
    weight = net.weights(6, 4, 1, 5)
    x = net.add("Conv", x, weight, pads=[0, 2, 0, 2])
    numbers = [net.constant(net.random.uniform(0.5, 1.5, 6)) for _ in range(4)]
    x = net.add("Relu", net.add("BatchNormalization", x, *numbers))
    x = net.add("MaxPool", x, kernel_shape=[1, 2], strides=[1, 2])
    x = net.add("Squeeze", x, net.constant([2], np.int64))
    return net.dense(net.same(x, (6, 4), 3), 4 * 18)


@case
def windows_that_reach_beyond_the_end(net: Net) -> str:
    x = net.add("MaxPool", net.same("x", (4, 6), 3), kernel_shape=[4], strides=[3], ceil_mode=1)
    x = net.add("AveragePool", x, kernel_shape=[3], pads=[1, 1], count_include_pad=1)
    return net.mean_and_dense(net.same(x, (6, 5), 3), 5)


@case
def a_gate_on_the_mean(net: Net) -> str:
    x = net.relu_conv(net.relu_conv("x", (4, 8), 5), (8, 6), 5)
    x = net.add("Mul", x, net.add("Sigmoid", net.add("GlobalAveragePool", x)))
    return net.mean_and_dense(net.same(x, (6, 5), 3), 5)


@case
def a_tail_that_reads_two_layers(net: Net) -> str:
    one = net.relu_conv("x", (4, 6), 5)
    two = net.same(one, (6, 5), 3)
    x = net.add("Concat", net.add("GlobalMaxPool", one), net.add("GlobalAveragePool", two), axis=1)
    return net.dense(x, 11)


@case
def attention_over_positions(net: Net) -> str:
    x = net.relu_conv(net.relu_conv("x", (4, 6), 5), (6, 5), 5)
    weights = net.add("Softmax", net.same(x, (5, 1), 1), axis=2)
    return net.dense(net.add("ReduceSum", net.add("Mul", x, weights), net.constant([2], np.int64)), 5)


@case
def flanks_and_channels(net: Net) -> str:
    """A frame: constant bases on both sides, a fifth channel, then the reverse complement beside it, and the mean."""
    left, right = (feed(np.array([side], np.uint8)) for side in ([0, 3, 2, 1, 1], [2, 2, 0]))
    rows = net.add("Slice", net.add("Shape", "x"), *(net.constant([one], np.int64) for one in (0, 1)))
    sides = []
    for side in (left, right):
        shape = net.add("Concat", rows, net.constant(side.shape[1:], np.int64), axis=0)
        sides.append(net.add("Expand", net.constant(side), shape))
    x = net.add("Concat", sides[0], "x", sides[1], axis=2)
    reverse = net.add("Gather", x, net.constant([3, 2, 1, 0], np.int64), axis=1)
    begin, end, step = net.constant([-1], np.int64), net.constant([-(2**31)], np.int64), net.constant([-1], np.int64)
    reverse = net.add("Slice", reverse, begin, end, net.constant([2], np.int64), step)
    x = net.add("Concat", x, reverse, axis=0)
    x = net.add("Pad", x, net.constant([0, 0, 0, 0, 1, 0], np.int64), net.constant(1.0))
    x = net.add("MaxPool", net.add("Relu", net.same(x, (5, 6), 4)), kernel_shape=[2], strides=[2])
    x = net.dense(net.same(x, (6, 4), 3), 4 * 22)
    one, two = "strand1", "strand2"
    net.nodes.append(helper.make_node("Split", [x], [one, two], axis=0, num_outputs=2))
    return net.add("Mul", net.add("Add", one, two), net.constant(0.5))


def both(name: str, path: Path) -> tuple[shared.SharedWork, Callable[[np.ndarray], np.ndarray]]:
    net = Net()
    session = net.session(path / "net.onnx", NETWORKS[name](net))

    def run(codes: np.ndarray) -> np.ndarray:
        return session.run(None, {"x": feed(codes)})[0]

    return shared.SharedWork(path / "net.onnx", feed, run, LENGTH, start, lambda: (RuntimeError,)), run


@pytest.mark.parametrize("name", NETWORKS)
def test_mutants_and_windows_have_the_numbers_of_predictions(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "GAIN", 0)
    monkeypatch.setattr(network, "MOST_ROWS", 23)
    work, run = both(name, tmp_path)
    codes = np.random.default_rng(1).integers(0, 5, (2, LENGTH), np.uint8)
    mutants, along = work.mutants(), work.windows()
    assert mutants is not None
    assert along is not None
    expected = predicted_mutants(run, codes, TARGETS)
    np.testing.assert_allclose(mutants(codes), expected, rtol=0, atol=2e-5 * abs(run(codes)).max())
    contig = np.random.default_rng(2).integers(0, 5, LENGTH + 60, np.uint8)
    for stride in (1, 2, 3, 5, 12):
        assert work._of_stride(stride) is not None
        each = run(windows.cut(contig, LENGTH, stride))
        np.testing.assert_allclose(along(contig, stride), each, rtol=0, atol=2e-5 * abs(each).max())
        np.testing.assert_allclose(along(contig[:LENGTH], stride), each[:1], rtol=0, atol=2e-5 * abs(each).max())
