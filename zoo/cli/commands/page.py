"""`zoo page`: the page of `zoo serve` as static files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from zoo.cli import options
from zoo.cli.commands.serve import Models


def command(
    models: Models = None,
    /,
    *,
    output: Annotated[Path, Parameter(help="Folder to write, for any web server to show.")],
    ort: Annotated[
        Path | None,
        Parameter(help="Folder dist of the npm package onnxruntime-web; by default where npm install puts it."),
    ] = None,
    overwrite: options.Overwrite = False,
) -> None:
    from zoo.serve import site

    written = site.write(models or [], output, ort or site.ORT, overwrite)
    size = sum(one.stat().st_size for one in output.rglob("*") if one.is_file())
    print(f"{output}: a page of {', '.join(written)}, {size:,} bytes; to look at it: python -m http.server -d {output}")
