"""How good and how costly are the models of the zoo on the same data? Trains each by its own recipe, and compares.

    zoo import DeepSTARR.model.h5 -o published.safetensors
    python -m benchmarks.comparison --genome dm6.fa --teacher published.safetensors --folder runs/comparison

Draws the data set (comparison_data.py), trains what is not trained yet, one `zoo train` after another at low priority,
measures all on the test blocks, and writes benchmarks/results/comparison/NAME.json, from which models_page.py draws
docs/models.md. The same command goes on where it was stopped; --as-they-are measures the trainings that are whole.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import comparison_data
from benchmarks.comparison_data import Labelled
from benchmarks.conftest import machine
from benchmarks.measure import ROOT, in_turns, zoo
from benchmarks.noise_ceiling import CEILING
from zoo.evaluation import intervals
from zoo.evaluation.metrics import METRICS
from zoo.inference import predict
from zoo.training.run_folder import RunFolder
from zoo.weights import named

RESULTS = ROOT / "benchmarks" / "results" / "comparison"

MODELS = ("original", "tuned", "basset", "gapped-kmer", "motif-counts")
"""The first is what the others are compared with."""

DATA = "data.tsv"
FACTS = "data.json"
NICENESS = 15
CALL = 1024
"""Sequences a call where the speed is measured."""

RUNTIMES = ("onnx-cpu", "auto")
"""Whose speed is measured: one that runs every model, and the fastest for each."""


def main(options: argparse.Namespace) -> None:
    options.folder.mkdir(parents=True, exist_ok=True)
    teacher = predict.load(weights=options.teacher)
    facts = _data(options, teacher)
    if not options.as_they_are:
        for seed in range(options.trainings):
            for model in options.models:
                _train(model, seed, options)
    runs = {model: _whole(model, options) for model in options.models}
    runs = {model: folders for model, folders in runs.items() if folders}
    test = comparison_data.read_test(options.folder / DATA, teacher.spec.targets, teacher.spec.sequence_length)
    found = {
        "command": f"python -m benchmarks.comparison {shlex.join(sys.argv[1:])}",
        **machine(),
        "data": {**facts, "ceiling": CEILING},
        "models": _models(runs, test, teacher.spec.targets, options.seconds),
    }
    found["ceiling"] = {
        target: _score(test.noisy[:, t], test.clean[None, :, t], test, "pearson")
        for t, target in enumerate(teacher.spec.targets)
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{options.name}.json"
    path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(f"{path}: {', '.join(f'{model} ({len(folders)})' for model, folders in runs.items())}")


def _data(options: argparse.Namespace, teacher: predict.Model) -> dict[str, Any]:
    """The facts of the data set, which is drawn where it is not there yet."""
    facts = options.folder / FACTS
    if not facts.is_file():
        drawn, found = comparison_data.draw(options.genome, teacher, options.sequences, 0)
        comparison_data.write(drawn, teacher.spec.targets, options.folder / DATA)
        facts.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return json.loads(facts.read_text("utf-8"))


def _folder(model: str, seed: int, options: argparse.Namespace) -> RunFolder:
    return RunFolder(options.folder / "runs" / f"{model}-{seed}")


def _is_whole(run: RunFolder) -> bool:
    return run.receipts.is_file() and run.read_receipts()["status"] == "finished"


def _whole(model: str, options: argparse.Namespace) -> list[RunFolder]:
    runs = (_folder(model, seed, options) for seed in range(options.trainings))
    return [run for run in runs if _is_whole(run)]


def _train(model: str, seed: int, options: argparse.Namespace) -> None:
    run = _folder(model, seed, options)
    if _is_whole(run):
        return
    settings = {name: getattr(options, name) for name in ("precision", "epochs", "patience", "motifs")}
    if model != "motif-counts":
        del settings["motifs"]
    typed = [word for name, value in settings.items() if value is not None for word in (f"--{name}", value)]
    place = run.path.relative_to(options.folder)
    command = zoo("train", model, "--data", DATA, "--output", place, "--seed", seed, *typed, "--threads", 1)
    if run.path.exists():
        command.append("--resume")
    print(shlex.join(command[1:]), flush=True)
    subprocess.run(
        command, cwd=options.folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, preexec_fn=_politely
    )


def _politely() -> None:
    os.nice(max(0, NICENESS - os.nice(0)))


def _models(
    runs: dict[str, list[RunFolder]], test: Labelled, targets: tuple[str, ...], seconds: float
) -> list[dict[str, Any]]:
    predicted = {
        model: np.stack([predict.load(weights=run.path).predict_codes(test.codes) for run in folders])
        for model, folders in runs.items()
    }
    reference = next(iter(runs))
    speeds = {runtime: _speeds(runs, runtime, test, seconds) for runtime in RUNTIMES}
    return [
        {
            "model": model,
            "recipe": folders[0].read_receipts()["train"],
            "runs": [_of_run(run.read_receipts()) for run in folders],
            "targets": {
                target: _accuracy(test, t, predicted[model][:, :, t], predicted[reference][:, :, t])
                for t, target in enumerate(targets)
            },
            "reference": reference,
            "numbers": sum(array.size for array in named.load(None, folders[0].path).arrays.values()),
            "operations": operations(folders[0]),
            "sequences_per_second": {runtime: speeds[runtime][model] for runtime in RUNTIMES},
        }
        for model, folders in runs.items()
    ]


def _of_run(receipts: dict[str, Any]) -> dict[str, Any]:
    return {name: receipts[name] for name in ("command", "epochs", "best_epoch", "seconds", "libraries")}


def _accuracy(test: Labelled, target: int, first: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """Every metric of one model on one target, float (runs, N), and its difference from the reference."""
    noisy, clean = test.noisy[:, target], test.clean[:, target]
    found: dict[str, Any] = {metric: _score(noisy, first, test, metric) for metric in METRICS}
    found["pearson_without_noise"] = _score(clean, first, test, "pearson")
    found["differences"] = {
        metric: dataclasses.asdict(intervals.paired_difference(noisy, first, reference, metric, groups=test.block))
        for metric in METRICS
    }
    return found


def _score(labels: np.ndarray, predicted: np.ndarray, test: Labelled, metric: str) -> dict[str, float] | None:
    found = intervals.mean_score(labels, predicted, metric, groups=test.block)
    return found and dataclasses.asdict(found)


def operations(run: RunFolder) -> int:
    """Floating-point operations for one sequence, a multiplication and an addition each, as PyTorch counts them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from zoo.weights import network

    checkpoint = named.load(None, run.path)
    module = network.from_checkpoint(checkpoint)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(torch.zeros(1, 4, checkpoint.spec.sequence_length))
    return counter.get_total_flops()


def _speeds(runs: dict[str, list[RunFolder]], runtime: str, test: Labelled, seconds: float) -> dict[str, Any]:
    """Model -> the runtime that computed, and sequences a second on one thread; the models in turns."""
    models = {model: predict.load(weights=run[0].path, runtime=runtime, threads=1) for model, run in runs.items()}
    codes = test.codes[:CALL]
    best = in_turns({model: lambda m=loaded: m.predict_codes(codes) for model, loaded in models.items()}, seconds)
    return {model: {"runtime": models[model].runtime, "rate": round(CALL / best[model])} for model in models}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--genome", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True, help="weights that label the sequences")
    parser.add_argument("--folder", type=Path, required=True, help="of the data and the trainings")
    parser.add_argument("--name", default="dm6_2Mb", help="of the stored result")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--motifs", type=Path, help="MEME file of motif-counts")
    parser.add_argument("--trainings", type=int, default=3, help="of each model, with seeds from 0")
    parser.add_argument("--sequences", type=int, default=30_000)
    parser.add_argument("--precision", help="instead of the recipe's; bf16 is faster")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--patience", type=int, help="instead of the recipe's")
    parser.add_argument("--seconds", type=float, default=60.0, help="to measure the speed of each runtime")
    parser.add_argument("--as-they-are", action="store_true", help="train nothing")
    return parser.parse_args()


if __name__ == "__main__":
    began = time.monotonic()
    main(arguments())
    print(f"{time.monotonic() - began:,.0f} s")
