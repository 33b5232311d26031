"""Pickles as data: the objects that a pickle describes, while nothing that it names is imported or called.

A pickle is a program that names classes and functions and calls them. `pickletools` of the standard library splits it
into instructions. Here they make plain values and containers; each call gives a StandIn, which records what would have
been called. Memory is bounded by MOST_INSTRUCTIONS and by the size of the pickle.
"""

from __future__ import annotations

import dataclasses
import pickletools
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

MOST_INSTRUCTIONS = 500_000
"""Of one pickle; a state dict of a thousand tensors has about 30,000."""

PLAIN = (str, bytes, int, float, type(None))
"""Types of the keys that are kept as they are; any other key is an object of its own."""

READ_ERRORS = (ValueError, LookupError, TypeError, OverflowError, EOFError, MemoryError, AttributeError)
"""Errors for a pickle that is damaged or larger than it may be."""


@dataclasses.dataclass(frozen=True)
class Global:
    """A class or function that a pickle names: "collections.OrderedDict"."""

    name: str


@dataclasses.dataclass(eq=False)
class StandIn:
    """What a call would have made. name: that of the class or function, "" if it is none.

    attributes: by name, as far as the pickle sets them.  items: entries of a subclass of dict.
    """

    name: str
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    items: dict[Any, Any] = dataclasses.field(default_factory=dict)


Call = Callable[[str, tuple[Any, ...]], Any]
"""Name of a class or function, and arguments -> what stands for the result; None for a StandIn."""


def load(file: BinaryIO, call: Call, persistent: Callable[[Any], Any]) -> Any:
    """Read one pickle, from where the file stands to its end.

    call: makes what the caller knows.  persistent: makes what a persistent id, such as that of a storage, refers to.
    Raises one of READ_ERRORS for a pickle that is damaged, too long, or of an unknown protocol.
    """
    return _Machine(call, persistent).run(file)


class _Machine:
    """The stack and the memo of a pickle that is read."""

    def __init__(self, call: Call, persistent: Callable[[Any], Any]) -> None:
        self._call, self._persistent = call, persistent
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        """Stacks below each mark."""
        self._memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if number > MOST_INSTRUCTIONS:
                raise ValueError(f"more than {MOST_INSTRUCTIONS:,} instructions")
            if opcode.name == "STOP":
                return self._stack.pop()
            if not self._changes(opcode.name, argument):
                value = self._value(opcode.name, argument)
                self._stack.append(value)
        raise ValueError("it has no end")

    def _changes(self, name: str, argument: Any) -> bool:  # noqa: C901 - a case for each instruction
        """Do an instruction that changes what is on the stack or in the memo; False for one that makes a value."""
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self._below.append(self._stack)
                self._stack = []
            case "POP" if self._stack:
                self._take(1)
            case "POP" | "POP_MARK":
                self._marked()
            case "APPEND":
                self._extend(self._take(1))
            case "APPENDS" | "ADDITEMS":
                self._extend(self._marked())
            case "SETITEM":
                self._set(self._take(2))
            case "SETITEMS":
                self._set(self._marked())
            case "BUILD":
                self._build(*self._take(1))
            case "MEMOIZE":
                self._memo[len(self._memo)] = self._stack[-1]
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._stack[-1]
            case _:
                return False
        return True

    def _value(self, name: str, argument: Any) -> Any:  # noqa: C901 - a case for each instruction
        """The value that an instruction puts on the stack."""
        match name:
            case "NONE":
                return None
            case "NEWTRUE" | "NEWFALSE":
                return name == "NEWTRUE"
            case "EMPTY_LIST" | "EMPTY_SET":
                return []
            case "EMPTY_DICT":
                return {}
            case "EMPTY_TUPLE":
                return ()
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                return tuple(self._take(int(name[-1])))
            case "TUPLE":
                return tuple(self._marked())
            case "LIST" | "FROZENSET":
                return self._marked()
            case "DICT":
                return dict(_pairs(self._marked()))
            case "DUP":
                return self._stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                return self._memo[argument]
            case "GLOBAL":
                return Global(argument.replace(" ", "."))
            case "STACK_GLOBAL":
                return Global(".".join(map(str, self._take(2))))
            case "EXT1" | "EXT2" | "EXT4":
                return Global("")
            case "REDUCE" | "NEWOBJ":
                return self._made(*self._take(2))
            case "NEWOBJ_EX":
                return self._made(*self._take(3)[:2])
            case "INST":
                return self._made(Global(argument.replace(" ", ".")), tuple(self._marked()))
            case "OBJ":
                function, *arguments = self._marked()
                return self._made(function, tuple(arguments))
            case "PERSID":
                return self._persistent(argument)
            case "BINPERSID":
                return self._persistent(*self._take(1))
            case "NEXT_BUFFER" | "READONLY_BUFFER":
                raise ValueError("its bytes are outside the file")
        return argument  # a number, a text or bytes

    def _marked(self) -> list[Any]:
        """Take what is above the mark."""
        above, self._stack = self._stack, self._below.pop()
        return above

    def _take(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise ValueError("its stack is empty")
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _made(self, function: Any, arguments: Any) -> Any:
        name = function.name if isinstance(function, Global) else ""
        known = self._call(name, arguments) if isinstance(arguments, tuple) else None
        return StandIn(name) if known is None else known

    def _extend(self, values: list[Any]) -> None:
        if isinstance(self._stack[-1], list):
            self._stack[-1].extend(values)

    def _set(self, values: list[Any]) -> None:
        target = self._stack[-1]
        entries = target.items if isinstance(target, StandIn) else target
        if isinstance(entries, dict):
            entries.update(_pairs(values))

    def _build(self, state: Any) -> None:
        target = self._stack[-1]
        if isinstance(target, StandIn):
            for part in state if isinstance(state, tuple) else (state,):
                if isinstance(part, dict):
                    target.attributes.update({name: value for name, value in part.items() if isinstance(name, str)})


def _pairs(values: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Keys and values, one after the other -> pairs. Only keys of PLAIN types are hashed: others could be deep."""
    for key, value in zip(values[::2], values[1::2], strict=True):
        yield (key if isinstance(key, PLAIN) else StandIn("")), value
