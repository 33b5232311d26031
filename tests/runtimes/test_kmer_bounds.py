"""The compiled kernel of kmer-cpu reads and writes only inside its arrays, and refuses arrays that do not fit."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from kmer_ways import SMALL, built_once
from refusals import refuses
from zoo_runtimes.kmer import kernel, sharing, tables
from zoo_runtimes.kmer.kernel import Windows

from zoo.models import deepstarr

pytestmark = pytest.mark.skipif(not kernel.BUILT, reason="the compiled kernel was not built at installation")

LAYERS = deepstarr.plain_layers(ODD, random_checkpoint(ODD).arrays)
PLANS = [plan for plan in tables.plans(LAYERS.shape) if plan.bytes <= SMALL and sharing.sharing(LAYERS, plan, 1)]
L, T = ODD.sequence_length, len(ODD.targets)

Arguments = dict[str, Any]


@pytest.fixture(scope="module")
def built() -> tables.Tables:
    return built_once(LAYERS, PLANS[-1])


def codes_of(count: int) -> np.ndarray:
    return random_codes(count, L) % 4


def forward(looked_up: tables.Tables | None) -> Arguments:
    compiled = kernel.Kernel(LAYERS, looked_up, kernel.instruction_sets()[0])
    room = np.zeros(kernel._kernel.room(compiled.program), np.float32)
    return {
        "set": compiled.instruction_set,
        "program": compiled.program,
        "codes": codes_of(2),
        "room": room,
        "out": np.empty((2, T), np.float32),
        "kept": compiled,
    }


def mutants(looked_up: tables.Tables | None) -> Arguments:
    arguments = forward(looked_up)
    room = np.zeros(kernel._kernel.room_of_edits(arguments["program"]), np.float32)
    return arguments | {"room": room, "out": np.empty((2, L, 4, T), np.float32)}


def edits(looked_up: tables.Tables | None) -> Arguments:
    compiled = kernel.Kernel(LAYERS, looked_up, kernel.instruction_sets()[0])
    return {
        "set": compiled.instruction_set,
        "program": compiled.program,
        "codes": np.repeat(codes_of(3), [1, 4, 2], axis=0),
        "edited": codes_of(7)[::-1].copy(),
        "room": np.zeros(kernel._kernel.room_of_edits(compiled.program), np.float32),
        "out": np.empty((7, T), np.float32),
        "kept": compiled,
    }


def contributions(looked_up: tables.Tables | None) -> Arguments:
    compiled = kernel.Backward(LAYERS, looked_up, kernel.instruction_sets()[0])
    return {
        "set": compiled.instruction_set,
        "program": compiled.program,
        "back": compiled._back,
        "codes": codes_of(2),
        "references": codes_of(10).reshape(2, 5, L),
        "target": 0,
        "room": np.zeros(kernel._kernel.room_of_contributions(compiled.program), np.float32),
        "out": np.empty((2, L, 4), np.float32),
        "kept": compiled,
    }


def windows(looked_up: tables.Tables | None, stride: int = 1, number: int = 8) -> Arguments:
    assert looked_up
    shared = sharing.sharing(LAYERS, looked_up.plan, stride)
    assert shared
    network = kernel.Kernel(LAYERS, looked_up, kernel.instruction_sets()[0])
    compiled = Windows(network, shared)
    return {
        "set": network.instruction_set,
        "program": network.program,
        "plan": compiled._plan,
        "codes": shared.padded(codes_of(2).ravel(), number),
        "before": shared.before,
        "room": np.zeros(kernel._kernel.room_of_windows(network.program, compiled._plan), np.float32),
        "out": np.empty((number, T), np.float32),
        "kept": compiled,
    }


WAYS: dict[str, Callable[[tables.Tables | None], Arguments]] = {
    "forward": forward,
    "mutants": mutants,
    "edits": edits,
    "contributions": contributions,
    "windows": windows,
}


def call(way: str, arguments: Arguments) -> np.ndarray:
    getattr(kernel._kernel, way)(*(value for name, value in arguments.items() if name != "kept"))
    return arguments["out"]


SIZE = "size"


def longer(array: np.ndarray) -> np.ndarray:
    return np.concatenate([array.ravel(), array.ravel()[:1]])


def shorter(array: np.ndarray) -> np.ndarray:
    return array.ravel()[:-1].copy()


@pytest.mark.parametrize("way", WAYS)
def test_arrays_of_a_wrong_size_are_refused(way: str, built: tables.Tables) -> None:
    right = WAYS[way](built)
    call(way, right)
    # argument, how it is changed, and the facts in the error; SIZE stands for the size of the changed array
    wrong: list[tuple[str, Callable[[np.ndarray], np.ndarray], tuple[str, ...]]] = [
        ("program", shorter, ("program", SIZE)),
        ("program", longer, ("program", SIZE)),
        ("program", lambda program: program[:5], ("program", "at least", SIZE)),
        ("program", np.zeros_like, ("program",)),
        ("room", shorter, ("room", "at least", SIZE)),
        ("out", shorter, ("result", SIZE) if way != "windows" else ()),
        ("out", lambda out: out.view(np.uint8).ravel()[:-1].copy(), ("result", SIZE)),
        ("codes", lambda codes: codes * 0 + 4, ("codes", "0 to 3", "got 4")),
    ]
    if way == "windows":
        from_first = len(right["codes"]) - right["before"]
        half = len(right["codes"]) // 2
        wrong += [
            ("plan", longer, ("plan",)),
            ("plan", shorter, ("plan",)),
            ("plan", lambda plan: plan[:2], ("plan",)),
            ("plan", np.zeros_like, ("plan",)),
            ("codes", lambda codes: codes[:half], ("first window", f"got {half - right['before']}")),
            ("before", lambda before: before - 1, ("first window", f"got {right['before'] - 1}")),
            ("before", lambda before: -before, ("first window", f"got {-right['before']}")),
            ("before", lambda before: before + 10_000, ("first window", f"got {from_first - 10_000}")),
        ]
    else:
        wrong += [("codes", shorter, ("codes", SIZE)), ("codes", longer, ("codes", SIZE))]
        wrong += [("out", longer, ("result", SIZE))]
    if way == "edits":
        largest = int(right["edited"].max()) + 4
        wrong += [
            ("edited", shorter, ("edited", SIZE)),
            ("edited", longer, ("edited", SIZE)),
            ("edited", lambda edited: edited[:1], ("edited", SIZE)),
            ("edited", lambda edited: edited + 4, ("codes", "0 to 3", f"got {largest}")),
        ]
    if way == "contributions":
        largest = int(right["references"].max()) + 4
        wrong += [
            ("back", shorter, ("back", SIZE)),
            ("references", shorter, ("references", SIZE)),
            ("references", lambda references: references[:1], ("references", SIZE)),
            ("references", lambda references: references + 4, ("codes", "0 to 3", f"got {largest}")),
            ("target", lambda _: -1, ("target", "at least 0", "got -1")),
            ("target", lambda _: T, ("targets", f"at least {T + 1}", f"got {T}")),
        ]
    for name, change, facts in wrong:
        changed = change(right[name])
        with refuses(*(f"got {changed.nbytes}" if fact == SIZE else fact for fact in facts), kind=ValueError):
            call(way, right | {name: changed})
    with refuses("8086", kind=ValueError):
        call(way, right | {"set": "8086"})


@pytest.mark.parametrize("way", ["forward", "mutants", "edits", "contributions"])
def test_an_n_is_a_valid_code_without_tables(way: str) -> None:
    right = WAYS[way](None)
    codes = right["codes"].copy()
    codes[0, 7] = 4
    assert np.isfinite(call(way, right | {"codes": codes})).all()
    codes[0, 7] = 5
    with refuses("codes", "0 to 4", "got 5", kind=ValueError):
        call(way, right | {"codes": codes})


def test_windows_need_tables(built: tables.Tables) -> None:
    without = kernel.Kernel(LAYERS, None, kernel.instruction_sets()[0])
    right = windows(built)
    call("windows", right)
    with refuses("program", "tables", kind=ValueError):
        call("windows", right | {"program": without.program})


@pytest.mark.parametrize("way", ["room", "room_of_edits", "room_of_contributions"])
def test_the_room_of_an_invalid_program_is_refused(way: str) -> None:
    with refuses("program", "at least", "got 24", kind=ValueError):
        getattr(kernel._kernel, way)(np.zeros(3, np.int64))


def test_the_room_of_an_invalid_plan_is_refused(built: tables.Tables) -> None:
    right = windows(built)
    assert kernel._kernel.room_of_windows(right["program"], right["plan"]) > 0
    with refuses("plan", kind=ValueError):
        kernel._kernel.room_of_windows(right["program"], right["plan"][:-1])


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="this system has no mprotect")
@pytest.mark.parametrize("plan", PLANS, ids=[f"{plan.depth}-{plan.projected}" for plan in PLANS])
@pytest.mark.parametrize("stride", [1, 3, 8, 50, 60])
def test_windows_read_no_base_beyond_those_that_they_require(stride: int, plan: tables.Plan) -> None:
    """The fewest accepted bases are next to a protected memory page, where a read would crash the test."""
    right = windows(built_once(LAYERS, plan), stride, 9)
    codes, before = right["codes"], right["before"]

    def taken(stop: int) -> bool:
        try:
            call("windows", right | {"codes": codes[:stop]})
        except ValueError:
            return False
        return True

    least = next(stop for stop in range(len(codes) + 1) if taken(stop))
    expected = call("windows", right).copy()
    page = mmap.PAGESIZE
    inside = -(-least // page) * page
    memory = mmap.mmap(-1, inside + 2 * page)
    at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for address in (at, at + page + inside):
        assert protect(ctypes.c_void_p(address), ctypes.c_size_t(page), 0) == 0
    for first in (page, page + inside - least):
        held = np.frombuffer(memory, np.uint8, least, first)
        held[:] = codes[:least]
        np.testing.assert_array_equal(call("windows", right | {"codes": held, "before": before}), expected)


@pytest.mark.skipif(not hasattr(mmap, "PROT_READ"), reason="this system has no mprotect")
@pytest.mark.parametrize("with_tables", [True, False])
def test_edits_read_and_write_only_inside_their_arrays(with_tables: bool, built: tables.Tables) -> None:
    """Each array is next to a protected memory page, before it and behind it, where an access would crash the test."""
    right = edits(built if with_tables else None)
    expected = call("edits", right).copy()
    held = []

    def guarded(array: np.ndarray, at_end: bool) -> np.ndarray:
        page = mmap.PAGESIZE
        inside = -(-array.nbytes // page) * page
        memory = mmap.mmap(-1, inside + 2 * page)
        held.append(memory)
        at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for address in (at, at + page + inside):
            assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), ctypes.c_size_t(page), 0) == 0
        copied = np.frombuffer(
            memory, array.dtype, array.size, page + (inside - array.nbytes if at_end else 0)
        ).reshape(array.shape)
        copied[:] = array
        return copied

    for at_end in (False, True):
        kept_inside = {name: guarded(right[name], at_end) for name in ("codes", "edited", "room", "out")}
        np.testing.assert_array_equal(call("edits", right | kept_inside), expected)
