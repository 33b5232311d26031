"""A model and what it predicts: sequences, and variants of a small genome."""

from __future__ import annotations

from pathlib import Path

import genomes
import pytest
from alleles import random_alleles, write_vcf
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import RUNTIME

import zoo
from zoo.prediction.model import Model
from zoo.weights import checkpoint


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a small network of three targets."""
    path = tmp_path_factory.mktemp("weights") / "odd.safetensors"
    checkpoint.save(random_checkpoint(ODD), path)
    return path


@pytest.fixture(scope="module")
def model(file: Path) -> Model:
    return zoo.load(weights=file, runtime=RUNTIME[1], batch_size=7)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Sequences that the model takes."""
    return ["".join("ACGTN"[code] for code in row) for row in random_codes(40, ODD.sequence_length)]


@pytest.fixture
def fasta(tmp_path: Path, texts: list[str]) -> Path:
    """The sequences, as s0, s1 and so on."""
    path = tmp_path / "seqs.fa"
    path.write_text("".join(f">s{number} of 40\n{text}\n" for number, text in enumerate(texts)))
    return path


@pytest.fixture
def contigs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Of the genome g.fa, which is in the working folder with weights w.safetensors and variants v.vcf."""
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), tmp_path / "w.safetensors")
    made = genomes.contigs({"chr2": 900, "chr10": 400}, unknown=0.01)
    genomes.write(tmp_path / "g.fa", made)
    write_vcf(tmp_path / "v.vcf", random_alleles(made, 60), made)
    return made
