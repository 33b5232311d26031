"""One line a request, on standard error: for people, or as JSON. What a client sent stands in it as printable text.

While the service runs, standard error is written by a thread: whoever does not read it holds up nobody.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import orjson

from zoo.errors import one_line

MOST_LINES = 10_000
"""That wait to be written; more are left out."""

GATHER = 0.02
"""Seconds for which lines gather until they are written together, so that the thread seldom takes the interpreter."""

LAST_LINES = 1.0
"""Seconds that may be spent at the end on lines that wait."""


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


@contextlib.contextmanager
def behind() -> Iterator[None]:
    """Have what is written to standard error written by a thread. Lines that nobody takes are left out and counted."""
    before = sys.stderr
    with contextlib.closing(Behind(before.fileno())) as stream:
        sys.stderr = stream
        try:
            yield
        finally:
            sys.stderr = before


class Behind(io.TextIOBase):
    """A text stream to a file descriptor: `write` never waits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # its `put` may be called from the handler of a signal that came while another is at it
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._begun, self._left_out = "", 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        self._begun += text
        if self._begun.endswith("\n"):
            line, self._begun = self._begun, ""
            if self._lines.qsize() < MOST_LINES:
                self._lines.put(line)
            else:
                self._left_out += 1
        return len(text)

    def close(self) -> None:
        """Write what waits, for LAST_LINES at most."""
        if not self.closed:
            super().close()
            self._lines.put(self._begun)
            self._lines.put(None)
            self._thread.join(LAST_LINES)

    def _run(self) -> None:
        told, ends = 0, False
        while not ends:
            lines = [self._lines.get()]
            if lines[0] is not None:
                time.sleep(GATHER)
            while not self._lines.empty():
                lines.append(self._lines.get())
            ends = lines[-1] is None
            if (left_out := self._left_out) > told:
                lines.append(f"zoo: {left_out - told:,} lines were not written\n")
                told = left_out
            # the descriptor itself: a thread that waits inside sys.stderr would hold up the end of the process
            with contextlib.suppress(OSError):
                _write_all(
                    self._descriptor, "".join(line for line in lines if line is not None).encode("utf-8", "replace")
                )


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
