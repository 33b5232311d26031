"""Requests that arrive together are computed together; one that is alone waits for nobody."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkpoints import random_codes
from served import LENGTH, RUNTIME, Gated

import zoo
from zoo.serve.batching import Batcher

LONG = 3600.0
"""Seconds that no test waits."""


@pytest.fixture(scope="module")
def model(weights: Path) -> zoo.Model:
    return zoo.load(weights=str(weights), runtime=RUNTIME, threads=1)


def codes(*sizes: int) -> list[np.ndarray]:
    return [random_codes(size, LENGTH, seed) for seed, size in enumerate(sizes)]


def batcher(gate: Gated, most: int, wait: float = 0.0, told: Callable[[int], None] = lambda _: None) -> Batcher:
    return Batcher(gate, most, wait, told)  # type: ignore[arg-type]


def test_what_gathers_while_the_engine_is_busy_goes_together_in_order(model: zoo.Model) -> None:
    gate, told = Gated(model.session), []
    made = batcher(gate, 10, told=told.append)
    first, *others = codes(3, 4, 5, 1, 2)
    futures = [made.submit(first)]
    assert gate.began.wait(60)
    futures += [made.submit(one) for one in others]
    gate.open.set()
    results = [future.result(60) for future in futures]
    made.close()
    assert gate.sizes == told == [3, 10, 2]
    for one, result in zip([first, *others], results, strict=True):
        np.testing.assert_array_equal(result, model.predict_codes(one))


def test_a_request_larger_than_a_batch_goes_alone(model: zoo.Model) -> None:
    gate = Gated(model.session)
    gate.open.set()
    made = batcher(gate, 4)
    (large,) = codes(9)
    np.testing.assert_array_equal(made.submit(large).result(60), model.predict_codes(large))
    made.close()
    assert gate.sizes == [9]


def test_one_that_is_alone_does_not_wait(model: zoo.Model) -> None:
    gate = Gated(model.session)
    gate.open.set()
    made = batcher(gate, 100, LONG)
    with made.arriving():
        future = made.submit(codes(1)[0])
    assert future.result(60).shape == (1, 3)
    made.close()


def test_one_waits_for_another_that_is_arriving_and_no_longer(model: zoo.Model) -> None:
    gate = Gated(model.session)
    gate.open.set()
    made = batcher(gate, 100, LONG)
    second, first = contextlib.ExitStack(), codes(1)[0]
    second.enter_context(made.arriving())
    future = made.submit(first)
    assert not gate.began.is_set()
    other = made.submit(codes(2)[0])
    second.close()
    assert future.result(60).shape == (1, 3)
    assert other.result(60).shape == (2, 3)
    made.close()
    assert gate.sizes == [3]


def test_one_waits_at_most_as_long_as_it_may(model: zoo.Model) -> None:
    gate = Gated(model.session)
    gate.open.set()
    made = batcher(gate, 100, 0.01)
    with made.arriving():
        began = time.monotonic()
        assert made.submit(codes(1)[0]).result(60).shape == (1, 3)
        assert time.monotonic() - began >= 0.01
    made.close()


def test_a_request_that_is_cancelled_before_its_batch_is_not_computed(model: zoo.Model) -> None:
    gate = Gated(model.session)
    made = batcher(gate, 4)
    first, second, third = codes(1, 2, 4)
    futures = [made.submit(first)]
    assert gate.began.wait(60)
    futures += [made.submit(second), made.submit(third)]
    assert futures[1].cancel()
    gate.open.set()
    assert futures[2].result(60).shape == (4, 3)
    made.close()
    assert gate.sizes == [1, 4]


def test_what_an_engine_raises_reaches_all_of_its_batch_and_no_other(model: zoo.Model) -> None:
    gate = Gated(model.session)
    submit = gate.submit

    def failing(batch: np.ndarray):  # type: ignore[no-untyped-def]
        if len(batch) == 3:
            raise RuntimeError("no memory")
        return submit(batch)

    gate.submit = failing  # type: ignore[method-assign]
    gate.open.set()
    made = batcher(gate, 8)
    with pytest.raises(RuntimeError, match="no memory"):
        made.submit(codes(3)[0]).result(60)
    assert made.submit(codes(2)[0]).result(60).shape == (2, 3)
    made.close()


def test_closing_computes_what_waits(model: zoo.Model) -> None:
    gate = Gated(model.session)
    made = batcher(gate, 2)
    futures = [made.submit(one) for one in codes(2, 2, 2)]
    closing = threading.Thread(target=made.close)
    closing.start()
    gate.open.set()
    closing.join(60)
    assert [future.result(60).shape for future in futures] == [(2, 3)] * 3
