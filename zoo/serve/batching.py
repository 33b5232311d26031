"""Dynamic batching: requests that arrive together are computed together, each gets its own rows.

A thread a model. While the engine is busy, requests gather; when it is free they go, at most `most` sequences at once
unless one request alone has more. An idle engine begins at once, unless others are just being read: those it waits for,
at most `wait` seconds.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

import numpy as np

from zoo.inference.session import Session


class Item(NamedTuple):
    """codes: uint8 (N, L) of a request.  future: of its activities, float32 (N, T).

    work: something else to do with the engine, whose result it is instead; there are no codes then.
    """

    codes: np.ndarray
    future: Future[Any]
    work: Callable[[], Any] | None = None


NO_CODES = np.empty((0, 0), np.uint8)


T = TypeVar("T")


class Batcher:
    """The engine of a model, shared by all who ask. computed: called with the sequences of each batch."""

    def __init__(self, session: Session, most: int, wait: float, computed: Callable[[int], None]) -> None:
        self._session, self._most, self._wait, self._computed = session, most, wait, computed
        self._waiting: deque[Item] = deque()
        self._arriving = 0
        self._ends = False
        self._changed = threading.Condition()
        self._free = threading.Semaphore(session.concurrent_batches)
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def arriving(self) -> Iterator[None]:
        """While it holds, a request is being read, for which others may wait; it should end with `submit`."""
        with self._changed:
            self._arriving += 1
        try:
            yield
        finally:
            with self._changed:
                self._arriving -= 1
                self._changed.notify()

    def submit(self, codes: np.ndarray) -> Future[np.ndarray]:
        """Base codes, uint8 (N, L) -> a Future of float32 (N, T). One that is cancelled before its batch begins costs
        nothing."""
        return self._add(Item(codes, Future()))

    def alone(self, work: Callable[[], T]) -> Future[T]:
        """A Future of what a function gives that uses the engine; it is called in turn, when nothing else runs here."""
        return self._add(Item(NO_CODES, Future(), work))

    def _add(self, item: Item) -> Future[Any]:
        with self._changed:
            self._waiting.append(item)
            self._changed.notify()
        return item.future

    def close(self) -> None:
        """Compute what waits, then end."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._free.acquire()
            items = self._next()
            if items is None:
                return
            begun = [item for item in items if item.future.set_running_or_notify_cancel()]
            if begun:
                self._begin(begun)
            else:
                self._free.release()

    def _next(self) -> list[Item] | None:
        """The requests of the next batch, None at the end."""
        with self._changed:
            while not self._waiting:
                if self._ends:
                    return None
                self._changed.wait()
            until = time.monotonic() + self._wait
            while self._arriving and sum(len(item.codes) for item in self._waiting) < self._most:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            items = [self._waiting.popleft()]
            size = len(items[0].codes)
            while not items[0].work and self._fits(size):
                items.append(self._waiting.popleft())
                size += len(items[-1].codes)
            return items

    def _fits(self, size: int) -> bool:
        """Whether the next request goes with those that have `size` sequences."""
        return bool(self._waiting) and not self._waiting[0].work and size + len(self._waiting[0].codes) <= self._most

    def _begin(self, items: list[Item]) -> None:
        if items[0].work:
            self._work(items[0], items[0].work)
            return
        try:
            codes = items[0].codes if len(items) == 1 else np.concatenate([item.codes for item in items])
            activities = self._session.submit(codes)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            self._free.release()
            for item in items:
                item.future.set_exception(error)
            return
        activities.add_done_callback(lambda done: self._hand_out(items, done))

    def _work(self, item: Item, work: Callable[[], Any]) -> None:
        try:
            item.future.set_result(work())
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            item.future.set_exception(error)
        finally:
            self._free.release()

    def _hand_out(self, items: list[Item], done: Future[np.ndarray]) -> None:
        self._free.release()
        error = done.exception()
        if error is not None:
            for item in items:
                item.future.set_exception(error)
            return
        activities = done.result()
        self._computed(len(activities))
        start = 0
        for item in items:
            item.future.set_result(activities[start : start + len(item.codes)])
            start += len(item.codes)
