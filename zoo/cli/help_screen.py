"""The look of --help: plain text in two columns as wide as the terminal, with each default and choice once."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TYPE_CHECKING, Any, get_args, get_origin

from zoo.cli.parsing import FLAGS

if TYPE_CHECKING:
    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

NAMES_WIDTH = 26
"""Width of the column of names; a longer name has a line of its own."""

WIDEST = 110
"""Longer lines are hard to read."""

PLACEHOLDERS = {"STR": "TEXT", "INT": "N", "FLOAT": "X", "STR...": "A,B", "INT...": "N,N", "CHOICE...": "A,B"}
"""Placeholder for a value in cyclopts, made from the Python type -> ours."""


ALIAS = "--model"
"""Second name of --weights, which no help shows."""


class HelpScreen:
    """Called by cyclopts to print the parts of a help in order."""

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:  # noqa: ARG002
        text = re.sub(r"\b(STR|INT|FLOAT)\b", lambda match: PLACEHOLDERS[match[0]], str(usage).strip())
        _print(console, textwrap.wrap(f"Usage: {text}", _width(), subsequent_indent=" " * 7))

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:  # noqa: ARG002
        for paragraph in str(getattr(description, "primary_renderable", description)).strip().split("\n\n"):
            _print(console, ["", *textwrap.wrap(paragraph, _width())])

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:  # noqa: ARG002
        """Print one group of commands or options."""
        if panel.entries:
            rows = [line for entry in panel.entries for line in _lines(_names(entry), _about(entry))]
            _print(console, ["", f"{panel.title}:", *rows])


def _print(console: Console, lines: list[str]) -> None:
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _width() -> int:
    return min(shutil.get_terminal_size().columns, WIDEST)


def _names(entry: HelpEntry) -> str:
    if entry.positional_label:
        return entry.positional_label
    if flag := _flag(entry):
        return f"{flag[0]} [N]" if _takes_number(flag) else flag[0]
    shown = [name for name in entry.positive_names if name != ALIAS or len(entry.positive_names) == 1]
    names = ", ".join((*entry.positive_shorts, *shown))
    kind = entry.metavar or ""
    if list in (get_origin(entry.type), *map(get_origin, get_args(entry.type))):
        # the option takes one value each time that it is given
        kind = kind.removesuffix("...")
    value = "|".join(entry.choices) if entry.choices and not kind.endswith("...") else PLACEHOLDERS.get(kind, kind)
    return f"{names} {value}" if value else names


def _flag(entry: HelpEntry) -> tuple[str, str] | None:
    """The flag for the only value of an option, and the option with its value."""
    return next(
        ((flag, f"--{name} {value}") for name, (flag, value) in FLAGS.items() if flag in entry.positive_names), None
    )


def _takes_number(flag: tuple[str, str]) -> bool:
    """Whether a number may follow a flag of _flag."""
    return flag[1][-1].isdigit()


def _about(entry: HelpEntry) -> str:
    parts = [" ".join(str(getattr(entry.description, "primary_renderable", entry.description)).split())]
    if entry.choices and entry.metavar and entry.metavar.endswith("..."):
        parts.append(f"Choices: {', '.join(entry.choices)}.")
    notes = [f"default: {entry.default}"] if entry.default is not None else []
    notes += [f"same as {flag[1]}"] if (flag := _flag(entry)) and not _takes_number(flag) else []
    notes += [f"or set {', '.join(entry.env_var)}"] if entry.env_var else []
    notes += ["required"] if entry.required and not entry.positional_label else []
    return " ".join([*parts, f"({'; '.join(notes)})"] if notes else parts)


def _lines(names: str, about: str) -> list[str]:
    """The lines of one entry: its names, and what they mean beside or below them."""
    indent = " " * NAMES_WIDTH
    beside = len(names) + 4 <= NAMES_WIDTH
    lines = textwrap.wrap(
        about,
        _width(),
        initial_indent=f"  {names}".ljust(NAMES_WIDTH) if beside else indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines if beside else [f"  {names}", *lines]
