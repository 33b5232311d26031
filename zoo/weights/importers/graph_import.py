"""Import a network with its graph: `zoo import FILE -o mine.onnx`, and from Python a live PyTorch module.

The network is converted to ONNX (graphs/), its frame is compiled into the graph (by the exporter for ONNX), and the
result is compared with the network in its own program, on sequences that the file keeps. What the graph does not say
must be said: the order of the bases, the strands that count, and the names of the targets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import registry
from zoo.card import Card
from zoo.errors import ZooError
from zoo.frame import (
    BASES,
    CODES,
    LETTERS,
    Frame,
    InputFrame,
    SequenceFrame,
    StrandFrame,
    Target,
    frame_of,
)
from zoo.options import made
from zoo.spec import ModelSpec
from zoo.system.atomic import check_target
from zoo.system.files import file_sha256
from zoo.weights import test_tensors
from zoo.weights.importers import framed
from zoo.weights.importers.frame_options import FrameOptions
from zoo.weights.importers.graphs import isolated, sources
from zoo.weights.importers.graphs.graph import ForeignGraph, Tensor
from zoo.weights.importers.layers import ImportOptions
from zoo.weights.test_tensors import TestTensors

if TYPE_CHECKING:
    from torch import nn

Find = Callable[[Sequence[ForeignGraph]], tuple[Frame, str]]
"""Networks -> their frame, and how it was found."""

SUFFIX = ".onnx"

SEED = 0
"""Seed of the sequences on which an import is compared with the original."""

OPEN = "?"
"""Start of a line of a frame to fill in that must be said; it is no TOML, so that none is left by accident."""

MOST_BYTES = 1 << 24
"""Maximum size of a TOML file with a frame."""

ELSEWHERE = {"flatten": "convolutions and dense layers", "epsilon": "batch normalizations", "prefix": "arrays",
             "control": "profile networks (a frame has constants for further inputs)"}  # fmt: skip
"""Option of ImportOptions that a file with a graph never needs -> what it is about."""


def import_files(
    paths: Sequence[Path],
    output: Path,
    options: ImportOptions,
    framing: FrameOptions,
    overwrite: bool = False,
    find: Find | None = None,
) -> ModelSpec:
    """Import files of networks, several as an ensemble, into one .onnx file. Returns its spec.

    find: gives the frame, and how it was found; by default the options say it.
    Each file is read in a process of its own. Raises ZooError for a file that holds no network, a frame that does not
    fit it or leaves something open, and a path that cannot be written; CheckFailed if the result differs.
    """
    check_output(output, overwrite, [*paths, options.graph, framing.frame])
    for name, about in ELSEWHERE.items():
        if getattr(options, name) is not None:
            raise ZooError(f"--{name}: is about the {about} of a file without a graph, for -o FILE.safetensors")
    known = None if framing.frame is None else read_frame(framing.frame)
    with contextlib.ExitStack() as readers:
        shape = _shape(known[0]) if known else _said_shape(options, framing)
        graphs = [readers.enter_context(isolated.read(path, options.graph, shape)) for path in paths]
        matched = ""
        if find is not None:
            found, matched = find(graphs)
            known = found, None
        try:
            frame, card = known or (frame_from_options(graphs[0], options, framing), None)
        except ZooError as error:
            raise ZooError(f"{framing.frame or paths[0]}: {error}") from None
        if len(paths) == 1 and paths[0].is_file():
            card = (card or Card()).filled(Card(source_sha256=file_sha256(paths[0])))
        digests = ", ".join(f"{path.name} (sha256 {file_sha256(path)})" for path in paths if path.is_file())
        source = options.source or f"imported from {digests or paths[0].name}"
        return write(graphs, frame, output, card, source, options.licence or "unknown", overwrite, matched)


def import_module(
    module: nn.Module,
    frame: Frame | Mapping[str, Any] | str | Path,
    path: str | Path,
    *,
    source: str = "unknown",
    licence: str = "unknown",
    card: Card | None = None,
    overwrite: bool = False,
) -> ModelSpec:
    """Write a live PyTorch module, in evaluation mode, as an .onnx file that all commands and zoo.load take.

    module: one input, with sequences as the first axis; one or more outputs.
    frame: what it expects and gives: a zoo.frame.Frame, the same as a dict, or a TOML file. The frame says the length
        of the sequences.
    source, licence, card: see zoo.spec.ModelSpec.

    Raises ZooError if the frame does not fit, or PyTorch cannot export the module; CheckFailed if the file gives other
    numbers than the module; MissingDependency without the extra `train`.
    """
    output = Path(path)
    if isinstance(frame, str | Path):
        frame, read_card = read_frame(Path(frame))
        card = card or read_card
    elif not isinstance(frame, Frame):
        frame = frame_of(frame)
    check_output(output, overwrite, [])
    shape = _shape(frame)
    if shape is None:
        raise ZooError("length: say the bases of a sequence in the frame, since a module does not")
    return write([sources.from_module(module, shape)], frame, output, card, source, licence, overwrite)


def write(
    graphs: Sequence[ForeignGraph],
    frame: Frame,
    output: Path,
    card: Card | None,
    source: str,
    licence: str,
    overwrite: bool = False,
    matched: str = "",
) -> ModelSpec:
    """Compile the frame into the graphs, compare, and write. Returns the spec. matched: how the frame was found."""
    first, frame = graphs[0], dataclasses.replace(frame, members=len(graphs))
    for one in graphs[1:]:
        if (one.inputs, one.outputs) != (first.inputs, first.outputs):
            raise ZooError("members: expected networks with the same inputs and outputs")
    length, _ = framed.lengths(frame, framed.dna_input(frame, first.inputs))
    frame = framed.with_positions(frame, first.outputs)
    codes = test_tensors.random_codes(length, SEED)
    try:
        each = [framed.predicted(one.run, codes, frame, one.inputs) for one in graphs]
        tests = TestTensors(codes, np.mean(each, axis=0).astype(np.float32), first.versions)
    except ZooError as error:
        raise ZooError(f"{output}: not written: {error}") from None
    architecture, model = next(
        (name, model) for name, model in registry.working("models").items() if hasattr(model, "config_of_graph")
    )
    config = model.config_of_graph(frame, length)
    spec = ModelSpec(
        architecture,
        config.to_dict(),
        length,
        config.targets,
        weights_id="",
        source=source,
        licence=licence,
        imported="; ".join(filter(None, [f"{first.kind}, compared with {first.versions}", matched])),
        card=card,
        frame=frame,
    )
    written: ModelSpec = registry.load("exporters", "onnx").write_imported(
        graphs, spec, tests, output, overwrite=overwrite
    )
    return written


def check_output(output: Path, overwrite: bool, inputs: Sequence[Path | None]) -> None:
    """Raise ZooError unless an .onnx file can be written there."""
    if output.suffix != SUFFIX:
        raise ZooError(f"{output}: expected an output name that ends in {SUFFIX}, since the network keeps its graph")
    check_target(output, overwrite, inputs)


def read_frame(path: Path) -> tuple[Frame, Card | None]:
    """A frame, and the card if there is one, from a TOML file. Raises ZooError, with the file's name, for a bad one."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode("utf-8")
        open_lines = [line.strip(f"{OPEN} ") for line in text.splitlines() if line.startswith(OPEN)]
        if open_lines:
            raise ZooError(
                f"{path}: say {open_lines[0]!r}, or another value, in place of the line that begins with {OPEN}"
            )
        document = tomllib.loads(text)
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise ZooError(f"{path}: expected a TOML file ({error})") from None
    card = document.pop("card", None)
    try:
        if card is not None and not isinstance(card, dict):
            raise ZooError(f"card: expected a table, got {card!r}")
        said = None if card is None else made(Card, card)
        return frame_of(document), said
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from None


def frame_from_options(graph: ForeignGraph, options: ImportOptions, framing: FrameOptions) -> Frame:
    """The frame that the options and the graph give. Raises ZooError for what neither says."""
    if len(graph.inputs) != 1:
        names = ", ".join(one.name for one in graph.inputs)
        raise ZooError(
            f"the network has the inputs {names}; say in a frame which is for DNA (zoo init-frame writes one)"
        )
    layout = framing.layout or layout_of(graph.inputs[0])
    if layout is None:
        raise ZooError(
            f"--layout: the input {graph.inputs[0].name} is {shown(graph.inputs[0])}, which does not show the axis of "
            f"the bases; give NCL, NLC or another order, {CODES} or {LETTERS}"
        )
    return Frame(
        InputFrame(layout=layout, alphabet=options.alphabet or "", unknown=framing.unknown or 0.0),
        StrandFrame(framing.strand, framing.turns),
        targets_of(graph, options.targets),
        SequenceFrame(options.length, framing.left or "", framing.right or ""),
    )


def layout_of(tensor: Tensor) -> str | None:
    """The only layout of a one-hot input that its shape admits; None if there are several or none."""
    kinds = {len(BASES): "C", 1: "1"}
    layout = "N" + "".join(kinds.get(size, "L") if isinstance(size, int) else "L" for size in tensor.shape[1:])
    return layout if sorted(layout.replace("1", "")) == ["C", "L", "N"] else None


def targets_of(graph: ForeignGraph, names: Sequence[str]) -> tuple[Target, ...]:
    """The targets with these names: the columns of the only output, or an output each."""
    sizes = {one.name: one.shape[1] if len(one.shape) == 2 else 1 for one in graph.outputs}
    deep = [one.name for one in graph.outputs if len(one.shape) > 2]
    if deep:
        raise ZooError(f"the output {deep[0]} has positions; say in a frame what they mean (zoo init-frame writes one)")
    columns = [(name, column) for name, size in sizes.items() for column in range(int(size or 1))]
    if not names and len(columns) == len(sizes):
        names = list(sizes)
    if len(names) != len(columns):
        found = f"{len(columns)} numbers ({', '.join(sizes)})"
        raise ZooError(f"--targets: the network gives {found}; give a name for each, in their order")
    return tuple(Target(name, *place) for name, place in zip(names, columns, strict=True))


def shown(tensor: Tensor) -> str:
    """The shape of a tensor, such as batch x 4 x any."""
    return " x ".join(["batch", *(str(size) if isinstance(size, int) else "any" for size in tensor.shape[1:])])


def _said_shape(options: ImportOptions, framing: FrameOptions) -> tuple[int, ...] | None:
    """Shape of the input for one sequence, which TorchScript does not say; None unless the options do."""
    if options.length is None or framing.layout is None or not options.alphabet:
        return None
    sequence = SequenceFrame(options.length, framing.left or "", framing.right or "")
    return _size(InputFrame(layout=framing.layout, alphabet=options.alphabet), sequence)


def _shape(frame: Frame) -> tuple[int, ...] | None:
    """Shape of the input for one sequence; None unless the frame says the length."""
    return _size(frame.input, frame.sequence)


def _size(dna: InputFrame, sequence: SequenceFrame) -> tuple[int, ...] | None:
    if sequence.length is None:
        return None
    sizes = {"C": len(BASES) + len(dna.channels), "L": sequence.length + len(sequence.left + sequence.right), "1": 1}
    return tuple(sizes[axis] for axis in (dna.layout[1:] if dna.one_hot else "L"))
