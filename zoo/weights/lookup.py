"""Which weights a user means: a name for bundled ones, name:published for pulled ones, a path for a file.

Reads files, knows no runtime; a caller says which file suffixes its runtime runs as they are.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.defaults import MODEL
from zoo.errors import ZooError, did_you_mean
from zoo.spec import ModelSpec
from zoo.system.files import cache_folder
from zoo.weights import checkpoint
from zoo.weights.checkpoint import Checkpoint

PRETRAINED = Path(__file__).parent / "pretrained"
"""Folder of the bundled weights: NAME.safetensors and NAME.onnx, described by catalog.toml."""

CATALOG = "catalog.toml"

PUBLISHED = "published"
"""What stands behind the colon for the weights of the paper, which `zoo pull` brings."""

RUN_WEIGHTS = "weights.safetensors"
"""The best weights in the folder of a run, which stands for them."""

RUN_RECEIPTS = "run.json"
"""What the folder of a run says of it."""

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
        offer = getattr(module, "PUBLISHED", None)
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


def fidelity(name: str, targets: Sequence[str]) -> dict[str, float]:
    """Target -> how near bundled weights come to the model that they imitate: Pearson r of their outputs on windows of
    a genome that they were not trained on. Targets of which catalog.toml says nothing are left out.
    """
    found = catalog()[name].get("fidelity", {})
    keys = {target: f"windows_{target}_pearson" for target in targets}
    return {target: found[key] for target, key in keys.items() if key in found}


def published_path(name: str) -> Path:
    """Where `zoo pull NAME` puts the published weights of a model."""
    return cache_folder("pulled") / f"{name}{checkpoint.SUFFIX}"


def resolve(
    model: str | None = None, weights: str | Path | None = None, files: tuple[str, ...] = ()
) -> Checkpoint | Path:
    """The weights to run: a checkpoint, or the path of a file that the runtime runs as it is.

    model: a variant such as "original", for its bundled weights, or "original:published" for the pulled ones; None
        for what `weights` hold, and without these for the default.
    weights: a file, the folder of a run, or a name as in `model`. It says itself which network it holds.
    files: suffixes that the runtime takes. Bundled weights come in that form where they can, so that ONNX Runtime
        works without PyTorch.

    Raises ZooError for a name or a file that is not there, for a file that cannot be run, and for weights of another
    network than `model` is.
    """
    if model is not None:
        _check_name(model)
    if weights is None:
        return _named(model or MODEL, files)
    found = _named(str(weights), files) if is_name(weights) else _file(Path(weights), files)
    if model is not None:
        _check_network(model, weights, found.spec if isinstance(found, Checkpoint) else read_spec(found))
    return found


def is_name(weights: str | Path) -> bool:
    """Whether these are weights by name, and no file."""
    return isinstance(weights, str) and weights.partition(":")[0] in variants() and not Path(weights).exists()


def by_name(weights: Sequence[str]) -> dict[str, str]:
    """A name for each of several -> the weights, by name or from a file: "original" of the bundled ones, "mine" of
    mine.safetensors, "run.1" of the folder of that run. The default model where none is given.

    Raises ZooError for two of one name.
    """
    found: dict[str, str] = {}
    for one in weights or [MODEL]:
        path = Path(one)
        name = one if is_name(one) else path.name if path.is_dir() else path.stem
        if name in found:
            raise ZooError(f"{name}: two of the models would have this name; rename one of the files")
        found[name] = one
    return found


def file_of(weights: str | Path) -> Path | None:
    """The file that stands behind a name or a path of weights, absolute; None for bundled ones."""
    if is_name(weights):
        variant, colon, _ = str(weights).partition(":")
        return published_path(variant) if colon else None
    return _in_run(Path(weights)).absolute()


def read_spec(path: Path) -> ModelSpec:
    """The ModelSpec of a .safetensors file, checked against its arrays, or of a file that an exporter wrote.

    Raises ZooError if the file is missing, damaged, or carries no spec.
    """
    if path.is_dir():
        raise ZooError(f"{path}: expected a weights file, this is a folder")
    if not path.is_file():
        raise ZooError(f"{path}: no such file{did_you_mean(str(path), known_names())}")
    suffix = path.suffix.lower()
    if suffix == checkpoint.SUFFIX:
        return checkpoint.load(path).spec
    readable = [checkpoint.SUFFIX]
    for module in registry.working("exporters").values():
        read = getattr(module, "read_spec", None)
        if read:
            if suffix == module.SUFFIX:
                return read(path)
            readable.append(module.SUFFIX)
    raise ZooError(
        f"{path}: expected a {' or '.join(readable)} file, got {suffix or 'no suffix'}; "
        "weights of another program go through zoo import"
    )


def known_names() -> list[str]:
    """Every name that weights may have: variants, and those of the paper."""
    return [*sorted(variants()), *published_names()]


def path_of(weights: str | Path) -> Path:
    """The file of weights by name, bundled or published, or the file that is given, in the folder of a run its best.

    Raises ZooError for weights by name that are not on this machine.
    """
    if not is_name(weights):
        return _in_run(Path(weights))
    _named(str(weights), ())
    return file_of(weights) or PRETRAINED / f"{catalog()[str(weights)]['file']}{checkpoint.SUFFIX}"


def load(model: str | None = None, weights: str | Path | None = None) -> Checkpoint:
    """As `resolve`, for those who need the arrays."""
    found = resolve(model, weights)
    assert isinstance(found, Checkpoint), found
    return found


def _check_name(model: str) -> None:
    name, colon, _ = model.partition(":")
    if name not in variants():
        there = sorted(variants())
        advice = "; a file is given as weights (--weights)" if Path(model).exists() else ""
        raise ZooError(f"no model is called {name!r}{did_you_mean(name, there)}; there are {', '.join(there)}{advice}")
    if colon and model not in published_names():
        raise ZooError(
            f"expected {name} for the bundled weights or {' or '.join(published_names())} for those of the paper, "
            f"got {model!r}"
        )


def _check_network(model: str, weights: str | Path, spec: ModelSpec) -> None:
    """Raise ZooError if weights are of another architecture than a model, or of another of its variants.

    Those of one's own variant, whose sizes have no name, are of every variant of their architecture.
    """
    name = model.partition(":")[0]
    architecture = variants()[name]
    held = spec.architecture
    if held == architecture:
        module = registry.load("models", architecture)
        found = _sizes(module, module.Config(**spec.config))
        same = [variant for variant, config in module.VARIANTS.items() if _sizes(module, config) == found]
        if not same or name in same:
            return
        held = same[0]
    raise ZooError(
        f"{weights}: expected weights of the model {name}, these are of {held}; leave the model out, since weights say "
        "themselves what they are"
    )


def _sizes(module: Any, config: Any) -> tuple[int, dict[str, tuple[int, ...]]]:
    """Sequence length and shapes of the arrays, but for those of the head, which has a row a target."""
    shapes = module.array_shapes(config).items()
    return config.sequence_length, {name: shape for name, shape in shapes if not name.startswith(f"{module.HEAD}.")}


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


def run_of(weights: str | Path) -> Path | None:
    """The folder of the run whose best weights these are, as that folder or as the file in it; None for others."""
    path = Path(weights)
    folder = path if path.name != RUN_WEIGHTS else path.parent
    return folder if all((folder / name).is_file() for name in (RUN_WEIGHTS, RUN_RECEIPTS)) else None


def _in_run(path: Path) -> Path:
    """The weights in the folder of a run; any other path as it is."""
    return path / RUN_WEIGHTS if (path / RUN_WEIGHTS).is_file() else path


def _file(path: Path, files: tuple[str, ...]) -> Checkpoint | Path:
    path = _in_run(path)
    suffix = path.suffix.lower()
    if path.is_dir():
        raise ZooError(f"{path}: expected a weights file, this is a folder")
    if not path.is_file():
        near = did_you_mean(str(path), known_names())
        raise ZooError(f"{path}: no such weights file{near}; names are {', '.join(sorted(variants()))}")
    if suffix in files:
        return path
    if suffix == checkpoint.SUFFIX:
        return checkpoint.load(path)
    if suffix in FOREIGN:
        raise ZooError(f"{path}: weights of another program; zoo import {path} -o {path.stem}{checkpoint.SUFFIX} first")
    if suffix == ".onnx":
        raise ZooError(f"{path}: this runtime does not run .onnx files; give the {checkpoint.SUFFIX}, or see zoo list")
    raise ZooError(f"{path}: expected a {' or '.join((checkpoint.SUFFIX, *files))} file, got {suffix or 'no suffix'}")
