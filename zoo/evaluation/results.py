"""Write the folder of an evaluation: its numbers as JSON, the predictions as a table, the figures."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from zoo.data.dataset import Split
from zoo.errors import require
from zoo.evaluation import evaluate, figures, metrics, reliability
from zoo.evaluation.evaluate import Evaluation, Report
from zoo.evaluation.metrics import METRICS
from zoo.formats import table_writer
from zoo.spec import MOST_SHOWN, NO_UNIT
from zoo.system.atomic import Inputs, check_folder_target, replacing_folder

FILES = (
    "metrics.json",
    "predictions.tsv",
    "scatter.png",
    "comparison.png",
    "targets.png",
    "diagnosis*.png",
    "reliability.png",
)
"""Files that `save` writes; it replaces no others."""

DRAWN = "pearson"
"""Metric of comparison.png, the usual one of the field; metrics.json has the others."""


def check_output(folder: Path, overwrite: bool = False, inputs: Inputs = ()) -> None:
    """Raise ZooError if `save` cannot write there. inputs: files that are read."""
    require("matplotlib", "train", "figures")
    check_folder_target(folder, overwrite, FILES, inputs)


def save(
    report: Report,
    folder: Path,
    overwrite: bool = False,
    command: str = "",
    source: str = "",
) -> None:
    """Write metrics.json, predictions.tsv and figures, all files or none.

    Figures: scatter.png, comparison.png for several models, reliability.png for a
    calibration, and the residuals of each if they were diagnosed. For more
    than MOST_SHOWN targets, targets.png with the distribution of each metric instead.
    """
    with replacing_folder(folder, overwrite, FILES) as partial:
        description = {"command": command, **to_json(report, source)}
        (partial / "metrics.json").write_text(json.dumps(description, indent=2, allow_nan=False) + "\n")
        (partial / "predictions.tsv").write_bytes(_predictions(report))
        _draw(report, partial)


def _draw(report: Report, folder: Path) -> None:
    if 0 < len(report.reliability) <= MOST_SHOWN:
        reliability.draw(report.reliability, _unit(report), folder / "reliability.png")
    if len(report.targets) > MOST_SHOWN:
        figures.distributions({one.label: one.scores for one in report.evaluations}, folder / "targets.png")
        return
    figures.scatter(
        report.data.targets,
        {one.label: one.predicted for one in report.evaluations},
        {one.label: one.scores for one in report.evaluations},
        report.targets,
        folder / "scatter.png",
        unit=_unit(report),
    )
    if report.comparisons:
        _draw_comparison(report, folder / "comparison.png")
    for number, one in enumerate(report.evaluations if report.settings.diagnosis else [], 1):
        figures.diagnosis(
            report.data.targets - one.predicted,
            evaluate.covariates_of(report.data, report.targets),
            evaluate.strands_of(report.data),
            report.groups,
            one.diagnoses,
            report.targets,
            one.label,
            folder / ("diagnosis.png" if len(report.evaluations) == 1 else f"diagnosis-{number}.png"),
            unit=_unit(report),
        )


def _unit(report: Report) -> str:
    """The unit of the models, if all have the same one."""
    units = {one.spec.unit for one in report.evaluations}
    return units.pop() if len(units) == 1 else NO_UNIT


def _draw_comparison(report: Report, path: Path) -> None:
    figures.comparison(
        {one.label: [found[DRAWN] for found in one.intervals] for one in report.evaluations},
        {one.first: [found[DRAWN] for found in one.differences] for one in report.comparisons},
        report.comparisons[0].second,
        report.targets,
        DRAWN,
        path,
    )


def to_json(report: Report, source: str = "") -> dict[str, Any]:
    """The report as JSON types; undefined values are null."""
    data = report.data
    return {
        "version": zoo.__version__,
        "data": {
            "source": source,
            "sha256": _sha256(data),
            "rows": len(data),
            "sequences": report.sequences,
            "columns": dict(zip(report.targets, report.columns, strict=True)),
        },
        "bootstrap": {
            "resamples": report.settings.resamples,
            "seed": report.settings.seed,
            "level": metrics.LEVEL,
            "unit": "block of sequences that overlap, both strands together",
        },
        **(
            {"reliability": [one.to_json() for one in report.reliability], "left_out": report.left_out}
            if report.reliability
            else {}
        ),
        "weights": [_evaluation_json(one, report) for one in report.evaluations],
        "comparisons": [
            {
                "first": one.first,
                "second": one.second,
                "targets": {
                    target: {
                        name: interval and {**dataclasses.asdict(interval), "verdict": one.verdicts(t)[name]}
                        for name, interval in one.differences[t].items()
                    }
                    for t, target in enumerate(report.targets)
                },
            }
            for one in report.comparisons
        ],
    }


def _sha256(data: Split) -> str:
    """SHA-256 of codes and measurements, in hex; every missing measurement counts as the same NaN."""
    digest = hashlib.sha256(np.ascontiguousarray(data.codes).data)
    measured = np.where(np.isnan(data.targets), np.float32(np.nan), data.targets)
    digest.update(np.ascontiguousarray(measured, "<f4").data)
    return digest.hexdigest()


def _evaluation_json(one: Evaluation, report: Report) -> dict[str, Any]:
    targets = {}
    for t, target in enumerate(report.targets):
        spreads = {name: one.intervals[t][name] for name in METRICS}
        targets[target] = {
            **dataclasses.asdict(one.scores[t]),
            "intervals": {name: [found.low, found.high] if found else None for name, found in spreads.items()},
            **({"residuals": dataclasses.asdict(one.diagnoses[t])} if one.diagnoses else {}),
        }
    return {
        "label": one.label,
        "id": one.spec.weights_id,
        "source": one.spec.source,
        "runtime": one.runtime,
        "provider": one.provider,
        "rc": one.rc,
        "targets": targets,
    }


def _predictions(report: Report) -> bytes:
    """One row per record: name, the predictions of each model, the measurements (empty if missing)."""
    alone = len(report.evaluations) == 1
    predicted_names = [
        f"predicted_{target}" + ("" if alone else f"_{one.label}")
        for one in report.evaluations
        for target in report.targets
    ]
    names = report.data.names or [str(row) for row in range(1, len(report.data) + 1)]
    rows = table_writer.rows(names, np.concatenate([one.predicted for one in report.evaluations], axis=1)).split(b"\n")
    observed = report.data.targets
    measured = np.where(np.isnan(observed), b"", observed.astype("S32"))
    lines = (b"\t".join((row, *values)) + b"\n" for row, values in zip(rows, measured.tolist(), strict=False))
    return table_writer.header([*predicted_names, *(f"observed_{target}" for target in report.targets)]) + b"".join(
        lines
    )
