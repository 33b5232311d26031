"""Every failure of a command as one line and an exit status: mistyped options, bad input, signals, bugs."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.argument import Argument

import zoo
from zoo.cli.notes import SWITCHES
from zoo.cli.parsing import command_line
from zoo.errors import ZooError, did_you_mean, one_line
from zoo.system import machine, signals

BUG = 1
"""Exit status after an unexpected error, the same as Python's."""

NO_THREAD = "can't start new thread"
"""Python's message if the limit of processes or memory is reached; this error has no class of its own."""

BEFORE_COMMANDS = ("--help", "-h", "--version", "--debug", "--install-completion")
"""Options of `zoo` itself."""

KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}
"""Type -> its name in messages."""


def line_and_status(error: BaseException, commands: Iterable[str]) -> tuple[str, int]:
    """What to print for an error, without a newline at the end, and the exit status."""
    if isinstance(error, KeyboardInterrupt):
        stopped = error if isinstance(error, signals.Stopped) else signals.Stopped(signal.SIGINT)
        return f"zoo: {stopped}", stopped.status
    line = _expected_failure(error, commands)
    if line is None:
        return _bug_report(error), BUG
    return f"zoo: {one_line(line)}", error.exit_code if isinstance(error, ZooError) else ZooError.exit_code


def _expected_failure(error: BaseException, commands: Iterable[str]) -> str | None:
    """One line about what went wrong; None for a bug."""
    if isinstance(error, ZooError):
        return str(error)
    if isinstance(error, ImportError):
        return _import_failure(error)
    if NO_THREAD in str(error):
        return f"cannot start more threads; try a smaller --threads{machine.memory_limit_note()}"
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, CycloptsError):
        command = " ".join(["zoo", *(error.command_chain or ())])
        return f"{_usage_failure(error, commands)}; see {command} --help"
    if isinstance(error, OSError):
        return f"{error.filename or 'output'}: {error.strerror or error}"
    return None


def _bug_report(error: BaseException) -> str:
    return (
        f"zoo: this is a bug of zoo {zoo.__version__}: {one_line(f'{type(error).__name__}: {error}')}\n"
        f"zoo: the command was: {one_line(command_line())}\n"
        f"zoo: please report these lines with what `zoo --debug ...` prints"
    )


def _import_failure(error: ImportError) -> str:
    """The first cause in a chain of import errors: some libraries wrap it into advice of many lines."""
    first: BaseException = error
    while isinstance(cause := first.__cause__ or first.__context__, ImportError):
        first = cause
    reason = next(iter(str(first).splitlines()), "no reason given")
    return f"cannot load a library: {reason}{machine.memory_limit_note() or '; install it again, or see zoo doctor'}"


def _usage_failure(error: CycloptsError, commands: Iterable[str]) -> str:
    if isinstance(error, UnknownCommandError):
        name = (error.unused_tokens or ["?"])[0]
        if name == "-":
            return "expected the name of a command, got -"
        if name.startswith("-"):
            return f"unknown option {name}{did_you_mean(name, [*BEFORE_COMMANDS, *SWITCHES])}"
        return f"unknown command {name!r}{did_you_mean(name, commands)}"
    if isinstance(error, UnknownOptionError):
        name = error.token.keyword or error.token.value
        if name == "-":
            return "-: expected a file, since this command does not read standard input"
        known = [name for argument in error.argument_collection if argument.show for name in argument.names]
        return f"unknown option {name}{did_you_mean(name, known)}"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.keyword} needs a value" if error.keyword else f"{_named(error.argument)} is missing"
    if isinstance(error, CoercionError) and error.argument is not None and error.token is not None:
        place = "" if error.token.source in ("", "cli", "env") else f"{error.token.source}: "
        name = error.token.keyword or _named(error.argument)
        return f"{place}{name}: expected {_expected(error.argument)}, got {error.token.value!r}"
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"unexpected argument {error.unused_tokens[0]!r}"
    error.verbose = False
    return " ".join(str(error).split()).rstrip(".")


def _named(argument: Argument) -> str:
    """The name of an argument in messages; a positional one may also be given by an option."""
    return argument.name if argument.index is None else argument.name.removeprefix("--")


def _expected(argument: Argument) -> str:
    choices = argument.get_choices(force=True)
    if choices:
        return " or ".join(choices) if len(choices) < 3 else f"one of {', '.join(choices)}"
    kind = getattr(argument.resolved_hint, "__name__", "another value")
    return KINDS.get(kind, kind)
