"""Any weights file that the zoo can take in -> Checkpoint: told apart by content, read once, offered to the models.

A model takes part by `read_keras` and `read_state_dict` (`Reader`); the only one that the file fits is
taken. `read_file` and `assemble` are the two halves of `read`: the same file may be assembled under other options.
What is read as the options say is not checked here; zoo/checks/imported.py asks whether the numbers bear it out.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np

from zoo import errors, registry
from zoo.errors import OtherArchitecture, ZooError
from zoo.spec import ALPHABET
from zoo.system.files import file_md5
from zoo.weights import checkpoint, sizes
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import keras_h5, pytorch
from zoo.weights.importers.imported_layers import ImportedLayer
from zoo.weights.importers.keras_h5 import KerasFile

Flatten = Literal["channel", "length"]

SHORTEST_REASON = 40
"""Characters of what each model says of a file that none can take, however many models there are."""


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """What a file from elsewhere may not say of itself. None and () stand for "as the file says"."""

    alphabet: str | None = None
    """Base order that the network was trained on; by default ACGT, if the numbers bear it out."""

    flatten: Flatten | None = None
    """Order in which a PyTorch port flattens: channel (as PyTorch does) or length (as Keras does)."""

    epsilon: float | None = None
    """Of a PyTorch port's batch normalization: 1e-5 as PyTorch has it, 1e-3 as Keras."""

    length: int | None = None
    """Sequence length in bases, if the file does not say."""

    targets: tuple[str, ...] = ()
    """Names of the outputs: dev,hk."""

    graph: Path | None = None
    """The .json of a Keras model whose .h5 holds weights alone."""

    source: str | None = None
    """Where the weights come from, to be kept with them."""

    licence: str | None = None
    """On what terms they may be used."""

    def __post_init__(self) -> None:
        orders = get_args(Flatten)
        if self.alphabet is not None and sorted(self.alphabet.upper()) != sorted(ALPHABET):
            raise ZooError(f"alphabet: expected the letters {ALPHABET} in some order, got {self.alphabet!r}")
        if self.flatten is not None and self.flatten not in orders:
            raise ZooError(f"flatten: expected {' or '.join(orders)}, got {self.flatten!r}")
        if self.epsilon is not None and not 0 < self.epsilon < math.inf:
            raise ZooError(f"epsilon: expected a number above 0, got {self.epsilon}")


DEFAULT = ImportOptions()


class Reader(Protocol):
    """What a model offers, beside zoo.contracts.Model, to read files of other programs. Each function is optional.

    Both raise OtherArchitecture if the file holds another network, or fits only another sequence length than the given
    one or the default; another ZooError if the file may hold this network and an option is missing or wrong.
    """

    def read_keras(self, file: KerasFile, options: ImportOptions) -> tuple[Any, dict[str, np.ndarray]]:
        """A Keras file -> Config and canonical arrays."""

    def read_state_dict(
        self, layers: Sequence[ImportedLayer], options: ImportOptions, where: str
    ) -> tuple[Any, dict[str, np.ndarray]]:
        """Layers of a PyTorch state dict, from the file `where` -> Config and canonical arrays."""


EPSILONS = (1e-3, 1e-5)
"""Of batch normalization, unless it was chosen: Keras's and PyTorch's."""


@dataclasses.dataclass(frozen=True)
class ImportedFile:
    """A file that was read. content: of a Keras file, or the layers of a PyTorch one.  source, licence: what is known
    of the file without its content."""

    path: Path
    content: KerasFile | tuple[ImportedLayer, ...]
    source: str
    licence: str

    @property
    def offer(self) -> str:
        """What a model has to offer, in order to be asked."""
        return "read_keras" if isinstance(self.content, KerasFile) else "read_state_dict"


def read(path: Path, options: ImportOptions = DEFAULT, architecture: str | None = None) -> Checkpoint:
    """A Keras .h5 or a PyTorch state dict -> canonical weights of the only model that it fits, or of `architecture`.

    Raises ZooError if the file is of another kind, fits no model or more than one, lacks what an option would give, or
    an option does not apply to its kind.
    """
    return assemble(read_file(path, options.graph), options, architecture)


def read_file(path: Path, graph: Path | None = None) -> ImportedFile:
    """Read a file, whatever network it holds. graph: the .json of a Keras model."""
    kind = _kind(path)
    if kind == "hdf5":
        return ImportedFile(path, keras_h5.read(path, graph), *_provenance(path))
    if graph is not None:
        raise ZooError(f"--graph does not apply to {path.name}, a PyTorch file")
    arrays = pytorch.read(path, safetensors=kind == "safetensors")
    return ImportedFile(path, tuple(pytorch.layers(arrays, str(path))), *_provenance(path))


def assemble(file: ImportedFile, options: ImportOptions = DEFAULT, architecture: str | None = None) -> Checkpoint:
    """As `read`, for a file that was read before; `options.graph` has no say any more."""
    spec = file.content.spec if isinstance(file.content, KerasFile) else None
    _check_applicable(file, options)
    chosen = architecture or (spec.architecture if spec else None)
    name, (config, arrays) = _only_one(file, options, _readers(file.offer, chosen))
    source, licence, imported = file.source, file.licence, _as_read(file, options)
    if spec and checkpoint.weights_id(arrays) == spec.weights_id:
        source, licence, imported = spec.source, spec.licence, spec.imported
    return checkpoint.make(name, config, arrays, options.source or source, options.licence or licence, imported)


def combinations(file: ImportedFile, options: ImportOptions = DEFAULT) -> list[ImportOptions]:
    """All that a file may mean, as far as it does not say: every alphabet, with both flatten orders and the usual
    epsilons beside the given one where it says neither."""
    letters = ["".join(order) for order in itertools.permutations(ALPHABET)] if _unsaid(file, "alphabet") else [None]
    orders = get_args(Flatten) if _unsaid(file, "flatten") else [None]
    epsilons = sorted({*EPSILONS, options.epsilon or EPSILONS[0]}) if _unsaid(file, "epsilon") else [None]
    return [
        dataclasses.replace(options, alphabet=alphabet, flatten=flatten, epsilon=epsilon)
        for alphabet, flatten, epsilon in itertools.product(letters, orders, epsilons)
    ]


def _unsaid(file: ImportedFile, option: str) -> bool:
    """Whether a file leaves the alphabet, the flatten order or the epsilon open."""
    if not isinstance(file.content, KerasFile):
        return True
    if file.content.spec is not None:
        return False
    return option == "alphabet" or (option == "epsilon" and file.content.graph is None)


def _check_applicable(file: ImportedFile, options: ImportOptions) -> None:
    """Raise ZooError for an option that says what the file says itself."""
    for name in ("alphabet", "flatten", "epsilon"):
        if getattr(options, name) is not None and not _unsaid(file, name):
            kind = "a Keras file" if name == "flatten" else "a Keras file that says its own"
            raise ZooError(f"--{name} does not apply to {file.path.name}, {kind}")


def _as_read(file: ImportedFile, options: ImportOptions) -> str:
    """How a file was read, for its ModelSpec."""
    told = {"alphabet": options.alphabet or ALPHABET, "flatten": options.flatten, "epsilon": options.epsilon}
    own = "as Keras has it" if isinstance(file.content, KerasFile) else "as the names of the arrays tell"
    return ", ".join(f"{name} {own if value is None else value}" for name, value in told.items())


def _readers(offer: str, architecture: str | None) -> dict[str, Any]:
    """Architecture -> its reader, of all that have one or of the one that is asked for."""
    readers = {name: getattr(module, offer, None) for name, module in registry.working("models").items()}
    readers = {name: reader for name, reader in readers.items() if reader}
    if architecture is None:
        return readers
    registry.load("models", architecture)
    if architecture not in readers:
        kind = "Keras files" if offer == "read_keras" else "PyTorch state dicts"
        raise ZooError(f"--architecture: {architecture} does not read {kind}; {' and '.join(readers) or 'none'} can")
    return {architecture: readers[architecture]}


def _only_one(file: ImportedFile, options: ImportOptions, readers: dict[str, Any]) -> tuple[str, tuple[Any, Any]]:
    """The architecture that a file fits, and what its reader gives. Raises ZooError if there is not exactly one."""
    possible: dict[str, Any] = {}
    others: dict[str, OtherArchitecture] = {}
    for name, reader in readers.items():
        try:
            possible[name] = _ask(reader, file, options)
        except OtherArchitecture as error:
            others[name] = error
        except ZooError as error:
            possible[name] = error
    if len(possible) > 1:
        raise ZooError(f"{file.path}: may be {' or '.join(possible)}; say which with --architecture")
    for name, result in possible.items():
        if isinstance(result, ZooError):
            raise result
        return name, result
    if len(others) == 1:
        raise next(iter(others.values()))
    start = f"{file.path}: fits no architecture; "
    # each says as much as the longest message leaves to it; --architecture gives the whole of one
    share = max(0, errors.LONGEST - len(start)) // max(1, len(others)) - len("; ")
    reasons = [f"{name}: {str(error).removeprefix(f'{file.path}: ')}" for name, error in others.items()]
    short = [textwrap.shorten(reason, max(share, SHORTEST_REASON), placeholder=" ...") for reason in reasons]
    raise OtherArchitecture(start + "; ".join(short))


def _ask(reader: Any, file: ImportedFile, options: ImportOptions) -> Any:
    if isinstance(file.content, KerasFile):
        return reader(file.content, options)
    return reader(file.content, options, str(file.path))


def _provenance(path: Path) -> tuple[str, str]:
    """Source and licence of a file: its name and md5, after the citation if a model knows it as a published one."""
    digest = file_md5(path)
    name = f"{path.name} (md5 {digest})"
    for module in registry.working("models").values():
        published = getattr(module, "PUBLISHED", None)
        if published and digest in published.citations:
            citation, licence = published.citations[digest]
            return f"{citation}; {name}", licence
    return f"imported from {name}", "unknown"


def _kind(path: Path) -> str:
    """What a file is by its first bytes: "hdf5", "zip", "pickle" or "safetensors". Raises ZooError if none of them."""
    sizes.check_file(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    magic = {"hdf5": b"\x89HDF\r\n\x1a\n", "zip": b"PK\x03\x04", "pickle": b"\x80"}
    kind = next((name for name, first in magic.items() if start.startswith(first)), None)
    kind = "safetensors" if kind is None and start[8:] == b"{" else kind
    if kind is None:
        raise ZooError(f"{path}: expected a Keras .h5 or a PyTorch .pt, .pth, .ckpt or .safetensors, got none of them")
    return kind
