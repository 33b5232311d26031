"""One line for each request, on standard error, as text or as JSON; text from clients is made printable.

A thread writes the lines, so the service never waits for the reader of its log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from logging.handlers import QueueHandler, QueueListener
from typing import NamedTuple

import orjson

from zoo.errors import counted, one_line

MOST_LINES = 10_000
"""Maximum number of queued lines; further lines are dropped and counted."""

PAUSE = 0.02
"""Seconds between two rounds of writing: a thread that woke for each line would slow down the event loop."""

LAST_LINES = 1.0
"""Seconds that the end of the service may wait for queued lines."""


class Line(NamedTuple):
    """A request. model: "" for a request that names none.  sequences: number of predicted ones.  error: the message of
    an error response."""

    client: str
    method: str
    path: str
    status: int
    seconds: float
    model: str = ""
    sequences: int = 0
    error: str = ""


Log = Callable[[Line], None]


def as_text(line: Line) -> str:
    count = f" {counted(line.sequences, 'sequences')}" if line.sequences else ""
    error = f" {line.error}" if line.error else ""
    path = one_line(line.path)
    return f"{_now()} {line.client} {line.method} {path} {line.status}{count} {line.seconds * 1000:.1f} ms{error}"


def as_json(line: Line) -> str:
    fields = {**line._asdict(), "seconds": round(line.seconds, 6), "path": one_line(line.path)}
    return orjson.dumps({"time": _now(), **fields}).decode()


def silent(line: Line) -> None:
    """The log of --quiet."""


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@contextlib.contextmanager
def writing(descriptor: int | None = None) -> Iterator[Callable[[str], None]]:
    """Yield a function that queues a line for a thread to write, by default to standard error. It never waits."""
    # a put into a SimpleQueue may interrupt another, as it does from the handler of a signal
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = _Handler(lines)
    writer = _Writer(handler, sys.stderr.fileno() if descriptor is None else descriptor)
    listener = _Listener(lines, writer)  # type: ignore[arg-type]
    listener.start()

    def write(line: str) -> None:
        handler.handle(logging.makeLogRecord({"msg": line}))

    try:
        yield write
    finally:
        # `stop` waits for the thread, which may be writing to a pipe that nobody reads
        end = threading.Thread(target=listener.stop, daemon=True)
        end.start()
        end.join(LAST_LINES)


class _Handler(QueueHandler):
    """Drops lines when the queue is full."""

    queue: queue.SimpleQueue[logging.LogRecord]
    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        if self.queue.qsize() < MOST_LINES:
            super().enqueue(record)
        else:
            self.dropped += 1


class _Listener(QueueListener):
    """Takes lines in rounds."""

    queue: queue.SimpleQueue[logging.LogRecord]

    def dequeue(self, block: bool) -> logging.LogRecord:
        if self.queue.empty():
            time.sleep(PAUSE)
        return super().dequeue(block)


class _Writer:
    """Writes to the descriptor itself. A logging.Handler, or sys.stderr, would keep a lock while it waits for a reader,
    and the end of the process would wait for that lock."""

    def __init__(self, handler: _Handler, descriptor: int) -> None:
        self._handler, self._descriptor, self._reported = handler, descriptor, 0

    def handle(self, record: logging.LogRecord) -> None:
        self._write(record.getMessage())
        if (dropped := self._handler.dropped) > self._reported:
            self._write(f"zoo: {counted(dropped - self._reported, 'lines')} not written")
            self._reported = dropped

    def _write(self, line: str) -> None:
        rest = memoryview(f"{line}\n".encode("utf-8", "replace"))
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
