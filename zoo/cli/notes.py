"""What a command says beside its result, on standard error: notes, which --quiet silences, and details for --verbose.

Errors are no notes: zoo/cli/main.py prints them whatever is chosen.
"""

from __future__ import annotations

import enum
import sys

from zoo.errors import one_line

SWITCHES = {"-q": -1, "--quiet": -1, "-v": 1, "--verbose": 1}
"""What a user types, anywhere in a command line -> how much more is said."""

HELP = "With every command: -q, --quiet for errors only; -v, --verbose for more."
"""Short enough for every terminal."""


class Level(enum.IntEnum):
    """How much is said."""

    QUIET = -1
    NORMAL = 0
    VERBOSE = 1


_level = Level.NORMAL


def taken_from(arguments: list[str]) -> list[str]:
    """The words of a command line without SWITCHES, which set the level: the last counts, up to a --."""
    global _level
    _level = Level.NORMAL
    end = arguments.index("--") if "--" in arguments else len(arguments)
    rest = []
    for word in arguments[:end]:
        if word in SWITCHES:
            _level = Level(SWITCHES[word])
        else:
            rest.append(word)
    return rest + arguments[end:]


def quiet() -> bool:
    return _level <= Level.QUIET


def say(text: str) -> None:
    """Print a note, one line."""
    if not quiet():
        print(f"zoo: {one_line(text)}", file=sys.stderr)


def detail(text: str) -> None:
    """Print what only --verbose shows, one line."""
    if _level >= Level.VERBOSE:
        print(f"zoo: {one_line(text)}", file=sys.stderr)
