"""What all groups of options share: checks of names, of types, and of the values that an annotation allows.

Options are frozen dataclasses in the room they belong to. Dataclasses of other files inherit from those here, and their
annotations are looked up in those files, so that annotations here are not postponed. Needs no library.
"""

import dataclasses
import numbers
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from zoo.errors import ZooError, did_you_mean

T = TypeVar("T")

EXPECTED: dict[Any, str] = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "a text",
}
"""Kind -> what messages call it; a class that is not here is called by its name."""


def made(kind: type[T], given: Mapping[str, Any], beside: Sequence[str] = ()) -> T:
    """A frozen dataclass from options that a caller names. beside: further options that the caller may give.

    Raises ZooError that names an unknown option and lists those that there are, and for a bad value.
    """
    check_names(given, [*beside, *names(kind)], "no option")
    return kind(**given)


def names(kind: Any) -> list[str]:
    """Of the fields of a dataclass."""
    return [field.name for field in dataclasses.fields(kind)]


def check_names(given: Iterable[str], known: Sequence[str], none: str) -> None:
    """Raise ZooError for the first name that is not known, and list those that are. none: "no option"."""
    for name in given:
        if name not in known:
            raise ZooError(f"{none} is called {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}")


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Numbers that an option allows, beside its type in an annotation: `Annotated[int, Bounds(1, 1024)]`.

    least, most: the smallest and the largest allowed.  above, below: limits that are not allowed themselves.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def check(self, name: str, value: float) -> None:
        """Raise ZooError that names the option unless the value lies within the bounds."""
        for allowed, expected in (
            (self.least is None or value >= self.least, f"at least {self.least}"),
            (self.most is None or value <= self.most, f"at most {self.most}"),
            (self.above is None or value > self.above, f"a number above {self.above}"),
            (self.below is None or value < self.below, f"a number below {self.below}"),
        ):
            if not allowed:
                raise ZooError(f"{name}: expected {expected}, got {value}")


def check(options: Any) -> None:
    """Raise ZooError for a field of a dataclass whose value its annotation does not allow.

    Checked are the type, the choices of a Literal, and Bounds; for a tuple, those of every entry. None is allowed where
    the annotation has it. Dataclasses of options call this in `__post_init__`.
    """
    kind: Any = type(options)
    for name, (hint, bounds) in _annotations(kind).items():
        value, shown = getattr(options, name), name.replace("_", "-")
        check_kind(shown, value, hint)
        if bounds is not None and value is not None:
            for one in value if isinstance(value, list | tuple) else (value,):
                bounds.check(shown, one)


@cache
def _annotations(kind: Any) -> dict[str, tuple[Any, Bounds | None]]:
    """Field -> its type and its Bounds, if it has any."""
    plain, full = typing.get_type_hints(kind), typing.get_type_hints(kind, include_extras=True)
    fields = [field.name for field in dataclasses.fields(kind)]
    return {
        name: (plain[name], next((one for one in _metadata(full[name]) if isinstance(one, Bounds)), None))
        for name in fields
    }


def _metadata(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def check_kind(name: str, value: Any, hint: Any) -> None:
    """Raise ZooError unless a value is of a kind: a class, a Literal, a tuple of one kind, or a union of these.

    A NumPy number is a number, and a list is as good as a tuple; true is no number.
    """
    if any(_fits(value, one) for one in _alternatives(hint)):
        return
    hints = [one for one in _alternatives(hint) if one is not types.NoneType]
    if isinstance(value, str) and any(get_origin(one) is tuple for one in hints):
        raise ZooError(f"{name}: expected {_called(hints[0])}, got one text; put it in a list")
    expected = " or ".join(dict.fromkeys(_called(one) for one in hints))
    raise ZooError(f"{name}: expected {expected}, got {value!r}")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and all(_fits(one, get_args(hint)[0]) for one in value)
    if hint in (int, float):
        whole = isinstance(value, numbers.Integral if hint is int else numbers.Real)
        return whole and not isinstance(value, bool)
    return isinstance(value, hint)


def _called(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if get_origin(hint) is tuple:
        entry = _called(get_args(hint)[0])
        return entry.replace("one of", "some of") if entry.startswith("one of") else f"a list of {entry[2:]}s"
    return EXPECTED.get(hint) or str(hint.__name__)


Precision = Literal["fp32", "tf32", "bf16"]

PRECISIONS: tuple[str, ...] = get_args(Precision)
"""Arithmetic that a user may ask a runtime for."""

MOST_THREADS = 1024
"""More than any machine has cores for; each takes memory and a place among the user's processes."""

Seed = Annotated[int, Bounds(0, (1 << 64) - 1)]
"""Seed of a random number generator: 64 bits, without a sign."""

MOST_SEQUENCES = 1 << 20
"""At once, in prediction and in training. Engines are at their best with a few thousand."""


@dataclasses.dataclass(frozen=True)
class ThreadOptions:
    """How many cores to use."""

    threads: Annotated[int | None, Bounds(1, MOST_THREADS)] = None
    """CPU threads; by default one for each core that this process may use."""

    def __post_init__(self) -> None:
        check(self)


def check_count(name: str, value: Any, most: int) -> None:
    """Raise ZooError unless `value` is None or a whole number from 1 to `most`."""
    if value is None:
        return
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ZooError(f"{name}: expected a whole number, got {value!r}")
    if value < 1:
        raise ZooError(f"{name}: expected at least 1, got {value}")
    if value > most:
        raise ZooError(f"{name}: expected at most {most:,}, got {value}")


@dataclasses.dataclass(frozen=True)
class StrandOptions:
    """Which strands of a sequence are predicted; by default the one that is given."""

    rc: Literal["average"] | None = None
    """Predict the mean of both strands, for twice the time."""

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class RunOptions(ThreadOptions):
    """How to run, never what to compute."""

    batch_size: Annotated[int | None, Bounds(1, MOST_SEQUENCES)] = None
    """Sequences handed to the engine at once; by default the engine's own number."""

    precision: Precision = "fp32"
    """Arithmetic of matrix products; a runtime refuses a precision that it does not have."""
