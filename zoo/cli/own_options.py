"""Options that plug-ins bring along: keyword-only parameters of one of their functions that carry a help, as in
`opset: Annotated[int | None, "Operator set to write."] = None`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin

from cyclopts import Group, Parameter

from zoo.cli import options
from zoo.errors import ZooError

KEYWORD = inspect.Parameter.KEYWORD_ONLY


def of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Name -> the parameter, whose annotation holds the type and the help."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is KEYWORD:
            written = parameter.annotation
            # one at a time: others may name what is imported for type checkers only
            annotation = eval(written, function.__globals__) if isinstance(written, str) else written
            if get_origin(annotation) is Annotated:
                found[name] = parameter.replace(annotation=annotation)
    return found


def under_titles(functions: Mapping[str, Callable[..., Any]]) -> Iterator[inspect.Parameter]:
    """Title of a group -> function, as parameters of a command; an option of several stands under all their titles."""
    shared: dict[str, list[tuple[str, inspect.Parameter]]] = {}
    for title, function in functions.items():
        for option, parameter in of(function).items():
            shared.setdefault(option, []).append((title, parameter))
    for users in shared.values():
        _, parameter = users[0]
        kind, text, *_ = get_args(parameter.annotation)
        groups = tuple(Group(title, sort_key=options.AFTER_ALL) for title, _ in users)
        yield parameter.replace(annotation=Annotated[kind, Parameter(help=text, group=groups)])


def check(given: Collection[str], function: Callable[..., Any] | None, owner: str) -> None:
    """Raise ZooError for an option that this plug-in does not have. owner: what messages call it."""
    own = of(function) if function else {}
    for option in given:
        if option not in own:
            raise ZooError(f"--{option.replace('_', '-')}: {owner} has no such setting")


def extend(command: Callable[..., Any], parameters: Iterator[inspect.Parameter]) -> None:
    """Give a command, whose last parameter is **given, these parameters instead."""
    written = inspect.signature(command)
    kept = list(written.parameters.values())[:-1]
    command.__signature__ = written.replace(parameters=[*kept, *parameters])  # type: ignore[attr-defined]
