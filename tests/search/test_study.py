"""A study draws the same points again, none twice, whoever asks, and better ones than chance does."""

from __future__ import annotations

import dataclasses
import os
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from refusals import refuses

optuna = pytest.importorskip("optuna")

from checkpoints import MODELS  # noqa: E402
from searches import HILL, hill, new_study, search, trained  # noqa: E402

from zoo.search import results, space_files, study, workers  # noqa: E402
from zoo.search.objective import Objective  # noqa: E402
from zoo.search.search_options import Sampler, SearchOptions  # noqa: E402
from zoo.search.space import key  # noqa: E402
from zoo.search.workers import Worker  # noqa: E402
from zoo.training.config import read_toml  # noqa: E402

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_tpe_beats_random_in_the_median_of_7_seeds_at_60_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storages: dict[Path, object] = {}

    def in_memory(_: object, folder: Path) -> object:
        return storages.setdefault(folder, optuna.storages.InMemoryStorage())

    monkeypatch.setattr(study, "open_storage", in_memory)
    best: dict[str, list[float]] = {"tpe": [], "random": []}
    for sampler, found in best.items():
        for seed in range(7):
            made = new_study(tmp_path / f"{sampler}{seed}", hill(), trials=60, sampler=sampler, seed=seed)
            search(made)
            found.append(made.finished()[0].values[0])
    assert statistics.median(best["tpe"]) > statistics.median(best["random"])
    assert statistics.median(best["tpe"]) > -0.02  # the optimum is 0


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_draws_the_same_points_and_another_one_others(tmp_path: Path, sampler: str) -> None:
    points = [
        [one.point for one in search(new_study(tmp_path / str(n), hill(), trials=14, sampler=sampler, seed=seed))]
        for n, seed in enumerate([3, 3, 4])
    ]
    assert points[0] == points[1]
    assert points[0] != points[2]


def test_a_study_in_parts_draws_what_one_in_one_piece_draws(tmp_path: Path) -> None:
    whole = [one.point for one in search(new_study(tmp_path / "whole", hill(), trials=14))]
    parts = [one.point for one in search(new_study(tmp_path / "parts", hill(), trials=14), trials=6)]
    parts += [one.point for one in search(new_study(tmp_path / "parts", hill(), resume=True, trials=14))]
    assert parts == whole


def test_a_trial_that_something_else_put_into_the_storage_is_refused_by_its_number(tmp_path: Path) -> None:
    made = new_study(tmp_path / "study", hill(), trials=3)
    search(made, trials=2)
    made.optuna_study.enqueue_trial({"dropout": 0.5})
    for look in (lambda: search(made), made.trials, made.finished):
        with refuses("study: trial 2", "'search'", "--output", "--name"):
            look()


def test_what_a_dead_worker_left_is_taken_up_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    made = new_study(tmp_path / "study", hill(), trials=3)
    dead, living = Worker(made.folder), Worker(made.folder)
    with dead.at_work():
        left = made.draw(dead.name, dead.alive)
    assert left is not None
    with living.at_work(), Worker(made.folder).at_work() as third:
        taken = made.draw(living.name, living.alive)
        assert taken is not None
        assert (taken.number, taken.point, taken.resumed) == (0, left.point, True)
        other = made.draw(third.name, third.alive)
        assert other is not None
        assert (other.number, other.resumed) == (1, False)
        assert workers.living(made.folder) == sorted([living.name, third.name])
    assert workers.living(made.folder) == []


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from searches import height, hill, new_study
from zoo.search.workers import Worker
study = new_study(Path(sys.argv[1]), hill(), resume=True, trials=30)
with Worker(study.folder).at_work() as worker:
    for number in range(int(sys.argv[3])):
        drawn = study.draw(worker.name, worker.alive)
        if drawn is None:
            break
        if number + 1 == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
        study.tell(drawn, [height(drawn.point)])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_workers_at_once_train_no_point_twice_and_killed_ones_lose_only_what_they_train(tmp_path: Path) -> None:
    made = new_study(tmp_path / "study", hill(), trials=30)
    here = str(ROOT / "tests")

    def start(killed_at: int) -> subprocess.Popen[bytes]:
        arguments = [str(made.folder), here, "30", str(killed_at)]
        return subprocess.Popen([sys.executable, "-c", KILLED, *arguments], env={**os.environ, "PYTHONPATH": str(ROOT)})

    first = [start(killed_at) for killed_at in (4, 6)]
    assert [process.wait(timeout=300) for process in first] == [-signal.SIGKILL] * 2
    assert len(made.finished()) == 8
    assert sum(one.state.name == "RUNNING" for one in made.trials()) in (
        1,
        2,
    )  # the second may have taken up the first's
    second = [start(0) for _ in range(2)]
    assert [process.wait(timeout=300) for process in second] == [0, 0]
    trials = made.trials()
    assert [one.state.name for one in trials] == ["COMPLETE"] * 30
    assert len({key(one.params) for one in trials}) == 30


def test_a_space_that_is_done_ends_the_search_and_equal_points_count_once(tmp_path: Path) -> None:
    tables = {"model": {**HILL["model"], "dropout": 0.1, "filters": [{"choices": [1, 2]}] * 4}, "train": {}}
    space = space_files.from_tables(named(tables), "small")
    assert space.size() == 2 + 4 + 8 + 16
    for sampler in ("tpe", "grid", "random"):
        made = new_study(tmp_path / sampler, space, trials=100, sampler=sampler)
        with Worker(made.folder).at_work() as worker:
            points = []
            while (one := made.draw(worker.name, worker.alive)) is not None:
                made.tell(one, [float(one.number)])
                points.append(key(one.point))
        assert sorted(points) == sorted(map(key, space.points())), sampler


@pytest.mark.parametrize("sampler", ["tpe", "grid", "random"])
def test_every_possible_point_is_trained_and_then_none_is_left(tmp_path: Path, sampler: Sampler) -> None:
    tables = {
        "model": {"architecture": "deepstarr", "dropout": {"choices": [0.1, 0.2, 0.3]}},
        "train": {"batch_size": {"choices": [16, 32]}},
    }
    space = space_files.from_tables(tables, "small")

    def possible(point: dict) -> bool:
        return point["dropout"] != 0.2

    options = SearchOptions(output=tmp_path, sampler=sampler, trials=100).settled({})
    study.create(tmp_path, space.facts(), (Objective("pearson", "dev"),), options)
    made = study.Study(tmp_path, space, (Objective("pearson", "dev"),), options, possible)
    points = []
    with Worker(tmp_path).at_work() as worker:
        while (one := made.draw(worker.name, worker.alive)) is not None:
            made.tell(one, [float(one.number)])
            points.append(key(one.point))
    assert sorted(points) == sorted(key(point) for point in space.points() if possible(point))


@pytest.mark.parametrize("sampler", ["tpe", "grid", "random"])
@pytest.mark.parametrize(
    ("low", "high", "step", "values"),
    [
        (0.1, 0.3, 0.1, [0.1, 0.2, 0.3]),  # 0.1 + 2 * 0.1 > 0.3
        (0.05, 0.35, 0.1, [0.05, 0.15, 0.25, 0.35]),
        (0.1, 0.35, 0.1, [0.1, 0.2, 0.3]),  # no whole number of steps
        (0, 0.9, 0.45, [0, 0.45, 0.9]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_every_step_of_a_range_is_drawn_once(
    tmp_path: Path, sampler: Sampler, low: float, high: float, step: float, values: list[float]
) -> None:
    dropout = {"low": low, "high": high, "step": step}
    space = space_files.from_tables({"model": {"architecture": "deepstarr", "dropout": dropout}}, "steps")
    drawn = []
    made = new_study(tmp_path / "study", space, trials=100, sampler=sampler)
    with Worker(made.folder).at_work() as worker:
        while (one := made.draw(worker.name, worker.alive)) is not None:
            made.tell(one, [0.0])
            drawn.append(one.point["dropout"])
    assert sorted(drawn) == pytest.approx(values)
    assert max(drawn) <= high


@pytest.mark.parametrize("architecture", MODELS)
def test_the_best_trial_is_read_again_whatever_the_network_is_made_of(tmp_path: Path, architecture: str) -> None:
    tables = {"model": {"architecture": architecture}, "train": {"batch_size": {"choices": [16, 32]}}}
    space = space_files.from_tables(tables, "small")
    made = new_study(tmp_path / "study", space, trials=1)
    search_one(made)
    length = max(249, space.plugin.Config().sequence_length)
    source = SimpleNamespace(sequence_length=length, targets=("dev", "hk"))
    (tmp_path / "best.toml").write_text(results.best_toml(made, made.finished()[0], source))  # type: ignore[arg-type]
    read = read_toml(tmp_path / "best.toml")
    assert read["model"].pop("architecture") == architecture
    expected = dataclasses.replace(
        space.config(made.finished()[0].params), sequence_length=length, targets=("dev", "hk")
    )
    assert space.plugin.Config(**read["model"]) == expected


def search_one(made: study.Study) -> None:
    with Worker(made.folder).at_work() as worker:
        one = made.draw(worker.name, worker.alive)
        assert one is not None
        made.tell(one, [0.5])


def named(tables: dict) -> dict:
    filters = [{**one, "name": f"width{number}"} for number, one in enumerate(tables["model"]["filters"])]
    return {**tables, "model": {**tables["model"], "filters": filters}}


def test_a_trial_that_two_machines_drew_at_once_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new_study(tmp_path / "study", hill(), trials=3)
    other = new_study(tmp_path / "study", hill(), resume=True, trials=3)
    propose = made._propose

    def meanwhile(trials: list) -> object:
        proposed = propose(trials)
        if not trials:
            other._make(proposed, "another-machine")
        return proposed

    monkeypatch.setattr(made, "_propose", meanwhile)
    drawn = made.draw("here", lambda _: True)
    assert drawn is not None
    assert drawn.number == 2
    assert [one.number for one in made.trials()] == [0, 2]
    assert len({key(one.params) for one in made.trials()}) == 2


def test_a_study_of_something_else_is_refused_and_says_what_differs(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    made = new_study(folder, hill(), trials=2)
    facts = made.space.facts()
    options = SearchOptions(output=folder, resume=True).settled({})
    objectives = (Objective("pearson", "dev"),)
    changed = {**facts, "train": {"epochs": 3}}
    with refuses("'search'", "train", "epochs", None, 3):
        study.create(folder, changed, objectives, options)
    with refuses("'search'", "--resume"):
        new_study(folder, hill(), trials=2)


def test_half_a_line_that_a_killed_process_left_is_taken_off(tmp_path: Path) -> None:
    made = new_study(tmp_path / "study", hill(), trials=4)
    search(made, trials=2)
    journal = made.folder / study.JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"wor')
    Path(f"{journal}.lock").symlink_to(journal)
    study.repair(journal)
    assert journal.read_bytes() == whole
    assert len(search(new_study(made.folder, hill(), resume=True, trials=4))) == 2


def test_a_database_keeps_a_study_too(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    url = f"sqlite:///{tmp_path}/studies.db"
    points = [one.point for one in search(new_study(tmp_path / "one", hill(), trials=12, storage=url))]
    journal = [one.point for one in search(new_study(tmp_path / "two", hill(), trials=12))]
    assert points == journal
    resumed = new_study(tmp_path / "three", hill(), resume=True, trials=12, storage=url)
    assert trained(results.rows(resumed))[0]["dropout"] == points[0]["dropout"]
    with refuses("--storage", "sqlite:////nowhere/x.db"):
        new_study(tmp_path / "four", hill(), storage="sqlite:////nowhere/x.db")


def test_a_grid_that_is_too_large_or_has_a_range_is_refused(tmp_path: Path) -> None:
    with refuses("grid", "dropout"):
        new_study(tmp_path / "one", hill(), sampler="grid")
    with refuses("grid", "100,000", "112,140,288", "--sampler"):
        new_study(tmp_path / "two", space_files.of_model("deepstarr"), sampler="grid")
