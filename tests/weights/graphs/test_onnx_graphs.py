"""ONNX files of other programs: numbers in other files, fixed batch axes, foreign operators, and a process for each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fuzz import budget
from mutated_graphs import changed_onnx, read_forked
from onnx import TensorProto, helper, numpy_helper
from refusals import refuses

from zoo.weights.importers.graphs import isolated, sources

RNG = np.random.default_rng(0)
DENSE = RNG.random((12, 2), np.float32)


def model(
    nodes: Sequence[Any],
    batch: int | str = "n",
    shape: tuple[int | str, ...] = (4, 3),
    more: Sequence[Any] = (),
    domains: Sequence[str] = (),
    **arrays: Any,
) -> onnx.ModelProto:
    """A graph from `x`, float32 (batch, *shape), to `y`."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (batch, *shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [*(numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()), *more],
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def dense(first: int, batch: int | str) -> onnx.ModelProto:
    """Flatten by a Reshape that names the number of sequences, then a matrix product."""
    nodes = [helper.make_node("Reshape", ["x", "target"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    return model(nodes, batch, target=np.array([first, 12]), w=DENSE)


def saved(graph: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(graph.SerializeToString())
    return path


@pytest.mark.parametrize("batch", [1, 5])
def test_a_fixed_batch_axis_becomes_free(batch: int, tmp_path: Path) -> None:
    graph = sources.read(saved(dense(batch, batch), tmp_path))
    assert graph.inputs[0].shape == (None, 4, 3)
    assert graph.outputs[0].shape == (None, 2)
    x = RNG.random((9, 4, 3), np.float32)
    np.testing.assert_allclose(graph.run({"x": x})["y"], x.reshape(9, 12) @ DENSE, rtol=1e-6)


def test_recurrent_states_of_one_sequence_become_free(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[2, 0, 1]),
        helper.make_node("LSTM", ["t", "w", "r", "", "", "h", "h"], ["all", "last", "c"], hidden_size=2),
        helper.make_node("Squeeze", ["last", "axis"], ["y"]),
    ]
    states, axis = np.zeros((1, 1, 2), np.float32), np.array([0])
    w, r = RNG.random((1, 8, 4), np.float32), RNG.random((1, 8, 2), np.float32)
    graph = sources.read(saved(model(nodes, 1, w=w, r=r, h=states, axis=axis), tmp_path))
    assert graph.outputs[0].shape == (None, 2)


def test_a_batch_that_the_numbers_depend_on_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["x", "m"], ["y"]),
    ]
    with refuses(tmp_path / "net.onnx", "differs"):
        sources.read(saved(model(nodes), tmp_path))


def test_a_batch_that_stays_fixed_inside_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "target"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    inside = model(nodes, "n", target=np.array([1, 12]), w=DENSE)
    with refuses(tmp_path / "net.onnx"):
        sources.read(saved(inside, tmp_path))


def external(folder: Path, location: str, offset: int = 0, length: int = DENSE.nbytes) -> Path:
    graph = dense(0, "n")
    tensor = next(one for one in graph.graph.initializer if one.name == "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return saved(graph, folder)


def test_numbers_beside_the_file_are_taken_inside(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"head" + DENSE.tobytes())
    graph = sources.read(external(tmp_path, "weights.bin", 4))
    tensor = next(one for one in graph.model.graph.initializer if one.name == "w")
    assert tensor.data_location == TensorProto.DEFAULT
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), DENSE)


@pytest.mark.parametrize("location", ["/etc/passwd", "../secret", "a/b", "..", "", "c:\\secret", "link", "missing"])
def test_numbers_elsewhere_are_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with refuses(tmp_path / "net.onnx", "same folder"):
        sources.read(external(tmp_path, location))


@pytest.mark.parametrize(("offset", "length"), [(-4, 8), (0, 10**9), (90, 96)])
def test_numbers_outside_the_other_file_are_refused(offset: int, length: int, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(DENSE.tobytes())
    with refuses(tmp_path / "net.onnx", "weights.bin"):
        sources.read(external(tmp_path, "weights.bin", offset, length))


def test_an_operator_of_another_program_is_named(tmp_path: Path) -> None:
    node = helper.make_node("Attention9", ["x"], ["y"], domain="my.company")
    with refuses(tmp_path / "net.onnx", "Attention9", "my.company"):
        sources.read(saved(model([node], domains=["my.company"]), tmp_path))


def test_functions_of_the_file_are_taken_inside(tmp_path: Path) -> None:
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    graph = model([helper.make_node("Twice", ["x"], ["y"], domain="mine")], domains=["mine"])
    graph.functions.append(function)
    found = sources.read(saved(graph, tmp_path))
    assert [node.op_type for node in found.model.graph.node] == ["Add"]


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (b"", ["no network"]),
        (b"\x08\x09garbage", ["ONNX"]),
        (b"PK\x03\x04 no archive", ["damaged"]),
        (b"\x89HDF\r\n\x1a\nnothing", ["damaged"]),
        (b"\x80\x04pickle", ["no graph", "plug-in"]),
        (b"12345678{}", ["no graph", "plug-in"]),
    ],
)
def test_a_file_without_a_network_is_one_line(content: bytes, facts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    with refuses(path, *facts):
        sources.read(path)


def test_a_folder_without_a_network_is_one_line(tmp_path: Path) -> None:
    with refuses(tmp_path, "saved_model.pb"):
        sources.read(tmp_path)


def test_another_process_gives_the_same_graph_and_numbers(tmp_path: Path) -> None:
    path = saved(dense(1, 1), tmp_path)
    here = sources.read(path)
    with isolated.read(path) as there:
        assert (there.kind, there.inputs, there.outputs, there.versions) == (
            here.kind,
            here.inputs,
            here.outputs,
            here.versions,
        )
        assert there.model == here.model
        for count in (1, 3):
            x = RNG.random((count, 4, 3), np.float32)
            np.testing.assert_array_equal(there.run({"x": x})["y"], here.run({"x": x})["y"])


def test_another_process_that_needs_too_much_memory_is_one_line(tmp_path: Path) -> None:
    nodes = [helper.make_node("Expand", ["x", "target"], ["e"]), helper.make_node("ReduceSum", ["e"], ["y"])]
    path = saved(model(nodes, shape=(4, 1), target=np.array([1, 4, 10**12])), tmp_path)
    with refuses(path), isolated.read(path):
        pass


def test_another_process_that_takes_too_long_is_one_line(tmp_path: Path) -> None:
    with refuses(tmp_path / "net.onnx", "s"), isolated.read(saved(dense(1, 1), tmp_path), seconds=0.01):
        pass


def test_mutated_files_end_with_a_graph_or_one_line(tmp_path: Path) -> None:
    content = dense(-1, "n").SerializeToString()
    path = tmp_path / "net.onnx"
    ends = []
    for seed, generator in itertools.islice(budget(2), 25):
        path.write_bytes(changed_onnx(content, generator))
        ends.append(read_forked(path).partition(":")[0])
        assert ends[-1] in ("graph", "refused"), seed
    assert set(ends) == {"graph", "refused"}
    assert [one.name for one in tmp_path.iterdir()] == ["net.onnx"]
