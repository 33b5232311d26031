"""A run that stops, for whatever reason, loses nothing and goes on bit for bit as if it had not."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

torch = pytest.importorskip("torch")

from checkpoints import ODD_CONFIGS  # noqa: E402
from forked import was_killed  # noqa: E402
from toy import SMALL, Toy, train_until_killed, trainer  # noqa: E402

from zoo.data.labelled import Split  # noqa: E402
from zoo.errors import CheckFailed  # noqa: E402
from zoo.system import signals  # noqa: E402
from zoo.training.run_folder import RunFolder  # noqa: E402
from zoo.weights import checkpoint, network  # noqa: E402


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_interrupted_in_an_epoch_and_resumed_is_bit_identical(tmp_path: Path, average: float) -> None:
    settings = {"epochs": 3, "batch_size": 16, "weight_average": average, "augment": ("mutation", "shift")}
    whole = trainer(tmp_path / "whole", **settings)
    whole.run()
    part = trainer(tmp_path / "part", **settings)
    original_step = part._step

    def step(*arguments: object) -> object:
        result = original_step(*arguments)
        if (part.progress.epoch, part.progress.step) == (1, 4):
            os.kill(os.getpid(), signal.SIGINT)
        return result

    part._step = step  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        part.run()
    again = trainer(tmp_path / "part", **settings)
    again.resume()
    assert (again.progress.epoch, again.progress.step) == (1, 5)
    again.run()
    names = ("validation_loss", "train_loss", "train_pearson_dev")
    for row, expected in zip(again.progress.history, whole.progress.history, strict=True):
        assert [row[name] for name in names] == [expected[name] for name in names]
    for name in ("weights.safetensors",):
        assert (tmp_path / "part" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("name", ["small", *ODD_CONFIGS])
def test_killed_and_resumed_is_bit_identical(name: str, tmp_path: Path) -> None:
    config = {"small": SMALL, **ODD_CONFIGS}[name]
    assert was_killed(train_until_killed, tmp_path / "run", config, 2, 1, 1)
    again = trainer(tmp_path / "run", config, epochs=2)
    again.resume()
    assert again.progress.epoch == 1
    again.run()
    whole = trainer(tmp_path / "whole", config, epochs=2)
    whole.run()
    assert again.weights().spec.weights_id == whole.weights().spec.weights_id
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (
        tmp_path / "whole" / "weights.safetensors"
    ).read_bytes()


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", epochs=3)
    made.run()
    newest, before = sorted((tmp_path / "run" / "checkpoints").iterdir(), reverse=True)
    data = bytearray(newest.read_bytes())
    data[-5] ^= 0xFF
    newest.write_bytes(data)
    again = trainer(tmp_path / "run", epochs=3)
    again.resume()
    assert again.progress.epoch == 2
    before.write_bytes(b"")
    with refuses(tmp_path / "run", before.name, newest.name):
        trainer(tmp_path / "run", epochs=3).resume()


def test_resuming_with_another_setting_or_other_data_says_what_differs(tmp_path: Path) -> None:
    trainer(tmp_path / "run", epochs=1).run()
    with refuses("train", "batch_size", 128, 64):
        trainer(tmp_path / "run", epochs=1, batch_size=64).resume()
    with refuses("data", "seed", 0, 5):
        trainer(tmp_path / "run", epochs=1, source=Toy(seed=5)).resume()


@pytest.mark.parametrize("bias", [math.nan, 1e4])
def test_a_loss_that_diverges_stops_the_run_and_keeps_the_weights_and_state_of_the_epoch_before(
    tmp_path: Path, bias: float
) -> None:
    made = trainer(tmp_path / "run", epochs=3)
    step = made._step

    def broken(*arguments: object) -> object:
        if made.progress.epoch == 1:
            with torch.no_grad():
                made.model.head.bias.fill_(bias)
        return step(*arguments)

    made._step = broken  # type: ignore[method-assign]
    kept = tmp_path / "run" / "weights.safetensors"
    with refuses("epoch 2", "step 1", "--learning-rate", 0.002, "weights of epoch 1", kind=CheckFailed):
        made.run()
    assert np.abs(checkpoint.load(kept).arrays["head.bias"]).max() < 100
    again = trainer(tmp_path / "run", epochs=3)
    again.resume()
    assert again.progress.epoch == 1
    assert np.abs(network.arrays(again.model)["head.bias"]).max() < 100
    assert again.progress.first_loss == made.progress.first_loss


def test_a_run_that_diverges_in_its_first_epoch_says_that_there_are_no_weights(tmp_path: Path) -> None:
    with refuses("epoch 1", "step 2", "--learning-rate", "1e+06", "no weights", kind=CheckFailed):
        trainer(tmp_path / "run", batch_size=32, learning_rate=1e6).run()


def test_a_failed_run_is_not_resumed_without_thought(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    with refuses(folder.path, "--output", "--resume"):
        folder.create()
    folder.write_receipts({"status": "failed"})
    with refuses(folder.path, "failed", "remove the folder", "--learning-rate"):
        folder.create()


def test_a_resumed_run_compares_with_the_loss_at_its_first_step(tmp_path: Path) -> None:
    first = trainer(tmp_path / "run", epochs=1)
    first.run()
    again = trainer(tmp_path / "run", epochs=1)
    again.resume()
    with refuses("epoch 2", "diverges", kind=CheckFailed):
        again._check_loss(1e4, np.zeros((2, 2), np.float32), 2, 0)


def test_a_batch_with_an_outlier_does_not_count_as_divergence(tmp_path: Path) -> None:
    class Outlier(Toy):
        def _split(self, seed: int, size: int) -> Split:
            split = super()._split(seed, size)
            split.targets[0, 0] = 1e4
            return split

    made = trainer(tmp_path / "run", source=Outlier(), batch_size=20, epochs=1)
    made.run()
    assert made.progress.first_loss < 100 < made.progress.history[0]["train_loss"] / 1e3


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(tmp_path / "run", epochs=3)
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if made.progress.epoch == 2:
            write(path, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with refuses("No space left on device"):
        made.run()
    again = trainer(tmp_path / "run", epochs=3)
    again.resume()
    assert again.progress.epoch == 1


@pytest.mark.parametrize("made", ["folder", "checkpoints", "receipts"])
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(tmp_path: Path, made: str) -> None:
    folder = RunFolder(tmp_path / "run")
    with refuses(tmp_path / "run", "run.json"):
        folder.read_receipts()
    folder.path.mkdir()
    if made != "folder":
        folder.checkpoints.mkdir()
    if made == "receipts":
        folder.write_receipts({"status": "running"})
    assert folder.read_receipts() == ({"status": "running"} if made == "receipts" else {})
    again = trainer(tmp_path / "run", epochs=2)
    again.resume()
    assert again.progress.updates == 0
    again.run()
    whole = trainer(tmp_path / "whole", epochs=2)
    whole.run()
    assert again.weights().spec.weights_id == whole.weights().spec.weights_id


def test_a_run_is_discarded_only_before_its_first_checkpoint(tmp_path: Path) -> None:
    new, begun, mixed = (RunFolder(tmp_path / name) for name in ("new", "begun", "mixed"))
    for folder in (new, begun, mixed):
        folder.create()
        folder.write_receipts({})
    (begun.checkpoints / "0001-0000000.safetensors").touch()
    (mixed.path / "notes.txt").write_text("mine")
    for folder in (new, begun, mixed):
        folder.discard()
    assert not new.path.exists()
    assert begun.receipts.exists()
    assert [path.name for path in mixed.path.iterdir()] == ["notes.txt"]


def test_a_signal_lets_the_step_finish_and_saves_the_state(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", epochs=3)
    step = made._step

    def ending(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return step(*arguments)

    made._step = ending  # type: ignore[method-assign]
    with pytest.raises(signals.Stopped) as caught, signals.raised(signals.Arrived()):
        made.run()
    assert caught.value.status == 143
    again = trainer(tmp_path / "run", epochs=3)
    again.resume()
    assert (again.progress.epoch, again.progress.updates) == (0, 1)
