"""A small genome with weights."""

from __future__ import annotations

from pathlib import Path

import genomes
import pytest
from checkpoints import ODD, random_checkpoint

from zoo.weights import checkpoint


@pytest.fixture
def contigs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Of the genome g.fa, which is in the working folder with weights w.safetensors; one contig is too short."""
    pytest.importorskip("pysam", reason="pysam is not installed; the extra genome brings it")
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), tmp_path / "w.safetensors")
    made = genomes.contigs({"chr2": 900, "chr10": 400, "short": ODD.sequence_length - 1}, unknown=0.004)
    genomes.write(tmp_path / "g.fa", made)
    return made
