"""What this machine is, and what each runtime misses on it: the first thing to ask when something does not run."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import zoo
from runtimes.kmer import kernel
from zoo import registry
from zoo.errors import MissingDependency
from zoo.inference import session
from zoo.system import cache, devices

LIBRARIES = ("numpy", "onnx", "safetensors", "torch", "tensorflow", "tf_keras")
"""Libraries whose version decides what can run; ONNX Runtime is looked at more closely."""

WHEEL_PREFIX = "onnxruntime"
"""Every wheel of ONNX Runtime is called so, with the device behind it."""

CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""Instruction sets that make a difference to inference, as Linux calls them."""

NVIDIA_SMI_SECONDS = 20


def report() -> dict[str, dict[str, str]]:
    """Section -> item -> finding. Looks, changes nothing."""
    return {
        "zoo": {"version": zoo.__version__, "installed at": str(Path(zoo.__file__).parent), "cache": _cache()},
        "python": {"version": platform.python_version(), "executable": sys.executable, **_libraries()},
        "machine": {"system": platform.platform(), "CPU": _cpu(), "GPU": _gpu()},
        "compiled parts": _compiled(),
        "ONNX Runtime": _onnx_runtime(),
        "runtimes": {name: session.missing(name) or "ready" for name in session.runtime_names()},
    }


def _cache() -> str:
    root = cache.folder("exports").parent
    files = [path for path in root.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    return f"{root} ({len(files)} files, {megabytes:.1f} MB; ZOO_HOME moves it)"


def _libraries() -> dict[str, str]:
    return {name: _version(name) or "not installed" for name in LIBRARIES}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    name, flags = platform.processor() or platform.machine(), ""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = (line.partition(":") for line in information.read_text().splitlines())
        fields = {key.strip(): value.strip() for key, colon, value in lines if colon}
        name = fields.get("model name", name)
        present = set(fields.get("flags", "").split())
        flags = f"; {' '.join(flag for flag in CPU_FLAGS if flag in present)}"
    return f"{name}, {devices.cores()} of {os.cpu_count()} cores usable{flags}"


def _compiled() -> dict[str, str]:
    """What a C compiler at installation adds: without it, the same numbers come slower."""
    not_built = "not built; install again where there is a C compiler"
    try:
        from zoo.models.deepstarr import _trunk
    except ImportError:
        training = not_built
    else:
        training = "ready for --precision bf16 (AVX-512 BF16)"
        if _trunk.matrix_unit():
            training = "ready (AMX)"
        elif not _trunk.available():
            training = "needs a processor with AMX or AVX-512 BF16, on Linux"
    return {"k-mer tables": next(iter(kernel.instruction_sets()), not_built), "training step": training}


def _gpu() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return "none: nvidia-smi is not there"
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        result = subprocess.run(query, capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"nvidia-smi failed: {str(error).splitlines()[0]}"
    return "; ".join(result.stdout.strip().splitlines()) or "none: nvidia-smi lists none"


def _onnx_runtime() -> dict[str, str]:
    found = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"] or ""
        if name.lower().startswith(WHEEL_PREFIX):
            found[name] = distribution.version
    runtime = registry.load("runtimes", "onnx")
    try:
        providers = ", ".join(runtime.import_onnxruntime().get_available_providers())
    except MissingDependency as error:
        providers = f"none: {error}"
    return {
        "wheels": ", ".join(f"{name} {version}" for name, version in sorted(found.items())) or "none",
        "conflict": runtime.conflict() or "none",
        "providers built in": providers,
    }
