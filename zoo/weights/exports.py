"""Exports that a runtime needs, made once and kept in the cache.

The name of a kept file is a digest of all that it was made from, the ModelSpec and the code of the model and of the
exporter included; exporters put a digest into
the file itself, and a damaged one is made again. Exporters are found by name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zoo
from zoo import registry
from zoo.errors import ZooError
from zoo.spec import ModelSpec
from zoo.system.atomic import temporary_folder
from zoo.system.files import cache_folder
from zoo.weights import checkpoint, ensembles, file_checks, lookup
from zoo.weights.checkpoint import Checkpoint


def write(name: str, weights: str | Path, path: Path, model: str | None = None, **settings: Any) -> ModelSpec:
    """Write weights, by name or from a file, in a format. Returns their spec; warns of bundled weights.

    A file from which the exporter `name` makes the format itself (CONVERTS) needs no arrays: the graph of an imported
    network. model: the network that they must be of.  settings: of the format, and overwrite.
    Members of an ensemble become one file, if the format has such files.
    Raises what the exporter raises, and as lookup.load does.
    """
    exporter, members = registry.load("exporters", name), ensembles.members_of(weights)
    if len(members) > 1:
        return _write_ensemble(name, members, path, model, settings)
    (weights,) = members
    file = lookup.file_of(weights)
    if file is not None and file.suffix.lower() in getattr(exporter, "CONVERTS", ()):
        spec: ModelSpec = exporter.convert(file, path, **settings)
        lookup.warn_of_imitation(spec.weights_id)
        return spec
    source = lookup.load(model, weights)
    exporter.export(source, path, **settings)
    return source.spec


def _write_ensemble(
    name: str, members: Sequence[str | Path], path: Path, model: str | None, settings: Mapping[str, Any]
) -> ModelSpec:
    exporter = registry.load("exporters", name)
    join = getattr(exporter, "join", None)
    if join is None:
        able = [other for other, one in registry.working("exporters").items() if hasattr(one, "join")]
        raise ZooError(
            f"--{name}: has no files of several members; {' or '.join(f'--{one}' for one in able)} writes an ensemble"
        )
    found = [lookup.resolve(model, one, exporter.CONVERTS) for one in members]
    specs = [lookup.read_spec(one) if isinstance(one, Path) else one.spec for one in found]
    for spec in specs:
        lookup.warn_of_imitation(spec.weights_id)
    whole = ensembles.combined(members, specs)
    join(found, whole, path, **settings)
    return whole


def exported(weights: Checkpoint, name: str, **settings: Any) -> Path:
    """The file that the exporter `name` makes of these weights with these settings.

    Processes that make it at the same time write the same file; the last one wins. Raises what the exporter raises.
    """
    exporter = registry.load("exporters", name)
    code = [registry.code_digest("models", weights.spec.architecture), registry.code_digest("exporters", name)]
    array_digest = checkpoint.weights_id(weights.arrays)
    made_from = [array_digest, weights.spec.to_dict(), name, code, zoo.__version__, settings]
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    folder = cache_folder("exports")
    path = folder / f"{key}{exporter.SUFFIX}"
    try:
        if path.is_file() and file_checks.check_unopened(path):
            return path
    except ZooError:
        pass  # damaged: made again
    with temporary_folder(folder) as room:
        made = room / f"made{exporter.SUFFIX}"
        exporter.export(weights, made, **settings)
        return made.replace(path)
