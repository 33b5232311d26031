"""A network of another program -> ForeignGraph: its format is found by its content.

Each format has a reader here, which imports its framework when a file needs it. A file is checked before its framework
opens it, and isolated.py does all of this in a process of its own.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.weights import file_checks
from zoo.weights.importers.graphs import keras_models, onnx_files, torch_programs
from zoo.weights.importers.graphs.graph import ForeignGraph, reason

if TYPE_CHECKING:
    from torch import nn

FORMATS = (
    ".onnx, .keras, .h5 with its graph (or --graph FILE.json), a SavedModel folder, .pt2 of torch.export, "
    "or TorchScript"
)

Shape = tuple[int | None, ...]
"""Sizes of an input for one sequence, without the batch; None for a free length: (4, 600)."""


def read(path: Path, graph: Path | None = None, shape: Shape | None = None) -> ForeignGraph:
    """Read a network of any format, convert it to ONNX, and compare both at several batch sizes.

    graph: the .json of a Keras model whose weights are in `path`.  shape: of the input, which TorchScript needs, since
    it does not say it.
    Raises ZooError for a file that is damaged, holds no graph, would run code of its own, or cannot be converted
    exactly; MissingDependency if its framework is not installed.
    """
    kind = kind_of(path)
    if graph is not None and kind != "hdf5":
        raise ZooError(f"--graph does not apply to {path.name}; it is the .json of a Keras .h5")
    try:
        if kind == "torchscript":
            return torch_programs.read_script(path, shape)
        if kind == "hdf5":
            return keras_models.read_h5(path, graph)
        return READERS[kind](path)
    except ZooError:
        raise
    except Exception as error:  # noqa: BLE001  libraries raise any class of error for a damaged file
        raise ZooError(f"{path}: cannot be read; it is damaged ({type(error).__name__}: {reason(error)})") from None


READERS: dict[str, Callable[[Path], ForeignGraph]] = {
    "onnx": onnx_files.read,
    "keras": keras_models.read_keras,
    "savedmodel": keras_models.read_saved_model,
    "pt2": torch_programs.read_exported,
}
"""Format without options -> its reader."""


def from_module(module: nn.Module, shape: Shape) -> ForeignGraph:
    """Convert a live PyTorch module with one input, in evaluation mode. shape: of its input.

    Raises ZooError if PyTorch cannot export it, or the conversion gives other numbers.
    """
    return torch_programs.from_module(module, shape)


def kind_of(path: Path) -> str:
    """Format of a file or folder, by its content. Raises ZooError for one that holds no network."""
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return "savedmodel"
        raise ZooError(f"{path}: this folder has no saved_model.pb; expected {FORMATS}")
    file_checks.check_file(path, "a network")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if start.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path)
    if start.startswith(b"\x80"):
        raise _no_graph(path, "a pickle")
    if start[8:] == b"{":
        raise _no_graph(path, "a .safetensors file")
    if path.suffix == ".onnx" or start.startswith(b"\x08"):  # ir_version, the first field of an ONNX model
        return "onnx"
    raise ZooError(f"{path}: holds no network that is known here; expected {FORMATS}")


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ZooError(f"{path}: is a damaged zip archive; copy or download it again ({error})") from None
    ends = {name.partition("/")[2] for name in names}
    if {"config.json", "model.weights.h5"} <= set(names):
        return "keras"
    if "archive_format" in ends or "serialized_exported_program.json" in names:
        return "pt2"
    if "constants.pkl" in ends:
        return "torchscript"
    if "data.pkl" in ends:
        raise _no_graph(path, "a file of torch.save")
    raise ZooError(f"{path}: is a zip archive without a network; expected {FORMATS}")


def _no_graph(path: Path, what: str) -> ZooError:
    return ZooError(
        f"{path}: {what} holds arrays but no graph; a plug-in of its architecture reads it, or save the network itself "
        "with torch.export.save"
    )
