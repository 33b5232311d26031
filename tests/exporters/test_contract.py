"""What every exporter owes: a whole file that says what it is and gives the same numbers, or one line."""

from __future__ import annotations

import errno
import inspect
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, SMALL_CONFIGS, random_checkpoint, random_codes
from refusals import refuses

from zoo import registry
from zoo.errors import ZooError
from zoo.prediction import session
from zoo.weights.importers import importer
from zoo.weights.importers.layers import ImportOptions

pytest.importorskip("torch")

FORMATS = registry.names("exporters")
REFERENCE = "torch-cpu"


def reread(path: Path, format_: str) -> session.Session:
    """A session on an exported file: on a runtime that runs it as it is, or on the weights that are read from it."""
    if graph := getattr(registry.load("exporters", format_), "GRAPH", None):
        (path,) = path.glob(graph)
    read = getattr(registry.load("exporters", format_), "read", None)
    if read:
        return session.open_session(read(path), REFERENCE)
    for runtime in session.runtime_names():
        if path.suffix in session.files(runtime) and session.missing(runtime) is None:
            return session.open_session(path, runtime)
    return session.open_session(importer.read(path, ImportOptions()), REFERENCE)


@pytest.mark.parametrize("name", SMALL_CONFIGS)
@pytest.mark.parametrize("format_", FORMATS)
def test_the_file_says_what_it_is_and_gives_the_same_numbers(format_: str, name: str, tmp_path: Path) -> None:
    exporter, weights = registry.load("exporters", format_), random_checkpoint(SMALL_CONFIGS[name])
    path = tmp_path / f"model{exporter.SUFFIX}"
    reason = exporter.refuses(weights.spec)
    if reason:
        assert "\n" not in reason
        with pytest.raises(ZooError, match=r"^[^\n]+$"):
            exporter.export(weights, path)
        assert list(tmp_path.iterdir()) == []
        return
    exporter.export(weights, path)
    read_spec = getattr(exporter, "read_spec", None)
    if read_spec:
        assert read_spec(path) == weights.spec
    running = reread(path, format_)
    assert running.spec == weights.spec
    codes = random_codes(20, weights.spec.sequence_length)
    expected = session.open_session(weights, REFERENCE).predict(codes)
    np.testing.assert_allclose(running.predict(codes), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("format_", FORMATS)
def test_what_was_exported_stays_unless_it_may_be_replaced(format_: str, tmp_path: Path) -> None:
    exporter, first, second = (
        registry.load("exporters", format_),
        random_checkpoint(ODD),
        random_checkpoint(ODD, seed=1),
    )
    path = tmp_path / f"model{exporter.SUFFIX}"
    codes = random_codes(3, ODD.sequence_length)
    exporter.export(first, path)
    with refuses("--overwrite"):
        exporter.export(second, path)
    expected = reread(path, format_).predict(codes)
    exporter.export(second, path, overwrite=True)
    assert not np.allclose(reread(path, format_).predict(codes), expected)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_that_is_there_stays_unless_it_may_be_replaced(format_: str, tmp_path: Path) -> None:
    exporter, weights = registry.load("exporters", format_), random_checkpoint(ODD)
    path = tmp_path / f"model{exporter.SUFFIX}"
    path.write_bytes(b"mine")
    with refuses(path):
        exporter.export(weights, path)
    assert path.read_bytes() == b"mine"
    if exporter.SUFFIX:
        exporter.export(weights, path, overwrite=True)
        assert path.read_bytes() != b"mine"
    with refuses(tmp_path / "no"):
        exporter.export(weights, tmp_path / "no" / path.name)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_full_disk_leaves_nothing(format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    exporter = registry.load("exporters", format_)
    monkeypatch.setattr("zoo.system.atomic.os.fsync", full)
    with refuses("No space left on device"):
        exporter.export(random_checkpoint(ODD), tmp_path / f"model{exporter.SUFFIX}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_", FORMATS)
def test_its_options_are_keywords_with_a_default(format_: str) -> None:
    exporter = registry.load("exporters", format_)
    parameters = list(inspect.signature(exporter.export).parameters.values())
    assert [one.name for one in parameters[:2]] == ["weights", "path"]
    for one in parameters[2:]:
        assert one.kind is inspect.Parameter.KEYWORD_ONLY
        assert one.default is not inspect.Parameter.empty
        assert one.annotation is not inspect.Parameter.empty
