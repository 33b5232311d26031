"""A folder of labelled sequences as they were published."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled_files import dna, write_published


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, side in enumerate(("Train", "Val", "Test")):
        write_published(tmp_path, side, dna(6 - number, seed=number))
    return tmp_path
