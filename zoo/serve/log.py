"""One line a request, on standard error: for people, or as JSON. What a client sent stands in it as printable text."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import orjson

from zoo.errors import one_line


class Line(NamedTuple):
    """A request. model: "" for what belongs to none.  sequences: predicted.  error: what was answered instead."""

    client: str
    method: str
    path: str
    status: int
    seconds: float
    model: str = ""
    sequences: int = 0
    error: str = ""


Log = Callable[[Line], None]


def as_text(line: Line) -> None:
    count = f" {line.sequences:,} sequences" if line.sequences else ""
    error = f" {line.error}" if line.error else ""
    path = one_line(line.path)
    _write(f"{_now()} {line.client} {line.method} {path} {line.status}{count} {line.seconds * 1000:.1f} ms{error}")


def as_json(line: Line) -> None:
    fields = {**line._asdict(), "seconds": round(line.seconds, 6), "path": one_line(line.path)}
    _write(orjson.dumps({"time": _now(), **fields}).decode())


def silent(line: Line) -> None:
    """For --quiet."""


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _write(text: str) -> None:
    sys.stderr.write(f"{text}\n")
