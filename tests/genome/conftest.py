"""A small genome with weights and variants."""

from __future__ import annotations

from pathlib import Path

import genomes
import pytest
from alleles import random_alleles, write_vcf
from checkpoints import ODD, random_checkpoint

from zoo.weights import checkpoint


@pytest.fixture
def contigs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Of the genome g.fa, which is in the working folder with weights w.safetensors and variants v.vcf."""
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), tmp_path / "w.safetensors")
    made = genomes.contigs({"chr2": 900, "chr10": 400}, unknown=0.01)
    genomes.write(tmp_path / "g.fa", made)
    write_vcf(tmp_path / "v.vcf", random_alleles(made, 60), made)
    return made
