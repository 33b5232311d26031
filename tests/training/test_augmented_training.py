"""A training with augmentation, and the epochs after it without."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refuses

torch = pytest.importorskip("torch")

from toy import SMALL, Toy, trainer  # noqa: E402

from zoo.training.config import STRENGTHS, TrainConfig, TrainingOptions  # noqa: E402
from zoo.training.run import TrainingJob, run  # noqa: E402
from zoo.training.trainer import Reporter, Trainer  # noqa: E402

SETTINGS: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 32,
    "augment": ("reverse-complement", *STRENGTHS),
    "augmentations_per_sequence": 2,
    "fine_tune_epochs": 2,
}


def inputs(made: Trainer) -> list[tuple[int, torch.Tensor]]:
    """Epoch and one-hot of every step of a run, which is run."""
    seen = []
    forward = made._forward

    def watched(hot: torch.Tensor) -> torch.Tensor:
        seen.append((made.progress.epoch + 1, hot.clone()))
        return forward(hot)

    made._forward = watched
    made.run()
    return seen


def exact(hot: torch.Tensor) -> bool:
    """Whether every position has one base or none."""
    return bool(((hot == 0) | (hot == 1)).all() and (hot.sum(2) <= 1).all())


def test_the_last_epochs_see_the_sequences_as_they_are_or_on_the_other_strand(tmp_path: Path) -> None:
    own = {codes.tobytes() for codes in Toy().train.codes}
    own |= {(3 - codes[::-1]).tobytes() for codes in Toy().train.codes}
    known = {
        epoch: np.mean([row.tobytes() in own for row in hot.argmax(2).numpy().astype(np.uint8)])
        for epoch, hot in inputs(trainer(tmp_path / "run", **SETTINGS))
    }
    assert sorted(known) == [1, 2, 3, 4, 5]
    assert max(known[epoch] for epoch in (1, 2, 3)) < 0.5
    assert (known[4], known[5]) == (1, 1)


def test_noise_reaches_the_network_and_ends_with_the_augmentation(tmp_path: Path) -> None:
    settings = {**SETTINGS, "augment": ("noise",), "augmentations_per_sequence": 0}
    for epoch, hot in inputs(trainer(tmp_path / "run", **settings)):
        assert exact(hot) == (epoch > 3)
        assert hot.shape[1:] == (40, 4)


def test_fine_tuning_begins_with_the_best_weights_and_is_recorded(tmp_path: Path) -> None:
    job = TrainingJob(
        "deepstarr", SMALL, TrainConfig(**SETTINGS, learning_rate=0.02), TrainingOptions(output=tmp_path / "run")
    )
    told: list[str] = []
    best = run(job, Toy(), Reporter(note=told.append))
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["fine_tuning"] for row in rows] == ["0", "0", "0", "1", "1"]
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([0.02] * 3 + [0.002] * 2)
    receipts = json.loads((tmp_path / "run" / "run.json").read_text())
    first = min(rows[:3], key=lambda row: float(row["validation_loss"]))
    assert (receipts["augmented_epochs"], receipts["fine_tuned_from"]) == (3, int(first["epoch"]))
    assert receipts["epochs"] == 5
    assert receipts["train"]["fine_tune_epochs"] == 2
    assert best["validation_loss"] == min(float(row["validation_loss"]) for row in rows)
    assert [line for line in told if f"epoch {first['epoch']}" in line]


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_without_steps_fine_tuning_gives_the_weights_of_the_best_epoch(tmp_path: Path, average: float) -> None:
    """A learning rate of nearly nothing: the last row repeats the best one, though the last epoch was worse."""
    tiny = {"fine_tune_learning_rate": 1e-30, "weight_average": average, "freeze_batch_norm": False}
    made = trainer(tmp_path / "run", **{**SETTINGS, **tiny, "learning_rate": 0.2, "fine_tune_epochs": 1})
    made._training_mode = lambda: made.model.train(made._fine_tuning is False)  # type: ignore[method-assign]
    made.run()
    losses = [row["validation_loss"] for row in made.progress.history]
    assert losses[3] == pytest.approx(min(losses[:3]), rel=1e-5)
    assert made.progress.fine_tuned_from == 1 + int(np.argmin(losses[:3]))


def test_patience_ends_the_first_part_and_all_epochs_of_fine_tuning_follow(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", **{**SETTINGS, "epochs": 50, "patience": 1, "learning_rate": 0.2})
    made.run()
    progress = made.progress
    assert progress.augmented_epochs is not None
    assert progress.augmented_epochs < 50
    assert progress.epoch == progress.augmented_epochs + 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    trainer(folder, **SETTINGS).run()
    return folder


def stop(folder: Path, epoch: int, step: int, how: str) -> Trainer:
    """A run that ends before a step of an epoch, both counted from 0: at once, or after it saved the step."""
    made = trainer(folder, **SETTINGS)
    original = made._step

    def stopping(*arguments: Any) -> Any:
        if (made.progress.epoch, made.progress.step) == (epoch, step):
            if how == "at once":
                raise RuntimeError
            os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments)

    made._step = stopping  # type: ignore[method-assign]
    with pytest.raises(RuntimeError if how == "at once" else KeyboardInterrupt):
        made.run()
    return made


@pytest.mark.parametrize("how", ["at once", "interrupted"])
@pytest.mark.parametrize(("epoch", "step"), [(1, 2), (3, 0), (4, 1)])
def test_stopped_in_either_part_and_resumed_is_bit_identical(
    tmp_path: Path, whole: Path, epoch: int, step: int, how: str
) -> None:
    stop(tmp_path / "run", epoch, step, how)
    again = trainer(tmp_path / "run", **SETTINGS)
    again.resume()
    assert (again.progress.epoch, again.progress.step) == (epoch, 0 if how == "at once" else step + 1)
    again.run()
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


def test_a_damaged_state_of_fine_tuning_falls_back_to_the_first_part(tmp_path: Path, whole: Path) -> None:
    """Its epoch may have replaced the best weights in the folder already."""
    stop(tmp_path / "run", 4, 0, "at once")
    max((tmp_path / "run" / "checkpoints").iterdir()).write_bytes(b"")
    again = trainer(tmp_path / "run", **SETTINGS)
    again.resume()
    assert again.progress.epoch == 3
    again.run()
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


def test_fine_tuning_needs_an_augmentation_to_leave_out() -> None:
    for names in ((), ("reverse-complement",)):
        with refuses("fine_tune_epochs", "--augment"):
            TrainConfig(augment=names, fine_tune_epochs=3)
    with refuses("mutation-rate", "at most 1", 1.5):
        TrainConfig(mutation_rate=1.5)


def test_the_settings_of_the_paper_can_be_written_down() -> None:
    """p-koo/evoaug_analysis, analysis/main/deepstarr_analysis.py: the strengths are the defaults."""
    paper = TrainConfig(
        augment=("deletion", "insertion", "translocation", "noise", "mutation"),
        augmentations_per_sequence=3,
        fine_tune_epochs=5,
        fine_tune_learning_rate=1e-4,
    )
    assert paper.strengths() == {
        "deletion": 30, "insertion": 20, "translocation": 20, "noise": 0.3, "mutation": 0.05,
    }  # fmt: skip
    assert TrainConfig(**paper.to_dict()) == paper
