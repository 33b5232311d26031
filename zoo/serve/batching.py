"""Dynamic batching: requests that arrive together are computed together, each gets its own rows.

All is done in the event loop, without locks; only what computes has a thread. While the engine is busy, requests
gather; when it is free they go, at most `most` sequences at once unless one request alone has more. One full batch lies
ready before that. An idle engine begins as soon as those are in that came at the same moment; for one that is just
being read it waits, at most `wait` seconds. A short request that is alone is computed in place: a thread takes longer
to wake.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np

from zoo.prediction.session import Session
from zoo.prediction.strands import BothStrands


class Item(NamedTuple):
    """codes: uint8 (N, L) of a request.  future: of its activities, float32 (N, T).  since: when it came.

    work: something else to do with the engine, whose result it is instead; there are no codes then.
    """

    codes: np.ndarray
    future: asyncio.Future[Any]
    since: float
    work: Callable[[], Any] | None = None


NO_CODES = np.empty((0, 0), np.uint8)


T = TypeVar("T")


class Batcher:
    """The engine of a model, shared by all who ask, in one event loop.

    computed: called with the sequences of each batch.  in_place: sequences of a request that are computed without
    another thread, while the loop stands still.
    """

    def __init__(
        self, session: Session | BothStrands, most: int, wait: float, computed: Callable[[int], None], in_place: int = 0
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
        """While it holds, a request is being read, for which others may wait; it should end with `submit`."""
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1
            if self._waiting:
                self._look()

    def submit(self, codes: np.ndarray) -> asyncio.Future[np.ndarray]:
        """Base codes, uint8 (N, L) -> a future of float32 (N, T). One that is done, cancelled for example, before its
        batch begins costs nothing."""
        return self._add(codes)

    def alone(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """A future of what a function gives that uses the engine; it is called in turn, when nothing else runs here."""
        return self._add(NO_CODES, work)

    def close(self) -> None:
        """End, when the engine has finished what it began."""
        self._thread.shutdown()

    def _add(self, codes: np.ndarray, work: Callable[[], Any] | None = None) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        item = Item(codes, loop.create_future(), loop.time(), work)
        self._waiting.append(item)
        self._look()
        return item.future

    def _look(self) -> None:
        """Begin what can begin when those have had their turn that are ready now."""
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_soon(self._begin_all)

    def _begin_all(self) -> None:
        self._looks = False
        while self._forget_done() and self._has_room() and not self._waits():
            self._begin(self._next())

    def _has_room(self) -> bool:
        """Whether what is in front may begin. A batch that nobody can join any more is handed over while the engine is
        busy, so that the engine finds it when it is free."""
        if self._waiting[0].work:
            return not self._running
        return self._running < self._at_once + (self._size() >= self._most)

    def _size(self) -> int:
        """Sequences that wait."""
        return sum(len(item.codes) for item in self._waiting if not item.future.done())

    def _forget_done(self) -> bool:
        """Drop those in front for whom nobody waits; whether others are there."""
        while self._waiting and self._waiting[0].future.done():
            self._waiting.popleft()
        return bool(self._waiting)

    def _waits(self) -> bool:
        """Whether those who wait should wait for others that are arriving; begins when that is over."""
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
        """Whether the next request goes with those that have `size` sequences."""
        return not self._waiting[0].work and size + len(self._waiting[0].codes) <= self._most

    def _begin(self, items: list[Item]) -> None:
        try:
            begun = self._submit(items)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            begun = Future()
            begun.set_exception(error)
        if begun.done():
            self._hand_out(items, begun)
            return
        slots = self._at_once + 1 if items[0].work else 1
        self._running += slots
        loop = asyncio.get_running_loop()

        def done(begun: Future[Any]) -> None:
            # of a loop that was ended meanwhile nobody is left who waits
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._done, items, begun, slots)

        begun.add_done_callback(done)

    def _submit(self, items: list[Item]) -> Future[Any]:
        """What the engine gives; done if it was computed in place."""
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
        """To each its result, or to all the error; who is done already needs none."""
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
