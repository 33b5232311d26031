"""One file that any ONNX Runtime runs, in any language, checked before it gets its name.

A model that has plain layers (zoo/layers/onnx_graph.py), or writes its own graph, needs no PyTorch; other models are
traced (traced.py). Then the graph gets an input of the caller's choice, and the ModelSpec is stored in
`metadata_props`. The file is compared with PyTorch or, if that is not installed, with the network in NumPy; if they
differ, no file is written.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np

from zoo import registry
from zoo.dna import encoding
from zoo.errors import CheckFailed, MissingDependency, ZooError
from zoo.layers import onnx_graph, plain
from zoo.options import RunOptions
from zoo.spec import ALPHABET, TEST_KEY, UNKNOWN_BASE, ModelSpec
from zoo.system.atomic import check_target
from zoo.weights import checkpoint, network
from zoo_exporters.onnx import ensembles, traced
from zoo_exporters.onnx.ensembles import Member, Outputs, output_of
from zoo_exporters.onnx.imported import network_shapes, write_imported
from zoo_exporters.onnx.inputs import INPUTS, OUTPUT, PROFILE, TENSORS, one_hot_channels_first, remove_input, set_input
from zoo_exporters.onnx.stored import describe, read_spec, read_tests, write_spec, written

if TYPE_CHECKING:
    import onnx

    from zoo.weights.checkpoint import Checkpoint

__all__ = [
    "CONVERTS", "INPUTS", "OPSET", "OUTPUT", "PROFILE", "SUFFIX", "TENSORS", "convert", "export", "join",
    "network_shapes", "output_of", "read_spec", "read_tests", "refuses", "write_imported", "write_spec",
]  # fmt: skip

SUFFIX = ".onnx"

CONVERTS = (SUFFIX,)

OPSET = 18
"""Default operator set: the one that PyTorch's exporter is made for, and old enough for every runtime."""

CHECKED_BATCHES = (1, 3)
"""Batch sizes at which a new file is compared with the reference, beside a large one."""

CHECKED_BASES = 1 << 15
"""Bases of the large batch, so that the comparison of a network of thousands of bases does not take minutes."""

TOLERANCE = 1e-4
"""Largest difference from the reference, absolute or relative. Float32 rounding stays below a tenth of it."""

UNKNOWN_SHARE = 0.02
"""Share of Ns in the random sequences of that comparison."""


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
    """Write one .onnx file with a free batch axis, an input as in INPUTS, the output `activity`, and an output for each
    profile of the network, `profile/NAME`.

    opset: ONNX operator set; None means OPSET.  input: a key of INPUTS.
    Raises ZooError for a bad opset, input or path; MissingDependency if the model needs PyTorch, which is not
    installed; CheckFailed if the exported graph and the reference disagree. Then no file is written.
    """
    _check_settings(opset, input)
    check_target(path, overwrite)
    _write(*_network(weights, opset or OPSET), weights.spec, path, input, overwrite)


def join(
    members: Sequence[Checkpoint | Path],
    spec: ModelSpec,
    path: Path,
    *,
    opset: int | None = None,
    input: str = "onehot",  # noqa: A002
    overwrite: bool = False,
) -> None:
    """Write one file with all members of an ensemble: its outputs are the mean `activity`, the standard deviation
    `activity_sd`, and `activity_members`. A member that is a file was written by `export` or an import.

    Raises ZooError and CheckFailed as `export` does, and for members with different operator sets.
    """
    import onnx

    _check_settings(opset, input)
    check_target(path, overwrite, [one for one in members if isinstance(one, Path)])
    found = []
    for one in members:
        if isinstance(one, Path):
            count = max(1, len(read_spec(one).members))
            found.append(Member(onnx.load(one), str(one), _in_runtime(one), count))
        else:
            found.append(Member(*_network(one, opset or OPSET)))
    _write(*ensembles.joined(found, spec), spec, path, input, overwrite)


def _check_settings(opset: int | None, input: str) -> None:  # noqa: A002
    import onnx

    if input not in INPUTS:
        raise ZooError(f"input: expected one of {', '.join(INPUTS)}, got {input!r}")
    newest = onnx.defs.onnx_opset_version()
    if opset is not None and not OPSET <= opset <= newest:
        raise ZooError(f"opset: expected {OPSET} to {newest}, got {opset}")


def _network(weights: Checkpoint, opset: int) -> tuple[onnx.ModelProto, str, Outputs]:
    """The graph of a network from one-hot bases; and the name and function of its reference."""
    plain_network = _plain(weights)
    name, reference = _reference(weights, plain_network)
    if plain_network:
        return plain_network.graph(opset), name, reference
    return traced.trace(network.from_checkpoint(weights), weights.spec, TENSORS, opset), name, reference


def _write(
    model: onnx.ModelProto,
    name: str,
    reference: Outputs,
    spec: ModelSpec,
    path: Path,
    input: str,  # noqa: A002
    overwrite: bool,
) -> None:
    """Write a graph from one-hot bases with another input, and compare the file with its reference."""
    set_input(model.graph, INPUTS[input], spec.sequence_length)
    describe(model, spec, INPUTS[input])
    with written(model, path, overwrite) as partial:
        _check_valid(partial, path)
        _check(partial, name, reference, path)


def _in_runtime(path: Path) -> Outputs:
    """What a file gives in ONNX Runtime. The runtime is loaded by name, since exporters import no runtime."""
    spec = read_spec(path)
    options = RunOptions(batch_size=_checked_batches(spec.sequence_length)[-1])
    engine = registry.load("runtimes", "onnx").start_file(path, "cpu", options)
    profiles = engine.profiles if checkpoint.profiles_of(spec) else lambda _: {}
    return lambda codes: [engine.run(codes), *profiles(codes).values()]


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
        remove_input(graph, length)
    set_input(graph, INPUTS[input], length)
    del model.metadata_props[:]
    describe(model, spec, INPUTS[input])
    if tests is not None:
        model.metadata_props.add(key=TEST_KEY, value=tests)
    reference = _in_runtime(source)
    with written(model, path, overwrite) as partial:
        _check(partial, str(source), reference, path)
    return spec


def _plain(weights: Checkpoint) -> Plain | None:
    """The network without PyTorch; None if it has no such form, or profiles."""
    if checkpoint.profiles_of(weights.spec):
        return None
    model, config, arrays = registry.load("models", weights.spec.architecture), weights.config, weights.arrays
    fold = getattr(model, "plain_layers", None)
    if fold:
        layers = fold(config, arrays)
        return Plain(lambda opset: onnx_graph.build(layers, TENSORS, opset), lambda hot: plain.activities(layers, hot))
    write, activities = getattr(model, "onnx_model", None), getattr(model, "activities", None)
    if write and activities:
        return Plain(lambda opset: write(config, arrays, TENSORS, opset), lambda hot: activities(config, arrays, hot))
    return None


def _reference(weights: Checkpoint, plain_network: Plain | None) -> tuple[str, Outputs]:
    """Name and function, base codes, uint8 (N, L) -> activities (N, T) and profiles: PyTorch if it is installed, else
    the network in NumPy. Raises MissingDependency if there is neither."""
    try:
        module = network.from_checkpoint(weights)
    except MissingDependency:
        if plain_network is None:
            raise
        return "the network in NumPy", lambda codes: [plain_network.activities(encoding.one_hot(codes))]
    forward = module.with_profiles if checkpoint.profiles_of(weights.spec) else lambda hot: [module(hot)]

    def run(codes: np.ndarray) -> Sequence[np.ndarray]:
        import torch

        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are about speed
            return [one.numpy() for one in forward(torch.from_numpy(one_hot_channels_first(codes)))]

    return "PyTorch", run


def _check_valid(partial: Path, path: Path) -> None:
    """Raise CheckFailed unless the file is valid ONNX."""
    import onnx

    try:
        onnx.checker.check_model(str(partial), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise CheckFailed(f"{path}: not written, the exported graph is not valid ONNX: {error}") from None


def _checked_batches(length: int) -> tuple[int, ...]:
    return *CHECKED_BATCHES, max(CHECKED_BATCHES[-1] + 1, CHECKED_BASES // length)


def _check(partial: Path, name: str, reference: Outputs, path: Path) -> None:
    """Raise CheckFailed unless the file gives the numbers of the reference in ONNX Runtime."""
    spec, outputs = read_spec(partial), _in_runtime(partial)
    random = np.random.default_rng(0)
    for batch in _checked_batches(spec.sequence_length):
        codes = random.integers(0, len(ALPHABET), (batch, spec.sequence_length), np.uint8)
        codes[random.random(codes.shape) < UNKNOWN_SHARE] = UNKNOWN_BASE
        for actual, expected in zip(outputs(codes), reference(codes), strict=True):
            # the numbers of a profile are compared in units of its largest
            unit = np.abs(expected).max() or 1 if expected.ndim > 2 else 1
            found, wanted = (one.reshape(batch, -1) / unit for one in (actual, expected))
            difference = _difference(found, wanted, f"at batch {batch}")
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
