"""A fixture for tests of what writes figures beside its results: the files are there, but nothing is drawn.

A conftest.py or a test file that imports `undrawn` uses it for all its tests but those with the marker `drawn`.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import pytest

from zoo.system import figures


@pytest.fixture(autouse=True)
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the curves takes longer than a training of a second."""
    if request.node.get_closest_marker("drawn") is None:
        monkeypatch.setattr(figures, "write", _write_nothing)


def _write_nothing(figure: Any, file: Path | IO[bytes], kind: str = "") -> None:  # noqa: ARG001
    if isinstance(file, Path):
        file.touch()
