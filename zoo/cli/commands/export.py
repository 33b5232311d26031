"""`zoo export`: weights written in a format that other programs run; one file in exporters/ a format."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[str, typer.Argument(help="Model whose weights to export, such as original.")],
    onnx: Annotated[bool, typer.Option("--onnx", help="The same as --format onnx.")] = False,
    keras: Annotated[bool, typer.Option("--keras", help="The same as --format keras.")] = False,
    format: Annotated[str | None, typer.Option(help="Format to write; zoo list shows them.")] = None,  # noqa: A002
    weights: Annotated[str | None, typer.Option(help="Weights file or name; else the model's own.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write; else MODEL.onnx or so.")] = None,
    opset: Annotated[int | None, typer.Option(help="ONNX: operator set to write.")] = None,
    input: Annotated[  # noqa: A002
        str | None,
        typer.Option(help="ONNX: what the graph takes, onehot (float32, 4 x L) or bytes (ASCII letters, uint8)."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
) -> None:
    """Export a model to ONNX, to Keras or to another format, checked before it is written."""
    from zoo import registry
    from zoo.errors import ZooError
    from zoo.weights import named as sources

    chosen = {name for name, flag in (("onnx", onnx), ("keras", keras), (format, format)) if flag and name}
    if len(chosen) != 1:
        names = ", ".join(registry.names("exporters"))
        raise ZooError(f"format: expected one, as --onnx, --keras or --format NAME ({names}), got {len(chosen)}")
    name = chosen.pop()
    exporter = registry.load("exporters", name)
    settings = {key: value for key, value in {"opset": opset, "input": input}.items() if value is not None}
    for key in settings:
        if key not in inspect.signature(exporter.export).parameters:
            raise ZooError(f"--{key}: the format {name} has no such setting")
    path = output or Path(f"{model.replace(':', '-')}{exporter.SUFFIX}")
    if path.suffix != exporter.SUFFIX:
        raise ZooError(f"{path}: expected an output name that ends in {exporter.SUFFIX}")
    source = sources.load(model, weights)
    exporter.export(source, path, overwrite=overwrite, **settings)
    print(f"{path}: {name}, {path.stat().st_size:,} bytes, weights id {source.spec.weights_id[:12]}")
