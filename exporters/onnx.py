"""Checkpoint -> .onnx: one file that any ONNX Runtime runs, in any language, checked before it gets its name.

PyTorch's exporter traces the network; here its graph gets an input of the caller's choice, 1-D convolutions are widened
to 2-D ones of height 1 (the same numbers, about twice as fast in ONNX Runtime on a CPU), and the ModelSpec goes into
`metadata_props`. The file is then compared with PyTorch; what differs is not written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.dna import encoding
from zoo.errors import CheckFailed, MissingDependency, ZooError
from zoo.inference import session
from zoo.spec import ALPHABET, SPEC_KEY, UNKNOWN_BASE, ModelSpec
from zoo.system.atomic import check_target, replacing
from zoo.weights import network

if TYPE_CHECKING:
    import onnx
    import torch

    from zoo.weights.checkpoint import Checkpoint

SUFFIX = ".onnx"

GRAPH_VERSION = 1
"""Raise it when the graph that `export` writes changes: exports in the cache are then made anew."""

OPSET = 18
"""Written unless another is asked for: what PyTorch's exporter is written against, and old enough for every runtime."""

OUTPUT = "activity"
"""Name of the output tensor, float32 (N, T)."""

CHECKED_BATCHES = (1, 3, 512)
"""Batch sizes at which a new file is compared with PyTorch: one, odd, and large."""

TOLERANCE = 1e-4
"""Largest difference to PyTorch, absolute or relative to the value. Float32 rounding stays under a tenth of it."""

UNKNOWN_SHARE = 0.02
"""Share of Ns in the random sequences of that comparison."""


@dataclasses.dataclass(frozen=True)
class Input:
    """One way to feed sequences to an exported graph.

    name: of the input tensor; tells the kinds apart in a file.  about: for the reader of the file.
    table: float32 (values, 4), what a byte of the input stands for, or None if the input is one-hot already.
    feed: base codes, uint8 (N, L) -> the array that this input takes.
    """

    name: str
    about: str
    table: np.ndarray | None
    feed: Callable[[np.ndarray], np.ndarray]


def _ascii_table() -> np.ndarray:
    codes = np.minimum(encoding.ASCII_TO_CODE, UNKNOWN_BASE)
    return encoding.ONE_HOT[codes]


def _one_hot_channels_first(codes: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(encoding.one_hot(codes).transpose(0, 2, 1))


LETTERS = np.frombuffer(f"{ALPHABET}N".encode(), np.uint8)
"""uint8 (5,): base code -> ASCII letter."""

INPUTS = {
    "onehot": Input(
        "one_hot",
        f"float32 (batch, 4, L): one-hot DNA, channels in the order {', '.join(ALPHABET)}; N is four zeros",
        None,
        _one_hot_channels_first,
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
"""Kind -> what the graph takes. `bytes` leaves a caller in another language nothing to get wrong."""


def export(
    weights: Checkpoint,
    path: Path,
    *,
    opset: int | None = None,
    input: str = "onehot",  # noqa: A002 - the name of the option that a user types
    overwrite: bool = False,
    widen: bool = True,
) -> None:
    """Write `weights` as an .onnx file: one file, batch axis free, input named as INPUTS says, output `activity`.

    opset: of ONNX; None takes OPSET.  input: a key of INPUTS.  widen: False keeps the 1-D convolutions as traced.
    Raises ZooError for a bad opset, input or path, MissingDependency without PyTorch, CheckFailed if the exported
    graph and PyTorch disagree; then there is no file.
    """
    import onnx

    if input not in INPUTS:
        raise ZooError(f"input: expected one of {', '.join(INPUTS)}, got {input!r}")
    newest = onnx.defs.onnx_opset_version()
    if opset is not None and not OPSET <= opset <= newest:
        raise ZooError(f"opset: expected {OPSET} to {newest}, got {opset}")
    check_target(path, overwrite)
    module = network.from_checkpoint(weights)
    model = _trace(module, weights.spec, opset or OPSET)
    if widen:
        _widen(model.graph)
    _set_input(model.graph, INPUTS[input], weights.spec.sequence_length)
    _describe(model, weights.spec, INPUTS[input])
    with replacing(path, overwrite) as partial:
        onnx.save_model(model, partial)
        _check(partial, module, path)


def read_spec(path: Path) -> ModelSpec:
    """What an .onnx file says of itself. Raises ZooError if it is missing, is not ONNX, or is not from this zoo."""
    import onnx
    from google.protobuf.message import DecodeError

    if not path.is_file():
        raise ZooError(f"{path}: no such file")
    try:
        model = onnx.load_model(path, load_external_data=False)
    except (DecodeError, OSError) as error:
        raise ZooError(f"{path}: cannot be read as an ONNX file, cut off or of another kind ({error})") from None
    if not model.graph.node:
        raise ZooError(f"{path}: cannot be read as an ONNX file, it holds no graph")
    return spec_of({entry.key: entry.value for entry in model.metadata_props}, path)


def spec_of(metadata: dict[str, str], path: Path) -> ModelSpec:
    """The ModelSpec among the `metadata_props` of the file `path`. Raises ZooError if there is none."""
    if SPEC_KEY not in metadata:
        raise ZooError(
            f"{path}: has no deepstarr-zoo model spec in its metadata_props; write the file with zoo export --onnx"
        )
    return ModelSpec.from_json(metadata[SPEC_KEY], str(path))


def _trace(module: torch.nn.Module, spec: ModelSpec, opset: int) -> onnx.ModelProto:
    """PyTorch's graph of the network: one-hot in, activities out, batch norm folded into the layer before it."""
    import torch

    if not _exporter_installed():
        raise MissingDependency(
            "onnxscript, which PyTorch's exporter needs, is missing; pip install 'deepstarr-zoo[train]'"
        )
    # a batch of 1 would be taken for a constant
    example = torch.zeros(2, len(ALPHABET), spec.sequence_length)
    with _quiet():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=opset,
            input_names=[INPUTS["onehot"].name],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise CheckFailed("PyTorch's exporter returned nothing; this release of PyTorch may be too old")
    return program.model_proto


def _exporter_installed() -> bool:
    import importlib.util

    return importlib.util.find_spec("onnxscript") is not None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch's exporter tells its life story; only its errors, which are raised, concern the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _describe(model: onnx.ModelProto, spec: ModelSpec, kind: Input) -> None:
    """Say what the file is and where it comes from; drop PyTorch's notes on how each node was traced."""
    import zoo

    del model.metadata_props[:]
    del model.graph.value_info[:]
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    model.producer_name, model.producer_version = "deepstarr-zoo", zoo.__version__
    model.doc_string = f"{spec.architecture}: {', '.join(spec.targets)} of {spec.sequence_length} bp of DNA"
    model.graph.name = spec.architecture
    model.graph.input[0].doc_string = kind.about
    model.graph.output[0].doc_string = f"float32 (batch, {len(spec.targets)}): {', '.join(spec.targets)}"
    model.metadata_props.add(key=SPEC_KEY, value=spec.to_json())


def _set_input(graph: onnx.GraphProto, kind: Input, length: int) -> None:
    """Let the graph take `kind` instead of one-hot: a table lookup in front of everything else."""
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


KEEP_HEIGHT = {
    "Relu",
    "LeakyRelu",
    "Elu",
    "Selu",
    "Softplus",
    "Sigmoid",
    "Tanh",
    "Gelu",
    "Exp",
    "Identity",
    "Add",
    "Mul",
}
"""Operators that give the same numbers for (N, C, 1, L) as for (N, C, L), if all that they take has that form."""

HEIGHT_AXIS = "height_axis"
"""Name of the constant that says where the axis of height 1 stands."""

WINDOWS = {"Conv", "MaxPool", "AveragePool"}
HEIGHT_ATTRIBUTES = {"kernel_shape": [1], "strides": [1], "dilations": [1], "pads": [0, 0]}
"""Attribute of a node with windows -> its values along an axis of height 1; of pads one at each end."""


def _widen(graph: onnx.GraphProto) -> None:
    """Turn 1-D convolutions, and the layers between them, into 2-D ones of height 1: (N, C, L) becomes (N, C, 1, L)."""
    from onnx import numpy_helper

    ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    kernels = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    kernels = {name for name in kernels if ranks.get(name) == len(("filter", "channel", "position"))}
    if not kernels:
        return
    for tensor in graph.initializer:
        if tensor.name in kernels:
            tensor.dims.insert(2, 1)
    graph.initializer.append(numpy_helper.from_array(np.array([2], np.int64), HEIGHT_AXIS))
    _Widening(graph, kernels).rewrite()


class _Widening:
    """One pass over a graph. A tensor gets its wide form where a convolution needs it, its narrow where others do."""

    def __init__(self, graph: onnx.GraphProto, kernels: set[str]) -> None:
        self.graph = graph
        self.kernels = kernels
        self.wide: dict[str, str] = {}  # tensor (N, C, L) -> the name of its form (N, C, 1, L)
        self.narrow = {entry.name for entry in graph.input}  # tensors that exist as (N, C, L)
        self.nodes: list[onnx.NodeProto] = []

    def rewrite(self) -> None:
        for node in self.graph.node:
            if node.op_type == "Conv" and node.input[1] in self.kernels:
                self._need_wide(node.input[0])
            if _keeps_height(node, self.wide):
                _add_height(node)
                node.input[:] = [self.wide.get(name, name) for name in node.input]
                self.wide.update({name: f"{name}_wide" for name in node.output})
                node.output[:] = [self.wide[name] for name in node.output]
            elif _flattens(node, self.graph):
                node.input[0] = self.wide.get(node.input[0], node.input[0])
            else:
                for name in node.input:
                    self._need_narrow(name)
                self.narrow.update(node.output)
            self.nodes.append(node)
        for entry in self.graph.output:
            self._need_narrow(entry.name)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)

    def _need_wide(self, name: str) -> None:
        if name not in self.wide:
            self.wide[name] = f"{name}_wide"
            self._insert("Unsqueeze", name, self.wide[name])

    def _need_narrow(self, name: str) -> None:
        if name in self.wide and name not in self.narrow:
            self.narrow.add(name)
            self._insert("Squeeze", self.wide[name], name)

    def _insert(self, operator: str, source: str, target: str) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, [source, HEIGHT_AXIS], [target], name=target))


def _keeps_height(node: onnx.NodeProto, wide: dict[str, str]) -> bool:
    if node.op_type in WINDOWS or node.op_type == "BatchNormalization":
        return node.input[0] in wide
    return node.op_type in KEEP_HEIGHT and all(name in wide for name in node.input)


def _add_height(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if node.op_type in WINDOWS and attribute.name in HEIGHT_ATTRIBUTES:
            attribute.ints[:] = np.column_stack([HEIGHT_ATTRIBUTES[attribute.name], attribute.ints]).ravel().tolist()


def _flattens(node: onnx.NodeProto, graph: onnx.GraphProto) -> bool:
    """Whether all axes after the batch become one, so that an axis of height 1 makes no difference."""
    from onnx import numpy_helper

    if node.op_type == "Flatten":
        return all(attribute.i == 1 for attribute in node.attribute if attribute.name == "axis")
    if node.op_type != "Reshape":
        return False
    shapes = [numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name == node.input[1]]
    return bool(shapes) and len(shapes[0]) == 2 and shapes[0][1] != 0


def _check(partial: Path, module: torch.nn.Module, path: Path) -> None:
    """Raise CheckFailed unless the file is valid ONNX and ONNX Runtime computes from it what PyTorch computes."""
    import onnx

    try:
        onnx.checker.check_model(str(partial), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CheckFailed(f"{path}: not written, the exported graph is not valid ONNX: {_one_line(error)}") from None
    spec = read_spec(partial)
    random = np.random.default_rng(0)
    for batch in CHECKED_BATCHES:
        codes = random.integers(0, len(ALPHABET), (batch, spec.sequence_length), np.uint8)
        codes[random.random(codes.shape) < UNKNOWN_SHARE] = UNKNOWN_BASE
        # ONNX Runtime as a user gets it; asked for by name, since exporters import no runtime
        engine = session.open_session(partial, "onnx-cpu", session.Options(batch_size=batch))
        _compare(engine.predict(codes), _reference(module, codes), batch, path)


def _reference(module: torch.nn.Module, codes: np.ndarray) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return module(torch.from_numpy(_one_hot_channels_first(codes))).numpy()


def _compare(actual: np.ndarray, expected: np.ndarray, batch: int, path: Path) -> None:
    difference = np.abs(actual - expected)
    # not finite is a difference too
    wrong = ~(difference <= TOLERANCE + TOLERANCE * np.abs(expected))
    if wrong.any():
        row, column = (int(index) for index in np.argwhere(wrong)[0])
        raise CheckFailed(
            f"{path}: not written, ONNX Runtime and PyTorch differ in {wrong.sum()} of {wrong.size} values at batch "
            f"{batch}, by up to {np.nanmax(difference):.2g}: row {row + 1}, target {column + 1} is "
            f"{actual[row, column]:.6g}, expected {expected[row, column]:.6g} within {TOLERANCE:g}"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
