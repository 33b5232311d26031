"""Lines for the user of a training beside its numbers: at the start, after an epoch, at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.data.dataset import Source
from zoo.data.labelled import Split
from zoo.errors import counted
from zoo.evaluation.metrics import score, typical
from zoo.spec import MOST_SHOWN, listed
from zoo.training import trainable
from zoo.training.profile_loss import ProfileLoss
from zoo.training.trainer import Trainer
from zoo.weights import checkpoint, network

FEW_SEQUENCES = 10_000
"""Number of training sequences below which batch norms probably need freezing. Their running statistics move by 1%
per step, so 80 steps of 128 sequences replace about half of the statistics of the given weights."""

OTHER_SCALES = {"poisson": "logarithms of the counts", "kl": "scores, whose softmax are the shares,"}
"""Loss -> what its predictions are, if they are not on the scale of the measurements."""


def at_start(trainer: Trainer, device: str) -> list[str]:
    """Lines about the data, the device, and the given weights that are not kept. device: its name."""
    source = trainer.source
    processes = f", {trainer.group.size} processes" if trainer.group.size > 1 else ""
    lines = [f"{_counts(source)}; on {device}, {trainer.settings.precision}{processes}"]
    if isinstance(trainer.loss, ProfileLoss):
        lines.append(f"weight of log counts in the loss: {', '.join(trainer.loss.target_weights)}")
    missing = _missing_labels(source)
    if missing:
        lines.append(f"labels are missing, which is allowed: {missing}")
    for term in trainer.loss.terms:
        if scale := OTHER_SCALES.get(term.name):
            names = listed(trainer.loss.names(term))
            lines.append(f"loss {term.name}: the network predicts {scale} of {names}, so MSE and R2 mean little")
    if trainer.start is not None and trainer.fresh_head:
        theirs, ours = (listed(names) for names in (trainer.start.spec.targets, trainer.config.targets))
        lines.append(f"the head starts fresh: the targets are {ours}, but the given weights have {theirs}")
    if trainer.settings.freeze or trainer.settings.adapter_rank:
        lines.append(f"{trainable.trained_numbers(trainer.model):,} numbers are trained, the others stay unchanged")
    if _few(trainer):
        lines.append(
            f"fewer than {FEW_SEQUENCES:,} training sequences: fine-tuning may make the given weights worse at first; "
            f"{_gentler(trainer)}"
        )
    return lines


def after_epoch(trainer: Trainer, row: Mapping[str, Any]) -> list[str]:
    """A line if the first epoch made given weights worse, unless `at_start` gave the advice already."""
    before = trainer.progress.history[0]
    worse = before["epoch"] == 0 and row["epoch"] == 1 and row["validation_loss"] > before["validation_loss"]
    if not worse or trainer.fresh_head or _few(trainer):
        return []
    return [f"the first epoch was worse than the given weights: {_gentler(trainer)}"]


def test_scores(trainer: Trainer) -> tuple[dict[str, Any], str] | None:
    """The kept weights on the test split: numbers for the receipts, and a line; None without a test split."""
    test = trainer.source.test
    if test is None:
        return None
    module = network.from_checkpoint(checkpoint.load(trainer.folder.weights)).to(trainer.device)
    kept = trainer.measure(module, test)
    found = score(test.targets, kept[:, : len(trainer.source.targets)])
    pearson = {name: one.pearson for name, one in zip(trainer.source.targets, found, strict=True)}
    numbers = {"sequences": len(test), **{f"pearson_{name}": value for name, value in pearson.items()}}
    numbers |= trainer.loss.metrics(kept)
    return numbers, f"test, {counted(len(test), 'sequences')}: {correlations(pearson)}"


def correlations(pearson: Mapping[str, float | None]) -> str:
    """Target -> Pearson r, as "r(dev) 0.6812, r(hk) undefined"; of more than MOST_SHOWN targets the median."""
    if len(pearson) > MOST_SHOWN:
        return f"median r {number(typical(pearson.values())[0])} of {len(pearson):,} targets"
    return ", ".join(f"r({name}) {number(value)}" for name, value in pearson.items())


def number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _few(trainer: Trainer) -> bool:
    """Whether given weights are trained on few sequences with batch statistics; never true with a fresh head."""
    given, train = trainer.start is not None and not trainer.fresh_head, trainer.source.train
    return given and train is not None and len(train) < FEW_SEQUENCES and _may_freeze(trainer)


def _may_freeze(trainer: Trainer) -> bool:
    return bool(trainer.batch_norms)


def _gentler(trainer: Trainer) -> str:
    ways = ["--freeze-batch-norm keeps their batch statistics"] if _may_freeze(trainer) else []
    return " and ".join([*ways, f"--learning-rate {trainer.settings.learning_rate / 10:g} takes smaller steps"])


def _splits(source: Source) -> dict[str, Split]:
    """Side -> split; empty if every epoch has new sequences."""
    if source.train is None:
        return {}
    held_out = {"validation": source.validation, "test": source.test}
    return {"train": source.train, **{name: split for name, split in held_out.items() if split is not None}}


def _counts(source: Source) -> str:
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in _splits(source).items())
    return f"{sizes} sequences" if sizes else f"{source.identity()['source']}, new ones every epoch"


def _missing_labels(source: Source) -> str:
    found = []
    for number_of, name in enumerate(source.targets):
        counts = {side: int(np.isnan(split.targets[:, number_of]).sum()) for side, split in _splits(source).items()}
        if any(counts.values()):
            found.append(f"{name} " + ", ".join(f"{count:,} of {side}" for side, count in counts.items() if count))
    return "; ".join(found)
