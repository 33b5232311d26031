"""Weights of PyTorch networks (.pt, .pth, .ckpt, .safetensors of other programs) -> their layers in order.

No pickle runs (pickles.py), and PyTorch is not needed. Names do not matter, since every program has its own; layers are
recognized by their shapes and taken in order. Knows no architecture.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import OtherArchitecture, ZooError
from zoo.spec import SPEC_KEY
from zoo.weights import file_checks
from zoo.weights.importers import torch_files
from zoo.weights.importers.layers import NORM, ImportedFile, ImportedLayer
from zoo.weights.model_arrays import COUNTER, Shapes

FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""Accepted type of a .safetensors file -> NumPy type; BF16 is the upper half of an F32."""

SHOWN_PREFIXES = 6
"""Prefixes that a message lists."""


def read(path: Path, safetensors: bool = False, prefix: str | None = None) -> ImportedFile:
    """Read the weights of a network. safetensors: the file has that format, else that of torch.save.

    prefix: see ImportOptions. Raises ZooError as `read_arrays` and `layers` do.
    """
    arrays = read_arrays(path, safetensors, prefix)
    return ImportedFile(path, "PyTorch", lambda: layers(arrays, str(path)), arrays=arrays)


def read_arrays(path: Path, safetensors: bool = False, prefix: str | None = None) -> dict[str, np.ndarray]:
    """Float32 arrays by name, in the order of the file, without batch counters and the prefix that all names share.

    prefix: only those whose names begin with it.
    Raises ZooError for a file that is damaged, holds no tensors or several networks, or is the zoo's own.
    """
    file_checks.check_file(path)
    if safetensors:
        stored = _read_safetensors(path)
        shapes = {name: tuple(tensor["shape"]) for name, tensor in stored.items()}
        names = _chosen(path, shapes, prefix, "no floating point tensors")
        return {new: _floats(stored[name], f"{path}: array {name}") for new, name in names.items()}
    file = torch_files.read(path)
    shapes = {name: tensor.shape for name, tensor in file.tensors.items()}
    return file.arrays(_chosen(path, shapes, prefix, file.content))


def _chosen(path: Path, shapes: Shapes, prefix: str | None, content: str) -> dict[str, str]:
    """Names of the arrays of one network, without the parts that all share -> names in the file.

    content: what the file holds, for the message that it is no network.

    Raises ZooError if there is none, and for networks of one shape unless `prefix` chooses one.
    """
    names = without_common({name: name for name in shapes if not name.endswith(COUNTER)})
    if not names:
        raise ZooError(
            f"{path}: expected a state_dict, names with tensors, or a checkpoint or module that contains one; got "
            f"{content} without one"
        )
    groups = _groups(names)
    if prefix is not None:
        start = f"{prefix.rstrip('.')}."
        chosen = {new: name for new, name in names.items() if new.startswith(start) or name.startswith(start)}
        if not chosen:
            raise ZooError(f"{path}: --prefix {prefix}: no array begins with it; there are {_listed(groups)}")
        return without_common(chosen)
    if _has_copies(groups, {new: shapes[name] for new, name in names.items()}):
        largest = max(groups, key=lambda one: len(groups[one]))  # a copy of the parameters alone has fewer arrays
        raise ZooError(
            f"{path}: holds networks with kernels of the same shapes, such as weights and their moving average: "
            f"{_listed(groups)}; choose one by its prefix, as in --prefix {largest}"
        )
    return names


def without_common(names: dict[str, str]) -> dict[str, str]:
    """Remove what all names begin with, such as "model.", "module." and "_orig_mod."; the layer's own name is kept."""
    while len(names) > 1 and len({name.partition(".")[0] for name in names}) == 1:
        if not all(name.count(".") > 1 for name in names):
            break
        names = {name.partition(".")[2]: full for name, full in names.items()}
    return names


def _groups(names: Mapping[str, str]) -> dict[str, list[str]]:
    """Prefix, with its dot -> the names that begin with it; the prefix of names without a dot is empty."""
    groups: dict[str, list[str]] = {}
    for name in names:
        first, dot, _ = name.partition(".")
        groups.setdefault(f"{first}." if dot else "", []).append(name)
    return groups


def _has_copies(groups: Mapping[str, list[str]], shapes: Shapes) -> bool:
    """Whether the groups of names are networks, two or more kernels each, and two of them have kernels of one shape.

    Layers that are alike do not count: a network has kernels beside them.
    """
    kernels = [sorted(shapes[name] for name in names if len(shapes[name]) > 1) for names in groups.values()]
    networks = [one for one in kernels if one]
    return all(len(one) > 1 for one in networks) and any(networks.count(one) > 1 for one in networks)


def _listed(groups: Mapping[str, list[str]]) -> str:
    shown = [f"{prefix or 'no prefix'} ({len(names)} arrays)" for prefix, names in groups.items()]
    more = [f"and {len(shown) - SHOWN_PREFIXES} more"] if len(shown) > SHOWN_PREFIXES else []
    return ", ".join([*shown[:SHOWN_PREFIXES], *more])


def layers(arrays: Mapping[str, np.ndarray], where: str) -> list[ImportedLayer]:
    """Kernels in order, convolutions first, each with its bias and, also in order, its batch normalization.

    Biases are zeros if no convolution has one: batch normalization makes them superfluous. A kernel (filter, channel,
    position, 1) of a two-dimensional convolution loses its last axis.
    Raises ZooError that names the first array that no architecture has or that has no place, and for a copy without
    the names of its arrays or without the statistics of its batch normalizations.
    """
    arrays = {
        name: array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array for name, array in arrays.items()
    }
    kernels = [name for name, array in arrays.items() if array.ndim > 1]
    kernels.sort(key=lambda name: -arrays[name].ndim)
    biases = {name: _bias(name) for name in kernels}
    norms = [name.rpartition("running_mean")[0] for name in arrays if name.endswith("running_mean")]
    _check_names(arrays, biases, where)
    if not norms:
        _check_statistics(arrays, where)
    if len(norms) >= len(kernels):
        raise ZooError(
            f"{where}: expected outputs without batch normalization, got {len(norms)} batch normalizations "
            f"for {len(kernels)} kernels"
        )
    without_bias = not any(biases[name] in arrays for name in kernels if arrays[name].ndim == 3)
    used: set[str] = set()
    found = []
    for position, name in enumerate(kernels):
        kernel, norm, norm_name = arrays[name], None, None
        if position < len(norms):
            names = {end: f"{norms[position]}{end}" for end in NORM}
            norm_name = norms[position].removesuffix(".")
            norm = {end: _array(arrays, full, f"{norms[position]}running_mean", where) for end, full in names.items()}
            used |= set(names.values())
        if without_bias and norm and biases[name] not in arrays:
            bias = np.zeros(len(kernel), np.float32)
        else:
            bias = _array(arrays, biases[name], name, where)
        used |= {name, biases[name]}
        found.append(ImportedLayer(name.removesuffix(".weight"), kernel, bias, norm, norm_name))
    superfluous = [name for name in arrays if name not in used]
    if superfluous:
        raise ZooError(f"{where}: array {superfluous[0]}: has no place in a network of convolutions and dense layers")
    return found


def _read_safetensors(path: Path) -> dict[str, dict[str, Any]]:
    """The tensors of a file by name, unconverted."""
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
    return {name: found[name] for name in sorted(found, key=_natural)}


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


def _array(arrays: Mapping[str, np.ndarray], name: str, beside: str, where: str) -> np.ndarray:
    """An array that belongs to the array `beside`."""
    if name not in arrays:
        raise _unknown(f"{beside} without {name}", where)
    return arrays[name]


def _unknown(what: str, where: str) -> OtherArchitecture:
    return OtherArchitecture(
        f"{where}: no architecture of the zoo has arrays such as {what}; zoo list names the architectures"
    )


def _bias(kernel: str) -> str:
    """Name of a kernel -> name of its bias."""
    start, dot, end = kernel.rpartition(".")
    return f"{start}{dot}bias" if end == "weight" else f"{kernel}.bias"


def _check_names(arrays: Mapping[str, np.ndarray], biases: Mapping[str, str], where: str) -> None:
    """Raise ZooError for a file without kernels, a list of parameters, and kernels with names of other layers."""
    if not biases:
        name, array = next(iter(arrays.items()))
        raise ZooError(
            f"{where}: expected kernels of convolutions and dense layers, arrays of two or three dimensions; got "
            f"{len(arrays)} without any, the first is {name} of shape {list(array.shape)}"
        )
    lists = {name.rpartition(".")[0]: name for name in biases if name.rpartition(".")[2].isdigit()}
    if len(lists) == 1 and all(name.rpartition(".")[2].isdigit() for name in arrays):
        name = next(iter(lists)) or "the file"
        raise ZooError(
            f"{where}: {name} is a list of parameters without names, as some programs keep a moving average, and "
            "cannot be read; save a state_dict, model.state_dict(), after the parameters were copied into the model"
        )
    for name, bias in biases.items():
        if bias not in arrays and bias == f"{name}.bias":
            raise _unknown(f"{name} of shape {list(arrays[name].shape)}", where)


def _check_statistics(arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Raise ZooError for a normalization, a weight and a bias of one dimension; no array holds statistics."""
    for name, array in arrays.items():
        if array.ndim == 1 and _bias(name) in arrays:
            raise ZooError(
                f"{where}: the normalization of {name} has no running_mean and running_var; a copy of the parameters "
                "alone, such as a moving average, lacks the statistics of the batch normalizations and cannot be used "
                "by itself"
            )
