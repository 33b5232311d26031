"""torch-cpu, torch-cuda: the network itself, run by PyTorch as it stands. Every other runtime is compared with it.

Base codes travel to the device as uint8 and become one-hot there. Settings of PyTorch that are global (threads, TF32)
hold during a run only, so that a program which uses PyTorch itself finds them as it left them.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import devices, network
from zoo.errors import MissingDependency, ZooError
from zoo.spec import ALPHABET

if TYPE_CHECKING:
    from zoo.checkpoint import Checkpoint
    from zoo.session import Options

DEVICES = ("cpu", "cuda")
FILES: tuple[str, ...] = ()

PRECISIONS = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "tf32", "bf16")}
BATCH_SIZES = {"cpu": 128, "cuda": 4096}


def missing(device: str) -> str | None:
    """Why torch-`device` cannot run here, and what helps; None if it can, as far as can be told without PyTorch."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed; pip install 'deepstarr-zoo[train]'"
    return devices.driver_missing() if device == "cuda" else None


def start(weights: Checkpoint | Path, device: str, options: Options) -> TorchEngine:
    """Build the network of a checkpoint on `device`. Raises ZooError if the device or the precision cannot be had."""
    if isinstance(weights, Path):
        raise ZooError(f"{weights}: torch-{device} runs no files of this kind; give it a .safetensors file")
    if options.precision not in PRECISIONS[device]:
        allowed = " or ".join(PRECISIONS[device])
        raise ZooError(f"torch-{device}: expected the precision {allowed}, got {options.precision}")
    return TorchEngine(weights, device, options)


class TorchEngine:
    """A network in evaluation mode on one device; see zoo.session.Engine."""

    def __init__(self, weights: Checkpoint, device: str, options: Options) -> None:
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            built = torch.version.cuda or "none"
            raise MissingDependency(
                f"torch-cuda cannot run here: PyTorch {torch.__version__} (built for CUDA {built}) finds no GPU; "
                "install the build of PyTorch that fits the driver, which nvidia-smi shows"
            )
        self.spec = weights.spec
        self.batch_size = options.batch_size or BATCH_SIZES[device]
        self.provider = torch.cuda.get_device_name() if device == "cuda" else "cpu"
        self._precision = options.precision
        self._threads = options.threads or devices.cores()
        self._device = torch.device(device)
        self._module = network.from_checkpoint(weights).to(self._device)
        self._bases = torch.arange(len(ALPHABET), dtype=torch.uint8, device=self._device)[:, None]

    def run(self, codes: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode(), self._settings():
            on_device = torch.from_numpy(codes).to(self._device)
            one_hot = (on_device[:, None, :] == self._bases).float()
            activities = self._module(one_hot)
            return activities.float().cpu().numpy()

    @contextlib.contextmanager
    def _settings(self) -> Iterator[None]:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with (
                tensor_float_32(self._precision == "tf32"),
                torch.autocast(self._device.type, torch.bfloat16, enabled=self._precision == "bf16"),
            ):
                yield
        finally:
            torch.set_num_threads(threads)


@contextlib.contextmanager
def tensor_float_32(allowed: bool) -> Iterator[None]:
    """Let matrix products and convolutions use TF32 on a GPU, or not. PyTorch's own default lets convolutions."""
    import torch

    holders: list[Any] = [torch.backends.cuda.matmul]
    if hasattr(torch.backends.cudnn, "conv"):  # since 2.9; the older switches must not be touched beside it
        holders.append(torch.backends.cudnn.conv)
        name = "fp32_precision"
        value: str | bool = "tf32" if allowed else "ieee"
    else:
        holders.append(torch.backends.cudnn)
        name = "allow_tf32"
        value = allowed
    before = [getattr(holder, name) for holder in holders]
    try:
        for holder in holders:
            setattr(holder, name, value)
        yield
    finally:
        for holder, kept in zip(holders, before, strict=True):
            setattr(holder, name, kept)
