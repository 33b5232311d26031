"""Calibrating a model on measured sequences: how wide an interval around each prediction has to be.

Axes: N measured sequences, T targets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import zoo
from zoo.confidence.options import CalibrationOptions
from zoo.data import splits, trained_sequences
from zoo.data.blocks import blocks
from zoo.data.dataset import Split
from zoo.errors import CheckFailed, ZooError, counted
from zoo.prediction import conformal, model_files
from zoo.prediction.calibration import Calibration
from zoo.prediction.conformal import DifficultyScale
from zoo.prediction.model import Model
from zoo.weights import lookup

FEWEST_BLOCKS = 20
"""Fewest blocks of measured sequences, on which a coverage of 0.95 is possible."""


def calibrate(model: Model, data: Split, options: CalibrationOptions, source: str = "") -> Calibration:
    """A calibration of the model by measured sequences that it was not trained on.

    data: measurements of `spec.targets`.  source: name of the data, for the file. Raises ZooError for too few measured
    sequences, and for a difficulty that the model does not have; CheckFailed for a prediction that is not finite.
    """
    spec = model.spec
    kind = options.difficulty
    if kind == "auto":
        kind = "spread" if spec.members else "neighbours"
    if kind == "spread" and not spec.members:
        raise ZooError("--difficulty spread: needs an ensemble, these weights are one network; give neighbours")
    predicted = model.predict_codes(data.codes)
    spread = model.spread(data.codes) if kind == "spread" else None
    if not np.isfinite(predicted).all():
        raise CheckFailed("calibrate: the model gave an output that is not finite")
    number = blocks(data.codes)
    halves = np.random.default_rng(options.seed).permuted(np.arange(number.max(initial=-1) + 1) % 2)[number]
    found = []
    for t, target in enumerate(spec.targets):
        measured = ~np.isnan(data.targets[:, t])
        errors = np.abs(data.targets[:, t].astype(np.float64) - predicted[:, t])
        own = measured & (halves == 1) if kind == "neighbours" else measured
        count = len(np.unique(number[own]))
        if count < FEWEST_BLOCKS:
            used = " in a half of the data" if kind == "neighbours" else ""
            raise ZooError(
                f"calibrate: {target}: expected at least {FEWEST_BLOCKS} measured sequences that do not overlap{used}, "
                f"got {count}"
            )
        scale = _scale(kind, predicted[:, t], spread if spread is None else spread[:, t], errors, measured & ~own, own,
                       options.neighbours)  # fmt: skip
        sd = None if spread is None else spread[own, t]
        found.append(conformal.conformal(data.targets[own, t], predicted[own, t], sd, number[own], scale))
    about = {
        **model_files.identity(spec, model.rc),
        "difficulty": kind,
        "source": source,
        "rows": len(data),
        "blocks": int(number.max()) + 1,
        "seed": options.seed,
        "version": zoo.__version__,
    }
    return Calibration(about, found, np.unique(splits.keys(data.codes)))


def _scale(
    kind: str,
    predicted: np.ndarray,
    spread: np.ndarray | None,
    errors: np.ndarray,
    before: np.ndarray,
    own: np.ndarray,
    neighbours: int,
) -> DifficultyScale:
    """The scale of one target. before, own: rows for the scale of `neighbours`, and for the ratios, bool (N,)."""
    if kind == "constant":
        return conformal.CONSTANT
    if spread is not None:
        return conformal.by_spread(spread[own])
    return conformal.by_neighbours(predicted[before], errors[before], neighbours)


def check_not_trained_on(weights: Sequence[str], data: Split) -> list[str]:
    """Notes about sequences that may have been used in the training. weights: names or files of the members.

    Raises ZooError if a network was trained on any: the intervals would be too narrow.
    """
    notes = []
    for name in weights:
        run = lookup.run_of(name)
        if run is None:
            notes.append(f"{name}: is no run folder, which would say what it was trained on; it must not be this data")
            continue
        counts = trained_sequences.count(run, data.codes)
        if counts.get("train"):
            raise ZooError(
                f"{name}: was trained on {counts['train']:,} of {counted(len(data), 'sequences')}, whose errors are "
                "therefore too small; give sequences that it did not see, such as --split test"
            )
        if counts.get("validation"):
            notes.append(
                f"{name}: chose its best epoch by {counts['validation']:,} of {counted(len(data), 'sequences')}; the "
                "intervals may be a little too narrow"
            )
    return notes
