"""What is wrong with a command line, in one line: what was expected, what came, and which help says more."""

from __future__ import annotations

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

from zoo.errors import did_you_mean

KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}
"""Type -> what a user would call it."""


def explained(error: CycloptsError, commands: Iterable[str]) -> str:
    """One line about `error`, which ends with the command whose help says more."""
    where = " ".join(["zoo", *(error.command_chain or ())])
    return f"{_wrong(error, commands)}; see {where} --help"


def _wrong(error: CycloptsError, commands: Iterable[str]) -> str:
    if isinstance(error, UnknownCommandError):
        name = (error.unused_tokens or ["?"])[0]
        return f"no command is called {name!r}{did_you_mean(name, commands)}"
    if isinstance(error, UnknownOptionError):
        name = error.token.keyword or error.token.value
        known = [name for argument in error.argument_collection if argument.show for name in argument.names]
        return f"no option is called {name}{did_you_mean(name, known)}"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        return f"{error.keyword} needs a value" if error.keyword else f"{error.argument.name} is missing"
    if isinstance(error, CoercionError) and error.argument is not None and error.token is not None:
        place = "" if error.token.source in ("", "cli", "env") else f"{error.token.source}: "
        name = error.token.keyword or error.argument.name
        return f"{place}{name}: expected {_expected(error.argument)}, got {error.token.value!r}"
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"{error.unused_tokens[0]!r} is one argument too many"
    error.verbose = False
    return " ".join(str(error).split()).rstrip(".")


def _expected(argument: Argument) -> str:
    choices = argument.get_choices(force=True)
    if choices:
        return " or ".join(choices) if len(choices) < 3 else f"one of {', '.join(choices)}"
    kind = getattr(argument.resolved_hint, "__name__", "another value")
    return KINDS.get(kind, kind)
