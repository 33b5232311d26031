"""Several concurrent.futures.Future joined into one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


def done(result: A) -> Future[A]:
    """A Future that already has its result."""
    future: Future[A] = Future()
    future.set_result(result)
    return future


def joined(parts: Sequence[Future[A]], join: Callable[[list[A]], B]) -> Future[B]:
    """A Future of join(results of the parts, in order).

    It fails with the first error of a part. An error, and `cancel`, cancel the parts that have not begun.
    """
    return _Join(parts, join).whole


class _Join(Generic[A, B]):
    """Counts finished parts. The last one, or the first that fails, completes the whole."""

    def __init__(self, parts: Sequence[Future[A]], join: Callable[[list[A]], B]) -> None:
        self.whole: Future[B] = Future()
        self._parts, self._join = parts, join
        self._left = len(parts)
        self._lock = threading.Lock()
        self.whole.add_done_callback(lambda _: [part.cancel() for part in parts])
        for part in parts:
            part.add_done_callback(self._note)
        if not parts:
            self._end()

    def _note(self, part: Future[A]) -> None:
        failed = part.cancelled() or part.exception() is not None
        with self._lock:
            ends = self._left > 0 and (failed or self._left == 1)
            self._left = 0 if ends else self._left - 1  # 0: completed
        if ends:
            self._end()

    def _end(self) -> None:
        if not self.whole.set_running_or_notify_cancel():
            return
        try:
            # among the finished parts, the failed one raises its error
            for part in self._parts:
                if part.done():
                    part.result()
            self.whole.set_result(self._join([part.result() for part in self._parts]))
        except BaseException as error:  # noqa: BLE001 - passed on to the caller
            self.whole.set_exception(error)
