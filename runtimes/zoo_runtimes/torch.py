"""torch-cpu, torch-cuda: the network in PyTorch, with which every other runtime is compared.

Base codes are copied to the device as uint8, 16 times fewer bytes than one-hot, and become one-hot there. On a GPU
several batches run concurrently, each in a stream of its own. Global settings of PyTorch (threads, TF32) are changed
only during a run, for the sake of programs that use PyTorch themselves.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.dna import windows
from zoo.dna.encoding import ONE_HOT
from zoo.errors import MissingDependency, ZooError, require
from zoo.spec import ALPHABET, ModelSpec
from zoo.system import machine
from zoo.weights import network
from zoo.weights.checkpoint import profiles_of

if TYPE_CHECKING:
    import torch

    from zoo.options import RunOptions
    from zoo.weights.checkpoint import Checkpoint

DEVICES = ("cpu", "cuda")
LIBRARIES = ("torch",)
AUTOMATIC = {"cuda": 30, "cpu": 5}
TRUST = {"cpu": 20}
SHORTER_WAYS = ("windows", "contributions", "gradient")

PRECISIONS = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "tf32", "bf16")}
BATCH_SIZES = {"cpu": 128, "cuda": 2048}
CONCURRENT_BATCHES = {"cpu": 1, "cuda": 3}
"""Three batches: one is computed, one waits on the device, one is copied."""


def missing(device: str) -> str | None:
    """Why torch-`device` cannot run here, and what helps; None if it can, as far as is known without PyTorch."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed; pip install 'deepstarr-zoo[train]'"
    return machine.driver_missing() if device == "cuda" else None


def refuses(spec: ModelSpec) -> str | None:  # noqa: ARG001
    """None: every model is a PyTorch network."""
    return None


def start(weights: Checkpoint, device: str, options: RunOptions) -> TorchEngine:
    """Build the network of a checkpoint on `device`. Raises MissingDependency if PyTorch finds no such device."""
    return TorchEngine(weights, device, options)


class TorchEngine:
    """A network in evaluation mode on one device; see zoo.contracts.Engine."""

    def __init__(self, weights: Checkpoint, device: str, options: RunOptions) -> None:
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            built = torch.version.cuda or "none"
            raise MissingDependency(
                f"torch-cuda cannot run here: PyTorch {torch.__version__} (built for CUDA {built}) finds no GPU; "
                "install the build of PyTorch that fits the driver, which nvidia-smi shows"
            )
        self.spec = weights.spec
        self.batch_size = options.batch_size or BATCH_SIZES[device]
        self.concurrent_batches = CONCURRENT_BATCHES[device]
        self.provider = torch.cuda.get_device_name() if device == "cuda" else "cpu"
        self._precision = options.precision
        self._threads = options.threads or machine.cores()
        self._device = torch.device(device)
        self._module = network.from_checkpoint(weights).to(self._device)
        self._bases = torch.arange(len(ALPHABET), dtype=torch.uint8)[:, None].to(self._device)
        self._local = threading.local()
        self._launch = threading.Lock()

    def run(self, codes: np.ndarray) -> np.ndarray:
        buffers = self._buffers()
        given, taken = buffers.codes[: len(codes)], buffers.activities[: len(codes)]
        given.numpy()[:] = codes
        with self._launching(buffers, len(codes)):
            taken.copy_(self._activities(given.to(self._device, non_blocking=True)), non_blocking=True)
        return taken.numpy().copy()

    def profiles(self, codes: np.ndarray) -> dict[str, np.ndarray]:
        """See zoo.contracts.EngineExtras."""
        import torch

        names = [one.name for one in profiles_of(self.spec)]
        with self._launching(self._buffers(), len(codes)):
            found = self._module.with_profiles(self._one_hot(torch.from_numpy(codes).to(self._device)))[1:]
            arrays = [one.float().cpu().numpy() for one in found]
        return dict(zip(names, arrays, strict=True))

    def windows(self, codes: np.ndarray, stride: int) -> np.ndarray:
        """Every window of a stretch of DNA, see zoo.contracts.ShorterWays. Bases are copied to the device once."""
        import torch

        length = self.spec.sequence_length
        number = windows.count(len(codes), length, stride)
        taken = torch.empty((number, len(self.spec.targets)), pin_memory=self._device.type == "cuda")
        with self._launching(self._buffers(), min(number, self.batch_size)):
            each = torch.from_numpy(codes.copy()).to(self._device).unfold(0, length, stride)
            for first in range(0, number, self.batch_size):
                part = slice(first, first + self.batch_size)
                taken[part].copy_(self._activities(each[part]), non_blocking=True)
        return taken.numpy()

    def _activities(self, codes: torch.Tensor) -> torch.Tensor:
        """Base codes on the device, (N, L) -> (N, T)."""
        return self._module(self._one_hot(codes))

    def _one_hot(self, codes: torch.Tensor) -> torch.Tensor:
        """Base codes on the device, (N, L) -> (N, 4, L)."""
        return (codes[:, None, :] == self._bases).float()

    @contextlib.contextmanager
    def _launching(self, buffers: _Buffers, sequences: int) -> Iterator[None]:
        """A context that hands work to the device, `sequences` at once, and waits for it."""
        import torch

        try:
            # the settings are global, so that one thread at a time hands work to the device; all may wait for it
            with self._launch, torch.inference_mode(), self._settings(), buffers.stream:
                yield
            buffers.wait()
        except torch.OutOfMemoryError:
            raise ZooError(f"the GPU: {machine.out_of_memory(sequences * self.concurrent_batches)}") from None

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        """Computed by tangermeme.deep_lift_shap, for any architecture whose activations and poolings are modules, and
        whose tensors have the sequences as first axis."""
        import torch
        from tangermeme.deep_lift_shap import deep_lift_shap

        from zoo_runtimes._deeplift_rules import RULES, MidpointProducts

        def channels_first(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(ONE_HOT[array].swapaxes(-1, -2)))

        with self._to_explain(references.shape[1]), MidpointProducts(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about N, which is not one-hot, and about deltas, which the caller checks
            scores = deep_lift_shap(
                self._module,
                channels_first(codes),
                target=target,
                batch_size=self.batch_size,
                references=channels_first(references),
                hypothetical=True,
                additional_nonlinear_ops=RULES,
                only_warn=True,
                device=self._device,
            )
        return np.ascontiguousarray(scores.numpy().swapaxes(1, 2), np.float32)

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        import torch

        out = np.empty((*codes.shape, len(ALPHABET)), np.float32)
        for first in range(0, len(codes), self.batch_size):
            part = slice(first, first + self.batch_size)
            one_hot = torch.from_numpy(ONE_HOT[codes[part]].swapaxes(1, 2)).to(self._device).requires_grad_()
            with self._to_explain(len(one_hot)):
                (found,) = torch.autograd.grad(self._module(one_hot)[:, target].sum(), one_hot)
            out[part] = found.cpu().numpy().swapaxes(1, 2)
        return out

    @contextlib.contextmanager
    def _to_explain(self, sequences: int) -> Iterator[None]:
        """A context that gives one thread the module, for its hooks, with the settings of this engine."""
        import torch

        try:
            with self._launch, self._settings():
                yield
        except torch.OutOfMemoryError:
            raise ZooError(f"the GPU: {machine.out_of_memory(sequences)}") from None

    def check_way(self, way: str) -> None:
        if way == "contributions":
            require("tangermeme", "explain", "contributions of PyTorch networks")
        if way in ("contributions", "gradient") and not self._differentiable:
            raise ZooError(
                f"{self.spec.architecture}: this architecture counts words, so that contributions and gradient do not "
                "exist; compute mutants instead (--method ism)"
            )

    @functools.cached_property
    def _differentiable(self) -> bool:
        import torch

        bases = torch.zeros(1, len(ALPHABET), self.spec.sequence_length, device=self._device, requires_grad=True)
        with self._to_explain(1):
            (found,) = torch.autograd.grad(self._module(bases).sum(), bases, allow_unused=True)
        return found is not None

    def _buffers(self) -> _Buffers:
        if not hasattr(self._local, "buffers"):
            self._local.buffers = _Buffers(self)
        return self._local.buffers

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


class _Buffers:
    """Memory of the host for the batches of one thread and their activities, and its stream on a GPU.

    For a GPU the memory is page-locked, so that copies overlap with computation.
    """

    def __init__(self, engine: TorchEngine) -> None:
        import torch

        cuda = engine._device.type == "cuda"
        rows = engine.batch_size
        self.codes = torch.empty((rows, engine.spec.sequence_length), dtype=torch.uint8, pin_memory=cuda)
        self.activities = torch.empty((rows, len(engine.spec.targets)), pin_memory=cuda)
        stream = torch.cuda.Stream() if cuda else None
        self.stream: Any = torch.cuda.stream(stream)  # does nothing for None
        self.wait: Callable[[], None] = stream.synchronize if stream else lambda: None


@contextlib.contextmanager
def tensor_float_32(allowed: bool) -> Iterator[None]:
    """Allow TF32 for matrix products and convolutions on a GPU, or not. By default PyTorch does for convolutions."""
    import torch

    holders: list[Any] = [torch.backends.cuda.matmul]
    if hasattr(torch.backends.cudnn, "conv"):  # since 2.9; it must not be mixed with the older switches
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
