"""The kinds of input of an exported graph: one-hot bases, or bytes that a table turns into one-hot bases."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from zoo.dna import encoding
from zoo.layers import onnx_graph
from zoo.spec import ALPHABET, UNKNOWN_BASE

if TYPE_CHECKING:
    import onnx


OUTPUT = "activity"
"""Name of the output tensor, float32 (N, T)."""

PROFILE = "profile/"
"""Start of the name of each profile's output tensor, float32 (N, S, P)."""


@dataclasses.dataclass(frozen=True)
class Input:
    """A kind of input of an exported graph.

    name: name of the input tensor, different for each kind.  about: description in the file.
    table: float32 (values, 4), the one-hot base for each value of a byte; None if the input is one-hot itself.
    feed: base codes, uint8 (N, L) -> the array for this input.
    """

    name: str
    about: str
    table: np.ndarray | None
    feed: Callable[[np.ndarray], np.ndarray]


def _ascii_table() -> np.ndarray:
    codes = np.minimum(encoding.ASCII_TO_CODE, UNKNOWN_BASE)
    return encoding.ONE_HOT[codes]


def one_hot_channels_first(codes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(encoding.one_hot(codes).transpose(0, 2, 1))


LETTERS = np.frombuffer(f"{ALPHABET}N".encode(), np.uint8)
"""uint8 (5,): base code -> ASCII letter."""

INPUTS = {
    "onehot": Input(
        "one_hot",
        f"float32 (batch, 4, L): one-hot DNA, channels in the order {', '.join(ALPHABET)}; N is four zeros",
        None,
        one_hot_channels_first,
    ),
    "bytes": Input(
        "sequence",
        "uint8 (batch, L): ASCII letters; lower case counts as upper case, anything but A, C, G, T as N",
        _ascii_table(),
        lambda codes: LETTERS[codes],
    ),
    "codes": Input(
        "codes", "uint8 (batch, L): A 0, C 1, G 2, T 3, anything else 4", encoding.ONE_HOT, lambda codes: codes
    ),
}
"""Name of the option -> input. `bytes` is the simplest for callers in other languages."""

TENSORS = onnx_graph.Tensors(INPUTS["onehot"].name, OUTPUT, channels_last=False)


def remove_input(graph: onnx.GraphProto, length: int) -> None:
    """Undo `set_input`: the graph takes one-hot bases again."""
    from onnx import TensorProto, helper

    rest = [node for node in graph.node if not {"index", "one_hot_rows", TENSORS.input} & set(node.output)]
    kept = [tensor for tensor in graph.initializer if tensor.name != "base_table"]
    del graph.node[:], graph.initializer[:], graph.input[:]
    graph.node.extend(rest)
    graph.initializer.extend(kept)
    shape = ["batch", len(ALPHABET), length]
    graph.input.append(helper.make_tensor_value_info(TENSORS.input, TensorProto.FLOAT, shape))


def set_input(graph: onnx.GraphProto, kind: Input, length: int) -> None:
    """Replace the one-hot input of the graph by another one, with a table lookup before the first node."""
    from onnx import TensorProto, helper, numpy_helper

    if kind.table is None:
        return
    one_hot = graph.input[0].name
    front = [
        helper.make_node("Cast", [kind.name], ["index"], name="index", to=TensorProto.INT32),
        helper.make_node("Gather", ["base_table", "index"], ["one_hot_rows"], name="one_hot_rows", axis=0),
        helper.make_node("Transpose", ["one_hot_rows"], [one_hot], name=one_hot, perm=[0, 2, 1]),
    ]
    graph.initializer.append(numpy_helper.from_array(kind.table, "base_table"))
    rest = list(graph.node)
    del graph.node[:], graph.input[:]
    graph.node.extend([*front, *rest])
    graph.input.append(helper.make_tensor_value_info(kind.name, TensorProto.UINT8, ["batch", length]))
