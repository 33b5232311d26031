"""`zoo predict`: a FASTA file to a table of activities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.defaults import MODEL, RUNTIME


def command(
    sequences: Annotated[str, typer.Argument(metavar="FILE", help="FASTA, plain or compressed; - is standard input.")],
    model: Annotated[str, typer.Option(help="A model by name, for its bundled weights; see zoo list.")] = MODEL,
    weights: Annotated[
        str | None, typer.Option(help="A file instead, .safetensors or .onnx; it says itself which model it is.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="What computes: auto, or engine-device; see zoo list.")] = RUNTIME,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Table to write, instead of to standard output.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    resize: Annotated[
        str | None, typer.Option(help="center: crop or pad with N, around the middle, what has another length.")
    ] = None,
    ambiguous: Annotated[str | None, typer.Option(help="n: take letters other than ACGTN as N.")] = None,
    rc: Annotated[str | None, typer.Option(help="average: the mean of both strands, for twice the time.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Sequences computed at once; default: the runtime's.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: one a core.")] = None,
    precision: Annotated[str, typer.Option(help="fp32, or tf32 or bf16 where the runtime has it.")] = "fp32",
) -> None:
    """Predict the activities of sequences in a FASTA file."""
    import shlex
    import sys

    from zoo.cli.progress import Bar
    from zoo.formats.fasta import Leniency, Reader
    from zoo.inference import predict

    if output == Path("-"):
        output = None
    command_line = shlex.join(["zoo", *sys.argv[1:]])
    job = predict.Job(sequences, output, Leniency(resize, ambiguous), overwrite, command_line, rc)
    job.check_output()
    loaded = predict.load(model, weights, runtime, batch_size=batch_size, threads=threads, precision=precision)
    size = Path(sequences).stat().st_size if Path(sequences).is_file() else None
    with Bar("sequences", size) as bar:

        def on_progress(reader: Reader) -> None:
            bar.update(reader.bytes_read, reader.counts.records)

        description = predict.predict_file(loaded, job, on_progress)
    print(f"zoo: {predict.summary(description)}", file=sys.stderr)
