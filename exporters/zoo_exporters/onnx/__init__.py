"""One file that any ONNX Runtime runs, in any language, checked before it gets its name.

A model that has plain layers (zoo/layers/onnx_graph.py), or writes its own graph, needs no PyTorch; other models are
traced (traced.py). Then the graph gets an input of the caller's choice, and the ModelSpec is stored in
`metadata_props`. The file is compared with PyTorch or, if that is not installed, with the network in NumPy; if they
differ, no file is written.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, Protocol

import numpy as np

from zoo import registry
from zoo.dna import encoding
from zoo.errors import CheckFailed, MissingDependency, ZooError
from zoo.layers import onnx_graph, plain
from zoo.options import RunOptions
from zoo.spec import ALPHABET, SPEC_KEY, TEST_KEY, UNKNOWN_BASE, ModelSpec
from zoo.system.atomic import check_target, replacing
from zoo.weights import checkpoint, file_checks, network, test_tensors
from zoo.weights.importers.framed import Tensor
from zoo.weights.test_tensors import TestTensors
from zoo_exporters.onnx import container, framed, traced

if TYPE_CHECKING:
    import onnx

    from zoo.weights.checkpoint import Checkpoint

SUFFIX = ".onnx"

CONVERTS = (SUFFIX,)

OPSET = 18
"""Default operator set: the one that PyTorch's exporter is made for, and old enough for every runtime."""

OUTPUT = "activity"
"""Name of the output tensor, float32 (N, T)."""

CHECKED_BATCHES = (1, 3, 512)
"""Batch sizes at which a new file is compared with the reference: one, odd, and large."""

TOLERANCE = 1e-4
"""Largest difference from the reference, absolute or relative. Float32 rounding stays below a tenth of it."""

IMPORTED_BATCHES = (1, 2, 7, 64)
"""Batch sizes at which an imported network is compared with its own program."""

UNKNOWN_SHARE = 0.02
"""Share of Ns in the random sequences of that comparison."""


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
"""Name of the option -> input. `bytes` is the simplest for callers in other languages."""

TENSORS = onnx_graph.Tensors(INPUTS["onehot"].name, OUTPUT, channels_last=False)


class Foreign(Protocol):
    """A network of another program, see zoo.weights.importers.graphs: its graph, its inputs and its outputs."""

    @property
    def model(self) -> onnx.ModelProto: ...
    @property
    def inputs(self) -> Sequence[Tensor]: ...
    @property
    def outputs(self) -> Sequence[Tensor]: ...


class Plain(NamedTuple):
    """A network without PyTorch. graph: opset -> ONNX, from one-hot bases, channels first.  activities: one-hot bases
    (N, L, 4) -> float64 (N, T)."""

    graph: Callable[[int], onnx.ModelProto]
    activities: Callable[[np.ndarray], np.ndarray]


def refuses(spec: ModelSpec) -> str | None:  # noqa: ARG001
    """None: every model that does not describe itself can be traced."""
    return None


def export(
    weights: Checkpoint,
    path: Path,
    *,
    opset: Annotated[int | None, f"ONNX operator set, {OPSET} or later; default: {OPSET}."] = None,
    input: Annotated[  # noqa: A002 - the name of the option that a user types
        str, "Input of the graph: onehot (float32, 4 x L) or bytes (ASCII letters, uint8)."
    ] = "onehot",
    overwrite: bool = False,
) -> None:
    """Write one .onnx file with a free batch axis, an input as in INPUTS, and the output `activity`.

    opset: ONNX operator set; None means OPSET.  input: a key of INPUTS.
    Raises ZooError for a bad opset, input or path; MissingDependency if the model needs PyTorch, which is not
    installed; CheckFailed if the exported graph and the reference disagree. Then no file is written.
    """
    import onnx

    if input not in INPUTS:
        raise ZooError(f"input: expected one of {', '.join(INPUTS)}, got {input!r}")
    newest = onnx.defs.onnx_opset_version()
    if opset is not None and not OPSET <= opset <= newest:
        raise ZooError(f"opset: expected {OPSET} to {newest}, got {opset}")
    check_target(path, overwrite)
    plain_network = _plain(weights)
    name, reference = _reference(weights, plain_network)
    if plain_network:
        model = plain_network.graph(opset or OPSET)
    else:
        model = traced.trace(network.from_checkpoint(weights), weights.spec, TENSORS, opset or OPSET)
    _set_input(model.graph, INPUTS[input], weights.spec.sequence_length)
    _describe(model, weights.spec, INPUTS[input])
    with _written(model, path, overwrite) as partial:
        _check_valid(partial, path)
        _check(partial, name, reference, path)


def write_imported(
    members: Sequence[Foreign], spec: ModelSpec, tests: TestTensors, path: Path, *, overwrite: bool = False
) -> ModelSpec:
    """Write the .onnx file of a foreign network, or of several that are an ensemble: a graph that obeys the frame in
    `spec`, with the input one_hot and the output `activity`; `spec` with its weights id; and `tests`. Returns the spec.

    tests: predictions by the network's own program, which the file must give for batches of every size.
    Raises ZooError if the frame contradicts the graph; CheckFailed if the file gives other numbers. Then no file is
    written.
    """
    first = members[0]
    assert spec.frame is not None
    model = framed.compile_frame([one.model for one in members], spec.frame, first.inputs, first.outputs, TENSORS)
    graph_id = hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()
    spec = dataclasses.replace(spec, weights_id=graph_id)
    _describe(model, spec, INPUTS["onehot"], tests)
    with _written(model, path, overwrite) as partial:
        engine = registry.load("runtimes", "onnx").start_file(partial, "cpu", RunOptions(batch_size=len(tests.codes)))
        for batch in IMPORTED_BATCHES:
            parts = [tests.codes[first : first + batch] for first in range(0, len(tests.codes), batch)]
            difference = tests.difference(np.concatenate([engine.run(part) for part in parts]), spec.targets)
            if difference:
                raise CheckFailed(
                    f"{path}: not written, ONNX Runtime and {tests.made_by} differ in batches of {batch}: {difference}"
                )
    return spec


@contextlib.contextmanager
def _written(model: onnx.ModelProto, path: Path, overwrite: bool) -> Iterator[Path]:
    """The temporary file of a graph with its digest, which gets its name if the block ends well."""
    import onnx

    with replacing(path, overwrite) as partial:
        onnx.save_model(model, partial)
        file_checks.write_digest(partial)
        yield partial


def convert(
    source: Path,
    path: Path,
    *,
    opset: int | None = None,
    input: str = "onehot",  # noqa: A002
    overwrite: bool = False,
) -> ModelSpec:
    """Write another file from one that `export` wrote, with an input as in INPUTS. Returns its spec.

    The arrays of the checkpoint cannot be read from it: batch normalizations are folded into the graph. Raises ZooError
    for another operator set than that of the file, and as `export` and `read_spec` do.
    """
    import onnx

    if input not in INPUTS:
        raise ZooError(f"input: expected one of {', '.join(INPUTS)}, got {input!r}")
    spec = read_spec(source)
    check_target(path, overwrite, [source])
    model = onnx.load(source)
    own = model.opset_import[0].version
    if opset not in (None, own):
        raise ZooError(
            f"opset: {source} has the operator set {own}, got {opset}; leave --opset out, or export the "
            f"{checkpoint.SUFFIX} file if there is one"
        )
    tests = next((one.value for one in model.metadata_props if one.key == TEST_KEY), None)
    graph, length = model.graph, spec.sequence_length
    if graph.input[0].name != TENSORS.input:
        _remove_input(graph, length)
    _set_input(graph, INPUTS[input], length)
    del model.metadata_props[:]
    _describe(model, spec, INPUTS[input])
    if tests is not None:
        model.metadata_props.add(key=TEST_KEY, value=tests)
    engine = registry.load("runtimes", "onnx").start_file(source, "cpu", RunOptions(batch_size=max(CHECKED_BATCHES)))
    with _written(model, path, overwrite) as partial:
        _check(partial, str(source), engine.run, path)
    return spec


def read_tests(path: Path) -> TestTensors | None:
    """The test tensors in an .onnx file, which imported networks have. Raises ZooError as `read_spec` does."""
    found = container.metadata(path).get(TEST_KEY)
    if found is None:
        return None
    try:
        return test_tensors.from_bytes(base64.b64decode(found, validate=True))
    except (ZooError, ValueError) as error:
        raise ZooError(f"{path}: its test tensors cannot be read ({error})") from None


def _plain(weights: Checkpoint) -> Plain | None:
    model, config, arrays = registry.load("models", weights.spec.architecture), weights.config, weights.arrays
    fold = getattr(model, "plain_layers", None)
    if fold:
        layers = fold(config, arrays)
        return Plain(lambda opset: onnx_graph.build(layers, TENSORS, opset), lambda hot: plain.activities(layers, hot))
    write, activities = getattr(model, "onnx_model", None), getattr(model, "activities", None)
    if write and activities:
        return Plain(lambda opset: write(config, arrays, TENSORS, opset), lambda hot: activities(config, arrays, hot))
    return None


def network_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the arrays of an imported network, without those of its frame. Raises ZooError as `read_spec`
    does."""
    import onnx

    read_spec(path)
    arrays = onnx.load(path).graph.initializer
    return {one.name: tuple(one.dims) for one in arrays if one.name.startswith(framed.NETWORK)}


def read_spec(path: Path) -> ModelSpec:
    """The ModelSpec in an .onnx file. Call this before ONNX Runtime opens the file.

    Raises ZooError if it does not exist, is not ONNX, is not from this zoo, was changed, or has numbers in other files.
    """
    metadata = container.metadata(path)
    if SPEC_KEY not in metadata:
        raise ZooError(
            f"{path}: expected the model spec of deepstarr-zoo in metadata_props, got none; zoo import {path} -o "
            "mine.onnx makes a file of any network for the zoo"
        )
    return checkpoint.read_spec(metadata[SPEC_KEY], path)


def _describe(model: onnx.ModelProto, spec: ModelSpec, kind: Input, tests: TestTensors | None = None) -> None:
    """Store the description of the model and its source in the file, and test tensors."""
    import zoo

    model.producer_name, model.producer_version = "deepstarr-zoo", zoo.__version__
    model.doc_string = f"{spec.architecture}: {', '.join(spec.targets)} of {spec.sequence_length} bp of DNA"
    model.graph.name = spec.architecture
    model.graph.input[0].doc_string = kind.about
    model.graph.output[0].doc_string = f"float32 (batch, {len(spec.targets)}): {', '.join(spec.targets)}"
    model.metadata_props.add(key=SPEC_KEY, value=file_checks.spec_json(spec.to_dict()))
    if tests is not None:
        model.metadata_props.add(key=TEST_KEY, value=base64.b64encode(tests.to_bytes()).decode())


def write_spec(source: Path, path: Path, spec: ModelSpec) -> None:
    """Write a copy of an .onnx file with another ModelSpec of the same weights, such as one with a card.

    Raises ZooError as `read_spec` does.
    """
    import onnx

    read_spec(source)
    model = onnx.load(source)
    (stored,) = (one for one in model.metadata_props if one.key == SPEC_KEY)
    stored.value = file_checks.spec_json(spec.to_dict())
    with replacing(path) as partial:
        onnx.save_model(model, partial)
        file_checks.write_digest(partial)


def _remove_input(graph: onnx.GraphProto, length: int) -> None:
    """Undo `_set_input`: the graph takes one-hot bases again."""
    from onnx import TensorProto, helper

    rest = [node for node in graph.node if not {"index", "one_hot_rows", TENSORS.input} & set(node.output)]
    kept = [tensor for tensor in graph.initializer if tensor.name != "base_table"]
    del graph.node[:], graph.initializer[:], graph.input[:]
    graph.node.extend(rest)
    graph.initializer.extend(kept)
    shape = ["batch", len(ALPHABET), length]
    graph.input.append(helper.make_tensor_value_info(TENSORS.input, TensorProto.FLOAT, shape))


def _set_input(graph: onnx.GraphProto, kind: Input, length: int) -> None:
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


def _reference(weights: Checkpoint, plain_network: Plain | None) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """Name and function, base codes, uint8 (N, L) -> activities (N, T): PyTorch if it is installed, else the network in
    NumPy. Raises MissingDependency if there is neither."""
    try:
        module = network.from_checkpoint(weights)
    except MissingDependency:
        if plain_network is None:
            raise
        return "the network in NumPy", lambda codes: plain_network.activities(encoding.one_hot(codes))

    def run(codes: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are about speed
            return module(torch.from_numpy(_one_hot_channels_first(codes))).numpy()

    return "PyTorch", run


def _check_valid(partial: Path, path: Path) -> None:
    """Raise CheckFailed unless the file is valid ONNX."""
    import onnx

    try:
        onnx.checker.check_model(str(partial), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CheckFailed(f"{path}: not written, the exported graph is not valid ONNX: {error}") from None


def _check(partial: Path, name: str, reference: Callable[[np.ndarray], np.ndarray], path: Path) -> None:
    """Raise CheckFailed unless the file gives the numbers of the reference in ONNX Runtime."""
    spec = read_spec(partial)
    # the runtime is loaded by name, since exporters import no runtime
    options = RunOptions(batch_size=max(CHECKED_BATCHES))
    engine = registry.load("runtimes", "onnx").start_file(partial, "cpu", options)
    random = np.random.default_rng(0)
    for batch in CHECKED_BATCHES:
        codes = random.integers(0, len(ALPHABET), (batch, spec.sequence_length), np.uint8)
        codes[random.random(codes.shape) < UNKNOWN_SHARE] = UNKNOWN_BASE
        difference = _difference(engine.run(codes), reference(codes), f"at batch {batch}")
        if difference:
            raise CheckFailed(f"{path}: not written, ONNX Runtime and {name} differ in {difference}")


def _difference(actual: np.ndarray, expected: np.ndarray, where: str) -> str | None:
    """A description of the difference; None if it is within TOLERANCE."""
    difference = np.abs(actual - expected)
    # NaN and infinity are differences too
    wrong = ~(difference <= TOLERANCE + TOLERANCE * np.abs(expected))
    if not wrong.any():
        return None
    row, column = (int(index) for index in np.argwhere(wrong)[0])
    return (
        f"{wrong.sum()} of {wrong.size} values {where}, by up to {np.nanmax(difference):.2g}: row {row + 1}, "
        f"target {column + 1} is {actual[row, column]:.6g}, expected {expected[row, column]:.6g} within {TOLERANCE:g}"
    )
