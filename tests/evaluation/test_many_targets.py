"""A model of more targets than figures and lists can show one by one is summarised, quickly, and says so."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from checkpoints import random_checkpoint
from command_line import RUNTIME, Zoo, one_line
from labelled_files import dna
from refusals import refuses
from toy import SMALL, Toy

from zoo.data.labelled import Split
from zoo.evaluation import metrics
from zoo.spec import MOST_SHOWN, listed
from zoo.weights import checkpoint

pytest.importorskip("matplotlib")

TARGETS = tuple(f"cell_{number}" for number in range(MOST_SHOWN + 6))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of 30 rows in the working folder, with the weights a.safetensors and b.safetensors; the first target is
    constant."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("ab"):
        weights = random_checkpoint(dataclasses.replace(SMALL, targets=TARGETS), seed=seed)
        checkpoint.save(weights, tmp_path / f"{name}.safetensors")
    values = np.random.default_rng(0).normal(size=(30, len(TARGETS)))
    values[:, 0] = 1
    lines = ["\t".join(["sequence", *TARGETS])]
    lines += ["\t".join([text, *map(str, row)]) for text, row in zip(dna(30), values, strict=True)]
    (tmp_path / "data.tsv").write_text("\n".join([*lines, ""]))
    return tmp_path / "data.tsv"


@pytest.mark.usefixtures("data")
def test_an_evaluation_prints_and_draws_distributions(zoo: Zoo) -> None:
    weights = ("--weights", "a.safetensors", "--weights", "b.safetensors")
    typed = ("evaluate", *weights, "--data", "data.tsv", "--split", "all", "--resamples", 20)
    status, printed, _ = zoo(*typed, "-o", "out")
    assert status == 0
    assert len(printed) < 2000
    assert f"{len(TARGETS)} targets" in printed
    assert "constant target" in printed
    assert "b against a" in printed
    assert " worse" in printed
    assert {path.name for path in Path("out").iterdir()} == {"metrics.json", "predictions.tsv", "targets.png"}
    found = json.loads(Path("out/metrics.json").read_text())["weights"][0]["targets"]
    assert list(found) == list(TARGETS)
    one_line(zoo, ["--diagnosis", "64", "70", "--targets"], *typed, "--diagnosis")
    status, printed, _ = zoo(*typed, "--targets", "cell_3,cell_9", "--diagnosis")
    assert status == 0
    assert "cell_9: not decided" in printed


def test_a_training_draws_the_median(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from zoo.system import figures
    from zoo.training import notes
    from zoo.training.config import TrainConfig, TrainingOptions
    from zoo.training.run import TrainingJob, run
    from zoo.training.trainer import Reporter

    class Many(Toy):
        def _split(self, seed: int, size: int) -> Split:
            split = super()._split(seed, size)
            return Split(split.codes, np.repeat(split.targets[:, :1], len(self.targets), axis=1), None)

    panels: list[int] = []
    new = figures.new
    monkeypatch.setattr(figures, "new", lambda *size, columns: (panels.append(columns), new(*size, columns=columns))[1])
    said: list[str] = []
    options = TrainingOptions(output=tmp_path / "run", device="cpu")
    run(TrainingJob("deepstarr", SMALL, TrainConfig(epochs=2), options), Many(TARGETS), Reporter(note=said.append))
    assert panels == [2]
    assert (tmp_path / "run" / "curves.png").is_file()
    assert any(f"{len(TARGETS)} targets" in line for line in said)
    assert notes.correlations(dict.fromkeys(TARGETS)) == f"median r undefined of {len(TARGETS)} targets"


@pytest.mark.usefixtures("data")
def test_a_scan_writes_the_tracks_that_are_chosen(zoo: Zoo) -> None:
    bigwig = pytest.importorskip("pyBigWig")
    Path("g.fa").write_text(f">chr1\n{''.join(dna(3))}\n")
    typed = ("scan", "g.fa", "--weights", "a.safetensors", *RUNTIME, "-o", "t")
    one_line(zoo, ["64", "70", "--targets", "parquet"], *typed)
    one_line(zoo, ["cell_3", "twice"], *typed, "--targets", "cell_3,cell_3")
    one_line(zoo, ["cell_0", "and 67 others", "'nope'"], *typed, "--targets", "nope")
    assert not list(Path().glob("t.*"))
    assert zoo(*typed, "--targets", "cell_9,cell_3")[0] == 0
    assert sorted(path.name for path in Path().glob("t.*")) == ["t.cell_3.bw", "t.cell_9.bw", "t.json"]
    assert json.loads(Path("t.json").read_text())["targets"] == ["cell_9", "cell_3"]
    assert zoo(*typed[:-1], "all", "--format", "parquet")[0] == 0
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet("all.parquet")
    for name in ("cell_3", "cell_9"):
        with bigwig.open(f"t.{name}.bw") as track:
            np.testing.assert_array_equal([one[2] for one in track.intervals("chr1")], table[name].to_numpy())


@pytest.mark.usefixtures("data")
def test_lists_name_the_first_few_targets(zoo: Zoo) -> None:
    assert listed(TARGETS[:MOST_SHOWN]) == ", ".join(TARGETS[:MOST_SHOWN])
    shown = "cell_0, cell_1, cell_2 and 67 others"
    assert listed(TARGETS) == shown
    status, printed, _ = zoo("info", "a.safetensors")
    assert status == 0
    assert shown in printed
    assert "cell_9" not in printed


def test_the_typical_value_of_many_targets() -> None:
    assert metrics.typical([None, 1.0, None, 3.0, 2.0])[0] == 2
    assert metrics.typical(float(value) for value in range(101)) == (50, 5, 95)
    assert metrics.typical([None]) == (None, None, None)


def test_as_many_targets_as_are_shown_are_not_summarised() -> None:
    spec = random_checkpoint(dataclasses.replace(SMALL, targets=TARGETS)).spec
    with refuses("each target once", "cell_1"):
        spec.target_indices(["cell_1", "cell_2", "cell_1"])
    assert spec.target_indices(["cell_2", "cell_1"]) == [2, 1]
    assert spec.target_indices([]) == list(range(len(TARGETS)))
