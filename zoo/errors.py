"""Errors that a user can cause. Each message is one line: what was expected, what was found, what to do.

The command line prints the line and ends with `exit_code`; nothing else decides exit codes.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable

LONGEST = 300
"""Maximum number of characters in a message. A longer one loses its middle, since the ends say what is wrong and what
to do."""

LONGEST_WORD = 40
"""A longer word may be cut: a path, or letters that are no words."""


def one_line(text: str) -> str:
    """Any text -> one line of at most LONGEST printable characters. A cut is at a blank, or in a word of more than
    LONGEST_WORD characters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 100 * LONGEST]).split())
    if len(text) > 100 * LONGEST:
        line += one_line(text[-LONGEST:])
    half = (LONGEST - len(" ... ")) // 2
    if len(line) <= LONGEST:
        return line
    first = line.rfind(" ", half - LONGEST_WORD, half + 1)
    last = line.find(" ", len(line) - half - 1, len(line) - half + LONGEST_WORD)
    return f"{line[: first if first > 0 else half]} ... {line[last + 1 if last > 0 else -half :]}"


def counted(number: int, things: str) -> str:
    """ "1 interval", "2,500 intervals". things: a plural that ends in s."""
    return f"{number:,} {things.removesuffix('s') if number == 1 else things}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar to `name`, regardless of case; None if none is similar."""
    by_letters = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), by_letters, n=1)
    return by_letters[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Text to put after an unknown name: ", did you mean NAME?" if a known one is similar, else nothing."""
    close = nearest(name, known)
    return f", did you mean {close}?" if close else ""


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    """The known names, for a list in a message: the most similar to `name` first, the others in their order."""
    names = list(known)
    close = nearest(name, names)
    return sorted(names, key=lambda one: one != close)


class ZooError(Exception):
    """Bad input or usage: exit status 2. `str` of it is one line of at most LONGEST characters."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class ZooWarning(UserWarning):
    """A warning for the user; the command line prints it as one line and continues."""


class ImitationWarning(ZooWarning):
    """Numbers come from bundled weights and can be taken for those of the weights that they imitate; the command line
    prints it last."""


class BadInput(ZooError):  # noqa: N818
    """A record of an input is refused, in whichever part of the work it is found: exit status 2."""


class CheckFailed(ZooError):  # noqa: N818
    """A check of results failed on valid input (parity, export validation): exit status 1."""

    exit_code = 1


class MissingDependency(ZooError):  # noqa: N818
    """A library is not installed, or a device is missing: exit status 2."""


def require(module: str, extra: str, purpose: str = "") -> None:
    """Raise MissingDependency, with the command that installs it, unless a library is installed. Does not import it.

    module: its top-level import name.  extra: the extra of deepstarr-zoo that installs it, "" for the base install.
    purpose: the option, command or file that needs it, for the start of the message.
    """
    if importlib.util.find_spec(module) is None:
        package = f"'deepstarr-zoo[{extra}]'" if extra else "deepstarr-zoo"
        start = f"{purpose}: " if purpose else ""
        raise MissingDependency(f"{start}{module} is not installed; pip install {package} installs it")


class OutOfMemory(ZooError):  # noqa: N818
    """The device has too little memory for the request: exit status 2."""


class BadSetting(ZooError):  # noqa: N818
    """An environment variable has a value that cannot be obeyed, whatever the job: exit status 2."""


class WrongLength(ZooError):  # noqa: N818
    """A sequence of another length than the model takes."""


class OtherArchitecture(ZooError):  # noqa: N818
    """Imported arrays do not fit an architecture: exit status 2, unless another one fits."""


class BadPlugin(ZooError):  # noqa: N818
    """A plug-in cannot be imported or lacks an obligatory name of its contract: exit status 2."""
