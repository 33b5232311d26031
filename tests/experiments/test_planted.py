"""The network built by hand computes what it is said to; other tests rest on it."""

from __future__ import annotations

import numpy as np
import planted
import pytest

from zoo.prediction import session


@pytest.mark.parametrize("runtime", session.automatic())
def test_the_network_follows_its_rules(runtime: str) -> None:
    weights = planted.network()
    reason = session.missing(runtime) or session.refuses(runtime, weights.spec)
    if reason:
        pytest.skip(reason)
    codes = planted.sequences(300, each=4)
    expected = planted.activities(codes)
    pairs = {motif for _, motif, _ in planted.instances(codes)}
    assert pairs == set(planted.MOTIFS)
    assert (expected[:, 0] - expected[:, 1] > 0.7).sum() > 20, "too few Bs with help"
    np.testing.assert_allclose(session.open_session(weights, runtime).predict(codes), expected, rtol=0, atol=1e-5)


def test_help_ends_at_30_bases_between_the_motifs() -> None:
    for start in (50, 51):
        helped = [distance for distance in range(60) if planted.near(start, start + planted.WIDTH + distance)]
        assert helped in ([*range(30)], [*range(31)])
        before = [distance for distance in range(40) if planted.near(start, start - planted.WIDTH - distance)]
        assert before in ([*range(30)], [*range(31)])
