"""Model only: in silico mutagenesis and DeepLIFT with kmer-cpu, compared with plain predictions and other programs.

    pytest benchmarks/test_explain.py --weights original.safetensors --sequences enhancers.fa

The default is bundled weights and random DNA. The weights must be trained ones, since the kernels skip channels that do
not change.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import numpy as np

from benchmarks.measure import needs
from benchmarks.report import LEFT_OUT
from zoo.dna import encoding, shuffle
from zoo.options import RunOptions
from zoo.prediction import by_prediction
from zoo.prediction.session import open_session

needs("torch", "tangermeme")

import torch  # noqa: E402
from tangermeme.deep_lift_shap import deep_lift_shap  # noqa: E402
from tangermeme.ersatz import dinucleotide_shuffle  # noqa: E402
from tangermeme.saturation_mutagenesis import saturation_mutagenesis  # noqa: E402

from benchmarks.subject import BATCH, Subject, Ways, naive_predict, table, threads_of  # noqa: E402

REFERENCES = 20
MANY_REFERENCES = 100
"""References of the DeepSTARR paper."""

SEED = 1234
FEW = 4
"""Sequences for slow programs."""


def test_in_silico_mutagenesis(benchmark: Any, subject: Subject, budget: float) -> None:
    codes, kmer = subject.codes, subject.kmer
    targets = len(subject.weights.spec.targets)
    plain = naive_predict(subject)

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
    table(benchmark, f"in silico mutagenesis, model only, {threads_of(subject)}", ways, budget, differences)


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
    title = f"DeepLIFT, {REFERENCES} references given, model only, {threads_of(subject)}; difference over largest score"
    table(benchmark, title, ways, budget, differences)


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
    table(benchmark, f"DeepLIFT with its shuffles, {threads_of(subject)}", ways, budget, {})


def test_gradient(benchmark: Any, subject: Subject, budget: float) -> None:
    codes = subject.codes
    eager = open_session(subject.weights, "torch-cpu", RunOptions(batch_size=BATCH, threads=subject.threads))
    ways: Ways = {
        "kmer-cpu": (lambda: subject.kmer.gradient(codes, 0), len(codes)),
        "torch-cpu": (lambda: eager.gradient(codes, 0), len(codes)),
    }
    differences = {"torch-cpu": float(abs(subject.kmer.gradient(codes, 0) - eager.gradient(codes, 0)).max())}
    table(benchmark, f"gradient, model only, {threads_of(subject)}", ways, budget, differences)
