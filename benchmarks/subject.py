"""The network that the benchmarks of test_explain.py and test_experiments.py measure, and their tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.measure import in_turns
from benchmarks.peers import naive_graph
from zoo.dna import encoding
from zoo.formats import fasta
from zoo.options import RunOptions
from zoo.prediction.session import Session, open_session
from zoo.system import machine
from zoo.weights import checkpoint, lookup, network
from zoo.weights.checkpoint import Checkpoint

SEQUENCES = 32

BATCH = 64
"""Sequences in a batch of other programs."""

Ways = dict[str, tuple[Callable[[], Any], int]]
"""Name -> function of one turn, and its number of sequences."""


class Subject(NamedTuple):
    """What is measured. codes: uint8 (N, L).  module: the PyTorch network."""

    weights: Checkpoint
    codes: np.ndarray
    kmer: Session
    module: Any
    threads: int

    def one_hot(self, number: int) -> torch.Tensor:
        return torch.from_numpy(encoding.one_hot(self.codes[:number], channels_first=True))


def opened(given: Path | None, path: Path | None) -> Iterator[Subject]:
    """given, path: the options --weights and --sequences."""
    weights = checkpoint.load(given) if given else lookup.load("original")
    codes = _codes(path, weights.spec.sequence_length)
    threads, before = machine.cores(), torch.get_num_threads()
    kmer = open_session(weights, "kmer-cpu", RunOptions(threads=threads))
    kmer.predict(np.resize(codes % 4, (1024, codes.shape[1])))  # builds its tables
    torch.set_num_threads(threads)
    machine.keep_memory()
    try:
        yield Subject(weights, codes, kmer, network.from_checkpoint(weights), threads)
    finally:
        torch.set_num_threads(before)


def _codes(path: Path | None, length: int) -> np.ndarray:
    if path is None:
        return np.random.default_rng(0).integers(0, 4, (SEQUENCES, length), np.uint8)
    return np.concatenate([codes for _, codes in fasta.Reader(path, length)])[:SEQUENCES]


def table(
    benchmark: Any, name: str, ways: Ways, budget: float, differences: dict[str, float], unit: str = "sequences"
) -> None:
    """Measure programs in turns: their rates, the ratio to the first one, and its largest difference to the others.
    unit: what a turn has, in the plural."""
    best: dict[str, float] = {}
    benchmark.pedantic(lambda: best.update(in_turns({way: turn for way, (turn, _) in ways.items()}, budget)), rounds=1)
    rates = {way: ways[way][1] / seconds for way, seconds in best.items()}
    first = next(iter(rates))
    benchmark.extra_info["table"] = name
    benchmark.extra_info["rows"] = [
        {
            "way": way,
            f"{unit} a second": round(rate, 2),
            f"{first} is faster by": round(rates[first] / rate, 1),
            "largest difference to it": f"{differences[way]:.1e}" if way in differences else "",
        }
        for way, rate in rates.items()
    ]


def threads_of(subject: Subject) -> str:
    return f"{subject.threads} thread{'s' * (subject.threads > 1)}"


def naive_predict(subject: Subject) -> Callable[[np.ndarray], np.ndarray]:
    """Base codes (N, L) -> activities by ONNX Runtime on a plain export, in batches."""
    run = naive_graph.session(subject.weights.config, subject.weights.arrays, subject.threads)

    def predict(codes: np.ndarray) -> np.ndarray:
        parts = (codes[at : at + BATCH] for at in range(0, len(codes), BATCH))
        return np.concatenate([run(encoding.one_hot(part, channels_first=True)) for part in parts])

    return predict
