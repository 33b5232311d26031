"""Files that belong to one model, such as a background: arrays and a JSON object about them, in a NumPy archive (.npz)
without pickles. The object names the weights, the network, the targets and the rule for strands; the runtime is free.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.spec import ModelSpec
from zoo.system.atomic import Inputs, check_target

SUFFIX = ".npz"

ABOUT, FORMAT = "about", "format"
"""Array with the JSON text, uint8; and its entry that says what the file is, and the version of its form."""


def check_output(path: Path, overwrite: bool, inputs: Inputs) -> None:
    """Raise ZooError for a name without SUFFIX, or a file that could not be written. inputs: files that are read."""
    if path.suffix != SUFFIX:
        raise ZooError(f"{path}: expected a name that ends in {SUFFIX}")
    check_target(path, overwrite, inputs)


def identity(spec: ModelSpec, rc: str | None) -> dict[str, Any]:
    """What a file belongs to, JSON types."""
    return {"weights": spec.weights_id, "network": spec.network_id, "targets": list(spec.targets), "rc": rc}


def write(path: Path, kind: str, version: int, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a file, whose bytes depend only on the arguments. kind: such as "background".  about: with `identity`."""
    text = json.dumps({FORMAT: [kind, version], **about}).encode()
    with path.open("wb") as file:
        named: Any = {ABOUT: np.frombuffer(text, np.uint8), **arrays}
        np.savez(file, **named)


def read(path: Path, kind: str, version: int, command: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The object and the arrays that `write` wrote. command: what makes such a file, for the errors.

    Raises ZooError for a file of another kind or version, and for a damaged one.
    """
    if not path.is_file():
        raise ZooError(f"{path}: {f'expected a {kind}, this is a folder' if path.is_dir() else 'no such file'}")
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as archive:
            about = json.loads(archive[ABOUT].tobytes())
            arrays = {name: archive[name] for name in archive.files if name != ABOUT}
        its_kind, its_version = about[FORMAT]
    except (OSError, ValueError, KeyError, TypeError, EOFError, AttributeError, MemoryError, zipfile.BadZipFile):
        raise ZooError(f"{path}: expected a {kind} that {command} wrote, this is another or a damaged file") from None
    if its_kind != kind:
        raise ZooError(f"{path}: expected a {kind} that {command} wrote, this is a {its_kind!s:.20}")
    if its_version != version:
        raise ZooError(f"{path}: version {its_version!s:.20} of a {kind} was written by another release; make it again")
    return about, arrays


def check(path: Path, about: Mapping[str, Any], command: str, spec: ModelSpec, rc: str | None) -> None:
    """Raise ZooError unless a file is of this model: its weights, network, targets and strands."""
    ours = identity(spec, rc)
    theirs = {name: about.get(name) for name in ours}
    if ours == theirs:
        return
    if (ours["weights"], ours["network"]) != (theirs["weights"], theirs["network"]):
        found = f"of weights {str(theirs['weights'])[:12]}, and these are {spec.weights_id[:12]}"
    elif ours["rc"] != theirs["rc"]:
        advice = "one strand; leave out --both-strands" if rc else "both strands; add --both-strands"
        raise ZooError(f"{path}: is of {advice}, or make another with {command}")
    else:
        found = f"of other targets, {theirs['targets']!s:.60}"
    raise ZooError(f"{path}: is {found}; {command} makes one for this model")
