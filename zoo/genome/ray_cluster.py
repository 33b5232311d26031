"""Parts of a run on Ray: one worker for each GPU, or for each node without GPUs, which loads the model once.

Workers read the inputs under the same paths as the caller, and send back arrays. If a worker is lost, another one
repeats its part. Ray is imported inside functions.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from zoo.errors import ImitationWarning, ZooError, require
from zoo.genome.shards import Arrays, Compute, Progress, Task, Workers, alone

LOCAL = "local"
"""Address of a Ray that is started on this machine for this work."""

MOST_ATTEMPTS = 3
"""Number of workers lost over one part after which the run fails: the part itself may be the cause."""

PATIENCE_SECONDS = 120.0
"""Seconds to wait for a cluster that has no room for any worker."""


def workers(address: str | None) -> Workers:
    """Workers of the Ray cluster at an address, see LOCAL, or of the cluster that this process is connected to.

    None: this process.
    """
    if address is None:
        return alone
    require("ray", "ray", "--ray")

    def do(task: Task, wanted: Sequence[int], on_progress: Progress) -> Iterator[tuple[int, Arrays, str]]:
        if wanted:
            with _connected(address) as ray:
                yield from _Pool(ray, task.absolute(), list(wanted)).run(on_progress)

    return do


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    # without this, Ray warns that it will change which GPUs a worker without a GPU sees
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ZooError(f"ray: cannot connect to a cluster at {address!r} ({reason}); --ray local starts one") from None
    try:
        yield ray
    finally:
        ray.shutdown()


class _Worker:
    """Runs in a Ray process."""

    def __init__(self, task: Task, threads: int | None) -> None:
        self._task, self._threads = task, threads
        self._compute: Compute | None = None

    def compute(self, part: int) -> tuple[Arrays, str, int]:
        """Numbers of a part, what computed them, and its number of windows or variants."""
        if self._compute is None:  # started here, not when it is made: its errors reach the caller
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ImitationWarning)  # the process that shares out the work warns
                self._compute = self._task.start(self._threads)
        counts: list[int] = []
        return *self._compute(part, counts.append), sum(counts)


class _Pool:
    """The workers of a cluster, and the parts to do."""

    def __init__(self, ray: Any, task: Task, todo: list[int]) -> None:
        self._ray = ray
        self._task = ray.put(task)
        self._todo = todo[::-1]
        self._lost = dict.fromkeys(todo, 0)
        self._at_work: dict[Any, tuple[Any, str, int]] = {}

    def run(self, on_progress: Progress) -> Iterator[tuple[int, Arrays, str]]:
        """Every part once, in the order in which they finish. Raises the ZooError of a part."""
        try:
            while self._todo or self._at_work:
                self._hire()
                ready, _ = self._ray.wait(list(self._at_work), num_returns=1)
                for reference in ready:
                    actor, place, part = self._at_work.pop(reference)
                    result = self._result(reference, part)
                    if result is None:
                        self._todo.append(part)
                        continue
                    arrays, runtime, count = result
                    self._give(actor, place)
                    on_progress(count)
                    yield part, arrays, runtime
        finally:
            for actor, _, _ in self._at_work.values():
                self._ray.kill(actor)

    def _result(self, reference: Any, part: int) -> tuple[Arrays, str, int] | None:
        """What a worker computed; None if it was lost."""
        from ray import exceptions

        try:
            return self._ray.get(reference)
        except exceptions.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, ZooError) else error) from None
        except exceptions.RayError:
            self._lost[part] += 1
            if self._lost[part] == MOST_ATTEMPTS:
                raise ZooError(
                    f"ray: {MOST_ATTEMPTS} workers were lost over part {part + 1}; does a node run out of memory?"
                ) from None
            return None

    def _give(self, actor: Any, place: str) -> None:
        """Give a worker the next part, or free its place if no part is left."""
        if self._todo:
            part = self._todo.pop()
            self._at_work[actor.compute.remote(part)] = actor, place, part
        else:
            self._ray.kill(actor)

    def _hire(self) -> None:
        """Start a worker in every free place while parts are left. Raises ZooError if none can start."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self._todo:
            taken = {place for _, place, _ in self._at_work.values()}
            for place, node, resources, threads in self._places():
                if place not in taken and self._todo:
                    self._give(self._start(node, resources, threads), place)
            if self._at_work:
                return
            if time.monotonic() > end:
                raise ZooError("ray: the cluster has no node on which a worker could start; see ray status")
            time.sleep(0.5)

    def _places(self) -> Iterator[tuple[str, str, dict[str, float], int | None]]:
        """Places for a worker, a GPU of a live node, or the node: name, node, resources, threads."""
        for node in self._ray.nodes():
            if not node["Alive"]:
                continue
            identity, there = node["NodeID"], node["Resources"]
            gpus, cores = int(there.get("GPU", 0)), int(there.get("CPU", 0))
            for number in range(gpus):
                yield f"{identity} {number}", identity, {"num_gpus": 1, "num_cpus": cores // gpus}, None
            if not gpus and cores:
                yield identity, identity, {"num_cpus": cores}, cores

    def _start(self, node: str, resources: dict[str, float], threads: int | None) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        strategy = NodeAffinitySchedulingStrategy(node, soft=False)
        remote = self._ray.remote(_Worker).options(scheduling_strategy=strategy, **resources)
        return remote.remote(self._task, threads)
