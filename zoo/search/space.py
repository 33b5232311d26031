"""A search space: its parameters, its points, the settings of a point, and the check that every point is a network.

A parameter that has no effect is not part of a point, such as the width of layer 4 in a network of 3 layers. Points
that would differ only there are one point. Needs no library.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from zoo import registry
from zoo.errors import ZooError
from zoo.options import check_names, names
from zoo.training.config import TrainConfig, make

Point = dict[str, Any]
"""Parameter name -> value, for the parameters that have an effect."""

DATA_FIELDS = ("sequence_length", "targets")
"""Fields of every Config that the data decides."""

SEED = "seed"
"""The field of TrainConfig that the study decides."""

LARGEST = 1 << 53
"""Largest whole number up to which float64 holds every whole number."""

CHECKED = 20_000
"""Points of a space up to which every point is checked; of a larger space, its corners are."""

REASONS = 3
"""Maximum number of reasons in a message about impossible points, each with one point."""


@dataclasses.dataclass(frozen=True)
class Choices:
    """One of these values, in no order. Optuna takes a list as its JSON text."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ZooError("choices: expected one or more values, got none")
        for value in self.values:
            if not isinstance(value, str | int | float | list | None):
                raise ZooError(f"choices: expected numbers, texts, true, false or lists, got {value!r}")
        if any(value in self.values[:number] for number, value in enumerate(self.values)):  # 1, 1.0 and true are equal
            raise ZooError(f"choices: expected different values, got {list(self.values)}")

    @property
    def options(self) -> tuple[Any, ...]:
        return tuple(json.dumps(value) if isinstance(value, list) else value for value in self.values)

    def value(self, option: Any) -> Any:
        """The setting that an option represents."""
        return self.values[self.options.index(option)]


@dataclasses.dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included.

    whole: whole numbers only.  log: sampled on a logarithmic scale.  step: only low + k * step.
    """

    low: float
    high: float
    whole: bool = False
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        ends = f"got {self.low} and {self.high}"
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ZooError(f"range: expected low <= high, {ends}")
        if self.whole and max(abs(self.low), abs(self.high)) > LARGEST:
            raise ZooError(f"range: expected whole numbers of at most {LARGEST:,}, {ends}")
        if self.whole and not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise ZooError(f"range: expected whole numbers, {ends}")
        if self.log and self.low <= 0:
            raise ZooError(f"range: expected low above 0 where log is true, got {self.low}")
        if self.step is not None and (self.log or self.step <= 0):
            raise ZooError(f"range: expected a step above 0 and no log beside it, got {self.step}")

    @property
    def options(self) -> Sequence[Any] | None:
        """All values; None for a continuous range."""
        if self.whole:
            return range(int(self.low), int(self.high) + 1, int(self.step or 1))
        if self.step is None:
            return (self.low,) if self.low == self.high else None
        low, high, step = (Decimal(str(value)) for value in (self.low, self.high, self.step))
        return tuple(float(low + number * step) for number in range(int((high - low) // step) + 1))

    def value(self, option: Any) -> Any:
        return option


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A setting that is searched.

    table: "model" or "train".  fields: the field that it sets.  entry: 0 for the whole field, k for its k-th entry.
    counts: it does not set the fields, it is the number of their entries.
    """

    name: str
    table: str
    fields: tuple[str, ...]
    domain: Choices | Range
    entry: int = 0
    counts: bool = False

    @property
    def ordered(self) -> list[Any]:
        """All values, the smallest first; the two ends of a range with too many."""
        options = self.domain.options
        if options is None:
            return [self.domain.low, self.domain.high]  # type: ignore[union-attr]
        values = list(options) if len(options) <= CHECKED else [options[0], options[-1]]
        return sorted(values) if all(isinstance(value, int | float) for value in values) else values

    @property
    def whole_numbers(self) -> tuple[int, int] | None:
        """The smallest and the largest value; None unless all values are whole numbers."""
        ends = self.ordered[0], self.ordered[-1]
        values = self.ordered if isinstance(self.domain, Choices) else ends
        return ends if all(isinstance(value, int) and not isinstance(value, bool) for value in values) else None


@dataclasses.dataclass(frozen=True)
class Space:
    """model, train: fixed settings by field; entries of a list that are searched are None there.

    metrics: objectives as `--objective` takes them, empty if the file gives none.  source: file or name.
    sweep: settings of the study in a W&B sweep file, such as the number of trials, and its name for trackers.
    """

    architecture: str
    model: Mapping[str, Any]
    train: Mapping[str, Any]
    parameters: tuple[Parameter, ...]
    metrics: tuple[str, ...] = ()
    source: str = ""
    sweep: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        all_names = [parameter.name for parameter in self.parameters]
        for parameter in self.parameters:
            if all_names.count(parameter.name) > 1:
                raise ZooError(f"{self.source}: expected different parameter names, got {parameter.name!r} twice")
            for field in parameter.fields:
                if field in (*DATA_FIELDS, SEED):
                    raise ZooError(f"{self.source}: {field} cannot be searched: it is set by the data or by --seed")
            if parameter.counts:
                self._check_count(parameter)

    def _check_count(self, parameter: Parameter) -> None:
        least, most = parameter.whole_numbers or (0, 0)
        if least < 1:
            raise ZooError(f"{self.source}: {parameter.name} counts entries: expected whole numbers of at least 1")
        for field in parameter.fields:
            entries = self.model.get(field, ())
            if not isinstance(entries, list | tuple):
                raise ZooError(f"{self.source}: {parameter.name} counts the entries of {field}, which is not a list")
            if most > len(entries):
                raise ZooError(
                    f"{self.source}: {parameter.name} goes up to {most}, but {field} has {len(entries)} entries"
                )

    @property
    def plugin(self) -> Any:
        return registry.load("models", self.architecture)

    def uses(self, parameter: Parameter, point: Mapping[str, Any]) -> bool:
        """Whether a parameter has an effect beside the numbers of entries in `point`."""
        return all(
            parameter.entry <= point[other.name]
            for other in self.parameters
            if other.counts and parameter.entry and parameter.fields[0] in other.fields
        )

    def choose(self, value_of: Callable[[Parameter], Any]) -> Point:
        """A point with `value_of` each parameter that has an effect; numbers of entries are chosen first."""
        point: Point = {}
        for parameter in sorted(self.parameters, key=lambda parameter: not parameter.counts):
            if self.uses(parameter, point):
                point[parameter.name] = value_of(parameter)
        return point

    def settings(self, point: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """A point -> fields of the architecture's Config, and fields of TrainConfig."""
        tables: dict[str, dict[str, Any]] = {"model": dict(copy.deepcopy(self.model)), "train": dict(self.train)}
        for parameter in self.parameters:
            if parameter.name in point and not parameter.counts:
                table, value = tables[parameter.table], parameter.domain.value(point[parameter.name])
                if parameter.entry:
                    table[parameter.fields[0]][parameter.entry - 1] = value
                else:
                    table[parameter.fields[0]] = value
        for parameter in self.parameters:
            for field in parameter.fields if parameter.counts else ():
                tables["model"][field] = tables["model"][field][: point[parameter.name]]
        return tables["model"], tables["train"]

    def config(self, point: Mapping[str, Any]) -> Any:
        """The Config of a point's network. Raises ZooError if such a network is impossible."""
        return make(self.plugin.Config, self.settings(point)[0], self.source)

    def train_config(self, point: Mapping[str, Any], seed: int) -> TrainConfig:
        """The settings of a point's training. Raises ZooError for a setting that is invalid."""
        return self._train_config(self.config(point), {**self.settings(point)[1], SEED: seed})

    def _train_config(self, config: Any, settings: Mapping[str, Any]) -> TrainConfig:
        return make(TrainConfig, {**registry.recipe(self.plugin, config), **settings}, self.source)

    @property
    def protocol(self) -> dict[str, Any]:
        """Training settings that the space fixes for every point."""
        single = [p for p in self.parameters if p.table == "train" and p.domain.options and len(p.domain.options) == 1]
        return {**self.train, **{p.fields[0]: p.domain.value((p.domain.options or ())[0]) for p in single}}

    def most_epochs(self) -> int:
        """Maximum number of epochs of a training."""
        for parameter in self.parameters:
            if parameter.fields == ("epochs",):
                if parameter.whole_numbers is None:
                    raise ZooError(f"{self.source}: epochs: expected whole numbers")
                return parameter.whole_numbers[1]
        return self._train_config(next(iter(self.plugin.VARIANTS.values())), self.train).epochs

    def _layouts(self) -> Iterator[tuple[Point, list[Parameter]]]:
        """Each combination of numbers of entries, and the other parameters that have an effect beside it."""
        counts = [parameter for parameter in self.parameters if parameter.counts]
        for numbers in itertools.product(*(parameter.domain.options or () for parameter in counts)):
            point = dict(zip((parameter.name for parameter in counts), numbers, strict=True))
            yield point, [p for p in self.parameters if not p.counts and self.uses(p, point)]

    def size(self) -> int | None:
        """Number of different points; None if a range is continuous."""
        if any(parameter.domain.options is None for parameter in self.parameters):
            return None
        return sum(math.prod(len(p.domain.options or ()) for p in others) for _, others in self._layouts())

    def points(self) -> Iterator[Point]:
        """All points of a space without continuous ranges."""
        for point, others in self._layouts():
            for values in itertools.product(*(p.domain.options or () for p in others)):
                yield {**point, **dict(zip((p.name for p in others), values, strict=True))}

    def corners(self) -> Iterator[Point]:
        """For each combination of numbers of entries: all smallest, all largest, and each value beside either."""
        for point, others in self._layouts():
            for end in (0, -1):
                corner = {**point, **{p.name: p.ordered[end] for p in others}}
                yield corner
                yield from ({**corner, p.name: value} for p in others for value in p.ordered)

    def fixed(self, name: str, value: Any) -> Space:
        """The space with a parameter, or another setting, fixed at one value."""
        parameters = {parameter.name: parameter for parameter in self.parameters}
        fields = [field for kind in (self.plugin.Config, TrainConfig) for field in names(kind) if field != SEED]
        check_names([name], [*parameters, *fields], "--fix: unknown setting")
        if name in parameters:
            parameters[name] = dataclasses.replace(parameters[name], domain=Choices((value,)))
            return dataclasses.replace(self, parameters=tuple(parameters.values()))
        table = "train" if name in names(TrainConfig) else "model"
        kept = tuple(p for p in self.parameters if p.table != table or p.fields != (name,))
        changes: dict[str, Any] = {table: {**getattr(self, table), name: value}, "parameters": kept}
        return dataclasses.replace(self, **changes)

    def facts(self) -> dict[str, Any]:
        """All that distinguishes this space from others, JSON types."""
        made = dataclasses.asdict(self)
        return json.loads(json.dumps({name: made[name] for name in ("architecture", "model", "train", "parameters")}))


def key(point: Mapping[str, Any]) -> str:
    """A text that is the same for equal points."""
    return json.dumps(point, sort_keys=True)


def complaint(space: Space, point: Mapping[str, Any]) -> str | None:
    """Why a point is impossible as a network or a training; None if it is possible."""
    try:
        config = space.config(point)
        space.train_config(point, seed=0)
    except ZooError as error:
        return str(error).removeprefix(f"{space.source}: ")
    if (shape := getattr(space.plugin, "plain_shape", None)) is None:
        return None
    plain = shape(config)
    for number, (size, left) in enumerate(zip(plain.kernel_sizes, plain.positions[:-1], strict=True), 1):
        if size > left:
            return f"convolution {number}: a kernel of {size} is longer than the {left} remaining positions"
    return None


def check(space: Space, skip: bool = False) -> list[str]:
    """Look for impossible points. Returns lines that name some, if `skip` allows them.

    Raises ZooError for impossible points without `skip`, and if no point is possible.
    """
    size = space.size()
    points = list(space.points() if size is not None and size <= CHECKED else space.corners())
    found = [(point, reason) for point in points if (reason := complaint(space, point)) is not None]
    if not found:
        return []
    examples = {reason: point for point, reason in reversed(found)}
    lines = [f"{_to_change(space, point)}: {reason}" for reason, point in list(examples.items())[: -REASONS - 1 : -1]]
    if not skip:
        raise ZooError(
            f"{space.source}: some points are impossible: {'; '.join(lines)}; take them out of the space, or give "
            "--skip-impossible"
        )
    if len(found) == len(points):
        raise ZooError(f"{space.source}: no point is possible; {lines[0]}")
    return [f"impossible points are skipped: {line}" for line in lines]


def _to_change(space: Space, point: Point) -> str:
    """The values of an impossible point that cause it: changing one makes the point possible; else all values."""
    values = {**{parameter.name: parameter.ordered[0] for parameter in space.parameters}, **point}

    def with_value(name: str, value: Any) -> Point:
        return space.choose(lambda parameter: value if parameter.name == name else values[parameter.name])

    matter = [
        parameter.name
        for parameter in space.parameters
        if parameter.name in point
        and any(complaint(space, with_value(parameter.name, value)) is None for value in parameter.ordered)
    ]
    return ", ".join(f"{name} {point[name]}" for name in matter or point)
