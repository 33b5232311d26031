"""How the words of a command line become values: flags, short names, lists at commas, and settings of a model.

cyclopts does the parsing; this file adds what it lacks.
"""

from __future__ import annotations

import re
import shlex
import sys
from typing import Any, get_args, get_origin

from cyclopts import (
    App,
    CoercionError,
    MissingArgumentError,
    Parameter,
    Token,
    UnknownOptionError,
    default_name_transform,
)
from cyclopts.argument import ArgumentCollection
from cyclopts.field_info import FieldInfo

from zoo.dna.read_options import COMMAND_LINE

FLAGS = {
    "rc": ("--both-strands", "average"),
    "resize": (COMMAND_LINE.resize, "center"),
    "ambiguous": (COMMAND_LINE.ambiguous, "n"),
    "clusters": ("--clusters", "0"),
}
"""Field that has only one value -> its flag, and that value. `--rc average` is the same as `--both-strands`. If the
value is a number, another number may follow the flag: `--clusters 3`."""

SHORT_NAMES = {"output": "-o", "number": "-n"}
"""Option -> its short name, the same for every command."""

NUMBER = re.compile(r"-?\d+(\.\d+)?")

NEGATIVE_NUMBERS = re.compile(r"-\d+(, *-?\d+)*")


def _option_name(field: str) -> str:
    return FLAGS[field][0].removeprefix("--") if field in FLAGS else default_name_transform(field)


def _short_name(option: FieldInfo, taken: frozenset[str]) -> str | None:
    short = SHORT_NAMES.get(option.name)
    return None if short in taken else short


def _default(value: Any) -> str | None:
    """A default as a user would type it; None for no value."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value)) or None
    return None if value is None or value is False or value == "" else str(value)


EVERY_OPTION = Parameter(
    negative=(), allow_repeating=True, name_transform=_option_name, short_alias=_short_name, show_default=_default
)
"""Rules for all options: no `--no-option`, the last of several values counts, short names, defaults."""


def full_forms(arguments: list[str]) -> list[str]:
    """The words of a command line with each of FLAGS as `--flag=value`, whether typed as a flag or as an option.

    A negative number is joined to the option before it. Words after `--` stay unchanged.
    """
    values = dict(FLAGS.values())
    flags = {f"--{field}": flag for field, (flag, _) in FLAGS.items()}
    end = arguments.index("--") if "--" in arguments else len(arguments)
    words, rest = [], list(reversed(arguments[:end]))
    while rest:
        word = rest.pop()
        option, equals, value = word.partition("=")
        if word in values:
            number = values[word].isdigit() and rest and NUMBER.fullmatch(rest[-1])
            word = f"{word}={rest.pop() if number else values[word]}"
        elif option in flags:
            if not equals:
                alone = not rest or rest[-1].startswith("-")
                value = values[flags[option]] if alone else rest.pop()
            word = f"{flags[option]}={value}"
        elif not equals and word.startswith("--") and rest and NEGATIVE_NUMBERS.fullmatch(rest[-1]):
            word = f"{word}={rest.pop()}"
        words.append(word)
    return words + arguments[end:]


def command_line() -> str:
    """The command as the user typed it, for logs."""
    return shlex.join(["zoo", *sys.argv[1:]])


def ignore_empty_variables(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Treat an empty environment variable like one that is not set."""
    for argument in arguments:
        argument.tokens = [token for token in argument.tokens if token.source != "env" or token.value]


def split_at_commas(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Make A,B two values of an option that takes a tuple."""
    for argument in arguments:
        if argument.tokens and tuple in (get_origin(argument.hint), *map(get_origin, get_args(argument.hint))):
            texts = [text.strip() for token in argument.tokens for text in token.value.split(",")]
            first = argument.tokens[0]
            argument.tokens = [first.evolve(value=text, index=i) for i, text in enumerate(filter(None, texts))]


def take_model_settings(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill in the training settings that were not typed from the model's recipe or the [train] table of its TOML file.

    Raises ZooError for an unknown model, a file that cannot be read, or an unknown setting in it.
    """
    model = next((token.value for argument in arguments if argument.index == 0 for token in argument.tokens), "")
    from zoo.training.config import TrainConfig

    for settings in arguments:
        if not (model and isinstance(settings.hint, type) and issubclass(settings.hint, TrainConfig)):
            continue
        from zoo.training.config import read_model

        table = read_model(model, kind=settings.hint)[2]
        for option in settings.children:
            name = option.keys[-1]
            if name in table and not option.tokens:
                values = table[name] if isinstance(table[name], list | tuple) else [table[name]]
                for number, value in enumerate(values):
                    option.append(Token(keyword=name, source=f"{model}, [train]", value=str(value), index=number))


def refuse_fractions(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse 2.5 for a whole number, which cyclopts would round."""
    for argument in arguments:
        if argument.resolved_hint is int:
            for token in argument.tokens:
                if "." in token.value:
                    raise CoercionError(argument=argument, token=token, target_type=int)


def refuse_options_as_values(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse a word with a leading hyphen, other than - itself, as the name of a file."""
    for argument in arguments:
        for token in argument.tokens if argument.parameter.allow_leading_hyphen else ():
            if token.value.startswith("-") and token.value != "-":
                if token.keyword is None:
                    raise UnknownOptionError(token=token, argument_collection=arguments)
                raise MissingArgumentError(argument=argument, keyword=token.keyword)


STEPS = (ignore_empty_variables, refuse_options_as_values, split_at_commas, take_model_settings, refuse_fractions)
"""What is done with the words of a command line before cyclopts converts them, in this order."""
