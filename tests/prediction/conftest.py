"""A model and sequences that it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
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
