"""A model repository for Triton: its own protobuf reads the configuration, and the graph is what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo
from refusals import refuses

import zoo as package
from zoo import registry

triton = registry.load("exporters", "triton")


def read_config(path: Path):  # type: ignore[no-untyped-def]
    model_config = pytest.importorskip(
        "tritonclient.grpc.model_config_pb2", reason="tritonclient[grpc] is not installed"
    )
    from google.protobuf import text_format

    return text_format.Parse(path.read_text(), model_config.ModelConfig()), model_config


@pytest.mark.parametrize(("instance", "kind"), [("cpu", "KIND_CPU"), ("gpu", "KIND_GPU")])
def test_tritons_own_protobuf_reads_the_configuration(tmp_path: Path, instance: str, kind: str) -> None:
    weights = random_checkpoint(ODD)
    triton.export(weights, tmp_path / "repository", model_name="odd.v1", instance=instance)
    config, model_config = read_config(tmp_path / "repository" / "odd.v1" / "config.pbtxt")
    assert config.name == "odd.v1"
    assert config.backend == "onnxruntime"
    assert config.max_batch_size == 4096
    (taken,) = config.input
    assert (taken.name, taken.data_type, list(taken.dims)) == ("codes", model_config.TYPE_UINT8, [53])
    (given,) = config.output
    assert (given.name, given.data_type, list(given.dims)) == ("activity", model_config.TYPE_FP32, [3])
    assert config.dynamic_batching.max_queue_delay_microseconds == 2000
    (group,) = config.instance_group
    assert (group.count, model_config.ModelInstanceGroup.Kind.Name(group.kind)) == (1, kind)
    assert config.parameters["weights_id"].string_value == weights.spec.weights_id


def test_the_graph_takes_and_gives_what_the_configuration_says(tmp_path: Path) -> None:
    import onnxruntime

    weights = random_checkpoint(ODD)
    triton.export(weights, tmp_path / "repository", model_name="odd")
    config, _ = read_config(tmp_path / "repository" / "odd" / "config.pbtxt")
    graph = onnxruntime.InferenceSession(tmp_path / "repository" / "odd" / "1" / "model.onnx")
    (taken,), (given,) = graph.get_inputs(), graph.get_outputs()
    assert (taken.name, taken.type, taken.shape) == (
        config.input[0].name,
        "tensor(uint8)",
        ["batch", *config.input[0].dims],
    )
    assert (given.name, given.type, given.shape) == (
        config.output[0].name,
        "tensor(float)",
        ["batch", *config.output[0].dims],
    )
    codes = random_codes(5, ODD.sequence_length)
    expected = package.load(weights=str(tmp_path / "repository/odd/1/model.onnx"), runtime="onnx-cpu").predict_codes(
        codes
    )
    np.testing.assert_array_equal(graph.run(None, {taken.name: codes})[0], expected)


def test_the_command_writes_the_bundled_model_under_its_name(zoo: Zoo, tmp_path: Path) -> None:
    status, out, _ = zoo("export", "original", "--format", "triton", "-o", f"{tmp_path}/repository/")
    assert status == 0
    assert "repository: triton, " in out
    written = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file())
    assert written == ["repository/original/1/model.onnx", "repository/original/config.pbtxt"]
    assert 'name: "original"' in (tmp_path / "repository/original/config.pbtxt").read_text()


def test_another_model_joins_a_repository_and_one_that_is_there_stays(tmp_path: Path) -> None:
    weights, path = random_checkpoint(ODD), tmp_path / "repository"
    triton.export(weights, path, model_name="a")
    triton.export(weights, path, model_name="b")
    assert sorted(one.name for one in path.iterdir()) == ["a", "b"]
    with refuses(path / "a", "--overwrite"):
        triton.export(weights, path, model_name="a")
    (path / "a" / "notes.txt").write_text("mine")
    with refuses(path / "a", "notes.txt"):
        triton.export(weights, path, model_name="a", overwrite=True)


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"model_name": "../up"}, ["model-name", "'../up'"]),
        ({"model_name": 'a"b'}, ["model-name", 'a"b']),
        ({"instance": "tpu"}, ["instance", "cpu", "gpu", "'tpu'"]),
    ],
)
def test_options_that_triton_does_not_accept_are_refused(
    tmp_path: Path, options: dict[str, str], facts: list[str]
) -> None:
    with refuses(*facts):
        triton.export(random_checkpoint(ODD), tmp_path / "repository", **options)
    assert list(tmp_path.iterdir()) == []
