"""Trials are trainings: the same seed gives the same trials, killed or not, and their files are whole."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from refusals import refuses

torch = pytest.importorskip("torch")
pytest.importorskip("optuna")

from forked import FORKED, was_killed  # noqa: E402
from searches import search_until_killed, tiny, trained, write_table  # noqa: E402

from zoo import registry  # noqa: E402
from zoo.comparison import contenders  # noqa: E402
from zoo.data import dataset  # noqa: E402
from zoo.errors import CheckFailed  # noqa: E402
from zoo.search import confirm, results, run, trial, workers  # noqa: E402
from zoo.search.search_options import SearchOptions  # noqa: E402
from zoo.training import run as training_run  # noqa: E402
from zoo.training.config import read_model  # noqa: E402
from zoo.weights import network  # noqa: E402

SMALL = 'architecture = "deepstarr"\nfilters = [4]\nkernel_sizes = [3]\ndense_units = [4]\nsequence_length = 40'
"""A table [model] to compare with."""


def searched(
    folder: Path, output: str = "study", reporter: run.SearchReporter | None = None, **options: Any
) -> run.Result:
    space, table = folder / "tiny.toml", folder / "mine.tsv"
    if not table.exists():
        tiny(folder)
        write_table(table)
    where = SearchOptions(output=folder / output, **{"trials": 3, "threads": 1, "device": "cpu", **options})
    return run.run(str(space), run.Data(table), where, reporter)


@pytest.mark.drawn
def test_a_study_writes_the_files_of_the_page_and_its_best_trial_can_be_trained(tmp_path: Path) -> None:
    result = searched(tmp_path, trials=5)
    study = result.study
    left = {path.name for path in study.folder.iterdir()}
    assert left >= {"trials.tsv", "best.toml", "pareto.tsv", "report.html", "history.png", "parallel.png", "cost.png"}
    header, *rows = (study.folder / "trials.tsv").read_text().splitlines()
    assert header.split("\t") == results.columns(study)
    assert len(rows) == 5
    best = study.finished()[0]
    architecture, config, settings = read_model(str(study.folder / "best.toml"))
    assert (architecture, config.sequence_length, config.targets) == ("deepstarr", 40, ("dev", "hk"))
    assert config.filters[0] == best.params["filters1"]
    assert settings["learning_rate"] == best.params["learning_rate"]
    row = results.rows(study)[best.number]
    receipts = json.loads((study.folder / "trials" / f"{best.number:04d}" / "run.json").read_text())
    assert (receipts["status"], receipts["test"]) == ("finished", None)
    assert row["best_epoch"] == receipts["best_epoch"]
    metrics = (study.folder / "trials" / f"{best.number:04d}" / "metrics.csv").read_text().splitlines()
    column = metrics[0].split(",").index("validation_pearson_dev")
    assert float(metrics[receipts["best_epoch"]].split(",")[column]) == best.values[0]
    assert 'src="history.png"' in (study.folder / "report.html").read_text()
    assert "Not confirmed" in (study.folder / "report.html").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_search_killed_in_its_third_trial_and_resumed_gives_the_same_trials(tmp_path: Path) -> None:
    whole = searched(tmp_path, "whole", trials=6)
    assert was_killed(search_until_killed, tmp_path)
    assert (tmp_path / "killed" / "trials" / "0002" / "checkpoints").is_dir()
    again = searched(tmp_path, "killed", trials=6, resume=True)
    rows = results.rows(again.study)
    assert [row["trial"] for row in rows] == list(range(6))
    assert trained(rows) == trained(results.rows(whole.study))
    for number in range(6):
        name = Path("trials") / f"{number:04d}" / "weights.safetensors"
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_trial_whose_folder_is_damaged_begins_anew(tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(step: run.Step) -> None:
        if step.name == "trial 1" and step.done > 0.5:
            raise StopError

    with pytest.raises(StopError):
        searched(tmp_path, reporter=run.SearchReporter(step=stop))
    for path in (tmp_path / "study" / "trials" / "0001" / "checkpoints").iterdir():
        path.write_bytes(b"")
    again = searched(tmp_path, resume=True)
    whole = searched(tmp_path, "whole")
    assert trained(results.rows(again.study)) == trained(results.rows(whole.study))


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, errors = training_run.run, {"0000": CheckFailed(reason := "epoch 1, step 1: not finite")}

    def failing(job: Any, *arguments: Any) -> dict[str, Any]:
        error = errors.pop(job.options.output.name, None)
        if error is not None:
            raise error
        return real(job, *arguments)

    monkeypatch.setattr(trial, "run", failing)
    rows = results.rows(searched(tmp_path).study)
    assert [row["state"] for row in rows] == ["failed", "complete", "complete"]
    assert rows[0]["reason"] == reason


def test_trials_and_confirmations_that_diverge_do_not_end_the_search(tmp_path: Path) -> None:
    tiny(tmp_path, **{"{ low = 1e-4, high = 1e-2, log = true }": "{ choices = [1e-3, 1e8] }"})
    write_table(tmp_path / "mine.tsv")
    wild = tmp_path / "wild.toml"
    wild.write_text(f"[model]\n{SMALL}\n\n[train]\nlearning_rate = 1e8\n")
    notes: list[str] = []
    result = searched(
        tmp_path, trials=4, confirm=1, against=(str(wild),), reporter=run.SearchReporter(note=notes.append)
    )
    rows = results.rows(result.study)
    assert {(row["learning_rate"], row["state"]) for row in rows} == {(1e-3, "complete"), (1e8, "failed")}
    assert all("diverges" in row["reason"] for row in rows if row["state"] == "failed")
    (line,) = [line for line in notes if "diverged" in line]
    assert "wild" in line
    assert {(one.found.verdict, one.second_score) for one in result.comparisons} == {("no clear difference", None)}
    assert all(contenders.NO_WEIGHTS in one.words for one in result.comparisons)


def test_out_of_memory_is_recorded_with_the_option_that_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory")

    monkeypatch.setattr(training_run, "_run", full)
    rows = results.rows(searched(tmp_path).study)
    assert [row["state"] for row in rows] == ["failed"] * 3
    assert all(fact in rows[0]["reason"] for fact in ("cpu", "memory", "32 sequences", "--batch-size"))


def test_no_trial_sees_the_test_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = training_run.run

    def looking(job: Any, source: Any, reporter: Any) -> dict[str, Any]:
        seen.append(source.test)
        return real(job, source, reporter)

    monkeypatch.setattr(trial, "run", looking)
    searched(tmp_path, trials=2)
    assert seen == [None, None]
    assert trial.without_test(dataset.read(tmp_path / "mine.tsv", ("dev", "hk"), length=40)).test is None


@pytest.mark.slow
def test_hopeless_trials_are_stopped_and_recorded_as_pruned(tmp_path: Path) -> None:
    tiny(tmp_path, **{"epochs = 3": "epochs = 6"})
    write_table(tmp_path / "mine.tsv")
    rows = results.rows(searched(tmp_path, trials=12).study)
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert pruned
    assert all(1 <= row["epochs_done"] < 6 for row in pruned)
    receipts = json.loads((tmp_path / "study" / "trials" / f"{pruned[0]['trial']:04d}" / "run.json").read_text())
    assert receipts["status"] == "stopped"
    as_many = pruned[0]["trial"] + 1
    whole = results.rows(searched(tmp_path, "all", trials=as_many, pruner="none").study)
    assert {row["state"] for row in whole} == {"complete"}


def test_two_objectives_give_a_front_and_only_the_best_weights_are_kept(tmp_path: Path) -> None:
    result = searched(tmp_path, trials=5, objective=("pearson:dev", "cost"), keep=2)
    front = [line.split("\t") for line in (tmp_path / "study" / "pareto.tsv").read_text().splitlines()]
    assert front[0][:3] == ["trial", "pearson:dev", "cost"]
    scores = [(float(pearson), float(cost)) for _, pearson, cost, *_ in front[1:]]
    everyone = [one.values for one in result.study.finished()]
    assert all(not any(p >= a and c <= b and (p, c) != (a, b) for p, c in everyone) for a, b in scores)
    kept = sorted(path.parent.name for path in (tmp_path / "study" / "trials").glob("*/weights.safetensors"))
    assert kept == sorted(f"{one.number:04d}" for one in result.study.finished()[:2])
    assert len(list((tmp_path / "study" / "trials").glob("*/metrics.csv"))) == 5


def test_the_speed_of_a_runtime_is_an_objective(tmp_path: Path) -> None:
    result = searched(tmp_path, trials=1, objective=("speed:kmer-cpu",))
    assert result.study.finished()[0].values[0] > 0
    assert result.study.objectives[0].direction == "maximize"


def test_arithmetic_is_that_of_the_paper() -> None:
    found = {
        name: network.arithmetic("deepstarr", c) for name, c in registry.load("models", "deepstarr").VARIANTS.items()
    }
    assert (found["original"], found["tuned"]) == (19_622_400, 9_850_576)


def test_two_processes_train_each_trial_once_and_confirm_with_other_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda _: FORKED)  # a new one imports PyTorch
    other = tmp_path / "other.toml"
    other.write_text(f"[model]\n{SMALL}\n")
    result = searched(tmp_path, trials=3, workers=2, confirm=2, against=(str(other),))
    rows = results.rows(result.study)
    assert [row["state"] for row in rows] == ["complete"] * 3
    assert workers.living(result.study.folder) == []
    assert [(one.second, one.target, one.trainings) for one in result.comparisons] == [
        ("other", "dev", 2),
        ("other", "hk", 2),
    ]
    for one in result.comparisons:
        assert one.found.verdict in one.words or "no clear difference" in one.words
        assert one.found.difference == pytest.approx(one.first_score.value - one.second_score.value)
    seeds = {json.loads(path.read_text())["train"]["seed"] for path in (tmp_path / "study").glob("confirm/*/run.json")}
    assert seeds == {1, 2}
    best = tmp_path / "study" / results.BEST
    copied = Path(shutil.copy(best, tmp_path / "copied.toml"))
    for model, facts in ((best, ["best.toml"]), (copied, ["copied", f"trial {result.study.finished()[0].number}"])):
        with refuses("--against", *facts):
            searched(tmp_path, trials=3, resume=True, confirm=2, against=(str(model),))
    with refuses("--against", "copied", "again"):
        again = str(shutil.copy(best, tmp_path / "again.toml"))
        searched(tmp_path, trials=3, resume=True, confirm=2, against=(str(copied), again))
    table = (tmp_path / "study" / confirm.TABLE).read_text().splitlines()
    assert len(table) == 3
    assert result.comparisons[0].words in (tmp_path / "study" / "report.html").read_text().replace("&#x27;", "'")


def test_a_confirmation_without_a_test_split_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    tiny(tmp_path)
    write_table(tmp_path / "mine.tsv", test=False)
    with refuses("--confirm", "mine.tsv", "test split"):
        searched(tmp_path, confirm=2)
    assert not (tmp_path / "study").exists()


def test_each_trial_is_a_run_of_the_tracker_with_the_names_of_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = pytest.importorskip("wandb")
    logged: list[dict[str, Any]] = []
    inits: list[dict[str, Any]] = []
    real = wandb.init

    def init(**given: Any) -> Any:
        inits.append(given)
        run_of = real(**given)
        log = run_of.log
        run_of.log = lambda row, step: (logged.append(row), log(row, step=step))
        return run_of

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setattr(wandb, "init", init)
    study = searched(tmp_path, trials=2, track="wandb").study
    assert [given["group"] for given in inits] == ["study", "study"]
    assert [given["name"] for given in inits] == ["0000", "0001"]
    assert [given["config"] for given in inits] == [one.params for one in study.trials()]
    assert {"valid_pcc_dev", "valid_scc_hk", "train_mse_dev", "valid_loss"} <= logged[0].keys()
    assert len(list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))) == 2
