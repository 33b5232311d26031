"""`zoo spacing` against tangermeme's `space`, and against predictions of all its sequences one by one.

    pytest benchmarks/test_spacing.py

Two motifs at 101 distances in random backgrounds. The experiment also has each motif alone at the same places, which
`space` leaves out. Rates count the sequences with both motifs. The numbers are compared before the speed; the weights
are random, since the speed does not depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from benchmarks.measure import in_turns, needs, random_weights
from zoo.dna.encoding import one_hot
from zoo.experiments import inserts
from zoo.experiments.backgrounds import Backgrounds, Block
from zoo.experiments.motif_spacing import Spacing
from zoo.experiments.options import BackgroundSequences, InsertOptions, SpacingOptions
from zoo.options import RunOptions
from zoo.prediction.model import Model
from zoo.prediction.session import open_session
from zoo.system import machine
from zoo.weights import network

FIRST, SECOND = "AGATAA", "TGACTCA"
DISTANCES = 101
BACKGROUNDS = 64
ONE_BY_ONE = 4
"""Backgrounds of a turn without shared work."""


@pytest.mark.parametrize("centred", ["first", "pair"])
def test_spacing(benchmark: Any, budget: float, centred: Any) -> None:
    needs("tangermeme", "torch")
    import torch
    from tangermeme.space import space

    machine.keep_memory()
    weights = random_weights("original")
    model = Model(open_session(weights, "kmer-cpu", RunOptions(threads=machine.cores())))
    length = model.spec.sequence_length
    options = SpacingOptions(orientations="given", order="given", centred=centred)
    experiment = Spacing(model, InsertOptions((FIRST, SECOND)), options, 1)
    codes = next(iter(Backgrounds(BackgroundSequences(BACKGROUNDS), length))).codes
    few = codes[:ONE_BY_ONE]
    module = network.from_checkpoint(weights)
    x = torch.from_numpy(np.ascontiguousarray(one_hot(few).transpose(0, 2, 1)))
    start = inserts.middle(length, len(FIRST)) if centred == "first" else None
    spacings = [[distance] for distance in range(DISTANCES)]

    def shared() -> Mapping[str, np.ndarray]:
        return experiment.effects(model, Block(0, codes))

    def peer() -> np.ndarray:
        before, after = space(module, x, [FIRST, SECOND], spacings, start=start, device="cpu", batch_size=128)
        found: np.ndarray = (after - before[:, None]).numpy()
        return found

    sequences = np.repeat(few, DISTANCES * 2 + 2, axis=0)  # with both, with the second one, the first one, none
    turns = {"shared": shared, "tangermeme": peer, "one by one": lambda: model.predict_codes(sequences)}
    np.testing.assert_allclose(shared()["effect"][:ONE_BY_ONE, :, 0], peer(), rtol=0, atol=1e-5)
    best: dict[str, float] = {}
    benchmark.pedantic(lambda: best.update(in_turns(turns, budget)), rounds=1)
    rates = {name: (BACKGROUNDS if name == "shared" else ONE_BY_ONE) / seconds for name, seconds in best.items()}
    benchmark.extra_info["table"] = f"spacing of two motifs on kmer-cpu, {DISTANCES} distances"
    benchmark.extra_info["rows"] = [
        {
            "in the middle": centred,
            "sequences a second": round(rates["shared"] * DISTANCES),
            "tangermeme": round(rates["tangermeme"] * DISTANCES),
            "one by one": round(rates["one by one"] * DISTANCES),
            "faster than tangermeme by": round(rates["shared"] / rates["tangermeme"], 1),
            "faster than one by one by": round(rates["shared"] / rates["one by one"], 1),
        }
    ]
