"""Model only: in silico mutagenesis and DeepLIFT with kmer-cpu, compared with plain predictions and other programs.

    pytest benchmarks/test_explain.py --weights original.safetensors --sequences enhancers.fa

The default is bundled weights and random DNA. The weights must be trained ones, since the kernels skip channels that do
not change.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from benchmarks.measure import in_turns, needs
from benchmarks.peers import naive_graph
from benchmarks.report import LEFT_OUT
from zoo.dna import encoding, shuffle
from zoo.formats import fasta
from zoo.options import RunOptions
from zoo.prediction import by_prediction
from zoo.prediction.session import Session, open_session
from zoo.system import machine
from zoo.weights import checkpoint, lookup
from zoo.weights.checkpoint import Checkpoint

needs("torch", "tangermeme")

import torch  # noqa: E402
from tangermeme.deep_lift_shap import deep_lift_shap  # noqa: E402
from tangermeme.ersatz import dinucleotide_shuffle  # noqa: E402
from tangermeme.saturation_mutagenesis import saturation_mutagenesis  # noqa: E402

from zoo.weights import network  # noqa: E402

REFERENCES = 20
MANY_REFERENCES = 100
"""References of the DeepSTARR paper."""

SEED = 1234
SEQUENCES = 32
FEW = 4
"""Sequences for slow programs."""

BATCH = 64

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


@pytest.fixture(scope="module")
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    given, path = (request.config.getoption(option) for option in ("--weights", "--sequences"))
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


def _codes(path: Any, length: int) -> np.ndarray:
    if path is None:
        return np.random.default_rng(0).integers(0, 4, (SEQUENCES, length), np.uint8)
    return np.concatenate([codes for _, codes in fasta.Reader(path, length)])[:SEQUENCES]


def _table(benchmark: Any, name: str, ways: Ways, budget: float, differences: dict[str, float]) -> None:
    """Measure programs in turns: their rates, the ratio to the first one, and its largest difference to the others."""
    best: dict[str, float] = {}
    benchmark.pedantic(lambda: best.update(in_turns({way: turn for way, (turn, _) in ways.items()}, budget)), rounds=1)
    rates = {way: ways[way][1] / seconds for way, seconds in best.items()}
    first = next(iter(rates))
    benchmark.extra_info["table"] = name
    benchmark.extra_info["rows"] = [
        {
            "way": way,
            "sequences a second": round(rate, 2),
            f"{first} is faster by": round(rates[first] / rate, 1),
            "largest difference to it": f"{differences[way]:.1e}" if way in differences else "",
        }
        for way, rate in rates.items()
    ]


def test_in_silico_mutagenesis(benchmark: Any, subject: Subject, budget: float) -> None:
    codes, kmer = subject.codes, subject.kmer
    targets = len(subject.weights.spec.targets)
    naive = naive_graph.session(subject.weights.config, subject.weights.arrays, subject.threads)

    def plain(mutated: np.ndarray) -> np.ndarray:
        parts = (mutated[at : at + BATCH] for at in range(0, len(mutated), BATCH))
        return np.concatenate([naive(encoding.one_hot(part, channels_first=True)) for part in parts])

    def tangermeme() -> np.ndarray:
        inputs = subject.one_hot(1)
        raw = saturation_mutagenesis(subject.module, inputs, batch_size=BATCH, raw_outputs=True, device="cpu")
        return (raw.y_hat - raw.y0[:, None, None]).swapaxes(1, 2).numpy()

    ways: Ways = {
        "kmer-cpu": (lambda: kmer.mutants(codes), len(codes)),
        "kmer-cpu, every mutant predicted": (lambda: by_prediction.mutants(kmer.predict, codes[:FEW], targets), FEW),
        f"ONNX Runtime, naive graph, batch {BATCH}": (lambda: by_prediction.mutants(plain, codes[:1], targets), 1),
        f"tangermeme, batch {BATCH}": (tangermeme, 1),
    }
    own = kmer.mutants(codes[:FEW])
    differences = {way: float(abs(own[:number] - turn()).max()) for way, (turn, number) in [*ways.items()][1:]}
    _with_fast_ism(subject, ways, benchmark)
    _table(benchmark, f"in silico mutagenesis, model only, {_threads(subject)}", ways, budget, differences)


def _with_fast_ism(subject: Subject, ways: Ways, benchmark: Any) -> None:
    """Add fastISM (Nair et al. 2022), which changes one base at a time, if it and Keras are installed."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    for library in ("fastism", "pydot", "tf_keras"):
        if importlib.util.find_spec(library) is None:
            benchmark.extra_info[LEFT_OUT] = [f"test_explain.py: fastISM: {library} is not installed"]
            return
    from zoo_runtimes import keras

    model = keras.model(subject.weights, subject.threads)
    import fastism

    fast, inputs = fastism.FastISM(model, test_correctness=False), encoding.one_hot(subject.codes[:FEW])
    bases = np.eye(4).tolist()
    ways["fastISM on tf_keras"] = (lambda: [fast(inputs, replace_with=base) for base in bases], FEW)


def test_contributions(benchmark: Any, subject: Subject, budget: float) -> None:
    codes, kmer, few = subject.codes, subject.kmer, subject.codes[:FEW]
    references = shuffle.references(codes, REFERENCES, SEED)
    given = torch.from_numpy(encoding.ONE_HOT[references[:FEW]].swapaxes(2, 3).copy())

    def tangermeme() -> np.ndarray:
        scores = deep_lift_shap(
            subject.module, subject.one_hot(FEW), references=given, batch_size=BATCH, warning_threshold=1, device="cpu"
        )
        return scores.numpy().swapaxes(1, 2)

    ways: Ways = {
        "kmer-cpu": (lambda: kmer.contributions(codes, references, 0), len(codes)),
        f"tangermeme, batch {BATCH}": (tangermeme, FEW),
    }
    actual = kmer.contributions(few, references[:FEW], 0) * encoding.ONE_HOT[few]
    name = f"tangermeme, batch {BATCH}"
    differences = {name: float(abs(actual - tangermeme()).max() / abs(actual).max())}
    title = f"DeepLIFT, {REFERENCES} references given, model only, {_threads(subject)}; difference over largest score"
    _table(benchmark, title, ways, budget, differences)


def test_contributions_with_shuffles(benchmark: Any, subject: Subject, budget: float) -> None:
    codes, kmer = subject.codes, subject.kmer
    one_hot = subject.one_hot(FEW)

    def whole(number: int) -> np.ndarray:
        return kmer.contributions(codes, shuffle.references(codes, number, SEED), 0)

    ways: Ways = {
        f"kmer-cpu, {REFERENCES} shuffles": (lambda: whole(REFERENCES), len(codes)),
        f"kmer-cpu, {MANY_REFERENCES} shuffles": (lambda: whole(MANY_REFERENCES), len(codes)),
        f"{MANY_REFERENCES} shuffles alone": (lambda: shuffle.references(codes, MANY_REFERENCES, SEED), len(codes)),
        f"{MANY_REFERENCES} shuffles alone, tangermeme": (
            lambda: dinucleotide_shuffle(one_hot, n=MANY_REFERENCES, random_state=SEED),
            FEW,
        ),
    }
    _table(benchmark, f"DeepLIFT with its shuffles, {_threads(subject)}", ways, budget, {})


def test_gradient(benchmark: Any, subject: Subject, budget: float) -> None:
    codes = subject.codes
    eager = open_session(subject.weights, "torch-cpu", RunOptions(batch_size=BATCH, threads=subject.threads))
    ways: Ways = {
        "kmer-cpu": (lambda: subject.kmer.gradient(codes, 0), len(codes)),
        "torch-cpu": (lambda: eager.gradient(codes, 0), len(codes)),
    }
    differences = {"torch-cpu": float(abs(subject.kmer.gradient(codes, 0) - eager.gradient(codes, 0)).max())}
    _table(benchmark, f"gradient, model only, {_threads(subject)}", ways, budget, differences)


def _threads(subject: Subject) -> str:
    return f"{subject.threads} thread{'s' * (subject.threads > 1)}"
