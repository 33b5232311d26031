"""`zoo explain`: sequences to a folder of contributions, a table and a report. The folder appears whole or not at all.

The sequences are read at once, a byte a base, since the files say first how many there are; what is computed of them is
written as it comes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.dna.encoding import ONE_HOT
from zoo.errors import require
from zoo.explain import files, logos, methods, report
from zoo.explain.deeplift import target_indices
from zoo.explain.files import DESCRIPTION, SUMMARY
from zoo.explain.methods import Findings
from zoo.explain.options import ExplainOptions
from zoo.explain.report import Row
from zoo.formats import table_writer
from zoo.formats.table_writer import Column, Layout, Table
from zoo.genome.intervals import IntervalJob, IntervalRecords
from zoo.prediction.model import Model
from zoo.prediction.run import CHUNK_RECORDS, PredictionJob, Records, describe
from zoo.system.atomic import check_folder_target, replacing_folder

OURS = (
    *(files.CONTRIBUTIONS, files.ISM, files.ONE_HOT_FILE, files.hypothetical_file("*")),
    *(SUMMARY, DESCRIPTION, report.FILE, f"{logos.FOLDER}/*.*", f"{files.TRACKS}/*.bw"),
)
"""What a folder of ours holds, and nothing else."""


def check(output: Path, options: ExplainOptions, job: PredictionJob) -> None:
    """Raise ZooError if the folder could not be written, before any work is done."""
    check_folder_target(output, job.overwrite, OURS, job.inputs)
    if isinstance(job, IntervalJob):
        require("pyBigWig", "genome", "--bed")
    if options.logos:
        logos.require("--logos")


def explain(
    model: Model,
    job: PredictionJob,
    output: Path,
    options: ExplainOptions,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Explain the records of `job`, whose own output is unused, and return the description of the run.

    on_progress: called with how many of how many sequences are done.
    Raises ZooError as what is read does, for a target that the weights lack, or if the folder cannot be written.
    """
    chosen = target_indices(model.spec.targets, options.targets)
    method = methods.method(model, chosen, options)
    with replacing_folder(output, job.overwrite, OURS, job.inputs) as folder:
        labels, codes, records = _read(model, job)
        described = describe(model, job, records) | {
            "explained": [model.spec.targets[target] for target in chosen],
            "options": dataclasses.asdict(options),
        }
        rows: list[Row] = []
        with _arrays(folder, codes, described) as arrays, _table(folder, job, model, method) as table:
            for start in range(0, len(codes), method.at_once):
                part = slice(start, start + method.at_once)
                activities = model.predict_codes(codes[part])
                scores = method.score(codes[part], activities)
                arrays.write(codes[part], scores.hypothetical, scores.effects)
                shown = [column[part] for column in labels]
                table.write(shown, np.concatenate([activities, scores.values], 1), scores.after)
                left = max(options.rows, options.logos) - len(rows)
                rows += _rows(model, job, shown, codes[part], activities, scores, chosen, left)
                if on_progress is not None:
                    on_progress(min(part.stop, len(codes)), len(codes))
        if isinstance(records, IntervalRecords):
            contigs, _, _, _, strands_of = labels
            windows = list(zip(contigs, records.centres, strands_of, strict=True))
            files.write_tracks(folder, described["explained"], records.contigs, windows)
        described["findings"] = dataclasses.asdict(method.findings)
        report.write(folder / report.FILE, rows[: options.rows], described)
        if options.logos:
            logos.draw(folder, rows[: options.logos], described["explained"], options.logo_format)
        (folder / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
    return described


def findings(described: dict[str, Any]) -> list[str]:
    """What is worth telling of a run, from its description, a line each."""
    found = Findings(**described["findings"])
    lines = []
    if found.without_shuffles:
        lines.append(
            f"{found.without_shuffles:,} sequences have no dinucleotide shuffle but themselves, such as a run of one "
            "base; they are scored zero"
        )
    if found.unknown:
        lines.append(f"{found.unknown:,} sequences hold N, which gets no score")
    if found.above:
        lines.append(
            f"{found.above:,} sequences have a convergence delta above {methods.DELTA:g}, the largest "
            f"{found.largest:.2g}; see {SUMMARY}"
        )
    return lines


def _read(model: Model, job: PredictionJob) -> tuple[list[list[Any]], np.ndarray, Records]:
    """The label columns of all records, their base codes, uint8 (N, L), and what has been read."""
    records = job.records(model.spec.sequence_length, CHUNK_RECORDS)
    columns: list[list[Any]] = [[] for _ in job.LABELS]
    parts = []
    for batch, codes in records:
        parts.append(codes)
        for column, more in zip(columns, batch, strict=True):
            column.extend(more)
    return columns, np.concatenate(parts), records


def _arrays(folder: Path, codes: np.ndarray, described: dict[str, Any]) -> files.Arrays:
    options = described["options"]
    effects = len(described["targets"]) if options["method"] == "ism" else 0
    facts = {
        "command": described["command"],
        "version": described["version"],
        "weights_id": described["weights"]["id"],
        "method": options["method"],
    }
    if options["method"] == "deeplift":
        facts |= {"shuffles": options["shuffles"], "seed": np.uint64(options["seed"])}
    sequences, length = codes.shape
    return files.Arrays(folder, sequences, length, described["explained"], effects, facts)


@contextlib.contextmanager
def _table(folder: Path, job: PredictionJob, model: Model, method: methods.Method) -> Iterator[Table]:
    layout = Layout([*model.spec.targets, *method.numbers], job.LABELS, method.after)
    with (folder / SUMMARY).open("wb") as content:
        written = table_writer.Digested(content)
        with table_writer.opened(folder / SUMMARY, written, layout) as table:
            yield table


def _rows(
    model: Model,
    job: PredictionJob,
    labels: Sequence[Column],
    codes: np.ndarray,
    activities: np.ndarray,
    scores: methods.Scores,
    chosen: Sequence[int],
    most: int,
) -> list[Row]:
    """What the report shows of the first `most` sequences of a part."""
    codes = codes[: max(0, most)]
    if not len(codes):
        return []
    effects = scores.effects if scores.effects is not None else model.session.mutants(codes)
    actual = [(one[: len(codes)] * ONE_HOT[codes]).sum(2) for one in scores.hypothetical]
    return [
        Row(
            _title(dict(zip(job.LABELS, record, strict=True))),
            codes[row],
            activities[row],
            np.stack([one[row] for one in actual]),
            np.stack([effects[row, ..., target] for target in chosen]),
        )
        for row, record in zip(range(len(codes)), zip(*labels, strict=True), strict=False)
    ]


def _title(record: dict[str, Any]) -> str:
    """Its name; of an interval also where it lies, as samtools writes it."""
    if "chrom" not in record:
        return str(record["name"])
    return f"{record['chrom']}:{record['start'] + 1:,}-{record['end']:,} {record['name']} {record['strand']}"
