"""The members of an ensemble in one file: its statistics are NumPy's, and the zoo opens it as the same ensemble."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo
from refusals import refuses
from tables import mean_and_sd

import zoo as package
from zoo import registry
from zoo.card import Card
from zoo.weights import checkpoint, exports
from zoo.weights.checkpoint import Checkpoint

CODES = random_codes(300, ODD.sequence_length)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five members, one of another size."""
    folder = tmp_path_factory.mktemp("members")
    for seed in range(5):
        made = random_checkpoint(ODD if seed else dataclasses.replace(ODD, dense_units=(8,)), seed=seed)
        spec = dataclasses.replace(made.spec, card=Card(held_out=(f"chr{seed}",), unit="log2 enrichment"))
        checkpoint.save(Checkpoint(spec, made.arrays), folder / f"m{seed}.safetensors")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def exported(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "all.onnx"
    exports.write("onnx", ",".join(map(str, files)), path)
    return path


def test_any_program_gets_the_mean_and_the_spread_to_the_bit(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported)
    hot = registry.load("exporters", "onnx").INPUTS["onehot"].feed(CODES)
    mean, sd, each = session.run(["activity", "activity_sd", "activity_members"], {"one_hot": hot})
    assert each.shape == (len(CODES), 5, len(ODD.targets))
    for found, expected in zip((mean, sd), mean_and_sd(each.swapaxes(0, 1)), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_file_is_the_same_ensemble(files: list[Path], exported: Path) -> None:
    ensemble, whole = package.load(files, runtime="onnx-cpu"), package.load(exported, runtime="onnx-cpu")
    assert whole.spec == ensemble.spec
    np.testing.assert_array_equal(whole.members(CODES), ensemble.members(CODES))
    np.testing.assert_array_equal(whole.predict_codes(CODES), ensemble.predict_codes(CODES))
    np.testing.assert_array_equal(whole.spread(CODES), ensemble.spread(CODES))
    np.testing.assert_array_equal(whole.held_out().used("chr3"), [False, False, False, True, False])
    both = [package.load(one, runtime="onnx-cpu", rc="average") for one in (files, exported)]
    np.testing.assert_array_equal(*(one.spread(CODES) for one in both))
    contig = np.concatenate(list(CODES[:9]))
    for way in (lambda one: one.session.windows(contig, 2), lambda one: one.session.mutants(CODES[:4])):
        np.testing.assert_allclose(way(whole), way(ensemble), atol=2e-6)


def test_a_file_of_members_is_converted_and_joined(files: list[Path], exported: Path, tmp_path: Path) -> None:
    as_bytes, more = tmp_path / "bytes.onnx", tmp_path / "more.onnx"
    exports.write("onnx", exported, as_bytes, input="bytes")
    np.testing.assert_array_equal(package.load(as_bytes).members(CODES), package.load(exported).members(CODES))
    other = tmp_path / "other.safetensors"
    checkpoint.save(random_checkpoint(ODD, seed=9), other)
    exports.write("onnx", f"{as_bytes},{other}", more)
    assert len(package.load(more).spec.members) == 6
    found = package.load(more, runtime="onnx-cpu").members(CODES)[5]
    np.testing.assert_array_equal(found, package.load(other, runtime="onnx-cpu").predict_codes(CODES))
    with refuses("same weights", exported.name, files[0].name):
        package.load([exported, files[0]])


def test_formats_without_members_refuse_an_ensemble(files: list[Path], tmp_path: Path, zoo: Zoo) -> None:
    several = ",".join(map(str, files[:2]))
    status, _, said = zoo(
        "export", several, "--keras", "-o", tmp_path / f"k{registry.load('exporters', 'keras').SUFFIX}"
    )
    assert (status, "--onnx" in said, said.count("\n")) == (2, True, 1)
    status, out, _ = zoo("export", several, "--onnx", "-o", tmp_path / "two.onnx")
    assert (status, "weights id" in out) == (0, True)
    assert not [path for path in tmp_path.iterdir() if path.name != "two.onnx"]
