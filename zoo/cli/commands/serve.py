"""`zoo serve`: models over HTTP."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.defaults import MODEL, RUNTIME
from zoo.options import RunOptions
from zoo.serve.options import ServeOptions

Models = Annotated[
    list[str] | None,
    Parameter(name="MODEL", help=f"Models, by name or from files, each under its name. By default {MODEL}."),
]


def command(
    models: Models = None,
    /,
    *,
    serving: Annotated[ServeOptions, options.SERVING] = ServeOptions(),
    runtime: options.Runtime = RUNTIME,
    running: Annotated[RunOptions, options.RUNNING] = RunOptions(),
) -> None:
    from zoo.serve import server

    server.serve(models or [], runtime, running, serving, notes.say, notes.quiet())
