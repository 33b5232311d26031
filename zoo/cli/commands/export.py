"""`zoo export`: weights written in a format that other programs run; one file in exporters/ a format.

An exporter's own options are those of its `export`, see own_options.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from zoo import registry
from zoo.cli import options, own_options
from zoo.errors import ZooError


def command(
    model: Annotated[str, Parameter(help="Weights to export, by name; see zoo list.")],
    /,
    *,
    format: Annotated[str | None, Parameter(help="Format to write; zoo list shows them.")] = None,  # noqa: A002
    weights: Annotated[str | None, Parameter(help="Weights file or name; else the model's own.")] = None,
    output: Annotated[Path | None, Parameter(help="File or folder to write; else MODEL.onnx or so.")] = None,
    overwrite: options.Overwrite = False,
    **given: Any,
) -> None:
    from zoo.system.atomic import check_target
    from zoo.weights import lookup as sources

    formats = registry.names("exporters")
    chosen = {name for name in formats if given.pop(name, False)} | ({format} if format else set())
    if len(chosen) != 1:
        flags = ", ".join(f"--{name}" for name in formats)
        raise ZooError(f"format: expected one, as {flags} or --format NAME, got {len(chosen)}")
    name = chosen.pop()
    exporter = registry.load("exporters", name)
    own_options.check(given, exporter.export, f"the format {name}")
    path = output or Path(f"{model.replace(':', '-')}{exporter.SUFFIX}")
    if exporter.SUFFIX and path.suffix != exporter.SUFFIX:
        raise ZooError(f"{path}: expected an output name that ends in {exporter.SUFFIX}")
    if exporter.SUFFIX:
        check_target(path, overwrite, [sources.file_of(weights or model)])
    source = sources.load(model, weights)
    exporter.export(source, path, overwrite=overwrite, **given)
    written = sum(one.stat().st_size for one in (path, *path.rglob("*")) if one.is_file())
    print(f"{path}: {name}, {written:,} bytes, weights id {source.spec.weights_id[:12]}")


def every_option() -> Iterator[inspect.Parameter]:
    """A flag for each format, then the options of each."""
    for name in registry.names("exporters"):
        help_ = Parameter(name=f"--{name}", help=f"The same as --format {name}.")
        yield inspect.Parameter(name, own_options.KEYWORD, default=False, annotation=Annotated[bool, help_])
    yield from own_options.under_titles(
        {f"Format {name}": exporter.export for name, exporter in registry.working("exporters").items()}
    )


own_options.extend(command, every_option())
