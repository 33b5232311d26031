"""Weights files that nobody should trust: how they are refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checkpoints import ODD, random_checkpoint

from zoo.errors import LONGEST, ZooError
from zoo.weights.importers import importing
from zoo.weights.importers.importing import ImportOptions

WEIGHTS = random_checkpoint(ODD)
OPTIONS = ImportOptions(flatten="channel", epsilon=1e-3, length=53, targets=("a", "b", "c"))


def refusal(call: Callable[[], Any], path: Path) -> str:
    """The one line of a file that is refused, and refused before much memory is taken."""
    tracemalloc.start()
    try:
        with pytest.raises(ZooError) as caught:
            call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert peak < 50_000_000
    assert len(message) <= LONGEST
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def refused_import(path: Path, options: ImportOptions = OPTIONS) -> str:
    return refusal(lambda: importing.read(path, options), path)
