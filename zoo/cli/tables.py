"""Tables on standard output: plain columns, and titled tables that wrap at the width of the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_COLUMNS = 200
"""Width where the output is not a terminal."""


def print_columns(rows: Iterable[Sequence[str]], numbers: str = "") -> None:
    """Print rows in aligned columns. numbers: the columns to align at the right, such as "13"."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (
            text.rjust(width) if str(place) in numbers else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def console() -> Console:
    """A console that prints text unchanged, PIPE_COLUMNS wide where the output is not a terminal."""
    from rich.console import Console

    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = PIPE_COLUMNS
    return made


def titled(title: str, texts: Iterable[str], numbers: Iterable[str]) -> Table:
    """An empty table with columns of texts, then of numbers."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in texts:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right", overflow="fold")
    return table
