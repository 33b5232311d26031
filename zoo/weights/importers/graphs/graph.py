"""A network of another program, converted to plain ONNX and compared with the original.

`finished` takes what a reader made of a file: it makes the batch axis free, runs the original and the conversion on the
same numbers at each of BATCHES, and refuses a conversion that differs. Axes: N sequences, then those of the network.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError
from zoo.weights.importers.graphs import free_batch

if TYPE_CHECKING:
    import onnx

BATCHES = (1, 2, 7, 64)
"""Sequences in the batches at which the original and the conversion are compared."""

TOLERANCE = 2e-5
"""Largest difference, as a part of the largest number of an output."""

MOST_NUMBERS = 1 << 26
"""In the input of a comparison: 64 sequences of 262,144 bases."""

LENGTHS = (256, 64, 1024, 8192, 32, 4)
"""Lengths that are tried, in this order, for an axis that the network leaves free."""

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Sets of operators that ONNX Runtime has."""

BASES = 4
"""Size of the axis that holds a one-hot base."""

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], dict[str, np.ndarray]]
"""Arrays by the names of the inputs -> arrays by the names of the outputs."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output. dtype: NumPy's name of its type.  shape: sizes; None or a name for a free axis, as which the
    batch is the first."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


@dataclasses.dataclass(frozen=True)
class ForeignGraph:
    """A converted network.

    kind: format of the file, such as "Keras 3".  model: the same network, with its own inputs and outputs, a free batch
    axis, and all numbers inside.  run: the original in its own framework, for any number of sequences.  versions: of
    the framework, such as "keras 3.15.1 on tensorflow 2.21.0".
    """

    kind: str
    model: onnx.ModelProto
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    run: Run
    versions: str


def finished(path: str, kind: str, model: onnx.ModelProto, run: Run, versions: str) -> ForeignGraph:
    """Make the batch axis free, and compare the conversion with the original.

    path: start of messages.  run: the original, which takes only its own number of sequences if that is fixed.
    Raises ZooError if the conversion needs operators that ONNX Runtime lacks, works for one number of sequences only,
    or gives other numbers.
    """
    model = inlined(model)
    check_domains(model, path)
    inputs = tuple(_tensors(model.graph.input, {one.name for one in model.graph.initializer}, path))
    if not inputs:
        raise ZooError(f"{path}: the network has no input")
    fixed = _fixed_batch(inputs, path)
    whole = run if fixed is None else _grouped(run, fixed)
    feeds, expected = _example(path, inputs, whole)
    if fixed is not None:
        model = free_batch.freed(model, fixed)
    outputs = _compared(path, model, feeds, expected, fixed)
    freed = tuple(dataclasses.replace(one, shape=(None, *_sizes(one)[1:])) for one in inputs)
    return ForeignGraph(kind, model, freed, outputs, whole, versions)


def _sizes(tensor: Tensor) -> list[int | None]:
    """The shape without the names of free axes, which programs number differently each time."""
    return [size if isinstance(size, int) else None for size in tensor.shape]


def onnx_run(model: onnx.ModelProto | bytes, where: str) -> Run:
    """A function that runs a graph in ONNX Runtime on the CPU. Raises ZooError if ONNX Runtime refuses the graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    content = model if isinstance(model, bytes) else model.SerializeToString()
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  ONNX Runtime has no common class of errors
        raise ZooError(f"{where}: ONNX Runtime refuses the graph ({reason(error)})") from None
    names = [one.name for one in session.get_outputs()]

    def run(feeds: Arrays) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(None, dict(feeds)), strict=True))

    return run


def reason(error: BaseException) -> str:
    """The first line of an error of a framework."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)[:300]


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without functions of its own, and without what training needs."""
    import onnx.inliner

    if len(model.functions):
        model = onnx.inliner.inline_local_functions(model)
    del model.training_info[:]
    del model.metadata_props[:]
    return model


def check_domains(model: onnx.ModelProto, path: str) -> None:
    """Raise ZooError for an operator of another program than ONNX Runtime."""
    for node in nodes(model.graph):
        if node.domain not in DOMAINS or node.op_type == "EPContext":
            raise ZooError(
                f"{path}: needs the operator {node.op_type} of {node.domain!r}, which ONNX Runtime lacks; "
                "export the network with standard operators"
            )


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all graphs inside it."""
    todo = [graph]
    while todo:
        one = todo.pop()
        yield one
        for node in one.node:
            for attribute in node.attribute:
                todo += [attribute.g] if attribute.HasField("g") else list(attribute.graphs)


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes of a graph and of the graphs inside it."""
    for one in graphs(graph):
        yield from one.node


def _tensors(values: Any, left_out: set[str], path: str) -> Iterator[Tensor]:
    """Inputs as the graph declares them."""
    import onnx

    for value in values:
        if value.name in left_out:
            continue
        kind = value.type.tensor_type
        if not value.type.HasField("tensor_type") or kind.elem_type == onnx.TensorProto.STRING:
            raise ZooError(f"{path}: expected inputs that are arrays of numbers; {value.name} is none")
        if not kind.HasField("shape") or not kind.shape.dim:
            raise ZooError(f"{path}: does not say the shape of its input {value.name}; export it with shapes")
        shape = tuple(
            dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else dim.dim_param or None
            for dim in kind.shape.dim
        )
        yield Tensor(value.name, str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)), shape)


def _fixed_batch(inputs: Sequence[Tensor], path: str) -> int | None:
    """The only number of sequences that a graph declares, None for any."""
    sizes = {one.shape[0] for one in inputs if isinstance(one.shape[0], int)}
    if len(sizes) > 1:
        raise ZooError(
            f"{path}: its inputs have different first axes, {sorted(sizes)}; expected the batch as the first"
        )
    return sizes.pop() if sizes else None


def _grouped(run: Run, size: int) -> Run:
    """A run that takes `size` sequences only, for any number: the last group is filled up with its first sequence."""

    def any_number(feeds: Arrays) -> dict[str, np.ndarray]:
        count = len(next(iter(feeds.values())))
        parts = []
        for start in range(0, count, size):
            part = {name: array[start : start + size] for name, array in feeds.items()}
            missing = size - len(next(iter(part.values())))
            filled = {name: np.concatenate([array, *[array[:1]] * missing]) for name, array in part.items()}
            parts.append(run(filled))
        return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}

    return any_number


def _example(path: str, inputs: Sequence[Tensor], run: Run) -> tuple[Arrays, Arrays]:
    """Inputs for the largest of BATCHES, and what the original gives for them: at the first of LENGTHS that works, for
    a network of free length."""
    free = any(not isinstance(size, int) for one in inputs for size in one.shape[1:])
    failed: Exception = ZooError("no length works")
    for length in LENGTHS if free else LENGTHS[:1]:
        rng = np.random.default_rng(0)
        try:
            feeds = {one.name: _numbers(one, max(BATCHES), length, rng) for one in inputs}
            return feeds, run(feeds)
        except Exception as error:  # noqa: BLE001  each framework has its own classes of errors
            failed = error
    raise ZooError(f"{path}: the original network cannot be run ({reason(failed)})")


def _numbers(tensor: Tensor, count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Random bases for an input: one-hot if it has an axis of four channels, base codes if it holds whole numbers."""
    shape = (count, *(size if isinstance(size, int) else length for size in tensor.shape[1:]))
    if math.prod(shape) > MOST_NUMBERS:
        raise ValueError(f"{count} sequences are {math.prod(shape):,} numbers")
    if not np.issubdtype(np.dtype(tensor.dtype), np.floating):
        return rng.integers(0, 2 if tensor.dtype == "bool" else BASES, shape).astype(tensor.dtype)
    axis = next((axis for axis, size in enumerate(shape) if axis and size == BASES), None)
    if axis is None:
        return rng.random(shape).astype(tensor.dtype)
    largest = rng.random(shape)
    return (largest == largest.max(axis, keepdims=True)).astype(tensor.dtype)


def _compared(
    path: str, model: onnx.ModelProto, feeds: Arrays, expected: Arrays, fixed: int | None
) -> tuple[Tensor, ...]:
    """The outputs, after the conversion gave the numbers of the original at each of BATCHES."""
    run = onnx_run(model, path)
    advice = "" if fixed is None else f"; the network was saved for batches of {fixed}: save it with a free batch axis"
    for count in BATCHES:
        try:
            found = run({name: array[:count] for name, array in feeds.items()})
        except Exception as error:  # noqa: BLE001  ONNX Runtime has no common class of errors
            raise ZooError(f"{path}: its graph cannot run {count} sequences{advice} ({reason(error)})") from None
        for name, whole in expected.items():
            _check_equal(f"{path}: output {name} of {count} sequences", found[name], whole, count, advice)
    return tuple(_output(name, array) for name, array in expected.items())


def _check_equal(where: str, found: np.ndarray, whole: np.ndarray, count: int, advice: str) -> None:
    wanted = whole[:count] if whole.ndim and len(whole) == max(BATCHES) else whole
    if found.shape != wanted.shape:
        raise ZooError(f"{where}: has the shape {found.shape} as ONNX, {wanted.shape} in the original{advice}")
    if wanted.dtype.kind not in "fiub" or not wanted.size:
        return
    exact, got = wanted.astype(np.float64), found.astype(np.float64)
    scale = np.abs(exact).max()
    off = np.abs(got - exact).max()
    if not np.isfinite(scale):
        raise ZooError(f"{where}: the original network gives numbers that are not finite")
    if not off <= TOLERANCE * scale:
        raise ZooError(
            f"{where}: differs from the original by {off:.3g}, more than {TOLERANCE:g} of its largest number, "
            f"{scale:.3g}{advice}"
        )


def _output(name: str, array: np.ndarray) -> Tensor:
    return Tensor(name, str(array.dtype), (None, *array.shape[1:]) if len(array) == max(BATCHES) else array.shape)
