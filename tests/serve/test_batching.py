"""Requests that arrive together are computed together; one that is alone waits for nobody."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from checkpoints import random_codes
from served import LENGTH, RUNTIME, Gated

import zoo
from zoo.serve.batching import Batcher

pytestmark = pytest.mark.anyio

LONG = 3600.0
"""Seconds that no test waits."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def model(weights: Path) -> zoo.Model:
    return zoo.load(weights=str(weights), runtime=RUNTIME, threads=1)


def codes(*sizes: int) -> list[np.ndarray]:
    return [random_codes(size, LENGTH, seed) for seed, size in enumerate(sizes)]


@contextlib.asynccontextmanager
async def batching(
    gate: Gated, most: int, wait: float = 0.0, told: Callable[[int], None] = lambda _: None, in_place: int = 0
) -> AsyncIterator[Batcher]:
    """A batcher of a gate, in the loop of the test, whose last thread has ended when it ends."""
    made = Batcher(gate, most, wait, told, in_place)  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(60):
            yield made
    finally:
        gate.open.set()
        await asyncio.to_thread(made.close)


async def begun(gate: Gated) -> None:
    """A batch is before the gate."""
    assert await asyncio.to_thread(gate.began.wait, 60)


async def turns() -> None:
    """What can happen without another thread has happened."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_gathers_while_the_engine_is_busy_goes_together_in_order(model: zoo.Model) -> None:
    gate, told = Gated(model.session), []
    first, *others = codes(3, 4, 5, 1, 2)
    async with batching(gate, 10, told=told.append) as made:
        futures = [made.submit(first)]
        await begun(gate)
        futures += [made.submit(one) for one in others]
        gate.open.set()
        results = await asyncio.gather(*futures)
    assert gate.sizes == told == [3, 10, 2]
    for one, result in zip([first, *others], results, strict=True):
        np.testing.assert_array_equal(result, model.predict_codes(one))


async def test_those_that_come_at_the_same_moment_go_together(model: zoo.Model) -> None:
    gate = Gated(model.session)
    gate.open.set()
    async with batching(gate, 10) as made:
        results = await asyncio.gather(*(made.submit(one) for one in codes(3, 4, 2, 1)))
    assert gate.sizes == [10]
    assert [len(one) for one in results] == [3, 4, 2, 1]


async def test_a_request_larger_than_a_batch_goes_alone(model: zoo.Model) -> None:
    gate = Gated(model.session)
    gate.open.set()
    (large,) = codes(9)
    async with batching(gate, 4) as made:
        np.testing.assert_array_equal(await made.submit(large), model.predict_codes(large))
    assert gate.sizes == [9]


async def test_one_that_is_alone_does_not_wait(model: zoo.Model) -> None:
    gate = Gated(model.session)
    gate.open.set()
    async with batching(gate, 100, LONG) as made:
        with made.arriving():
            future = made.submit(codes(1)[0])
        assert (await future).shape == (1, 3)


async def test_one_that_is_alone_and_short_is_computed_without_another_thread(model: zoo.Model) -> None:
    gate = Gated(model.session)
    gate.open.set()
    short, long = codes(2, 3)
    async with batching(gate, 100, in_place=2) as made:
        np.testing.assert_array_equal(await made.submit(short), model.predict_codes(short))
        np.testing.assert_array_equal(await made.submit(long), model.predict_codes(long))
        await asyncio.gather(made.submit(codes(1)[0]), made.submit(codes(1)[0]))
    assert gate.sizes == [2, 3, 2]
    assert [name == threading.current_thread().name for name in gate.threads] == [True, False, False]


async def test_one_waits_for_another_that_is_arriving_and_no_longer(model: zoo.Model) -> None:
    gate = Gated(model.session)
    gate.open.set()
    async with batching(gate, 100, LONG) as made:
        second, first = contextlib.ExitStack(), codes(1)[0]
        second.enter_context(made.arriving())
        future = made.submit(first)
        await turns()
        assert not gate.began.is_set()
        other = made.submit(codes(2)[0])
        second.close()
        assert (await future).shape == (1, 3)
        assert (await other).shape == (2, 3)
    assert gate.sizes == [3]


async def test_one_waits_at_most_as_long_as_it_may(model: zoo.Model) -> None:
    gate = Gated(model.session)
    gate.open.set()
    async with batching(gate, 100, 0.01) as made:
        with made.arriving():
            began = time.monotonic()
            assert (await made.submit(codes(1)[0])).shape == (1, 3)
            assert time.monotonic() - began >= 0.009  # the clock of a loop may be behind


async def test_none_waits_for_others_that_would_not_fit(model: zoo.Model) -> None:
    gate = Gated(model.session)
    gate.open.set()
    async with batching(gate, 3, LONG) as made:
        with made.arriving():
            assert (await made.submit(codes(3)[0])).shape == (3, 3)


async def test_a_request_that_is_cancelled_before_its_batch_is_not_computed(model: zoo.Model) -> None:
    gate = Gated(model.session)
    first, second, third, fourth, fifth = codes(1, 2, 4, 2, 3)
    async with batching(gate, 8) as made:
        futures = [made.submit(first)]
        await begun(gate)
        futures += [made.submit(one) for one in (second, third, fourth, fifth)]
        assert futures[1].cancel()
        assert futures[3].cancel()
        gate.open.set()
        assert (await futures[2]).shape == (4, 3)
        np.testing.assert_array_equal(await futures[4], model.predict_codes(fifth))
    assert gate.sizes == [1, 7]


async def test_one_that_leaves_while_it_is_computed_takes_nothing_from_the_others(model: zoo.Model) -> None:
    gate = Gated(model.session)
    first, second = codes(2, 3)
    async with batching(gate, 8) as made:
        futures = [made.submit(first), made.submit(second)]
        await begun(gate)
        futures[0].cancel()
        gate.open.set()
        np.testing.assert_array_equal(await futures[1], model.predict_codes(second))
    assert gate.sizes == [5]


@pytest.mark.parametrize("in_place", [0, 8])
async def test_what_an_engine_raises_reaches_all_of_its_batch_and_no_other(model: zoo.Model, in_place: int) -> None:
    gate = Gated(model.session)
    submit = gate.submit

    def failing(batch: np.ndarray):  # type: ignore[no-untyped-def]
        if len(batch) == 3:
            raise RuntimeError("no memory")
        return submit(batch)

    gate.submit = failing  # type: ignore[method-assign]
    gate.open.set()
    async with batching(gate, 8, in_place=in_place) as made:
        with pytest.raises(RuntimeError, match="no memory"):
            await made.submit(codes(3)[0])
        one, other = made.submit(codes(1)[0]), made.submit(codes(2)[0])
        for future in (one, other):
            with pytest.raises(RuntimeError, match="no memory"):
                await future
        assert (await made.submit(codes(2)[0])).shape == (2, 3)


async def test_work_of_another_kind_is_done_in_turn_and_alone(model: zoo.Model) -> None:
    gate, order = Gated(model.session), []
    async with batching(gate, 8, told=order.append) as made:
        futures = [made.submit(codes(2)[0])]
        await begun(gate)
        futures += [made.alone(lambda: order.append("work")), made.submit(codes(1)[0]), made.submit(codes(3)[0])]
        gate.open.set()
        results = await asyncio.gather(*futures)
    assert order == [2, "work", 4]
    assert results[1] is None


async def test_an_engine_of_several_batches_has_several_and_work_alone_waits_for_all(model: zoo.Model) -> None:
    gate = Gated(model.session)
    held: list[Future[np.ndarray]] = []

    def submit(batch: np.ndarray) -> Future[np.ndarray]:  # noqa: ARG001
        held.append(Future())
        return held[-1]

    gate.submit, gate.concurrent_batches = submit, 2  # type: ignore[method-assign]
    async with batching(gate, 2) as made:
        futures = [made.submit(one) for one in codes(2, 2, 1)]
        await turns()
        assert len(held) == 2
        work = made.alone(lambda: len(held))
        held[1].set_result(np.zeros((2, 3), np.float32))
        assert (await futures[1]).shape == (2, 3)
        assert len(held) == 3
        held[0].set_result(np.zeros((2, 3), np.float32))
        await futures[0]
        assert not work.done()
        held[2].set_result(np.zeros((1, 3), np.float32))
        assert await work == 3


@pytest.mark.parametrize(("size", "sizes"), [(3, [1]), (4, [1, 4])])
async def test_only_a_batch_that_is_full_is_handed_to_a_busy_engine(
    model: zoo.Model, size: int, sizes: list[int]
) -> None:
    gate = Gated(model.session)
    first, second = codes(1, size)
    async with batching(gate, 4) as made:
        one = made.submit(first)
        await begun(gate)
        other = made.submit(second)
        await turns()
        other.cancel()
        gate.open.set()
        assert (await one).shape == (1, 3)
    assert gate.sizes == sizes
