"""`zoo explain`, which bases of sequences matter, and `zoo motifs`, the motifs in its output."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.cli.commands.predict import Files, prediction_job, say_finished
from zoo.cli.parsing import command_line
from zoo.dna.read_options import STRICT, ReadOptions
from zoo.errors import ZooError
from zoo.explain.options import ExplainOptions
from zoo.genome.options import IntervalOptions
from zoo.motifs.options import ClusterOptions, MotifOptions
from zoo.prediction.options import TableOptions

NO_MOTIFS = Path("none")
"""The value of --known that switches the comparison off."""


KNOWN = "MEME file of known motifs, to name {}, or none; by default motifs of fly enhancers and core promoters."


def explain(
    files: Files = None,
    /,
    *,
    output: Annotated[Path, options.output("Folder for the report, the table and the arrays.")],
    overwrite: options.Overwrite = False,
    explaining: Annotated[ExplainOptions, options.EXPLAINING] = ExplainOptions(),
    clustering: Annotated[ClusterOptions, options.CLUSTERING] = ClusterOptions(),
    known: Annotated[Path | None, options.under(options.CLUSTERING, KNOWN.format("the contributions"))] = None,
    table: Annotated[TableOptions, options.READING] = TableOptions(),
    reading: Annotated[ReadOptions, options.READING] = STRICT,
    intervals: Annotated[IntervalOptions, options.INTERVALS] = IntervalOptions(),
    model: options.Loaded = options.DEFAULT,
) -> None:
    from zoo.explain import explanation, report
    from zoo.explain.files import CLUSTERS, SUMMARY
    from zoo.motifs import clusters

    if clustering.clusters is None:
        if known is not None:
            raise ZooError("--known: only applies to --clusters; add it, or leave this out")
    elif files and len(files) == 1 and files[0].is_dir():
        _check_explained(files[0], explaining, (table, reading, intervals, model))
        clusters.check(output, _named_by(known), overwrite, files)
        _cluster(files[0], output, clustering, known, explaining, overwrite)
        return
    else:
        clusters.check(None, _named_by(known), overwrite)
    job = prediction_job("explain", files, table, intervals, reading, None, overwrite, model)
    explanation.check(output, explaining, job)
    job.check_sources()
    loaded = model.load()
    with notes.Bar(job.UNIT) as bar:
        described = explanation.explain(loaded, job, output, explaining, bar.update_of)
    say_finished(described, job.UNIT)
    for line in explanation.findings(described):
        notes.say(line)
    notes.say(f"{output}: {report.FILE}, {SUMMARY} and arrays")
    if clustering.clusters is not None:
        _cluster(output, output / CLUSTERS, clustering, known, explaining, overwrite)


def _check_explained(folder: Path, explaining: ExplainOptions, others: tuple[object, ...]) -> None:
    """Raise ZooError for options that contributions which were computed before cannot follow."""
    own = dataclasses.replace(explaining, targets=(), seed=ExplainOptions().seed)
    if own != ExplainOptions() or any(one != type(one)() for one in others):
        raise ZooError(
            f"{folder}: its contributions are used as they are; only --targets, --seed, --known and --overwrite apply"
        )


def _named_by(known: Path | None) -> Path | None:
    """The file of known motifs; None for no motifs."""
    from zoo.motifs import known_motifs

    return None if known == NO_MOTIFS else known or known_motifs.FILE


def _cluster(
    folder: Path,
    target: Path,
    clustering: ClusterOptions,
    known: Path | None,
    explaining: ExplainOptions,
    overwrite: bool,
) -> None:
    """Cluster the sequences of a folder of zoo explain."""
    from zoo.motifs import clusters

    described = clusters.find(
        folder,
        target,
        clustering.clusters or 0,
        _named_by(known),
        explaining.targets,
        explaining.seed,
        overwrite,
        command_line(),
        notes.doing,
    )
    for line in clusters.findings(described):
        notes.say(line)
    notes.say(f"{target}: {clusters.PAGE_FILE}, {clusters.TABLE}, {clusters.MOTIFS_TABLE}, figures and arrays")


def motifs(
    folder: Annotated[Path, Parameter(name="DIR", help="Output folder of zoo explain.")],
    /,
    *,
    known: Annotated[
        Path | None,
        options.input_(KNOWN.format("the patterns")),
    ] = None,
    output: Annotated[Path | None, options.output("Folder for the motifs; by default motifs in DIR.")] = None,
    overwrite: options.Overwrite = False,
    finding: Annotated[MotifOptions, options.FINDING] = MotifOptions(),
) -> None:
    from zoo.motifs import motifs

    target = output or folder / motifs.FOLDER
    named_by = _named_by(known)
    motifs.check(folder, target, named_by, overwrite)
    described = motifs.find(folder, target, finding, named_by, overwrite, command_line(), notes.doing)
    for line in motifs.findings(described):
        notes.say(line)
    notes.say(f"{target}: {motifs.PAGE_FILE}, tables, MEME files and logos")
