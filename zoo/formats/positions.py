"""Positions in text files: whole numbers, and what spreadsheets and other programs make of them."""

from __future__ import annotations

import re

from zoo.formats.names import shown

LAST_POSITION = 2**40
"""Longer than any contig."""

HINTS = {
    r"\d+(\.\d*)?[eE][+-]?\d+": "a spreadsheet may have rounded it: export the column as whole numbers",
    r"\d+\.0*": "write it without a decimal point",
    r"\d{1,3}([,.' ]\d{3})+": "write it without separators",
}
"""Pattern of a text that is not a position -> what to do."""


def position(text: str, field: str, least: int = 0) -> int:
    """A position of at least `least`, as digits alone. Raises ValueError that names the field, and says what to do.

    5000.0 and 5E3 are refused too: programs that write them may have rounded.
    """
    if text.isascii() and text.isdecimal() and len(text) < 20 and least <= int(text) <= LAST_POSITION:
        return int(text)
    hint = next((f"; {advice}" for pattern, advice in HINTS.items() if re.fullmatch(pattern, text)), "")
    raise ValueError(f"{field}: expected a whole number of at least {least}, got {shown(text)!r}{hint}")
