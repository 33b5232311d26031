"""Exports that a runtime needs, made once and kept in the cache.

The name of a kept file is a digest of all that it was made from, the ModelSpec and the code of the model and of the
exporter included; exporters put a digest into
the file itself, and a damaged one is made again. Exporters are found by name.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import zoo
from zoo import registry
from zoo.errors import ZooError
from zoo.spec import ModelSpec
from zoo.system.atomic import temporary_folder
from zoo.system.files import cache_folder
from zoo.weights import checkpoint, file_checks, lookup
from zoo.weights.checkpoint import Checkpoint


def write(name: str, weights: str | Path, path: Path, model: str | None = None, **settings: Any) -> ModelSpec:
    """Write weights, by name or from a file, in a format. Returns their spec; warns of bundled weights.

    A file from which the exporter `name` makes the format itself (CONVERTS) needs no arrays: the graph of an imported
    network. model: the network that they must be of.  settings: of the format, and overwrite.
    Raises what the exporter raises, and as lookup.load does.
    """
    exporter, file = registry.load("exporters", name), lookup.file_of(weights)
    if file is not None and file.suffix.lower() in getattr(exporter, "CONVERTS", ()):
        spec: ModelSpec = exporter.convert(file, path, **settings)
        lookup.warn_of_imitation(spec.weights_id)
        return spec
    source = lookup.load(model, weights)
    exporter.export(source, path, **settings)
    return source.spec


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
