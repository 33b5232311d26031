"""The command `zoo`: finds the files in zoo/commands, turns a ZooError into one line and its exit status."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from typing import Annotated

import typer

from zoo import commands
from zoo.errors import ZooError

app = typer.Typer(
    name="zoo",
    help="Regulatory DNA models: one set of weights, any runtime, the same number everywhere.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", envvar="ZOO_DEBUG")] = False,
) -> None:
    """Options that stand before the command."""
    if debug:
        os.environ["ZOO_DEBUG"] = "1"


for _module in pkgutil.iter_modules(commands.__path__):
    app.command(_module.name.rstrip("_"))(importlib.import_module(f"zoo.commands.{_module.name}").command)


def main() -> None:
    """Entry point: exit status 0, 1 (a check failed), 2 (bad input or usage), 130 (interrupted)."""
    try:
        app(standalone_mode=True)
    except ZooError as error:
        if os.environ.get("ZOO_DEBUG"):
            raise
        print(f"zoo: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # the reader went away (`| head`): nothing to say, and nothing more to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
