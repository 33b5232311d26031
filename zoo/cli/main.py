"""The command `zoo`: finds the files in zoo/cli/commands, turns every failure into one line and its exit status.

Only the file of the command that was asked for is imported, so that the start costs nothing that is not needed.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

import zoo
from zoo.cli import commands
from zoo.errors import ZooError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 + SIGINT."""

CLICK_ERROR = cast(type[Exception], typer.BadParameter.__mro__[2])
"""What typer raises for wrong usage. Releases differ in the module that it lives in, none gives it a public name."""


class Commands(TyperGroup):
    """The files in zoo/cli/commands as sub-commands, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return sorted(module.name.rstrip("_") for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        for module in pkgutil.iter_modules(commands.__path__):
            if module.name.rstrip("_") == cmd_name:
                return self._command(module.name)
        return super().get_command(ctx, cmd_name)

    @staticmethod
    def _command(module: str) -> Any:
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(module.rstrip("_"))(importlib.import_module(f"zoo.cli.commands.{module}").command)
        return typer.main.get_command(app)


app = typer.Typer(
    name="zoo",
    cls=Commands,
    help="Regulatory DNA models: one set of weights, any runtime, the same number everywhere.",
    add_completion=False,
    pretty_exceptions_enable=False,
    # plain help: rich costs more time than the rest of the start
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"zoo {zoo.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", envvar="ZOO_DEBUG")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before the command."""
    if debug:
        os.environ["ZOO_DEBUG"] = "1"


def main() -> None:
    """Entry point: exit status 0, 1 (a check failed), 2 (bad input or usage), 130 (interrupted)."""
    try:
        status = _run(sys.argv[1:] or ["--help"])
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader went away (`| head`): nothing to say, and nothing more to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except (ZooError, CLICK_ERROR, OSError, MemoryError, KeyboardInterrupt) as error:
        if os.environ.get("ZOO_DEBUG"):
            raise
        line, status = _explained(error)
        print(f"zoo: {line}", file=sys.stderr)
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    """What typer's own `main` does, which would swallow interrupts and closed pipes."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("zoo", arguments) as context:
            command.invoke(context)
    except typer.Exit as finished:
        return finished.exit_code
    return 0


def _explained(error: BaseException) -> tuple[str, int]:
    """One line that says what went wrong, and the exit status."""
    if isinstance(error, ZooError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    if isinstance(error, MemoryError):
        return "out of memory; a smaller --batch-size may help", ZooError.exit_code
    if isinstance(error, OSError):
        return f"{error.filename or 'output'}: {error.strerror or error}", ZooError.exit_code
    return _usage(error), ZooError.exit_code


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    where = context.command_path if context else "zoo"
    return f"{error.format_message().rstrip('.')}; see {where} --help".replace("\n", " ")
