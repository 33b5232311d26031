"""`zoo serve`, models over HTTP, and `zoo page`, its web page as static files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from zoo.cli import notes, options
from zoo.defaults import RUNTIME
from zoo.options import RunOptions
from zoo.serve.options import ServeOptions

Models = Annotated[
    list[str] | None,
    options.weights_argument(f"Names (see zoo list), files or run folders. By default {options.DEFAULT_WEIGHTS}."),
]


def serve(
    models: Models = None,
    *,
    serving: Annotated[ServeOptions, options.SERVING] = ServeOptions(),
    runtime: options.Runtime = RUNTIME,
    running: Annotated[RunOptions, options.RUNNING] = RunOptions(),
) -> None:
    from zoo.serve import server

    def say(text: str) -> None:
        notes.say_what_is_left()  # the command ends when the service does
        notes.say(text)

    server.serve(models or [], runtime, running, serving, say, notes.quiet())


def page(
    models: Models = None,
    *,
    output: Annotated[Path, options.output("Folder to write, for any web server.")],
    overwrite: options.Overwrite = False,
    ort: Annotated[
        Path | None,
        options.input_("Folder dist of the npm package onnxruntime-web; by default where npm install puts it."),
    ] = None,
) -> None:
    from zoo.serve import page

    written = page.write(models or [], output, ort or page.ORT, overwrite)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    print(f"{output}: a page of {', '.join(written)}, {size:,} bytes; to look at it: python -m http.server -d {output}")
