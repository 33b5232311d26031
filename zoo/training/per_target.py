"""Settings with a value for each target: one value for all, one for each in their order, or TARGET=VALUE for each.

`entries` reads them as TOML, Python or the command line writes them; `resolve` gives the value of each target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from zoo.errors import ZooError
from zoo.spec import listed

T = TypeVar("T")


def entries(given: Any) -> tuple[str, ...]:
    """One value, a list of values, or a table TARGET -> value -> the entries of the setting, as text."""
    if isinstance(given, Mapping):
        return tuple(f"{target}={value}" for target, value in given.items())
    return tuple(map(str, given if isinstance(given, list | tuple) else (given,)))


def read(name: str, given: Sequence[str], value_of: Callable[[str, str], T]) -> list[tuple[str | None, T]]:
    """Entries -> target, None for an entry without one, and value. name: of the setting, in messages.

    value_of: a value from the name in a message and its text; raises ZooError for a bad one.
    Raises ZooError if only some entries name a target, or if two name the same one.
    """
    found: list[tuple[str | None, T]] = []
    for entry in given:
        target, equals, value = entry.rpartition("=")
        found.append((target if equals else None, value_of(f"{name} of {target}" if equals else name, value)))
    named = [target for target, _ in found]
    if None in named and set(named) != {None}:
        raise ZooError(f"{name}: expected TARGET=VALUE for every target or for none, got {listed(given)}")
    if None not in named and len(set(named)) < len(named):
        raise ZooError(f"{name}: expected each target once, got {listed(given)}")
    return found


def resolve(name: str, found: Sequence[tuple[str | None, T]], targets: Sequence[str]) -> list[T]:
    """The value of each target. Raises ZooError unless `found`, from `read`, has one for each target or one for all."""
    if found and found[0][0] is not None:
        values = {str(target): value for target, value in found}
        if set(values) != set(targets):
            raise ZooError(
                f"{name}: expected one for each of the targets {listed(targets)}, got {listed(list(values))}"
            )
        return [values[target] for target in targets]
    if len(found) not in (1, len(targets)):
        raise ZooError(
            f"{name}: expected one for all targets or one for each of {len(targets)} ({listed(targets)}), "
            f"got {len(found)}"
        )
    return [value for _, value in found] * (len(targets) if len(found) == 1 else 1)
