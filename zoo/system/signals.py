"""The signals that end a program: Ctrl-C (SIGINT), SIGTERM from schedulers, and SIGHUP from a closed terminal.

Within `raised`, each of them is an exception in the main thread, so unfinished files are removed on the way out. A
signal that was ignored when the program started, for example by nohup, stays ignored.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Windows has no SIGHUP."""


class Stopped(KeyboardInterrupt):
    """A signal of ENDING arrived; `number` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def status(self) -> int:
        """Exit status, as shells define it."""
        return 128 + self.number

    def __str__(self) -> str:
        return "interrupted" if self.number == signal.SIGINT else f"ended by {signal.Signals(self.number).name}"


class Arrived:
    """The last signal that arrived, or None: for libraries that turn its exception into one of their own."""

    def __init__(self) -> None:
        self.last: Stopped | None = None


@contextlib.contextmanager
def raised(arrived: Arrived) -> Iterator[None]:
    """Raise Stopped for the signals of ENDING and store it in `arrived`; has an effect in the main thread only."""

    def stop(number: int, _frame: Any) -> None:
        arrived.last = Stopped(number)
        raise arrived.last

    with _handled(stop, lambda before: before is not signal.SIG_IGN):
        yield


@contextlib.contextmanager
def noted(note: Callable[[Stopped], None]) -> Iterator[None]:
    """Call `note` for the first of each signal instead of raising Stopped; the second one raises it."""

    def first(number: int, _frame: Any) -> None:
        signal.signal(number, before[number])
        note(Stopped(number))

    with _handled(first, callable) as before:
        yield


@contextlib.contextmanager
def _handled(handler: Callable[[int, Any], None], chosen: Callable[[Any], bool]) -> Iterator[dict[int, Any]]:
    """Set `handler` for the signals that `chosen` selects. Yields signal -> old handler, which the end restores."""
    before: dict[int, Any] = {}
    late: list[int] = []
    ending = False

    def hear(number: int, frame: Any) -> None:
        # another thread may have received it just before; an exception now would leave some of our handlers set
        late.append(number) if ending else handler(number, frame)

    if threading.current_thread() is threading.main_thread():
        before = {number: now for number in ENDING if chosen(now := signal.getsignal(number))}
    try:
        for number in before:
            signal.signal(number, hear)
        yield before
    finally:
        ending = True
        for number, handler_before in before.items():
            signal.signal(number, handler_before)
        for number in late[:1]:
            signal.raise_signal(number)


@contextlib.contextmanager
def withheld() -> Iterator[None]:
    """Delay all of ENDING until the end; a process started meanwhile receives none of them before `hear_end`."""
    came: list[int] = []
    # a mask applies to one thread, and other threads still receive the signal: so the handlers wait too
    with _masked(), _handled(lambda number, _frame: came.append(number), callable) as before:
        yield
    for number in came[:1]:
        before[number](number, None)


@contextlib.contextmanager
def _masked() -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def hear_end() -> None:
    """In a process started within `withheld`: accept all of ENDING except Ctrl-C, which the parent handles."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, set(ENDING) - {signal.SIGINT})
