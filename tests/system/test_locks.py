"""Locks end with the process that holds them, and asking for one leaves no file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from zoo.system import locks

ROOT = Path(__file__).parents[2]

HOLD = """
import sys
from pathlib import Path
from zoo.system import locks
with locks.held(Path("lock")):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not locks.is_held(path)
    assert not path.exists()
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=tmp_path, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert locks.is_held(path)
        process.kill()
        process.wait()
        assert not locks.is_held(path)
        with locks.held(path):
            assert locks.is_held(path)
    assert not locks.is_held(path)
    assert [one.name for one in tmp_path.iterdir()] == ["lock"]


def test_threads_hold_a_lock_one_after_the_other(tmp_path: Path) -> None:
    inside, most = [], []

    def work() -> None:
        with locks.held(tmp_path / "lock"):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8
