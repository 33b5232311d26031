"""Measurement for benchmarks: functions in turns, and whole commands with their memory."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from zoo import registry
from zoo.checks.bench import in_turns as in_turns
from zoo.weights import checkpoint, lookup, model_arrays

ROOT = Path(__file__).parents[1]

INSTALL = "pip install 'deepstarr-zoo[dev]' installs it"
"""The extra with all libraries of the benchmarks."""


def needs(*libraries: str) -> None:
    """Skip the benchmark, or the whole file if called at its top, unless all libraries are installed."""
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed; {INSTALL}", allow_module_level=True)


LAUNCHER = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss, file=sys.stderr)
sys.exit(status)
"""
"""A small process in between, since the peak memory of a child includes that of the process that forked it."""


class Usage(NamedTuple):
    """seconds: elapsed time.  busy: user and system time of all threads.  memory: peak resident bytes.

    taken: times, in seconds, at which the command had read each block.
    """

    seconds: float
    busy: float
    memory: int
    taken: tuple[float, ...] = ()

    def best_pace(self, blocks: int) -> float | None:
        """Seconds of the fastest `blocks` consecutive blocks; None if there are no more than that.

        It excludes the start, and on a shared machine it means more than the total time.
        """
        stretches = [end - begin for begin, end in zip(self.taken, self.taken[blocks:], strict=False)]
        return min(stretches, default=None)


def run(command: Sequence[str], block: bytes = b"", repeats: int = 0) -> Usage:
    """Run a command in the root of the repository, with `block` written `repeats` times to its standard input."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", LAUNCHER, *command],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    taken: list[float] = []
    feeder = threading.Thread(target=_feed, args=(process.stdin, block, repeats, taken))
    feeder.start()
    errors = process.stderr.read().decode(errors="replace") if process.stderr else ""
    status = process.wait()
    seconds = time.perf_counter() - began
    feeder.join()
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {status}: {errors}")
    busy, memory = errors.splitlines()[-1].split()
    return Usage(seconds, float(busy), int(memory) * (1 if sys.platform == "darwin" else 1024), tuple(taken))


def _feed(pipe: Any, block: bytes, repeats: int, taken: list[float]) -> None:
    with pipe:
        for _ in range(repeats):
            pipe.write(block)
            taken.append(time.perf_counter())


def random_weights(variant: str, length: int | None = None) -> checkpoint.Checkpoint:
    """Random weights; the measurements do not depend on them. length: bases, if not those of the variant."""
    random = np.random.default_rng(0)
    architecture = lookup.variants()[variant]
    model = registry.load("models", architecture)
    config = model.VARIANTS[variant]
    if length:
        config = dataclasses.replace(config, sequence_length=length)
    arrays = {
        name: random.uniform(0.5, 1.5, shape) if name.endswith("running_var") else random.normal(0, 0.05, shape)
        for name, shape in model_arrays.shapes(architecture, config).items()
    }
    arrays = {name: values.astype(np.float32) for name, values in arrays.items()}
    return checkpoint.make(architecture, config, arrays, "random numbers", "none")


def random_fasta(records: int, length: int) -> bytes:
    """FASTA of random DNA, two lines for each record."""
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, (records, length))]
    return b"".join(b">record_%d\n%s\n" % (number, row.tobytes()) for number, row in enumerate(letters))


def zoo(*arguments: object) -> list[str]:
    """The command line of a `zoo` command."""
    return [sys.executable, "-m", "zoo", *map(str, arguments)]
