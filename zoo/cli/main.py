"""The command `zoo`: its commands, its exit status, and one line for every failure."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Group, Parameter

import zoo
from zoo.cli import failures, notes, options, parsing
from zoo.cli.commands import COMMANDS, WRITE_AT_THE_END
from zoo.cli.help_screen import HelpScreen
from zoo.errors import CheckFailed, ImitationWarning, ZooError, ZooWarning
from zoo.system import signals

DEBUG = "ZOO_DEBUG"

SILENT = ("serve", "--install-completion", "__complete")
"""Commands without a sign of life: a service, and what a shell calls."""

NAMES = [
    command.partition(":")[2].rstrip("_").replace("_", "-") for commands in COMMANDS.values() for command in commands
]


def _app() -> App:
    app = App(
        name="zoo",
        help="Regulatory DNA models: one set of weights, any runtime, the same number everywhere.",
        version=f"zoo {zoo.__version__}",
        help_flags=("--help", "-h"),
        help_format="plaintext",
        help_formatter=HelpScreen(),
        help_epilogue=f"Examples, options and the page of a command: zoo COMMAND --help.\n{notes.HELP}",
        group_commands=Group("Other", sort_key=len(COMMANDS)),
        group_arguments=options.ARGUMENTS,
        group_parameters=options.OPTIONS,
        default_parameter=parsing.EVERY_OPTION,
        config=parsing.STEPS,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        exit_on_error=False,
        print_error=False,
        end_of_options_delimiter="--",
    )
    app["--help"].help = "Show this help, or the help of a command."
    app["--version"].help = "Show the version."
    app.command(lambda: None, name="--debug", help=f"Before a command: show the traceback of an error, like {DEBUG}=1.")
    app.command(lambda: print(f"zoo {zoo.__version__}"), name="version", show=False)
    app.command(_install_completion, name="--install-completion", help="Let the shell complete commands and options.")
    for place, (title, commands) in enumerate(COMMANDS.items()):
        group = Group(title, sort_key=place)
        for order, (command, text) in enumerate(commands.items()):
            lines = [line.strip() for line in text.splitlines()]
            examples = "\n".join(f"  {line}" for line in lines if line.startswith("zoo "))
            more = " ".join(line for line in lines[1:-1] if not line.startswith("zoo "))
            app.command(
                f"zoo.cli.commands.{command}",
                name=command.partition(":")[2].rstrip("_").replace("_", "-"),
                group=group,
                help=f"{lines[0]}\n\n{more}".strip(),
                help_epilogue=f"Examples:\n{examples}\n\nPage: {lines[-1]}\n{notes.HELP}",
                sort_key=order,
            )
    return app


def _install_completion(
    *,
    shell: Annotated[
        Literal["bash", "zsh", "fish", "powershell"] | None, Parameter(help="By default the shell that runs this.")
    ] = None,
    output: Annotated[
        Path | None,
        Parameter(help="File to write, in place of the shell's own; its settings stay unchanged."),
    ] = None,
) -> None:
    """Write the file that lets a shell complete the words of `zoo`, and print its name."""
    from cyclopts.completion.detect import ShellDetectionError

    try:
        path = app.install_completion(shell=shell, output=output, add_to_startup=output is None)
    except ShellDetectionError:
        raise ZooError("cannot detect the shell; name it, as in zoo --install-completion --shell bash") from None
    print(f"{path}: written; it works in the next shell that is started")


app = _app()


def main() -> None:
    """Entry point: exit status 0, 1 (a check failed), 2 (bad input or usage), 128 + N after signal N (130: Ctrl-C)."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--debug"]:
        os.environ[DEBUG] = "1"
        arguments = arguments[1:]
    arrived = signals.Arrived()
    try:
        with signals.raised(arrived):
            with warnings.catch_warnings():
                warnings.simplefilter("always", ZooWarning)  # whatever PYTHONWARNINGS says
                words = parsing.full_forms(notes.without_switches(arguments)) or ["--help"]
                with notes.Activity(" ".join(["zoo", *words[:1]])) if words[0] not in SILENT else nullcontext():
                    app(words)
            sys.stdout.flush()
            notes.say_what_is_left()
        return 0
    except BrokenPipeError:
        # the reader closed the pipe (`| head`): nothing to report, and nothing more to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get(DEBUG):
            raise
        # some libraries turn the exception of a signal that arrives during their import into one of their own
        cause = error if isinstance(error, KeyboardInterrupt) else arrived.last or error
        text, status = failures.line_and_status(cause, [*NAMES, "version"])
        print(text, file=sys.stderr)
        if isinstance(cause, CheckFailed):  # there are results
            notes.say_what_is_left()
        for note in getattr(cause, "__notes__", ()) or _after(cause, arguments):
            notes.say(note)
        return status


def _after(cause: BaseException, arguments: list[str]) -> list[str]:
    """How to go on after an interruption, for a command that has not said so itself."""
    words = notes.without_switches(arguments)
    if not isinstance(cause, KeyboardInterrupt) or words[:1] == [] or words[0] not in WRITE_AT_THE_END:
        return []
    return ["no output file was written; the same command starts again"]


def _show_warning(message: Warning | str, category: type[Warning], *where: object) -> None:
    """Print a ZooWarning as one line, and warnings of libraries as Python does."""
    if issubclass(category, ImitationWarning):
        notes.say_last(str(message))
    elif issubclass(category, ZooWarning):
        notes.say(str(message))
    else:
        _python_shows(message, category, *where)  # type: ignore[arg-type]


_python_shows = warnings.showwarning
