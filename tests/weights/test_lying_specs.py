"""A file of any format is refused unless its spec, its config, its arrays and its digest agree."""

from __future__ import annotations

import dataclasses
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from refusals import refuses
from safetensors.numpy import save_file

from zoo import registry
from zoo.errors import LONGEST, ZooError, ZooWarning
from zoo.prediction import session
from zoo.spec import SPEC_KEY
from zoo.weights import checkpoint, file_checks
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import importer

WEIGHTS = random_checkpoint(ODD)
SPEC = WEIGHTS.spec.to_dict()


def write(path: Path, spec: str, arrays: dict[str, np.ndarray] | None = None) -> Path:
    save_file(WEIGHTS.arrays if arrays is None else arrays, path, metadata={SPEC_KEY: spec})
    return path


def refusal(path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZooWarning)
        with pytest.raises(ZooError) as caught:
            checkpoint.load(path)
    message = str(caught.value)
    assert len(message) <= LONGEST
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


LIES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "another length": ({"sequence_length": 54}, ["sequence_length", "54", "53"]),
    "another order of targets": ({"targets": ["c", "b", "a"]}, ["targets"]),
    "fewer targets": ({"targets": ["a", "b"]}, ["targets"]),
    "a target twice": ({"targets": ["a", "a", "b"]}, ["targets"]),
    "a target with a tab": ({"targets": ["a\tb", "b", "c"]}, ["targets", "tabs"]),
    "a target with a line end": ({"targets": ["a\n", "b", "c"]}, ["targets", "tabs"]),
    "a target of blanks": ({"targets": [" ", "b", "c"]}, ["targets", "tabs"]),
    "targets that are a number": ({"targets": 3}, ["targets", "got 3"]),
    "a target that is a number": ({"targets": [1, "b", "c"]}, ["targets", "got [1"]),
    "a length that is text": (
        {"sequence_length": "53"},
        ["sequence_length", "'53'"],
    ),
    "a length that is true": (
        {"sequence_length": True},
        ["sequence_length", "True"],
    ),
    "a negative length": ({"sequence_length": -53}, ["sequence_length", "-53"]),
    "another id": ({"weights_id": "0" * 64}, ["000000000000"]),
    "an id that is a number": ({"weights_id": 7}, ["weights_id", "got 7"]),
    "an architecture that is a list": ({"architecture": ["deepstarr"]}, ["architecture", "['deepstarr']"]),
    "an architecture that is not there": ({"architecture": "alexnet"}, ["'alexnet'"]),
    "a config that is text": ({"config": "odd"}, ["config", "'odd'"]),
    "a config with another field": ({"config": {**SPEC["config"], "colour": 1}}, ["config", "deepstarr", "colour"]),
    "a config of numbers for lists": (
        {"config": {**SPEC["config"], "filters": 5}},
        ["filters", "got 5"],
    ),
    "a config of text for numbers": (
        {"config": {**SPEC["config"], "dropout": "no"}},
        ["dropout", "'no'"],
    ),
    "a source that is a number": ({"source": 5}, ["source", "got 5"]),
    "another field": ({"colour": "red"}, ["model spec", "colour"]),
    "a version from the future": ({"version": 99}, ["version 99"]),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_spec_that_its_config_or_arrays_contradict_is_refused(lie: str, tmp_path: Path) -> None:
    change, facts = LIES[lie]
    path = write(tmp_path / "w.safetensors", json.dumps({**SPEC, **change}))
    message = refusal(path)
    assert not [fact for fact in facts if fact not in message], message


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '"deepstarr"', "{", "[" * 100_000, '{"version": ' + "9" * 5000 + "}", "x" * 2_000_000],
    ids=["empty", "a list", "null", "text", "half", "deep", "a number of 5,000 digits", "two million letters"],
)
def test_metadata_that_is_no_spec_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    message = refusal(write(tmp_path / "w.safetensors", text))
    assert "model spec" in message
    assert "metadata" in message


VARIANCE = "conv1_norm.running_var"


@pytest.mark.parametrize("value", [0.0, -0.5, np.nan, np.inf, -np.inf])
def test_an_invalid_variance_is_refused_on_every_runtime(value: float, tmp_path: Path) -> None:
    arrays = {name: array.copy() for name, array in WEIGHTS.arrays.items()}
    arrays[VARIANCE][2] = value
    spec = {**SPEC, "weights_id": checkpoint.weights_id(arrays)}
    message = refusal(write(tmp_path / "w.safetensors", json.dumps(spec), arrays))
    assert message.startswith(f"array {VARIANCE}")
    with refuses(f"array {VARIANCE}"):
        checkpoint.make(SPEC["architecture"], ODD, arrays, "a test", "none")


def safetensors(path: Path) -> None:
    checkpoint.save(WEIGHTS, path)


FORMATS: dict[str, Callable[[Path], None]] = {
    ".safetensors": safetensors,
    ".onnx": lambda path: registry.load("exporters", "onnx").export(WEIGHTS, path, input="codes"),
    ".h5": lambda path: registry.load("exporters", "keras").export(WEIGHTS, path),
}


def read(path: Path) -> Any:
    """The spec of a file, read as its format is read."""
    if path.suffix == ".onnx":
        return session.open_session(path, "onnx-cpu").spec
    return importer.read(path).spec if path.suffix == ".h5" else checkpoint.load(path).spec


@pytest.mark.parametrize("suffix", FORMATS)
def test_any_changed_byte_is_noticed(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    FORMATS[suffix](path)
    assert read(path) == WEIGHTS.spec
    content = path.read_bytes()
    random = np.random.default_rng(0)
    name = re.search(rb"targets\W+(\w)", content)
    assert name is not None
    for number in [name.start(1), *random.integers(0, len(content), 30).tolist()]:
        changed = bytearray(content)
        changed[number] ^= 1 << random.integers(0, 3)
        path.write_bytes(changed)
        with pytest.raises(ZooError) as caught:
            read(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_of_an_earlier_release_is_read_and_says_that_it_has_no_digest(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"w{suffix}"
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", ZooWarning)  # the exporter reads what it has written
        patch.setattr(file_checks, "spec_json", lambda spec: json.dumps(spec, sort_keys=True))
        patch.setattr(file_checks, "write_digest", lambda path: None)  # noqa: ARG005
        FORMATS[suffix](path)
    with pytest.warns(ZooWarning, match="sha256"):
        assert read(path) == WEIGHTS.spec


def test_an_invalid_digest_is_refused(tmp_path: Path) -> None:
    for digest in ("", "0" * 64, "\udcb1" * 64, 5, [], {}):
        path = write(tmp_path / "w.safetensors", json.dumps({**SPEC, file_checks.DIGEST: digest}))
        assert "sha256" in refusal(path)


def test_the_same_weights_are_the_same_file(tmp_path: Path) -> None:
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path in files:
        checkpoint.save(WEIGHTS, path)
    assert files[0].read_bytes() == files[1].read_bytes()
    other = Checkpoint(dataclasses.replace(WEIGHTS.spec, source="elsewhere"), WEIGHTS.arrays)
    checkpoint.save(other, files[1], overwrite=True)
    assert files[0].read_bytes() != files[1].read_bytes()


def test_messages_are_one_printable_line() -> None:
    message = str(ZooError("a\r\nb\x00\x1b[31m" + "x" * 500_000 + " what to do"))
    assert LONGEST - 1 <= len(message) <= LONGEST
    assert message.isprintable()
    assert message.startswith("a b [31mxxx")
    assert message.endswith("xxx what to do")


def test_a_long_message_is_cut_at_blanks() -> None:
    for length in range(60, 100):
        for word in ("architecture", "ab"):
            words = str(ZooError(" ".join([word] * length * 3))).split()
            assert set(words) <= {word, "..."}
            assert len(" ".join(words)) > LONGEST - 4 * len(word)
    assert str(ZooError("short")) == "short"


def test_saved_weights_give_the_same_predictions(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    codes = random_codes(4, ODD.sequence_length)
    expected = session.open_session(WEIGHTS, "torch-cpu").predict(codes)
    path = tmp_path / "w.safetensors"
    checkpoint.save(WEIGHTS, path)
    np.testing.assert_array_equal(session.open_session(checkpoint.load(path), "torch-cpu").predict(codes), expected)
