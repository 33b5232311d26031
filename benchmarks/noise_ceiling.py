"""Train on noisy labels whose best possible correlation is known.

A teacher labels genome windows. Gaussian noise is added until the teacher itself, a perfect model, reaches r = 0.80
with the noisy labels. A network is trained on them, and compared with the teacher on held-out windows with the same
noise.

    python -m benchmarks.noise_ceiling MODEL --weights original.safetensors --genome dm6.fa --run runs/ceiling

MODEL is an argument of `zoo train`: the name of a variant, trained by the recipe of the paper, or a TOML file with
other settings; those in benchmarks/noise are for a CPU. The result is written to benchmarks/results/noise_ceiling. The
same command resumes an interrupted run.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import ROOT
from zoo.data.labelled import Split
from zoo.evaluation.metrics import score
from zoo.formats import genome
from zoo.formats.genome import Genome, Region
from zoo.prediction.model import Model, load
from zoo.training.config import TrainConfig, TrainingOptions, read_model

CEILING = 0.80
"""Pearson r of a perfect model with the noisy labels."""

HELD_OUT = 10_000
RESULTS = ROOT / "benchmarks" / "results" / "noise_ceiling"


class Noisy:
    """A training source (see zoo/data/dataset.py) with the same noisy windows in every epoch."""

    def __init__(self, windows: Genome, teacher: Model, count: int, seed: int) -> None:
        self.targets = teacher.spec.targets
        self.sequence_length = windows.length
        self.facts = {"source": "genome windows with noisy labels", "genome_sha256": windows.sha256, "count": count}
        self.facts |= {"teacher": teacher.spec.weights_id, "ceiling": CEILING, "seed": seed}
        generator = np.random.default_rng(seed)
        self.train, spread = _labelled(windows, windows.train, teacher, count, generator, None)
        self.validation, _ = _labelled(windows, windows.validation, teacher, HELD_OUT, generator, spread)
        self.test, _ = _labelled(windows, windows.test, teacher, HELD_OUT, generator, spread)
        self.clean = teacher.predict_codes(self.test.codes)

    def epoch(self, number: int) -> Split:  # noqa: ARG002
        return self.train

    def identity(self) -> dict[str, Any]:
        return self.facts


def noise_of(clean: np.ndarray) -> np.ndarray:
    """Standard deviation of noise, (T,), with which activities, float (N, T), have r = CEILING."""
    return clean.std(0) * np.sqrt(1 / CEILING**2 - 1)


def _labelled(
    windows: Genome,
    region: Region,
    teacher: Model,
    count: int,
    generator: np.random.Generator,
    spread: np.ndarray | None,
) -> tuple[Split, np.ndarray]:
    """Draw windows and noisy labels. spread: standard deviation of the noise for each target; default by noise_of."""
    codes = windows.windows(region, count, generator)
    clean = teacher.predict_codes(codes)
    if spread is None:
        spread = noise_of(clean)
    noise = generator.standard_normal(clean.shape).astype(np.float32) * spread.astype(np.float32)
    return Split(codes, clean + noise), spread


def main(options: argparse.Namespace) -> None:
    from zoo.training import run
    from zoo.training.run_folder import RunFolder
    from zoo.training.trainer import Reporter

    architecture, config, settings = read_model(options.model)
    teacher = load(weights=options.weights, runtime=options.runtime)
    source = Noisy(genome.read(options.genome, teacher.spec.sequence_length), teacher, options.windows, options.seed)
    where = TrainingOptions(output=options.run, resume=options.run.exists(), device=options.device)
    command = f"python -m benchmarks.noise_ceiling {shlex.join(sys.argv[1:])}"
    job = run.TrainingJob(architecture, config, TrainConfig(**settings), where, command)
    best = run.run(job, source, Reporter(epoch=lambda row: print(row["epoch"], row["validation_loss"], flush=True)))
    folder = RunFolder(options.run)
    predicted = load(weights=folder.weights, runtime=options.runtime).predict_codes(source.test.codes)
    scores = (
        score(source.test.targets, predicted),
        score(source.test.targets, source.clean),
        score(source.clean, predicted),
    )
    rows = [
        {
            "target": name,
            "ceiling": limit.pearson,
            "reached": got.pearson,
            "share": got.pearson / limit.pearson,
            "pearson with labels without noise": clean.pearson,
        }
        for name, got, limit, clean in zip(source.targets, *scores, strict=True)
    ]
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {"held_out_windows": rows, "epoch": best["epoch"], **folder.read_receipts()}
    (RESULTS / f"{Path(options.model).stem}.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    for row in rows:
        print(f"{row['target']}: r {row['reached']:.3f} of {row['ceiling']:.3f}, {100 * row['share']:.1f}%")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="a variant, or a TOML file")
    parser.add_argument("--weights", type=Path, required=True, help="the teacher")
    parser.add_argument("--genome", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="run folder; resumed if it exists")
    parser.add_argument("--windows", type=int, default=400_000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runtime", default="auto", help="runtime that computes the labels")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main(arguments())
