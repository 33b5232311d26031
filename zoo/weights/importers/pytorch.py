"""State dicts of PyTorch networks (.pt, .pth, .ckpt, .safetensors of other programs) -> their layers in order.

No pickle runs: torch.load reads with weights_only=True. Names do not matter, since every program has its own; layers
are recognized by their shapes and taken in order. Knows no architecture.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError, require
from zoo.spec import SPEC_KEY
from zoo.weights import file_checks
from zoo.weights.importers.layers import NORM, ImportedFile, ImportedLayer

if TYPE_CHECKING:
    import torch

CONTAINERS = ("state_dict", "model_state_dict", "model")
"""Keys of the state dict in a training checkpoint, such as PyTorch Lightning's."""

COUNTER = "num_batches_tracked"
"""Last part of the names of batch counters, which are not weights."""

LOAD_ERRORS = (
    *(RuntimeError, EOFError, OSError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ImportError),
    *(ArithmeticError, MemoryError, struct.error, zipfile.BadZipFile, zlib.error),
)
"""Errors that torch.load and zipfile raise for a file that is damaged or has another format."""

FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""Accepted type of a .safetensors file -> NumPy type; BF16 is the upper half of an F32."""


def read(path: Path, safetensors: bool = False) -> ImportedFile:
    """Read a state dict. safetensors: the file has that format, else that of torch.save.

    Raises ZooError as `read_arrays` and `layers` do.
    """
    return ImportedFile(path, "PyTorch", tuple(layers(read_arrays(path, safetensors), str(path))))


def read_arrays(path: Path, safetensors: bool = False) -> dict[str, np.ndarray]:
    """Float32 arrays by name, in the order of the file, without batch counters and the prefix that all names share.

    Raises ZooError for a file that is damaged, holds more than tensors, or is the zoo's own; MissingDependency if it
    needs PyTorch and that is not installed.
    """
    file_checks.check_file(path)
    arrays = _read_safetensors(path) if safetensors else _read_torch(path)
    # prefixes such as "model.", "module." and "_orig_mod."; the layer's own name is kept
    while len(arrays) > 1 and len({name.partition(".")[0] for name in arrays}) == 1:
        if not all(name.count(".") > 1 for name in arrays):
            break
        arrays = {name.partition(".")[2]: array for name, array in arrays.items()}
    return arrays


def layers(arrays: Mapping[str, np.ndarray], where: str) -> list[ImportedLayer]:
    """Kernels in order, convolutions first, each with its bias and, also in order, its batch normalization.

    Biases are zeros if no convolution has one: batch normalization makes them superfluous. A kernel (filter, channel,
    position, 1) of a two-dimensional convolution loses its last axis.
    Raises ZooError that names the first array that is missing or has no place.
    """
    arrays = {
        name: array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array for name, array in arrays.items()
    }
    kernels = [name for name, array in arrays.items() if array.ndim > 1]
    kernels.sort(key=lambda name: -arrays[name].ndim)
    norms = [name.rpartition("running_mean")[0] for name in arrays if name.endswith("running_mean")]
    if len(norms) >= len(kernels):
        raise ZooError(
            f"{where}: expected outputs without batch normalization, got {len(norms)} batch normalizations "
            f"for {len(kernels)} kernels"
        )
    biases = {name: f"{name.removesuffix('.weight')}.bias" for name in kernels}
    without_bias = not any(biases[name] in arrays for name in kernels if arrays[name].ndim == 3)
    used: set[str] = set()
    found = []
    for position, name in enumerate(kernels):
        kernel, norm, norm_name = arrays[name], None, None
        if position < len(norms):
            names = {end: f"{norms[position]}{end}" for end in NORM}
            norm_name = norms[position].removesuffix(".")
            norm = {end: _array(arrays, full, where) for end, full in names.items()}
            used |= set(names.values())
        if without_bias and norm and biases[name] not in arrays:
            bias = np.zeros(len(kernel), np.float32)
        else:
            bias = _array(arrays, biases[name], where)
        used |= {name, biases[name]}
        found.append(ImportedLayer(name.removesuffix(".weight"), kernel, bias, norm, norm_name))
    superfluous = [name for name in arrays if name not in used]
    if superfluous:
        raise ZooError(f"{where}: array {superfluous[0]}: has no place in a network of convolutions and dense layers")
    return found


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, deserialize, safe_open

    try:
        with safe_open(path, "numpy") as file:
            if SPEC_KEY in (file.metadata() or {}):
                raise ZooError(f"{path}: is a weights file of the zoo already; use it as it is")
        found = {name: tensor for name, tensor in deserialize(path.read_bytes()) if not name.endswith(COUNTER)}
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise ZooError(
            f"{path}: cannot be read as a .safetensors file; it is damaged or has another format ({error})"
        ) from None
    # this format keeps no order; numbers in the names give it, conv2 before conv10
    return {name: _floats(found[name], f"{path}: array {name}") for name in sorted(found, key=_natural)}


def _floats(tensor: dict[str, Any], where: str) -> np.ndarray:
    """A tensor of a .safetensors file as float32."""
    if tensor["dtype"] not in FLOATS:
        raise ZooError(f"{where}: expected floating point numbers ({', '.join(FLOATS)}), got {tensor['dtype']}")
    values = np.frombuffer(tensor["data"], FLOATS[tensor["dtype"]])
    if tensor["dtype"] == "BF16":
        values = (values.astype(np.uint32) << 16).view(np.float32)
    file_checks.check_bytes(values.size * 4, where)
    with np.errstate(over="ignore"):  # infinite values are found by the check of all arrays
        return values.astype(np.float32).reshape(tensor["shape"])


def _natural(name: str) -> list[tuple[int, str, str]]:
    """A key that sorts numbers in names by their size: by the length of their digits, then the digits."""
    parts = [(digits.lstrip("0"), text) for digits, text in re.findall(r"(\d+)|(\D+)", name)]
    return [(len(digits), digits, text) for digits, text in parts]


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    require("torch", "train", "PyTorch files")
    import torch

    archive = _content(path)
    try:
        with warnings.catch_warnings():
            # PyTorch warns about pickles that it then refuses
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(archive, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        culprit = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it holds {culprit[1]}" if culprit else "or it is damaged"
        raise ZooError(
            f"{path}: refused, a pickle with more than tensors in it could run any code ({reason}); "
            "save the weights alone with torch.save(model.state_dict(), ...)"
        ) from None
    except LOAD_ERRORS as error:
        reason = str(error).partition("\n")[0]
        raise ZooError(
            f"{path}: cannot be read as a PyTorch file; it is damaged or has another format ({reason})"
        ) from None
    for key in CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = content.items() if isinstance(content, Mapping) else ()
    if not tensors or not all(isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in tensors):
        raise ZooError(
            f"{path}: expected a state dict, names with tensors, or one under {' or '.join(CONTAINERS)}; "
            f"got {type(content).__name__} of something else"
        )
    found = {name: tensor.detach() for name, tensor in tensors if not name.endswith(COUNTER)}
    for name, tensor in found.items():
        _check_plain(tensor, f"{path}: array {name}")
    file_checks.check_bytes(sum(tensor.numel() for tensor in found.values()) * np.dtype(np.float32).itemsize, str(path))
    return {name: tensor.float().numpy() for name, tensor in found.items()}


def _content(path: Path) -> io.BytesIO:
    """The bytes for torch.load: an archive rewritten from records with correct checksums; an older format unchanged.

    PyTorch's own reader accepts damage that Python's does not: for a record that is marked as a folder it returns
    uninitialized memory. Raises ZooError for an archive that is damaged or larger than weights can be.
    """
    whole = io.BytesIO()
    try:
        if not zipfile.is_zipfile(path):
            return io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as copy:
            names = archive.namelist()
            if "model.weights.h5" in names:
                raise ZooError(f"{path}: is a .keras archive; save the model as legacy .h5: model.save('model.h5')")
            file_checks.check_bytes(sum(entry.file_size for entry in archive.infolist()), str(path))
            if len(set(names)) != len(names):
                raise zipfile.BadZipFile("two records have one name")
            for name in names:
                copy.writestr(name, archive.read(name))
    except LOAD_ERRORS as error:
        raise ZooError(f"{path}: cannot be read as a PyTorch file, it is damaged ({error})") from None
    whole.seek(0)
    return whole


def _check_plain(tensor: torch.Tensor, where: str) -> None:
    """Raise ZooError unless a tensor is dense and of floating point numbers."""
    import torch

    kind = str(tensor.dtype).removeprefix("torch.")
    special = "meta" if tensor.is_meta else "quantized" if tensor.is_quantized else None
    if tensor.layout is not torch.strided or tensor.is_nested:
        special = "sparse"
    if special:
        raise ZooError(f"{where}: expected plain numbers, got a {special} tensor; save the model as float32")
    if not tensor.is_floating_point():
        raise ZooError(f"{where}: expected floating point numbers, got {kind}")


def _array(arrays: Mapping[str, np.ndarray], name: str, where: str) -> np.ndarray:
    if name not in arrays:
        raise ZooError(f"{where}: the array {name} is missing")
    return arrays[name]
