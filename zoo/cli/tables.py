"""Tables on standard output. At a terminal they fit its width: no number is cut, and lines break only between words.

Where the output is not a terminal, each row is one line.
"""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

GAP = "  "
"""Between two columns."""

NUMBER = re.compile(r"[-+]?\.?\d")
"""Start of a cell with a number."""

NO_NUMBER = ("", "-", "not defined", "unknown")
"""Cells of a column of numbers that hold none."""


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Print rows in aligned columns, those of numbers at the right. If the terminal is too narrow, each row is a block
    of lines NAME: VALUE. Blocks and a table with a title end with an empty line."""
    table = [list(header), *map(list, rows)]
    columns = list(zip(*table, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numbers = [all(NUMBER.match(cell) or cell.strip() in NO_NUMBER for cell in column[1:]) for column in columns]
    if title:
        print_text(title)
    fits = sum(widths) + len(GAP) * (len(widths) - 1) <= _width()
    for row in table if fits else []:
        cells = zip(row, widths, numbers, strict=True)
        print(GAP.join(text.rjust(width) if number else text.ljust(width) for text, width, number in cells).rstrip())
    for row in [] if fits else table[1:]:
        print_pairs((f"{name}:", cell.strip() or "-") for name, cell in zip(header, row, strict=True))
        print()
    if title and fits:
        print()


def print_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names, and texts beside them. A text that does not fit the terminal continues on the next line."""
    table = list(pairs)
    indent = max((len(name) for name, _ in table), default=0) + len(GAP)
    for name, text in table:
        if indent + max(map(len, text.split()), default=0) <= _width():
            print_text(text, " " * indent, name.ljust(indent))
        else:  # a long path begins below its name
            print(name)
            print_text(text, 2 * GAP)


def print_text(text: str, indent: str = "", first: str | None = None) -> None:
    """Print a line; at a terminal, as many as it takes. indent: of all lines.  first: the first one begins with it."""
    start = indent if first is None else first
    lines = textwrap.wrap(
        text,
        _width(),
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    print("\n".join(line.rstrip() for line in lines or [start]))


def _width() -> int:
    """Columns of the terminal; no limit where the output is not one."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
