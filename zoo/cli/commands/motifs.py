"""`zoo motifs`: the patterns that a model has learned, from what `zoo explain` left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.explain.options import MotifOptions


def command(
    folder: Annotated[Path, Parameter(name="DIR", help="Folder that zoo explain left.")],
    /,
    *,
    output: Annotated[Path | None, Parameter(help="Folder for the patterns; by default motifs in DIR.")] = None,
    known: Annotated[Path | None, Parameter(help="Known motifs, a MEME file; patterns get their names.")] = None,
    overwrite: options.Overwrite = False,
    finding: Annotated[MotifOptions, options.FINDING] = MotifOptions(),
) -> None:
    from zoo.motifs import motifs

    target = output or folder / motifs.FOLDER
    motifs.check(folder, target, known, overwrite)
    described = motifs.find(folder, target, finding, known, overwrite, options.command_line())
    for line in motifs.findings(described):
        notes.say(line)
    notes.say(f"{target}: {motifs.motif_page.FILE}, tables, MEME files and logos")
