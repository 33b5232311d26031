"""The inputs that a model takes, and how each becomes base codes, uint8 (N, L). Nothing is guessed: what is not DNA as
the input has it is refused, with the place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from zoo.dna.encoding import ONE_HOT, encode_as
from zoo.dna.read_options import ReadOptions, Spelling
from zoo.errors import ZooError
from zoo.serve import binary
from zoo.serve.refused import Refused, bad
from zoo.spec import ALPHABET, UNKNOWN_BASE, ModelSpec

SPELLING = Spelling('the parameter "resize": "center"', 'the parameter "ambiguous": "n"')

LARGEST_AXIS = 1 << 31


class Tensor(NamedTuple):
    """An input as it came. data: JSON values, or the bytes of the binary extension."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[Any] | memoryview


class Input(NamedTuple):
    """An input that models take. shape: of one sequence of `length` bases.  read: tensor, length, options -> codes."""

    datatype: str
    shape: Callable[[int], tuple[int, ...]]
    read: Callable[[Tensor, int, ReadOptions], np.ndarray]


def _texts(tensor: Tensor, length: int, reading: ReadOptions) -> np.ndarray:
    count = tensor.shape[0]
    if isinstance(tensor.data, memoryview):
        sequences = binary.texts(tensor.name, tensor.data, count)
    else:
        sequences = _flat(tensor, str)
    try:
        return encode_as(sequences, length, reading, lambda number: f"sequence {number}", SPELLING)
    except ZooError as error:
        raise bad(str(error)) from None


def _codes(tensor: Tensor, length: int, reading: ReadOptions) -> np.ndarray:  # noqa: ARG001
    if isinstance(tensor.data, memoryview):
        codes = binary.array(tensor.name, tensor.data, np.dtype(np.uint8), tensor.shape)
    else:
        codes = _numbers(tensor, np.int64)
    if codes.size and (codes.max() > UNKNOWN_BASE or (codes.dtype != np.uint8 and codes.min() < 0)):
        row, column = (int(at) for at in np.argwhere((codes < 0) | (codes > UNKNOWN_BASE))[0])
        raise bad(f"sequence {row + 1}, position {column + 1}: expected a code of 0 to 4, got {codes[row, column]}")
    return codes.astype(np.uint8, copy=False)


def _one_hot(tensor: Tensor, length: int, reading: ReadOptions) -> np.ndarray:  # noqa: ARG001
    if isinstance(tensor.data, memoryview):
        hot = binary.array(tensor.name, tensor.data, np.dtype(np.float32), tensor.shape)
    else:
        hot = _numbers(tensor, np.float64)
    codes = np.where(hot.any(1), hot.argmax(1), UNKNOWN_BASE).astype(np.uint8)
    wrong = (ONE_HOT[codes].swapaxes(1, 2) != hot).any(1)
    if wrong.any():
        row, column = (int(at) for at in np.argwhere(wrong)[0])
        raise bad(f"sequence {row + 1}, position {column + 1}: expected at most one 1 among zeros, for {ALPHABET}")
    return codes


INPUTS = {
    "sequence": Input("BYTES", lambda length: (), _texts),  # noqa: ARG005
    "codes": Input("UINT8", lambda length: (length,), _codes),
    "one_hot": Input("FP32", lambda length: (len(ALPHABET), length), _one_hot),
}
"""Name -> input. A request has one of them."""


def codes(tensor: Tensor, spec: ModelSpec, reading: ReadOptions, most: int) -> np.ndarray:
    """Base codes, uint8 (N, L), of an input.

    Raises Refused, status 413, for more than `most` sequences; 400 for an input that INPUTS has not, or has with
    another type or shape, and for what is no DNA.
    """
    kind = INPUTS.get(tensor.name)
    if kind is None:
        raise bad(f"inputs: expected one called {' or '.join(INPUTS)}, got {tensor.name!r:.60}")
    if tensor.datatype != kind.datatype:
        raise bad(f"{tensor.name}: datatype: expected {kind.datatype}, got {tensor.datatype!r:.40}")
    one = kind.shape(spec.sequence_length)
    shape = tensor.shape[:1] if not one and tensor.shape[1:] == (1,) else tensor.shape
    if shape[1:] != one or not shape:
        raise bad(f"{tensor.name}: shape: expected {[-1, *one]}, -1 for any number, got {list(tensor.shape)!s:.60}")
    if shape[0] > most:
        raise Refused(413, f"{tensor.name}: expected at most {most:,} sequences a request, got {shape[0]:,}")
    return kind.read(tensor._replace(shape=shape), spec.sequence_length, reading)


def _flat(tensor: Tensor, *kinds: type) -> list[Any]:
    """The values of JSON, nested or not, as many as the shape has. Raises Refused for values of other types."""
    values: list[Any] = tensor.data  # type: ignore[assignment]
    for _ in range(len(tensor.shape)):
        found = set(map(type, values))
        if found != {list}:
            break
        values = list(itertools.chain.from_iterable(values))
    count = 1
    for size in tensor.shape:
        count *= size
    if not set(map(type, values)) <= set(kinds):
        raise bad(
            f"{tensor.name}: data: expected {'texts' if str in kinds else 'numbers'}, got other values among them"
        )
    if len(values) != count:
        raise bad(
            f"{tensor.name}: data: expected {count:,} values for the shape {list(tensor.shape)}, got {len(values):,}"
        )
    return values


def _numbers(tensor: Tensor, kind: type[np.int64] | type[np.float64]) -> np.ndarray:
    values = _flat(tensor, int) if kind is np.int64 else _flat(tensor, int, float)
    try:
        return np.array(values, kind).reshape(tensor.shape)
    except OverflowError:
        raise bad(f"{tensor.name}: data: a number is too large") from None
