"""A weights file of another program -> Checkpoint: its format is found by its content, its model by its arrays.

A PyTorch file whose names and shapes are those of a model's network is taken as it is (state_dicts.py). Models with
`read_layers` (Reader) recognize their networks by the layers, whatever their names. The file must fit exactly one
model. Nothing is assumed in silence: what a file does not say must be given, or found by zoo/checks/match.py, which
assembles a file under every possibility.
"""

from __future__ import annotations

import dataclasses
import itertools
import textwrap
from pathlib import Path
from typing import Any, Protocol, get_args

import numpy as np

from zoo import errors, registry
from zoo.errors import OtherArchitecture, ZooError
from zoo.spec import ALPHABET
from zoo.system.files import file_md5
from zoo.weights import checkpoint, file_checks, lookup, model_arrays
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import keras, pytorch, state_dicts
from zoo.weights.importers.keras_graph import KERAS_EPSILON
from zoo.weights.importers.layers import Flatten, ImportedFile, ImportOptions

SHORTEST_REASON = 40
"""Characters of each model's reason in the message that a file fits none of them, however many models there are."""

DEFAULT = ImportOptions()

EPSILONS = (1e-5, KERAS_EPSILON)
"""Default epsilons of batch normalization: PyTorch's and Keras's."""

UNSAID = {
    "alphabet": "--alphabet ACGT or another base order",
    "flatten": "--flatten channel (PyTorch) or length (Keras)",
    "epsilon": "--epsilon 1e-5 (PyTorch) or 1e-3 (Keras)",
}
"""Option that a file may leave open -> how a message asks for it."""


class Reader(Protocol):
    """What a model that recognizes its networks by their layers has beside zoo.contracts.Model."""

    def read_layers(self, file: ImportedFile, options: ImportOptions) -> tuple[Any, dict[str, np.ndarray]]:
        """A file -> Config and canonical arrays.

        Raises OtherArchitecture if the file holds another network, or fits only another sequence length than the given
        one or the default; another ZooError if the file may hold this network and an option is missing or wrong.
        """


def read(path: Path, options: ImportOptions = DEFAULT, architecture: str | None = None) -> Checkpoint:
    """A Keras .h5 or a PyTorch state dict -> canonical weights of `architecture`, or of the only model that fits.

    architecture: also the name of a variant.

    Raises ZooError if the file has another format, fits no model or several, an option is missing that it needs, or an
    option contradicts it.
    """
    file = read_file(path, options.graph, options.prefix)
    weights = assemble(file, options, architecture)
    missing = [name for name in _open_options(file) if getattr(options, name) is None]
    if _named(file, options, architecture) is not None:
        return weights
    if file.format == "Keras" or _has_our_names(file, weights):
        missing = [name for name in missing if name == "alphabet"]
    if missing:
        wanted = ", ".join(UNSAID[name] for name in missing)
        raise ZooError(f"{path}: does not say how its network was built; give {wanted}; or better --match, see --help")
    return weights


def read_file(path: Path, graph: Path | None = None, prefix: str | None = None) -> ImportedFile:
    """Read a file, whatever network it holds. graph, prefix: see ImportOptions."""
    kind = _kind(path)
    if kind == "hdf5":
        if prefix is not None:
            raise ZooError(f"--prefix does not apply to {path.name}, a Keras file")
        file = keras.read(path, graph)
    elif graph is not None:
        raise ZooError(f"--graph does not apply to {path.name}, a PyTorch file")
    else:
        file = pytorch.read(path, kind == "safetensors", prefix)
    md5 = file_md5(path)
    name = f"{path.name} (md5 {md5})"
    for module in registry.working("models").values():
        published = getattr(module, "PUBLISHED", None)
        if published and md5 in published.citations:
            citation, licence = published.citations[md5]
            source, card = f"{citation}; {name}", registry.card(module, published.variant)
            return dataclasses.replace(file, source=source, licence=licence, alphabet=published.alphabet, card=card)
    return dataclasses.replace(file, source=f"imported from {name}")


def assemble(file: ImportedFile, options: ImportOptions = DEFAULT, architecture: str | None = None) -> Checkpoint:
    """Make the weights of a file under these options, without asking whether any is missing.

    `graph` and `prefix` are unused, since they say how a file is read.

    Raises ZooError as `read` does otherwise.
    """
    spec = file.spec
    named = _named(file, options, architecture)
    if named is not None:
        name, config, arrays, imported = named.architecture, named.config, named.arrays, named.description
    else:
        _check_agreement(file, options)
        given = architecture or (spec.architecture if spec else None)
        name, (config, arrays) = _only_one(file, options, _readers(given))
        imported = _description(file, options)
    source, licence, card = file.source, file.licence, file.card
    if spec and checkpoint.weights_id(arrays) == spec.weights_id:
        source, licence, imported, card = spec.source, spec.licence, spec.imported, spec.card
    source, licence = options.source or source, options.licence or licence
    return checkpoint.make(name, config, arrays, source, licence, imported, file.path, card)


def _named(file: ImportedFile, options: ImportOptions, architecture: str | None) -> state_dicts.Named | None:
    """The network whose names and shapes the arrays of a file have; None if there is none, or it has to be recognized
    by its layers."""
    if file.arrays is None or (architecture and not state_dicts.by_names(_plugin(architecture))):
        return None
    return state_dicts.find(file.arrays, options, architecture, str(file.path))


def _plugin(architecture: str) -> Any:
    """The model of an architecture or of a variant."""
    return registry.load("models", lookup.variants().get(architecture, architecture))


def combinations(
    file: ImportedFile, options: ImportOptions = DEFAULT, architecture: str | None = None
) -> list[ImportOptions]:
    """All options that a file may need: every alphabet, flatten order and usual epsilon that it leaves open, and the
    given epsilon."""
    values: dict[str, list[Any]] = {
        "alphabet": ["".join(order) for order in itertools.permutations(ALPHABET)],
        "flatten": list(get_args(Flatten)),
        "epsilon": sorted({*EPSILONS, options.epsilon or KERAS_EPSILON}),
    }
    left = _open_options(file)
    plain = dataclasses.replace(options, alphabet=None, flatten=None, epsilon=None)
    if (named := _named(file, plain, architecture)) is not None:
        left = ["alphabet"] if named.base_arrays else []
    return [
        dataclasses.replace(options, **dict(zip(left, chosen, strict=True)))
        for chosen in itertools.product(*(values[name] for name in left))
    ]


def _open_options(file: ImportedFile) -> list[str]:
    """The options among alphabet, flatten and epsilon that the file does not answer."""
    answered = {
        "alphabet": file.spec is not None or file.alphabet is not None,
        "flatten": file.format == "Keras",
        "epsilon": file.spec is not None or file.graph is not None,
    }
    return [name for name, known in answered.items() if not known]


def _check_agreement(file: ImportedFile, options: ImportOptions) -> None:
    """Raise ZooError for an option that contradicts the file. A known epsilon is the model's, and never given."""
    answers = {"alphabet": file.alphabet or ALPHABET, "flatten": "length", "epsilon": None}
    for name in answers.keys() - _open_options(file):
        given = getattr(options, name)
        if given is not None and str(given).upper() != str(answers[name]).upper():
            raise ZooError(f"{file.path}: --{name} {given} does not apply; the file has its own value")


def _has_our_names(file: ImportedFile, weights: Checkpoint) -> bool:
    """Whether all layers have the names in the zoo's own network, so that flatten order and epsilon are the model's."""
    architecture = weights.spec.architecture
    names = {layer.name: layer.norm_name for layer in file.layers}
    ours = model_arrays.layer_norms(architecture, weights.config)
    return names == {**ours, **dict.fromkeys(model_arrays.heads(architecture))}


def _description(file: ImportedFile, options: ImportOptions) -> str:
    """How a file was read, for its ModelSpec."""
    values = {
        "alphabet": options.alphabet or file.alphabet or ALPHABET,
        "flatten": options.flatten,
        "epsilon": options.epsilon,
    }
    own = "as in Keras" if file.format == "Keras" else "as in the zoo's network"
    prefix = [f"prefix {options.prefix}"] if options.prefix else []
    return ", ".join([*prefix, *(f"{name} {own if value is None else value}" for name, value in values.items())])


def _readers(architecture: str | None) -> dict[str, Any]:
    """Architecture -> its `read_layers`: of all that have one, or of the given one."""
    models = registry.working("models")
    readers = {name: module.read_layers for name, module in models.items() if hasattr(module, "read_layers")}
    if architecture is None:
        return readers
    architecture = lookup.variants().get(architecture, architecture)
    registry.load("models", architecture)
    if architecture not in readers:
        known = " or ".join(readers)
        raise ZooError(f"--architecture {architecture}: expected one that can be imported from a Keras file, {known}")
    return {architecture: readers[architecture]}


def _only_one(file: ImportedFile, options: ImportOptions, readers: dict[str, Any]) -> tuple[str, tuple[Any, Any]]:
    """The architecture that a file fits, and what its reader gives. Raises ZooError unless exactly one fits."""
    fitting: dict[str, Any] = {}
    others: dict[str, OtherArchitecture] = {}
    for name, reader in readers.items():
        try:
            fitting[name] = reader(file, options)
        except OtherArchitecture as error:
            others[name] = error
        except ZooError as error:
            fitting[name] = error
    if len(fitting) > 1:
        raise ZooError(f"{file.path}: fits {' and '.join(fitting)}; choose one with --architecture")
    for name, result in fitting.items():
        if isinstance(result, ZooError):
            raise result
        return name, result
    if len(others) == 1:
        raise next(iter(others.values()))
    start = f"{file.path}: fits no architecture; "
    # the reasons of all models have to fit one message; --architecture shows one reason in full
    share = max(0, errors.LONGEST - len(start)) // max(1, len(others)) - len("; ")
    reasons = [f"{name}: {str(error).removeprefix(f'{file.path}: ')}" for name, error in others.items()]
    short = [textwrap.shorten(reason, max(share, SHORTEST_REASON), placeholder=" ...") for reason in reasons]
    raise OtherArchitecture(start + "; ".join(short))


def _kind(path: Path) -> str:
    """Kind of a file by its first bytes: "hdf5", "zip", "pickle" or "safetensors". Raises ZooError for others."""
    file_checks.check_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    for kind, first in {"hdf5": b"\x89HDF\r\n\x1a\n", "zip": b"PK\x03\x04", "pickle": b"\x80"}.items():
        if start.startswith(first):
            return kind
    if start[8:] == b"{":
        return "safetensors"
    raise ZooError(
        f"{path}: expected a Keras .h5 or a PyTorch .pt, .pth, .ckpt or .safetensors, got another format; a "
        "network with its graph is imported with -o FILE.onnx"
    )
