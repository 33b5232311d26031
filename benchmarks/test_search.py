"""The overhead of a search: the same points are trained with and without it, in turns.

Times are processor time, since a search never waits and elapsed time means little on a shared machine.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import needs

needs("torch", "optuna", "sklearn", "matplotlib")

import torch  # noqa: E402

from zoo.data.dataset import Dataset  # noqa: E402
from zoo.search import report, results, run, space_files, study, trial  # noqa: E402
from zoo.search.objective import Objective  # noqa: E402
from zoo.search.search_options import SearchOptions  # noqa: E402
from zoo.training import run as training  # noqa: E402
from zoo.training.config import TrainingOptions  # noqa: E402

TRIALS = 4
SEQUENCES = 2_000
FIXED = {"epochs": 3, "early_stop": 10}
"""Short trials; the overhead of each is that of a long trial."""


def test_search_over_bare_trainings(benchmark: Any, budget: float, tmp_path: Path) -> None:
    source = _source(tmp_path / "data.tsv")
    request = _request(tmp_path / "searched")
    points: list[dict[str, Any]] = []
    spent: dict[str, list[float]] = {"trainings": [], "search": [], "report": []}

    once: list[float] = []

    def turn() -> None:
        spent["search"].append(_spent(lambda: _search(request, source, points)))
        spent["report"].append(_spent(lambda: report.write(request.study(), [], "")))
        spent["trainings"].append(_spent(lambda: _train(request, source, points, tmp_path / "bare")))
        shutil.rmtree(request.folder)
        shutil.rmtree(tmp_path / "bare")

    def turns() -> None:
        turn()  # imports, and other work that is done once in a process
        first = {name: seconds.pop() for name, seconds in spent.items()}
        once.append(max(0.0, first["search"] - first["trainings"]))
        end = time.perf_counter() + budget
        while not spent["search"] or time.perf_counter() < end:
            turn()

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        benchmark.pedantic(turns, rounds=1)
    finally:
        torch.set_num_threads(before)
    bare, searched, drawn = (float(np.min(spent[name])) for name in ("trainings", "search", "report"))
    benchmark.extra_info["table"] = f"search, {TRIALS} trials of {FIXED['epochs']} epochs of {SEQUENCES:,} sequences"
    benchmark.extra_info["rows"] = [
        {"way": "the bare trainings", "seconds of processor": round(bare, 1), "more by": ""},
        {
            "way": "zoo search, the report left out",
            "seconds of processor": round(searched, 1),
            "more by": f"{searched / bare - 1:.1%}",
        },
        {"way": "once a process: imports", "seconds of processor": round(once[0], 1), "more by": ""},
        {"way": "the report, once a study", "seconds of processor": round(drawn, 1), "more by": ""},
    ]


def _request(folder: Path) -> run.Request:
    space = space_files.of_model("deepstarr")
    for name, value in FIXED.items():
        space = space.fixed(name, value)
    options = SearchOptions(output=folder, trials=TRIALS, pruner="none", threads=1, device="cpu").settled({})
    return run.Request(space, (Objective("pearson", "dev"),), options, run.Data(folder))


def _search(request: run.Request, source: Dataset, points: list[dict[str, Any]]) -> None:
    """Search as zoo search does, from the empty folder to the tables; append the trained points to `points`."""
    request.folder.mkdir()
    study.create(request.folder, request.space.facts(), request.objectives, request.options)
    made = request.study()
    run.work(request, source, made, lambda message: _write(message, made, source))
    points[:] = [one.params for one in made.trials()]


def _write(message: int | trial.Step, made: study.Study, source: Dataset) -> None:
    if isinstance(message, int):
        results.write(made, source)


def _train(request: run.Request, source: Dataset, points: list[dict[str, Any]], folder: Path) -> None:
    folder.mkdir()
    for number, point in enumerate(points):
        where = TrainingOptions(output=folder / str(number), threads=1, device="cpu")
        settings = request.space.train_config(point, request.options.seed)
        training.run(training.TrainingJob("deepstarr", request.space.config(point), settings, where), source)


def _spent(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _source(path: Path) -> Dataset:
    """Random DNA and random targets; the measurements do not depend on them."""
    generator = np.random.default_rng(0)
    letters = np.array(list("ACGT"))[generator.integers(0, 4, (SEQUENCES * 5 // 4, 249))]
    targets = generator.standard_normal((len(letters), 2))
    lines = ["sequence\tdev\thk\tsplit"]
    for number, (row, (dev, hk)) in enumerate(zip(letters, targets, strict=True)):
        lines.append(f"{''.join(row)}\t{dev:.4f}\t{hk:.4f}\t{'train' if number < SEQUENCES else 'val'}")
    path.write_text("\n".join([*lines, ""]))
    return trial.without_test(run.Data(path).read(space_files.of_model("deepstarr")))
