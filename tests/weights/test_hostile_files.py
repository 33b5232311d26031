"""Weights files that lead elsewhere, declare more than they hold, or hold what is no weights: refused in one line."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from ports import plain_h5, ported
from safetensors.numpy import save_file

from zoo import registry
from zoo.errors import LONGEST, ZooError
from zoo.inference import session
from zoo.spec import SPEC_KEY
from zoo.weights import checkpoint, importing, keras_layers, seal, sizes
from zoo.weights.importing import ImportOptions
from zoo.weights.keras_layers import write_h5

torch = pytest.importorskip("torch")
h5py = pytest.importorskip("h5py")
onnx = pytest.importorskip("onnx")

WEIGHTS = random_checkpoint(ODD)
OPTIONS = ImportOptions(flatten="channel", epsilon=1e-3, length=53, targets=("a", "b", "c"))
KERAS = ImportOptions(length=53)


def refusal(call: Callable[[], Any], path: Path) -> str:
    """The one line of a file that is refused, and refused before much memory is taken."""
    tracemalloc.start()
    try:
        with pytest.raises(ZooError) as caught:
            call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert peak < 50_000_000
    assert len(message) <= LONGEST
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def refused_import(path: Path, options: ImportOptions = OPTIONS) -> str:
    return refusal(lambda: importing.read(path, options), path)


@pytest.fixture
def h5(tmp_path: Path) -> Path:
    """The odd network as plain Keras writes it."""
    path = plain_h5(WEIGHTS, tmp_path / "odd.h5")
    assert importing.read(path, KERAS).spec.weights_id == WEIGHTS.spec.weights_id
    return path


DENSE = "Dense_1/Dense_1/kernel:0"


def external_link(file: Any) -> None:
    del file[DENSE]
    file[DENSE] = h5py.ExternalLink("other.h5", "/x")


def soft_link(file: Any) -> None:
    del file[DENSE]
    file[DENSE] = h5py.SoftLink("/other")


def linked_group(file: Any) -> None:
    del file["Dense_1"]
    file["Dense_1"] = h5py.ExternalLink("other.h5", "/")


def external_storage(file: Any) -> None:
    shape = file[DENSE].shape
    del file[DENSE]
    file.create_dataset(DENSE, shape, np.float32, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def virtual(file: Any) -> None:
    shape = file[DENSE].shape
    del file[DENSE]
    layout = h5py.VirtualLayout(shape, np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "x", shape)
    file.create_virtual_dataset(DENSE, layout)


def unused_link(file: Any) -> None:
    file["somewhere"] = h5py.ExternalLink("/etc/passwd", "/")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external_link, "refused, kernel:0 is a link to another place; a Keras file has none"),
        (soft_link, "refused, kernel:0 is a link to another place; a Keras file has none"),
        (linked_group, "refused, Dense_1 is a link to another place; a Keras file has none"),
        (unused_link, "refused, somewhere is a link to another place; a Keras file has none"),
        (external_storage, "refused, the numbers of kernel:0 are in another file; a Keras file has its own"),
        (virtual, "refused, the numbers of kernel:0 are in another file; a Keras file has its own"),
    ],
)
def test_a_keras_file_that_leads_elsewhere_is_refused(change: Callable[[Any], None], message: str, h5: Path) -> None:
    with h5py.File(h5.parent / "other.h5", "w") as file:
        file["x"] = np.zeros(77, np.float32)
    with h5py.File(h5, "r+") as file:
        change(file)
    assert refused_import(h5, KERAS) == message


def test_groups_that_hold_each_other_have_an_end(h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        file["Dense_1/round"] = file["/"]
    assert importing.read(h5, KERAS).spec.weights_id == WEIGHTS.spec.weights_id


def declared(**settings: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[DENSE]
        file.create_dataset(DENSE, dtype=np.float32, **settings)

    return change


@pytest.mark.parametrize(
    "change",
    [
        declared(shape=(5, 5_000_000_000)),
        declared(shape=(5, 5_000_000_000), chunks=(5, 1000), compression="gzip"),
        declared(shape=(1_000_000, 25_000), chunks=(1000, 1000), compression="gzip", fillvalue=1),
    ],
    ids=["plain", "chunked", "compressed"],
)
def test_a_keras_file_is_refused_by_what_it_declares(change: Callable[[Any], None], h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        change(file)
    assert h5.stat().st_size < 200_000
    assert refused_import(h5, KERAS).startswith("declares arrays of 100,000,0")


def test_one_array_under_several_names_counts_each_time(h5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(h5, "r+") as file:
        file.create_dataset("array", (300_000,), np.float32)
        for name in ("a", "b"):
            file[f"Dense_1/{name}"] = file["array"]
        file["Dense_1"].attrs["weight_names"] = [b"a", b"b"]
        file.attrs["layer_names"] = [b"Dense_1"]
    monkeypatch.setattr(sizes, "LARGEST", 2_000_000)
    assert refused_import(h5, KERAS) == "declares arrays of 2,400,000 bytes, weights have at most 2,000,000"


@pytest.mark.parametrize("kind", [np.int32, np.complex64, np.bool_, "S5"])
def test_a_keras_file_of_other_than_floating_point_numbers_is_refused(kind: Any, h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        shape = file[DENSE].shape
        del file[DENSE]
        file[DENSE] = np.zeros(shape, kind)
    assert refused_import(h5, KERAS).startswith("Dense_1/kernel:0: expected floating point numbers, got ")


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_a_keras_file_in_another_precision_is_converted(kind: Any, h5: Path) -> None:
    with h5py.File(h5, "r+") as file:
        values = file[DENSE][()].astype(kind)
        del file[DENSE]
        file[DENSE] = values
        file["Dense_1"].attrs["weight_names"] = [b"Dense_1/kernel:0", b"Dense_1/bias:0"]
    found = importing.read(h5, KERAS).arrays["dense1.weight"]
    np.testing.assert_allclose(found, WEIGHTS.arrays["dense1.weight"], rtol=1e-3, atol=1e-6)


def graph_with(change: Callable[[dict[str, Any]], Any]) -> str:
    graph = keras_layers.graph(WEIGHTS.spec)
    changed = change(graph)
    return json.dumps(graph if changed is None else changed)


def first_settings(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda graph: graph["config"]["layers"][0]["config"].update({name: value})


GRAPHS: dict[str, str] = {
    "deep": "[" * 100_000 + "]" * 100_000,
    "half deep": "[" * 500 + "]" * 500,
    "long": json.dumps("x" * 2_000_000),
    "a list": "[]",
    "null": "null",
    "a number of many digits": "9" * 10_000,
    "layers that are a number": graph_with(lambda graph: graph["config"].update(layers=5)),
    "a layer that is text": graph_with(lambda graph: graph["config"].update(layers=["Conv1D"])),
    "a class that is a list": graph_with(lambda graph: graph["config"]["layers"][1].update(class_name=["Conv1D"])),
    "outputs that are numbers": graph_with(lambda graph: graph["config"].update(output_layers=[[1, 2]])),
    "a length that is text": graph_with(first_settings("batch_input_shape", [None, "53", 4])),
    "a length that is half": graph_with(first_settings("batch_input_shape", [None, 53.5, 4])),
    "a length that is negative": graph_with(first_settings("batch_input_shape", [None, -53, 4])),
    "a shape that is a number": graph_with(first_settings("batch_input_shape", 7)),
    "a shape that is an object": graph_with(first_settings("batch_input_shape", {"0": 1, "1": 2, "2": 4})),
    "a dropout that is text": graph_with(
        lambda graph: (
            [
                layer["config"].update(rate="much")
                for layer in graph["config"]["layers"]
                if layer["class_name"] == "Dropout"
            ]
            and None
        )
    ),
    "a setting that is an object": graph_with(lambda graph: graph["config"]["layers"][1]["config"].update(strides={})),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_an_odd_graph_is_refused_in_one_line(case: str, h5: Path) -> None:
    path = h5.parent / "graph.json"
    path.write_text(GRAPHS[case])
    with pytest.raises(ZooError) as caught:
        importing.read(h5, ImportOptions(graph=path))
    message = str(caught.value)
    assert len(message) <= LONGEST
    assert message.isprintable()
    assert "graph.json" in message or "odd.h5" in message


# .pt


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
    ("make", "message"),
    [
        (lambda: KERNEL.to_sparse(), "expected plain numbers, got a sparse tensor; save the model as float32"),
        (lambda: KERNEL.to_sparse_csr(), "expected plain numbers, got a sparse tensor; save the model as float32"),
        (lambda: KERNEL.to("meta"), "expected plain numbers, got a meta tensor; save the model as float32"),
        (
            lambda: torch.quantize_per_tensor(KERNEL, 0.1, 0, torch.qint8),
            "expected plain numbers, got a quantized tensor; save the model as float32",
        ),
        (lambda: KERNEL.to(torch.int64), "expected floating point numbers, got int64"),
        (lambda: KERNEL.to(torch.bool), "expected floating point numbers, got bool"),
        (lambda: KERNEL.to(torch.complex64), "expected floating point numbers, got complex64"),
    ],
    ids=["sparse", "csr", "meta", "quantized", "int64", "bool", "complex"],
)
def test_a_tensor_that_is_no_plain_numbers_is_refused(make: Any, message: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "port.pt", state(dense1__weight=make()))
    assert refused_import(path) == f"array net_dense1.weight: {message}"


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_are_converted(kind: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_tensors

    arrays = OrderedDict((name, tensor.to(kind)) for name, tensor in state().items())
    save_tensors(dict(arrays), tmp_path / "port.safetensors")
    paths = [saved(tmp_path / "port.pt", arrays), tmp_path / "port.safetensors"]
    for path in paths:
        found = importing.read(path, OPTIONS).arrays["dense1.weight"]
        np.testing.assert_array_equal(found, KERNEL.to(kind).float().numpy())


def test_shared_strided_and_turned_tensors_are_read_as_they_are(tmp_path: Path) -> None:
    turned = KERNEL.T.contiguous().T
    assert not turned.is_contiguous()
    shared = torch.cat([state()["net_conv1.bias"], torch.zeros(3)])
    path = saved(tmp_path / "port.pt", state(dense1__weight=turned, conv1__bias=shared[:9]))
    assert importing.read(path, OPTIONS).spec.weights_id == WEIGHTS.spec.weights_id


def test_safetensors_of_whole_numbers_are_refused(tmp_path: Path) -> None:
    arrays = {name: tensor.numpy() for name, tensor in state().items()}
    path = tmp_path / "port.safetensors"
    save_file({**arrays, "net_dense1.weight": KERNEL.numpy().astype(np.int16)}, path)
    expected = "array net_dense1.weight: expected floating point numbers (F64, F32, F16, BF16), got I16"
    assert refused_import(path) == expected


def test_a_tensor_of_one_number_that_is_said_to_be_many_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "port.pt", state(dense1__weight=torch.zeros(1).expand(5, 5_000_000_000)))
    assert path.stat().st_size < 100_000
    assert refused_import(path).startswith("declares arrays of 100,000,0")


def test_a_bomb_of_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "port.pt"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a/data/0", "w", force_zip64=True) as record,
    ):
        for _ in range(250):
            record.write(bytes(10_000_000))
    assert path.stat().st_size < 3_000_000
    assert refused_import(path) == "declares arrays of 2,500,000,000 bytes, weights have at most 2,000,000,000"


def test_a_file_too_large_for_weights_is_refused_unread(tmp_path: Path) -> None:
    for name, start in (("a.h5", b"\x89HDF\r\n\x1a\n"), ("a.pt", b"\x80\x02"), ("a.safetensors", b"12345678{")):
        path = tmp_path / name
        with path.open("wb") as file:
            file.write(start)
            file.truncate(100_000_000_000)
        assert refused_import(path) == "has 100,000,000,000 bytes, weights have at most 2,000,000,000"
    with pytest.raises(ZooError, match="has 100,000,000,000 bytes"):
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
    assert "cannot be read as a .safetensors file" in refusal(lambda: checkpoint.load(path), path)
    if content[8:9] == b"{":
        assert "cannot be read as a .safetensors file" in refused_import(path)


def test_a_damaged_archive_or_legacy_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "port.pt", state())
    content = path.read_bytes()
    kernel = content.index(KERNEL.numpy().tobytes()[:64])
    path.write_bytes(content[:kernel] + bytes([content[kernel] ^ 1]) + content[kernel + 1 :])
    assert "cannot be read as a PyTorch file, it is damaged (Bad CRC-32" in refused_import(path)
    directory = content.rindex(b"PK\x01\x02")
    for place in range(directory, directory + 46):
        path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        # some of these bytes nobody reads; what is read is right
        with contextlib.suppress(ZooError):
            assert importing.read(path, OPTIONS).spec.weights_id == WEIGHTS.spec.weights_id
    legacy = saved(tmp_path / "old.pt", state(), _use_new_zipfile_serialization=False)
    assert importing.read(legacy, OPTIONS).spec.weights_id == WEIGHTS.spec.weights_id
    content = legacy.read_bytes()
    for cut in (2, 30, 1000, len(content) - 1):
        legacy.write_bytes(content[:cut])
        assert "cannot be read as a PyTorch file" in refused_import(legacy) or "damaged" in refused_import(legacy)


def test_a_record_that_is_marked_as_a_folder_is_read_all_the_same(tmp_path: Path) -> None:
    path = saved(tmp_path / "port.pt", state())
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    while place != -1:
        content[place + 38] |= 0x10  # the external attribute of DOS; PyTorch alone would give memory that nobody wrote
        place = content.find(b"PK\x01\x02", place + 1)
    path.write_bytes(content)
    assert importing.read(path, OPTIONS).spec.weights_id == WEIGHTS.spec.weights_id


def test_an_archive_with_two_records_of_one_name_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "port.pt", state())
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(archive.namelist()[0], b"")
    assert refused_import(path) == "cannot be read as a PyTorch file, it is damaged (two records have one name)"


def test_a_keras_file_of_the_zoo_that_was_changed_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.h5"
    write_h5(WEIGHTS, path)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(h5py, "File", lambda *_: pytest.fail("h5py opened it"))
    assert refused_import(path, ImportOptions()).startswith("was changed after it was written")


def test_names_that_are_no_names_are_refused(tmp_path: Path) -> None:
    for name in (5, ("a", "b"), None, 10**50):
        arrays: Any = state()
        arrays[name] = torch.zeros(2)
        assert "expected a state dict, names with tensors" in refused_import(saved(tmp_path / "port.pt", arrays))


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
    assert refused_import(path)


# .onnx


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    path = tmp_path / "odd.onnx"
    registry.load("exporters", "onnx").export(WEIGHTS, path, input="codes")
    return path


def outside(tensor: Any) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def in_initializer(model: Any) -> None:
    outside(model.graph.initializer[0])


def in_attribute(model: Any) -> None:
    attribute = model.graph.node[0].attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
    outside(attribute.t)


def in_subgraph(model: Any) -> None:
    attribute = model.graph.node[0].attribute.add(name="body", type=onnx.AttributeProto.GRAPH)
    outside(attribute.g.initializer.add())


def in_sparse(model: Any) -> None:
    outside(model.graph.sparse_initializer.add().values)


def in_function(model: Any) -> None:
    attribute = model.functions.add(name="f").node.add(op_type="Constant").attribute.add(name="value")
    outside(attribute.t)


def in_training(model: Any) -> None:
    outside(model.training_info.add().initialization.initializer.add())


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize(
    "change", [in_initializer, in_attribute, in_subgraph, in_sparse, in_function, in_training], ids=lambda f: f.__name__
)
def test_an_onnx_file_with_numbers_in_other_files_is_refused_unopened(
    change: Callable[[Any], None], sealed: bool, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load_model(exported)
    change(model)
    del model.metadata_props[:]
    spec = WEIGHTS.spec.to_dict()
    model.metadata_props.add(key=SPEC_KEY, value=seal.unsealed(spec) if sealed else json.dumps(spec))
    exported.write_bytes(model.SerializeToString())
    if sealed:  # anyone can seal
        seal.seal(exported)
    monkeypatch.setattr(registry.load("runtimes", "onnx"), "_load", lambda *_: pytest.fail("ONNX Runtime opened it"))
    message = "refused, numbers of it are in another file; files of the zoo have their own"
    assert refusal(lambda: session.open_session(exported, "onnx-cpu"), exported) == message
    assert refusal(lambda: registry.load("exporters", "onnx").read_spec(exported), exported) == message


def test_what_the_container_says_is_what_the_onnx_package_says(exported: Path) -> None:
    from exporters.onnx import container

    expected = {entry.key: entry.value for entry in onnx.load_model(exported).metadata_props}
    assert container.metadata(exported) == expected
    assert session.open_session(exported, "onnx-cpu").spec == WEIGHTS.spec
