"""Three overlapping stages: items are read, worked on and written, each at its own pace.

The queues between the stages are bounded, the order is kept, and an error in any stage stops all of them at once.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

DEPTH = 4
"""Items that may wait between two stages."""

POLL_SECONDS = 0.05
"""How often a waiting stage checks whether another one has failed."""

PATIENCE_SECONDS = 2.0
"""How long a failing run waits for its threads; one that is stuck in reading or writing is left running."""


class _Stopped(Exception):  # noqa: N818
    """Another stage has failed, or the run was interrupted."""


class _Stages:
    """Threads of one run, the signal to stop them, and the errors that caused it."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.failures: list[BaseException] = []

    def start(self, stage: Callable[[], None]) -> threading.Thread:
        # a daemon: a thread that waits for standard input must not keep the program alive
        thread = threading.Thread(target=self._guard, args=(stage,), daemon=True)
        thread.start()
        return thread

    def _guard(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self.failures.append(error)
            self.stop.set()

    def wait(self, move: Callable[..., A], *item: object) -> A:
        """Call `put` or `get` of a queue as soon as the queue allows it. Raises _Stopped."""
        while not self.stop.is_set():
            try:
                return move(*item, timeout=POLL_SECONDS)
            except (queue.Full, queue.Empty):
                continue
        raise _Stopped


def run(items: Iterable[A], work: Callable[[A], B], write: Callable[[B], None], depth: int = DEPTH) -> None:
    """write(work(item)) for all items, in order: items are made in one thread, written in another, worked on here.

    Items and results must not be None. The first error of any stage is raised here, after the others have stopped.
    """
    stages = _Stages()
    todo: queue.Queue[A | None] = queue.Queue(depth)  # None marks the end
    done: queue.Queue[B | None] = queue.Queue(depth)

    def produce() -> None:
        for item in items:
            stages.wait(todo.put, item)
        stages.wait(todo.put, None)

    def consume() -> None:
        while (result := stages.wait(done.get)) is not None:
            write(result)

    producer, consumer = stages.start(produce), stages.start(consume)
    try:
        while (item := stages.wait(todo.get)) is not None:
            stages.wait(done.put, work(item))
        stages.wait(done.put, None)
        consumer.join()
    except _Stopped:
        pass
    finally:
        stages.stop.set()
        producer.join(PATIENCE_SECONDS)
        consumer.join(PATIENCE_SECONDS)
    if stages.failures:
        raise stages.failures[0]
