"""Several training processes, started by `torchrun`, or a single one."""

from __future__ import annotations

import dataclasses
import gc
import os

import numpy as np
import torch
from torch import distributed

from zoo.errors import ZooError


@dataclasses.dataclass(frozen=True)
class Group:
    """This process among those that train together. Only rank 0 writes and prints."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def writes(self) -> bool:
        return self.rank == 0

    def share(self, batch: np.ndarray) -> np.ndarray:
        """This process's rows of a batch of row numbers."""
        return batch[self.rank :: self.size]

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """Sum over the processes, written into `value`."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def gather_rows(self, share: np.ndarray, batch_length: int) -> np.ndarray:
        """The rows of all processes' shares of a batch, in the order of the batch, float32 (N, T)."""
        if self.size == 1:
            return share
        parts: list[np.ndarray | None] = [None] * self.size
        distributed.all_gather_object(parts, share)
        out = np.empty((batch_length, share.shape[1]), np.float32)
        for rank, part in enumerate(parts):
            out[rank :: self.size] = part
        return out

    def agree(self, values: list[object]) -> list[object]:
        """Rank 0's values, on every process."""
        if self.size > 1:
            distributed.broadcast_object_list(values, src=0)
        return values


def several() -> bool:
    """Whether torchrun started several processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def join(device: str) -> Group:
    """Join the group that torchrun's environment variables describe; without them, return a group of one process."""
    if not several():
        return Group()
    if not distributed.is_available():
        raise ZooError("torchrun started several processes, but this PyTorch is built without torch.distributed")
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    return Group(distributed.get_rank(), distributed.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))


def leave(group: Group) -> None:
    """Leave the group, if there is one."""
    if group.size > 1:
        distributed.destroy_process_group()
        # its threads end with the last reference; at the exit of the process, some would abort it (PyTorch 190489)
        gc.collect()
