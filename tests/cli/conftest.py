"""The working folder for tests of commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoints import ODD, random_checkpoint, random_codes

from zoo.weights import checkpoint


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with weights w.safetensors and ten records in seqs.fa."""
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), tmp_path / "w.safetensors")
    texts = ["".join("ACGTN"[code] for code in row) for row in random_codes(10, ODD.sequence_length)]
    (tmp_path / "seqs.fa").write_text("".join(f">s{number} x\n{text}\n" for number, text in enumerate(texts)))
    return tmp_path
