"""An .onnx file of any program -> its graph, with numbers that were stored in files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.weights import file_checks
from zoo.weights.importers.graphs import graph
from zoo.weights.importers.graphs.graph import ForeignGraph

if TYPE_CHECKING:
    import onnx


def read(path: Path) -> ForeignGraph:
    """Raises ZooError for a file that is damaged, or that ONNX Runtime cannot run."""
    import onnx
    import onnxruntime
    from google.protobuf.message import DecodeError

    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except DecodeError as error:
        raise ZooError(f"{path}: cannot be read as ONNX; it is damaged or has another format ({error})") from None
    if not model.graph.node:
        raise ZooError(f"{path}: cannot be read as ONNX; it has no graph")
    model = graph.inlined(model)
    _take_inside(model, path)
    graph.check_domains(model, str(path))
    run = graph.onnx_run(model, str(path))
    return graph.finished(str(path), "ONNX", model, run, f"onnxruntime {onnxruntime.__version__}")


def _take_inside(model: onnx.ModelProto, path: Path) -> None:
    """Read the numbers of tensors that are stored in files beside `path`."""
    from onnx import TensorProto

    total = path.stat().st_size
    for tensor in _all_tensors(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        fields = {entry.key: entry.value for entry in tensor.external_data}
        file = _beside(path, fields.get("location", ""))
        try:
            start = int(fields.get("offset", 0))
            length = int(fields.get("length", file.stat().st_size - start))
            if start < 0 or length < 0 or start + length > file.stat().st_size:
                raise ValueError
        except ValueError:
            raise ZooError(
                f"{path}: {tensor.name} lies outside {file.name}; the file was cut off or replaced"
            ) from None
        total += length
        file_checks.check_bytes(total, str(path))
        with file.open("rb") as content:
            content.seek(start)
            tensor.raw_data = content.read(length)
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def _beside(path: Path, location: str) -> Path:
    """The file in the same folder that a tensor names."""
    if not location or location in (".", "..") or set(location) & set("/\\:\0"):
        raise ZooError(f"{path}: refused, numbers are in {location!r}; only files in the same folder are read")
    file = path.parent / location
    if file.is_symlink() or not file.is_file():
        raise ZooError(f"{path}: its numbers are in {location}, which is not in the same folder; copy it there")
    return file


def _all_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    for one in graph.graphs(model.graph):
        yield from one.initializer
        for sparse in one.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in graph.nodes(model.graph):
        for attribute in node.attribute:
            yield from ([attribute.t] if attribute.HasField("t") else attribute.tensors)
