"""Weights and their ModelSpec in one .safetensors file: read, checked, written whole or not at all.

Needs NumPy and safetensors, no PyTorch.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.card import Card
from zoo.errors import ZooError
from zoo.frame import Profile
from zoo.spec import SPEC_KEY, ModelSpec
from zoo.system.atomic import replacing
from zoo.weights import file_checks, model_arrays
from zoo.weights.file_checks import DIGEST

SUFFIX = ".safetensors"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model: arrays are float32, with the names and shapes that model_arrays.shapes gives."""

    spec: ModelSpec
    arrays: dict[str, np.ndarray]

    @property
    def config(self) -> Any:
        """The architecture's own Config."""
        return config_of(self.spec)


def config_of(spec: ModelSpec) -> Any:
    """The Config in a spec, an object of the architecture's own class.

    Raises ZooError for an unknown architecture, for fields or values that its Config refuses, and for a config that
    contradicts the rest of the spec.
    """
    plugin = registry.load("models", spec.architecture)
    try:
        config = plugin.Config(**spec.config)
    except (TypeError, ValueError, OverflowError) as error:
        raise ZooError(f"config: does not fit the architecture {spec.architecture} ({error})") from None
    for name in ("sequence_length", "targets"):
        if getattr(config, name) != getattr(spec, name):
            raise ZooError(f"{name}: the spec says {getattr(spec, name)!r}, its config {getattr(config, name)!r}")
    return config


def profiles_of(spec: ModelSpec) -> tuple[Profile, ...]:
    """The profiles of a network: those of its frame if it was imported as a graph, else those of its model. Of an
    ensemble, those of its members if they are one network with different weights, else none."""
    if spec.frame is not None:
        return spec.frame.profiles
    if len({one.network_id for one in spec.members}) > 1:
        return ()
    profiles = getattr(registry.load("models", spec.architecture), "profiles", None)
    return tuple(profiles(config_of(spec))) if profiles else ()


def read_spec(text: str | bytes, path: Path) -> ModelSpec:
    """Read the ModelSpec that the file `path` carries as JSON.

    Raises ZooError if it is not a ModelSpec or contradicts its config, or if the file was changed after it was written.
    """
    spec, digest = _checked_spec(text, path)
    file_checks.warn_without_digest(path, digest)
    return spec


def _checked_spec(text: str | bytes, path: Path) -> tuple[ModelSpec, Any]:
    """The ModelSpec, checked, and the digest in the file; None for a file of an earlier release."""
    try:
        fields = file_checks.parse_json(text)
        if not isinstance(fields, dict):
            raise TypeError(f"expected an object, got {type(fields).__name__}")
        digest = fields.pop(DIGEST, None)
        spec = ModelSpec(**fields)
        config_of(spec)
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from None
    except (ValueError, TypeError) as error:
        raise ZooError(f"{path}: the model spec in its metadata cannot be read ({error})") from None
    file_checks.check_digest(path, digest)
    return spec, digest


def weights_id(arrays: dict[str, np.ndarray]) -> str:
    """sha256 (hex) of the name, shape and little-endian float32 bytes of each array, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name], "<f4")
        digest.update(f"{name}{list(array.shape)}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def make(
    architecture: str,
    config: Any,
    arrays: dict[str, np.ndarray],
    source: str,
    licence: str,
    imported: str = "",
    where: Path | None = None,
    card: Card | None = None,
) -> Checkpoint:
    """Make a Checkpoint of arrays and their network.

    source, licence, imported, card: see ModelSpec.  where: the file that errors name.

    Raises ZooError that names the first array that is missing, unexpected, misshapen or not finite.
    """
    _check_arrays(arrays, model_arrays.shapes(architecture, config), str(where or architecture))
    unit = getattr(registry.load("models", architecture), "UNIT", None)
    card = (card or Card()).filled(Card(unit=unit)) if unit else card
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    spec = dataclasses.replace(describe(architecture, config), weights_id=weights_id(arrays))
    spec = dataclasses.replace(spec, source=source, licence=licence, imported=imported, card=card)
    return Checkpoint(spec, arrays)


def describe(architecture: str, config: Any) -> ModelSpec:
    """The ModelSpec of a network without weights."""
    return ModelSpec(architecture, config.to_dict(), config.sequence_length, config.targets, weights_id="")


def save(checkpoint: Checkpoint, path: Path, overwrite: bool = False) -> None:
    """Write a .safetensors file, whole or not at all."""
    from safetensors.numpy import save_file

    with replacing(path, overwrite) as partial:
        # a single key, because the library writes several in any order
        save_file(checkpoint.arrays, partial, metadata={SPEC_KEY: file_checks.spec_json(checkpoint.spec.to_dict())})
        file_checks.write_digest(partial)


def load(path: Path) -> Checkpoint:
    """Read and check a .safetensors file: its digest, and the spec against its config, every array and the weights id.

    Names and shapes are checked unless only the network says them and PyTorch is not installed.
    Raises ZooError if the file is missing, cut off, changed, of another program, or contradicts its spec.
    """
    arrays, metadata = _read(path)
    if SPEC_KEY not in metadata:
        raise ZooError(
            f"{path}: has no deepstarr-zoo model spec in its header; convert weights of another program with zoo import"
        )
    spec, found = _checked_spec(metadata[SPEC_KEY], path)
    checkpoint = Checkpoint(spec, arrays)
    _check_arrays(arrays, model_arrays.known_shapes(spec.architecture, checkpoint.config), str(path))
    if weights_id(arrays) != spec.weights_id:
        raise ZooError(f"{path}: its arrays do not match its weights id {spec.weights_id[:12]}; the file is damaged")
    file_checks.warn_without_digest(path, found)
    return checkpoint


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    file_checks.check_file(path)
    try:
        with safe_open(path, "numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise ZooError(
            f"{path}: cannot be read as a .safetensors file; it is damaged or has another format ({error})"
        ) from None


def _check_arrays(arrays: dict[str, np.ndarray], shapes: model_arrays.Shapes | None, where: str) -> None:
    """Raise ZooError for the first array that is missing, misshapen, unexpected or has bad values. shapes: None if they
    are unknown."""
    for name, shape in (shapes or {}).items():
        if name not in arrays:
            raise ZooError(f"{where}: the array {name} {list(shape)} is missing")
        if arrays[name].shape != shape:
            raise ZooError(f"{where}: array {name}: expected shape {list(shape)}, got {list(arrays[name].shape)}")
    extra = sorted(set(arrays) - set(arrays if shapes is None else shapes))
    if extra:
        raise ZooError(f"{where}: unexpected array {extra[0]}; the network has no such array")
    for name, array in arrays.items():
        if array.dtype != np.float32:
            raise ZooError(f"{where}: array {name}: expected float32, got {array.dtype}")
        if not np.isfinite(array).all():
            raise ZooError(f"{where}: array {name} holds values that are not finite")
        if name.endswith("running_var") and not (array > 0).all():
            raise ZooError(f"{where}: array {name}: expected variances above 0, got {array.min():g}")
