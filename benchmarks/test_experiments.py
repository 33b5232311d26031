"""Model only: experiments that edit sequences, with shared work, compared with plain predictions and other programs.

    pytest benchmarks/test_experiments.py --weights original.safetensors

The default is bundled weights. The weights must be trained ones, since the kernels skip channels that do not change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import needs

needs("torch", "tangermeme")

import torch  # noqa: E402
from tangermeme.marginalize import marginalize  # noqa: E402

from benchmarks.subject import BATCH, Subject, Ways, naive_predict, table, threads_of  # noqa: E402
from zoo.dna import edits, encoding  # noqa: E402
from zoo.options import RunOptions  # noqa: E402
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
