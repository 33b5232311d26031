"""Files of torch.save -> tensors by name, without PyTorch; nothing in a file runs (pickles.py).

An archive has the pickle in NAME/data.pkl and each storage in NAME/data/KEY. The older format is a sequence of pickles,
the storages behind it. Sources: torch/serialization.py and torch/_utils.py of PyTorch 2.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.weights import file_checks
from zoo.weights.importers import pickles
from zoo.weights.importers.pickles import StandIn

FLOATS = {"float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2"}
"""Accepted type -> NumPy type without byte order; bfloat16 is the upper half of a float32."""

SIZES = {
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 8),
    **dict.fromkeys(("float32", "int32", "uint32", "qint32", "complex32"), 4),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 2),
    "complex128": 16,
}
"""Type -> bytes of a number, if it has more than one."""

STORAGES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64", "Int": "int32",
    "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool", "ComplexDouble": "complex128",
    "ComplexFloat": "complex64", "QInt8": "qint8", "QUInt8": "quint8", "QInt32": "qint32", "Untyped": "uint8",
}  # fmt: skip
"""Start of the name of a storage class, before "Storage" -> type of its numbers."""

SPECIAL = {
    "_rebuild_sparse_tensor": "sparse",
    "_rebuild_sparse_csr_tensor": "sparse",
    "_rebuild_nested_tensor": "sparse",
    "_rebuild_qtensor": "quantized",
    "_rebuild_meta_tensor_no_storage": "meta",
}
"""Function that makes a tensor which is not a plain array -> its kind."""

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of the older format."""

CONTAINERS = ("state_dict", "model_state_dict", "model")
"""Keys of the state dict in a training checkpoint, such as PyTorch Lightning's."""

OPTIMIZER = "optim"
"""Part of the keys under which optimizers keep arrays of the shape of the weights."""

DEEPEST = 50
"""Nested containers and modules in a checkpoint."""

LOAD_ERRORS = (*pickles.READ_ERRORS, OSError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)
"""Errors for a file that is damaged or has another format."""

PROGRAMS = {
    "/constants.pkl": ("a TorchScript program", "torch.jit.load(FILE).state_dict()"),
    "/archive_format": ("a program of torch.export", "torch.export.load(FILE).state_dict"),
    "serialized_exported_program.json": ("a program of torch.export", "torch.export.load(FILE).state_dict"),
}
"""End of the name of a record -> what a file with it is, and how its weights are got."""


@dataclasses.dataclass(frozen=True)
class Storage:
    """Numbers in a file. kind: their type.  key: name in the file.  count: how many the pickle declares."""

    kind: str
    key: str
    count: int


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A view of a storage; all but `special` as the pickle has it, unchecked. special: see SPECIAL."""

    storage: Any = None
    offset: Any = 0
    shape: tuple[Any, ...] = ()
    stride: Any = ()
    kind: str | None = None
    special: str | None = None

    @property
    def is_kernel(self) -> bool:
        return len(self.shape) > 1


@dataclasses.dataclass(frozen=True)
class TorchFile:
    """A file that was read but for its numbers. tensors: by name, in the order of the file.  content: class of what
    was saved."""

    path: Path
    content: str
    tensors: dict[str, Tensor]
    numbers: Callable[[Storage], bytes]
    order: str

    def arrays(self, names: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Tensors as float32, by new names. names: new name -> name in `tensors`.

        Raises ZooError for a tensor that is not a plain array of floating point numbers, and for a damaged one.
        """
        for name in names.values():
            _check_plain(self.tensors[name], f"{self.path}: array {name}")
        total = sum(math.prod(self.tensors[name].shape) for name in names.values())
        file_checks.check_bytes(total * np.dtype(np.float32).itemsize, str(self.path))
        try:
            return {new: self._array(self.tensors[name]) for new, name in names.items()}
        except LOAD_ERRORS as error:
            raise _damaged(self.path, error) from None

    def _array(self, tensor: Tensor) -> np.ndarray:
        storage, shape, stride = tensor.storage, tensor.shape, tensor.stride
        if not isinstance(storage, Storage) or not isinstance(stride, tuple) or len(stride) != len(shape):
            raise ValueError("a tensor has no storage")
        if not all(isinstance(one, int) and one >= 0 for one in (tensor.offset, *stride)):
            raise ValueError("a tensor has no valid place in its storage")
        kind = np.dtype(f"{self.order}{FLOATS[_kind(tensor)]}")
        content = np.frombuffer(self.numbers(storage), np.uint8)
        content = content[: len(content) // kind.itemsize * kind.itemsize].view(kind)
        last = tensor.offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        if 0 in shape:
            return np.zeros(shape, np.float32)
        if last >= len(content):
            raise ValueError(f"a tensor ends after {last + 1:,} numbers, its storage after {len(content):,}")
        steps = [step * kind.itemsize for step in stride]
        view = np.lib.stride_tricks.as_strided(content[tensor.offset :], shape, steps, writeable=False)
        if _kind(tensor) == "bfloat16":
            return (view.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # infinite values are found by the check of all arrays
            return view.astype(np.float32)


def read(path: Path) -> TorchFile:
    """Read what a file of torch.save contains; nothing in it runs.

    Raises ZooError for a file that is damaged or has another format.
    """
    try:
        whole = zipfile.is_zipfile(path)
        if not whole and _begins_as_archive(path):
            raise ZooError(
                f"{path}: cannot be read as a PyTorch file; it is cut off: it begins as a zip archive and lacks its "
                "end; copy or download it again"
            )
        content, numbers, order = _archive(path) if whole else _legacy(path)
        found = dict(named_tensors(content))
    except LOAD_ERRORS as error:
        raise _damaged(path, error) from None
    name = content.name if isinstance(content, StandIn) else type(content).__name__
    return TorchFile(path, name, found, numbers, order)


def _begins_as_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _damaged(path: Path, error: BaseException) -> ZooError:
    reason = (
        "it has other bytes where a text belongs" if isinstance(error, UnicodeError) else str(error).partition("\n")[0]
    )
    return ZooError(f"{path}: cannot be read as a PyTorch file; it is damaged or has another format ({reason})")


def _archive(path: Path) -> tuple[Any, Callable[[Storage], bytes], str]:
    """The content of an archive, a function that reads a storage, and the byte order."""
    archive = zipfile.ZipFile(path)
    names = archive.namelist()
    if "model.weights.h5" in names:
        raise ZooError(f"{path}: is a .keras archive; save the model as legacy .h5: model.save('model.h5')")
    for end, (what, weights) in PROGRAMS.items():
        if any(f"/{name}".endswith(end) for name in names):
            text = weights.replace("FILE", repr(path.name))
            raise ZooError(f"{path}: is {what}; save its weights alone in Python: torch.save({text}, 'weights.pt')")
    file_checks.check_bytes(sum(entry.file_size for entry in archive.infolist()), str(path))
    if len(set(names)) != len(names):
        raise zipfile.BadZipFile("two records have one name")
    (root,) = [name.removesuffix("data.pkl") for name in names if name.endswith("data.pkl")] or [""]
    content = pickles.load(io.BytesIO(archive.read(f"{root}data.pkl")), _made, _storage)
    order = archive.read(f"{root}byteorder") if f"{root}byteorder" in names else b"little"
    numbers = functools.cache(lambda storage: archive.read(f"{root}data/{storage.key}"))
    return content, numbers, ">" if order == b"big" else "<"


def _legacy(path: Path) -> tuple[Any, Callable[[Storage], bytes], str]:
    """The same of a file in the older format."""
    file = io.BytesIO(path.read_bytes())
    storages: dict[str, Storage] = {}

    def persistent(identity: Any) -> Any:
        found = _storage(identity)
        return storages.setdefault(found.key, found) if isinstance(found, Storage) else found

    def load() -> Any:
        return pickles.load(file, _made, persistent)

    if load() != MAGIC:
        raise ZooError(
            f"{path}: is a pickle that torch.save did not write; save the weights with "
            "torch.save(model.state_dict(), ...)"
        )
    _, system, content, keys = load(), load(), load(), load()
    parts = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        size = count * SIZES.get(storages[key].kind, 1)
        parts[key] = file.read(size) if size >= 0 else b""
        if len(parts[key]) != size:
            raise EOFError("it was cut off")
    return content, lambda storage: parts[storage.key], "<" if system["little_endian"] else ">"


def _storage(identity: Any) -> Any:
    """What a persistent id refers to: ("storage", class, key, device, number of elements, ...), or the class in
    ("module", class, file of its source, source), which only the older format has."""
    if identity[0] == "module":
        return identity[1]
    _, kind, key, _, count = identity[:5]
    return Storage(STORAGES[kind.name.rpartition(".")[2].removesuffix("Storage")], str(key), int(count))


def _made(name: str, arguments: tuple[Any, ...]) -> Any:
    """What a call in a checkpoint makes, as far as tensors need it; None for anything else."""
    module, _, function = name.rpartition(".")
    if name in ("collections.OrderedDict", "collections.defaultdict", "builtins.dict", "__builtin__.dict"):
        pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
        return {key: value for key, value in pairs if isinstance(key, str)}
    if name in ("builtins.set", "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset"):
        return list(*arguments)
    if name == "torch.Size":
        return arguments[0]
    if module == "torch._tensor" and function.startswith("_rebuild_from_type"):
        return _made(arguments[0].name, arguments[2])
    if module != "torch._utils":
        return None
    if function in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
        return arguments[0]
    if function in SPECIAL:
        return Tensor(special=SPECIAL[function])
    if function in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"):
        kind = arguments[6].name.removeprefix("torch.") if function.endswith("v3") else None
        storage, offset, shape, stride = arguments[:4]
        if not isinstance(shape, tuple) or not all(isinstance(size, int) and size >= 0 for size in shape):
            raise ValueError("a tensor has no valid shape")
        return Tensor(storage, offset, shape, stride, kind)
    return None


def _kind(tensor: Tensor) -> str:
    """Type of the numbers of a tensor."""
    return tensor.kind or (tensor.storage.kind if isinstance(tensor.storage, Storage) else "nothing")


def _check_plain(tensor: Tensor, where: str) -> None:
    """Raise ZooError unless a tensor is a plain array of floating point numbers."""
    if tensor.special:
        raise ZooError(f"{where}: expected plain numbers, got a {tensor.special} tensor; save the model as float32")
    if _kind(tensor) not in FLOATS:
        raise ZooError(f"{where}: expected floating point numbers ({', '.join(FLOATS)}), got {_kind(tensor)}")


def named_tensors(content: Any) -> Iterator[tuple[str, Tensor]]:
    """All tensors of networks in a checkpoint, by name: keys, attributes and modules that lead to one, joined by dots.

    Leaves out what optimizers keep, counters, and, in a checkpoint with one of CONTAINERS, what is not beside a kernel.
    Raises ValueError for more than DEEPEST levels, and for a tensor in a state dict whose name is not text.
    """
    return _named(content, "", 0, set())


def _named(content: Any, path: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    if depth > DEEPEST:
        raise ValueError(f"more than {DEEPEST} levels deep")
    if id(content) in seen:
        return  # the same object under another name
    seen.add(id(content))
    found: dict[str, list[tuple[str, Tensor]]] = {}
    for key, value in _entries(content):
        if isinstance(value, Tensor):
            if not isinstance(key, str):
                raise ValueError(f"expected a state_dict, which has names of texts; got {type(key).__name__}")
            found.setdefault("", []).extend([] if _is_counter(value) else [(f"{path}{key}", value)])
        elif isinstance(key, str) and OPTIMIZER not in key.lower():
            found[key] = list(_named(value, f"{path}{key}.", depth + 1, seen))
    if any(_has_kernel(found.get(key, [])) for key in CONTAINERS):
        found = {key: tensors for key, tensors in found.items() if _has_kernel(tensors)}
    for tensors in found.values():
        yield from tensors


def _has_kernel(tensors: list[tuple[str, Tensor]]) -> bool:
    return any(tensor.is_kernel for _, tensor in tensors)


def _is_counter(tensor: Tensor) -> bool:
    """Whether a tensor is a single whole number, such as the number of batches of a batch normalization."""
    return tensor.special is None and math.prod(tensor.shape) == 1 and _kind(tensor) in ("int64", "int32", "bool")


def _entries(content: Any) -> Iterator[tuple[Any, Any]]:
    """Names and values of a dictionary, a module, another object, or a list with kernels; none of anything else."""
    if isinstance(content, dict):
        yield from content.items()
    elif isinstance(content, list) and any(isinstance(one, Tensor) and one.is_kernel for one in content):
        yield from ((str(number), one) for number, one in enumerate(content))
    elif isinstance(content, StandIn):
        attributes = content.attributes
        if isinstance(attributes.get("_parameters"), dict) and isinstance(attributes.get("_modules"), dict):
            passing = attributes.get("_non_persistent_buffers_set") or []
            buffers = attributes.get("_buffers")
            yield from attributes["_parameters"].items()
            kept = buffers.items() if isinstance(buffers, dict) else ()
            yield from ((name, value) for name, value in kept if name not in passing)
            yield from attributes["_modules"].items()
        else:
            yield from (attributes | content.items).items()
