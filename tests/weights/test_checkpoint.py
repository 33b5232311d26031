"""A .safetensors file of the zoo says what it is, and one that is damaged or foreign is refused in one line."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from refusals import refuses
from safetensors.numpy import save_file

from zoo.spec import SPEC_KEY
from zoo.weights import checkpoint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "odd.safetensors"
    checkpoint.save(random_checkpoint(ODD), path)
    return path


def refused(path: Path, *facts: str) -> None:
    with refuses(path, *facts):
        checkpoint.load(path)


def rewritten(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """The same file with other arrays and the spec that it had."""
    save_file(arrays, path, metadata={SPEC_KEY: random_checkpoint(ODD).spec.to_json()})
    return path


def test_what_is_saved_is_loaded_bit_for_bit(file: Path) -> None:
    saved, loaded = random_checkpoint(ODD), checkpoint.load(file)
    assert loaded.spec == saved.spec
    assert loaded.config == ODD
    assert loaded.arrays.keys() == saved.arrays.keys()
    assert all(np.array_equal(loaded.arrays[name], saved.arrays[name]) for name in saved.arrays)


def test_the_weights_id_is_of_the_numbers_and_not_of_their_order() -> None:
    arrays = random_checkpoint(ODD).arrays
    backwards = dict(reversed(arrays.items()))
    assert checkpoint.weights_id(arrays) == checkpoint.weights_id(backwards)
    changed = {**arrays, "head.bias": np.nextafter(arrays["head.bias"], np.float32(9))}
    assert checkpoint.weights_id(arrays) != checkpoint.weights_id(changed)


def test_a_file_that_is_cut_off_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])
    refused(file, ".safetensors")


def test_a_file_of_another_kind_is_refused(file: Path) -> None:
    file.write_bytes(b"%PDF-1.4 not weights at all")
    refused(file, ".safetensors")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.safetensors"
    refused(path)


def test_weights_of_another_program_are_refused(file: Path) -> None:
    save_file({"layer.weight": np.zeros((2, 2), np.float32)}, file)
    refused(file, "zoo import")


def test_an_array_of_the_wrong_shape_is_refused_by_name(file: Path) -> None:
    arrays = random_checkpoint(ODD).arrays
    rewritten(file, {**arrays, "head.weight": arrays["head.weight"][:, :-1].copy()})
    refused(file, "array head.weight", "[3, 11]", "[3, 10]")


def test_an_array_that_is_missing_or_superfluous_is_refused_by_name(file: Path) -> None:
    arrays = random_checkpoint(ODD).arrays
    rewritten(file, {name: array for name, array in arrays.items() if name != "dense1.bias"})
    refused(file, "array dense1.bias", "[11]")
    rewritten(file, {**arrays, "dense9.bias": arrays["dense1.bias"]})
    refused(file, "array dense9.bias")


def test_an_array_of_another_dtype_or_with_nan_is_refused(file: Path) -> None:
    arrays = random_checkpoint(ODD).arrays
    rewritten(file, {**arrays, "head.bias": arrays["head.bias"].astype(np.float64)})
    refused(file, "array head.bias", "float32", "float64")
    rewritten(file, {**arrays, "head.bias": np.full_like(arrays["head.bias"], np.nan)})
    refused(file, "array head.bias")


def test_one_flipped_bit_is_noticed(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    refused(file, "sha256")


def test_a_spec_that_cannot_be_read_is_refused(file: Path) -> None:
    arrays = random_checkpoint(ODD).arrays
    save_file(arrays, file, metadata={SPEC_KEY: "{"})
    refused(file, "model spec")
    spec = json.loads(random_checkpoint(ODD).spec.to_json())
    save_file(arrays, file, metadata={SPEC_KEY: json.dumps({**spec, "alphabet": "ACTG"})})
    refused(file, "model spec", "alphabet ACGT", "'ACTG'")


def test_the_header_alone_tells_what_the_file_is(file: Path) -> None:
    content = file.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    spec = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][SPEC_KEY])
    assert spec["architecture"] == "deepstarr"
    assert spec["sequence_length"] == ODD.sequence_length
    assert spec["targets"] == list(ODD.targets)


def test_an_existing_file_is_kept_unless_told_otherwise(file: Path) -> None:
    before = file.read_bytes()
    with refuses(file, "--overwrite"):
        checkpoint.save(random_checkpoint(ODD, seed=1), file)
    assert file.read_bytes() == before
    checkpoint.save(random_checkpoint(ODD, seed=1), file, overwrite=True)
    assert file.read_bytes() != before
    assert list(file.parent.iterdir()) == [file]
