"""What a frame means, in NumPy: base codes -> the inputs of a foreign network; its outputs -> predictions.

The exporter for ONNX writes the same as nodes of the graph (zoo_exporters/onnx/framed.py). An import runs the foreign
network in its own program through the functions here, and compares.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from zoo.errors import ZooError
from zoo.frame import BASES, REVERSE, Frame, Profile, Reduction, Target, Transform

UNKNOWN = len(BASES)
"""Base code of an N."""

Arrays = dict[str, np.ndarray]


class Tensor(Protocol):
    """An input or an output of a graph. shape: None or a name for a free axis; the first axis is the batch."""

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> Any: ...
    @property
    def shape(self) -> Sequence[int | str | None]: ...


def dna_input(frame: Frame, inputs: Sequence[Tensor]) -> Tensor:
    """The input for DNA. Raises ZooError if the frame does not say which it is, or leaves out another one."""
    known = [one.name for one in inputs]
    if not frame.input.name and len(inputs) - len(frame.input.constants) != 1:
        raise ZooError(
            f"input: the graph has the inputs {', '.join(known)}; say which is for DNA (name), and the constants for "
            "the others"
        )
    free = [one for one in inputs if one.name not in frame.input.constants]
    for name in (*([frame.input.name] if frame.input.name else []), *frame.input.constants):
        if name not in known:
            raise ZooError(f"input: the graph has the inputs {', '.join(known)}, not {name!r}")
    wanted = [one for one in free if one.name == (frame.input.name or one.name)]
    others = [one.name for one in free if one not in wanted]
    if others or not wanted:
        raise ZooError(
            f"input: the graph also needs {', '.join(others) or 'DNA'}; give a constant for each other input"
        )
    return wanted[0]


def axis_of(frame: Frame, axis: str) -> int:
    """Place of an axis (N, C or L) in the input."""
    return frame.input.layout.index(axis) if frame.input.one_hot else "NL".index(axis)


def lengths(frame: Frame, tensor: Tensor) -> tuple[int, int]:
    """Bases that the user gives, and that the network sees. Raises ZooError if they contradict the graph, or if neither
    the frame nor the graph says them."""
    shape = tensor.shape
    axes = len(frame.input.layout) if frame.input.one_hot else 2
    if len(shape) != axes:
        raise ZooError(
            f"layout: {frame.input.layout} has {axes} axes, the input {tensor.name} of the graph has {len(shape)}: "
            f"{list(shape)}"
        )
    if frame.input.one_hot:
        channels, found = len(BASES) + len(frame.input.channels), shape[axis_of(frame, "C")]
        if isinstance(found, int) and found != channels:
            more = "; say what the further channels hold" if found > channels else ""
            raise ZooError(
                f"layout: {frame.input.layout} makes {found} channels of {tensor.name} {list(shape)}, expected "
                f"{channels}{more}"
            )
        for letter, size in zip(frame.input.layout, shape, strict=True):
            if letter == "1" and size not in (1, None) and not isinstance(size, str):
                raise ZooError(f"layout: {frame.input.layout} has an axis of 1 where {tensor.name} has {size}")
    flanks = len(frame.sequence.left) + len(frame.sequence.right)
    seen = shape[axis_of(frame, "L")]
    if not isinstance(seen, int):
        if frame.sequence.length is None:
            raise ZooError("length: the network takes any length; say how many bases a sequence has (--length)")
        return frame.sequence.length, frame.sequence.length + flanks
    given = seen - flanks if frame.sequence.length is None else frame.sequence.length
    if given + flanks != seen or given < 1:
        raise ZooError(
            f"length: the network sees {seen} bases, got {given} between flanks of {len(frame.sequence.left)} "
            f"and {len(frame.sequence.right)}"
        )
    return given, seen


def channel_values(frame: Frame, reverse: bool) -> list[float]:
    """Values of the further channels."""
    return [float(reverse) if value == REVERSE else float(value) for value in frame.input.channels]


def feeds(codes: np.ndarray, frame: Frame, inputs: Sequence[Tensor], reverse: bool = False) -> Arrays:
    """Base codes, uint8 (N, L) -> the array for each input. reverse: whether the network sees the reverse strand."""
    tensor = dna_input(frame, inputs)
    turn = frame.strand.turns or "sequence"
    if reverse and turn == "sequence":
        codes = reverse_complement(codes)
    left, right = (np.tile(base_codes(text), (len(codes), 1)) for text in (frame.sequence.left, frame.sequence.right))
    codes = np.concatenate([left, codes, right], axis=1)
    if reverse and turn == "construct":
        codes = reverse_complement(codes)
    result = {
        one.name: np.full(
            [len(codes), *[size if isinstance(size, int) else 1 for size in one.shape[1:]]], value, one.dtype
        )
        for one in inputs
        for name, value in frame.input.constants.items()
        if name == one.name
    }
    return {**result, tensor.name: _dna(codes, frame, reverse).astype(tensor.dtype)}


def _dna(codes: np.ndarray, frame: Frame, reverse: bool) -> np.ndarray:
    if frame.input.layout == "letters":
        return np.frombuffer(f"{BASES}N".encode(), np.uint8)[codes]
    order = [frame.input.alphabet.index(base) for base in BASES]
    if frame.input.layout == "codes":
        return np.array([*order, frame.input.unknown])[codes]
    table = np.full((len(BASES) + 1, len(BASES)), frame.input.unknown, np.float32)
    table[:UNKNOWN] = np.eye(len(BASES))[order]
    rows = table[codes]  # N, L, C
    further = np.tile(np.array(channel_values(frame, reverse), np.float32), (*codes.shape, 1))
    rows = np.concatenate([rows, further], axis=2)
    letters = frame.input.layout.replace("1", "")
    rows = rows.transpose([("N", "L", "C").index(letter) for letter in letters])
    return np.expand_dims(rows, tuple(place for place, letter in enumerate(frame.input.layout) if letter == "1"))


def base_codes(text: str) -> np.ndarray:
    """Letters of ACGTN -> base codes, uint8 (L,)."""
    return np.array([f"{BASES}N".index(letter) for letter in text], np.uint8)


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Base codes, uint8 (N, L) -> those of the other strand."""
    return np.array([3, 2, 1, 0, UNKNOWN], np.uint8)[codes[:, ::-1]]


def _transformed(numbers: np.ndarray, transform: Transform, axis: int) -> np.ndarray:
    if transform == "softmax":
        shifted = np.exp(numbers - numbers.max(axis=axis, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=axis, keepdims=True))
    functions: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "identity": lambda x: x, "log": np.log, "log2": np.log2, "log1p": np.log1p, "exp": np.exp, "exp2": np.exp2,
        "expm1": np.expm1, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    }  # fmt: skip
    return functions[transform](numbers)


def axes_of(target: Target, dimensions: int) -> str:
    """Axes of the output of a target. Raises ZooError if the frame does not say them, or contradicts the graph."""
    axes = target.axes or {1: "N", 2: "NT"}.get(dimensions)
    if axes is None or len(axes) != dimensions:
        raise ZooError(
            f"targets: {target.name}: the output has {dimensions} axes, the frame says {target.axes or 'nothing'}; "
            "give axes, such as NTP, and positions"
        )
    return axes


def output_of(name: str, outputs: Sequence[str], what: str) -> str:
    """The output that a target or a profile reads. Raises ZooError for an unknown or ambiguous one."""
    if name in outputs:
        return name
    if not name and len(outputs) == 1:
        return outputs[0]
    raise ZooError(f"{what}: expected one of the outputs {', '.join(outputs)}, got {name or 'none'}")


def activities(outputs: Mapping[str, np.ndarray], frame: Frame) -> np.ndarray:
    """Outputs of the network -> predictions, float64 (N, T)."""
    reduced: dict[Reduction | None, Callable[..., np.ndarray]] = {"sum": np.sum, "mean": np.mean, "max": np.max}
    columns = []
    for target in frame.targets:
        numbers = np.asarray(outputs[output_of(target.output, list(outputs), target.name)], np.float64)
        axes = axes_of(target, numbers.ndim)
        if "T" not in axes:
            numbers, axes = numbers[:, None], axes.replace("N", "NT")
        numbers = numbers.transpose([axes.index(axis) for axis in "NTP" if axis in axes])
        if target.column >= numbers.shape[1]:
            raise ZooError(f"targets: {target.name}: column {target.column} of an output with {numbers.shape[1]}")
        numbers = _transformed(numbers, target.transform, axis=numbers.ndim - 1)
        column = numbers[:, target.column]
        columns.append(reduced[target.positions](column, axis=1) if target.positions else column)
    return np.stack(columns, axis=1)


def check_counts(one: Profile, shape: Sequence[int | str | None], counts: Sequence[int | str | None]) -> None:
    """Raise ZooError unless each target of a profile has a count, or all share one. Free axes pass."""
    profiles = shape[one.axes.index("T")] if "T" in one.axes and len(shape) == len(one.axes) else 1
    number = counts[1] if len(counts) > 1 else 1
    if len(counts) > 2 or (isinstance(number, int) and isinstance(profiles, int) and number not in (1, profiles)):
        raise ZooError(f"profiles: {one.name}: expected a count for each of {profiles} targets, got {list(counts)}")


def with_positions(frame: Frame, outputs: Sequence[Tensor]) -> Frame:
    """The frame with the number of positions of each profile. Raises ZooError if a profile has another number of
    targets than names."""
    shapes = {one.name: one.shape for one in outputs}
    profiles = []
    for one in frame.profiles:
        shape = shapes[output_of(one.output, list(shapes), one.name)]
        if len(shape) != len(one.axes):
            raise ZooError(f"profiles: {one.name}: the output has {len(shape)} axes, the frame says {one.axes}")
        targets, positions = (shape[one.axes.index(axis)] if axis in one.axes else 1 for axis in "TP")
        if isinstance(targets, int) and targets != len(one.columns):
            raise ZooError(f"profiles: {one.name}: expected names for {targets} targets, got {len(one.columns)}")
        profiles.append(dataclasses.replace(one, positions=positions if isinstance(positions, int) else None))
    return dataclasses.replace(frame, profiles=tuple(profiles))


def profile(outputs: Mapping[str, np.ndarray], one: Profile) -> np.ndarray:
    """Outputs of the network -> a profile, float64 (N, T, P)."""
    numbers = np.asarray(outputs[output_of(one.output, list(outputs), one.name)], np.float64)
    if numbers.ndim != len(one.axes):
        raise ZooError(f"profiles: {one.name}: the output has {numbers.ndim} axes, expected {one.axes}")
    axes = one.axes if "T" in one.axes else one.axes.replace("N", "NT")
    numbers = (numbers if "T" in one.axes else numbers[:, None]).transpose([axes.index(axis) for axis in "NTP"])
    numbers = _transformed(numbers, one.transform, axis=2)
    if one.counts:
        counts = np.asarray(outputs[output_of(one.counts, list(outputs), one.name)], np.float64)
        numbers = numbers * _transformed(counts.reshape(len(counts), -1), one.counts_transform, axis=1)[:, :, None]
    return numbers


def predicted(run: Callable[[Arrays], Arrays], codes: np.ndarray, frame: Frame, inputs: Sequence[Tensor]) -> np.ndarray:
    """Predictions of a network in its own program: base codes, uint8 (N, L) -> float64 (N, T).

    run: the network, inputs by name -> outputs by name.
    """
    given = activities(run(feeds(codes, frame, inputs)), frame)
    if frame.strand.rule != "mean":
        return given
    return (given + activities(run(feeds(codes, frame, inputs, reverse=True)), frame)) / 2
