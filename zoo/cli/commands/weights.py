"""`zoo import`, `zoo export`, `zoo pack` and `zoo pull`: weights from and for other programs, and published ones.

The options of a format are those of its exporter.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from zoo import registry
from zoo.card import Card
from zoo.cli import notes, options
from zoo.errors import ZooError, counted, did_you_mean
from zoo.publish.options import PackOptions
from zoo.spec import listed
from zoo.weights.importers.frame_options import FrameOptions
from zoo.weights.importers.layers import ImportOptions

UNSAID = ImportOptions()

NO_FRAME = FrameOptions()


def import_(
    files: Annotated[
        list[Path],
        Parameter(
            name="FILE",
            help="Weights of a network that the zoo has (Keras .h5, or PyTorch: .pt, .pth, .ckpt, .safetensors), or "
            "any network with its graph (.onnx, .keras, .h5, SavedModel, .pt2, TorchScript); several are an "
            "ensemble, whose mean is predicted.",
        ),
    ],
    /,
    *,
    output: Annotated[
        Path, options.output("File to write: .safetensors for weights, .onnx for a network with its graph.")
    ],
    overwrite: options.Overwrite = False,
    architecture: Annotated[
        str | None,
        options.under(options.FILE, "Architecture of the weights; see zoo list. By default the only one that fits."),
    ] = None,
    match: Annotated[
        Path | None,
        options.input_(
            "Table of predictions by the network's own program, with a column for each target; finds --alphabet, "
            "--flatten and --epsilon; of a graph --alphabet, --strand, --unknown and --layout."
        ),
    ] = None,
    match_sequences: Annotated[
        Path | None,
        options.input_("FASTA file of these predictions; by default the table has a column sequence."),
    ] = None,
    unsaid: Annotated[ImportOptions, options.FILE] = UNSAID,
    framing: Annotated[FrameOptions, options.FRAME] = NO_FRAME,
) -> None:
    from zoo.checks import match as matching
    from zoo.system.atomic import check_target
    from zoo.weights import checkpoint
    from zoo.weights.importers import graph_import, importer

    if output.suffix == graph_import.SUFFIX:
        if architecture is not None:
            raise ZooError(f"--architecture: is for weights of a network that the zoo has, -o FILE{checkpoint.SUFFIX}")
        if match is None:
            spec = graph_import.import_files(files, output, unsaid, framing, overwrite)
        else:
            check_target(output, overwrite, [*files, match, match_sequences])
            spec = matching.import_graphs(files, output, unsaid, framing, match, match_sequences, overwrite)
        left, right = (
            (len(flank) for flank in (spec.frame.sequence.left, spec.frame.sequence.right)) if spec.frame else (0, 0)
        )
        flanks = f" between flanks of {left} and {right}" if left or right else ""
        print(f"{output}: {spec.imported}; {spec.sequence_length} bases{flanks}, targets {listed(spec.targets)}")
        print(f"weights id {spec.weights_id[:12]}; next: zoo test {output}")
        print(f"source: {spec.source}; licence: {spec.licence}")
        return
    (file,), framed = files[:1], [name for name, value in vars(framing).items() if value is not None]
    if len(files) > 1:
        raise ZooError(
            f"{files[1]}: expected one file of weights; several are an ensemble, -o FILE{graph_import.SUFFIX}"
        )
    if framed:
        raise ZooError(f"--{framed[0]}: is for a network with its graph, -o FILE{graph_import.SUFFIX}")
    if output.suffix != checkpoint.SUFFIX:
        raise ZooError(
            f"{output}: expected an output name that ends in {checkpoint.SUFFIX} (weights) or {graph_import.SUFFIX} (a "
            "network with its graph)"
        )
    if match is None and match_sequences is not None:
        raise ZooError("--match-sequences: only applies with --match, the table of their predictions")
    check_target(output, overwrite, [file, unsaid.graph, match, match_sequences])
    if match is None:
        weights = importer.read(file, unsaid, architecture)
    else:
        weights = matching.read(file, unsaid, architecture, match, match_sequences)
    checkpoint.save(weights, output, overwrite)
    spec = weights.spec
    print(f"{output}: {spec.architecture}, {spec.sequence_length} bases, targets {listed(spec.targets)}")
    print(f"weights id {spec.weights_id[:12]}, {sum(array.size for array in weights.arrays.values()):,} numbers")
    if spec.imported:
        print(f"read with {spec.imported}")
    print(f"source: {spec.source}; licence: {spec.licence}")


def init_frame(
    file: Annotated[Path, Parameter(help="A network with its graph; see zoo import.")],
    /,
    *,
    output: Annotated[Path, options.output("TOML file to write.")] = Path("frame.toml"),
    overwrite: options.Overwrite = False,
    graph: Annotated[Path | None, options.input_("The .json of a Keras model whose .h5 holds only weights.")] = None,
) -> None:
    from zoo.system.atomic import check_target, replacing
    from zoo.weights.importers import frame_file
    from zoo.weights.importers.graphs import isolated

    check_target(output, overwrite, [file, graph])
    with isolated.read(file, graph) as network, replacing(output, overwrite) as partial:
        text, open_lines = frame_file.template(network, file)
        partial.write_text(text, "utf-8")
    print(f"{output}: {network.kind}; say {counted(open_lines, 'lines')} marked with ?, then")
    print(f"zoo import {file} --frame {output} -o mine.onnx")


def export(
    model: Annotated[
        str | None,
        Parameter(
            name="WEIGHTS",
            help="Weights to export: a name (see zoo list), a file or a run folder; several, A,B, or a folder of run "
            "folders become one ONNX file. By default "
            f"{options.DEFAULT_WEIGHTS}.",
            completer=options.names_of("weights"),
        ),
    ] = None,
    /,
    *,
    weights: Annotated[
        str | None,
        options.input_("The same, as an option.", name=("--weights", "--model"), completer=options.names_of("weights")),
    ] = None,
    output: Annotated[
        Path | None,
        options.output("File or folder to write; by default the name of WEIGHTS with the suffix of the format."),
    ] = None,
    overwrite: options.Overwrite = False,
    format: Annotated[  # noqa: A002
        str | None, options.output("Format; see zoo list.", completer=options.names_of("exporters"))
    ] = None,
    **given: Any,
) -> None:
    from zoo.system.atomic import check_target
    from zoo.weights import ensembles, exports, lookup

    formats = registry.names("exporters")
    wanted = {name for name in formats if given.pop(name, False)} | ({format} if format else set())
    if len(wanted) != 1:
        flags = ", ".join(f"--{name}" for name in formats)
        raise ZooError(f"choose one format: {flags}, or --format NAME; got {len(wanted)}")
    name = wanted.pop()
    exporter = registry.load("exporters", name)
    options.check_known(given, exporter.export, f"the format {name}")
    chosen = weights or model or lookup.default()
    (short,) = ensembles.by_name([model or chosen])
    path = output or Path(f"{re.sub('[:/@]', '-', short)}{exporter.SUFFIX}")
    if exporter.SUFFIX and path.suffix != exporter.SUFFIX:
        raise ZooError(f"{path}: expected an output name that ends in {exporter.SUFFIX}")
    if exporter.SUFFIX:
        check_target(path, overwrite, ensembles.files_of(chosen))
    spec = exports.write(name, chosen, path, model if weights else None, overwrite=overwrite, **given)
    written = sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())
    print(f"{path}: {name}, {written:,} bytes, weights id {spec.weights_id[:12]}")


def plugin_options() -> Iterator[inspect.Parameter]:
    """A flag for each format, then the options of each format."""
    for name in registry.names("exporters"):
        flag = Parameter(name=f"--{name}", help=f"Same as --format {name}.", group=options.OUTPUT)
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, flag])
    exporters = registry.working("exporters")
    yield from options.of_plugins({f"Format {name}": exporter.export for name, exporter in exporters.items()})


options.extend(export, plugin_options())


def pull(
    what: Annotated[
        str,
        Parameter(
            help="The name of a model, for its published weights; data, for the published data; or hf:OWNER/NAME or "
            "hf:OWNER/NAME@REVISION, for a pack on a hub."
        ),
    ],
    /,
    *,
    source: Annotated[
        Path | None, options.input_("Folder with a copy of the files on this machine.", name="--from")
    ] = None,
    mirror: Annotated[
        list[str] | None,
        options.input_(
            "URL of a folder with the files, instead of the known ones; repeat for more.", env_var="ZOO_MIRROR"
        ),
    ] = None,
    offline: Annotated[bool, options.input_("Never use the network.", env_var="ZOO_OFFLINE")] = False,
) -> None:
    import contextlib

    from zoo.weights import packs, pull
    from zoo.weights.lookup import PUBLISHED, published

    if packs.is_hub_name(what):
        _pull_from_hub(what, offline, {"--from": source, "--mirror": mirror})
        return

    variants = published()
    if what not in ("data", *variants):
        known = ("data", *variants)
        raise ZooError(f"expected {', '.join(known)} or hf:OWNER/NAME to pull, got {what!r}{did_you_mean(what, known)}")
    origin = pull.Origin(source, tuple(mirror or ()), offline)
    bars: dict[str, notes.Bar] = {}
    with contextlib.ExitStack() as shown:

        def report(name: str, done: int, total: int | None) -> None:
            if name not in bars:
                shown.close()
                bars[name] = shown.enter_context(notes.Bar(f"bytes of {name}", total))
            bars[name].update(done, done)

        if what == "data":
            for variant, architecture in variants.items():
                folder = pull.data(architecture, origin, report)
                files = len(list(folder.iterdir()))
                print(f"{folder}: {files} files, as published; zoo train {variant} --data {folder}")
        else:
            path, weights = pull.weights(variants[what], origin, report)
            spec = weights.spec
            print(f"{path}: weights id {spec.weights_id[:12]}; zoo predict --weights {what}:{PUBLISHED}")
            print(f"source: {spec.source}; licence: {spec.licence}")


def _pull_from_hub(name: str, offline: bool, unused: Mapping[str, Any]) -> None:
    from zoo.publish import hub
    from zoo.weights import lookup

    for option, value in unused.items():
        if value:
            raise ZooError(f"{option}: does not apply to {name}; HF_ENDPOINT sets the address of the hub")
    folder = hub.fetch(name, offline or None)
    spec = lookup.read_spec(lookup.path_of(name))
    print(f"{folder}: weights id {spec.weights_id[:12]}; zoo predict --weights {name}")
    print(f"source: {spec.source}; licence: {spec.licence}")


def pack(
    weights: Annotated[str, options.weights_argument("A name (see zoo list), a file or a run folder.")],
    *,
    output: Annotated[Path, options.output("Folder to write, to publish.")],
    overwrite: options.Overwrite = False,
    packing: Annotated[PackOptions, options.PACKING] = PackOptions(),
    card: Annotated[Card, options.CARD] = Card(),
) -> None:
    from zoo.publish import pack

    spec = pack.pack(weights, output, card, packing, overwrite)
    files = sorted(output.iterdir())
    written = sum(file.stat().st_size for file in files)
    print(f"{output}: {', '.join(file.name for file in files)}; {written:,} bytes, weights id {spec.weights_id[:12]}")
    print(f"licence: {spec.licence}; next: zoo test {output}")
