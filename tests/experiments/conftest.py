"""The network with known rules, and a small one of random weights, ready to run."""

from __future__ import annotations

import planted
import pytest
from checkpoints import ODD, random_checkpoint
from pictures import undrawn  # noqa: F401

from zoo.prediction.model import Model
from zoo.prediction.session import open_session


@pytest.fixture(scope="package")
def known() -> Model:
    """See planted.py."""
    return Model(open_session(planted.network(), "kmer-cpu"))


@pytest.fixture(scope="package")
def small() -> Model:
    """Random weights, three targets."""
    return Model(open_session(random_checkpoint(ODD), "kmer-cpu"))
