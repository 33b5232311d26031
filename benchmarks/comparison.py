"""Compare accuracy and cost of the models of the zoo on the same data; each is trained by its own recipe.

    zoo import DeepSTARR.model.h5 -o published.safetensors
    python -m benchmarks.comparison --genome dm6.fa --teacher published.safetensors --folder runs/comparison

Draws the data set (comparison_data.py), runs one `zoo train` after another at low priority, evaluates all models on the
test blocks, and writes benchmarks/results/comparison/NAME.json, from which models_page.py writes docs/models.md. The
same command resumes an interrupted comparison; --as-they-are evaluates the finished trainings only.
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
from benchmarks.conftest import machine_facts
from benchmarks.measure import ROOT, in_turns, zoo
from benchmarks.noise_ceiling import CEILING
from zoo.evaluation import intervals
from zoo.evaluation.metrics import METRICS
from zoo.prediction.model import Model, load
from zoo.training.run_folder import RunFolder
from zoo.weights import lookup, network

RESULTS = ROOT / "benchmarks" / "results" / "comparison"

MODELS = ("original", "tuned", "basset", "gapped-kmer", "motif-counts")
COUNTING = ("gapped-kmer", "motif-counts")
"""Models that ignore --precision, --epochs and --patience: they count in whole numbers, and train few epochs."""

REFERENCES = MODELS[:1]
"""Models that the others are compared with."""

DATA = "data.tsv"
FACTS = "data.json"
NICENESS = 15
CALL = 1024
"""Sequences in a call when measuring speed."""

RUNTIMES = ("onnx-cpu", "auto")
"""Runtimes to measure: one that runs every model, and the fastest for each."""


def main(options: argparse.Namespace) -> None:
    options.folder.mkdir(parents=True, exist_ok=True)
    teacher = load(weights=options.teacher)
    facts = _data(options, teacher)
    if not options.as_they_are:
        for seed in range(options.trainings):
            for model in options.models:
                _train(model, seed, options)
    runs = {_label(model): _finished(model, options) for model in options.models}
    runs = {model: folders for model, folders in runs.items() if folders}
    test = comparison_data.read_test(options.folder / DATA, teacher.spec.targets, teacher.spec.sequence_length)
    found = {
        "command": f"python -m benchmarks.comparison {shlex.join(sys.argv[1:])}",
        **machine_facts(),
        "data": facts,
        **measure(runs, test, teacher.spec.targets, REFERENCES, options.seconds),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{options.name}.json"
    path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(f"{path}: {', '.join(f'{model} ({len(folders)})' for model, folders in runs.items())}")


def _data(options: argparse.Namespace, teacher: Model) -> dict[str, Any]:
    """Return the facts of the data set; draw it if it does not exist."""
    facts = options.folder / FACTS
    if not facts.is_file():
        drawn, found = comparison_data.draw(options.genome, teacher, options.sequences, 0)
        comparison_data.write(drawn, teacher.spec.targets, options.folder / DATA)
        facts.write_text(json.dumps({**found, "ceiling": CEILING}, indent=2) + "\n", "utf-8")
    return json.loads(facts.read_text("utf-8"))


def _folder(model: str, seed: int, options: argparse.Namespace) -> RunFolder:
    return RunFolder(options.folder / "runs" / f"{_label(model)}-{seed}")


def _label(model: str) -> str:
    return Path(model).stem


def _is_finished(run: RunFolder) -> bool:
    return run.receipts.is_file() and run.read_receipts()["status"] == "finished"


def _finished(model: str, options: argparse.Namespace) -> list[RunFolder]:
    runs = (_folder(model, seed, options) for seed in range(options.trainings))
    return [run for run in runs if _is_finished(run)]


def _train(model: str, seed: int, options: argparse.Namespace) -> None:
    run = _folder(model, seed, options)
    if _is_finished(run):
        return
    changes = () if model in COUNTING else ("precision", "epochs", "patience")
    settings = {name: getattr(options, name) for name in changes}
    typed = [word for name, value in settings.items() if value is not None for word in (f"--{name}", value)]
    place = run.path.relative_to(options.folder)
    command = zoo("train", model, "--data", DATA, "--output", place, "--seed", seed, *typed, "--threads", 1)
    if run.path.exists():
        command.append("--resume")
    print(shlex.join(command[1:]), flush=True)
    subprocess.run(
        command, cwd=options.folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, preexec_fn=lower_priority
    )


def lower_priority() -> None:
    """Lower the priority of a training, in its process."""
    os.nice(max(0, NICENESS - os.nice(0)))


def measure(
    runs: dict[str, list[RunFolder]],
    test: Labelled,
    targets: tuple[str, ...],
    references: tuple[str, ...],
    seconds: float,
) -> dict[str, Any]:
    """Measure accuracy and cost of models, and the ceiling, for the stored result.

    runs: label of a model -> its finished trainings.  references: labels of models to compare with.
    seconds: time to measure the speed of each runtime.
    """
    predicted = {
        label: np.stack([load(weights=run.path).predict_codes(test.codes) for run in folders])
        for label, folders in runs.items()
    }
    speeds = {runtime: _speeds(runs, runtime, test, seconds) for runtime in RUNTIMES}
    return {
        "references": references,
        "ceiling": {
            target: _score(test.noisy[:, t], test.clean[None, :, t], test, "pearson")
            for t, target in enumerate(targets)
        },
        "models": [
            {
                "model": label,
                "recipe": folders[0].read_receipts()["train"],
                "runs": [_of_run(run.read_receipts()) for run in folders],
                "targets": {
                    target: _accuracy(test, t, label, references, predicted) for t, target in enumerate(targets)
                },
                "numbers": sum(array.size for array in lookup.load(None, folders[0].path).arrays.values()),
                "operations": operations(folders[0]),
                "sequences_per_second": {runtime: speeds[runtime][label] for runtime in RUNTIMES},
            }
            for label, folders in runs.items()
        ],
    }


def _of_run(receipts: dict[str, Any]) -> dict[str, Any]:
    return {name: receipts[name] for name in ("command", "epochs", "best_epoch", "seconds", "libraries")}


def _accuracy(
    test: Labelled, target: int, label: str, references: tuple[str, ...], predicted: dict[str, np.ndarray]
) -> dict[str, Any]:
    """All metrics of a model on a target, and its differences from the references. predicted: (runs, N, T)."""
    noisy, clean, own = test.noisy[:, target], test.clean[:, target], predicted[label][:, :, target]
    found: dict[str, Any] = {metric: _score(noisy, own, test, metric) for metric in METRICS}
    found["pearson_without_noise"] = _score(clean, own, test, "pearson")
    found["differences"] = {
        reference: {
            metric: dataclasses.asdict(
                intervals.paired_difference(noisy, own, predicted[reference][:, :, target], metric, groups=test.block)
            )
            for metric in METRICS
        }
        for reference in references
        if reference != label
    }
    return found


def _score(labels: np.ndarray, predicted: np.ndarray, test: Labelled, metric: str) -> dict[str, float] | None:
    found = intervals.mean_score(labels, predicted, metric, groups=test.block)
    return found and dataclasses.asdict(found)


def operations(run: RunFolder) -> int:
    """Count floating-point operations for one sequence."""
    weights = lookup.load(None, run.path)
    return network.arithmetic(weights.spec.architecture, weights.config)


def _speeds(runs: dict[str, list[RunFolder]], runtime: str, test: Labelled, seconds: float) -> dict[str, Any]:
    """Model -> its runtime and sequences a second on one thread, measured in turns."""
    models = {model: load(weights=run[0].path, runtime=runtime, threads=1) for model, run in runs.items()}
    codes = test.codes[:CALL]
    best = in_turns({model: lambda m=loaded: m.predict_codes(codes) for model, loaded in models.items()}, seconds)
    return {model: {"runtime": models[model].runtime, "rate": round(CALL / best[model])} for model in models}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--genome", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True, help="weights that label the sequences")
    parser.add_argument("--folder", type=Path, required=True, help="folder for the data and the trainings")
    parser.add_argument("--name", default="dm6_2Mb", help="name of the stored result")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="names, or TOML files in the folder")
    parser.add_argument("--trainings", type=int, default=3, help="trainings of each model, with seeds from 0")
    parser.add_argument("--sequences", type=int, default=30_000)
    parser.add_argument("--precision", help="default that of the recipe; bf16 is faster")
    parser.add_argument("--epochs", type=int, help="default that of the recipe")
    parser.add_argument("--patience", type=int, help="default that of the recipe")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds to measure the speed of each runtime")
    parser.add_argument("--as-they-are", action="store_true", help="do not train")
    return parser.parse_args()


if __name__ == "__main__":
    began = time.monotonic()
    main(arguments())
    print(f"{time.monotonic() - began:,.0f} s")
