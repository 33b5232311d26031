"""An import of a network with its graph: what must be said, what the file holds, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command_line import Zoo, one_line
from foreign import LENGTH, network
from refusals import refuses

import zoo
from zoo import registry
from zoo.card import Card
from zoo.errors import CheckFailed
from zoo.frame import Frame, InputFrame, SequenceFrame, StrandFrame, Target
from zoo.spec import TEST_KEY
from zoo.system.files import file_sha256
from zoo.weights import lookup, test_tensors
from zoo.weights.importers import framed, graph_import
from zoo.weights.importers.frame_options import FrameOptions
from zoo.weights.importers.graphs import sources
from zoo.weights.importers.graphs.graph import ForeignGraph
from zoo.weights.importers.layers import ImportOptions

TARGETS = tuple(Target(name, "y", column) for column, name in enumerate("abc"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of other axes and another base order, with positions in its second output."""
    path = tmp_path_factory.mktemp("foreign") / "net.onnx"
    onnx.save(network("NLC").model, path)
    return path


@pytest.fixture(scope="module")
def graph(foreign: Path) -> ForeignGraph:
    return sources.read(foreign)


@pytest.fixture(scope="module")
def scalar(graph: ForeignGraph) -> ForeignGraph:
    """The same with its first output alone."""
    return dataclasses.replace(graph, outputs=graph.outputs[:1])


FRAME = Frame(
    InputFrame(layout="NLC", alphabet="TCGA"),
    StrandFrame("mean", "construct"),
    TARGETS,
    SequenceFrame(15, "AC", "GTACGT"),
)


@pytest.fixture(scope="module")
def imported(graph: ForeignGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imported") / "mine.onnx"
    graph_import.write([graph], FRAME, path, Card(species="fly", unit="counts"), "a paper", "MIT")
    return path


def test_every_part_of_the_file_is_what_was_said(imported: Path, graph: ForeignGraph) -> None:
    spec = lookup.read_spec(imported)
    assert (spec.frame, spec.sequence_length, spec.targets) == (FRAME, 15, ("a", "b", "c"))
    assert (spec.source, spec.licence, spec.unit) == ("a paper", "MIT", "counts")
    model = zoo.load(imported, runtime="onnx-cpu")
    codes = test_tensors.random_codes(15, 9)
    expected = framed.predicted(graph.run, codes, FRAME, graph.inputs)
    np.testing.assert_allclose(model.predict_codes(codes), expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    tests = registry.load("exporters", "onnx").read_tests(imported)
    assert tests.difference(model.predict_codes(tests.codes), spec.targets) is None
    assert "onnxruntime" in tests.made_by


def test_other_flanks_or_weights_have_another_id(graph: ForeignGraph, imported: Path, tmp_path: Path) -> None:
    other = dataclasses.replace(FRAME, sequence=SequenceFrame(15, "AG", "GTACGT"))
    spec = graph_import.write([graph], other, tmp_path / "other.onnx", None, "a paper", "MIT")
    assert spec.weights_id != lookup.read_spec(imported).weights_id


def test_a_file_that_gives_other_numbers_is_not_written(graph: ForeignGraph, tmp_path: Path) -> None:
    def wrong(feeds: Any) -> dict[str, np.ndarray]:
        return {name: array * 1.0001 for name, array in graph.run(feeds).items()}

    with refuses("differ", kind=CheckFailed):
        graph_import.write([dataclasses.replace(graph, run=wrong)], FRAME, tmp_path / "w.onnx", None, "", "MIT")
    assert not list(tmp_path.iterdir())


def test_members_must_be_alike(graph: ForeignGraph, scalar: ForeignGraph, tmp_path: Path) -> None:
    with refuses("members"):
        graph_import.write([graph, scalar], FRAME, tmp_path / "two.onnx", None, "", "MIT")


def test_what_the_graph_does_not_say_must_be_said(graph: ForeignGraph, scalar: ForeignGraph) -> None:
    said = ImportOptions(alphabet="ACGT", targets=("a", "b", "c"))
    given = FrameOptions(strand="given")
    with refuses("--alphabet"):
        graph_import.frame_from_options(scalar, ImportOptions(targets=said.targets), given)
    with refuses("--strand"):
        graph_import.frame_from_options(scalar, said, FrameOptions())
    with refuses("--targets", "3"):
        graph_import.frame_from_options(scalar, ImportOptions(alphabet="ACGT", targets=("a",)), given)
    with refuses("track", "positions"):
        graph_import.frame_from_options(graph, said, given)
    frame = graph_import.frame_from_options(scalar, said, given)
    assert frame == Frame(InputFrame(layout="NLC", alphabet="ACGT"), StrandFrame("given"), TARGETS)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((None, 4, 600), "NCL"),
        ((None, 600, 4), "NLC"),
        ((None, 4, None), "NCL"),
        ((None, 4, 1, 600), "NC1L"),
        ((None, 1, 600, 4), "N1LC"),
        ((None, 4, 4), None),
        ((None, 600), None),
        ((None, 5, 600), None),
        ((None, 4, 600, 3), None),
    ],
)
def test_a_layout_is_taken_from_the_shape_if_only_one_fits(shape: tuple[int | None, ...], layout: str | None) -> None:
    assert graph_import.layout_of(graph_import.Tensor("x", "float32", shape)) == layout


def test_a_network_of_any_length_needs_one(graph: ForeignGraph, tmp_path: Path) -> None:
    free = dataclasses.replace(graph, inputs=(graph_import.Tensor("dna", "float32", (None, None, 4)),))
    frame = dataclasses.replace(FRAME, sequence=SequenceFrame())
    with refuses("--length"):
        graph_import.write([free], frame, tmp_path / "f.onnx", None, "", "")


def test_options_and_a_frame_exclude_each_other(tmp_path: Path) -> None:
    with refuses("--strand", "frame.toml"):
        FrameOptions(frame=tmp_path / "frame.toml", strand="mean")


def test_the_command_imports_what_init_frame_asks_for(foreign: Path, tmp_path: Path, zoo: Zoo) -> None:
    frame, mine = tmp_path / "frame.toml", tmp_path / "mine.onnx"
    assert "6 lines" in zoo("init-frame", foreign, "-o", frame)[1]
    one_line(zoo, ("frame.toml", "alphabet"), "import", foreign, "--frame", frame, "-o", mine)
    text = frame.read_text().replace("\n? ", "\n")
    for name, said in {"alphabet": "TCGA", "rule": "given", "axes": "NTP", "positions": "sum"}.items():
        one_line(zoo, ("frame.toml",), "import", foreign, "--frame", frame, "-o", mine)
        text = text.replace(f'{name} = "..."', f'{name} = "{said}"')
        frame.write_text(text)
    frame.write_text(text.replace("\ncolumn = 0", "\ncolumn = 1", 1))
    status, out, _ = zoo("import", foreign, "--frame", frame, "-o", mine)
    assert status == 0
    assert f"{LENGTH} bases" in out
    spec = lookup.read_spec(mine)
    assert spec.frame is not None
    assert spec.card == Card(source_sha256=file_sha256(foreign))
    read = [(one.name, one.output, one.column, one.axes) for one in spec.frame.targets]
    assert read == [("y", "y", 1, None), ("track", "track", 0, "NTP")]
    assert zoo("test", mine)[0] == 0
    content = mine.read_bytes()
    place = content.index(TEST_KEY.encode()) + 200  # in the test tensors
    mine.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    status, _, err = zoo("test", mine)
    assert (status, "sha256" in err) == (1, True)


def test_a_live_module_is_imported(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv1d(5, 6, 5), torch.nn.SiLU(), torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten()
    ).eval()
    frame = {
        "input": {"alphabet": "ACGT", "channels": ["reverse"]},
        "sequence": {"length": 20, "left": "ACGT"},
        "strand": {"rule": "given"},
        "targets": ["p", "q", "r", "s", "t", "u"],
    }
    with refuses("length"):
        zoo.import_module(module, frame | {"sequence": {}}, tmp_path / "none.onnx")
    spec = zoo.import_module(module, frame, tmp_path / "mine.onnx", licence="MIT")
    assert spec.targets == tuple("pqrstu")
    codes = test_tensors.random_codes(20, 4)
    hot = zoo.one_hot(np.concatenate([np.tile(np.arange(4, dtype=np.uint8), (64, 1)), codes], axis=1))
    channels = np.concatenate([hot.transpose(0, 2, 1), np.zeros((64, 1, 24), np.float32)], axis=1)
    with torch.inference_mode():
        expected = module(torch.from_numpy(channels)).numpy()
    actual = zoo.load(tmp_path / "mine.onnx", runtime="onnx-cpu").predict_codes(codes)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    with refuses("mine.onnx"):
        zoo.torch_module(tmp_path / "mine.onnx")
