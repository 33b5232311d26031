"""Three stages that overlap: what is read, worked on and written, each at its own pace, with little in between.

The queues between the stages are bounded, the order is kept, and an error in any stage stops all of them at once.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")

DEPTH = 4
"""Items that may wait between two stages."""

POLL_SECONDS = 0.05
"""How often a stage that waits looks whether another one has failed."""

PATIENCE_SECONDS = 2.0
"""How long a failing run waits for its threads; one that is stuck in reading or writing is left behind."""


class _Stopped(Exception):  # noqa: N818
    """Another stage has failed, or the run was interrupted."""


class _Channel(Generic[A]):
    """A bounded queue whose ends wake up when the run is stopped. None marks the end."""

    def __init__(self, depth: int, stop: threading.Event) -> None:
        self._queue: queue.Queue[A | None] = queue.Queue(depth)
        self._stop = stop

    def put(self, item: A | None) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
        raise _Stopped

    def get(self) -> A | None:
        while not self._stop.is_set():
            try:
                return self._queue.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
        raise _Stopped


class _Run:
    """What the stages of one run share: the signal to stop, and the errors that gave it."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.failures: list[BaseException] = []

    def thread(self, stage: Callable[[], None]) -> threading.Thread:
        """Start `stage` in a thread. A daemon: one that waits for standard input must not keep the program alive."""
        thread = threading.Thread(target=self._guard, args=(stage,), daemon=True)
        thread.start()
        return thread

    def _guard(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  (raised again in the caller's thread)
            self.failures.append(error)
            self.stop.set()


def run(items: Iterable[A], work: Callable[[A], B], write: Callable[[B], None], depth: int = DEPTH) -> None:
    """write(work(item)) for all items, in order: items are made in one thread, written in another, worked on here.

    Items and results must not be None. The first error of any stage is raised here, after the others have stopped.
    """
    flow = _Run()
    todo: _Channel[A] = _Channel(depth, flow.stop)
    done: _Channel[B] = _Channel(depth, flow.stop)

    def produce() -> None:
        for item in items:
            todo.put(item)
        todo.put(None)

    def consume() -> None:
        while (result := done.get()) is not None:
            write(result)

    producer, consumer = flow.thread(produce), flow.thread(consume)
    try:
        while (item := todo.get()) is not None:
            done.put(work(item))
        done.put(None)
        consumer.join()
    except _Stopped:
        pass
    finally:
        flow.stop.set()
        producer.join(PATIENCE_SECONDS)
        consumer.join(PATIENCE_SECONDS)
    if flow.failures:
        raise flow.failures[0]
