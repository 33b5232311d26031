"""PyTorch and safetensors files that declare more than they hold, or hold what is no weights: refused in one line."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import OPTIONS, WEIGHTS, refusal, refused_import
from ports import ported
from refusals import refuses
from safetensors.numpy import save_file

from zoo.errors import ZooError
from zoo.weights import checkpoint
from zoo.weights.importers import importer

torch = pytest.importorskip("torch")


def state(**changes: Any) -> OrderedDict[str, Any]:
    arrays = ported(WEIGHTS)
    arrays.update({f"net_{name.replace('__', '.')}": tensor for name, tensor in changes.items()})
    return arrays


def saved(path: Path, content: Any, **settings: Any) -> Path:
    torch.save(content, path, **settings)
    return path


KERNEL = torch.from_numpy(WEIGHTS.arrays["dense1.weight"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (lambda: KERNEL.to_sparse(), "sparse tensor"),
        (lambda: KERNEL.to_sparse_csr(), "sparse tensor"),
        (lambda: KERNEL.to("meta"), "meta tensor"),
        (
            lambda: torch.quantize_per_tensor(KERNEL, 0.1, 0, torch.qint8),
            "quantized tensor",
        ),
        (lambda: KERNEL.to(torch.int64), "got int64"),
        (lambda: KERNEL.to(torch.bool), "got bool"),
        (lambda: KERNEL.to(torch.complex64), "got complex64"),
    ],
    ids=["sparse", "csr", "meta", "quantized", "int64", "bool", "complex"],
)
def test_a_tensor_that_is_no_plain_numbers_is_refused(make: Any, fact: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "port.pt", state(dense1__weight=make()))
    refused_import(path, "array net_dense1.weight", fact)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_are_converted(kind: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_tensors

    arrays = OrderedDict((name, tensor.to(kind)) for name, tensor in state().items())
    save_tensors(dict(arrays), tmp_path / "port.safetensors")
    paths = [saved(tmp_path / "port.pt", arrays), tmp_path / "port.safetensors"]
    for path in paths:
        found = importer.read(path, OPTIONS).arrays["dense1.weight"]
        np.testing.assert_array_equal(found, KERNEL.to(kind).float().numpy())


def test_shared_strided_and_turned_tensors_are_read_as_they_are(tmp_path: Path) -> None:
    turned = KERNEL.T.contiguous().T
    assert not turned.is_contiguous()
    shared = torch.cat([state()["net_conv1.bias"], torch.zeros(3)])
    path = saved(tmp_path / "port.pt", state(dense1__weight=turned, conv1__bias=shared[:9]))
    assert importer.read(path, OPTIONS).spec.weights_id == WEIGHTS.spec.weights_id


def test_safetensors_of_whole_numbers_are_refused(tmp_path: Path) -> None:
    arrays = {name: tensor.numpy() for name, tensor in state().items()}
    path = tmp_path / "port.safetensors"
    save_file({**arrays, "net_dense1.weight": KERNEL.numpy().astype(np.int16)}, path)
    refused_import(path, "array net_dense1.weight", "F32", "got I16")


def test_a_tensor_of_one_number_that_is_said_to_be_many_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "port.pt", state(dense1__weight=torch.zeros(1).expand(5, 5_000_000_000)))
    assert path.stat().st_size < 100_000
    refused_import(path, "100,000,0")


def test_a_bomb_of_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "port.pt"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a/data/0", "w", force_zip64=True) as record,
    ):
        for _ in range(250):
            record.write(bytes(10_000_000))
    assert path.stat().st_size < 3_000_000
    refused_import(path, "2,500,000,000 bytes", "2,000,000,000")


def test_a_file_too_large_for_weights_is_refused_unread(tmp_path: Path) -> None:
    for name, start in (("a.h5", b"\x89HDF\r\n\x1a\n"), ("a.pt", b"\x80\x02"), ("a.safetensors", b"12345678{")):
        path = tmp_path / name
        with path.open("wb") as file:
            file.write(start)
            file.truncate(100_000_000_000)
        refused_import(path, "100,000,000,000 bytes", "2,000,000,000")
    with refuses("100,000,000,000 bytes"):
        checkpoint.load(tmp_path / "a.safetensors")


def header(declared: dict[str, Any]) -> bytes:
    text = declared if isinstance(declared, bytes) else json.dumps(declared).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        header({"x": {"dtype": "F32", "shape": [25_000_000_000], "data_offsets": [0, 100_000_000_000]}}),
        header({"x": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}) + bytes(4),
        header(b'{"__metadata__": {"deepstarr_zoo": "\xff\xfe"}}'),
        header(b"{" * 10_000),
        (10**12).to_bytes(8, "little") + b"{}",
    ],
    ids=["100 GB", "overflow", "not UTF-8", "deep", "a long header"],
)
def test_a_safetensors_header_that_cannot_be_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    refusal(lambda: checkpoint.load(path), path, ".safetensors")
    if content[8:9] == b"{":
        refused_import(path, ".safetensors")


def test_a_damaged_archive_or_legacy_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "port.pt", state())
    content = path.read_bytes()
    kernel = content.index(KERNEL.numpy().tobytes()[:64])
    path.write_bytes(content[:kernel] + bytes([content[kernel] ^ 1]) + content[kernel + 1 :])
    refused_import(path, "PyTorch", "Bad CRC-32")
    directory = content.rindex(b"PK\x01\x02")
    for place in range(directory, directory + 46):
        path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        # some of these bytes nobody reads; what is read is right
        with contextlib.suppress(ZooError):
            assert importer.read(path, OPTIONS).spec.weights_id == WEIGHTS.spec.weights_id
    legacy = saved(tmp_path / "old.pt", state(), _use_new_zipfile_serialization=False)
    assert importer.read(legacy, OPTIONS).spec.weights_id == WEIGHTS.spec.weights_id
    content = legacy.read_bytes()
    for cut in (2, 30, 1000, len(content) - 1):
        legacy.write_bytes(content[:cut])
        refused_import(legacy)


def test_a_record_that_is_marked_as_a_folder_is_read_all_the_same(tmp_path: Path) -> None:
    path = saved(tmp_path / "port.pt", state())
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    while place != -1:
        content[place + 38] |= 0x10  # the external attribute of DOS; PyTorch alone would give memory that nobody wrote
        place = content.find(b"PK\x01\x02", place + 1)
    path.write_bytes(content)
    assert importer.read(path, OPTIONS).spec.weights_id == WEIGHTS.spec.weights_id


def test_an_archive_with_two_records_of_one_name_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "port.pt", state())
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0], b"")
    refused_import(path, "PyTorch", "two records")


def test_names_that_are_no_names_are_refused(tmp_path: Path) -> None:
    for name in (5, ("a", "b"), None, 10**50):
        arrays: Any = state()
        arrays[name] = torch.zeros(2)
        refused_import(saved(tmp_path / "port.pt", arrays), "state_dict")


def test_a_pickle_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    class Large:
        def __reduce__(self) -> Any:
            return bytearray, (10**15,)

    path = tmp_path / "port.pt"
    torch.save(OrderedDict(a=torch.zeros(1)), path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(buffer, "w") as changed:
        for entry in archive.infolist():
            large = entry.filename.endswith("data.pkl")
            changed.writestr(entry.filename, pickle.dumps(Large(), 2) if large else archive.read(entry))
    path.write_bytes(buffer.getvalue())
    refused_import(path)
