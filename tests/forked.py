"""Functions in processes of their own, forked from one that has imported PyTorch: each would import it for seconds."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

FORKED = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
FORKED.set_forkserver_preload(["zoo.training.run", "zoo.training.trainer", "zoo.search.run"])


def started(function: Callable[..., object], *arguments: object) -> Any:
    process = FORKED.Process(target=function, args=arguments)
    process.start()
    return process


def kill_itself(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def was_killed(function: Callable[..., object], *arguments: object) -> bool:
    """Run a function to its end in a process. Returns whether SIGKILL ended it."""
    process = started(function, *arguments)
    process.join(300)
    return process.exitcode == -signal.SIGKILL


def as_torchrun(function: Callable[..., object], *arguments: object) -> None:
    """Run a function in two processes, as `torchrun --standalone --nproc-per-node 2` starts them."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    here = LaunchConfig(
        1, 1, 2, rdzv_backend="c10d", rdzv_endpoint="localhost:0", start_method=FORKED.get_start_method()
    )
    elastic_launch(here, function)(*arguments)
