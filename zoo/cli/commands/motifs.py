"""`zoo motifs`: find motifs in the output folder of `zoo explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.motifs.options import MotifOptions


def command(
    folder: Annotated[Path, Parameter(name="DIR", help="Output folder of zoo explain.")],
    /,
    *,
    output: Annotated[Path | None, Parameter(help="Folder for the results; default DIR/motifs.")] = None,
    known: Annotated[Path | None, Parameter(help="MEME file of known motifs, to name the patterns.")] = None,
    overwrite: options.Overwrite = False,
    finding: Annotated[MotifOptions, options.FINDING] = MotifOptions(),
) -> None:
    from zoo.motifs import motifs

    target = output or folder / motifs.FOLDER
    motifs.check(folder, target, known, overwrite)
    described = motifs.find(folder, target, finding, known, overwrite, options.command_line())
    for line in motifs.findings(described):
        notes.say(line)
    notes.say(f"{target}: {motifs.PAGE_FILE}, tables, MEME files and logos")
