"""Weights files that were changed at random: each is read as what it was, or refused in one line; nothing in between.

ZOO_FUZZ_SECONDS and ZOO_FUZZ_SEED as tests/fuzz.py has them. Files with a digest must come back exactly or not at all;
of a file of another program, whose numbers have no checksum, what is read must be a whole model.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import random
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from fuzz import budget, mutated
from ports import plain_h5, ported
from zoo_exporters.keras import export as write_h5

from zoo import registry
from zoo.errors import LONGEST, ZooError
from zoo.layers import keras_layers
from zoo.prediction import session
from zoo.spec import SPEC_KEY
from zoo.weights import checkpoint, file_checks, model_arrays
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import importer
from zoo.weights.importers.layers import ImportOptions

torch = pytest.importorskip("torch")
h5py = pytest.importorskip("h5py")

SECONDS = 0.5
"""Each of the tests here."""

WEIGHTS = random_checkpoint(ODD)
OPTIONS = ImportOptions(alphabet="ACGT", flatten="channel", epsilon=1e-3, length=53, targets=("a", "b", "c"))
KERAS = ImportOptions(alphabet="ACGT", length=53)

PIECES = (
    *(b"", b"\x00", b"\xff", b"\xff" * 8, b"\x00" * 8, b"[" * 500, b'{"a":', b"9" * 400, b"-1", b"1e999", b"NaN"),
    *(b"null", b"true", b'"', b"\\ud800", b"\r\n", b"\x1b[31m", b"F64", b"I64", b"data_offsets", b"__metadata__"),
    *(SPEC_KEY.encode(), b"sha256", b"PK\x03\x04", b"PK\x01\x02", b"\x89HDF\r\n\x1a\n", b"TREE", b"SNOD", b"OHDR"),
)

VALUES = (
    *(
        None,
        True,
        False,
        0,
        -1,
        3,
        53,
        10**6,
        10**30,
        0.5,
        float("nan"),
        float("inf"),
        "",
        "a",
        "a\tb",
        "\x1b[31m",
        "53",
    ),
    *([], [[]], {}, {"a": 1}, [1, 2], [-1], ["a", "a"], ["a", "b", "c"], "x" * 5000, [9] * 1000),
)


def outcome(read: Callable[[], Any], seed: int) -> Any:
    """What is read, or None if it is refused as it should be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except ZooError as error:
        message = str(error)
        assert 0 < len(message) <= LONGEST, f"seed {seed}: {message!r}"
        assert message.isprintable(), f"seed {seed}: {message!r}"
        return None
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error


def flipped(content: bytes, generator: random.Random) -> bytes:
    """One to three bits are others."""
    changed = bytearray(content)
    for _ in range(generator.randint(1, 3)):
        changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    return bytes(changed)


def changed_bytes(content: bytes, generator: random.Random, head: int) -> bytes:
    """A change anywhere, or in the first `head` bytes, where the description is."""
    match generator.randrange(4):
        case 0:
            return flipped(content, generator)
        case 1:
            return flipped(content[:head], generator) + content[head:]
        case 2:
            return mutated(content[:head], generator, PIECES) + content[head:]
        case _:
            return mutated(content, generator, PIECES)


def changed_json(content: Any, generator: random.Random) -> Any:
    """The same JSON with a value, a name or a piece of it changed, somewhere."""
    content = json.loads(json.dumps(content))
    for _ in range(generator.randint(1, 3)):
        places = list(parts(content))
        inside, key = generator.choice(places)
        match generator.randrange(4):
            case 0:
                del inside[key]
            case 1:
                inside[key] = copy.deepcopy(generator.choice(VALUES))
            case 2:
                other, place = generator.choice(places)
                inside[key] = json.loads(json.dumps(other[place])) if place in keys(other) else None
            case 3 if isinstance(inside, dict):
                inside[str(generator.choice(VALUES))] = inside.pop(key)
        if not list(parts(content)):
            break
    return content


def keys(inside: Any) -> Any:
    return inside if isinstance(inside, dict) else range(len(inside))


def parts(content: Any) -> Any:
    """Every place in JSON: the object or list, and the name or number there."""
    for key in list(keys(content)):
        yield content, key
        if isinstance(content[key], dict | list):
            yield from parts(content[key])


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    registry.load("exporters", "onnx").export(WEIGHTS, tmp_path / "w.onnx", input="codes")
    return tmp_path / "w.onnx"


def same(found: Any, seed: int) -> None:
    if found is not None:
        assert found.spec == WEIGHTS.spec, f"seed {seed}"
        assert checkpoint.weights_id(found.arrays) == WEIGHTS.spec.weights_id, f"seed {seed}"


def test_safetensors_come_back_exactly_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.save(WEIGHTS, path)
    content = path.read_bytes()
    head = 8 + int.from_bytes(content[:8], "little")
    for seed, generator in budget(SECONDS):
        path.write_bytes(changed_bytes(content, generator, head))
        same(outcome(lambda: checkpoint.load(path), seed), seed)
        outcome(lambda: importer.read(path, OPTIONS), seed)


def test_onnx_comes_back_exactly_or_not_at_all(exported: Path) -> None:
    content = exported.read_bytes()
    for seed, generator in budget(SECONDS):
        exported.write_bytes(changed_bytes(content, generator, len(content)))
        found = outcome(lambda: registry.load("exporters", "onnx").read_spec(exported), seed)
        assert found in (None, WEIGHTS.spec), f"seed {seed}"
        running = outcome(lambda: session.open_session(exported, "onnx-cpu"), seed)
        assert running is None or running.spec == WEIGHTS.spec, f"seed {seed}"


def test_a_keras_file_of_the_zoo_comes_back_exactly_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    write_h5(WEIGHTS, path)
    content = path.read_bytes()
    for seed, generator in budget(SECONDS):
        path.write_bytes(changed_bytes(content, generator, 4096))
        found = outcome(lambda: importer.read(path), seed)
        if found is not None and not found.spec.imported:
            same(found, seed)


def whole(found: Checkpoint | None, seed: int) -> None:
    """A model whose arrays are those of its Config, and finite, came of it."""
    if found is not None:
        shapes = model_arrays.shapes(found.spec.architecture, found.config)
        assert {name: array.shape for name, array in found.arrays.items()} == shapes, f"seed {seed}"
        assert all(np.isfinite(array).all() for array in found.arrays.values()), f"seed {seed}"


@pytest.mark.parametrize("legacy", [False, True])
def test_a_state_dict_that_was_changed_is_a_whole_model_or_refused(legacy: bool, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(ported(WEIGHTS), path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    for seed, generator in budget(SECONDS):
        path.write_bytes(changed_bytes(content, generator, 4096))
        found = outcome(lambda: importer.read(path, OPTIONS), seed)
        whole(found, seed)
        if found is not None and not legacy:
            assert found.spec.weights_id == WEIGHTS.spec.weights_id, f"seed {seed}"


def test_a_pickle_that_was_changed_in_an_archive_that_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(ported(WEIGHTS), path)
    with zipfile.ZipFile(path) as archive:
        records = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    for seed, generator in budget(SECONDS):
        changed = generator.choice([name for name in records if name.endswith("data.pkl")] * 9 + list(records))
        with zipfile.ZipFile(path, "w") as archive:
            for name, record in records.items():
                archive.writestr(name, changed_bytes(record, generator, 200) if name == changed else record)
        whole(outcome(lambda: importer.read(path, OPTIONS), seed), seed)


def test_tensors_of_other_names_shapes_and_kinds(tmp_path: Path) -> None:
    kinds = (torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.bool, torch.complex64, torch.float8_e5m2)
    path = tmp_path / "w.pt"
    for seed, generator in budget(SECONDS):
        arrays: OrderedDict[Any, Any] = OrderedDict(ported(WEIGHTS))
        for _ in range(generator.randint(1, 3)):
            name = generator.choice(list(arrays))
            tensor = arrays.pop(name)
            match generator.randrange(7):
                case 0:
                    pass
                case 1:
                    arrays[generator.choice(["", ".", "a.b", "\x00", "x" * 9999, "running_mean", 5, None])] = tensor
                case 2:
                    arrays[name] = tensor[..., None]
                case 3:
                    arrays[name] = tensor.reshape(-1)
                case 4:
                    arrays[name] = tensor.to(generator.choice(kinds))
                case 5:
                    arrays[name] = tensor[:0]
                case _:
                    arrays[name] = tensor * generator.choice([float("nan"), float("inf"), -1, 1e38, 0])
        if generator.random() < 0.2:
            name = generator.choice(list(arrays))
            arrays[name] = arrays[name].to_sparse() if generator.random() < 0.5 else arrays[name].to("meta")
        torch.save(arrays, path)
        options = dataclasses.replace(OPTIONS, targets=generator.choice([(), ("a", "b", "c")]))
        whole(outcome(functools.partial(importer.read, path, options), seed), seed)


def test_a_spec_that_was_changed_and_sealed_again_is_what_it_says_or_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "w.safetensors"
    for seed, generator in budget(SECONDS):
        fields = changed_json(WEIGHTS.spec.to_dict(), generator)
        sealed = generator.random() < 0.5 and file_checks.DIGEST not in fields
        save_file(
            WEIGHTS.arrays, path, metadata={SPEC_KEY: file_checks.spec_json(fields) if sealed else json.dumps(fields)}
        )
        if sealed:
            file_checks.write_digest(path)
        found = outcome(lambda: checkpoint.load(path), seed)
        if found is not None:
            assert checkpoint.weights_id(found.arrays) == WEIGHTS.spec.weights_id, f"seed {seed}"
            told = {**fields, "targets": list(found.spec.targets)}
            kept = {name: value for name, value in found.spec.to_dict().items() if name in told}
            assert {**kept, "targets": list(found.spec.targets)} == told, f"seed {seed}"


def test_a_graph_that_was_changed_is_the_same_network_or_refused(tmp_path: Path) -> None:
    path, graph = tmp_path / "w.h5", tmp_path / "graph.json"
    plain_h5(WEIGHTS, path)
    original = keras_layers.graph(WEIGHTS.spec)
    for seed, generator in budget(SECONDS):
        text = json.dumps(changed_json(original, generator)).encode()
        graph.write_bytes(mutated(text, generator, PIECES) if generator.random() < 0.3 else text)
        options = dataclasses.replace(KERAS, graph=graph, targets=("a", "b", "c"), length=generator.choice([None, 53]))
        found = outcome(functools.partial(importer.read, path, options), seed)
        if found is not None:
            assert found.spec.config == {
                **WEIGHTS.spec.config,
                **{name: found.spec.config[name] for name in ("dropout", "sequence_length")},
            }, f"seed {seed}"
            assert sorted(found.arrays) == sorted(WEIGHTS.arrays), f"seed {seed}"


def test_a_keras_file_whose_arrays_and_names_were_changed(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    plain_h5(WEIGHTS, path)
    content = path.read_bytes()
    for seed, generator in budget(SECONDS):
        path.write_bytes(content)
        with h5py.File(path, "r+") as file:
            names = [name.decode() for name in file.attrs["layer_names"]]
            layer = generator.choice(names)
            weights = list(file[layer].attrs["weight_names"])
            match generator.randrange(6):
                case 0:
                    file.attrs["layer_names"] = [name.encode() for name in generator.sample(names, len(names) - 1)]
                case 1:
                    file.attrs["layer_names"] = generator.choice([5, "x", [1, 2], np.zeros(3), b"\xff\xfe"])
                case 2:
                    file[layer].attrs["weight_names"] = generator.choice([5, "x", [1.5], [b"a/b"], [b"\xff"]])
                case 3:
                    file.attrs["model_config"] = generator.choice([5, "x", "{}", "[" * 2000, b"\xff", [1, 2]])
                case 4:
                    file.attrs[SPEC_KEY] = generator.choice([5, "x", "{}", "[" * 2000, np.zeros(3), b"\xff"])
                case _ if weights:
                    name = f"{layer}/{generator.choice(weights).decode()}"
                    array = file[name][()]
                    del file[name]
                    file[name] = generator.choice(
                        [array.reshape(-1), array[None], array.astype(int), array[:0], 1.0, "x"]
                    )
        whole(outcome(lambda: importer.read(path, KERAS), seed), seed)
