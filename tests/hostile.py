"""Weights files that nobody should trust: how they are refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checkpoints import ODD, random_checkpoint

from zoo.errors import LONGEST, ZooError
from zoo.weights.importers import importer
from zoo.weights.importers.layers import ImportOptions

WEIGHTS = random_checkpoint(ODD)
OPTIONS = ImportOptions(alphabet="ACGT", flatten="channel", epsilon=1e-3, length=53, targets=("a", "b", "c"))


def refusal(call: Callable[[], Any], path: Path, *facts: object) -> None:
    """The call refuses the file `path` in one line that holds every fact, before it takes much memory."""
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
    assert not [fact for fact in facts if str(fact) not in message], message


def refused_import(path: Path, *facts: object, options: ImportOptions = OPTIONS) -> None:
    refusal(lambda: importer.read(path, options), path, *facts)
