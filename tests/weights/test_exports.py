"""Exports are made once, for exactly the checkpoint they were made from, and one that was damaged is made anew."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes

from zoo import registry
from zoo.prediction.session import open_session
from zoo.system.files import cache_folder
from zoo.weights import exports
from zoo.weights.checkpoint import Checkpoint

ODD_WEIGHTS = random_checkpoint(ODD)
CODES = random_codes(5, ODD.sequence_length)


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Checkpoint]:
    """What was exported, in a cache of its own."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    exporter = registry.load("exporters", "onnx")
    export, seen = exporter.export, []

    def recording(weights: Checkpoint, path: Path, **settings: Any) -> None:
        seen.append(weights)
        export(weights, path, **settings)

    monkeypatch.setattr(exporter, "export", recording)
    return seen


def kept() -> list[Path]:
    return sorted(cache_folder("exports").iterdir())


def test_an_export_is_made_once(made: list[Checkpoint]) -> None:
    first = exports.exported(ODD_WEIGHTS, "onnx", input="codes")
    assert exports.exported(ODD_WEIGHTS, "onnx", input="codes") == first
    assert len(made) == 1
    assert kept() == [first]
    assert exports.exported(ODD_WEIGHTS, "onnx", input="bytes") != first
    assert len(made) == 2


def test_the_same_arrays_under_other_names_are_another_export(made: list[Checkpoint]) -> None:
    swapped = dataclasses.replace(ODD, targets=ODD.targets[::-1])
    spec = dataclasses.replace(ODD_WEIGHTS.spec, config=swapped.to_dict(), targets=swapped.targets)
    other = Checkpoint(spec, ODD_WEIGHTS.arrays)
    assert open_session(ODD_WEIGHTS, "onnx-cpu").spec.targets == ODD.targets
    assert open_session(other, "onnx-cpu").spec.targets == ODD.targets[::-1]
    assert len(made) == len(kept()) == 2


def damaged(content: bytes) -> list[bytes]:
    """An empty file, another one, one cut off, and one with a single bit of a weight turned."""
    turned = bytearray(content)
    turned[len(turned) // 2] ^= 0x40
    return [b"", b"garbage", content[:-1000], bytes(turned)]


@pytest.mark.parametrize("number", range(4))
def test_a_damaged_export_is_made_anew(number: int, made: list[Checkpoint]) -> None:
    expected = open_session(ODD_WEIGHTS, "onnx-cpu").predict(CODES)
    (path,) = kept()
    path.write_bytes(damaged(path.read_bytes())[number])
    np.testing.assert_array_equal(open_session(ODD_WEIGHTS, "onnx-cpu").predict(CODES), expected)
    assert len(made) == 2
    assert len(kept()) == 1
