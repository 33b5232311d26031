"""Look up weights by name or path: "original" or "original:bundled", "original:published" (pulled),
"hf:OWNER/NAME@REVISION" (pulled from a hub), a file, a run folder, or a pack. Without a name, the published weights of
the default model are used if they are on this machine.

Reads files and knows no runtime; the caller says which file suffixes its runtime reads itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from zoo import registry
from zoo.card import Card
from zoo.defaults import MODEL
from zoo.errors import ImitationWarning, ZooError, did_you_mean, nearest_first
from zoo.spec import ModelSpec
from zoo.system.files import cache_path
from zoo.weights import checkpoint, model_arrays, packs
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.published import Published

PRETRAINED = Path(__file__).parent / "pretrained"
"""Folder of the bundled weights: NAME.safetensors and NAME.onnx, described by catalog.toml."""

CATALOG = "catalog.toml"

PUBLISHED = "published"
"""Follows the colon in the name of published weights, which `zoo pull` downloads."""

BUNDLED = "bundled"
"""May follow the colon in the name of bundled weights."""

ENHANCERS = "strong_enhancers"
"""Sequences on which the error of bundled weights is quoted, as the start of names in `fidelity` of catalog.toml."""

RUN_WEIGHTS = "weights.safetensors"
"""The best weights in a run folder."""

RUN_RECEIPTS = "run.json"
"""The log of a run in its folder."""

WITHOUT_WEIGHTS = {
    "failed": "its training failed before the first epoch was finished",
    "interrupted": "its training was interrupted before the first epoch was finished; --resume continues it",
    "running": "its training has not finished the first epoch, or was killed before; --resume continues a killed one",
}
"""Status of a run -> why it has no weights."""

MOVED = f"its {RUN_WEIGHTS} was moved or removed"
"""Why a run of any other status has none."""

GRAPH = ".onnx"
"""Suffix of a graph, from which no arrays can be read."""

FOREIGN = (".h5", ".hdf5", ".keras", ".pt", ".pth", ".ckpt", ".bin")
"""Suffixes of weights files of other programs."""


def variants() -> dict[str, str]:
    """Model name -> its architecture, for all variants of all architectures."""
    models = registry.working("models")
    return {name: architecture for architecture, module in models.items() for name in module.VARIANTS}


def published() -> dict[str, str]:
    """Variant with published weights -> its architecture."""
    offers = {name: getattr(module, "PUBLISHED", None) for name, module in registry.working("models").items()}
    return {offer.variant: architecture for architecture, offer in offers.items() if offer}


def published_instead(architecture: str) -> str | None:
    """The variant of an architecture that has published weights, if any."""
    return next((variant for variant, other in published().items() if other == architecture), None)


def published_path(name: str) -> Path:
    """Where `zoo pull NAME` stores the published weights of a model."""
    return cache_path("pulled") / f"{name}{checkpoint.SUFFIX}"


def default() -> str:
    """The weights that are used if none are named: the published ones of the default model if they are on this machine,
    else its bundled ones."""
    return f"{MODEL}:{PUBLISHED}" if published_path(MODEL).is_file() else MODEL


def catalog(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """Model name -> entry of its bundled weights in catalog.toml, which zoo/training/release.py writes.

    An entry has `file`, the name of its files without suffix, `sha256` of each file by suffix, `weights_id`, `source`,
    `licence`, `commands` and `fidelity`, agreement with the imitated model.
    """
    path = (folder or PRETRAINED) / CATALOG
    if not path.is_file():
        return {}
    state = path.stat()
    return _catalog(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1)
def _catalog(path: Path, *_: int) -> dict[str, dict[str, Any]]:
    """Parse a catalog, which takes 15 ms, once for each state of the file."""
    return tomllib.loads(path.read_text("utf-8"))


def bundled_as(weights_id: str) -> str | None:
    """The model name of bundled weights; None if they are not bundled."""
    return next((name for name, entry in catalog().items() if entry.get("weights_id") == weights_id), None)


def about(weights_id: str) -> Published | None:
    """What was published about weights that are published, or bundled and imitate those; None for all others."""
    bundled = bundled_as(weights_id)
    for architecture in published().values():
        offer: Published = registry.load("models", architecture).PUBLISHED
        if offer.weights_id == weights_id or (bundled is not None and variants()[bundled] == architecture):
            return offer
    return None


def card(spec: ModelSpec) -> Card | None:
    """The card of weights: their own, or, for published and bundled weights in a file of an earlier release, that of
    their model. None for other files without one."""
    if spec.card is not None:
        return spec.card
    bundled = bundled_as(spec.weights_id)
    variant = bundled or (published_as(spec.weights_id) or "").partition(":")[0]
    own = registry.card(registry.load("models", spec.architecture), variant) if variant else None
    if own is None:
        return None
    if bundled and published_instead(spec.architecture):
        return dataclasses.replace(own, training_data="predictions of the published weights", held_out=())
    return own


def held_out_too(held_out: tuple[str, ...], start: ModelSpec | None) -> tuple[str, ...]:
    """Those of the chromosomes which a training holds out that its initial weights did not see either, as their card
    says; none if it lists none. start: the spec of the initial weights; None for random ones."""
    if start is None:
        return held_out
    known = card(start)
    return tuple(name for name in held_out if known and name in known.held_out)


def published_as(weights_id: str) -> str | None:
    """The name of published weights, such as "original:published"; None if they are not published."""
    for module in registry.working("models").values():
        offer = getattr(module, "PUBLISHED", None)
        if offer and offer.weights_id == weights_id:
            return f"{offer.variant}:{PUBLISHED}"
    return None


def error(fidelity: Mapping[str, float], targets: Sequence[str]) -> str:
    """The typical error on strong enhancers, a root mean square, and the largest, each of the worst target, in words.

    fidelity: agreement with the imitated model, as in catalog.toml.
    """
    typical, largest = (
        max(fidelity[f"{ENHANCERS}_{target}_{measure}"] for target in targets) for measure in ("rmse", "largest")
    )
    return f"typical error {typical:.1f}, up to {largest:.1f} log2 on strong enhancers"


def imitation(weights_id: str) -> str | None:
    """How far bundled weights are from the published ones that they imitate, the same on every machine; None for other
    weights, and if there are no published ones."""
    name = bundled_as(weights_id)
    if name is None or published_instead(variants()[name]) is None:
        return None
    entry, architecture = catalog()[name], registry.load("models", variants()[name])
    far = f": {error(entry['fidelity'], architecture.VARIANTS[name].targets)}" if "fidelity" in entry else ""
    return f"the bundled weights of {name} imitate the published model{far}"


def caution(weights_id: str) -> str | None:
    """`imitation`, and how to get the published weights on this machine."""
    text, name = imitation(weights_id), bundled_as(weights_id)
    imitated = published_instead(variants()[name]) if name else None
    if text is None or imitated is None:
        return None
    pulled = published_path(imitated).is_file()
    instead = f"--weights {imitated}:{PUBLISHED} uses" if pulled else f"zoo pull {imitated} brings"
    return f"{text}; {instead} the published ones"


def warn_of_imitation(weights_id: str) -> None:
    """Give an ImitationWarning for bundled weights that imitate published ones."""
    text = caution(weights_id)
    if text:
        warnings.warn(ImitationWarning(text), stacklevel=2)


def resolve(
    model: str | Path | None = None, weights: str | Path | None = None, files: tuple[str, ...] = ()
) -> Checkpoint | Path:
    """The weights to run: a Checkpoint, or the path of a file that the runtime reads itself.

    weights: a name such as "original", which is the same as "original:bundled", "original:published" for the pulled
        ones, or "hf:OWNER/NAME@REVISION" for those pulled from a hub; a file; a run folder; or a pack. None takes
        `model`, or `default()` without it.
    model: the same. Beside `weights`, the name of the network that they must be of.
    files: suffixes that the runtime reads itself. Bundled weights are used in such a form if there is one, so ONNX
        Runtime needs no PyTorch for them.

    Raises ZooError for an unknown name, a missing file, a file that cannot be run, and weights of another network than
    `model`.
    """
    if weights is None:
        weights = model if model is not None else default()
        model = None
    if model is not None:
        if not is_name(model):
            known = ", ".join(nearest_first(str(model), sorted(variants())))
            hint = did_you_mean(str(model), variants())
            raise ZooError(f"{model}: expected the name of a model beside the weights {weights}{hint}; known: {known}")
        _check_name(str(model))
    result = _by_name(str(weights), files) if is_name(weights) else _in_file(Path(weights), files)
    if model is not None:
        _check_network(str(model), weights, result.spec if isinstance(result, Checkpoint) else read_spec(result))
    return result


def load(model: str | Path | None = None, weights: str | Path | None = None) -> Checkpoint:
    """Same as `resolve`, for callers that need the arrays; warns of bundled weights."""
    result = resolve(model, weights)
    assert isinstance(result, Checkpoint), result
    warn_of_imitation(result.spec.weights_id)
    return result


def is_name(weights: str | Path) -> bool:
    """Whether these are weights by name, rather than a file. Raises ZooError if they could be either."""
    if packs.is_hub_name(weights):
        return True
    if not isinstance(weights, str) or weights.partition(":")[0] not in variants():
        return False
    if _in_run(Path(weights)).is_file():
        raise ZooError(
            f"{weights}: is the name of weights, and a file or run folder here; write ./{weights} for the file, or "
            f"{weights.partition(':')[0]}:{BUNDLED}"
        )
    return True


def short_name(weights: str | Path) -> str:
    """ "original" for that name, "mine" for mine.safetensors, "run.1" for that run folder, "odd@v1" for
    hf:lab/odd@v1."""
    path = Path(weights)
    whole = packs.is_hub_name(weights) or path.is_dir()
    return path.name if whole else str(weights) if is_name(weights) else path.stem


def file_of(weights: str | Path) -> Path | None:
    """The absolute path of weights by name or path; None for bundled weights."""
    if packs.is_hub_name(weights):
        folder = packs.hub_folder(str(weights))
        return packs.weights_in(folder) or folder
    if is_name(weights):
        variant, _, kind = str(weights).partition(":")
        return published_path(variant) if kind == PUBLISHED else None
    return _in_run(Path(weights)).absolute()


def path_of(weights: str | Path) -> Path:
    """The file of weights by name or path, bundled ones included. Raises ZooError for names without a file here."""
    if not is_name(weights):
        return _in_run(Path(weights))
    _by_name(str(weights), ())
    return file_of(weights) or PRETRAINED / f"{catalog()[str(weights).partition(':')[0]]['file']}{checkpoint.SUFFIX}"


def run_of(weights: str | Path) -> Path | None:
    """The run folder of weights, given as that folder or its weights file; None for other weights."""
    path = Path(weights)
    folder = path if path.name != RUN_WEIGHTS else path.parent
    return folder if all((folder / name).is_file() for name in (RUN_WEIGHTS, RUN_RECEIPTS)) else None


def read_spec(path: Path) -> ModelSpec:
    """The ModelSpec in a .safetensors file, which is checked as a whole, or in a file that an exporter wrote.

    Raises ZooError if the file is missing or damaged, or carries no spec.
    """
    _check_file(path)
    suffix = path.suffix.lower()
    if suffix == checkpoint.SUFFIX:
        return checkpoint.load(path).spec
    exporters = [module for module in registry.working("exporters").values() if hasattr(module, "read_spec")]
    for module in exporters:
        if suffix == module.SUFFIX:
            spec: ModelSpec = module.read_spec(path)
            return spec
    readable = " or ".join([checkpoint.SUFFIX, *(module.SUFFIX for module in exporters)])
    raise ZooError(
        f"{path}: expected a {readable} file, got {suffix or 'no suffix'}; "
        "convert weights of another program with zoo import"
    )


def names() -> list[str]:
    """Names of bundled and published weights, on this machine or not, and of those pulled from a hub."""
    return [*sorted(variants()), *_published_names(), *packs.pulled()]


def _published_names() -> list[str]:
    return [f"{variant}:{PUBLISHED}" for variant in published()]


def _check_name(model: str) -> None:
    """Raise ZooError unless a name that begins with that of a model is one of weights."""
    name, colon, kind = model.partition(":")
    if colon and kind != BUNDLED and model not in _published_names():
        raise ZooError(
            f"expected {name} or {name}:{BUNDLED} for the bundled weights, or {' or '.join(_published_names())} for "
            f"the published ones, got {model!r}"
        )


def _check_network(model: str, weights: str | Path, spec: ModelSpec) -> None:
    """Raise ZooError for weights of another architecture, or another variant of it, than a model.

    Weights whose sizes are those of no variant pass for every variant of their architecture.
    """
    name = model.partition(":")[0]
    held = spec.architecture
    if held == variants()[name]:
        config = checkpoint.config_of(spec)
        known = registry.load("models", held).VARIANTS
        same = [variant for variant in known if _same_sizes(held, known[variant], config)]
        if not same or name in same:
            return
        held = same[0]
    raise ZooError(
        f"{weights}: expected weights of the model {name}, these are of {held}; leave the model out, since the weights "
        "say which network they are for"
    )


def _same_sizes(architecture: str, variant: Any, config: Any) -> bool:
    """Whether a network has the sequence length and the arrays of a variant, but for the number of targets. Configs are
    compared if only the network says its arrays and PyTorch is not installed."""
    variant = dataclasses.replace(variant, targets=config.targets)
    shapes = [model_arrays.known_shapes(architecture, one) for one in (variant, config)]
    same: bool = variant == config if None in shapes else shapes[0] == shapes[1]
    return same and variant.sequence_length == config.sequence_length


def _by_name(model: str, files: tuple[str, ...]) -> Checkpoint | Path:
    """Bundled or published weights, and those of a hub."""
    if packs.is_hub_name(model):
        return _of_hub(model, files)
    _check_name(model)
    name, _, kind = model.partition(":")
    if kind == PUBLISHED:
        path = published_path(name)
        if not path.is_file():
            raise ZooError(f"the published weights of {name} are not on this machine; run zoo pull {name}")
        try:
            return checkpoint.load(path)
        except ZooError as error:
            raise ZooError(f"{error}; zoo pull {name} writes it again") from None
    if name not in catalog():
        variant = published_instead(variants()[name])
        pulled = f", or run zoo pull {variant} and use {variant}:{PUBLISHED}" if variant else ""
        raise ZooError(f"no weights of {name} are bundled; give a file with --weights{pulled}")
    entry = catalog()[name]
    for suffix in (*files, checkpoint.SUFFIX):
        path = PRETRAINED / f"{entry['file']}{suffix}"
        if path.is_file():
            if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"].get(suffix):
                raise ZooError(f"{path}: the bundled weights are damaged (sha256 differs); reinstall deepstarr-zoo")
            return checkpoint.load(path) if suffix == checkpoint.SUFFIX else path
    raise ZooError(f"{PRETRAINED}: the bundled weights of {name} are missing; reinstall deepstarr-zoo")


def _of_hub(name: str, files: tuple[str, ...]) -> Checkpoint | Path:
    """Weights of a hub that were pulled."""
    folder = packs.hub_folder(name)
    if not packs.is_pack(folder):
        raise ZooError(f"{name}: is not on this machine; run zoo pull {name}")
    try:
        return _in_file(folder, files)
    except ZooError as error:
        raise ZooError(f"{error}; zoo pull {name} fetches it again if it is damaged") from None


def run_status(folder: Path) -> str | None:
    """Status in the receipts of a run folder, such as "failed"; None if it has none that can be read."""
    try:
        status = json.loads((folder / RUN_RECEIPTS).read_text())["status"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return status if isinstance(status, str) else None


def _in_run(path: Path, files: tuple[str, ...] = ()) -> Path:
    """The weights in a run folder, or in a pack in a form that the runtime reads itself, if there is one; any other
    path unchanged."""
    if packs.is_pack(path):
        return packs.weights_in(path, files) or path
    return path / RUN_WEIGHTS if (path / RUN_WEIGHTS).is_file() else path


def weights_in(folder: Path) -> Path | None:
    """The weights file of a run folder or a pack; None for another folder."""
    found = _in_run(folder)
    return found if found != folder else None


def _check_file(path: Path) -> None:
    if path.is_dir():
        if (status := run_status(path)) is not None:
            raise ZooError(f"{path}: is a run folder without weights; {WITHOUT_WEIGHTS.get(status, MOVED)}")
        raise ZooError(f"{path}: expected a weights file, a run folder or a folder of those, this is another folder")
    if not path.is_file():
        if str(path) in names():
            raise ZooError(f"{path}: no such weights file; the weights of this name are given as text, not as a Path")
        if "," in str(path):
            raise ZooError(
                f"{path}: expected one weights file; this command takes no ensemble, give one of its members"
            )
        known = nearest_first(str(path), names())
        raise ZooError(f"{path}: no such weights file{did_you_mean(str(path), known)}; names are {', '.join(known)}")


def graph_runtimes() -> list[str]:
    """Runtimes that run .onnx files, usable here or not, sorted."""
    modules = registry.working("runtimes")
    takes = [name for name, module in modules.items() if GRAPH in getattr(module, "FILES", ())]
    return sorted(f"{name}-{device}" for name in takes for device in modules[name].DEVICES)


def _in_file(path: Path, files: tuple[str, ...]) -> Checkpoint | Path:
    """Weights in a file, a run folder or a pack."""
    path = _in_run(path, files)
    _check_file(path)
    suffix = path.suffix.lower()
    if suffix in files:
        return path
    if suffix == checkpoint.SUFFIX:
        return checkpoint.load(path)
    if suffix in FOREIGN:
        raise ZooError(f"{path}: weights of another program; run zoo import {path} -o {path.stem}{checkpoint.SUFFIX}")
    if suffix == GRAPH:
        if read_spec(path).frame is not None:
            raise ZooError(
                f"{path}: is an imported network, kept as its ONNX graph: {' and '.join(graph_runtimes())} run it; it "
                "has no arrays for other runtimes and formats, or for training"
            )
        raise ZooError(
            f"{path}: no arrays can be read from an .onnx file, which only some runtimes run (see zoo list); give the "
            f"{checkpoint.SUFFIX} file that it was exported from"
        )
    raise ZooError(f"{path}: expected a {' or '.join((checkpoint.SUFFIX, *files))} file, got {suffix or 'no suffix'}")
