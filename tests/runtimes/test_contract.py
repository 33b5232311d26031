"""What every runtime of the registry owes, besides the right numbers: one line for everything that it cannot do."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoints import CONFIGS, ODD, random_checkpoint

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
    """What is checked before an engine starts needs neither the device nor the library."""
    monkeypatch.setattr(session.plugin(runtime), "missing", lambda device: None)  # noqa: ARG005


@pytest.mark.usefixtures("as_if_it_could_run")
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_precision_that_it_has_not_is_refused_with_those_that_it_has(runtime: str) -> None:
    own = session.plugin(runtime).PRECISIONS[session.split_name(runtime)[1]]
    assert set(own) <= set(PRECISIONS)
    weights = random_checkpoint(ODD)
    for precision in set(PRECISIONS) - set(own):
        message = refusal(runtime, weights, RunOptions(precision=precision))
        assert message == f"{runtime}: expected the precision {' or '.join(own)}, got {precision}"


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
def test_a_device_that_is_not_there_is_an_error_and_never_replaced_by_another(runtime: str) -> None:
    reason = session.missing(runtime)
    if reason is None:
        pytest.skip(f"{runtime} can run here")
    with pytest.raises(MissingDependency) as caught:
        open_session(random_checkpoint(ODD), runtime)
    assert str(caught.value) == f"{runtime} cannot run here: {reason}"
    assert "\n" not in reason


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_that_it_refuses_is_refused_in_one_line_before_anything_starts(
    runtime: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, weights = session.plugin(runtime), random_checkpoint(CONFIGS[name])
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
def test_what_it_declares_is_about_devices_that_it_has(engine: str) -> None:
    module = registry.load("runtimes", engine)
    assert set(module.PRECISIONS) == set(module.DEVICES)
    for ranks in ("AUTOMATIC", "TRUST"):
        assert set(getattr(module, ranks, {})) <= set(module.DEVICES)
    assert hasattr(module, "start_file") == bool(getattr(module, "FILES", ()))
    assert (module.__doc__ or "").strip()


def test_ranks_differ_so_that_the_choice_is_no_accident() -> None:
    for ranks in ("AUTOMATIC", "TRUST"):
        given = [
            rank for module in registry.working("runtimes").values() for rank in getattr(module, ranks, {}).values()
        ]
        assert len(set(given)) == len(given) > 1
