"""Names of records, as every reader takes them and every table may hold them, and how messages show what a file holds.

A name ends at the first white space or control character. None of these ever stands in a table that the zoo writes.
"""

from __future__ import annotations

import re

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What a program may take for the end of a line or of a field, or a terminal for a command."""

END = re.compile(rf"\s|{CONTROL.pattern}")
"""Where a name ends."""

SHOWN = 40
"""Characters of a file's own text that a message shows."""


def first_word(text: str) -> str:
    """A header or a cell up to the first white space or control character; those before the name do not count."""
    return next(filter(None, END.split(text)), "")


def shown(text: str) -> str:
    """Text of a file for a message: short, and on one line."""
    text = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return END.sub(lambda found: " " if found[0] == " " else ascii(found[0])[1:-1], text)


def listed(texts: list[str], most: int = 8) -> str:
    """The first of several texts of a file for a message, and how many more there are."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(map(shown, texts[:most])) + more
