"""`zoo design`: sequences with a high or low activity, as FASTA, with a trace of their changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from zoo.cli import notes, options
from zoo.cli.parsing import command_line
from zoo.design.options import DesignOptions
from zoo.dna.read_options import STRICT, ReadOptions


def design(
    *,
    target: Annotated[str, options.under(options.DESIGNING, "Target of the model whose prediction is raised.")],
    output: Annotated[Path, options.output("FASTA file for the designs; the trace is written beside it.")],
    figure: Annotated[
        Path | None, options.output("Plot of the rounds: .png, .svg or .pdf; needs the extra `explain`.")
    ] = None,
    overwrite: options.Overwrite = False,
    start: Annotated[Path | None, options.input_("FASTA file of start sequences; by default random DNA.")] = None,
    designing: Annotated[DesignOptions, options.DESIGNING] = DesignOptions(),
    reading: Annotated[ReadOptions, options.READING] = STRICT,
    model: options.Loaded = options.DEFAULT,
) -> None:
    from zoo.design import design, files
    from zoo.formats.fasta import Reader, check_readable

    outputs = files.Outputs(output, figure, overwrite, (start, *model.source.files))
    outputs.check()
    check_readable(() if start is None else (start,))
    loaded = model.load()
    batches = () if start is None else Reader(start, loaded.spec.sequence_length, reading=reading)
    starts = [pair for batch in batches for pair in zip(*batch, strict=True)]
    with notes.Bar("designs", 1) as bar:
        designs = design.designs(loaded, target, designing, starts, bar.update)
    described = files.write(outputs, loaded, target, designing, designs, command_line())
    notes.summarize(described, "designs")
    for line in files.findings(described, designs):
        notes.say(line)
