"""Every runtime of the registry refuses in one line everything that it cannot do."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoints import ODD, SMALL_CONFIGS, random_checkpoint
from refusals import refuses

from zoo import registry
from zoo.errors import MissingDependency, ZooError
from zoo.options import PRECISIONS, RunOptions
from zoo.prediction import session
from zoo.prediction.session import open_session
from zoo.weights import checkpoint

RUNTIMES = session.runtime_names()
ENGINES = registry.names("runtimes")


def refusal(runtime: str, weights: checkpoint.Checkpoint | Path, options: RunOptions | None = None) -> str:
    with pytest.raises(ZooError) as caught:
        open_session(weights, runtime, options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def as_if_it_could_run(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the test of the device and the library, which the checks before the start of an engine do not need."""
    monkeypatch.setattr(session.plugin(runtime), "missing", lambda device: None)  # noqa: ARG005


@pytest.mark.usefixtures("as_if_it_could_run")
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_precision_that_a_runtime_lacks_is_refused_with_those_that_it_has(runtime: str) -> None:
    own = session.plugin(runtime).PRECISIONS[session.split_name(runtime)[1]]
    assert set(own) <= set(PRECISIONS)
    weights = random_checkpoint(ODD)
    for precision in set(PRECISIONS) - set(own):
        with refuses(f"{runtime}: ", "precision", *own, precision):
            open_session(weights, runtime, RunOptions(precision=precision))


@pytest.mark.usefixtures("as_if_it_could_run")
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_file_of_another_kind_is_refused(runtime: str, tmp_path: Path) -> None:
    path = tmp_path / "model.xyz"
    path.write_bytes(b"anything")
    message = refusal(runtime, path)
    assert message.startswith(f"{path}: {runtime} ")
    assert ".safetensors" in message


@pytest.mark.parametrize(
    "content", [b"", b"not a graph\n", b"\x08\x08\x12\x07pytorch:"], ids=["empty", "text", "cut off"]
)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_damaged_file_of_its_own_kind_is_refused_by_its_name(runtime: str, content: bytes, tmp_path: Path) -> None:
    if session.missing(runtime):
        pytest.skip(f"{runtime}: {session.missing(runtime)}")
    for suffix in session.files(runtime):
        path = tmp_path / f"damaged{suffix}"
        path.write_bytes(content)
        assert refusal(runtime, path).startswith(str(path))


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if not name.endswith("-cpu")])
def test_an_absent_device_is_an_error_and_never_replaced_by_another(runtime: str) -> None:
    reason = session.missing(runtime)
    if reason is None:
        pytest.skip(f"{runtime} can run here")
    with refuses(runtime, reason, kind=MissingDependency):
        open_session(random_checkpoint(ODD), runtime)


@pytest.mark.parametrize("name", SMALL_CONFIGS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_that_a_runtime_cannot_run_is_refused_before_anything_starts(
    runtime: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, weights = session.plugin(runtime), random_checkpoint(SMALL_CONFIGS[name])
    reason = session.refuses(runtime, weights.spec)
    if reason is None:
        return
    assert reason
    assert "\n" not in reason

    def start(*_: object) -> None:
        pytest.fail("it started")

    monkeypatch.setattr(module, "missing", lambda device: None)  # noqa: ARG005
    monkeypatch.setattr(module, "start", start)
    assert refusal(runtime, weights) == f"{runtime}: {reason}"


@pytest.mark.parametrize("engine", ENGINES)
def test_declarations_are_about_devices_of_the_engine(engine: str) -> None:
    module = registry.load("runtimes", engine)
    assert set(module.PRECISIONS) == set(module.DEVICES)
    for ranks in ("AUTOMATIC", "TRUST"):
        assert set(getattr(module, ranks, {})) <= set(module.DEVICES)
    assert hasattr(module, "start_file") == bool(getattr(module, "FILES", ()))
    assert (module.__doc__ or "").strip()


def test_ranks_differ() -> None:
    for ranks in ("AUTOMATIC", "TRUST"):
        given = [
            rank for module in registry.working("runtimes").values() for rank in getattr(module, ranks, {}).values()
        ]
        assert len(set(given)) == len(given) > 1
