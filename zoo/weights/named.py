"""Which weights a user means: a name for bundled ones, name:published for pulled ones, a path for a file.

Reads files, knows no runtime; a caller says which file suffixes its runtime runs as they are.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

from zoo import contracts, registry
from zoo.errors import ZooError
from zoo.system import cache
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint

PRETRAINED = Path(__file__).parent / "pretrained"
"""Folder of the bundled weights: NAME.safetensors and NAME.onnx, described by catalog.toml."""

CATALOG = "catalog.toml"

PUBLISHED = "published"
"""What stands behind the colon for the weights of the paper, which `zoo pull` brings."""

RUN_WEIGHTS = "weights.safetensors"
"""The best weights in the folder of a run, which stands for them."""

FOREIGN = (".h5", ".hdf5", ".keras", ".pt", ".pth", ".ckpt", ".bin")
"""Suffixes of weights that other programs write."""


def variants() -> dict[str, str]:
    """Model name -> architecture that it is a variant of, over all architectures there are."""
    return {
        name: architecture for architecture, module in registry.working("models").items() for name in module.VARIANTS
    }


def published() -> dict[str, str]:
    """Variant whose authors published weights -> its architecture."""
    found = {}
    for architecture, module in registry.working("models").items():
        offer = contracts.extra(module, "PUBLISHED")
        if offer:
            found[offer.variant] = architecture
    return found


def published_instead(architecture: str) -> str | None:
    """The variant of an architecture whose authors published weights; None if there is none."""
    return next((variant for variant, other in published().items() if other == architecture), None)


def published_names() -> list[str]:
    """What stands for published weights: original:published."""
    return [f"{variant}:{PUBLISHED}" for variant in published()]


def catalog(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """Model name -> what catalog.toml says of its bundled weights; empty where none are bundled.

    An entry has `file`, the name of its files without suffix, `sha256` of each file by suffix, `weights_id`, `source`,
    `licence`, `commands` and `fidelity`, how near the weights come to their teacher; zoo/training/release.py writes it.
    """
    path = (folder or PRETRAINED) / CATALOG
    return tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}


def bundled_as(weights_id: str) -> str | None:
    """The name under which weights are bundled; None if they are not."""
    return next((name for name, entry in catalog().items() if entry.get("weights_id") == weights_id), None)


def published_path(name: str) -> Path:
    """Where `zoo pull NAME` puts the published weights of a model."""
    return cache.folder("pulled") / f"{name}{checkpoint.SUFFIX}"


def resolve(model: str, weights: str | Path | None = None, files: tuple[str, ...] = ()) -> Checkpoint | Path:
    """The weights to run: a checkpoint, or the path of a file that the runtime runs as it is.

    model: a variant such as "original", for its bundled weights, or "original:published" for the pulled ones.
    weights: a file, the folder of a run, or a name as in `model`. It decides: a file says itself which network it
        holds, so that `model` then has no say beyond being a name that exists.
    files: suffixes that the runtime takes. Bundled weights come in that form where they can, so that ONNX Runtime
        works without PyTorch.

    Raises ZooError for a name or a file that is not there, and for a file that cannot be run.
    """
    _check_name(model)
    if weights is None:
        return _named(model, files)
    if isinstance(weights, str) and weights.partition(":")[0] in variants() and not Path(weights).exists():
        return _named(weights, files)
    return _file(Path(weights), files)


def file_of(weights: str | Path) -> Path | None:
    """The file that stands behind a name or a path of weights, absolute; None for bundled ones."""
    variant, colon, _ = str(weights).partition(":")
    if isinstance(weights, str) and variant in variants() and not Path(weights).exists():
        return published_path(variant) if colon else None
    return _in_run(Path(weights)).absolute()


def load(model: str, weights: str | Path | None = None) -> Checkpoint:
    """As `resolve`, for those who need the arrays."""
    found = resolve(model, weights)
    assert isinstance(found, Checkpoint), found
    return found


def _check_name(model: str) -> None:
    name, colon, _ = model.partition(":")
    if name not in variants():
        raise ZooError(f"no model is called {name!r}; there are {', '.join(sorted(variants()))}")
    if colon and model not in published_names():
        raise ZooError(
            f"expected {name} for the bundled weights or {' or '.join(published_names())} for those of the paper, "
            f"got {model!r}"
        )


def _named(model: str, files: tuple[str, ...]) -> Checkpoint | Path:
    _check_name(model)
    name, colon, _ = model.partition(":")
    if colon:
        path = published_path(name)
        if not path.is_file():
            raise ZooError(f"the published weights of {name} are not on this machine yet; zoo pull {name} brings them")
        return checkpoint.load(path)
    if name not in catalog():
        related = [variant for variant, architecture in published().items() if architecture == variants()[name]]
        pulled = "".join(f", or zoo pull {variant} and use {variant}:{PUBLISHED}" for variant in related)
        raise ZooError(f"no weights for {name} are bundled with this release; give a file with --weights{pulled}")
    entry = catalog()[name]
    for suffix in (*files, checkpoint.SUFFIX):
        path = PRETRAINED / f"{entry['file']}{suffix}"
        if path.is_file():
            _check_sum(path, entry["sha256"].get(suffix))
            return checkpoint.load(path) if suffix == checkpoint.SUFFIX else path
    raise ZooError(f"{PRETRAINED}: the bundled weights of {name} are not there; install deepstarr-zoo again")


def _check_sum(path: Path, expected: str | None) -> None:
    if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise ZooError(f"{path}: the bundled weights are damaged (sha256 differs); install deepstarr-zoo again")


def _in_run(path: Path) -> Path:
    """The weights in the folder of a run; any other path as it is."""
    return path / RUN_WEIGHTS if (path / RUN_WEIGHTS).is_file() else path


def _file(path: Path, files: tuple[str, ...]) -> Checkpoint | Path:
    path = _in_run(path)
    suffix = path.suffix.lower()
    if path.is_dir():
        raise ZooError(f"{path}: expected a weights file, this is a folder")
    if not path.is_file():
        raise ZooError(f"{path}: no such weights file; names are {', '.join(sorted(variants()))}")
    if suffix in files:
        return path
    if suffix == checkpoint.SUFFIX:
        return checkpoint.load(path)
    if suffix in FOREIGN:
        raise ZooError(f"{path}: weights of another program; zoo import {path} -o {path.stem}{checkpoint.SUFFIX} first")
    if suffix == ".onnx":
        raise ZooError(f"{path}: this runtime does not run .onnx files; give the {checkpoint.SUFFIX}, or see zoo list")
    raise ZooError(f"{path}: expected a {' or '.join((checkpoint.SUFFIX, *files))} file, got {suffix or 'no suffix'}")
