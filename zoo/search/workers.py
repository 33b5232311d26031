"""Workers: who trains which trial, who is alive, and several processes on one machine.

A worker holds a lock on a file of its own in STUDY/workers as long as it lives, whatever ends it; its trials carry its
name. What a dead one was training is taken up by who next asks for a trial. Where another machine's lock is not seen,
its worker is taken for dead when its file was not touched for a day.
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
"""That a process which is told to end has for the step it is in."""


class Worker:
    """This process as a worker of the study in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self.name = f"{machine_id()}-{secrets.token_hex(8)}"

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Worker]:
        """Hold the lock."""
        self._folder.mkdir(exist_ok=True)
        own = self._folder / self.name
        try:
            with locks.held(own):
                yield self
        finally:
            own.unlink(missing_ok=True)

    def touch(self) -> None:
        """Show other machines that it is alive."""
        os.utime(self._folder / self.name)

    def alive(self, name: str) -> bool:
        """Whether the worker of that name lives; itself does."""
        if name == self.name:
            return True
        path = self._folder / name
        if locks.is_held(path):
            return True
        if name.startswith(machine_id()):
            path.unlink(missing_ok=True)
            return False
        # of another machine: no file of it here, or one that is fresh
        return not path.exists() or time.time() - path.stat().st_mtime < UNTOUCHED_SECONDS


def living(folder: Path) -> list[str]:
    """Workers of the study in `folder` that are alive."""
    asks = Worker(folder)
    names = sorted(path.name for path in (folder / FOLDER).iterdir()) if (folder / FOLDER).is_dir() else []
    return [name for name in names if asks.alive(name)]


def in_processes(work: Callable[..., None], arguments: Sequence[tuple[Any, ...]], hear: Callable[[Any], None]) -> int:
    """Do work(*given, send) for each of `arguments` in a process of its own, and `hear` what they send.

    Returns how many of them were killed.

    Raises the first ZooError that one of them ends with, when all have ended.
    """
    context = multiprocessing.get_context("spawn")
    processes: dict[Connection, Any] = {}
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
        open_ends: set[Any] = set(processes)
        while open_ends:
            for end in wait(list(open_ends)):
                try:
                    message = end.recv()  # type: ignore[union-attr, call-arg]
                except EOFError:
                    open_ends.discard(end)
                    ended = processes[end]  # type: ignore[index]
                    ended.join()
                    killed += ended.exitcode != 0
                    continue
                if isinstance(message, ZooError):
                    failed.append(message)
                else:
                    hear(message)
    finally:
        _end(list(processes.values()))
    if failed:
        raise failed[0]
    return killed


def _end(processes: list[Any]) -> None:
    """Tell those that still run to end after their step; kill those that do not."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(LAST_STEP_SECONDS)
        process.kill()
        process.join()


def _run(sender: Connection, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """What a process does."""
    signals.hear_end()
    for number in set(signals.ENDING) - {signal.SIGINT}:
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(signals.Stopped), signals.raised(signals.Arrived()):
        try:
            work(*arguments, sender.send)
        except ZooError as error:
            sender.send(error)


def stop_without_parent() -> None:
    """In a process of `in_processes`: end where the one that started it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise signals.Stopped(signal.SIGTERM)
