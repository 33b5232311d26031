"""What a search may choose: parameters, where each of them goes, and when it has a say. Needs no library.

A point gives values to those parameters that have a say: layer 4 has none in a network of 3 layers, so that points
which differ there alone are one point. What a point is as settings of a network and a training is decided here only.
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
"""Parameter -> value, of those that have a say."""

DATA_FIELDS = ("sequence_length", "targets")
"""Of every Config: they belong to the data."""

SEED = "seed"
"""Of a training: it belongs to the study."""


LARGEST = 1 << 53
"""Whole number up to which a float64 holds each."""


@dataclasses.dataclass(frozen=True)
class Choices:
    """One of these values, which need no order. A list is offered as its JSON text."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ZooError("choices: expected one or more values, got none")
        for value in self.values:
            if not isinstance(value, str | int | float | list | None):
                raise ZooError(f"choices: expected numbers, texts, true, false or lists, got {value!r}")
        if any(value in self.values[:number] for number, value in enumerate(self.values)):  # 1, 1.0 and true are one
            raise ZooError(f"choices: expected different values, got {list(self.values)}")

    @property
    def options(self) -> tuple[Any, ...]:
        return tuple(json.dumps(value) if isinstance(value, list) else value for value in self.values)

    def value(self, option: Any) -> Any:
        """What stands for an option in the settings."""
        return self.values[self.options.index(option)]


@dataclasses.dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included. whole: whole numbers.  log: drawn by its logarithm.
    step: only low + k * step."""

    low: float
    high: float
    whole: bool = False
    log: bool = False
    step: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ZooError(f"range: expected low <= high, got {self.low} and {self.high}")
        if self.whole and max(abs(self.low), abs(self.high)) > LARGEST:
            raise ZooError(f"range: expected whole numbers of at most {LARGEST:,}, got {self.low} and {self.high}")
        if self.whole and not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise ZooError(f"range: expected whole numbers, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ZooError(f"range: expected a low above 0 where log is true, got {self.low}")
        if self.step is not None and (self.log or self.step <= 0):
            raise ZooError(f"range: expected a step above 0 and no log beside it, got {self.step}")

    @property
    def options(self) -> Sequence[Any] | None:
        """All values; None where they cannot be counted."""
        if self.whole:
            return range(int(self.low), int(self.high) + 1, int(self.step or 1))
        if self.step is None:
            return (self.low,) if self.low == self.high else None
        # as Optuna draws them: 0.1 + 2 * 0.1 is above 0.3, and cut off there
        return tuple(min(self.low + number * self.step, self.last) for number in range(self._steps + 1))

    @property
    def last(self) -> float:
        """The largest value: `high`, or where that is no whole number of steps from `low`, the last one before it."""
        if self.whole or self.step is None:
            return self.high
        return float(Decimal(str(self.low)) + self._steps * Decimal(str(self.step)))

    @property
    def _steps(self) -> int:
        low, high, step = (Decimal(str(value)) for value in (self.low, self.high, self.step))
        return int((high - low) // step)

    def value(self, option: Any) -> Any:
        return option


@dataclasses.dataclass(frozen=True)
class Parameter:
    """table: "model" or "train".  fields: the field that it sets, or those whose number of entries it is.

    entry: 0 for the whole field, k for its k-th entry.  counts: whether it is that number.
    """

    name: str
    table: str
    fields: tuple[str, ...]
    domain: Choices | Range
    entry: int = 0
    counts: bool = False


@dataclasses.dataclass(frozen=True)
class Space:
    """model, train: settings that are not searched, by field; entries of a list that are searched are None there.

    metrics: what to search for, as `--objective` has it, none where the file does not say.  source: file or name.
    name, project: as a sweep file has them, for trackers.
    """

    architecture: str
    model: Mapping[str, Any]
    train: Mapping[str, Any]
    parameters: tuple[Parameter, ...]
    metrics: tuple[str, ...] = ()
    source: str = ""
    sweep: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [parameter.name for parameter in self.parameters]
        for name in names:
            if names.count(name) > 1:
                raise ZooError(f"{self.source}: expected different names of parameters, got {name!r} twice")
        for parameter in self.parameters:
            self._check(parameter)

    def _check(self, parameter: Parameter) -> None:
        for field in parameter.fields:
            if field in (*DATA_FIELDS, SEED):
                raise ZooError(f"{self.source}: {field} is not searched, it belongs to the data or to --seed")
        if not parameter.counts:
            return
        least, most = _whole_numbers(parameter.domain) or (0, 0)
        if least < 1:
            raise ZooError(f"{self.source}: {parameter.name} counts entries: expected whole numbers of at least 1")
        for field in parameter.fields:
            entries = self.model.get(field, ())
            if not isinstance(entries, list | tuple):
                raise ZooError(f"{self.source}: {parameter.name} counts the entries of {field}, which is no list")
            there = len(entries)
            if most > there:
                raise ZooError(
                    f"{self.source}: {parameter.name} goes up to {most}, and {field} has but {there} entries"
                )

    @property
    def plugin(self) -> Any:
        return registry.load("models", self.architecture)

    @property
    def ordered(self) -> tuple[Parameter, ...]:
        """Parameters, numbers of entries first: they decide which others have a say."""
        return tuple(sorted(self.parameters, key=lambda parameter: not parameter.counts))

    def has_say(self, parameter: Parameter, point: Mapping[str, Any]) -> bool:
        """Whether it changes anything beside the numbers of entries in `point`."""
        return all(
            parameter.entry <= point[other.name]
            for other in self.parameters
            if other.counts and parameter.entry and parameter.fields[0] in other.fields
        )

    def choose(self, ask: Callable[[Parameter], Any]) -> Point:
        """A point: `ask` is asked for the value of each parameter that has a say."""
        point: Point = {}
        for parameter in self.ordered:
            if self.has_say(parameter, point):
                point[parameter.name] = ask(parameter)
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
            if parameter.counts:
                for field in parameter.fields:
                    tables["model"][field] = tables["model"][field][: point[parameter.name]]
        return tables["model"], tables["train"]

    def config(self, point: Mapping[str, Any]) -> Any:
        """The network of a point, a Config. Raises ZooError if there is none."""
        return make(self.plugin.Config, self.settings(point)[0], self.source)

    def train_config(self, point: Mapping[str, Any], seed: int) -> TrainConfig:
        """How a point is trained. Raises ZooError for a setting that there is not."""
        recipe = getattr(self.plugin, "RECIPE", {})
        return make(TrainConfig, {**recipe, **self.settings(point)[1], SEED: seed}, self.source)

    @property
    def protocol(self) -> dict[str, Any]:
        """Settings of the training that every point shares because the space says so."""
        alone = [p for p in self.parameters if p.table == "train" and p.domain.options and len(p.domain.options) == 1]
        return {**self.train, **{p.fields[0]: p.domain.value((p.domain.options or ())[0]) for p in alone}}

    def most_epochs(self) -> int:
        """That a training may have."""
        for parameter in self.parameters:
            if parameter.fields == ("epochs",):
                found = _whole_numbers(parameter.domain)
                if found is None:
                    raise ZooError(f"{self.source}: epochs: expected whole numbers")
                return found[1]
        recipe = getattr(self.plugin, "RECIPE", {})
        return make(TrainConfig, {**recipe, **self.train}, self.source).epochs

    def size(self) -> int | None:
        """How many different points there are; None where a range cannot be counted."""
        if any(parameter.domain.options is None for parameter in self.parameters):
            return None
        counts = [parameter for parameter in self.parameters if parameter.counts]
        total = 0
        for numbers in itertools.product(*(parameter.domain.options or () for parameter in counts)):
            chosen = dict(zip((parameter.name for parameter in counts), numbers, strict=True))
            others = [p for p in self.parameters if not p.counts and self.has_say(p, chosen)]
            total += math.prod(len(p.domain.options or ()) for p in others)
        return total

    def points(self) -> Iterator[Point]:
        """All of them, where they can be counted."""
        counts = [parameter for parameter in self.ordered if parameter.counts]
        for numbers in itertools.product(*(parameter.domain.options or () for parameter in counts)):
            chosen = dict(zip((parameter.name for parameter in counts), numbers, strict=True))
            others = [p for p in self.ordered if not p.counts and self.has_say(p, chosen)]
            for values in itertools.product(*(p.domain.options or () for p in others)):
                yield {**chosen, **dict(zip((p.name for p in others), values, strict=True))}

    def fixed(self, name: str, value: Any) -> Space:
        """The space with a parameter, or a setting that is not searched, at one value."""
        check_names([name], self.known(), "--fix: unknown setting")
        for number, parameter in enumerate(self.parameters):
            if name == parameter.name:
                alone = dataclasses.replace(parameter, domain=Choices((value,)))
                return dataclasses.replace(
                    self, parameters=(*self.parameters[:number], alone, *self.parameters[number + 1 :])
                )
        table = "train" if name in names(TrainConfig) else "model"
        kept = tuple(p for p in self.parameters if p.table != table or p.fields != (name,))
        changes: dict[str, Any] = {table: {**getattr(self, table), name: value}, "parameters": kept}
        return dataclasses.replace(self, **changes)

    def known(self) -> list[str]:
        """Names of all that can be set."""
        kinds = (self.plugin.Config, TrainConfig)
        fields = [field for kind in kinds for field in names(kind) if field != SEED]
        return [*(parameter.name for parameter in self.parameters), *fields]

    def facts(self) -> dict[str, Any]:
        """What makes it this space and no other, JSON types."""
        made = dataclasses.asdict(dataclasses.replace(self, metrics=(), source="", sweep={}))
        return json.loads(json.dumps({name: made[name] for name in ("architecture", "model", "train", "parameters")}))


def _whole_numbers(domain: Choices | Range) -> tuple[int, int] | None:
    """The smallest and the largest; None where there are others than whole numbers."""
    if isinstance(domain, Range):
        options = domain.options
        return (options[0], options[-1]) if domain.whole and options else None
    if all(isinstance(value, int) and not isinstance(value, bool) for value in domain.values):
        return min(domain.values), max(domain.values)
    return None


def key(point: Mapping[str, Any]) -> str:
    """The same for equal points."""
    return json.dumps(point, sort_keys=True)


def base(architecture: str, variant: str | None, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Fields of the architecture's Config before anything is searched: the variant's, `table` laid over them.

    Raises ZooError for an unknown variant or field.
    """
    plugin = registry.load("models", architecture)
    if variant is not None and variant not in plugin.VARIANTS:
        raise ZooError(f"{where}: {architecture} has no variant {variant!r}; there are {', '.join(plugin.VARIANTS)}")
    check_names(table, names(plugin.Config), f"{where}: unknown setting")
    start = plugin.VARIANTS[variant] if variant else plugin.Config()
    return {**start.to_dict(), **table}
