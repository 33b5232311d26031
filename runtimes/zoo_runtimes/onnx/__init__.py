"""onnx-cpu, onnx-cuda: ONNX Runtime on the execution provider in the name, never on another one.

ONNX Runtime itself falls back to the CPU and only logs it. Here the log is off, and the provider is verified after
loading and after the first run. Weights that are not an .onnx file are exported once (zoo/weights/exports.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
import io
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import registry
from zoo.errors import MissingDependency, ZooError
from zoo.spec import ModelSpec
from zoo.system import machine
from zoo.weights import exports

if TYPE_CHECKING:
    import onnxruntime

    from zoo.options import RunOptions
    from zoo.weights.checkpoint import Checkpoint
    from zoo_runtimes.onnx.shared import SharedWork

DEVICES = ("cpu", "cuda")
FILES = (".onnx",)
AUTOMATIC = {"cuda": 40, "cpu": 10}
TRUST = {"cpu": 10}
LIBRARIES = ("onnx",)
SHORTER_WAYS = ("windows", "mutants", "edits")

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
PRECISIONS = {"cpu": ("fp32",), "cuda": ("fp32", "tf32")}
CUDA_BATCH_SIZE = 2048
CONCURRENT_BATCHES = {"cpu": 1, "cuda": 3}
"""Three batches: one is computed, one waits on the device, one is copied."""

CONVOLUTION_SEARCH = "HEURISTIC"
"""Search of cuDNN for its algorithms; the exhaustive search starts again with every new batch size."""

BATCH_PER_THREAD = 32
"""Sequences for each CPU thread: their activations fit its caches, and two barriers have enough work between them."""

SILENT = 4
"""Log level of ONNX Runtime: only fatal errors, since all others are raised as exceptions too."""

CUDA_WHEEL = "onnxruntime-gpu"
CUDA_INSTALL = "pip install 'deepstarr-zoo[cuda]'"
WHEEL_PREFIX = "onnxruntime"
"""Start of the name of every wheel of ONNX Runtime; the rest is the device."""

CPU_WHEELS = ("onnxruntime", "onnxruntime-directml", "onnxruntime-openvino")


def missing(device: str) -> str | None:
    """Why onnx-`device` cannot run here, and what helps; None if it can, as far as is known without ONNX Runtime."""
    if importlib.util.find_spec("onnxruntime") is None:
        return "ONNX Runtime is not installed; pip install deepstarr-zoo"
    return (conflict() or _cuda_wheel_missing() or machine.driver_missing()) if device == "cuda" else None


def conflict() -> str | None:
    """Which installed wheels of ONNX Runtime overwrite each other, and what helps; None if there is only one."""
    wheels = [name for name in (CUDA_WHEEL, *CPU_WHEELS) if machine.version(name)]
    if len(wheels) < 2:
        return None
    return (
        f"{' and '.join(wheels)} are both installed and overwrite each other; "
        f"pip uninstall -y {' '.join(wheels)} && pip install --no-cache-dir {CUDA_WHEEL}"
    )


def refuses(spec: ModelSpec) -> str | None:  # noqa: ARG001
    """None: every model can be exported."""
    return None


def start(weights: Checkpoint, device: str, options: RunOptions) -> OnnxEngine:
    """Export a checkpoint, once, and load that; see start_file."""
    return start_file(exports.exported(weights, "onnx", input="codes"), device, options)


def start_file(path: Path, device: str, options: RunOptions) -> OnnxEngine:
    """Load an .onnx file of this zoo on the provider of `device`.

    Raises ZooError for a file of another program, MissingDependency if the provider does not start.
    """
    return OnnxEngine(path, device, options)


def findings() -> dict[str, str]:
    """The installed wheels of ONNX Runtime, and their providers."""
    wheels = [one for one in metadata.distributions() if (one.metadata["Name"] or "").lower().startswith(WHEEL_PREFIX)]
    try:
        providers = ", ".join(import_onnxruntime().get_available_providers())
    except MissingDependency as error:
        providers = f"none: {error}"
    return {
        "wheels": ", ".join(sorted(f"{one.metadata['Name']} {one.version}" for one in wheels)) or "none",
        "conflict": conflict() or "none",
        "providers built in": providers,
    }


class OnnxEngine:
    """One ONNX Runtime session on one provider; see zoo.contracts.Engine."""

    def __init__(self, path: Path, device: str, options: RunOptions) -> None:
        exporter = registry.load("exporters", "onnx")
        self.provider = PROVIDERS[device]
        own = CUDA_BATCH_SIZE if device == "cuda" else BATCH_PER_THREAD * (options.threads or machine.cores())
        self.batch_size = options.batch_size or own
        self.concurrent_batches = CONCURRENT_BATCHES[device]
        self._device = device
        # before ONNX Runtime opens the file, which may be damaged or refer to other files
        self.spec: ModelSpec = exporter.read_spec(path)
        self._session = _load(path, device, options)
        self._verified = False
        self._local = threading.local()
        name = self._session.get_inputs()[0].name
        feeds = {kind.name: kind.feed for kind in exporter.INPUTS.values()}
        if name not in feeds:
            raise ZooError(f"{path}: expected an input named {', '.join(feeds)}, got {name}")
        self._feed = feeds[name]
        self._path, self._threads = path, options.threads
        outputs = [one.name for one in self._session.get_outputs()]
        self._output = exporter.output_of(path, outputs, len(self.spec.members))

    def run(self, codes: np.ndarray) -> np.ndarray:
        if not hasattr(self._local, "binding"):
            shape = [*filter(None, [len(self.spec.members)]), len(self.spec.targets)]
            self._local.binding = _Binding(self._session, self._device, self.batch_size, self._output, shape)
        with _failures(len(codes)):
            activities = self._local.binding.run(self._feed(codes))
        if not self._verified:
            _verify(self._session, self.provider)
            self._verified = True
        return activities

    def profiles(self, codes: np.ndarray) -> dict[str, np.ndarray]:
        """See zoo.contracts.EngineExtras."""
        start = registry.load("exporters", "onnx").PROFILE
        names = [one.name for one in self._session.get_outputs() if one.name.startswith(start)]
        with _failures(len(codes)):
            found = self._session.run(names, {self._session.get_inputs()[0].name: self._feed(codes)})
        return {name.removeprefix(start): numbers for name, numbers in zip(names, found, strict=True)}

    @property
    def windows(self) -> Callable[[np.ndarray, int], np.ndarray] | None:
        """The way of zoo.contracts.ShorterWays; None for a network whose windows share too little."""
        return self._way("windows")

    @property
    def mutants(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """The way of zoo.contracts.ShorterWays; None for a network whose mutants share too little."""
        return self._way("mutants")

    @property
    def edits(self) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None:
        """The way of zoo.contracts.ShorterWays; None for a network whose edits share too little."""
        return self._way("edits")

    def _way(self, name: str) -> Callable[..., np.ndarray] | None:
        found = getattr(self._shared, name)() if self._device == "cpu" else None
        return found and _failures(self.batch_size)(found)

    @functools.cached_property
    def _shared(self) -> SharedWork:
        from zoo_runtimes.onnx.shared import SharedWork

        start = functools.partial(_session, settings=session_options(self._threads))
        return SharedWork(self._path, self._output, self._feed, self._in_batches, self.spec.sequence_length, start)

    def _in_batches(self, codes: np.ndarray) -> np.ndarray:
        """Predict any number of sequences."""
        starts = range(0, len(codes), self.batch_size)
        return np.concatenate([self.run(np.ascontiguousarray(codes[at : at + self.batch_size])) for at in starts])


class _Binding:
    """Memory on the device for the batches of one thread and their activities, bound once.

    Copies to and from the device block this thread until the device is done; other threads continue.
    """

    def __init__(
        self, session: onnxruntime.InferenceSession, device: str, rows: int, output: str, shape: list[int]
    ) -> None:
        """output, shape: the output of the graph to compute, and that of one sequence."""
        self._session = session
        self._device = device
        self._binding = session.io_binding()
        self._input, self._output, self._shape = session.get_inputs()[0].name, output, shape
        self._rows = rows
        self._activities = import_onnxruntime().OrtValue.ortvalue_from_shape_and_type(
            [rows, *shape], np.float32, device
        )
        self._batch: onnxruntime.OrtValue | None = None
        self._staged = np.empty(0)

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Input of the graph, (N, ...) -> float32 (N, T), or (N, M * T) for the members of an ensemble."""
        if self._batch is None:
            self._staged = np.zeros((self._rows, *batch.shape[1:]), batch.dtype)
            self._batch = import_onnxruntime().OrtValue.ortvalue_from_numpy(self._staged, self._device)
        self._staged[: len(batch)] = batch
        if self._device != "cpu":  # on a CPU the value is the staged array itself
            self._batch.update_inplace(self._staged)
        shape = [len(batch), *batch.shape[1:]]
        self._binding.bind_input(self._input, self._device, 0, batch.dtype, shape, self._batch.data_ptr())
        activities = [len(batch), *self._shape]
        self._binding.bind_output(self._output, self._device, 0, np.float32, activities, self._activities.data_ptr())
        self._session.run_with_iobinding(self._binding)
        return self._activities.numpy()[: len(batch)].reshape(len(batch), -1).copy()


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime, imported without its log messages."""
    quiet = contextlib.nullcontext() if "onnxruntime" in sys.modules else _standard_error_closed()
    try:
        with quiet:
            import onnxruntime
    except ImportError as error:
        advice = machine.memory_limit_note() or f"; pip install --force-reinstall {CUDA_WHEEL}"
        reason = conflict() or f"{_first_line(error)}{advice}"
        raise MissingDependency(f"ONNX Runtime cannot be imported: {reason}") from None
    if not hasattr(onnxruntime, "InferenceSession"):
        # this is left after one of two wheels was uninstalled
        raise MissingDependency(f"ONNX Runtime is incomplete; pip install --force-reinstall {CUDA_WHEEL}")
    onnxruntime.set_default_logger_severity(SILENT)
    return onnxruntime


def session_options(threads: int | None) -> onnxruntime.SessionOptions:
    """All graph optimisations, one pool of `threads` (None: one for each core of this process), a silent log.

    Waiting threads sleep instead of spinning. This is as fast on an idle machine and several times faster on a shared
    one, and leaves the cores free for reading and writing between two batches.
    """
    onnxruntime = import_onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.intra_op_num_threads = threads or machine.cores()
    settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.log_severity_level = SILENT
    return settings


@contextlib.contextmanager
def _failures(sequences: int) -> Iterator[None]:
    """Raise ZooError for what ONNX Runtime raises on a batch of sequences."""
    try:
        yield
    except _errors() as error:
        reason = _first_line(error)
        if re.search(r"alloc|out of memory", str(error), re.IGNORECASE):
            raise ZooError(f"ONNX Runtime: {machine.out_of_memory(sequences)} ({reason})") from None
        raise ZooError(f"ONNX Runtime failed on a batch of {sequences} ({reason})") from None


def _load(path: Path, device: str, options: RunOptions) -> onnxruntime.InferenceSession:
    provider = PROVIDERS[device]
    settings = session_options(options.threads)
    provider_options: dict[str, Any] = {}
    if device == "cuda":
        _preload()
        # otherwise a layer that CUDA cannot run would run on the CPU
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        provider_options = {
            "use_tf32": str(int(options.precision == "tf32")),
            "cudnn_conv_algo_search": CONVOLUTION_SEARCH,
        }
    try:
        session = _session(path, settings, provider, provider_options)
    except _errors() as error:
        if device == "cuda":
            reason = _cuda_failure() or _first_line(error)
            raise MissingDependency(f"onnx-cuda cannot run {path} here: {reason}") from None
        raise ZooError(
            f"{path}: expected a whole ONNX file, ONNX Runtime cannot load it ({_first_line(error)})"
        ) from None
    _verify(session, provider)
    return session


def _session(
    model: Path | bytes,
    settings: onnxruntime.SessionOptions,
    provider: str = PROVIDERS["cpu"],
    provider_options: Mapping[str, Any] | None = None,
) -> onnxruntime.InferenceSession:
    # `enable_fallback` would start the session again on the CPU, at loading and at the first failing run
    return import_onnxruntime().InferenceSession(
        model, settings, providers=[(provider, dict(provider_options or {}))], enable_fallback=0
    )


def _verify(session: onnxruntime.InferenceSession, provider: str) -> None:
    """Raise MissingDependency unless the session runs on `provider`."""
    running = session.get_providers()
    if not running or running[0] != provider:
        reason = _cuda_failure() if provider == PROVIDERS["cuda"] else None
        raise MissingDependency(
            f"ONNX Runtime runs on {', '.join(running) or 'nothing'} instead of {provider}"
            + (f": {reason}" if reason else "")
        )


def _preload() -> None:
    """Load CUDA and cuDNN from the wheels of the extra `cuda`, else from the paths of the system."""
    preload = getattr(import_onnxruntime(), "preload_dlls", None)  # since 1.21
    if preload:
        # it prints the names of all missing libraries, needed or not; _cuda_failure names the needed ones
        with contextlib.redirect_stdout(io.StringIO()):
            preload()


def _cuda_failure() -> str | None:
    """Why the CUDA provider of ONNX Runtime does not load, and what helps; None if it loads."""
    if PROVIDERS["cuda"] not in import_onnxruntime().get_available_providers():
        return _cuda_wheel_missing() or f"this build of ONNX Runtime has no CUDA provider; {CUDA_INSTALL}"
    try:
        for path in _provider_libraries():
            ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
        ctypes.CDLL("cudnn64_9.dll" if sys.platform == "win32" else "libcudnn.so.9")
    except OSError as error:
        # "libcublasLt.so.13: cannot open shared object file: No such file or directory"
        return f"a library cannot be loaded, {_first_line(error)}; {CUDA_INSTALL}"
    return None


def _cuda_wheel_missing() -> str | None:
    path = _provider_libraries()[-1]
    if path.is_file():
        return None
    return f"the installed ONNX Runtime is for CPUs only; pip uninstall -y {' '.join(CPU_WHEELS[:1])} && {CUDA_INSTALL}"


def _provider_libraries() -> list[Path]:
    """Libraries of the CUDA provider in the package of ONNX Runtime, in loading order."""
    spec = importlib.util.find_spec("onnxruntime")
    folder = Path(spec.origin).parent / "capi" if spec and spec.origin else Path()
    names = ("onnxruntime_providers_shared", "onnxruntime_providers_cuda")
    return [folder / (f"{name}.dll" if sys.platform == "win32" else f"lib{name}.so") for name in names]


def _errors() -> tuple[type[Exception], ...]:
    """Exceptions of ONNX Runtime: its own classes have no common parent, and its Python part raises built-in ones."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception))
    return (*own, RuntimeError, ValueError)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).strip().partition("\n")[0].split())


@contextlib.contextmanager
def _standard_error_closed() -> Iterator[None]:
    """Discard what C code writes to standard error: ONNX Runtime logs before its log can be turned off."""
    try:
        kept = os.dup(2)
    except OSError:  # this process has no standard error
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    sys.stderr.flush()
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
