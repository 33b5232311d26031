"""Model only: experiments that edit sequences, with shared work, compared with plain predictions and other programs.

    pytest benchmarks/test_experiments.py --weights original.safetensors

The default is bundled weights. The weights must be trained ones, since the kernels skip channels that do not change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

from benchmarks.measure import needs

needs("torch", "tangermeme")

import torch  # noqa: E402
from tangermeme import saturation_mutagenesis as mutagenesis  # noqa: E402
from tangermeme.dependency_map import dependency_map  # noqa: E402
from tangermeme.marginalize import marginalize  # noqa: E402
from tangermeme.saliency import saliency  # noqa: E402

from benchmarks.subject import BATCH, Subject, Ways, naive_predict, table, threads_of  # noqa: E402
from zoo import experiments  # noqa: E402
from zoo.dna import edits, encoding  # noqa: E402
from zoo.options import RunOptions  # noqa: E402
from zoo.prediction.model import Model  # noqa: E402
from zoo.prediction.session import open_session  # noqa: E402

BACKGROUNDS = 4

MOTIF = "TTATCTGATA"

PLACES = 10
"""Places, of all those of a motif, that slow programs compute."""

Predict = Callable[[np.ndarray], np.ndarray]


def inserted(backgrounds: np.ndarray, motif: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A motif at every place of each background: edited sequences, (N * places, L), and their backgrounds' numbers."""
    places = np.arange(backgrounds.shape[1] - len(motif) + 1)
    edited = np.repeat(backgrounds, len(places), axis=0).reshape(len(backgrounds), len(places), -1)
    edited[:, places[:, None], places[:, None] + np.arange(len(motif))] = motif
    return edited.reshape(-1, backgrounds.shape[1]), np.repeat(np.arange(len(backgrounds)), len(places))


def compare(
    benchmark: Any,
    subject: Subject,
    budget: float,
    name: str,
    codes: np.ndarray,
    edited: np.ndarray,
    rows: np.ndarray,
    peers: dict[str, tuple[Callable[[], np.ndarray], np.ndarray]],
) -> None:
    """A table of edits in all our ways and those of peers: name -> effects, and which edits these are."""
    onnx = open_session(subject.weights, "onnx-cpu", RunOptions(threads=subject.threads))

    def predicted(predict: Predict, chosen: np.ndarray) -> Callable[[], np.ndarray]:
        return lambda: edits.effects(predict, codes, edited[chosen], rows[chosen])

    whole, few = np.arange(len(edited)), np.arange(0, len(edited), len(edited) // (BACKGROUNDS * PLACES))
    kinds: dict[str, tuple[Callable[[], np.ndarray], np.ndarray]] = {
        "kmer-cpu": (lambda: subject.kmer.edits(codes, edited, rows), whole),
        "kmer-cpu, every sequence predicted": (predicted(subject.kmer.predict, whole), whole),
        "onnx-cpu": (lambda: onnx.edits(codes, edited, rows), whole),
        "onnx-cpu, every sequence predicted": (predicted(onnx.predict, whole), whole),
        f"ONNX Runtime, naive graph, batch {BATCH}": (predicted(naive_predict(subject), few), few),
        **peers,
    }
    own = subject.kmer.edits(codes, edited, rows)
    differences = {way: float(abs(own[chosen] - turn()).max()) for way, (turn, chosen) in [*kinds.items()][1:]}
    ways: Ways = {way: (turn, len(chosen)) for way, (turn, chosen) in kinds.items()}
    table(benchmark, f"{name}, model only, {threads_of(subject)}", ways, budget, differences, "edits")


def test_a_motif_at_every_place(benchmark: Any, subject: Subject, budget: float) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (BACKGROUNDS, subject.codes.shape[1]), np.uint8)
    edited, rows = inserted(codes, encoding.encode([MOTIF])[0])
    one_hot = torch.from_numpy(encoding.one_hot(codes, channels_first=True))
    places = len(edited) // BACKGROUNDS
    chosen = np.linspace(0, places - 1, PLACES).astype(int)

    numbers = (np.arange(BACKGROUNDS)[:, None] * places + chosen).ravel()

    def tangermeme() -> np.ndarray:
        runs = [
            marginalize(subject.module, one_hot, MOTIF, start=int(start), batch_size=BATCH, device="cpu")
            for start in chosen
        ]
        return np.stack([(run.y_after - run.y_before).numpy() for run in runs], 1).reshape(len(numbers), -1)

    peers = {f"tangermeme, batch {BATCH}": (tangermeme, numbers)}
    name = f"{len(MOTIF)} bp put at every place of {BACKGROUNDS} backgrounds"
    compare(benchmark, subject, budget, name, codes, edited, rows, peers)


MAPPED = 8
"""Positions that are mutated, in the middle of a sequence."""


def in_the_fast_way(*arguments: Any, **rest: Any) -> torch.Tensor:
    """Mutagenesis by tangermeme in the way that it takes for a whole map, which lasts more than 30 seconds."""
    with mock.patch.object(mutagenesis, "_FAST_MIN_SECONDS", 0.0):
        return mutagenesis.saturation_mutagenesis(*arguments, **rest)


@pytest.mark.parametrize("measure", ["ism", "gradient"])
def test_a_map_of_dependencies(benchmark: Any, subject: Subject, budget: float, measure: str) -> None:
    model, target = Model(subject.kmer), subject.weights.spec.targets[0]
    codes = np.random.default_rng(0).integers(0, 4, (1, subject.codes.shape[1]), np.uint8)
    one_hot, first = torch.from_numpy(encoding.one_hot(codes, channels_first=True)), codes.shape[1] // 2

    def ours(name: str) -> Callable[[], np.ndarray]:
        positions = f"{first + 1}-{first + MAPPED}"
        return lambda: experiments.dependency(model, codes, targets=[target], measure=name, positions=positions).maps

    def theirs(function: Any, count: int = MAPPED, **rest: Any) -> tuple[Callable[[], np.ndarray], int]:
        def turn() -> np.ndarray:
            found = dependency_map(
                subject.module, one_hot, start=first, end=first + count, func=function, target=0, batch_size=BATCH,
                device="cpu", additional_func_kwargs=rest,
            )  # fmt: skip
            return found[:, first : first + MAPPED].numpy().transpose(0, 2, 1)[..., None]

        return turn, count

    peers = {
        "ism": {
            f"tangermeme, fast, batch {BATCH}": theirs(in_the_fast_way),
            f"tangermeme, batch {BATCH}": theirs(mutagenesis.saturation_mutagenesis, 1, fast=False),
        },
        "gradient": {f"tangermeme, batch {BATCH}": theirs(saliency)},
    }[measure]
    expected = ours(measure)()
    differences = {way: float(abs(expected[:, :count] - turn()).max()) for way, (turn, count) in peers.items()}
    own = {f"kmer-cpu, {name}": (ours(name), MAPPED) for name in dict.fromkeys((measure, "interaction"))}
    name = f"Dependencies of all bases on {MAPPED} positions, by {measure}, model only, {threads_of(subject)}"
    table(benchmark, name, own | peers, budget, differences, "positions")
