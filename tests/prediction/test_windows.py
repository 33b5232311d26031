"""Session.windows: every window of a contig, in blocks, gives what each window gives alone, whatever the engine."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytest
from checkpoints import SMALL_CONFIGS, random_checkpoint
from refusals import refuses

from zoo.dna import windows
from zoo.prediction import session
from zoo.prediction.session import Session, open_session
from zoo.spec import ModelSpec


class Counting:
    """Answers with the sum of the codes of a window and its first code; notes how much it was given at once."""

    provider = "none"
    spec = ModelSpec("deepstarr", {}, 4, ("sum", "first"), "0")

    def __init__(self, batch_size: int = 3, concurrent_batches: int = 1) -> None:
        self.batch_size, self.concurrent_batches = batch_size, concurrent_batches
        self.given: list[int] = []

    def run(self, codes: np.ndarray) -> np.ndarray:
        assert codes.flags.c_contiguous
        self.given.append(len(codes))
        return np.stack([codes.sum(1), codes[:, 0]], 1).astype(np.float32)


class Sharing(Counting):
    """The same with a shorter way."""

    def windows(self, codes: np.ndarray, stride: int) -> np.ndarray:
        assert codes.flags.c_contiguous
        self.given.append(len(codes))
        sums = np.convolve(codes, np.ones(4, int), "valid")[::stride]
        return np.stack([sums, codes[: len(codes) - 3 : stride]], 1).astype(np.float32)


def one_by_one(codes: np.ndarray, stride: int) -> np.ndarray:
    starts = range(0, len(codes) - 3, stride)
    return np.array([[codes[start : start + 4].sum(), codes[start]] for start in starts], np.float32).reshape(-1, 2)


@pytest.fixture
def small_blocks() -> Iterator[None]:
    with mock.patch.object(session, "WINDOW_BASES", 20), mock.patch.object(session, "WINDOWS", 7):
        yield


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("concurrent_batches", [1, 3])
@pytest.mark.parametrize("engine", [Counting, Sharing])
@pytest.mark.parametrize("bases", [0, 3, 4, 5, 23, 24, 100, 101, 102, 103])
def test_blocks_of_any_engine_hold_every_whole_window_in_order(
    engine: type[Counting], concurrent_batches: int, bases: int
) -> None:
    codes = np.random.default_rng(bases).integers(0, 5, bases, np.uint8)
    for stride in (1, 2, 3, 7, 30, 200):
        running = Session(engine(concurrent_batches=concurrent_batches), "counting")
        expected = one_by_one(codes, stride)
        assert windows.count(bases, 4, stride) == len(expected)
        found = running.windows(codes, stride)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
        backwards = codes[::-1]
        np.testing.assert_array_equal(running.windows(backwards, stride), one_by_one(backwards, stride))


@pytest.mark.usefixtures("small_blocks")
def test_an_engine_is_given_batches_or_where_it_shares_work_overlapping_stretches() -> None:
    codes = np.zeros(100, np.uint8)
    cutting, sharing = Counting(), Sharing()
    assert len(Session(cutting, "counting").windows(codes, 4)) == 25
    assert cutting.given == [3] * 8 + [1]
    assert len(Session(sharing, "counting").windows(codes, 4)) == 25
    assert sharing.given == [4 * 4 + 4] * 5


def test_apart_from_the_result_memory_is_flat_in_the_length_of_the_contig() -> None:
    codes = np.zeros(1_000_000, np.uint8)
    with mock.patch.object(session, "WINDOW_BASES", 1000):
        running = Session(Sharing(), "counting")
        tracemalloc.start()
        try:
            found = running.windows(codes)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(found) == len(codes) - 3
    assert peak < found.nbytes + len(codes) // 4


@pytest.mark.parametrize(
    ("codes", "stride", "facts"),
    [
        (np.zeros((2, 9), np.uint8), 1, ("codes", "uint8 (2, 9)")),
        (np.zeros(9), 1, ("codes", "float64 (9,)")),
        ("ACGT", 1, ("codes", "str")),
        (np.array([0, 1, 7, 2], np.uint8), 1, ("codes[2]", 0, 4, 7)),
        (np.zeros(9, np.uint8), 0, ("stride", 0)),
        (np.zeros(9, np.uint8), 1.5, ("stride", 1.5)),
    ],
)  # fmt: skip
def test_what_is_no_contig_or_no_stride_is_one_line(codes: np.ndarray, stride: int, facts: tuple[object, ...]) -> None:
    with refuses(*facts):
        Session(Counting(), "counting").windows(codes, stride)


def test_after_a_block_that_fails_no_further_blocks_begin() -> None:
    class Failing(Sharing):
        def windows(self, codes: np.ndarray, stride: int) -> np.ndarray:
            super().windows(codes, stride)
            raise RuntimeError("failed")

    engine = Failing(batch_size=1, concurrent_batches=2)
    with mock.patch.object(session, "WINDOW_BASES", 10), pytest.raises(RuntimeError, match="failed"):
        Session(engine, "counting").windows(np.zeros(1000, np.uint8))
    assert len(engine.given) <= 3


def runnable(runtime: str) -> list[pytest.MarkDecorator]:
    reason = session.missing(runtime)
    marks = [pytest.mark.gpu] if runtime.endswith("-cuda") else []
    return [*marks, pytest.mark.skipif(reason is not None, reason=f"{runtime}: {reason}")]


@pytest.mark.parametrize("runtime", [pytest.param(name, marks=runnable(name)) for name in session.runtime_names()])
def test_whatever_the_runtime_windows_give_the_numbers_of_each_window(runtime: str) -> None:
    for config in SMALL_CONFIGS.values():
        weights = random_checkpoint(config)
        if session.refuses(runtime, weights.spec):
            continue
        running = open_session(weights, runtime)
        shares = hasattr(running._engine, "windows")
        length = weights.spec.sequence_length
        # enough for an engine that builds something first
        codes = np.random.default_rng(1).integers(0, 4, length + (600 if shares else 20), np.uint8)
        codes[length + 10] = 4
        expected = running.predict(np.ascontiguousarray(windows.cut(codes, length, 1)))
        for stride in (1, 7, 50):
            np.testing.assert_allclose(running.windows(codes, stride), expected[::stride], rtol=1e-5, atol=2e-5)
        if not shares:
            return
