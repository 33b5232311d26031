"""Every runtime gives, with the bundled weights, what real Keras said of our own sequences; no reference data needed.

The numbers stand in tests/data; make_keras_numbers.py beside them makes them anew.
"""

from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mistakes import base_order_actg, epsilon_of_pytorch, keras_flatten_order, scaled, targets_swapped

from zoo.checks import parity
from zoo.errors import ZooError
from zoo.formats.fasta import Reader
from zoo.prediction import session
from zoo.prediction.model import Model, load
from zoo.prediction.run import description_path
from zoo.weights import checkpoint, lookup

STORED = Path(__file__).parents[1] / "data"
SEQUENCES = STORED / "sequences.fa"
SCRIPT = STORED / "make_keras_numbers.py"
HOW = f"run python {SCRIPT.relative_to(STORED.parents[1])}"

TOLERANCE = 2e-5
"""Largest absolute difference to what real Keras said."""

NAMES = sorted(lookup.catalog())


def runnable(runtime: str) -> list[pytest.MarkDecorator]:
    reason = session.missing(runtime)
    marks = [] if runtime.endswith("-cpu") else [pytest.mark.gpu]
    return [*marks, pytest.mark.skipif(reason is not None, reason=f"{runtime}: {reason}")]


RUNTIMES = [pytest.param(runtime, marks=runnable(runtime)) for runtime in session.runtime_names()]


def table_of(name: str, folder: Path = STORED) -> Path:
    """The stored numbers of bundled weights; fails if there are none, or if they are those of other weights."""
    table = folder / f"{name}.keras.tsv"
    description = description_path(table)
    if not table.is_file():
        # rightly absent only where Keras cannot run the weights
        try:
            session.open_session(lookup.load(name), "keras-cpu")
        except ZooError as error:
            pytest.skip(f"{name}: no stored numbers: {error}")
        pytest.fail(f"{table}: what Keras says of the bundled weights is not stored; {HOW}")
    stored = json.loads(description.read_text("utf-8"))["weights"]["id"]
    if stored != lookup.catalog()[name]["weights_id"]:
        pytest.fail(f"{table}: numbers of the weights {stored[:12]}, other ones are bundled as {name}; {HOW}")
    return table


def furthest(model: Model, table: Path) -> float:
    """The largest absolute difference between what a model gives and the stored numbers."""
    (names, codes), *rest = Reader(SEQUENCES, model.spec.sequence_length)
    assert not rest
    return float(np.abs(model.predict_codes(codes) - parity.read_table(table, names, model.spec.targets)).max())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_runtime_gives_the_stored_numbers(runtime: str, name: str) -> None:
    table = table_of(name)
    assert furthest(load(name, runtime=runtime), table) <= TOLERANCE


@pytest.mark.parametrize(
    "mistake",
    [
        scaled("conv1.weight"),
        scaled("conv2_norm.running_var"),
        scaled("dense1.weight"),
        scaled("head.bias"),
        base_order_actg,
        keras_flatten_order,
        epsilon_of_pytorch,
        targets_swapped,
    ],
    ids=["conv1+1%", "variance+1%", "dense1+1%", "head bias+1%", "ACTG", "flatten", "epsilon", "targets"],
)
@pytest.mark.parametrize("name", [name for name in NAMES if lookup.load(name).spec.architecture == "deepstarr"])
def test_every_known_mistake_of_a_port_departs_from_the_stored_numbers(
    name: str, mistake: Callable[[dict[str, np.ndarray]], None], tmp_path: Path
) -> None:
    right = lookup.load(name)
    arrays = dict(right.arrays)
    mistake(arrays)
    path = tmp_path / "wrong.safetensors"
    checkpoint.save(checkpoint.make(right.spec.architecture, right.config, arrays, "a mistake", "none"), path)
    assert furthest(load(weights=path, runtime="kmer-cpu"), table_of(name)) > TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_other_weights_are_refused(name: str, tmp_path: Path) -> None:
    table = table_of(name)
    copy = Path(shutil.copy(table, tmp_path))
    description = json.loads(description_path(table).read_text("utf-8"))
    description["weights"]["id"] = "0" * 64
    description_path(copy).write_text(json.dumps(description))
    message = f"numbers of the weights 0{{12}}, other ones are bundled as {name}; run python tests/data/make_keras"
    with pytest.raises(pytest.fail.Exception, match=message):
        table_of(name, tmp_path)


def test_weights_without_numbers_fail_where_keras_can_run_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "open_session", lambda *_: None)
    message = r"\.keras\.tsv: what Keras says of the bundled weights is not stored; run python tests/data/make_keras_n"
    with pytest.raises(pytest.fail.Exception, match=message):
        table_of(NAMES[0], tmp_path)

    def refuse(*_: object) -> None:
        raise ZooError("keras-cpu does not run this network")

    monkeypatch.setattr(session, "open_session", refuse)
    with pytest.raises(pytest.skip.Exception, match="no stored numbers: keras-cpu does not run this network"):
        table_of(NAMES[0], tmp_path)


def test_the_numbers_are_those_of_keras() -> None:
    tables = sorted(STORED.glob("*.keras.tsv"))
    assert tables
    assert {table.name.partition(".")[0] for table in tables} <= set(NAMES)
    for table in tables:
        description = json.loads(description_path(table).read_text("utf-8"))
        assert description["runtime"] == "keras-cpu"
        assert description["provider"].startswith("cpu (tf_keras ")


def test_the_sequences_are_those_that_the_script_makes() -> None:
    made = runpy.run_path(str(SCRIPT))["fasta"]()
    assert SEQUENCES.read_bytes() == made, HOW
    (names, codes), *_ = Reader(SEQUENCES, 249)
    assert len(set(names)) == len(names) == len(codes) > 100
