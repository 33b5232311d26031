"""Whether every point of a space is a network that can be: asked before the first trial. Needs no library."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from zoo.errors import ZooError
from zoo.search.space import Parameter, Point, Space, key

ALL = 20_000
"""A space of at most so many points is looked at whole."""

NAMED = 3
"""Reasons that a message names, each with a point."""


def complaint(space: Space, point: Mapping[str, Any]) -> str | None:
    """Why a point is no network or no training; None if it is one."""
    try:
        config = space.config(point)
        space.train_config(point, seed=0)
    except ZooError as error:
        return str(error).removeprefix(f"{space.source}: ")
    shape = getattr(space.plugin, "plain_shape", None)
    if shape is None:
        return None
    plain = shape(config)
    for number, (size, left) in enumerate(zip(plain.kernel_sizes, plain.positions[:-1], strict=True), 1):
        if size > left:
            return f"convolution {number}: a kernel of {size} is longer than the {left} positions that are left"
    return None


def impossible(space: Space) -> list[tuple[Point, str]]:
    """Impossible points and why; of a large space, those among `_corners`."""
    size = space.size()
    points = space.points() if size is not None and size <= ALL else _corners(space)
    seen: dict[str, Point] = {key(point): point for point in points}
    found = ((point, complaint(space, point)) for point in seen.values())
    return [(point, reason) for point, reason in found if reason is not None]


def check(space: Space, skip: bool = False) -> list[str]:
    """Lines that name impossible points, where `skip` allows them. Raises ZooError otherwise, or if all are."""
    found = impossible(space)
    if not found:
        return []
    examples = {reason: point for point, reason in reversed(found)}
    lines = [f"{_said(space, point)}: {reason}" for reason, point in list(examples.items())[-NAMED:]][::-1]
    if not skip:
        raise ZooError(
            f"{space.source}: some points are impossible: {'; '.join(lines)}; take them out of the space, or "
            "--skip-impossible"
        )
    if all(complaint(space, point) is not None for point in itertools.islice(_any(space), ALL)):
        raise ZooError(f"{space.source}: no point is possible; {lines[0]}")
    return [f"impossible, never drawn: {line}" for line in lines]


def _any(space: Space) -> Iterator[Point]:
    size = space.size()
    return space.points() if size is not None and size <= ALL else _corners(space)


def _said(space: Space, point: Point) -> str:
    """Those values of a point of which another one would make it possible; all of them where no single one would."""
    matters = {
        parameter.name: point[parameter.name]
        for parameter in space.parameters
        if parameter.name in point
        and any(complaint(space, _point(space, {**_all_values(space), **point, parameter.name: value})) is None
                for value in _sorted(parameter))
    }  # fmt: skip
    return ", ".join(f"{name} {value}" for name, value in (matters or point).items())


def _all_values(space: Space) -> Point:
    return {parameter.name: _sorted(parameter)[0] for parameter in space.parameters}


def _corners(space: Space) -> Iterator[Point]:
    """For each number of entries: all smallest values, all largest, and each value alone among either."""
    counts = [parameter for parameter in space.parameters if parameter.counts]
    others = [parameter for parameter in space.parameters if not parameter.counts]
    for numbers in itertools.product(*(parameter.domain.options or () for parameter in counts)):
        chosen = dict(zip((parameter.name for parameter in counts), numbers, strict=True))
        for end in (0, -1):
            corner = {**chosen, **{parameter.name: _sorted(parameter)[end] for parameter in others}}
            yield _point(space, corner)
            for parameter in others:
                for value in _sorted(parameter):
                    yield _point(space, {**corner, parameter.name: value})


def _point(space: Space, values: Mapping[str, Any]) -> Point:
    return space.choose(lambda parameter: values[parameter.name])


def _sorted(parameter: Parameter) -> list[Any]:
    """Its values, smallest first; the ends of a range that cannot be counted."""
    domain = parameter.domain
    options = domain.options
    if options is None or len(options) > ALL:
        return [domain.low, domain.high]  # type: ignore[union-attr]
    numbers = all(isinstance(value, int | float) for value in options)
    return sorted(options) if numbers else list(options)
