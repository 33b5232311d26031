"""Models in other processes: pickled, spawned, forked."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import RUNTIME
from refusals import refuses

import zoo
from zoo.prediction.model import Model
from zoo.weights import checkpoint


def in_a_process(method: str, work: Callable[..., object], *arguments: object) -> object:
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        return pool.submit(work, *arguments).result()


KEPT: dict[str, Model] = {}
"""What a process that is forked finds."""


def use_what_was_kept(texts: list[str]) -> np.ndarray:
    return KEPT["model"].predict(texts)


def use(model: Model, texts: list[str]) -> np.ndarray:
    return model.predict(texts)


class TestProcesses:
    """Point: a Model can be pickled and is loaded again; a process that was forked says so instead of hanging."""

    @pytest.fixture
    def model(self, file: Path) -> Model:
        """Fresh: k-mer tables are built after some sequences, and round otherwise."""
        return zoo.load(weights=file, runtime=RUNTIME[1], batch_size=7)

    def test_a_pickled_model_gives_the_same_numbers(self, model: Model, texts: list[str]) -> None:
        again = pickle.loads(pickle.dumps(model))
        assert (again.runtime, again.batch_size, again.spec) == (model.runtime, model.batch_size, model.spec)
        assert np.array_equal(again.predict(texts), model.predict(texts))

    def test_it_goes_to_a_process_that_is_spawned(self, model: Model, texts: list[str]) -> None:
        assert np.array_equal(in_a_process("spawn", use, model, texts), model.predict(texts))

    @pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
    @pytest.mark.parametrize("runtime", ["kmer-cpu", "onnx-cpu"])
    def test_a_process_that_is_forked_says_what_to_do(self, file: Path, texts: list[str], runtime: str) -> None:
        KEPT["model"] = zoo.load(weights=file, runtime=runtime)
        KEPT["model"].predict(texts)
        with refuses("fork", "multiprocessing.get_context('spawn')", "DataLoader(multiprocessing_context='spawn')"):
            in_a_process("fork", use_what_was_kept, texts)

    def test_what_was_given_to_load_is_kept(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(file.parent)
        content = pickle.dumps(zoo.load(weights=file.name, runtime=RUNTIME[1], batch_size=7, threads=1))
        monkeypatch.chdir("/")
        again = pickle.loads(content)
        assert again.batch_size == 7
        assert again.spec == random_checkpoint(ODD).spec

    def test_a_file_that_has_changed_is_noticed(self, tmp_path: Path) -> None:
        path = tmp_path / "w.safetensors"
        checkpoint.save(random_checkpoint(ODD), path)
        loaded = zoo.load(weights=path, runtime=RUNTIME[1])
        content = pickle.dumps(loaded)
        path.write_bytes(path.read_bytes() + b" ")
        with refuses("w.safetensors", "changed"):
            pickle.loads(content)
        with refuses("w.safetensors", "changed"):
            pickle.dumps(loaded)
        path.unlink()
        with refuses("w.safetensors", "changed"):
            pickle.loads(content)

    def test_bundled_weights_go_by_their_name(self) -> None:
        loaded = zoo.load("tuned", runtime=RUNTIME[1])
        assert pickle.loads(pickle.dumps(loaded)).spec == loaded.spec
        assert len(pickle.dumps(loaded)) < 2000
