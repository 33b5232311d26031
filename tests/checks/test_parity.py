"""All runtimes agree with real Keras on real sequences, and every known mistake of a port is caught: exit status 1."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD, SMALL_CONFIGS, random_checkpoint, random_codes
from command_line import Zoo
from mistakes import base_order_actg, epsilon_of_pytorch, keras_flatten_order, scaled
from refusals import refuses

from zoo import registry
from zoo.checks import agreement, parity
from zoo.checks.agreement import Tolerance
from zoo.errors import CheckFailed, MissingDependency, ZooError
from zoo.formats.fasta import Reader
from zoo.layers import keras_layers
from zoo.prediction import session
from zoo.prediction.model import Model, load
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import importer

FILES = ("enhancers_500", "Sequences_example", "test_first10", "edge_cases")

GOLDEN_TOLERANCE = 2e-5
"""Largest allowed absolute difference from the output of real Keras."""

pytest.importorskip("h5py")


def usable(*runtimes: str) -> pytest.MarkDecorator:
    reasons = [f"{name}: {session.missing(name)}" for name in runtimes if session.missing(name)]
    return pytest.mark.skipif(bool(reasons), reason="; ".join(reasons))


needs_torch = usable("torch-cpu")
needs_keras = usable("keras-cpu")


@pytest.fixture(scope="module")
def published(data: Path) -> Checkpoint:
    return importer.read(data / "DeepSTARR.model.h5")


@pytest.fixture(scope="module")
def published_file(published: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parity") / "published.safetensors"
    checkpoint.save(published, path)
    return path


@functools.cache
def loaded(runtime: str, weights: Path) -> Model:
    """One session of a runtime for all files, since it takes seconds to start."""
    return load(weights=weights, runtime=runtime)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("runtime", [pytest.param(name, marks=usable(name)) for name in session.runtime_names()])
def test_every_runtime_gives_the_numbers_of_keras(data: Path, published_file: Path, runtime: str, file: str) -> None:
    model = loaded(runtime, published_file)
    (names, codes), *rest = Reader(data / f"{file}.fa", model.spec.sequence_length)
    assert not rest
    golden = parity.read_table(data / f"{file}.keras.tsv", names, model.spec.targets)
    assert np.abs(model.predict_codes(codes) - golden).max() <= GOLDEN_TOLERANCE


@needs_torch
@pytest.mark.parametrize(
    ("mistake", "correlation"),
    [
        (scaled("conv1.weight"), (0.99, 1)),
        (scaled("conv2_norm.running_var"), (0.99, 1)),
        (scaled("dense1.weight"), (0.99, 1)),
        (scaled("head.bias"), (0.9999, 1)),
        (base_order_actg, (-0.9, 0.9)),
        (keras_flatten_order, (-0.9, 0.9)),
        (epsilon_of_pytorch, (0.9999, 1)),
    ],
    ids=["conv1+1%", "variance+1%", "dense1+1%", "head bias+1%", "ACTG", "flatten", "epsilon"],
)
def test_every_known_mistake_of_a_port_is_caught(
    zoo: Zoo,
    data: Path,
    published: Checkpoint,
    tmp_path: Path,
    mistake: Callable[[dict[str, np.ndarray]], None],
    correlation: tuple[float, float],
) -> None:
    arrays = dict(published.arrays)
    mistake(arrays)
    path = tmp_path / "wrong.safetensors"
    checkpoint.save(checkpoint.make("deepstarr", published.config, arrays, "a mistake", "none"), path)
    code, out, err = zoo(
        "parity", "--weights", path, "--sequences", data / "enhancers_500.fa",
        "--reference", data / "enhancers_500.keras.tsv", "--runtimes", "torch-cpu", "--json",
    )  # fmt: skip
    report = json.loads(out)["comparisons"][0]
    assert code == 1
    assert report["passed"] is False
    assert report["max_difference"] > 1e-3
    # correlation alone would let several of them pass
    assert correlation[0] < report["pearson"] <= correlation[1]
    assert err.startswith("zoo: parity: ")
    assert "enhancers_500.keras.tsv" in err
    assert "torch-cpu (" in err
    assert err.count("\n") == 1


@needs_keras
@needs_torch
def test_all_runtimes_agree_with_keras_on_generated_sequences(zoo: Zoo, published_file: Path) -> None:
    code, out, _ = zoo("parity", "--weights", published_file, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["passed"] is True
    assert result["reference"].startswith("keras-cpu (cpu (tf_keras ")
    assert result["records"] == parity.RANDOM_RECORDS + 9
    compared = {row["runtime"] for row in result["comparisons"]}
    assert {"torch-cpu", "onnx-cpu"} <= compared
    assert compared | set(result["skipped"]) | {"keras-cpu"} == set(session.runtime_names())
    assert all(row["max_difference"] < GOLDEN_TOLERANCE and row["pearson"] > 0.999999 for row in result["comparisons"])


@needs_torch
def test_a_runtime_that_differs_from_the_others_is_named(
    zoo: Zoo, published_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded("onnx-cpu", published_file)  # exported before the mistake is made
    torch = pytest.importorskip("torch")
    from zoo.weights import network

    right = network.from_checkpoint

    def wrong(weights: Checkpoint) -> Any:
        module = right(weights)
        for layer in module.modules():
            if isinstance(layer, torch.nn.BatchNorm1d):
                layer.eps = 1e-5
        return module

    monkeypatch.setattr(network, "from_checkpoint", wrong)
    code, out, err = zoo(
        "parity", "--weights", published_file, "--reference", "onnx-cpu", "--runtimes", "onnx-cpu,torch-cpu"
    )
    assert code == 1
    assert "DIFFERS" in out
    assert err.startswith("zoo: parity: ")
    assert 0 < err.index("onnx-cpu (") < err.index("torch-cpu (")


@needs_torch
def test_every_layer_agrees_with_keras(zoo: Zoo, data: Path, published_file: Path) -> None:
    npz = data / "Sequences_example.layers.npz"
    code, out, _ = zoo(
        "parity", npz, "--layers", "--weights", published_file, "--sequences", data / "Sequences_example.fa", "--json"
    )
    layers = json.loads(out)["layers"]
    assert code == 0
    assert len(layers) == 27
    assert [layer["name"] for layer in layers[:2]] == ["Conv1D_1st", "batch_normalization_60"]
    assert all(layer["max_difference"] <= 1e-4 for layer in layers)


@needs_torch
@pytest.mark.parametrize(
    ("mistake", "first"),
    [
        (scaled("conv3.weight"), "Conv1D_3"),
        (base_order_actg, "Conv1D_1st"),
        (epsilon_of_pytorch, "batch_normalization_60"),
        (keras_flatten_order, "Dense_1"),
        (scaled("head.bias"), "Dense_Dev"),
    ],
)
def test_the_first_layer_that_differs_is_named(
    data: Path,
    published: Checkpoint,
    tmp_path: Path,
    mistake: Callable[[dict[str, np.ndarray]], None],
    first: str,
) -> None:
    arrays = dict(published.arrays)
    mistake(arrays)
    path = tmp_path / "wrong.safetensors"
    checkpoint.save(checkpoint.make("deepstarr", published.config, arrays, "a mistake", "none"), path)
    subject = parity.Subject(weights=path, sequences=data / "Sequences_example.fa")
    label, reports = parity.run_layers(subject, data / "Sequences_example.layers.npz")
    differing = next(report for report in reports if not report.passed)
    assert differing.name == first
    with refuses(f"parity: {first} ", "Sequences_example.layers.npz", list(differing.index), kind=CheckFailed):
        parity.check_layers(label, reports)


@needs_keras
@needs_torch
@pytest.mark.parametrize("name", SMALL_CONFIGS)
def test_layers_of_a_network_with_odd_sizes_agree_with_keras(name: str, tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL_CONFIGS[name])
    if reason := session.refuses("keras-cpu", weights.spec):
        with pytest.raises(ZooError) as refusal:
            parity.torch_layers(weights, random_codes(3, weights.spec.sequence_length))
        assert str(refusal.value) == reason
        return
    path = tmp_path / "odd.safetensors"
    checkpoint.save(weights, path)
    label, reports = parity.run_layers(parity.Subject(weights=path))
    parity.check_layers(label, reports)
    assert label == "keras-cpu"
    assert [report.name for report in reports] == [layer.name for layer in keras_layers.of(weights.spec).layers]


def test_keras_cpu_names_the_extra_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    keras = registry.load("runtimes", "keras")
    monkeypatch.setattr(keras.importlib.util, "find_spec", lambda name: None if name == "tf_keras" else object())
    reason = keras.missing("cpu")
    assert all(fact in reason for fact in ("tf_keras", "pip install 'deepstarr-zoo[keras]'"))
    with refuses("keras-cpu", reason, kind=MissingDependency):
        session.open_session(random_checkpoint(ODD), "keras-cpu")


def test_compare_reports_the_differences_and_the_worst_value() -> None:
    expected = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]], np.float32)
    actual = expected + np.array([[0, 0], [0, 0.5], [1e-5, 0]], np.float32)
    report = agreement.compare(expected, actual, ["a", "b", "c"], ["dev", "hk"])
    assert not report.passed
    assert report.failures == 1
    assert report.max_difference == 0.5
    assert report.mean_difference == pytest.approx((0.5 + 1e-5) / 6, rel=0.02)
    assert report.worst == agreement.Worst("b", "hk", 4.0, 4.5)
    assert report.pearson == pytest.approx(np.corrcoef([2, 4, 7], [2, 4.5, 7])[0, 1])
    assert json.loads(json.dumps(report.to_dict()))["worst"]["record"] == "b"


@pytest.mark.parametrize(
    ("expected", "actual", "passed"),
    [
        (1.0, 1.0 + 1.9e-4, True),
        (1.0, 1.0 + 2.1e-4, False),
        (0.0, 0.9e-4, True),
        (100.0, 100.0099, True),
        (100.0, 100.02, False),
        (1.0, math.nan, False),
        (math.nan, math.nan, False),
        (math.inf, math.inf, False),
    ],
)
def test_the_verdict_is_that_of_numpy_and_only_finite_values_pass(expected: float, actual: float, passed: bool) -> None:
    report = agreement.compare(np.array([[expected]]), np.array([[actual]]), ["a"], ["dev"])
    assert report.passed is passed
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_value_that_is_not_a_number_is_the_worst() -> None:
    expected = np.array([[0.0], [0.0], [0.0]])
    report = agreement.compare(expected, np.array([[5.0], [math.nan], [9.0]]), ["a", "b", "c"], ["dev"])
    assert report.worst.record == "b"
    assert math.isnan(report.pearson)
    assert report.failures == 3


def test_tables_of_other_shapes_and_bad_tolerances_are_refused() -> None:
    table = np.zeros((2, 2))
    with refuses("actual: ", "2 records", "2 targets", (1, 2)):
        agreement.compare(table, table[:1], ["a", "b"], ["dev", "hk"])
    with refuses("expected: ", "0 records", "2 targets", (0, 2)):
        agreement.compare(table[:0], table[:0], [], ["dev", "hk"])
    with refuses("absolute", "0", "nan"):
        Tolerance(absolute=math.nan)


def test_a_reference_that_is_neither_runtime_nor_table_is_refused(tmp_path: Path, published_file: Path) -> None:
    subject = parity.Subject(weights=published_file)
    with refuses("none.tsv", *session.runtime_names()):
        parity.run(subject, reference="none.tsv")
    table = tmp_path / "table.tsv"
    table.write_text("name\tdev\thk\n")
    with refuses(table, "FASTA", "--sequences"):
        parity.run(subject, reference=str(table))
    with refuses("'abacus-cpu'"):
        parity.run(subject, runtimes=["abacus-cpu"])


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("name\tdev\thk\na\t1\t2\n", ("expected 2", "got 1")),
        ("name\tdev\thk\na\t1\t2\nc\t1\t2\n", ("row 2", "'b'", "'c'")),
        ("name\tdev\na\t1\nb\t1\n", ("'hk'", "name, dev")),
        ("name\tdev\thk\na\t1\t2\nb\t1\tx\n", ("column hk", "row 2", "number", "'x'")),
        ("name\tdev\thk\na\t1\t2\nb\t\t1\n", ("column dev", "row 2", "number", "missing")),
        ("name\tdev\thk\na\t1\t2\nb\t1\n", ("line 3", "3 fields", "got 2")),
        ('name\tdev\thk\n"a\t1\t2\nb"\t1\t2\n', ("row 1", "'a'", "'\"a'")),
        ("name\tdev\thk\tdev\na\t1\t2\t3\nb\t1\t2\t3\n", ("columns", "'dev'")),
    ],
)
def test_a_table_that_does_not_fit_the_sequences_is_refused(tmp_path: Path, text: str, facts: tuple[str, ...]) -> None:
    path = tmp_path / "table.tsv"
    path.write_text(text)
    with refuses(path, *facts):
        parity.read_table(path, ["a", "b"], ["dev", "hk"])


def test_layer_outputs_with_other_numbers_in_their_names_are_read_in_order(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    assert torch is not None
    weights = random_checkpoint(ODD)
    outputs = parity.torch_layers(weights, random_codes(3, ODD.sequence_length))
    path = tmp_path / "layers.npz"
    np.savez(path, **{f"layer_{99 - number}": output for number, output in enumerate(outputs.values())})
    assert list(parity.read_layers(path, weights)) == list(outputs)
    np.savez(path, Conv1D_1st=outputs["Conv1D_1st"])
    with refuses(path, "20 layers", "got 1", "batch_normalization_60"):
        parity.read_layers(path, weights)
    path.write_bytes(b"PK\x03\x04 nothing")
    with refuses(path, ".npz"):
        parity.read_layers(path, weights)


def test_generated_sequences_are_the_same_every_time_and_fit_any_length(tmp_path: Path) -> None:
    assert parity.example_fasta(249) == parity.example_fasta(249)
    for length in (8, 53, 249):
        path = tmp_path / "generated.fa"
        path.write_bytes(parity.example_fasta(length))
        names = [name for batch, _ in Reader(path, length) for name in batch]
        assert len(names) == len(set(names)) == parity.RANDOM_RECORDS + 9
    assert dataclasses.is_dataclass(parity.Subject)
