"""An exported .onnx runs without any code of ours and gives the numbers of PyTorch, or is not written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkpoints import CONFIGS, MODELS, ODD, SMALL_CONFIGS, random_checkpoint, random_codes
from command_line import Zoo, one_line
from refusals import refuses
from zoo_exporters.onnx.widen import widen

from zoo import registry
from zoo.dna import encoding
from zoo.errors import CheckFailed, MissingDependency
from zoo.layers import onnx_graph
from zoo.prediction.model import load
from zoo.spec import SPEC_KEY
from zoo.weights import network
from zoo.weights.checkpoint import Checkpoint, save

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
exporter = registry.load("exporters", "onnx")

BASES = np.frombuffer(b"ACGTN", np.uint8)


@pytest.fixture(scope="session")
def odd() -> Checkpoint:
    return random_checkpoint(ODD)


def torch_numbers(weights: Checkpoint, codes: np.ndarray) -> np.ndarray:
    import torch

    one_hot = torch.from_numpy(encoding.one_hot(codes)).transpose(1, 2)
    with torch.inference_mode():
        return network.from_checkpoint(weights)(one_hot).numpy()


def plain_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime without any code of ours; one thread, since its idle threads spin and slow down other tests."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])


def plain_run(path: Path, feed: np.ndarray) -> np.ndarray:
    session = plain_session(path)
    (taken,) = session.get_inputs()
    (output,) = session.run(["activity"], {taken.name: feed})
    return output


def nodes(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def needs_pytorch() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")


@pytest.fixture
def without_plain_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide everything but the PyTorch network of the models."""
    needs_pytorch()
    for model in MODELS.values():
        for form in ("plain_layers", "onnx_model"):
            monkeypatch.delattr(model, form, raising=False)


@pytest.mark.parametrize("name", SMALL_CONFIGS)
def test_plain_onnxruntime_gives_the_numbers_of_pytorch_whatever_the_batch(name: str, tmp_path: Path) -> None:
    needs_pytorch()
    weights = random_checkpoint(SMALL_CONFIGS[name])
    path = tmp_path / "model.onnx"
    exporter.export(weights, path)
    for batch in (1, 3, 512):
        codes = random_codes(batch, weights.spec.sequence_length, seed=batch)
        one_hot = encoding.one_hot(codes).transpose(0, 2, 1)
        np.testing.assert_allclose(plain_run(path, one_hot), torch_numbers(weights, codes), rtol=1e-4, atol=1e-5)


def test_the_input_kind_bytes_takes_letters_of_either_case_and_anything_else_as_n(
    odd: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "bytes.onnx"
    needs_pytorch()
    exporter.export(odd, path, input="bytes")
    codes = random_codes(512, 53)
    letters = BASES[codes]
    expected = torch_numbers(odd, codes)
    np.testing.assert_allclose(plain_run(path, letters), expected, rtol=1e-4, atol=1e-5)
    lower = np.where(codes % 2 == 1, letters | 0x20, letters)
    np.testing.assert_array_equal(plain_run(path, lower), plain_run(path, letters))
    strange = letters.copy()
    strange[codes == 4] = np.resize(np.frombuffer(b"-.*RYn\x00\xff@[\x01", np.uint8), (codes == 4).sum())
    np.testing.assert_array_equal(plain_run(path, strange), plain_run(path, letters))
    for batch in (1, 3):
        np.testing.assert_allclose(plain_run(path, letters[:batch]), expected[:batch], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["onehot", "bytes"])
def test_the_published_weights_give_the_numbers_of_keras(kind: str, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    from zoo.weights.importers import importer

    path = tmp_path / "model.onnx"
    exporter.export(importer.read(data / "DeepSTARR.model.h5"), path, input=kind)
    for name in ("enhancers_500", "Sequences_example", "test_first10", "edge_cases"):
        records = (data / f"{name}.fa").read_text().split(">")[1:]
        sequences = ["".join(record.split("\n")[1:]) for record in records]
        letters = np.array([list(sequence.encode()) for sequence in sequences], np.uint8)
        one_hot = (letters[:, None, :] == BASES[:4, None]).astype(np.float32)
        rows = [line.split("\t")[1:] for line in (data / f"{name}.keras.tsv").read_text().splitlines()[1:]]
        activities = plain_run(path, letters if kind == "bytes" else one_hot)
        np.testing.assert_allclose(activities, np.array(rows, np.float32), rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("kind", "name", "shape"), [("onehot", "one_hot", ["batch", 4, 53]), ("bytes", "sequence", ["batch", 53])]
)
def test_one_file_holds_named_tensors_a_free_batch_axis_and_the_spec(
    kind: str, name: str, shape: list[object], odd: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    exporter.export(odd, path, input=kind)
    assert list(tmp_path.iterdir()) == [path]
    session = plain_session(path)
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape) == (name, shape)
    assert (given.name, given.shape) == ("activity", ["batch", 3])
    assert exporter.read_spec(path) == odd.spec
    assert list(session.get_modelmeta().custom_metadata_map) == [SPEC_KEY]


LAYERS = [*["Conv", "Relu", "MaxPool"] * 4, "Flatten", "Gemm", "Relu", "Gemm"]


def test_a_graph_from_plain_layers_has_two_dimensional_convolutions_and_no_detours(tmp_path: Path) -> None:
    weights = random_checkpoint(CONFIGS["tuned"])
    exporter.export(weights, tmp_path / "one_hot.onnx")
    exporter.export(weights, tmp_path / "codes.onnx", input="codes")
    assert nodes(tmp_path / "one_hot.onnx") == ["Unsqueeze", *LAYERS]
    assert nodes(tmp_path / "codes.onnx") == ["Cast", "Gather", "Transpose", "Unsqueeze", *LAYERS]


@pytest.mark.usefixtures("without_plain_layers")
def test_a_model_without_plain_layers_is_traced_and_widened_to_the_same_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = random_checkpoint(CONFIGS["tuned"])
    path = tmp_path / "traced.onnx"
    exporter.export(weights, path)
    assert nodes(path) == ["Unsqueeze", *["Reshape" if layer == "Flatten" else layer for layer in LAYERS]]
    model = onnx.load(path)
    assert [entry.key for entry in model.metadata_props] == [SPEC_KEY]
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    monkeypatch.undo()
    exporter.export(weights, tmp_path / "plain.onnx")
    one_hot = encoding.one_hot(random_codes(64, 249)).transpose(0, 2, 1)
    np.testing.assert_allclose(
        plain_run(path, one_hot), plain_run(tmp_path / "plain.onnx", one_hot), rtol=1e-5, atol=1e-5
    )


def test_an_unsupported_opset_or_input_is_refused(odd: Checkpoint, tmp_path: Path) -> None:
    with refuses("opset", 18, "got 11"):
        exporter.export(odd, tmp_path / "model.onnx", opset=11)
    with refuses("input", "onehot", "bytes", "codes", "'protein'"):
        exporter.export(odd, tmp_path / "model.onnx", input="protein")
    assert not list(tmp_path.iterdir())


def test_a_file_that_exists_is_kept_unless_overwritten(odd: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("precious")
    with refuses(path):
        exporter.export(odd, path)
    assert path.read_text() == "precious"
    exporter.export(odd, path, overwrite=True)
    assert exporter.read_spec(path) == odd.spec


def disturb(model: onnx.ModelProto) -> onnx.ModelProto:
    """One kernel off by 1%."""
    kernel = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    kernel.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(kernel) * np.float32(1.01), kernel.name))
    return model


def break_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.node[-1].input[0] = "nowhere"
    return model


@pytest.mark.parametrize("reference", ["PyTorch", "the network in NumPy"])
@pytest.mark.parametrize(
    ("change", "facts"),
    [(disturb, ["ONNX Runtime", "{reference}", "of 3 values", "batch 1"]), (break_graph, ["nowhere"])],
)
def test_a_graph_that_disagrees_with_the_reference_is_an_error_and_no_file(
    change: Callable[[onnx.ModelProto], onnx.ModelProto],
    facts: list[str],
    reference: str,
    odd: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if reference == "PyTorch":
        pytest.importorskip("torch")
    else:
        monkeypatch.setitem(sys.modules, "torch", None)
    build = onnx_graph.build
    monkeypatch.setattr(onnx_graph, "build", lambda *arguments: change(build(*arguments)))
    path = tmp_path / "model.onnx"
    with refuses(path, *(one.format(reference=reference) for one in facts), kind=CheckFailed):
        exporter.export(odd, path)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("without_plain_layers")
def test_a_model_without_plain_layers_needs_pytorch(
    odd: Checkpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for library in ("onnxscript", "torch"):
        monkeypatch.setitem(sys.modules, library, None)
        with refuses(library, "pip install 'deepstarr-zoo[train]'", kind=MissingDependency):
            exporter.export(odd, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_the_command_prints_one_line_and_writes_the_given_file_and_opset(odd: Checkpoint, tmp_path: Path) -> None:
    # its own process, since what C code and import hooks print escapes every capture inside this one
    save(odd, tmp_path / "odd.safetensors")
    arguments = ["export", "original", "--onnx", "--weights", "odd.safetensors", "-o", "odd.onnx", "--opset", "20"]
    done = subprocess.run(
        [sys.executable, "-m", "zoo", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path / "odd.onnx"
    assert done.stdout.startswith("odd.onnx: ")
    assert done.stdout.count("\n") == 1
    assert all(fact in done.stdout for fact in (f"{path.stat().st_size:,} bytes", odd.spec.weights_id[:12]))
    exporter.export(odd, tmp_path / "default.onnx")
    assert [onnx.load(file).opset_import[0].version for file in (path, tmp_path / "default.onnx")] == [20, 18]


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({}, ["--keras", "--onnx", "--triton", "--format"]),
        ({"onnx": True, "keras": True}, ["--keras", "--onnx"]),
        ({"format": "coreml"}, ["'coreml'", "keras, onnx, triton"]),
        ({"keras": True, "opset": 18}, ["--opset", "keras"]),
        ({"onnx": True, "output": Path("model.h5")}, ["model.h5", ".onnx"]),
        ({"onnx": True, "format": "onnx", "weights": "absent"}, ["absent"]),
    ],
)
def test_the_command_refuses_settings_that_do_not_fit(settings: dict[str, object], facts: list[str]) -> None:
    from zoo.cli.commands.weights import export as command

    with refuses(*facts):
        command("original", **settings)


@pytest.mark.parametrize("format_", ["onnx", "keras"])
def test_the_command_names_its_output_after_the_model(
    format_: str, monkeypatch: pytest.MonkeyPatch, odd: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from zoo.cli.commands.weights import export as command

    def write(weights: Checkpoint, path: Path, *, overwrite: bool) -> None:  # noqa: ARG001
        path.write_text(weights.spec.weights_id)

    monkeypatch.chdir(tmp_path)
    module = registry.load("exporters", format_)
    monkeypatch.setattr(module, "export", write)
    save(odd, tmp_path / "odd.safetensors")
    command("original", format=format_, weights="odd.safetensors")
    written = tmp_path / f"original{module.SUFFIX}"
    assert written.read_text() == odd.spec.weights_id
    assert capsys.readouterr().out.startswith(f"{written.name}: {format_}, 64 bytes, ")


@pytest.mark.parametrize(
    ("content", "fact"), [(None, "no such file"), (b"", "no graph"), (b"%PDF-1.7 not a graph at all", "ONNX")]
)
def test_a_file_that_is_not_onnx_is_refused(content: bytes | None, fact: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with refuses(path, fact):
        exporter.read_spec(path)


def graph_of(*layers: onnx.NodeProto, **arrays: np.ndarray) -> onnx.ModelProto:
    """A graph of these nodes without metadata: x (batch, 4, 11) -> y."""
    helper = onnx.helper
    graph = helper.make_graph(
        list(layers),
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 4, 11])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_an_onnx_file_of_another_program_is_refused(tmp_path: Path) -> None:
    onnx.save(graph_of(onnx.helper.make_node("Relu", ["x"], ["y"])), tmp_path / "model.onnx")
    with refuses("model.onnx", "metadata_props", "import"):
        exporter.read_spec(tmp_path / "model.onnx")


node = onnx.helper.make_node
CONV = {"pads": [1, 1], "kernel_shape": [3], "strides": [1], "dilations": [1]}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        pytest.param(
            [node("Conv", ["x", "k"], ["a"], **CONV), node("Add", ["a", "a"], ["b"]), node("Relu", ["b"], ["y"])],
            ["Unsqueeze", "Conv", "Add", "Relu", "Squeeze"],
            id="the output is narrow again",
        ),
        pytest.param(
            [node("Conv", ["x", "k"], ["a"], **CONV), node("Add", ["x", "a"], ["b"]), node("Flatten", ["b"], ["y"])],
            ["Unsqueeze", "Conv", "Add", "Flatten"],
            id="a sum of the input and a convolution",
        ),
        pytest.param(
            [
                node("Conv", ["x", "k"], ["a"], **CONV),
                node("Transpose", ["a"], ["b"], perm=[0, 2, 1]),
                node("Transpose", ["b"], ["c"], perm=[0, 2, 1]),
                node("Conv", ["c", "k"], ["d"], pads=[2, 0], strides=[2], dilations=[2]),
                node("Concat", ["a", "a"], ["e"], axis=1),
                node("AveragePool", ["d"], ["f"], kernel_shape=[2], pads=[0, 1], strides=[2]),
                node("ReduceMean", ["f"], ["g"], keepdims=1),
                node("Add", ["g", "e"], ["y"]),
            ],
            [
                *("Unsqueeze", "Conv", "Squeeze", "Transpose", "Transpose", "Unsqueeze", "Conv"),
                *("Concat", "AveragePool", "Squeeze", "ReduceMean", "Add"),
            ],
            id="detours, one kernel used twice, uneven padding",
        ),
    ],
)
def test_widening_any_graph_keeps_its_numbers(layers: list[onnx.NodeProto], expected: list[str]) -> None:
    random = np.random.default_rng(0)
    model = graph_of(
        *(onnx.NodeProto.FromString(layer.SerializeToString()) for layer in layers), k=random.random((4, 4, 3))
    )
    inputs = {"x": random.random((5, 4, 11), np.float32)}
    before = plain_session(model.SerializeToString()).run(None, inputs)
    widen(model.graph)
    assert [node.op_type for node in model.graph.node] == expected
    after = plain_session(model.SerializeToString()).run(None, inputs)
    np.testing.assert_allclose(after[0], before[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("before", ["onehot", "bytes", "codes"])
@pytest.mark.parametrize("after", ["onehot", "bytes"])
def test_an_onnx_file_is_exported_with_another_input(zoo: Zoo, tmp_path: Path, before: str, after: str) -> None:
    weights, codes = random_checkpoint(ODD), random_codes(7, ODD.sequence_length)
    exporter = registry.load("exporters", "onnx")
    exporter.export(weights, tmp_path / "a.onnx", input=before)
    status, out, err = zoo("export", tmp_path / "a.onnx", "--onnx", "--input", after, "-o", tmp_path / "b.onnx")
    assert status == 0, err
    assert weights.spec.weights_id[:12] in out
    assert exporter.read_spec(tmp_path / "b.onnx") == weights.spec
    first, second = (load(tmp_path / name, runtime="onnx-cpu") for name in ("a.onnx", "b.onnx"))
    np.testing.assert_array_equal(first.predict_codes(codes), second.predict_codes(codes))
    one_line(zoo, ["a.onnx"], "export", tmp_path / "a.onnx", "--onnx", "-o", tmp_path / "a.onnx", "--overwrite")
    one_line(
        zoo, ["opset", "18", "20"], "export", tmp_path / "a.onnx", "--onnx", "--opset", 20, "-o", tmp_path / "c.onnx"
    )
