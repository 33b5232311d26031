"""Frame: what an imported network expects as its input, and which numbers of its outputs are predictions.

A frame is written once, on import, as options or in a TOML file. It becomes a few nodes of the ONNX graph, so that
every program that runs the graph obeys it; the ModelSpec keeps it for readers. Needs only the standard library.
Axes: N sequences, C channels, L positions of the network's input, T targets, P positions of an output.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from zoo.errors import ZooError
from zoo.options import Bounds, check, check_names, names

VERSION = 1

BASES = "ACGT"

REVERSE = "reverse"
"""Value of a channel that is 1 where the network sees the reverse strand, else 0."""

MOST_FLANK = 1 << 20
"""Maximum number of bases of a flank."""

SHOWN_FLANK = 12
"""Bases of a flank that readers are shown."""

CODES, LETTERS = "codes", "letters"
"""Layouts of an input with a number for each base: its place in the alphabet, or its ASCII letter."""

Transform = Literal["identity", "log", "log2", "log1p", "exp", "exp2", "expm1", "sigmoid", "softmax"]

Reduction = Literal["sum", "mean", "max"]


@dataclasses.dataclass(frozen=True)
class InputFrame:
    """The input of the network for DNA."""

    name: str = ""
    """Name of this input in the graph; not needed if the graph has a single input."""

    layout: str = "NCL"
    """Order of the axes of a one-hot input: N, C and L, with a 1 for each further axis of that size, such as NCL, NLC
    or NC1L; or codes or letters, for a number for each base (N, L)."""

    alphabet: str = ""
    """Order of the bases in the channels, or in the codes from 0; such as ACGT. The network does not say it."""

    unknown: float = 0.0
    """What the four channels of an N hold: 0 or 0.25. For codes: the code of an N."""

    channels: tuple[float | str, ...] = ()
    """Further channels, behind those of the bases: each a number for a constant, or "reverse" for 1 on the reverse
    strand and 0 on the given one."""

    constants: dict[str, float] = dataclasses.field(default_factory=dict)
    """Further inputs: name -> the number that each of their elements gets."""

    def __post_init__(self) -> None:
        check(self, "input.", "_")
        object.__setattr__(self, "alphabet", self.alphabet.upper())
        if not self.alphabet:
            raise ZooError("alphabet: the graph does not say the order of the bases; give it, such as --alphabet ACGT")
        if sorted(self.alphabet) != sorted(BASES):
            raise ZooError(f"alphabet: expected the letters {BASES} in some order, got {self.alphabet!r}")
        one_hot = sorted(self.layout.replace("1", "")) == sorted("NCL") and self.layout.startswith("N")
        if not one_hot and self.layout not in (CODES, LETTERS):
            raise ZooError(f"layout: expected NCL, NLC, NC1L or the like, {CODES} or {LETTERS}, got {self.layout!r}")
        if one_hot and self.unknown not in (0, 0.25):
            raise ZooError(f"unknown: expected 0 or 0.25 in each channel of an N, got {self.unknown}")
        if not one_hot and self.channels:
            raise ZooError(f"channels: only a one-hot input has channels, the layout is {self.layout}")
        for channel in self.channels:
            if isinstance(channel, str) and channel != REVERSE:
                raise ZooError(f'channels: expected numbers or "{REVERSE}", got {channel!r}')
        for name, value in self.constants.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ZooError(f"constants: expected a number for the input {name}, got {value!r}")

    @property
    def one_hot(self) -> bool:
        """Whether the input has a channel for each base."""
        return self.layout not in (CODES, LETTERS)

    def text(self) -> str:
        """The input in words."""
        if self.layout == CODES:
            text = ", ".join(f"{base} {code}" for code, base in enumerate(self.alphabet))
            text = f"a code for each base: {text}, N {self.unknown:g}"
        elif self.layout == LETTERS:
            text = "the ASCII letter of each base"
        else:
            text = f"one-hot, {self.layout}, channels {self.alphabet}, {self.unknown:g} in each for an N"
        further = ["1 on the reverse strand" if one == REVERSE else f"{one:g}" for one in self.channels]
        constants = [f"{name} {value:g}" for name, value in self.constants.items()]
        text += f"; further channels: {', '.join(further)}" if further else ""
        return text + (f"; further inputs: {', '.join(constants)}" if constants else "")


@dataclasses.dataclass(frozen=True)
class SequenceFrame:
    """What the user gives, and what the network sees: the sequence between two constant flanks."""

    length: Annotated[int | None, Bounds(1)] = None
    """Bases that the user gives; by default what the network sees without the flanks. Needed if the network takes any
    length."""

    left: str = ""
    """Bases before the sequence, of A, C, G, T and N."""

    right: str = ""
    """Bases after the sequence."""

    def __post_init__(self) -> None:
        check(self, "sequence.", "_")
        for side in ("left", "right"):
            flank = getattr(self, side).upper()
            wrong = next((letter for letter in flank if letter not in f"{BASES}N"), None)
            if wrong is not None or len(flank) > MOST_FLANK:
                found = f"{wrong!r}" if wrong else f"{len(flank):,} letters"
                raise ZooError(f"{side}: expected at most {MOST_FLANK:,} letters of {BASES}N, got {found}")
            object.__setattr__(self, side, flank)

    def text(self) -> str:
        """The flanks in words; empty without any."""
        shown = [
            f"{len(flank)} bases {where} ({flank[:SHOWN_FLANK]}{'...' * (len(flank) > SHOWN_FLANK)})"
            for flank, where in ((self.left, "before each sequence"), (self.right, "after it"))
            if flank
        ]
        return f"{' and '.join(shown)}, which the network adds itself: give sequences without them" if shown else ""


@dataclasses.dataclass(frozen=True)
class StrandFrame:
    """Which strands the network sees."""

    rule: Literal["given", "mean", "graph"] | None = None
    """given: the strand that the user gives; mean: the predictions are the mean of both strands; graph: the graph
    itself sees both strands. The network does not say it."""

    turns: Literal["sequence", "construct"] | None = None
    """What is reverse complemented for the mean: the sequence between its flanks, or the construct with them. Needed if
    there are flanks."""

    def __post_init__(self) -> None:
        check(self, "strand.", "_")
        if self.rule is None:
            raise ZooError(
                "strand: the graph does not say which strands count; give --strand given, mean (of both strands) or "
                "graph (it sees both itself)"
            )
        if self.turns and self.rule != "mean":
            raise ZooError(f"turns: applies only to the mean of both strands, the rule is {self.rule}")

    def text(self) -> str:
        """The rule in words."""
        turned = {"sequence": "; the flanks stay in place", "construct": "; the flanks are turned too", None: ""}
        return {
            "given": "the network sees the given strand",
            "mean": f"predictions are the mean of both strands{turned[self.turns]}",
            "graph": "the network sees both strands itself",
        }[self.rule or ""]


@dataclasses.dataclass(frozen=True)
class Target:
    """One predicted number for each sequence."""

    name: str
    """Name of the column in tables."""

    output: str = ""
    """Output of the graph; not needed if it has only one."""

    column: Annotated[int, Bounds(0)] = 0
    """Number of the target in the axis T of the output, from 0; 0 if the output has no such axis."""

    axes: Literal["N", "NT", "NP", "NTP", "NPT"] | None = None
    """Axes of the output; by default N or NT, by the number of its axes. Needed if there are positions."""

    transform: Transform = "identity"
    """Function of each number; softmax is over T, or over P if there are positions."""

    positions: Reduction | None = None
    """How the positions of an output become one number. Needed if there are positions."""

    def __post_init__(self) -> None:
        check(self, "targets.", "_")
        if (self.positions is not None) != (self.axes is not None and "P" in self.axes):
            raise ZooError(
                f"targets: {self.name}: positions (sum, mean or max) and axes with P belong together, got positions "
                f"{self.positions} and axes {self.axes}"
            )

    def text(self) -> str:
        """Which number of which output it is, in words."""
        text = f"column {self.column} of {self.output or 'the output'}"
        text += f", {self.transform}" if self.transform != "identity" else ""
        return text + (f", {self.positions} over the positions" if self.positions else "")


@dataclasses.dataclass(frozen=True)
class Profile:
    """A predicted number for each position, float32 (N, T, P), which `zoo predict --profiles` writes."""

    name: str
    """Name of the array in the file."""

    output: str = ""
    """Output of the graph; not needed if it has only one."""

    axes: Literal["NP", "NTP", "NPT"] = "NTP"
    """Axes of the output."""

    transform: Transform = "identity"
    """Function of each number; softmax is over the positions."""

    counts: str = ""
    """Output (N,) or (N, T) that the profile is multiplied with, such as predicted counts."""

    counts_transform: Transform = "identity"
    """Function of these, such as exp for logarithms of counts."""

    targets: tuple[str, ...] = ()
    """Names of its T targets; not needed for one, which has the name of the profile."""

    start: Annotated[int | None, Bounds(0)] = None
    """Bases of the sequence before the first position; by default the positions are in its middle."""

    bases: Annotated[int, Bounds(1)] = 1
    """Bases of one position."""

    positions: Annotated[int | None, Bounds(1)] = None
    """Number of positions; the import sets it."""

    def __post_init__(self) -> None:
        check(self, "profiles.", "_")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its targets."""
        return self.targets or (self.name,)

    def place(self, length: int) -> tuple[int, int]:
        """The bases [start, stop) of a sequence of `length` bases that the positions cover.

        Raises ZooError if they do not fit, and for a middle that is between two bases.
        """
        span = (self.positions or 0) * self.bases
        start = (length - span) // 2 if self.start is None else self.start
        if not span or start < 0 or start + span > length or (self.start is None and (length - span) % 2):
            raise ZooError(
                f"profiles: {self.name}: {self.positions} positions of {self.bases} bases do not fit the middle of "
                f"{length} bases; say start, the bases before the first position, and bases, those of one position"
            )
        return start, start + span

    def text(self) -> str:
        """Which output it is, in words."""
        text = f"{self.name}: {self.output or 'the output'}"
        text += f", {self.transform}" if self.transform != "identity" else ""
        counts = self.counts if self.counts_transform == "identity" else f"{self.counts_transform} of {self.counts}"
        return text + (f", times {counts}" if self.counts else "")


@dataclasses.dataclass(frozen=True)
class Frame:
    """What an imported network expects and gives.

    Raises ZooError for values that contradict each other, and for what must be said and is not.
    """

    input: InputFrame
    strand: StrandFrame
    targets: tuple[Target, ...]
    sequence: SequenceFrame = dataclasses.field(default_factory=SequenceFrame)
    profiles: tuple[Profile, ...] = ()
    members: Annotated[int, Bounds(1)] = 1
    """Number of networks whose mean is predicted."""

    version: int = VERSION

    def __post_init__(self) -> None:
        check(self, "frame: ", "_")
        if self.version != VERSION:
            raise ZooError(f"frame: expected version {VERSION}, got {self.version}; update deepstarr-zoo")
        flanks, mean = self.sequence.left + self.sequence.right, self.strand.rule == "mean"
        if flanks and mean and self.strand.turns is None:
            raise ZooError(
                "turns: expected sequence or construct: with flanks, the mean of both strands reverse complements the "
                "sequence between them or all of it"
            )
        if self.profiles and mean:
            raise ZooError(
                "profiles: expected the strand rule given or graph, since positions differ between the strands"
            )
        names = [target.name for target in self.targets] + [profile.name for profile in self.profiles]
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            raise ZooError(f"targets and profiles: expected different names, got {twice} twice")
        if REVERSE in self.input.channels and self.strand.rule == "graph":
            raise ZooError(f'channels: "{REVERSE}" needs the strand rule given or mean, got graph')

    def lines(self) -> dict[str, str]:
        """Name -> value, in words for readers; targets are left out, see Target.text."""
        lines = {
            "network sees": self.input.text(),
            "flanks": self.sequence.text(),
            "strands": self.strand.text(),
            "profiles": "; ".join(one.text() for one in self.profiles),
            "members": f"{self.members} networks, whose mean is predicted" if self.members > 1 else "",
        }
        return {name: value for name, value in lines.items() if value}

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; `frame_of(frame.to_dict()) == frame`."""
        return dataclasses.asdict(self)


def frame_of(given: Any) -> Frame:
    """A Frame from plain types, as JSON and TOML have them. Raises ZooError for unknown names, missing ones and bad
    values."""
    return typing.cast(Frame, _made(Frame, given, "frame"))


def _made(kind: Any, given: Any, where: str) -> Any:
    if not isinstance(given, Mapping):
        raise ZooError(f"{where}: expected names and values, got {given!r}")
    check_names(given, names(kind), f"{where}: unknown name")
    absent = [f.name for f in dataclasses.fields(kind) if _obligatory(f) and f.name not in given]
    if absent:
        raise ZooError(f"{where}: expected {' and '.join(absent)}, not given")
    hints = typing.get_type_hints(kind)
    return kind(**{name: _value(hints[name], value, f"{where}: {name}") for name, value in given.items()})


def _obligatory(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, where: str) -> Any:
    """Dictionaries become the dataclasses that the hint asks for; other values are checked by them."""
    inner = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None
    if dataclasses.is_dataclass(inner):
        if not isinstance(value, list | tuple):
            raise ZooError(f"{where}: expected a list, [[{where.rpartition(' ')[2]}]] in TOML, got {value!r}")
        if inner is Target and all(isinstance(one, str) for one in value):
            return tuple(Target(name, column=column) for column, name in enumerate(value))
        return tuple(_made(inner, one, where) for one in value)
    if dataclasses.is_dataclass(hint):
        return _made(hint, value, where)
    return value
