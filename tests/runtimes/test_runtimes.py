"""Every runtime that can run here gives the numbers of PyTorch; the others are refused with a reason."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from checkpoints import ODD, SMALL_CONFIGS, random_checkpoint, random_codes
from refusals import refuses

from zoo import registry
from zoo.errors import MissingDependency, ZooError
from zoo.options import RunOptions
from zoo.prediction import session
from zoo.prediction.session import Session, open_session
from zoo.spec import ModelSpec
from zoo.weights.checkpoint import Checkpoint

onnx_runtime = registry.load("runtimes", "onnx")
torch_runtime = registry.load("runtimes", "torch")
exporter = registry.load("exporters", "onnx")

REFERENCE = "torch-cpu"
LARGE = 700
"""More sequences than a batch has."""

needs_torch = pytest.mark.skipif(session.missing(REFERENCE) is not None, reason=str(session.missing(REFERENCE)))


@pytest.fixture(scope="session")
def odd() -> Checkpoint:
    return random_checkpoint(ODD)


@pytest.fixture(scope="session")
def odd_file(odd: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The odd network as an .onnx file that takes base codes."""
    path = tmp_path_factory.mktemp("runtimes") / "odd.onnx"
    exporter.export(odd, path, input="codes")
    return path


def runnable(runtime: str) -> list[pytest.MarkDecorator]:
    reason = session.missing(runtime)
    marks = [pytest.mark.gpu] if runtime.endswith("-cuda") else []
    return [*marks, pytest.mark.skipif(reason is not None, reason=f"{runtime}: {reason}")]


RUNTIMES = [
    pytest.param(runtime, marks=runnable(runtime)) for runtime in session.runtime_names() if runtime != REFERENCE
]


@needs_torch
@pytest.mark.parametrize("name", SMALL_CONFIGS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_gives_the_numbers_of_pytorch_whatever_the_batch(runtime: str, name: str) -> None:
    weights = random_checkpoint(SMALL_CONFIGS[name])
    if reason := session.refuses(runtime, weights.spec):
        with pytest.raises(ZooError) as refusal:
            open_session(weights, runtime)
        assert str(refusal.value) == f"{runtime}: {reason}"
        assert "\n" not in reason
        return
    codes = random_codes(LARGE, weights.spec.sequence_length)
    expected = open_session(weights, REFERENCE).predict(codes)
    engine = open_session(weights, runtime)
    for number in (LARGE, 1, 3, 0):
        activities = engine.predict(codes[:number])
        assert activities.dtype == np.float32
        np.testing.assert_allclose(activities, expected[:number], rtol=1e-4, atol=1e-4)
    assert engine.spec == weights.spec
    assert engine.provider


@needs_torch
@pytest.mark.parametrize("runtime", [*RUNTIMES, REFERENCE])
def test_batch_size_and_threads_change_no_number_beyond_rounding(runtime: str, odd: Checkpoint) -> None:
    codes = random_codes(40, 53)
    expected = open_session(odd, runtime).predict(codes)
    threads = None if runtime == "keras-cpu" else 1  # TensorFlow's belong to the process
    engine = open_session(odd, runtime, RunOptions(batch_size=7, threads=threads))
    assert engine.batch_size == 7
    np.testing.assert_allclose(engine.predict(codes), expected, rtol=1e-4, atol=1e-5)


@needs_torch
@pytest.mark.parametrize("runtime", ["torch-cpu", "onnx-cpu"])
def test_concurrent_batches_give_the_rows_in_order(
    runtime: str, odd: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as on a GPU: buffers, bindings and threads are the same, the device is not
    monkeypatch.setitem(torch_runtime.CONCURRENT_BATCHES, "cpu", 3)
    monkeypatch.setitem(onnx_runtime.CONCURRENT_BATCHES, "cpu", 3)
    codes = random_codes(500, 53)
    expected = open_session(odd, REFERENCE).predict(codes)
    running = open_session(odd, runtime, RunOptions(batch_size=16, threads=1))
    submitted = [running.submit(codes[start : start + 100]) for start in range(0, 500, 100)]
    activities = [future.result() for future in reversed(submitted)][::-1]
    np.testing.assert_allclose(np.concatenate(activities), expected, rtol=1e-4, atol=1e-5)
    assert running.submit(codes[:0]).result().shape == (0, expected.shape[1])


class Slow:
    """An engine of two concurrent batches that records its batches and fails in the second."""

    provider, batch_size, concurrent_batches = "none", 1, 2
    spec = ModelSpec("deepstarr", {}, 4, ("dev",), "0")

    def __init__(self) -> None:
        self.together = threading.Barrier(2, timeout=20)
        self.asked: list[int] = []

    def run(self, codes: np.ndarray) -> np.ndarray:
        number = int(codes[0, 0])
        self.asked.append(number)
        if number < 2:
            self.together.wait()  # both are computed at once
        if number == 1:
            raise ZooError("second batch")
        time.sleep(0.2)
        return np.zeros((1, 1), np.float32)


def test_an_error_in_one_of_several_batches_is_raised_and_ends_the_rest() -> None:
    engine = Slow()
    with pytest.raises(ZooError, match="second batch"):
        Session(engine, "slow-cpu").predict(np.repeat(np.array([[0], [1], *[[2]] * 30], np.uint8), 4, 1))
    assert len(engine.asked) < 20


@needs_torch
def test_a_gpu_without_memory_left_is_one_line(odd: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    engine = torch_runtime.start(odd, "cpu", RunOptions())

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine, "_module", full)
    with refuses("GPU", "5 sequences", "--batch-size"):
        engine.run(random_codes(5, 53))
    with refuses("GPU", "1 sequence") as alone:
        engine.run(random_codes(1, 53))
    assert "--batch-size" not in str(alone.value)
    with refuses("GPU", "128 sequences", "--batch-size"):
        engine.windows(random_codes(1, 500)[0], 1)


@needs_torch
@pytest.mark.parametrize("kind", ["onehot", "bytes", "codes"])
def test_onnx_runs_a_file_of_any_input_kind(kind: str, odd: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    exporter.export(odd, path, input=kind)
    codes = random_codes(50, 53)
    expected = open_session(odd, REFERENCE).predict(codes)
    np.testing.assert_allclose(open_session(path, "onnx-cpu").predict(codes), expected, rtol=1e-4, atol=1e-5)


def test_onnx_refuses_what_is_not_onnx_or_not_from_the_zoo(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    foreign = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 18]> g (float[N] x) => (float[N] y) {y = Relu(x)}'
    )
    onnx.save(foreign, tmp_path / "foreign.onnx")
    (tmp_path / "text.onnx").write_text("not a graph\n")
    for name, fact in [("absent", "no such file"), ("text", "ONNX"), ("foreign", "metadata_props")]:
        path = tmp_path / f"{name}.onnx"
        with refuses(path, fact):
            open_session(path, "onnx-cpu")


def test_onnx_refuses_a_truncated_file(odd_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(odd_file.read_bytes()[:-1000])
    with refuses(path, "ONNX"):
        open_session(path, "onnx-cpu")


def test_onnx_cpu_starts_without_pytorch_and_prints_nothing(odd_file: Path) -> None:
    program = (
        "import sys, pathlib, numpy; from zoo.prediction.session import open_session\n"
        f"engine = open_session(pathlib.Path({str(odd_file)!r}), 'onnx-cpu')\n"
        "engine.predict(numpy.zeros((2, 53), numpy.uint8))\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'onnx', 'tensorflow')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("runtime", "precision", "supported"),
    [("onnx-cpu", "bf16", ["fp32"]), ("torch-cpu", "tf32", ["fp32", "bf16"])],
)
@needs_torch
def test_an_unsupported_precision_is_refused(
    runtime: str, precision: str, supported: list[str], odd: Checkpoint
) -> None:
    with refuses(runtime, precision, *supported):
        open_session(odd, runtime, RunOptions(precision=precision))


@needs_torch
def test_torch_with_bf16_is_near_and_says_float32(odd: Checkpoint) -> None:
    codes = random_codes(64, 53)
    expected = open_session(odd, REFERENCE).predict(codes)
    rough = open_session(odd, REFERENCE, RunOptions(precision="bf16")).predict(codes)
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - expected).max() < 0.2


@needs_torch
def test_torch_runs_no_files_and_leaves_global_settings_as_they_were(odd: Checkpoint) -> None:
    import torch

    with refuses("model.onnx", "torch-cpu", ".safetensors"):
        open_session(Path("model.onnx"), REFERENCE)
    threads = torch.get_num_threads()
    open_session(odd, REFERENCE, RunOptions(threads=threads + 1)).predict(random_codes(2, 53))
    assert torch.get_num_threads() == threads
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    with torch_runtime.tensor_float_32(not before[0]):
        pass
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before


# Where CUDA is not what it should be. None of it needs a GPU, most of it needs that there is none.


@pytest.mark.parametrize("runtime", ["onnx-cuda", "torch-cuda"])
def test_a_machine_without_a_driver_is_one_clear_line(
    runtime: str, odd: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_driver(name: str, mode: int = 0) -> None:  # noqa: ARG001
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", no_driver)
    monkeypatch.setattr(onnx_runtime, "_cuda_wheel_missing", lambda: None)
    monkeypatch.setattr(onnx_runtime, "conflict", lambda: None)
    monkeypatch.setattr(torch_runtime.importlib.util, "find_spec", lambda name: name)
    with refuses(runtime, "NVIDIA driver", kind=MissingDependency):
        open_session(odd, runtime)


def test_two_wheels_of_onnx_runtime_are_named_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = {"onnxruntime": "1.23.0", "onnxruntime-gpu": "1.23.0"}
    monkeypatch.setattr(onnx_runtime.machine, "version", wheels.get)
    command = "pip uninstall -y onnxruntime-gpu onnxruntime && pip install --no-cache-dir onnxruntime-gpu"
    assert str(onnx_runtime.missing("cuda")).endswith(command)
    assert onnx_runtime.missing("cpu") is None


def test_a_wheel_for_cpus_only_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(onnx_runtime, "_provider_libraries", lambda: [tmp_path / "absent.so"])
    monkeypatch.setattr(onnx_runtime, "conflict", lambda: None)
    command = "pip uninstall -y onnxruntime && pip install 'deepstarr-zoo[cuda]'"
    assert str(onnx_runtime.missing("cuda")).endswith(command)


def test_a_missing_cuda_library_is_named_and_nothing_runs_on_the_cpu_instead(
    odd_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if session.missing("onnx-cuda") is None:
        pytest.skip("this machine has CUDA")
    monkeypatch.setattr(onnx_runtime, "missing", lambda device: None)  # noqa: ARG005
    with refuses("pip install 'deepstarr-zoo[cuda]'", kind=MissingDependency) as failure:
        open_session(odd_file, "onnx-cuda")
    if sys.platform == "linux" and "for CPUs only" not in str(failure.value):
        assert "lib" in str(failure.value)
        assert ".so" in str(failure.value)
    assert capfd.readouterr() == ("", "")


def test_another_provider_than_the_requested_one_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_runtime, "_cuda_failure", lambda: "no cuDNN")
    fallen = SimpleNamespace(get_providers=lambda: ["CPUExecutionProvider"])
    onnx_runtime._verify(fallen, "CPUExecutionProvider")
    with refuses("CPUExecutionProvider", "CUDAExecutionProvider", "no cuDNN", kind=MissingDependency):
        onnx_runtime._verify(fallen, "CUDAExecutionProvider")


def test_a_provider_lost_at_the_first_run_is_an_error(odd_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_runtime, "_cuda_failure", lambda: None)
    engine = onnx_runtime.start_file(odd_file, "cpu", RunOptions())
    engine.provider = "CUDAExecutionProvider"
    with refuses("CPUExecutionProvider", "CUDAExecutionProvider", kind=MissingDependency):
        engine.run(np.zeros((1, 53), np.uint8))


def test_a_run_that_fails_is_one_line(odd_file: Path) -> None:
    engine = onnx_runtime.start_file(odd_file, "cpu", RunOptions())
    with refuses("ONNX Runtime", "batch of 2"):
        engine.run(np.zeros((2, 52), np.uint8))


def test_smaller_batches_are_advised_where_memory_ran_out(odd_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = onnx_runtime.start_file(odd_file, "cpu", RunOptions())

    def full(_: np.ndarray) -> np.ndarray:
        raise RuntimeError("Failed to allocate memory for requested buffer of size 1024")

    monkeypatch.setattr(engine, "_feed", lambda codes: codes)
    engine._local.binding = SimpleNamespace(run=full)
    with refuses("ONNX Runtime", "2 sequences", "--batch-size", "Failed to allocate"):
        engine.run(np.zeros((2, 53), np.uint8))


class Full(Slow):
    """An engine whose NumPy has no memory left."""

    batch_size = 8

    def run(self, codes: np.ndarray) -> np.ndarray:
        raise MemoryError(codes.shape)


@pytest.mark.parametrize("count", [4, 1])
def test_out_of_memory_in_an_engine_advises_smaller_batches_where_they_can_be_smaller(count: int) -> None:
    with refuses("full-cpu: ", "memory", f"{count} sequence") as refused:
        Session(Full(), "full-cpu").predict(np.zeros((count, 4), np.uint8))
    assert ("--batch-size" in str(refused.value)) == (count > 1)


@needs_torch
@pytest.mark.parametrize("runtime", [param for param in RUNTIMES if param.values[0].endswith("-cuda")])
@pytest.mark.parametrize(("precision", "tolerance"), [("tf32", 1e-2), ("bf16", 0.2)])
def test_lower_precision_on_a_gpu_is_near(runtime: str, precision: str, tolerance: float, odd: Checkpoint) -> None:
    if precision not in registry.load("runtimes", runtime.rpartition("-")[0]).PRECISIONS["cuda"]:
        pytest.skip(f"{runtime} has no {precision}")
    codes = random_codes(LARGE, 53)
    expected = open_session(odd, REFERENCE).predict(codes)
    engine = open_session(odd, runtime, RunOptions(precision=precision))
    np.testing.assert_allclose(engine.predict(codes), expected, rtol=tolerance, atol=tolerance)
