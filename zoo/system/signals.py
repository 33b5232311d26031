"""The signals that end a program: Ctrl-C, what schedulers send (SIGTERM), a terminal that goes away (SIGHUP).

While `raised` holds, each of them is an exception in the main thread, so that whatever was being written is cleaned up
on the way out. A signal that was ignored when the program was started, as nohup does, stays ignored.
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
    """A signal of ENDING has come; `number` says which. What is said of Ctrl-C holds for all of them."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def status(self) -> int:
        """Exit status, as shells have it."""
        return 128 + self.number

    def __str__(self) -> str:
        return "interrupted" if self.number == signal.SIGINT else f"ended by {signal.Signals(self.number).name}"


class Arrived:
    """The last signal that came, None before: for an exception that a library made into one of its own."""

    def __init__(self) -> None:
        self.last: Stopped | None = None


@contextlib.contextmanager
def raised(arrived: Arrived) -> Iterator[None]:
    """Raise Stopped for the signals of ENDING, and keep it in `arrived`; only the main thread can."""

    def stop(number: int, _frame: Any) -> None:
        arrived.last = Stopped(number)
        raise arrived.last

    with _handled(stop, lambda before: before is not signal.SIG_IGN):
        yield


@contextlib.contextmanager
def noted(note: Callable[[Stopped], None]) -> Iterator[None]:
    """Call `note` instead, once for each signal, where otherwise an exception would be raised; the second one is."""

    def first(number: int, _frame: Any) -> None:
        signal.signal(number, before[number])
        note(Stopped(number))

    with _handled(first, callable) as before:
        yield


@contextlib.contextmanager
def _handled(handler: Callable[[int, Any], None], chosen: Callable[[Any], bool]) -> Iterator[dict[int, Any]]:
    """Set `handler` for the signals whose handler so far is `chosen`; signal -> that handler, set again at the end."""
    before: dict[int, Any] = {}
    late: list[int] = []
    ending = False

    def hear(number: int, frame: Any) -> None:
        # another thread may have heard it a moment ago; an exception now would leave some of ours in place
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
    """All of ENDING wait until the end; a process that is started meanwhile hears none of them until `hear_end`."""
    came: list[int] = []
    # a mask is a thread's own, and what it holds back another thread hears for us: so the handlers wait too
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
    """In a process that was started while signals were withheld: end by all of ENDING but Ctrl-C, which is for us."""
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, set(ENDING) - {signal.SIGINT})
