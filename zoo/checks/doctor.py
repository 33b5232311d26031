"""Report on this machine and on what each runtime still needs, for when something does not run."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import zoo
from zoo import registry
from zoo.errors import ZooError, counted
from zoo.prediction import session
from zoo.system import machine
from zoo.system.files import cache_folder

LIBRARIES = ("numpy", "safetensors")
"""Libraries to report in addition to those of the runtimes."""

CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""Instruction sets that matter for inference, by their names in Linux."""

NVIDIA_SMI_SECONDS = 20


def report() -> dict[str, dict[str, str]]:
    """Section -> item -> finding. Changes nothing."""
    return {
        "zoo": {"version": zoo.__version__, "installed at": str(Path(zoo.__file__).parent), "cache": _cache()},
        "python": {"version": platform.python_version(), "executable": sys.executable, **_libraries()},
        "machine": {"system": platform.platform(), "CPU": _cpu(), "GPU": _gpu()},
        **_findings(),
        "runtimes": {name: session.missing(name) or "ready" for name in session.runtime_names()},
        **_problems(),
    }


def _cache() -> str:
    root = cache_folder("exports").parent
    files = [path for path in root.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    return f"{root} ({counted(len(files), 'files')}, {megabytes:.1f} MB; ZOO_HOME moves it)"


def _libraries() -> dict[str, str]:
    declared = [getattr(module, "LIBRARIES", ()) for module in registry.working("runtimes").values()]
    names = sorted({*LIBRARIES, *(name for names in declared for name in names)})
    return {name: machine.version(name) or "not installed" for name in names}


def _cpu() -> str:
    name, flags = platform.processor() or platform.machine(), ""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = (line.partition(":") for line in information.read_text().splitlines())
        fields = {key.strip(): value.strip() for key, colon, value in lines if colon}
        name = fields.get("model name", name)
        present = set(fields.get("flags", "").split())
        flags = f"; {' '.join(flag for flag in CPU_FLAGS if flag in present)}"
    return f"{name}, {machine.cores()} of {os.cpu_count()} cores usable{flags}"


def _gpu() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return "none: nvidia-smi was not found"
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        result = subprocess.run(query, capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"nvidia-smi failed: {str(error).splitlines()[0]}"
    return "; ".join(result.stdout.strip().splitlines()) or "none: nvidia-smi lists no GPU"


def _findings() -> dict[str, dict[str, str]]:
    """What each plug-in reports about itself on this machine."""
    modules = {**registry.working("models"), **registry.working("runtimes")}
    asked = {name: getattr(module, "findings", None) for name, module in modules.items()}
    return {name: _finding(findings) for name, findings in asked.items() if findings}


def _finding(findings: Callable[[], Mapping[str, str]]) -> dict[str, str]:
    try:
        return dict(findings())
    except ZooError as error:
        return {"problem": str(error)}


def _problems() -> dict[str, dict[str, str]]:
    """Plug-ins that do not work, if there are any."""
    found = {f"{kind[:-1]} {name}": why for kind in registry.PACKAGES for name, why in registry.problems(kind).items()}
    return {"plug-ins left out": found} if found else {}
