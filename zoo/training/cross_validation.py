"""Cross-validation: a training for each fold and replicate, and what each predicts for the sequences that it never saw.

    folds.json        the members in order, and what makes them, see zoo/weights/folds.py
    fold-0, ...       run folders
    scores.tsv        scores of each member on the sequences that it held out, their mean and standard deviation over
                      the members, and the scores of out-of-fold.tsv as a whole
    out-of-fold.tsv   every sequence: its fold, what the members that held it out predict (their mean), and what was
                      measured

A stopped cross-validation continues where it was: finished members stay, the one in work goes on bit for bit. Needs
PyTorch. Axes: N sequences, T targets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.data import trained_sequences
from zoo.data.dataset import Dataset, DividedFile
from zoo.errors import ZooError
from zoo.evaluation.metrics import METRICS, score
from zoo.formats import table_writer
from zoo.spec import ModelSpec, listed
from zoo.system.atomic import replacing
from zoo.training import distributed, scores
from zoo.training.config import difference
from zoo.training.run import TrainingJob
from zoo.weights import checkpoint, folds, lookup, network
from zoo.weights.folds import FINISHED, FoldMember

SCORES = "scores.tsv"

OUT_OF_FOLD = "out-of-fold.tsv"

DECIMALS = 6
"""Decimals of the numbers in SCORES."""

SUMMARIES = ("mean", "sd", "out of fold")
"""Rows of SCORES after those of the members."""


def run(
    job: TrainingJob,
    data: DividedFile,
    replicates: int,
    train: Callable[[TrainingJob, Dataset], Any],
    note: Callable[[str], None] = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Train every member; leave a whole folder. Returns the rows of SUMMARIES in scores.tsv.

    job: the training of a member; its output is the folder of all, and its seed that of the first replicate.
    train: trains one member, such as zoo.training.run.run.  note: receives lines for the user.
    Raises ZooError if the folder exists (to resume, if it belongs to another cross-validation), and as `train` does.
    """
    if replicates < 1:
        raise ZooError(f"--replicates: expected at least 1, got {replicates}")
    if distributed.several():
        raise ZooError("--folds: several processes train one member; choose it with --fold")
    members = members_of(data, replicates, job.start.spec if job.start else None)
    folder = job.options.output
    facts = {
        "architecture": job.architecture,
        "model": job.config.to_dict(),
        "train": job.settings.to_dict(),
        "start": {"weights_id": job.start.spec.weights_id} if job.start else {},
        "data": {"sha256": data.sha256, "targets": list(data.targets)},
        "folds": [list(chromosomes) for chromosomes in data.folds.chromosomes],
        "replicates": replicates,
    }
    for fold in range(len(data.folds)):
        data.holding_out(fold)  # a fold without sequences or labels is refused before anything is trained
    _begin(folder, job, facts, members)
    for line in data.folds.notes:
        note(line)
    for member in members:
        if lookup.run_status(folder / member.run) == FINISHED:
            continue
        source = data.holding_out(member.fold)
        chromosomes = data.folds.chromosomes[member.fold]
        note(_announced(member, members, chromosomes))
        _warn_of_start(job, member, chromosomes, source, note)
        train(_job_of(member, job), source)
    rows = _summarize(folder, job, data, members)
    folds.write(folder, FINISHED, members, {"command": job.command, "run": facts})
    return rows


def members_of(data: DividedFile, replicates: int, start: ModelSpec | None = None) -> list[FoldMember]:
    """The members of a cross-validation, fold by fold. start: the spec of the initial weights; a member held out what
    they did not see either."""
    return [
        FoldMember(
            f"fold-{fold}" + (f"-replicate-{replicate}" if replicates > 1 else ""),
            fold,
            replicate,
            data.folds.validation(fold),
            lookup.held_out_too(data.folds.chromosomes[fold], start),
        )
        for fold in range(len(data.folds))
        for replicate in range(replicates)
    ]


def _begin(folder: Path, job: TrainingJob, facts: dict[str, Any], members: list[FoldMember]) -> None:
    """Make the folder, or check that it is that of the same cross-validation."""
    if job.options.resume and folder.exists():
        before = folds.read(folder)
        if (differs := difference(before.get("run"), facts)) is not None:
            raise ZooError(f"{folder}: cannot resume, {differs}")
        return
    if folder.exists():
        raise ZooError(f"{folder}: exists already; give another --output, or continue its folds with --resume")
    if job.options.resume:
        raise ZooError(f"{folder}: no such folder, so there are no folds to resume")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise ZooError(f"{folder}: cannot be made ({error.strerror})") from None
    folds.write(folder, "running", members, {"command": job.command, "run": facts})


def _job_of(member: FoldMember, job: TrainingJob) -> TrainingJob:
    """The training of a member, which continues if it began already."""
    folder = job.options.output / member.run
    return dataclasses.replace(
        job,
        settings=dataclasses.replace(job.settings, seed=job.settings.seed + member.replicate),
        options=dataclasses.replace(job.options, output=folder, resume=folder.exists()),
        about=dataclasses.replace(job.about, group=job.about.group or job.options.output.name),
    )


def _announced(member: FoldMember, members: list[FoldMember], chromosomes: tuple[str, ...]) -> str:
    number = members.index(member) + 1
    held_out = f", holds out {listed(chromosomes)}" if chromosomes else ""
    return f"{member.run}, {number} of {len(members)}{held_out}"


def _warn_of_start(
    job: TrainingJob, member: FoldMember, chromosomes: tuple[str, ...], source: Dataset, note: Callable[[str], None]
) -> None:
    """A note if the given weights may have been trained on what the member holds out."""
    if job.start is None or job.options.start is None or source.test is None:
        return
    start = lookup.run_of(job.options.start)
    if start is not None and (seen := trained_sequences.count(start, source.test.codes)):
        counts = " and ".join(f"{count:,} in its {side} split" for side, count in seen.items())
        note(f"{member.run}: the given weights saw sequences that it holds out, {counts}; its scores are too good")
    elif start is None and not (member.held_out and member.held_out == chromosomes):
        note(f"{member.run}: the given weights may have been trained on what it holds out; its scores may be too good")


def _summarize(
    folder: Path, job: TrainingJob, data: DividedFile, members: list[FoldMember]
) -> dict[str, dict[str, Any]]:
    """Write OUT_OF_FOLD and SCORES. Returns the rows of SUMMARIES."""
    whole = data.whole
    predicted = np.zeros(whole.targets.shape, np.float32)
    replicates = sum(member.fold == 0 for member in members)
    table: list[dict[str, Any]] = []
    for member in members:
        module = network.from_checkpoint(checkpoint.load(folder / member.run / lookup.RUN_WEIGHTS))
        rows = np.flatnonzero(data.folds.of_rows == member.fold)
        found = scores.predict(module.to(job.device), whole.codes[rows], torch.device(job.device))
        predicted[rows] += found / replicates
        table.append({**_row(member.run, whole.targets[rows], found, data.targets), "fold": member.fold,
                      "replicate": member.replicate, "held_out": ",".join(member.held_out)})  # fmt: skip
    columns = [f"{metric}_{target}" for target in data.targets for metric in METRICS]
    of_columns = {name: [row[name] for row in table if row[name] is not None] for name in columns}
    mean, sd, joint = SUMMARIES
    summaries = {
        mean: {"run": mean, **{name: float(np.mean(found)) for name, found in of_columns.items() if found}},
        sd: {"run": sd, **{name: float(np.std(found, ddof=1)) for name, found in of_columns.items() if len(found) > 1}},
        joint: _row(joint, whole.targets, predicted, data.targets),
    }
    for row in (*table, *summaries.values()):
        row.update({name: round(row[name], DECIMALS) for name in columns if row.get(name) is not None})
    names = ["run", "fold", "replicate", "held_out", "sequences", *columns]
    table_writer.write_records(folder / SCORES, names, [*table, *summaries.values()])
    _write_predictions(folder / OUT_OF_FOLD, data, predicted)
    return summaries


def _row(run: str, observed: np.ndarray, predicted: np.ndarray, targets: Iterable[str]) -> dict[str, Any]:
    found = score(observed, predicted)
    numbers = {
        f"{metric}_{target}": getattr(one, metric)
        for target, one in zip(targets, found, strict=True)
        for metric in METRICS
    }
    return {"run": run, "sequences": len(observed), **numbers}


def _write_predictions(path: Path, data: DividedFile, predicted: np.ndarray) -> None:
    """One row for each sequence of the data, in their order: name, fold, predictions, measurements (NA if missing)."""
    whole = data.whole
    names = whole.names or [str(row) for row in range(1, len(whole) + 1)]
    numbers = [f"{kind}_{target}" for kind in ("predicted", "observed") for target in data.targets]
    layout = table_writer.Layout(numbers, {"name": str, "fold": int}, missing=True)
    with (
        replacing(path, overwrite=True) as partial,
        partial.open("wb") as file,
        table_writer.opened(path, table_writer.Digested(file), layout) as table,
    ):
        table.write([names, data.folds.of_rows.tolist()], np.concatenate([predicted, whole.targets], 1))
