"""`zoo explain`, which bases of sequences matter, and `zoo motifs`, the motifs in its output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.cli.commands.predict import Files, prediction_job, say_finished
from zoo.cli.parsing import command_line
from zoo.dna.read_options import STRICT, ReadOptions
from zoo.explain.options import ExplainOptions
from zoo.genome.options import IntervalOptions
from zoo.motifs.options import MotifOptions
from zoo.prediction.options import TableOptions

NO_MOTIFS = Path("none")
"""The value of --known that switches the comparison off."""


def explain(
    files: Files = None,
    /,
    *,
    output: Annotated[Path, options.output("Folder for the report, the table and the arrays.")],
    overwrite: options.Overwrite = False,
    explaining: Annotated[ExplainOptions, options.EXPLAINING] = ExplainOptions(),
    table: Annotated[TableOptions, options.READING] = TableOptions(),
    reading: Annotated[ReadOptions, options.READING] = STRICT,
    intervals: Annotated[IntervalOptions, options.INTERVALS] = IntervalOptions(),
    model: options.Loaded = options.DEFAULT,
) -> None:
    from zoo.explain import explanation, report
    from zoo.explain.files import SUMMARY

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


def motifs(
    folder: Annotated[Path, Parameter(name="DIR", help="Output folder of zoo explain.")],
    /,
    *,
    known: Annotated[
        Path | None,
        options.input_(
            "MEME file of known motifs, to name the patterns, or none; by default motifs of fly enhancers and core "
            "promoters."
        ),
    ] = None,
    output: Annotated[Path | None, options.output("Folder for the motifs; by default motifs in DIR.")] = None,
    overwrite: options.Overwrite = False,
    finding: Annotated[MotifOptions, options.FINDING] = MotifOptions(),
) -> None:
    from zoo.motifs import known_motifs, motifs

    target = output or folder / motifs.FOLDER
    named_by = None if known == NO_MOTIFS else known or known_motifs.FILE
    motifs.check(folder, target, named_by, overwrite)
    described = motifs.find(folder, target, finding, named_by, overwrite, command_line(), notes.doing)
    for line in motifs.findings(described):
        notes.say(line)
    notes.say(f"{target}: {motifs.PAGE_FILE}, tables, MEME files and logos")
