"""Every error that a user can cause. One line each: what was expected, what came, what to do.

The command line prints the line and ends with `exit_code`; nothing else decides exit codes.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable

LONGEST = 300
"""Characters of a message. Of a longer one the middle is left out: its ends say what it is about and what to do."""


def one_line(text: str) -> str:
    """Text as one line of at most LONGEST printable characters, whatever is in it."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: 100 * LONGEST]).split())
    if len(text) > 100 * LONGEST:
        line += one_line(text[-LONGEST:])
    half = (LONGEST - len(" ... ")) // 2
    return line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Of names that are known, the one that another may be meant for, in whatever case; None where none is near."""
    by_letters = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), by_letters, n=1)
    return by_letters[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What to say behind a name that nothing has: ", did you mean NAME?" where one is near, else nothing."""
    close = nearest(name, known)
    return f", did you mean {close}?" if close else ""


class ZooError(Exception):
    """Bad input or usage: exit status 2. `str` of it is one line of at most LONGEST characters."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class ZooWarning(UserWarning):
    """Something that the user should know and that stops nothing; the command line prints it as one line."""


class CheckFailed(ZooError):  # noqa: N818
    """The input was fine and a check of the results was not (parity, export validation): exit status 1."""

    exit_code = 1


class MissingDependency(ZooError):  # noqa: N818
    """A library that an extra brings is not installed, or a device is not there: exit status 2."""


def require(module: str, extra: str, purpose: str = "") -> None:
    """Raise MissingDependency, with the command that installs it, unless a library is installed; it is not imported.

    module: its top-level import name.  extra: the extra of deepstarr-zoo that brings it, "" for the base install.
    purpose: the option, command or file that needs it, to begin the message with.
    """
    if importlib.util.find_spec(module) is None:
        package = f"'deepstarr-zoo[{extra}]'" if extra else "deepstarr-zoo"
        start = f"{purpose}: " if purpose else ""
        raise MissingDependency(f"{start}{module} is not installed; pip install {package} installs it")


class OutOfMemory(ZooError):  # noqa: N818
    """What was asked for does not fit into the memory of the device: exit status 2."""


class OtherArchitecture(ZooError):  # noqa: N818
    """Imported arrays are not those of the architecture that was asked: exit status 2, or another one is asked."""


class BadPlugin(ZooError):  # noqa: N818
    """A plug-in cannot be imported or lacks what its contract asks for: exit status 2."""
