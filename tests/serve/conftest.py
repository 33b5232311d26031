"""Weights that are served, and a service of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoints import ODD, random_checkpoint

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from served import Running, opened, running

from zoo.weights import checkpoint


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mine.safetensors: a small network of three targets."""
    path = tmp_path_factory.mktemp("served") / "mine.safetensors"
    checkpoint.save(random_checkpoint(ODD), path)
    return path


@pytest.fixture(scope="session")
def service(weights: Path) -> Iterator[Running]:
    """Of the weights, as "mine", with the options as they are."""
    with running(opened(weights)) as made:
        yield made
