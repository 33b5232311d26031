"""Inside `signals.raised`, signals that end a program are exceptions; nothing else changes."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from zoo.system import signals
from zoo.system.signals import Arrived, Stopped

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")


@pytest.fixture(autouse=True)
def _handlers_are_left_as_found() -> object:
    before = {number: signal.getsignal(number) for number in signals.ENDING}
    yield
    after = {number: signal.getsignal(number) for number in signals.ENDING}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before


@pytest.mark.parametrize(
    ("number", "status", "fact"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "SIGTERM"), (signal.SIGHUP, 129, "SIGHUP")],
)
def test_each_signal_is_an_interrupt_with_its_exit_status(number: int, status: int, fact: str) -> None:
    arrived = Arrived()
    with pytest.raises(KeyboardInterrupt) as caught, signals.raised(arrived):
        signal.raise_signal(number)
    assert caught.value is arrived.last
    assert isinstance(caught.value, Stopped)
    assert caught.value.status == status
    assert fact in str(caught.value)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.raised(Arrived()):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_noted_signal_is_raised_the_second_time() -> None:
    heard: list[Stopped] = []

    def twice() -> None:
        with signals.raised(Arrived()), signals.noted(heard.append):
            signal.raise_signal(signal.SIGTERM)
            assert [stopped.number for stopped in heard] == [signal.SIGTERM]
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Stopped):
        twice()
    assert len(heard) == 1


def test_a_thread_changes_nothing() -> None:
    seen: list[object] = []

    def look() -> None:
        with signals.raised(Arrived()), signals.noted(lambda _: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_a_withheld_signal_is_raised_at_the_end() -> None:
    order: list[str] = []

    def wait() -> None:
        with signals.raised(Arrived()), signals.withheld():
            signal.raise_signal(signal.SIGINT)
            order.append("after")

    with pytest.raises(Stopped):
        wait()
    assert order == ["after"]


def test_a_signal_raised_by_another_thread_is_withheld_too() -> None:
    order: list[str] = []
    now = threading.Event()

    def hear() -> None:
        now.wait()
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=hear)
    thread.start()  # outside: a thread has the mask of the one that starts it

    def wait() -> None:
        with signals.raised(Arrived()), signals.withheld():
            now.set()
            thread.join()
            order.append("after")

    with pytest.raises(Stopped):
        wait()
    assert order == ["after"]


def test_a_signal_during_the_reset_of_the_handlers_is_raised_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {number: signal.getsignal(number) for number in signals.ENDING}
    set_handler = signal.signal

    def late(number: int, handler: object) -> object:
        if handler is found[number]:
            monkeypatch.undo()
            signal.raise_signal(signal.SIGINT)
        return set_handler(number, handler)

    monkeypatch.setattr(signal, "signal", late)
    with pytest.raises(KeyboardInterrupt) as caught, signals.raised(Arrived()):
        pass
    assert not isinstance(caught.value, Stopped)
