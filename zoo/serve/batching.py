"""Dynamic batching: requests that arrive together are computed together, and each gets its own rows.

The event loop forms the batches, without locks; only computing has a thread. While the engine is busy, requests wait;
when it is free they form a batch of at most `most` sequences, unless one request alone has more. A full batch is handed
over before the engine is free. An idle engine starts once the requests of the same moment are there; for a request that
is still being read it waits `wait` seconds at most. A single short request is computed in the event loop, since waking
a thread takes longer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np

from zoo.prediction.members import AnySession, Each


class Item(NamedTuple):
    """A waiting request. codes: uint8 (N, L).  future: its activities, float32 (N, T).  since: when it arrived.

    work: a function that uses the engine instead; the future is its result, and there are no codes.
    """

    codes: np.ndarray
    future: asyncio.Future[Any]
    since: float
    work: Callable[[], Any] | None = None


NO_CODES = np.empty((0, 0), np.uint8)


T = TypeVar("T")


class Batcher:
    """Shares the engine of a model between requests, in one event loop.

    computed: called with the number of sequences of each batch.  in_place: a single request of at most this many
    sequences is computed in the event loop.
    """

    def __init__(
        self, session: AnySession | Each, most: int, wait: float, computed: Callable[[int], None], in_place: int = 0
    ) -> None:
        self._session, self._most, self._wait, self._computed = session, most, wait, computed
        self._at_once = session.concurrent_batches
        # an engine that takes several batches has threads of its own
        self._in_place = in_place if self._at_once == 1 else 0
        self._thread = ThreadPoolExecutor(1, "batches")
        self._waiting: deque[Item] = deque()
        self._arriving = 0
        self._running = 0
        self._looks = False
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def arriving(self) -> Iterator[None]:
        """A context for reading a request that others may wait for; call `submit` at its end."""
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1
            if self._waiting:
                self._look()

    def submit(self, codes: np.ndarray) -> asyncio.Future[np.ndarray]:
        """Base codes, uint8 (N, L) -> a future of float32 (N, T). A request cancelled in time is not computed."""
        return self._add(codes)

    def alone(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """A future of the result of a function that uses the engine; called in turn, when no batch is computed."""
        return self._add(NO_CODES, work)

    def close(self) -> None:
        """Wait until the engine has finished its batch."""
        self._thread.shutdown()

    def _add(self, codes: np.ndarray, work: Callable[[], Any] | None = None) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        item = Item(codes, loop.create_future(), loop.time(), work)
        self._waiting.append(item)
        self._look()
        return item.future

    def _look(self) -> None:
        """Start batches after everything else that the event loop can do now."""
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_soon(self._begin_all)

    def _begin_all(self) -> None:
        self._looks = False
        while self._forget_done() and self._has_room() and not self._waits():
            self._begin(self._next())

    def _has_room(self) -> bool:
        """Whether the first waiting request may start. A full batch is handed over while the engine is still busy."""
        if self._waiting[0].work:
            return not self._running
        return self._running < self._at_once + (self._size() >= self._most)

    def _size(self) -> int:
        """Number of waiting sequences."""
        return sum(len(item.codes) for item in self._waiting if not item.future.done())

    def _forget_done(self) -> bool:
        """Drop cancelled requests from the front. Return whether others wait."""
        while self._waiting and self._waiting[0].future.done():
            self._waiting.popleft()
        return bool(self._waiting)

    def _waits(self) -> bool:
        """Whether to wait for requests that are being read; starts a timer for the end of waiting."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._arriving or self._size() >= self._most:
            return False
        loop = asyncio.get_running_loop()
        until = self._waiting[0].since + self._wait
        if loop.time() >= until:
            return False
        self._timer = loop.call_at(until, self._begin_all)
        return True

    def _next(self) -> list[Item]:
        """The requests of the next batch."""
        items = [self._waiting.popleft()]
        size = len(items[0].codes)
        while not items[0].work and self._forget_done() and self._fits(size):
            items.append(self._waiting.popleft())
            size += len(items[-1].codes)
        return items

    def _fits(self, size: int) -> bool:
        """Whether the next request fits into a batch that has `size` sequences."""
        return not self._waiting[0].work and size + len(self._waiting[0].codes) <= self._most

    def _begin(self, items: list[Item]) -> None:
        try:
            begun = self._submit(items)
        except Exception as error:  # noqa: BLE001 - each request gets it
            begun = Future()
            begun.set_exception(error)
        if begun.done():
            self._hand_out(items, begun)
            return
        slots = self._at_once + 1 if items[0].work else 1
        self._running += slots
        loop = asyncio.get_running_loop()

        def done(begun: Future[Any]) -> None:
            # the event loop may have ended meanwhile
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._done, items, begun, slots)

        begun.add_done_callback(done)

    def _submit(self, items: list[Item]) -> Future[Any]:
        """The result of the engine; done if it was computed in the event loop."""
        if items[0].work:
            return self._thread.submit(items[0].work)
        codes = items[0].codes if len(items) == 1 else np.concatenate([item.codes for item in items])
        in_place = len(items) == 1 and not self._waiting and len(codes) <= self._in_place
        if in_place or self._at_once > 1:
            return self._session.submit(codes)
        return self._thread.submit(lambda: self._session.submit(codes).result())

    def _done(self, items: list[Item], begun: Future[Any], slots: int) -> None:
        self._running -= slots
        self._begin_all()  # the engine first
        self._hand_out(items, begun)

    def _hand_out(self, items: list[Item], begun: Future[Any]) -> None:
        """Give each request its result, or all of them the error; cancelled requests get none."""
        error = begun.exception()
        result: Any = None if error else begun.result()
        if not (error or items[0].work):
            self._computed(len(result))
        start = 0
        for item in items:
            end = start + len(item.codes)
            if item.future.done():
                pass
            elif error:
                item.future.set_exception(error)
            else:
                item.future.set_result(result if item.work else result[start:end])
            start = end
