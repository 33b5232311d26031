"""onnx-cpu: mutants, edits and windows that share the local part of a graph have the numbers of plain predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes

from zoo import registry
from zoo.dna import encoding, windows
from zoo.errors import MissingDependency
from zoo.options import RunOptions
from zoo.prediction import by_prediction
from zoo.prediction.session import open_session

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from zoo_runtimes.onnx import edits, network, shared  # noqa: E402
from zoo_runtimes.onnx import windows as along  # noqa: E402
from zoo_runtimes.onnx.graph import NotShared  # noqa: E402

LENGTH = 37
TARGETS = 2
OPSET = 18


class Net:
    """A graph with random weights, layer by layer; each method returns the name of its tensor."""

    def __init__(self, opset: int = OPSET, seed: int = 0) -> None:
        self.opset = opset
        self.random = np.random.default_rng(seed)
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
        return self.add("Gemm", self.add("Flatten", x), self.weights(features, TARGETS), self.constant([0.1, -0.2]))

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


def anything(net: Net) -> str:
    """Random layers in random order."""
    pick = net.random.integers
    x, channels = "x", 4
    for _ in range(pick(2, 5)):
        kind, size = pick(6), int(pick(1, 6))
        pads = [int(pick(size)), int(pick(size))]
        if kind == 0:
            x = net.add("MaxPool", x, kernel_shape=[size], strides=[int(pick(1, 4))], pads=pads, ceil_mode=int(pick(2)))
        elif kind == 1:
            x = net.add(
                "AveragePool", x, kernel_shape=[size], strides=[int(pick(1, 4))], pads=pads, count_include_pad=1
            )
        elif kind == 2:
            deep = net.same(net.add("Tanh", net.same(x, (channels, 3), size)), (3, channels), int(pick(1, 5)))
            x = net.add(["Add", "Mul"][pick(2)], deep, x)
        elif kind == 3:
            x = net.add("Concat", x, net.same(x, (channels, 3), size, int(pick(1, 3))), axis=1)
            channels += 3
        else:
            x = net.conv(x, (channels, 6), size, pads=pads, strides=[int(pick(1, 3))], dilations=[int(pick(1, 3))])
            x, channels = net.add("Tanh", x), 6
    return net.mean_and_dense(net.same(x, (channels, 5), 2), 5)


def both(name: str, path: Path) -> tuple[shared.SharedWork, Callable[[np.ndarray], np.ndarray]]:
    make = NETWORKS.get(name, anything)
    net = Net(seed=0 if name in NETWORKS else int(name))
    return sharing(net, make(net), path)


def sharing(net: Net, output: str, path: Path) -> tuple[shared.SharedWork, Callable[[np.ndarray], np.ndarray]]:
    session = net.session(path / "net.onnx", output)

    def run(codes: np.ndarray) -> np.ndarray:
        return session.run(None, {"x": feed(codes)})[0]

    return shared.SharedWork(path / "net.onnx", output, feed, run, LENGTH, start), run


@pytest.fixture
def at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share work even where it saves no time, in several batches."""
    monkeypatch.setattr(network, "GAIN", 0)
    monkeypatch.setattr(network, "MOST_ROWS", 23)


@pytest.mark.usefixtures("at_any_size")
@pytest.mark.parametrize("name", [*NETWORKS, *map(str, range(12))])
def test_mutants_and_windows_have_the_numbers_of_predictions(name: str, tmp_path: Path) -> None:
    compare(*both(name, tmp_path), (1, 2, 3, 5, 12))


def compare(work: shared.SharedWork, run: Callable[[np.ndarray], np.ndarray], strides: tuple[int, ...]) -> None:
    """Compare all mutants of two sequences, and the windows of a contig, with plain predictions."""
    codes = np.random.default_rng(1).integers(0, 5, (2, LENGTH), np.uint8)
    effects, activities = work.mutants(), work.windows()
    assert effects is not None
    assert activities is not None
    expected = by_prediction.mutants(run, codes, TARGETS)
    assert np.count_nonzero(expected) > expected.size // 8
    np.testing.assert_allclose(effects(codes), expected, rtol=0, atol=2e-5 * abs(run(codes)).max())
    compare_edits(work, run, codes)
    contig = np.random.default_rng(2).integers(0, 5, LENGTH + 60, np.uint8)
    for stride in strides:
        assert work._of_stride(stride) is not None
        each = run(windows.cut(contig, LENGTH, stride))
        np.testing.assert_allclose(activities(contig, stride), each, rtol=0, atol=2e-5 * abs(each).max())
        np.testing.assert_allclose(activities(contig[:LENGTH], stride), each[:1], rtol=0, atol=2e-5 * abs(each).max())


def compare_edits(work: shared.SharedWork, run: Callable[[np.ndarray], np.ndarray], codes: np.ndarray) -> None:
    """Compare edits of stretches of any width, at both ends and between, of two places and of none."""
    effects = work.edits()
    assert effects is not None
    random = np.random.default_rng(3)
    edited, rows = [], []
    for width in (1, 2, 5, 11, LENGTH // 2, LENGTH):
        for first in {0, 3, LENGTH - width} & {*range(LENGTH - width + 1)}:
            for row in (0, 1):
                one = codes[row].copy()
                one[first : first + width] = random.integers(0, 5, width)
                edited.append(one)
                rows.append(row)
    edited += [codes[1], codes[0].copy()]
    edited[-1][[2, LENGTH - 9]] = (edited[-1][[2, LENGTH - 9]] + 1) % 4
    order = random.permutation(len(edited))
    made, of = np.array(edited)[order], np.array([*rows, 1, 0])[order]
    found, expected = effects(codes, made, of), run(made) - run(codes)[of]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * abs(run(codes)).max())
    same = (made == codes[of]).all(axis=1)
    np.testing.assert_array_equal(found[same], 0)
    np.testing.assert_array_equal(effects(codes, codes[of], of), 0)
    widths = {key[1] for key, way in work._ways.items() if key[0] == "width" and way}
    assert {1, 2, 6, 12, 24, LENGTH} <= widths


def framed_network(layout: str) -> Any:
    """A foreign graph with channels last, or codes, in a frame with flanks whose strands are averaged."""
    from zoo_exporters.onnx import TENSORS, framed

    from zoo.frame import Frame, InputFrame, SequenceFrame, StrandFrame, Target
    from zoo.weights.importers.graphs.graph import Tensor

    net = Net()
    kind, shape = (TensorProto.INT64, ["n", 45]) if layout == "codes" else (TensorProto.FLOAT, ["n", 45, 5])
    x = net.add("Gather", net.weights(5, 5), "dna") if layout == "codes" else "dna"
    x = net.relu_conv(net.add("Transpose", x, perm=[0, 2, 1]), (5, 6), 5)
    y = net.dense(net.add("MaxPool", x, kernel_shape=[4], strides=[4]), 6 * 10)
    graph = helper.make_graph(
        net.nodes,
        "foreign",
        [helper.make_tensor_value_info("dna", kind, shape)],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, ["n", TARGETS])],
        net.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    channels = () if layout == "codes" else ("reverse",)
    frame = Frame(
        InputFrame(layout=layout, alphabet="TGCA", unknown=4 if layout == "codes" else 0.25, channels=channels),
        StrandFrame("mean", "sequence"),
        tuple(Target(f"t{column}", y, column) for column in range(TARGETS)),
        SequenceFrame(left="ACGTN", right="GGA"),
    )
    inputs = [Tensor("dna", np.dtype(np.int64 if layout == "codes" else np.float32), tuple(shape))]
    outputs = [Tensor(y, np.dtype(np.float32), ("n", TARGETS))]
    return framed.compile_frame([model], frame, inputs, outputs, TENSORS)


@pytest.mark.usefixtures("at_any_size")
@pytest.mark.parametrize("layout", ["NLC", "codes"])
def test_a_frame_with_flanks_and_both_strands_is_shared(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "framed.onnx"
    path.write_bytes(framed_network(layout).SerializeToString())
    session = start(path)

    def run(codes: np.ndarray) -> np.ndarray:
        return session.run(None, {"one_hot": feed(codes)})[0]

    work = shared.SharedWork(path, session.get_outputs()[0].name, feed, run, LENGTH, start)
    compare(work, run, (1, 4))
    assert [strand.reverse for strand in work._network().strands] == [False, True]
    assert [strand.first for strand in work._network().strands] == [5, 5]


@pytest.mark.usefixtures("at_any_size")
def test_an_export_of_letters_shares_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, weights = registry.load("exporters", "onnx"), random_checkpoint(ODD)
    # the export is compared with the network in NumPy, without the time that PyTorch takes to be imported
    monkeypatch.setattr(exporter.network, "from_checkpoint", mock.Mock(side_effect=MissingDependency("no PyTorch")))
    exporter.export(weights, tmp_path / "odd.onnx", input="bytes")
    running = open_session(tmp_path / "odd.onnx", "onnx-cpu", RunOptions(threads=1, batch_size=50))
    assert running._engine.mutants
    codes = random_codes(2, ODD.sequence_length)
    expected = by_prediction.mutants(running.predict, codes, len(ODD.targets))
    np.testing.assert_allclose(running.mutants(codes), expected, rtol=0, atol=2e-5 * abs(running.predict(codes)).max())


@pytest.mark.usefixtures("at_any_size")
def test_an_old_graph_is_converted(tmp_path: Path) -> None:
    net = Net(opset=9)
    output = net.dense(net.add("MaxPool", net.relu_conv("x", (4, 6), 5), kernel_shape=[3], strides=[3]), 66)
    compare(*sharing(net, output, tmp_path), (1, 5))


def recurrent(net: Net) -> str:
    x = net.add("Transpose", "x", perm=[2, 0, 1])
    x = net.add("LSTM", x, net.weights(1, 32, 4), net.weights(1, 32, 8), hidden_size=8)
    return net.dense(net.add("Transpose", net.nodes[-1].output[0], perm=[2, 0, 1, 3]), 8 * LENGTH)


def a_gate_at_the_start(net: Net) -> str:
    x = net.add("Mul", "x", net.add("GlobalAveragePool", "x"))
    return net.mean_and_dense(net.relu_conv(net.relu_conv(x, (4, 32), 5), (32, 32), 5), 32)


def dense_alone(net: Net) -> str:
    return net.dense("x", 4 * LENGTH)


def an_early_gate(net: Net) -> str:
    """A local first layer which is a small part of the network."""
    x = net.relu_conv("x", (4, 8), 3)
    x = net.add("Mul", x, net.add("Sigmoid", net.add("GlobalAveragePool", x)))
    return net.mean_and_dense(net.relu_conv(net.relu_conv(x, (8, 64), 9), (64, 64), 9), 64)


def two_position_axes(net: Net) -> str:
    """Convolutions along the sequence, and along its turned copy."""
    flipped = net.add("Slice", "x", *(net.constant([one], np.int64) for one in (-1, -(2**31), 2, -1)))
    x = net.add("Add", net.relu_conv("x", (4, 32), 5), net.relu_conv(flipped, (4, 32), 5))
    return net.mean_and_dense(net.relu_conv(x, (32, 32), 5), 32)


@pytest.mark.parametrize("make", [recurrent, a_gate_at_the_start, dense_alone, an_early_gate, two_position_axes])
def test_what_shares_too_little_has_no_shorter_way(make: Callable[[Net], str], tmp_path: Path) -> None:
    net = Net()
    work, _ = sharing(net, make(net), tmp_path)
    with pytest.raises(NotShared):
        edits.Edits(work._network(), 1)
    with pytest.raises(NotShared):
        along.Windows(work._network(), 1)
    assert work.mutants() is None
    assert work.edits() is None
    assert work.windows() is None


@pytest.mark.usefixtures("at_any_size")
def test_other_numbers_are_never_taken(tmp_path: Path) -> None:
    """The file has changed since the engine loaded it."""
    net = Net()
    output = strided(net)
    work, run = sharing(net, output, tmp_path)
    other = shared.SharedWork(
        tmp_path / "net.onnx", output, feed, lambda codes: run(codes) * np.float32(1.0001), LENGTH, start
    )
    assert work.mutants() is not None
    assert other.mutants() is None
    assert other.windows() is None
    (tmp_path / "net.onnx").unlink()
    gone = shared.SharedWork(tmp_path / "net.onnx", output, feed, run, LENGTH, start)
    assert gone.mutants() is None


def strided(net: Net) -> str:
    return net.mean_and_dense(net.relu_conv(net.relu_conv("x", (4, 32), 5), (32, 32), 5, strides=[2]), 32)


def test_a_stride_that_shares_nothing_is_predicted(tmp_path: Path) -> None:
    net = Net()
    work, run = sharing(net, strided(net), tmp_path)
    activities = work.windows()
    assert activities is not None
    contig = np.random.default_rng(2).integers(0, 5, 5 * LENGTH, np.uint8)
    assert work._of_stride(LENGTH) is None
    np.testing.assert_array_equal(activities(contig, LENGTH), run(windows.cut(contig, LENGTH, LENGTH)))
