"""One file that any ONNX Runtime runs, in any language, checked before it gets its name.

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
from typing import TYPE_CHECKING, Annotated

import numpy as np

from exporters.onnx import container
from exporters.onnx.widen import widen as widen_convolutions
from zoo import registry
from zoo.contracts import RunOptions
from zoo.dna import encoding
from zoo.errors import CheckFailed, MissingDependency, ZooError
from zoo.spec import ALPHABET, SPEC_KEY, UNKNOWN_BASE, ModelSpec
from zoo.system.atomic import check_target, replacing
from zoo.weights import checkpoint, network, seal

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


def refuses(spec: ModelSpec) -> str | None:  # noqa: ARG001
    """None: whatever PyTorch can trace can be written."""
    return None


def export(
    weights: Checkpoint,
    path: Path,
    *,
    opset: Annotated[int | None, f"Operator set to write, {OPSET} or later; by default {OPSET}."] = None,
    input: Annotated[  # noqa: A002 - the name of the option that a user types
        str, "What the graph takes: onehot (float32, 4 x L) or bytes (ASCII letters, uint8)."
    ] = "onehot",
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
        widen_convolutions(model.graph)
    _set_input(model.graph, INPUTS[input], weights.spec.sequence_length)
    _describe(model, weights.spec, INPUTS[input])
    with replacing(path, overwrite) as partial:
        onnx.save_model(model, partial)
        seal.seal(partial)
        _check(partial, module, path)


def read_spec(path: Path) -> ModelSpec:
    """What an .onnx file says of itself. Raises ZooError if it is missing, is not ONNX, is not from this zoo, was
    changed, or has numbers in other files: who asks first can then let ONNX Runtime open it."""
    metadata = container.metadata(path)
    if SPEC_KEY not in metadata:
        raise ZooError(
            f"{path}: has no deepstarr-zoo model spec in its metadata_props; write the file with zoo export --onnx"
        )
    return checkpoint.read_spec(metadata[SPEC_KEY], path)


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
    model.metadata_props.add(key=SPEC_KEY, value=seal.unsealed(spec.to_dict()))


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
        engine = registry.load("runtimes", "onnx").start_file(partial, "cpu", RunOptions(batch_size=batch))
        _compare(engine.run(codes), _reference(module, codes), batch, path)


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
