"""`zoo explain`: contributions of the bases of sequences, as arrays, a table and a report.

The output folder appears whole or not at all. All sequences are read first, as one byte for each base, since the
headers of the files give their number. Results are written batch by batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.dna.encoding import ONE_HOT
from zoo.errors import counted, require
from zoo.explain import files, logos, methods, report
from zoo.explain.files import DESCRIPTION, SUMMARY
from zoo.explain.options import ExplainOptions
from zoo.explain.report import Row
from zoo.formats import table_writer
from zoo.formats.table_writer import Column, Layout, Table
from zoo.genome.intervals import IntervalJob, IntervalRecords
from zoo.prediction.columns import Columns
from zoo.prediction.model import Model
from zoo.prediction.run import CHUNK_RECORDS, PredictionJob, Records, describe
from zoo.system.atomic import check_folder_target, replacing_folder
from zoo.weights import spread

OURS = (
    *(files.CONTRIBUTIONS, files.ISM, files.ONE_HOT_FILE, files.hypothetical_file("*")),
    *(SUMMARY, DESCRIPTION, report.FILE, f"{logos.FOLDER}/*.*", f"{files.TRACKS}/*.bw"),
    *(f"{files.CLUSTERS}/{name}" for name in files.CLUSTER_FILES),
)
"""Files in an output folder; a folder with any other file is never replaced."""


def check(output: Path, options: ExplainOptions, job: PredictionJob) -> None:
    """Raise ZooError, before any work, if the folder cannot be written or a library is missing."""
    check_folder_target(output, job.overwrite, OURS, job.inputs)
    if isinstance(job, IntervalJob):
        require("pyBigWig", "genome", "--bed")
    if options.logos:
        require("logomaker", "explain", "--logos")


def explain(
    model: Model,
    job: PredictionJob,
    output: Path,
    options: ExplainOptions,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Explain the records of `job`, whose own output is unused, and return the description of the run.

    on_progress: called with the numbers of finished and of all sequences.
    Raises ZooError for unreadable input, for an unknown target, or if the folder cannot be written.
    """
    targets = model.spec.target_indices(options.targets)
    method = methods.METHODS[options.method](model, targets, options)
    scoring_runtime = model.session.runtime_of(method.way)  # refuses before anything is read
    with replacing_folder(output, job.overwrite, OURS, job.inputs) as folder:
        labels, codes, records = _read(model, job)
        described = describe(model, job, records) | {
            "scoring_runtime": scoring_runtime,
            "explained": [model.spec.targets[target] for target in targets],
            "options": dataclasses.asdict(options),
        }
        rows: list[Row] = []
        with _arrays(folder, codes, described) as arrays, _table(folder, job, model, method) as table:
            for start in range(0, len(codes), method.at_once):
                part = slice(start, start + method.at_once)
                numbers = model.each.predict(codes[part])
                activities = spread.mean(numbers, model.spec)
                scores = method.score(codes[part], activities)
                arrays.write(codes[part], scores.hypothetical, scores.effects, scores.spreads)
                part_labels = [column[part] for column in labels]
                shown_numbers = Columns(model.spec).of(numbers)
                table.write(part_labels, np.concatenate([shown_numbers, scores.values], 1), scores.labels)
                shown = codes[part][: max(0, max(options.rows, options.logos) - len(rows))]
                if len(shown):
                    effects = _effects(model, shown, scores, options)
                    rows += _rows(_titles(job.LABELS, part_labels), shown, activities, scores, effects, targets)
                if on_progress is not None:
                    on_progress(min(part.stop, len(codes)), len(codes))
        if isinstance(records, IntervalRecords):
            contigs, _, _, _, strands_of = labels
            windows = list(zip(contigs, records.centres, strands_of, strict=True))
            files.write_tracks(folder, described["explained"], records.contigs, windows)
        described["findings"] = dataclasses.asdict(method.findings)
        report.write(folder / report.FILE, rows[: options.rows], described)
        if options.logos:
            _write_logos(folder, rows[: options.logos], described["explained"], options.logo_format, model.spec.unit)
        (folder / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
    return described


def _effects(model: Model, codes: np.ndarray, scores: methods.Scores, options: ExplainOptions) -> np.ndarray | None:
    """The effects of all substitutions for the report, float32 (N, L, 4, T); None without them."""
    if scores.effects is not None or options.no_substitutions or not options.rows:
        return scores.effects
    return model.session.mutants(codes)


def findings(described: dict[str, Any]) -> list[str]:
    """Notable results of a run, from its description, one line each."""
    found = methods.Findings(**described["findings"])
    scoring_runtime, method = described["scoring_runtime"], described["options"]["method"]
    lines = [f"{method} was computed by {scoring_runtime}"] if scoring_runtime != described["runtime"] else []
    for number, about in (
        (
            found.without_shuffles,
            "without another dinucleotide shuffle, such as a run of one base; their scores are zero",
        ),
        (found.unknown, "with N, which gets no score"),
        (found.above, f"with a convergence delta that is too large, up to {found.largest:.2g}; see {SUMMARY}"),
    ):
        if number:
            lines.append(f"{counted(number, 'sequences')} {about}")
    return lines


def _read(model: Model, job: PredictionJob) -> tuple[list[list[Any]], np.ndarray, Records]:
    """The label columns of all records, their base codes, uint8 (N, L), and the reader with its counts."""
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
    ensemble = bool(described["weights"]["members"])
    return files.Arrays(folder, sequences, length, described["explained"], effects, facts, ensemble)


@contextlib.contextmanager
def _table(folder: Path, job: PredictionJob, model: Model, method: methods.Method) -> Iterator[Table]:
    layout = Layout([*Columns(model.spec).names, *method.columns], job.LABELS, method.labels)
    with (folder / SUMMARY).open("wb") as content:
        written = table_writer.Digested(content)
        with table_writer.opened(folder / SUMMARY, written, layout) as table:
            yield table


def _rows(
    titles: Sequence[str],
    codes: np.ndarray,
    activities: np.ndarray,
    scores: methods.Scores,
    effects: np.ndarray | None,
    targets: Sequence[int],
) -> list[Row]:
    """Rows of the report for the sequences of `codes`, the first of a batch."""
    actual = np.stack([(one[: len(codes)] * ONE_HOT[codes]).sum(2) for one in scores.hypothetical], 1)
    of_targets = None if effects is None else np.moveaxis(effects[..., targets], -1, 1)
    return [
        Row(titles[row], codes[row], activities[row], actual[row], None if of_targets is None else of_targets[row])
        for row in range(len(codes))
    ]


def _titles(names: Mapping[str, type], columns: Sequence[Column]) -> list[str]:
    """The name of each record; for an interval also its region, as samtools writes it."""
    if "chrom" not in names:
        return [str(name) for name in columns[list(names).index("name")]]
    return [
        f"{chrom}:{start + 1:,}-{end:,} {name} {strand}"
        for chrom, start, end, name, strand in zip(*columns, strict=True)
    ]


def _write_logos(folder: Path, rows: Sequence[Row], targets: Sequence[str], kind: str, unit: str) -> None:
    """Write a picture for each sequence and target: 0001.dev.png shows the first sequence."""
    (folder / logos.FOLDER).mkdir()
    for number, row in enumerate(rows, 1):
        for target, contributions in zip(targets, row.contributions, strict=True):
            scores = contributions[:, None] * ONE_HOT[row.codes]
            path = folder / logos.FOLDER / f"{number:04d}.{files.quoted(target)}.{kind}"
            logos.save_sequence(scores, path, f"{row.name}: contributions to {target}", unit)
