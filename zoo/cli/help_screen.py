"""How the help looks: plain text in two columns, as wide as the terminal, each default and choice said once."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TYPE_CHECKING, Any, get_args, get_origin

from zoo.cli.options import FLAGS

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

NAMES_WIDTH = 26
"""Columns of the names; longer ones have a line of their own."""

WIDEST = 110
"""Longer lines are hard to read."""

VALUES = {"STR": "TEXT", "INT": "N", "FLOAT": "X", "STR...": "A,B", "CHOICE...": "A,B"}
"""Placeholder of a value: the library's, made of the type -> what a reader takes in without knowing Python."""


class HelpScreen:
    """What cyclopts asks to write the parts of a help, one after the other."""

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:  # noqa: ARG002
        text = re.sub(r"\b(STR|INT|FLOAT)\b", lambda found: VALUES[found[0]], str(usage).strip())
        self._print(console, textwrap.wrap(f"Usage: {text}", _width(), subsequent_indent=" " * 7))

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:  # noqa: ARG002
        paragraphs = str(getattr(description, "primary_renderable", description)).strip().split("\n\n")
        for paragraph in paragraphs:
            self._print(console, textwrap.wrap(paragraph, _width()))

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:  # noqa: ARG002
        """One group of commands or options."""
        if panel.entries:
            rows = [line for entry in panel.entries for line in _lines(_names(entry), _about(entry), _width())]
            self._print(console, [f"{panel.title}:", *rows])

    @staticmethod
    def _print(console: Console, lines: list[str]) -> None:
        console.print("\n".join([*lines, ""]), markup=False, highlight=False, soft_wrap=True)


def _width() -> int:
    return min(shutil.get_terminal_size().columns, WIDEST)


def _names(entry: HelpEntry) -> str:
    if entry.positional_label:
        return entry.positional_label
    if flag := _flag(entry):
        return flag[1]
    names = ", ".join((*entry.positive_shorts, *entry.positive_names))
    kind = entry.metavar or ""
    if list in (get_origin(entry.type), *map(get_origin, get_args(entry.type))):
        # one value each time that the option is given
        kind = kind.removesuffix("...")
    value = "|".join(entry.choices) if entry.choices and not kind.endswith("...") else VALUES.get(kind, kind)
    return f"{names} {value}" if value else names


def _flag(entry: HelpEntry) -> tuple[str, str, str] | None:
    """Option, flag and value where a flag stands for the only value of an option."""
    return next((("--" + name, *given) for name, given in FLAGS.items() if given[0] in entry.positive_names), None)


def _about(entry: HelpEntry) -> str:
    text: Any = getattr(entry.description, "primary_renderable", entry.description)
    said = [" ".join(str(text).split())]
    if entry.choices and entry.metavar and entry.metavar.endswith("..."):
        said.append(f"Of {', '.join(entry.choices)}.")
    if flag := _flag(entry):
        said.append(f"The same as {flag[0]} {flag[2]}.")
    notes = []
    if entry.default is not None:
        notes.append(f"default: {entry.default}")
    if entry.env_var:
        notes.append(f"or the variable {', '.join(entry.env_var)}")
    if entry.required and not entry.positional_label:
        notes.append("required")
    return " ".join(filter(None, [*said, f"({'; '.join(notes)})" if notes else ""]))


def _lines(names: str, about: str, width: int) -> list[str]:
    indent = " " * NAMES_WIDTH
    beside = len(names) + 4 <= NAMES_WIDTH
    first = f"  {names}".ljust(NAMES_WIDTH) if beside else indent
    filled = textwrap.wrap(
        about, width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )
    filled = filled or [first.rstrip()]
    return filled if beside else [f"  {names}", *filled]
