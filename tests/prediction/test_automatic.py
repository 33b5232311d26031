"""The runtime "auto" is the first that can run, in the order of the defaults; the session names it."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from refusals import refuses

from zoo.errors import MissingDependency, ZooError
from zoo.models.deepstarr import Config
from zoo.options import RunOptions
from zoo.prediction import session
from zoo.prediction.session import Session, open_automatic, open_session
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

    def refusing(weights: Path, runtime: str, options: RunOptions | None) -> Session:
        assert options == RunOptions(threads=1)
        tried.append((runtime, weights))
        raise MissingDependency(f"{runtime} cannot run here")

    monkeypatch.setattr(session, "missing", lambda runtime: None)  # noqa: ARG005
    monkeypatch.setattr(session, "open_session", refusing)
    with pytest.raises(MissingDependency, match=r"^onnx-cpu cannot run here$"):
        open_automatic(lambda files: Path("".join(files) or "checkpoint"), RunOptions(threads=1))
    checkpoint, graph = Path("checkpoint"), Path(".onnx")
    assert tried == list(zip(session.automatic(), (graph, checkpoint, checkpoint, graph), strict=True))


@pytest.mark.usefixtures("no_cuda")
def test_a_network_too_wide_for_tables_runs_on_the_next_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = random_checkpoint(Config((16,), (13,), (4,), 0.0, 40))
    with refuses("kmer-cpu: ", "14 bases"):
        open_session(wide, "kmer-cpu")
    opened: list[str] = []
    start = session.open_session

    def recording(weights: Checkpoint | Path, runtime: str, options: RunOptions | None) -> Session:
        opened.append(runtime)
        return start(random_checkpoint(ODD) if runtime == "onnx-cpu" else weights, "kmer-cpu", options)

    monkeypatch.setattr(session, "open_session", recording)
    open_automatic(lambda files: wide)  # noqa: ARG005
    assert opened == ["kmer-cpu", "onnx-cpu"]


@pytest.mark.usefixtures("no_cuda")
def test_weights_that_no_candidate_accepts_raise_the_error_of_the_last_one() -> None:
    def absent(files: tuple[str, ...]) -> Path:
        raise ZooError(f"no such file, {len(files)} suffixes")

    with pytest.raises(ZooError, match=r"^no such file, 1 suffixes$"):
        open_automatic(absent)
