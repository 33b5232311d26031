"""Workers of a study: the trial that each one trains, which ones are alive, and several processes on one machine.

A worker holds a lock on a file of its own in STUDY/workers while it lives; its trials carry its name. The next worker
that asks for a trial takes over what a dead worker was training. The lock of a worker on another machine cannot be
seen: such a worker counts as dead when it has not touched its file for a day.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.system import locks, signals
from zoo.system.atomic import UNTOUCHED_SECONDS
from zoo.system.machine import machine_id

FOLDER = "workers"

LAST_STEP_SECONDS = 60.0
"""Seconds that a process has to finish its step before it is killed."""


class Worker:
    """This process as a worker of the study in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self.name = f"{machine_id()}-{secrets.token_hex(8)}"

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Worker]:
        """Hold the lock of this worker."""
        self._folder.mkdir(exist_ok=True)
        own = self._folder / self.name
        try:
            with locks.held(own):
                yield self
        finally:
            own.unlink(missing_ok=True)

    def touch(self) -> None:
        """Show other machines that this worker is alive."""
        os.utime(self._folder / self.name)

    def alive(self, name: str) -> bool:
        """Whether the worker of that name is alive."""
        if name == self.name:
            return True
        path = self._folder / name
        if locks.is_held(path):
            return True
        if name.startswith(machine_id()):
            path.unlink(missing_ok=True)
            return False
        # a worker on another machine has no file here, or a recent one
        return not path.exists() or time.time() - path.stat().st_mtime < UNTOUCHED_SECONDS


def living(folder: Path) -> list[str]:
    """Names of the workers of the study in `folder` that are alive."""
    this = Worker(folder)
    return sorted(path.name for path in (folder / FOLDER).glob("*") if this.alive(path.name))


def in_processes(
    work: Callable[..., None], arguments: Sequence[tuple[Any, ...]], receive: Callable[[Any], None]
) -> int:
    """Run work(*given, send) for each of `arguments` in a process of its own, and `receive` what they send.

    Returns the number of killed processes. Raises the first ZooError of any of them when all have ended.
    """
    context = multiprocessing.get_context("spawn")
    processes: dict[Any, Any] = {}
    failed: list[ZooError] = []
    killed = 0
    try:
        for given in arguments:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_run, args=(sender, work, given))
            with signals.withheld():
                process.start()
            processes[receiver] = process
            sender.close()
        open_ends = set(processes)
        while open_ends:
            for end in wait(list(open_ends)):
                try:
                    message = end.recv()  # type: ignore[union-attr, call-arg]
                except EOFError:
                    open_ends.discard(end)
                    processes[end].join()
                    killed += processes[end].exitcode != 0
                    continue
                if isinstance(message, ZooError):
                    failed.append(message)
                else:
                    receive(message)
    finally:
        for running in processes.values():
            running.terminate()  # the process ends after its step
        for running in processes.values():
            running.join(LAST_STEP_SECONDS)
            running.kill()
            running.join()
    if failed:
        raise failed[0]
    return killed


def _run(sender: Connection, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """The main function of a process of `in_processes`."""
    signals.hear_end()
    for number in set(signals.ENDING) - {signal.SIGINT}:
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(signals.Stopped), signals.raised(signals.Arrived()):
        try:
            work(*arguments, sender.send)
        except ZooError as error:
            sender.send(error)


def stop_without_parent() -> None:
    """End a process of `in_processes` if its parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise signals.Stopped(signal.SIGTERM)
