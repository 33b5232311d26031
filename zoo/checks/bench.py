"""Speed of each runtime on this machine, and whether it gives the numbers of the reference.

Each runtime is measured in its own process, one after another, so that memory, threads and libraries stay separate.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import re
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from zoo.checks import agreement
from zoo.checks.agreement import TableReport
from zoo.errors import ImitationWarning, ZooError
from zoo.prediction import session
from zoo.prediction.model import load
from zoo.system import signals
from zoo.weights import lookup

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

CALLS = (1, 32, 128, 1024, 8192)
"""Numbers of sequences in one call."""

CHECKED = 512
"""Sequences whose predictions are compared: random DNA with 2% N."""

MOST_CALLS = 200
SEED = 0

Name = TypeVar("Name")


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One runtime. provider: what computes, as the engine reports it.

    start: seconds to load it.  seconds: sequences in a call -> seconds of the fastest call.  memory: peak of its
    process in bytes, None if unknown.  predictions: float32 (CHECKED, T).
    """

    runtime: str
    provider: str
    weights_id: str
    targets: tuple[str, ...]
    start: float
    seconds: dict[int, float]
    memory: int | None
    predictions: np.ndarray

    def rate(self, call: int) -> float:
        """Sequences per second in calls of `call` sequences."""
        return call / self.seconds[call]

    @property
    def best(self) -> float:
        """Sequences per second in calls of the best size."""
        return max(self.rate(call) for call in self.seconds)


@dataclasses.dataclass(frozen=True)
class Result:
    """reports: runtime -> how it differs from `reference`, which has none.  skipped: runtime -> reason."""

    reference: str
    measurements: list[Measurement]
    reports: dict[str, TableReport]
    skipped: dict[str, str]

    @property
    def recommended(self) -> Measurement:
        """The fastest among the reference and the runtimes that give its numbers."""
        safe = [m for m in self.measurements if m.runtime == self.reference or self.reports[m.runtime].passed]
        return max(safe, key=lambda measurement: measurement.best)

    def to_json(self) -> str:
        rows = [
            {
                "runtime": m.runtime,
                "provider": m.provider,
                "start_seconds": m.start,
                "sequences_per_second": {str(call): m.rate(call) for call in m.seconds},
                "peak_memory_bytes": m.memory,
                "parity": self.reports[m.runtime].to_dict() if m.runtime in self.reports else None,
            }
            for m in self.measurements
        ]
        head = {"reference": self.reference, "weights_id": self.measurements[0].weights_id}
        return json.dumps({**head, "recommended": self.recommended.runtime, "runtimes": rows, "skipped": self.skipped})


def run(
    model: str | None = None,
    weights: str | Path | None = None,
    runtimes: Sequence[str] | None = None,
    seconds: float = 1.0,
    threads: int | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Result:
    """Measure runtimes, one after another.

    runtimes: names; None takes all that can run here.  seconds: time for each call size.  threads: CPU threads of each
    runtime.  report: called with the name of each runtime before it is measured.
    Warns of bundled weights. Raises ZooError for bad input, or if a runtime fails that is named in `runtimes`.
    """
    if not seconds > 0:
        raise ZooError(f"seconds: expected more than 0, got {seconds:g}")
    measurements, skipped = [], {}
    for name in dict.fromkeys(runtimes or session.runtime_names()):
        reason = session.missing(name)
        if reason is None:
            report(name)
            try:
                measurements.append(_in_a_process(model, weights, name, seconds, threads))
            except ZooError as error:
                reason = str(error).removeprefix(f"{name}: ")
        if reason is not None:
            if runtimes:
                raise ZooError(f"{name}: {reason}" if name not in reason else reason)
            skipped[name] = reason
    if not measurements:
        raise ZooError(f"no runtime could be measured: {'; '.join(f'{n}: {why}' for n, why in skipped.items())}")
    lookup.warn_of_imitation(measurements[0].weights_id)
    by_name = {measurement.runtime: measurement for measurement in measurements}
    trusted = [name for name in session.references() if name in by_name]
    reference = by_name[trusted[0] if trusted else measurements[0].runtime]
    records = [f"random_{number}" for number in range(CHECKED)]
    reports = {
        name: agreement.compare(reference.predictions, measurement.predictions, records, reference.targets)
        for name, measurement in by_name.items()
        if measurement is not reference
    }
    return Result(reference.runtime, measurements, reports, skipped)


def measure(
    model: str | None, weights: str | Path | None, runtime: str, seconds: float, threads: int | None
) -> Measurement:
    """Measure a runtime in this process."""
    began = time.perf_counter()
    running = load(model, weights, runtime, threads=threads)
    start = time.perf_counter() - began
    generator = np.random.default_rng(SEED)
    codes = generator.integers(0, 4, (max(CALLS), running.spec.sequence_length), np.uint8)
    checked = codes[:CHECKED].copy()
    checked[generator.random(checked.shape) < 0.02] = 4
    predictions = running.predict_codes(checked)
    running.predict_codes(codes[: CALLS[-2]])  # tables are built, and the tuning of the first use is done
    fastest = {call: _fastest(partial(running.predict_codes, codes[:call]), seconds) for call in CALLS}
    return Measurement(
        running.runtime,
        running.provider,
        running.spec.weights_id,
        running.spec.targets,
        start,
        fastest,
        _peak_memory(),
        predictions,
    )


def _in_a_process(
    model: str | None, weights: str | Path | None, runtime: str, seconds: float, threads: int | None
) -> Measurement:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, model, weights, runtime, seconds, threads), daemon=True)
    try:
        with signals.withheld():
            process.start()
        sender.close()
        outcome = receiver.recv()
    except EOFError:
        raise ZooError(f"{runtime}: its process was killed, perhaps for lack of memory") from None
    finally:
        # an interrupted command leaves no process behind
        if process.pid is not None:
            process.kill()
            process.join()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _send(sender: Connection, *arguments: Any) -> None:
    signals.hear_end()
    warnings.simplefilter("ignore", ImitationWarning)  # the process that waits warns
    try:
        sender.send(measure(*arguments))
    except Exception as error:  # noqa: BLE001 - raised again in the process that waits
        sender.send(error)


def _fastest(call: Callable[[], object], seconds: float) -> float:
    """Seconds of the fastest of at least two calls; other work of the machine can only make a call slower."""
    end = time.perf_counter() + seconds
    fastest = float("inf")
    for number in range(MOST_CALLS):
        began = time.perf_counter()
        call()
        now = time.perf_counter()
        fastest = min(fastest, now - began)
        if now > end and number:
            break
    return fastest


def in_turns(ways: Mapping[Name, Callable[[], Any]], budget: float) -> dict[Name, float]:
    """Return the seconds of the best turn of each function. They take turns, so that other load affects all alike.

    Each turn begins with an untimed call, which brings the function's own data into the caches, as in a long run.
    budget: seconds to spend on all functions together; there are at least two rounds.
    """
    best = dict.fromkeys(ways, float("inf"))
    end = time.perf_counter() + budget
    rounds = 0
    while rounds < 2 or time.perf_counter() < end:
        for name, way in ways.items():
            way()
            began = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - began)
        rounds += 1
    return best


def _peak_memory() -> int | None:
    """Peak resident memory of this process in bytes; None if the system does not report it."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of a child starts at the size of its parent
        peak = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE)
        return int(peak[1]) * 1024 if peak else None
    if sys.platform == "win32":
        return None
    import resource

    peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_rss if sys.platform == "darwin" else peak_rss * 1024
