"""Experiments give the numbers of tangermeme on the same network, motifs and backgrounds."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes

from zoo.dna.encoding import one_hot
from zoo.experiments import marginalize, spacing
from zoo.prediction.model import Model
from zoo.weights import network

CODES = np.asarray(random_codes(9, ODD.sequence_length, seed=5) % 4)
DISTANCES = [0, 1, 7, 15]
FIRST, SECOND = "TGACTCA", "GANAT"
MIDDLE = ODD.sequence_length // 2 - len(FIRST) // 2


@pytest.fixture(scope="module", autouse=True)
def _tangermeme() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tangermeme", reason="tangermeme is not installed; see extra explain")


def peer(name: str, *arguments: object, **options: object) -> np.ndarray:
    """What a function of tangermeme adds to the backgrounds."""
    import importlib

    import torch

    module = network.from_checkpoint(random_checkpoint(ODD))
    x = torch.from_numpy(one_hot(CODES).transpose(0, 2, 1).astype(np.float32).copy())
    function = getattr(importlib.import_module(f"tangermeme.{name}"), name)
    before, after = function(module, x, *arguments, device="cpu", **options)
    if after.ndim == 3:
        before = before[:, None]
    found: np.ndarray = (after - before).numpy()
    return found


def test_marginalize(small: Model) -> None:
    for options, start in (({}, None), ({"position": 5}, 4)):
        for site in (FIRST, SECOND):
            found = marginalize(small, site, CODES, **options)
            np.testing.assert_allclose(found.effects[:, 0], peer("marginalize", site, start=start), rtol=0, atol=1e-5)


def effects(model: Model, **options: str) -> np.ndarray:
    """The mean joint effects, (C, T)."""
    found = spacing(model, [FIRST, SECOND], CODES, distances=DISTANCES, orientations="given", **options)
    return found.table.interval("effect").mean


def test_spacing(small: Model) -> None:
    spaces = [[distance] for distance in DISTANCES]
    centred = peer("space", [FIRST, SECOND], spaces).mean(0)
    np.testing.assert_allclose(effects(small, centred="pair", order="given"), centred, rtol=0, atol=1e-5)
    fixed = peer("space", [FIRST, SECOND], spaces, start=MIDDLE).mean(0)
    found = effects(small)
    np.testing.assert_allclose(found[: len(DISTANCES)], fixed, rtol=0, atol=1e-5)
    before = [
        peer("space", [SECOND, FIRST], [[distance]], start=MIDDLE - distance - len(SECOND))[:, 0].mean(0)
        for distance in DISTANCES
    ]
    np.testing.assert_allclose(found[len(DISTANCES) :], before, rtol=0, atol=1e-5)
