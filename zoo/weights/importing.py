"""Any weights file that the zoo can take in -> Checkpoint: told apart by content, read by the importer of its kind."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import Literal

from zoo.errors import ZooError
from zoo.models.deepstarr import BATCH_NORM_EPSILON, importer
from zoo.models.deepstarr.keras_weights import read_h5
from zoo.models.deepstarr.state_dict import read_state_dict
from zoo.spec import ALPHABET
from zoo.weights.checkpoint import Checkpoint

Flatten = Literal["channel", "length"]


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """What a file from elsewhere may not say of itself. None and () stand for "as the file says"."""

    alphabet: str = ALPHABET
    """Base order that the network was trained on."""

    flatten: Flatten | None = None
    """Order in which a PyTorch port flattens: channel (as PyTorch does) or length (as Keras does)."""

    epsilon: float | None = None
    """Of a PyTorch port's batch normalization, if not 1e-3 as in Keras."""

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


DEFAULT = ImportOptions()


def read(path: Path, options: ImportOptions = DEFAULT) -> Checkpoint:
    """A Keras .h5 or a PyTorch state dict -> canonical weights; see read_h5 and read_state_dict for the options.

    Raises ZooError if the file is of another kind, does not hold a DeepSTARR, or an option does not apply to its kind.
    """
    content = _kind(path)
    given = dataclasses.asdict(options) | {"targets": options.targets or None}
    flatten, epsilon, graph = (given.pop(name) for name in ("flatten", "epsilon", "graph"))
    if content == "hdf5":
        _refuse(path, "a Keras file", flatten=flatten, epsilon=epsilon)
        return read_h5(path, graph=graph, **given)
    _refuse(path, "a PyTorch file", graph=graph)
    return read_state_dict(path, flatten=flatten, epsilon=BATCH_NORM_EPSILON if epsilon is None else epsilon, **given)


def _kind(path: Path) -> str:
    if path.is_dir():
        raise ZooError(f"{path}: expected a weights file, this is a folder")
    if not path.is_file():
        raise ZooError(f"{path}: no such file")
    try:
        content = importer.kind(path)
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    if content == "unknown":
        raise ZooError(f"{path}: expected a Keras .h5 or a PyTorch .pt, .pth, .ckpt or .safetensors, got none of them")
    if content == "zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "model.weights.h5" in archive.namelist():
                raise ZooError(f"{path}: is a .keras archive; save the model as legacy .h5: model.save('model.h5')")
    return content


def _refuse(path: Path, kind: str, **settings: object) -> None:
    for name, value in settings.items():
        if value is not None:
            raise ZooError(f"--{name} does not apply to {path.name}, {kind}")
