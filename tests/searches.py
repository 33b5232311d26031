"""Spaces and studies that tests of the search share: an objective with a known optimum, and trainings of seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from forked import kill_itself

from zoo.search import run, space_files
from zoo.search.objective import Objective
from zoo.search.search_options import SearchOptions
from zoo.search.space import Space
from zoo.search.study import Drawn, Study, create
from zoo.search.workers import Worker

SWEEP: dict[str, Any] = {
    "method": "bayes",
    "metric": {"name": "valid_pcc_dev", "goal": "maximize"},
    "parameters": {
        "batch_size": {"values": [64, 128]},
        "epochs": {"values": [50, 100]},
        "lr": {"values": [1e-4, 2e-4, 1e-3, 2e-3]},
        "early_stop": {"values": [4, 6, 8, 10]},
        "n_conv_layer": {"values": [3, 4]},
        "kernel_size1": {"values": [5, 7, 9, 11]},
        "num_filters1": {"values": [128, 256]},
        **{f"kernel_size{number}": {"values": [3, 5, 7]} for number in (2, 3, 4)},
        **{f"num_filters{number}": {"values": [30, 60, 90, 120]} for number in (2, 3, 4)},
        "n_add_layer": {"values": [1, 2, 3]},
        **{f"dense_neurons{number}": {"values": [64, 128, 256]} for number in (1, 2, 3)},
        "dropout_prob": {"values": [0.4, 0.5, 0.6]},
    },
}
"""The sweep by which `tuned` was found, as its authors gave it to Weights & Biases."""

TINY = """
[model]
architecture = "deepstarr"
layers = { choices = [1, 2], entries_of = ["filters", "kernel_sizes"] }
filters = [{ choices = [4, 8] }, { choices = [4, 6] }]
kernel_sizes = [{ choices = [3, 5] }, 3]
dense_units = [8]
dropout = { low = 0.1, high = 0.5 }
sequence_length = 40

[train]
epochs = 3
batch_size = 32
learning_rate = { low = 1e-4, high = 1e-2, log = true }
"""
"""A space of small networks for `write_table`."""

HILL = {
    "model": {
        "architecture": "deepstarr",
        "dropout": {"low": 0.0, "high": 0.9},
        "layers": {"choices": [1, 2, 3, 4], "entries_of": ["filters"]},
        "filters": [{"low": 1, "high": 100} for _ in range(4)],
    },
    "train": {"learning_rate": {"low": 1e-5, "high": 1.0, "log": True}},
}
"""Of which `height` is the objective; nothing is trained."""


def height(point: dict[str, Any]) -> float:
    """0 at the optimum, dropout 0.3, learning rate 1e-2, two layers of 70 and 20 filters, and less everywhere else."""
    off = [(point["dropout"] - 0.3) / 0.9, (np.log10(point["learning_rate"]) + 2) / 5, 0.3 * (point["layers"] - 2)]
    off += [(point["filters1"] - 70) / 100, (point.get("filters2", 100) - 20) / 100]
    return -float(np.square(off).sum())


def hill() -> Space:
    return space_files.from_tables(HILL, "hill")


def new_study(folder: Path, space: Space, resume: bool = False, **options: Any) -> Study:
    """A study in `folder`, which looks for the largest value."""
    settled = SearchOptions(output=folder, resume=resume, pruner="none", **options).settled(space.sweep)
    objectives = (Objective("pearson", "dev"),)
    folder.mkdir(exist_ok=True)
    create(folder, space.facts(), objectives, settled)
    return Study(folder, space, objectives, settled)


def search(study: Study, trials: int | None = None) -> list[Drawn]:
    """Draw and tell, so many trials or all of them."""
    drawn = []
    with Worker(study.folder).at_work() as worker:
        while trials is None or len(drawn) < trials:
            one = study.draw(worker.name, worker.alive)
            if one is None:
                break
            study.tell(one, [height(one.point)])
            drawn.append(one)
    return drawn


def write_table(path: Path, rows: int = 200, length: int = 40, test: bool = True) -> Path:
    """Random DNA with two targets that its bases decide, in a table with all splits."""
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 4, (rows, length))
    targets = np.stack([np.isin(codes, (1, 2)).mean(1), (codes == 0).mean(1)], 1) * 10
    targets += generator.normal(0, 0.3, targets.shape)
    words = np.array(["train", "val", "test" if test else "train"])
    sides = words[np.digitize(np.arange(rows) / rows, [0.6, 0.8])]
    letters = np.array(list("ACGT"))[codes]
    lines = ["sequence\tdev\thk\tsplit"]
    lines += [
        f"{''.join(row)}\t{dev:.4f}\t{hk:.4f}\t{side}"
        for row, (dev, hk), side in zip(letters, targets, sides, strict=True)
    ]
    path.write_text("\n".join([*lines, ""]))
    return path


def tiny(folder: Path, **changes: str) -> Path:
    """The space TINY as a file; changes: text -> its replacement."""
    path = folder / "tiny.toml"
    text = TINY
    for old, new in changes.items():
        text = text.replace(old, new)
    path.write_text(text)
    return path


def search_until_killed(folder: Path) -> None:
    """Search in tiny.toml until this process is killed in its third trial."""

    def kill(step: run.Step) -> None:
        if step.name == "trial 2" and step.done > 0.5:
            kill_itself()

    options = SearchOptions(output=folder / "killed", trials=6, threads=1, device="cpu")
    run.run(str(folder / "tiny.toml"), run.Data(folder / "mine.tsv"), options, run.SearchReporter(step=kill))


def trained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of results.rows without what depends on the clock."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
