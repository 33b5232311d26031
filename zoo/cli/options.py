"""What several commands take on the command line, and how text becomes a frozen dataclass of options.

A group of options is a dataclass in the room it belongs to: its fields are the options, their defaults the defaults,
the docstring below a field its help, a Literal its choices. A command takes all fields of one whose place in the
signature is annotated with a Parameter from here. Other options stand in the signature, or here if several commands
have them.
"""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from typing import Annotated, Any, get_args, get_origin

from cyclopts import (
    App,
    CoercionError,
    Group,
    MissingArgumentError,
    Parameter,
    Token,
    UnknownOptionError,
    default_name_transform,
)
from cyclopts.argument import ArgumentCollection
from cyclopts.field_info import FieldInfo

from zoo.defaults import MODEL
from zoo.formats.read_options import COMMAND_LINE

_places = itertools.count()

ARGUMENTS = Group("Arguments", sort_key=next(_places))
OPTIONS = Group("Options", sort_key=next(_places))


def fields(title: str) -> Parameter:
    """The fields of a dataclass as options of their own, under this title in the help."""
    return Parameter(name="*", group=Group(title, sort_key=next(_places)))


JOB = fields("Run")
EXPLAINING = fields("Contributions")
FINDING = fields("Patterns")
SEARCH = fields("Search")
DESIGNING = fields("Designs")
TRAINING = fields("Training")
DRAWING = fields("Sequences drawn")
LAYOUT = fields("Data files")
READING = fields("Sequences")
MEASURE = fields("Measuring")
STRANDS = Parameter(name="*", group=READING.group)
SCAN = fields("Windows and tracks")
VARIANTS = fields("Comparing alleles")
SHARING = fields("Long runs")
INTERVALS = fields("Intervals of a genome, instead of FASTA files")
SERVING = fields("Serving")
RUNNING = fields("Computing")
FILE = fields("What the file does not say")
CHECKED = fields("How it is found out or checked")

AFTER_ALL = next(_places)
"""Place of groups that are not known here."""

Model = Annotated[
    str | None, Parameter(help=f"A model by name, for its bundled weights; see zoo list. By default {MODEL}.")
]
Runtime = Annotated[str, Parameter(help="What computes: auto, or engine-device; see zoo list.")]
Runtimes = Annotated[tuple[str, ...], Parameter(help="Runtimes, A,B; by default all that can run here.")]
Weights = Annotated[str | None, Parameter(help="A weights file instead.")]
Json = Annotated[bool, Parameter(name="--json", help="For programs: print JSON.")]
Overwrite = Annotated[bool, Parameter(help="Replace the output if it exists.")]

SHORT_FORMS = {"output": "-o", "number": "-n"}
"""Option -> its short form, the same for every command."""

FLAGS = {
    "rc": ("--both-strands", "average"),
    "resize": (COMMAND_LINE.resize, "center"),
    "ambiguous": (COMMAND_LINE.ambiguous, "n"),
}
"""Field that has but one value -> the flag that gives it that value, and the value. The field's name is an option too:
--rc average is --both-strands."""


def _option_name(field: str) -> str:
    return FLAGS[field][0].removeprefix("--") if field in FLAGS else default_name_transform(field)


def _short_form(option: FieldInfo, taken: frozenset[str]) -> str | None:
    short = SHORT_FORMS.get(option.name)
    return None if short in taken else short


NEGATIVE = re.compile(r"-\d+(, *-?\d+)*")
"""Whole numbers, the first below zero, which do not stand for an option."""


def full_forms(arguments: list[str]) -> list[str]:
    """The words of a command line, up to a --, with each of FLAGS as --flag=value: --flag, --field value or --field.

    Numbers that begin with a hyphen are joined to the option before them.
    """
    values = dict(FLAGS.values())
    flags = {f"--{field}": flag for field, (flag, _) in FLAGS.items()}
    end = arguments.index("--") if "--" in arguments else len(arguments)
    words, given = [], list(reversed(arguments[:end]))
    while given:
        word = given.pop()
        option, equals, value = word.partition("=")
        if word in values:
            word = f"{word}={values[word]}"
        elif option in flags:
            if not equals:
                alone = not given or given[-1].startswith("-")
                value = values[flags[option]] if alone else given.pop()
            word = f"{flags[option]}={value}"
        elif not equals and word.startswith("--") and given and NEGATIVE.fullmatch(given[-1]):
            word = f"{word}={given.pop()}"
        words.append(word)
    return words + arguments[end:]


def _shown(default: Any) -> str | None:
    """A default as a user would type it; None for what is nothing to type."""
    if isinstance(default, tuple | list):
        return ",".join(map(str, default)) or None
    return None if default is None or default is False else str(default)


EVERY_OPTION = Parameter(
    negative=(), allow_repeating=True, name_transform=_option_name, short_alias=_short_form, show_default=_shown
)
"""What holds for all options: no --no-option beside a flag, the last of several values wins, short forms, defaults."""

STREAM = Parameter(allow_leading_hyphen=True)
"""Of a file: - stands for standard input or output."""


def column_width(*texts: str) -> int:
    """Of a column that holds these, with two blanks behind the longest."""
    return max(map(len, texts)) + 2


def command_line() -> str:
    """What the user typed, for receipts."""
    return shlex.join(["zoo", *sys.argv[1:]])


def forget_empty_variables(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """A variable of the environment that is empty says nothing."""
    for argument in arguments:
        argument.tokens = [token for token in argument.tokens if token.source != "env" or token.value]


def split_at_commas(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """A,B is two values of an option that takes a tuple of them."""
    for argument in arguments:
        if _is_tuple(argument.hint) and argument.tokens:
            texts = [text.strip() for token in argument.tokens for text in token.value.split(",")]
            first = argument.tokens[0]
            argument.tokens = [first.evolve(value=text, index=i) for i, text in enumerate(filter(None, texts))]


def take_from_model(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """A model's recipe and the table [train] of its TOML file give the settings that the command line does not.

    Raises ZooError for a model that there is not, a file that cannot be read, or a name in it that is no setting.
    """
    model = next((token.value for argument in arguments if argument.index == 0 for token in argument.tokens), "")
    from zoo.training.config import TrainConfig

    for settings in arguments:
        if not (model and isinstance(settings.hint, type) and issubclass(settings.hint, TrainConfig)):
            continue
        from zoo.training.config import read_model

        where = f"{model}, [train]"
        table = read_model(model, kind=settings.hint)[2]
        for option in settings.children:
            name = option.keys[-1]
            if name in table and not option.tokens:
                values = table[name] if isinstance(table[name], list) else [table[name]]
                for number, value in enumerate(values):
                    option.append(Token(keyword=name, source=where, value=str(value), index=number))


def refuse_fractions(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """2.5 is no whole number, where the library would round it."""
    for argument in arguments:
        if argument.resolved_hint is int:
            for token in argument.tokens:
                if "." in token.value:
                    raise CoercionError(argument=argument, token=token, target_type=int)


def refuse_options_as_values(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Of what begins with a hyphen, a STREAM takes - alone."""
    for argument in arguments:
        for token in argument.tokens if argument.parameter.allow_leading_hyphen else ():
            if token.value.startswith("-") and token.value != "-":
                if token.keyword is None:
                    raise UnknownOptionError(token=token, argument_collection=arguments)
                raise MissingArgumentError(argument=argument, keyword=token.keyword)


READ = (forget_empty_variables, refuse_options_as_values, split_at_commas, take_from_model, refuse_fractions)
"""What happens to the words of a command line, in this order, before they become values."""


def _is_tuple(hint: Any) -> bool:
    return tuple in (get_origin(hint), *map(get_origin, get_args(hint)))
