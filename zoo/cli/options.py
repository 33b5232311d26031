"""Options that several commands share, and the titles under which --help shows options.

A group of options is a frozen dataclass in the room that uses it: each field is an option, the docstring below it the
help, a Literal the choices. A command takes all fields of a dataclass through a parameter that is annotated with one of
the groups below. A plug-in adds options as keyword-only parameters with a help: `opset: Annotated[int, "ONNX opset."]`.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from cyclopts import Group, Parameter

from zoo import registry
from zoo.defaults import AUTO, MODEL, RUNTIME
from zoo.errors import ZooError
from zoo.options import RunOptions, StrandOptions

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

    from zoo.prediction.model import Model as LoadedModel
    from zoo.prediction.model import ModelSource

_order = itertools.count()


def _group(title: str) -> Group:
    """A group of the help; groups are shown in the order in which they are defined here."""
    return Group(title, sort_key=next(_order))


def _fields(title: str) -> Parameter:
    """The fields of a dataclass, each as an option under this title."""
    return Parameter(name="*", group=_group(title))


ARGUMENTS = _group("Arguments")
READING = _fields("Input")
BACKGROUND = _fields("Sequences of the background")
INTERVALS = _fields("Intervals of a genome, instead of FASTA files")
OUTPUT = _group("Output")
JOB = _fields("Run")
SEARCH = _fields("Search")
COMPARING = _fields("Comparison")
EXPLAINING = _fields("Contributions")
CLUSTERING = _fields("Clusters of sequences")
EXPERIMENT = _fields("Experiment")
FINDING = _fields("Motifs")
DESIGNING = _fields("Designs")
SCAN = _fields("Windows and tracks")
VARIANTS = _fields("Comparison of alleles")
MEASURE = _fields("Measures")
CONFIDENCE = _fields("Confidence")
TRAINING = _fields("Training")
DRAWING = _fields("Sequences that the teacher labels")
LAYOUT = _fields("Columns and splits of the data")
REGIONS = _fields("Regions of a genome")
SERVING = _fields("Service")
FILE = _fields("What the file does not say")
FRAME = _fields("What the graph of a network does not say")
CHOOSING = _fields("Which models")
PACKING = _fields("Pack")
CARD = _fields("Card: what the weights are")
CHECKED = _fields("Checks")
OPTIONS = _group("Options")
SHOWN = Parameter(name="*", group=OUTPUT)
"""The fields of a dataclass, each as an option about the output."""
RUNNING = _fields("Model and runtime")
SHARING = _fields("Long runs")
PLUGINS = next(_order)
"""Sort key of the groups that plug-ins add."""


DEFAULT_WEIGHTS = f"{MODEL}:published if zoo pull has fetched it, else {MODEL}"
"""The default weights in a help."""


def under(place: Parameter, text: str, **rest: Any) -> Parameter:
    """An option with this help in the group of `place`."""
    return Parameter(help=text, group=place.group, **rest)


def names_of(kind: Literal["weights", "models", "runtimes", "exporters"]) -> Callable[[CompletionContext], list[str]]:
    """What a shell offers for an option or an argument, `Parameter(completer=...)`: names; for weights and models also
    files. Imports no heavy library, since the user waits."""

    def candidates(context: CompletionContext) -> list[str]:
        from zoo.prediction import session
        from zoo.weights import lookup

        if kind == "runtimes":
            names = [AUTO, *session.runtime_names()]
        elif kind == "exporters":
            names = registry.names(kind)
        else:
            names = lookup.names() if kind == "weights" else sorted(lookup.variants())
            folder, slash, start = context.incomplete.rpartition("/")
            here = Path(folder + slash)
            found = sorted(here.iterdir()) if here.is_dir() else []
            paths = [path for path in found if path.name.startswith(start) and not path.name.startswith(".")]
            names += [f"{folder}{slash}{path.name}{'/' * path.is_dir()}" for path in paths]
        before = context.incomplete.rpartition(",")[0]  # of a list A,B
        return [f"{before},{name}" if before else name for name in names]

    return candidates


def weights_argument(text: str) -> Parameter:
    """Weights as an argument of the command, or by the options that other commands have for them."""
    return Parameter(
        name=("WEIGHTS", "--weights", "--model"), help=text, group=ARGUMENTS, completer=names_of("weights")
    )


def input_(text: str, **rest: Any) -> Parameter:
    """An input option with this help."""
    return under(READING, text, **rest)


def output(text: str, **rest: Any) -> Parameter:
    """An output option with this help."""
    return Parameter(help=text, group=OUTPUT, **rest)


Model = Annotated[
    str | None,
    under(
        RUNNING,
        "As --weights; beside it, the name of the network that the weights must be of.",
        show=False,
        completer=names_of("weights"),
    ),
]
Weights = Annotated[
    str | None,
    under(
        RUNNING,
        "Weights: a name (see zoo list), a .safetensors or .onnx file, or a run folder. Several, A,B, or a folder of "
        f"run folders are an ensemble: the mean and its spread. By default {DEFAULT_WEIGHTS}.",
        completer=names_of("weights"),
    ),
]
Runtime = Annotated[
    str, under(RUNNING, "Runtime, such as onnx-cpu, or auto; see zoo list.", completer=names_of("runtimes"))
]
Runtimes = Annotated[
    tuple[str, ...],
    under(RUNNING, "Runtimes to compare; by default all that can run here.", completer=names_of("runtimes")),
]
Data = Annotated[Path, input_("Folder of the published data, a table (.tsv, .csv, .parquet) or a FASTA file.")]
AllowLeakage = Annotated[bool, input_("Continue even if splits share sequences.")]
Background = Annotated[
    Path | None,
    output("File of zoo background: also write percentiles among its values, such as dev_percentile beside dev."),
]
Json = Annotated[bool, output("Print JSON.", name="--json")]
Overwrite = Annotated[bool, output("Replace the output if it exists.")]

STREAM = Parameter(allow_leading_hyphen=True)
"""Annotation of a file for which - means standard input or output."""


@dataclasses.dataclass(frozen=True)
class ModelOptions:
    """The weights, the strands and the runtime of a command."""

    model: Model = None
    weights: Weights = None
    strands: Annotated[StrandOptions, RUNNING] = StrandOptions()  # noqa: RUF009
    runtime: Runtime = RUNTIME
    running: Annotated[RunOptions, RUNNING] = RunOptions()  # noqa: RUF009

    @property
    def source(self) -> ModelSource:
        """The arguments of zoo.load, to load the model later or in another process."""
        from zoo.prediction.model import ModelSource

        return ModelSource(self.model, self.weights, self.runtime, self.running, self.strands.rc)

    def load(self) -> LoadedModel:
        """The loaded model."""
        from zoo.prediction.model import load

        return load(self.model, self.weights, self.runtime, rc=self.strands.rc, **dataclasses.asdict(self.running))


Loaded = Annotated[ModelOptions, RUNNING]
DEFAULT = ModelOptions()


def of_function(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options of a plug-in's function by name; the annotation of each holds its type and its help."""
    options = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            annotation = parameter.annotation
            if isinstance(annotation, str):
                # one at a time, since other annotations may need imports that only a type checker does
                annotation = eval(annotation, function.__globals__)
            if get_origin(annotation) is Annotated:
                options[name] = parameter.replace(annotation=annotation)
    return options


def of_plugins(functions: Mapping[str, Callable[..., Any]]) -> Iterator[inspect.Parameter]:
    """The options of plug-ins, by title of the help, as parameters; a shared option is under all its titles."""
    shared: dict[str, list[tuple[str, inspect.Parameter]]] = {}
    for title, function in functions.items():
        for option, parameter in of_function(function).items():
            shared.setdefault(option, []).append((title, parameter))
    for users in shared.values():
        _, parameter = users[0]
        kind, text, *_ = get_args(parameter.annotation)
        groups = tuple(Group(title, sort_key=PLUGINS) for title, _ in users)
        yield parameter.replace(annotation=Annotated[kind, Parameter(help=text, group=groups)])


def check_known(given: Collection[str], function: Callable[..., Any] | None, owner: str) -> None:
    """Raise ZooError for an option that a plug-in's function does not have. owner: the plug-in's name in messages."""
    known = of_function(function) if function else {}
    for option in given:
        if option not in known:
            raise ZooError(f"--{option.replace('_', '-')}: {owner} has no such option")


def extend(command: Callable[..., Any], parameters: Iterator[inspect.Parameter]) -> None:
    """Replace the last parameter of a command, `**given`, by the options of plug-ins."""
    signature = inspect.signature(command)
    own = list(signature.parameters.values())[:-1]
    command.__signature__ = signature.replace(parameters=[*own, *parameters])  # type: ignore[attr-defined]
