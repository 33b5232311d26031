"""The runtime "auto" is the fastest that can do the job; when none can, the error gives the reason of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoints import CONFIGS, ODD, random_checkpoint, random_codes
from prediction.test_contributions import WITHOUT_DERIVATIVE
from refusals import refuses

from zoo.contracts import Engine
from zoo.errors import MissingDependency, ZooError
from zoo.models.deepstarr import Config
from zoo.options import RunOptions
from zoo.prediction import session
from zoo.prediction.automatic import open_automatic, refusal
from zoo.prediction.session import open_session
from zoo.prediction.strands import with_strands
from zoo.weights.checkpoint import Checkpoint


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "missing", lambda runtime: "no GPU" if runtime.endswith("-cuda") else None)


@pytest.mark.usefixtures("no_cuda")
def test_without_a_gpu_kmer_cpu_runs_and_the_session_names_it() -> None:
    weights = random_checkpoint(ODD)
    running = open_automatic(lambda files: weights)  # noqa: ARG005
    assert running.runtime == "kmer-cpu"
    assert running.predict(random_codes(5, ODD.sequence_length)).shape == (5, 3)


def test_candidates_are_tried_in_order_with_weights_in_their_own_format(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[str, Path]] = []

    def refusing(weights: Path, runtime: str, options: RunOptions) -> Engine:
        assert options == RunOptions(threads=1)
        tried.append((runtime, weights))
        raise MissingDependency(f"{runtime} cannot run here: {len(tried)} cables are missing")

    monkeypatch.setattr(session, "missing", lambda runtime: None)  # noqa: ARG005
    monkeypatch.setattr(session, "start", refusing)
    names = session.automatic()
    facts = [f"{name}: {number} cables" for number, name in enumerate(names, 1)]
    with refuses(*facts, kind=MissingDependency):
        open_automatic(lambda files: Path("".join(files) or "checkpoint"), RunOptions(threads=1))
    assert tried == [(name, Path(".onnx" if name.startswith("onnx") else "checkpoint")) for name in names]
    assert {"onnx-cuda", "torch-cuda", "kmer-cpu", "onnx-cpu", "torch-cpu"} <= set(names)


@pytest.mark.usefixtures("no_cuda")
def test_a_network_too_wide_for_tables_runs_on_the_next_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = random_checkpoint(Config(filters=(16,), kernel_sizes=(13,), dense_units=(4,), sequence_length=40))
    with refuses("kmer-cpu: ", "14 bases"):
        open_session(wide, "kmer-cpu")
    opened: list[str] = []
    start = session.start

    def recording(weights: Checkpoint | Path, runtime: str, options: RunOptions) -> Engine:
        opened.append(runtime)
        return start(random_checkpoint(ODD) if runtime == "onnx-cpu" else weights, "kmer-cpu", options)

    monkeypatch.setattr(session, "start", recording)
    open_automatic(lambda files: wide)  # noqa: ARG005
    assert opened == ["kmer-cpu", "onnx-cpu"]


@pytest.mark.usefixtures("no_cuda")
def test_weights_that_no_candidate_accepts_raise_their_own_error() -> None:
    def absent(files: tuple[str, ...]) -> Path:
        raise ZooError(f"no such file, {len(files)} suffixes of {len(set(files))}")

    with pytest.raises(ZooError, match=r"^no such file, 2 suffixes of 1$"):
        open_automatic(absent)


@pytest.mark.usefixtures("no_cuda")
def test_a_precision_that_no_runtime_has_names_what_each_one_has() -> None:
    with refuses("kmer-cpu", "onnx-cpu", "torch-cpu", "fp32", "bf16", "tf32", "no GPU"):
        open_automatic(lambda _: random_checkpoint(ODD), RunOptions(precision="tf32"))


WAYS = [name for name in CONFIGS if name.startswith("odd ")]


@pytest.mark.usefixtures("no_cuda")
@pytest.mark.parametrize("name", WAYS)
def test_every_job_is_done_by_a_runtime_that_can_or_refused_with_the_reason_of_each(name: str) -> None:
    pytest.importorskip("tangermeme", reason="tangermeme is not installed; see extra explain")
    weights = random_checkpoint(CONFIGS[name])
    running = with_strands(open_automatic(lambda _: weights), "average")
    codes = np.random.default_rng(0).integers(0, 4, (2, weights.spec.sequence_length), np.uint8)
    references = np.random.default_rng(1).permuted(codes[:, None], axis=2)
    assert np.isfinite(running.predict(codes)).all()
    assert running.windows(np.concatenate([*codes]), len(codes[0])).shape[0] == 2
    assert session.refuses(running.runtime, weights.spec) is None
    jobs = {"contributions": (codes, references, 0), "gradient": (codes, 0)}
    for way, arguments in jobs.items():
        compute = getattr(running, way)
        if weights.spec.architecture in WITHOUT_DERIVATIVE:
            with refuses(way, weights.spec.architecture, "kmer-cpu", "onnx-cpu", "torch-cpu", "counts words"):
                running.runtime_of(way)
            with refuses(way, "torch-cpu"):
                compute(*arguments)
            continue
        chosen = running.runtime_of(way)
        assert way in session.ways(chosen)
        assert session.refuses(chosen, weights.spec) is None
        assert compute(*arguments).any()


@pytest.mark.parametrize("gpu", [MissingDependency, ZooError])
def test_a_missing_gpu_is_left_out_if_the_reasons_do_not_fit(gpu: type[ZooError]) -> None:
    reasons = {
        "onnx-cuda": gpu("no GPU " + "z" * 30),
        "kmer-cpu": ZooError("x " * 60 + "(why)"),
        "torch-cpu": ZooError("y " * 60),
    }
    message = str(refusal("none", reasons))
    assert ("no GPU" in message) == (gpu is ZooError)
    assert ("(why)" in message) == (gpu is MissingDependency)
    assert "no GPU" in str(refusal("none", reasons | {"kmer-cpu": ZooError("x")}))


@pytest.mark.usefixtures("no_cuda")
def test_weights_that_change_between_two_runtimes_are_refused() -> None:
    config = CONFIGS["odd basset"]
    given = [random_checkpoint(config, seed) for seed in range(4)]
    running = open_automatic(lambda _: given.pop())
    with refuses("torch-cpu", "have changed"):
        running.runtime_of("gradient")
