"""The stages overlap, keep the order, hold little, and stop together."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from zoo.system import pipeline


def test_results_are_written_in_order() -> None:
    written: list[int] = []
    pipeline.run(range(1000), lambda item: item * item, written.append)
    assert written == [item * item for item in range(1000)]


def test_nothing_in_is_nothing_out() -> None:
    written: list[int] = []
    pipeline.run(iter(()), lambda item: item, written.append)
    assert written == []


def test_the_stages_run_at_the_same_time() -> None:
    # each stage waits for both others: only three that run at once get past the barrier
    barrier = threading.Barrier(3, timeout=20)

    def items() -> Iterator[int]:
        for number in range(3):
            if number == 2:
                barrier.wait()
            yield number

    def work(item: int) -> int:
        if item == 1:
            barrier.wait()
        return item

    def write(item: int) -> None:
        if item == 0:
            barrier.wait()

    pipeline.run(items(), work, write)
    assert not barrier.broken


def test_only_a_few_items_are_alive_at_once() -> None:
    alive = 0
    most = 0
    lock = threading.Lock()

    def items() -> Iterator[int]:
        nonlocal alive, most
        for number in range(500):
            with lock:
                alive += 1
                most = max(most, alive)
            yield number

    def write(_: int) -> None:
        nonlocal alive
        with lock:
            alive -= 1

    pipeline.run(items(), lambda item: item, write, depth=3)
    assert alive == 0
    assert most <= 3 + 3 + 3  # two queues, and one item in the hands of each stage


def failing(number: int) -> int:
    if number == 5:
        raise ValueError("item 5 fails")
    return number


@pytest.mark.parametrize("stage", ["items", "work", "write"])
def test_an_error_in_any_stage_is_raised_and_stops_the_others(stage: str) -> None:
    endless = iter(int, 1)
    before = set(threading.enumerate())

    def items() -> Iterator[int]:
        for number, _ in enumerate(endless):
            yield failing(number) if stage == "items" else number

    same = int
    with pytest.raises(ValueError, match="item 5 fails"):
        pipeline.run(items(), failing if stage == "work" else same, failing if stage == "write" else same)
    assert set(threading.enumerate()) <= before


def test_an_error_in_writing_surfaces_while_reading_still_waits() -> None:
    more = threading.Event()

    def items() -> Iterator[int]:
        yield 5
        more.wait()  # as for standard input that nobody writes to

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pipeline, "PATIENCE_SECONDS", 0.01)
            with pytest.raises(ValueError, match="item 5 fails"):
                pipeline.run(items(), int, failing)
    finally:
        more.set()


def test_an_interrupt_stops_the_threads() -> None:
    before = set(threading.enumerate())

    def work(item: int) -> int:
        if item == 3:
            raise KeyboardInterrupt
        return item

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(iter(range(10**9)), work, int)
    assert set(threading.enumerate()) <= before
