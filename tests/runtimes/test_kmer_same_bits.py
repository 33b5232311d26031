"""kmer-cpu gives the same bits however many threads compute: work that is shared out is joined to one result."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoints import CONFIGS, random_checkpoint

from zoo.options import RunOptions
from zoo.prediction.session import open_session


@pytest.mark.parametrize("stride", [1, 7, 8])
def test_windows_along_a_contig(stride: int) -> None:
    weights = random_checkpoint(CONFIGS["tuned"])
    codes = np.random.default_rng(0).integers(0, 4, 40_000, np.uint8)
    codes[10_000:10_030] = 4
    found = []
    for threads in (1, 2, 5):
        session = open_session(weights, "kmer-cpu", RunOptions(threads=threads))
        session.settle()
        found.append(session.windows(codes, stride))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
