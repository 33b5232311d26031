"""Any weights file that the zoo can take in -> Checkpoint: told apart by content, read by the importer of its kind."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import ZooError
from zoo.models.deepstarr import BATCH_NORM_EPSILON, importer
from zoo.models.deepstarr.keras_weights import read_h5
from zoo.models.deepstarr.state_dict import read_state_dict
from zoo.spec import ALPHABET
from zoo.weights.checkpoint import Checkpoint


def read(
    path: Path,
    *,
    alphabet: str = ALPHABET,
    flatten: str | None = None,
    epsilon: float | None = None,
    length: int | None = None,
    targets: Sequence[str] | None = None,
    graph: Path | None = None,
    source: str | None = None,
    licence: str | None = None,
) -> Checkpoint:
    """A Keras .h5 or a PyTorch state dict -> canonical weights; see read_h5 and read_state_dict for the settings.

    Raises ZooError if the file is of another kind, does not hold a DeepSTARR, or a setting does not apply to its kind.
    """
    content = _kind(path)
    if content == "hdf5":
        _refuse(path, "a Keras file", flatten=flatten, epsilon=epsilon)
        return read_h5(
            path, alphabet=alphabet, length=length, targets=targets, graph=graph, source=source, licence=licence
        )
    _refuse(path, "a PyTorch file", graph=graph)
    return read_state_dict(
        path,
        alphabet=alphabet,
        flatten=flatten,
        epsilon=BATCH_NORM_EPSILON if epsilon is None else epsilon,
        length=length,
        targets=targets,
        source=source,
        licence=licence,
    )


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
