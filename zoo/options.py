"""What all groups of options share: checks of names, of types, and of the values that an annotation allows.

Options are frozen dataclasses in the room they belong to. Dataclasses in other files inherit from those here, and their
annotations are evaluated in those files, so annotations here must not be postponed. Needs only the standard library.
"""

import dataclasses
import numbers
import textwrap
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from zoo.errors import ZooError, did_you_mean, nearest_first

T = TypeVar("T")

LONGEST_LIST = 170
"""Characters of known names in a message, so that it can also say where and which name is meant."""

EXPECTED: dict[Any, str] = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "a text",
}
"""Type -> its name in messages; messages show any other class by its own name."""


def made(kind: type[T], given: Mapping[str, Any], beside: Sequence[str] = ()) -> T:
    """Make a frozen dataclass from options by name. beside: further options that the caller accepts.

    Raises ZooError for an unknown option, and for a bad value.
    """
    check_names(given, [*beside, *names(kind)], "unknown option")
    return kind(**given)


def names(kind: Any) -> list[str]:
    """Names of the fields of a dataclass."""
    return [field.name for field in dataclasses.fields(kind)]


def check_names(given: Iterable[str], known: Sequence[str], unknown: str) -> None:
    """Raise ZooError for the first unknown name, with the known ones. unknown: such as "unknown option"."""
    for name in given:
        if name not in known:
            listed = textwrap.shorten(", ".join(nearest_first(name, known)), LONGEST_LIST, placeholder=" ...")
            raise ZooError(f"{unknown} {name!r}{did_you_mean(name, known)}; known: {listed}")


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Limits of a number, written beside its type in an annotation: `Annotated[int, Bounds(1, 1024)]`.

    least, most: the smallest and the largest allowed value.  above, below: limits that are not allowed themselves.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def check(self, name: str, value: float) -> None:
        """Raise ZooError that names the option unless the value is within the bounds."""
        for allowed, expected in (
            (self.least is None or value >= self.least, f"at least {self.least}"),
            (self.most is None or value <= self.most, f"at most {self.most}"),
            (self.above is None or value > self.above, f"a number above {self.above}"),
            (self.below is None or value < self.below, f"a number below {self.below}"),
        ):
            if not allowed:
                raise ZooError(f"{name}: expected {expected}, got {value}")


def check(options: Any, where: str = "", separator: str = "-") -> None:
    """Check every field of a dataclass against its annotation; dataclasses of options call this in `__post_init__`.

    Checks the type, the choices of a Literal, and Bounds, for a tuple those of every entry. None is allowed only if the
    annotation has it. Lists become tuples, and NumPy's numbers become Python's.
    where: start of the message.  separator: what messages show in place of "_" in the name of a field.
    Raises ZooError for the first value that is not allowed.
    """
    kind: Any = type(options)
    for name, (hint, bounds) in _annotations(kind).items():
        value, shown = getattr(options, name), where + name.replace("_", separator)
        check_kind(shown, value, hint)
        if bounds is not None and value is not None:
            for one in value if isinstance(value, list | tuple) else (value,):
                bounds.check(shown, one)
        object.__setattr__(options, name, _plain(value))


@cache
def _annotations(kind: Any) -> dict[str, tuple[Any, Bounds | None]]:
    """Field -> its type and its Bounds, if it has any."""
    plain, full = typing.get_type_hints(kind), typing.get_type_hints(kind, include_extras=True)
    return {
        name: (plain[name], next((one for one in _metadata(full[name]) if isinstance(one, Bounds)), None))
        for name in names(kind)
    }


def _metadata(hint: Any) -> tuple[Any, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) and not isinstance(value, int) else value


def check_kind(name: str, value: Any, hint: Any) -> None:
    """Raise ZooError unless a value has a type: a class, a Literal, a tuple with entries of one type, or a union.

    NumPy's numbers are numbers, and a list is accepted for a tuple; True is not a number.
    """
    if any(_fits(value, one) for one in _alternatives(hint)):
        return
    hints = [one for one in _alternatives(hint) if one is not types.NoneType]
    if isinstance(value, str) and any(get_origin(one) is tuple for one in hints):
        raise ZooError(f"{name}: expected {_description(hints[0])}, got the text {value!r}; put it in a list")
    expected = " or ".join(dict.fromkeys(_description(one) for one in hints))
    raise ZooError(f"{name}: expected {expected}, got {value!r}")


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(hint))
    if get_origin(hint) is tuple:
        entries = _alternatives(get_args(hint)[0])
        return isinstance(value, list | tuple) and all(any(_fits(one, kind) for kind in entries) for one in value)
    if hint in (int, float):
        number = isinstance(value, numbers.Integral if hint is int else numbers.Real)
        return number and not isinstance(value, bool)
    return isinstance(value, get_origin(hint) or hint)


def _description(hint: Any) -> str:
    """A type in words, for a message."""
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if get_origin(hint) is tuple:
        entry = " or ".join(_description(one) for one in _alternatives(get_args(hint)[0]))
        return entry.replace("one of", "some of") if entry.startswith("one of") else f"a list of {entry[2:]}s"
    return EXPECTED.get(hint) or str(hint.__name__)


Precision = Literal["fp32", "tf32", "bf16"]

PRECISIONS: tuple[str, ...] = get_args(Precision)
"""All precisions, from the most to the least exact."""

MOST_THREADS = 1024
"""More cores than any machine has. Each thread takes memory and counts as one of the user's processes."""

Seed = Annotated[int, Bounds(0, (1 << 64) - 1)]
"""Seed of a random number generator: 64 bits, without a sign."""

MOST_SEQUENCES = 1 << 20
"""Largest batch, in prediction and in training. Engines are fastest with a few thousand sequences."""


@dataclasses.dataclass(frozen=True)
class ThreadOptions:
    """How many cores to use."""

    threads: Annotated[int | None, Bounds(1, MOST_THREADS)] = None
    """CPU threads; default one for each core that this process may use."""

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class RunOptions(ThreadOptions):
    """How to run a model; these options do not change what is computed."""

    batch_size: Annotated[int | None, Bounds(1, MOST_SEQUENCES)] = None
    """Sequences in one batch; default chosen by the engine."""

    precision: Precision = "fp32"
    """Precision of matrix products; a runtime refuses one that it does not have."""


@dataclasses.dataclass(frozen=True)
class StrandOptions:
    """Which strands of a sequence to predict; default only the given one."""

    rc: Literal["average"] | None = None
    """Predict the mean of both strands, which takes twice the time."""

    def __post_init__(self) -> None:
        check(self)
