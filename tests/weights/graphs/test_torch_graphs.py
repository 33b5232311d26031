"""Programs of PyTorch as ONNX: every operator of docs/import.md, and what is refused. One import of PyTorch for all."""

from __future__ import annotations

import itertools
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fuzz import budget
from graph_networks import LENGTH, documented, torch_network, verdicts
from mutated_graphs import changed_archive
from refusals import refuses

from zoo.errors import ZooError
from zoo.weights.importers.graphs import exported_checks, script_checks, sources
from zoo.weights.importers.graphs.graph import Tensor, onnx_run
from zoo.weights.importers.graphs.torch_recurrent import whole_layers

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

BATCH = {0: torch.export.Dim("batch")}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a convolution as small.pt2, fixed.pt2 for one sequence, and small.pt."""
    folder = tmp_path_factory.mktemp("small")
    network = torch.nn.Sequential(torch.nn.Conv1d(4, 2, 3), torch.nn.Flatten(), torch.nn.Linear(2 * 6, 2)).eval()
    one, three = torch.zeros(1, 4, 8), torch.zeros(3, 4, 8)
    torch.export.save(torch.export.export(network, (three,), dynamic_shapes=(BATCH,)), folder / "small.pt2")
    torch.export.save(torch.export.export(network, (one,)), folder / "fixed.pt2")
    torch.jit.save(torch.jit.trace(network, three), folder / "small.pt")
    return folder


def changed(path: Path, folder: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """A copy of an archive, with every record changed."""
    new = folder / path.name
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new, "w") as copy:
        for name in old.namelist():
            copy.writestr(name, change(name, old.read(name)))
    return new


def test_every_operator_of_an_exported_program_and_of_onnx(tmp_path: Path) -> None:
    network, names = torch_network()
    with whole_layers():
        program = torch.export.export(network, (torch.zeros(3, 4, LENGTH),), dynamic_shapes=(BATCH,))
    torch.export.save(program, tmp_path / "all.pt2")
    graph = sources.read(tmp_path / "all.pt2")
    assert graph.kind == "torch.export"
    assert graph.inputs == (Tensor("x", "float32", (None, 4, LENGTH)),)
    onnx.save(graph.model, tmp_path / "all.onnx")
    again = sources.read(tmp_path / "all.onnx")
    for source, one in ((".pt2", graph), ("ONNX", again)):
        expected = {name: found for name, found in documented(source).items() if name != "free length"}
        assert verdicts(one, names) == expected


def test_every_operator_of_torchscript(tmp_path: Path) -> None:
    network, names = torch_network()
    script = torch.jit.trace(network, (torch.zeros(3, 4, LENGTH),), check_trace=False)
    torch.jit.save(script, tmp_path / "all.pt")
    graph = sources.read(tmp_path / "all.pt", shape=(4, LENGTH))
    expected = {name: found for name, found in documented("TorchScript").items() if name != "free length"}
    assert verdicts(graph, names) == expected


def test_a_module_of_free_length_agrees_at_other_lengths_and_keeps_its_mode() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv1d(4, 3, 5), torch.nn.Dropout(0.5), torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten()
    )
    graph = sources.from_module(network, (4, None))
    assert network.training
    x = np.random.default_rng(0).random((5, 4, 31), np.float32)
    (expected,) = graph.run({graph.inputs[0].name: x}).values()
    network.eval()
    with torch.no_grad():
        np.testing.assert_array_equal(expected, network(torch.from_numpy(x)).numpy())
    (found,) = onnx_run(graph.model, "a test")({graph.inputs[0].name: x}).values()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert documented(".pt2")["free length"] == documented("ONNX")["free length"] == "yes"


def test_a_program_for_one_sequence_gets_a_free_batch_axis(small: Path) -> None:
    graph = sources.read(small / "fixed.pt2")
    assert graph.inputs[0].shape == (None, 4, 8)
    assert graph.outputs[0].shape == (None, 2)


def test_torchscript_needs_the_shape_of_its_input(small: Path) -> None:
    with refuses(small / "small.pt", "shape"):
        sources.read(small / "small.pt")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch.ops.aten.conv1d.default", "torch.ops.aten.from_file.default"),
        ("torch.ops.aten.conv1d.default", "torch.hub.load"),
        ("torch.ops.aten.conv1d.default", "_operator.attrgetter"),
        ("torch.ops.aten.conv1d.default", "torch.ops.higher_order.cond"),
        ("builtins.tuple", "os.system"),
        ("parameter", "custom_obj"),
    ],
)
def test_a_program_that_names_other_functions_is_refused(small: Path, tmp_path: Path, old: str, new: str) -> None:
    def change(record: bytes) -> bytes:
        return record.replace(f'"{old}"'.encode(), f'"{new}"'.encode()).replace(
            f'\\"{old}\\"'.encode(), f'\\"{new}\\"'.encode()
        )

    bad = changed(small / "small.pt2", tmp_path, lambda n, r: change(r) if n.endswith("model.json") else r)
    with refuses(bad, new.split(".")[0]):
        exported_checks.checked(bad)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('id')",
        "Symbol('s1').__class__",
        "Pow(Integer(9), Pow(Integer(9), Integer(9)))",
        "9**9**9",
        "Symbol('__import__')",
        "(lambda: 0)()",
        "[s1 for s1 in s2]",
        "open('file')",
        "Max(s1, " * 3000,
    ],
)
def test_a_symbolic_size_is_arithmetic(small: Path, tmp_path: Path, text: str) -> None:
    def change(name: str, record: bytes) -> bytes:
        if not name.endswith("model.json"):
            return record
        program = json.loads(record)
        program["graph_module"]["graph"]["sym_int_values"]["s"] = {"as_expr": {"expr_str": text, "hint": None}}
        return json.dumps(program).encode()

    bad = changed(small / "small.pt2", tmp_path, change)
    with refuses(bad, text[:9]):
        exported_checks.checked(bad)


def test_pickles_in_a_program_are_refused_or_left_out(small: Path, tmp_path: Path) -> None:
    pickled = changed(
        small / "small.pt2", tmp_path, lambda _, record: record.replace(b'"use_pickle": false', b'"use_pickle": true')
    )
    with refuses(pickled, "pickle"):
        exported_checks.checked(pickled)
    with zipfile.ZipFile(exported_checks.checked(small / "small.pt2")) as clean:
        assert clean.read("program/data/sample_inputs/model.pt") == b""


@pytest.mark.parametrize(
    "line",
    [
        "a = torch.from_file('/etc/passwd')",
        "torch.save(x, 'file')",
        "a = ops.aten.from_file('/etc/passwd')",
        "a = ops.my_library.run(x)",
        "a = torch",
        "a = x.save",
        "a = getattr(torch, 'load')",
        "import os",
        "a = [b for b in x]",
        "a = __torch__.torch.classes.my.Object(x)",
        "a = fork(x)",
    ],
)
def test_torchscript_only_computes(small: Path, tmp_path: Path, line: str) -> None:
    def change(name: str, record: bytes) -> bytes:
        code = record.replace(b"    return", f"    {line}\n    return".replace("'", '"').encode(), 1)
        return code if re.search(r"/conv.*\.py$", name) else record

    bad = changed(small / "small.pt", tmp_path, change)
    with refuses(bad, "refused", "code/"):
        script_checks.checked(bad)


def test_a_state_dict_has_no_graph(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.zeros(2)}, path)
    with refuses(path, "no graph", "plug-in"):
        sources.read(path)


def test_a_module_that_cannot_be_exported_is_one_line() -> None:
    class Network(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x * int(x.sum())

    with refuses("Network", "torch.export"):
        sources.from_module(Network(), (4, 8))


def test_mutated_programs_pass_the_checks_or_are_one_line(small: Path, tmp_path: Path) -> None:
    content, path = (small / "small.pt2").read_bytes(), tmp_path / "net.pt2"
    for seed, generator in itertools.islice(budget(1), 60):
        path.write_bytes(changed_archive(content, generator))
        line = ""
        try:
            sources.kind_of(path)
            text = zipfile.ZipFile(exported_checks.checked(path)).read("program/models/model.json")
            assert b"__import__" not in text, seed
        except ZooError as error:
            line = str(error)
        assert not line or line.startswith(str(path)), seed
