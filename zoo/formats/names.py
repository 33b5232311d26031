"""Names of records, and how messages show text from files.

A name ends at the first white space or control character, so names in tables of the zoo contain neither.
"""

from __future__ import annotations

import re

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that a program may read as the end of a line or a field, or a terminal as a command."""

END = re.compile(rf"\s|{CONTROL.pattern}")
"""End of a name."""

SHOWN = 40
"""Characters of a file's text that a message shows."""


def first_word(text: str) -> str:
    """A header or a cell up to the first white space or control character after its start."""
    return next(filter(None, END.split(text)), "")


class Shown(str):
    """Text that is escaped already: its repr only adds quotes."""

    def __repr__(self) -> str:
        quote = '"' if "'" in self else "'"
        return f"{quote}{self}{quote}"


def shown(text: str) -> Shown:
    """Text of a file for a message, short and on one line."""
    text = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return Shown(END.sub(lambda found: " " if found[0] == " " else ascii(found[0])[1:-1], text))


def listed(texts: list[str], most: int = 8) -> str:
    """The first texts of a list for a message, and the number of the others."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(map(shown, texts[:most])) + more


def none_among(lines: int, kind: str) -> str:
    """Part of a message for a file without records. lines: those that it has.  kind: what they are."""
    return f"found none among {lines:,} line{'s' * (lines > 1)} of {kind}" if lines else "the file is empty"
