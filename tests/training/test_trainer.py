"""The trainer: the recipe, determinism, and the files of a run."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

torch = pytest.importorskip("torch")

from checkpoints import random_checkpoint  # noqa: E402
from forked import started  # noqa: E402
from toy import SMALL, Toy, free_port, train_as_one_of_two, trainer, without_dropout  # noqa: E402

from zoo import registry  # noqa: E402
from zoo.errors import MissingDependency  # noqa: E402
from zoo.models import basset, deepstarr  # noqa: E402
from zoo.training.config import (  # noqa: E402
    TrainConfig,
    TrainingOptions,
    read_model,
)
from zoo.training.run import TrainingJob, run  # noqa: E402
from zoo.training.scores import predict  # noqa: E402
from zoo.training.trainer import Reporter  # noqa: E402
from zoo.weights import checkpoint, network  # noqa: E402


@pytest.mark.drawn
def test_training_learns_and_leaves_a_whole_run_folder(tmp_path: Path) -> None:
    settings = TrainConfig(epochs=8, batch_size=32)
    best = run(
        TrainingJob("deepstarr", SMALL, settings, TrainingOptions(output=tmp_path / "run"), command="zoo train toy"),
        Toy(size=1200),
    )
    assert best["validation_pearson_dev"] > 0.9
    weights = checkpoint.load(tmp_path / "run" / "weights.safetensors")
    assert weights.config == SMALL
    receipts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert receipts["status"] == "finished"
    assert receipts["command"] == "zoo train toy"
    assert receipts["train"]["learning_rate"] == 0.002
    assert receipts["best_epoch"] == best["epoch"]
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 9))
    assert float(rows[best["epoch"] - 1]["validation_loss"]) == min(float(row["validation_loss"]) for row in rows)
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_receipts_of_a_resumed_run_keep_its_first_command(tmp_path: Path) -> None:
    job = TrainingJob(
        "deepstarr",
        SMALL,
        TrainConfig(epochs=1),
        TrainingOptions(output=tmp_path / "run"),
        command="zoo train toy -o run",
    )
    run(job, Toy())
    before = json.loads((tmp_path / "run" / "run.json").read_text())
    again = dataclasses.replace(job.options, resume=True)
    run(dataclasses.replace(job, options=again, command="zoo train toy -o run --resume"), Toy())
    receipts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert receipts["command"] == "zoo train toy -o run"
    assert receipts["seconds"] >= before["seconds"]


def test_the_kept_weights_are_those_of_the_best_epoch_not_the_last(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", epochs=6, learning_rate=0.05)
    made.run()
    kept = network.from_checkpoint(checkpoint.load(tmp_path / "run" / "weights.safetensors"))
    validation = Toy().validation
    error = np.nanmean((predict(kept, validation.codes, torch.device("cpu")) - validation.targets) ** 2, 0).sum()
    losses = [row["validation_loss"] for row in made.progress.history]
    assert error == pytest.approx(min(losses), rel=1e-5)
    assert losses[-1] != min(losses)


def test_patience_counts_epochs_since_the_best(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", epochs=50, patience=2, learning_rate=0.2)
    made.run()
    assert made.progress.epoch == made.progress.best_epoch + 2 < 50


def test_same_seed_same_weights_bit_for_bit(tmp_path: Path) -> None:
    first, second = trainer(tmp_path / "a"), trainer(tmp_path / "b")
    first.run()
    second.run()
    assert first.weights().spec.weights_id == second.weights().spec.weights_id
    other = trainer(tmp_path / "c", seed=1)
    other.run()
    assert other.weights().spec.weights_id != first.weights().spec.weights_id


def test_the_moving_average_soon_forgets_the_random_initial_weights(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", epochs=5, batch_size=20, weight_average=0.999)
    begin = network.arrays(made.model)["conv1.weight"]
    made.run()
    end, kept = (network.arrays(module)["conv1.weight"] for module in (made.model, made.kept))
    assert 0 < np.abs(kept - end).mean() < 0.5 * np.abs(kept - begin).mean()


def test_training_begins_with_the_given_weights(tmp_path: Path) -> None:
    """The head is that of the given weights if the targets are the same, and random otherwise."""
    trainer(tmp_path / "first", epochs=1).run()
    first = checkpoint.load(tmp_path / "first" / "weights.safetensors")
    begin = checkpoint.make("deepstarr", SMALL, {**first.arrays, "head.bias": np.ones(2, np.float32)}, "toy", "MIT")
    job = TrainingJob(
        "deepstarr",
        SMALL,
        TrainConfig(epochs=1, learning_rate=1e-4, freeze_batch_norm=True),
        TrainingOptions(output=tmp_path / "second"),
        start=begin,
    )
    assert run(job, Toy())["epoch"] == 1
    second = checkpoint.load(tmp_path / "second" / "weights.safetensors")
    for name, array in begin.arrays.items():
        np.testing.assert_allclose(second.arrays[name], array, atol=0 if "running" in name else 1e-3)
    assert begin.spec.weights_id[:12] in second.spec.source
    receipts = json.loads((tmp_path / "second" / "run.json").read_text())
    assert receipts["start"] == {"weights_id": begin.spec.weights_id}

    again = dataclasses.replace(job, start=None, settings=TrainConfig(epochs=1, learning_rate=1e-4))
    again = dataclasses.replace(again, options=dataclasses.replace(job.options, resume=True))
    with refuses("start", "weights_id", None):
        run(again, Toy())

    other = dataclasses.replace(
        job, options=TrainingOptions(output=tmp_path / "third"), settings=dataclasses.replace(job.settings, seed=1)
    )
    run(other, Toy(targets=("leaf", "root")))
    third = checkpoint.load(tmp_path / "third" / "weights.safetensors")
    np.testing.assert_allclose(third.arrays["conv1.weight"], begin.arrays["conv1.weight"], atol=1e-3)
    assert np.abs(third.arrays["head.weight"] - begin.arrays["head.weight"]).max() > 0.01


def test_rescaled_weights_are_as_large_as_fresh_ones_and_predict_the_same(tmp_path: Path) -> None:
    grown = random_checkpoint(SMALL)
    for name in ("conv2", "dense1"):
        grown.arrays[f"{name}.weight"] *= 50
        grown.arrays[f"{name}_norm.running_mean"] *= 50
        grown.arrays[f"{name}_norm.running_var"] *= 2500
    grown.arrays["conv1.weight"][3] = 0
    module = network.from_checkpoint(grown)
    norms, begun = deepstarr.layer_norms(SMALL), deepstarr.network(SMALL)
    network.rescale(module, norms, network.sizes(begun, norms))
    rescaled, fresh = network.arrays(module), network.arrays(begun)
    for name in ("conv1", "conv2", "dense1"):
        spread, wanted = (np.std(arrays[f"{name}.weight"]) for arrays in (rescaled, fresh))
        assert 0.7 < spread / wanted < 1.3, name
    one_hot = torch.from_numpy(np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (50, 40))]).mT
    with torch.no_grad():
        expected = network.from_checkpoint(grown)(one_hot)
        torch.testing.assert_close(module(one_hot), expected, rtol=1e-4, atol=1e-5)

    job = TrainingJob("deepstarr", SMALL, TrainConfig(rescale_start=True), TrainingOptions(output=tmp_path / "run"))
    with refuses("rescale", "--start"):
        run(job, Toy())


def test_weights_of_another_network_are_refused_as_a_start(tmp_path: Path) -> None:
    trainer(tmp_path / "first", epochs=1).run()
    begin = checkpoint.load(tmp_path / "first" / "weights.safetensors")
    wider = dataclasses.replace(SMALL, filters=(9, 6))
    job = TrainingJob(
        "deepstarr", wider, TrainConfig(epochs=1), TrainingOptions(output=tmp_path / "second"), start=begin
    )
    with refuses("conv1.weight", (8, 4, 5), (9, 4, 5)):
        run(job, Toy())
    deeper = dataclasses.replace(SMALL, dense_units=(8, 8))
    with refuses("dense2"):
        run(dataclasses.replace(job, config=deeper), Toy())
    other = dataclasses.replace(job, architecture="basset", config=basset.Config(sequence_length=249))
    with refuses("deepstarr"):
        run(other, Toy(sequence_length=249))
    assert not (tmp_path / "second").exists()


def test_a_run_folder_that_exists_is_not_touched(tmp_path: Path) -> None:
    with refuses(tmp_path, "--output", "--resume"):
        run(TrainingJob("deepstarr", SMALL, TrainConfig(), TrainingOptions(output=tmp_path)), Toy())
    assert list(tmp_path.iterdir()) == []


def test_missing_labels_have_no_gradient(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run")
    predicted = torch.tensor([[1.0, 5.0], [3.0, 7.0]], requires_grad=True)
    loss = made.loss(predicted, torch.tensor([[0.0, math.nan], [1.0, 4.0]]))
    assert loss.item() == pytest.approx((1 + 4) / 2 + 9)
    loss.backward()
    assert predicted.grad is not None
    assert predicted.grad[0, 1] == 0


def test_bad_settings_are_refused() -> None:
    with refuses("epochs", 1, "got 0"):
        TrainConfig(epochs=0)
    with refuses("learning-rate", True):
        TrainConfig(learning_rate=True)
    with refuses("augment", "reverse-complement", "shift", "mutation", "flip"):
        TrainConfig(augment=("flip",))


def test_a_toml_file_gives_the_network_and_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text('[model]\nvariant = "tuned"\nfilters = [8, 8, 8, 8]\n[train]\nepochs = 3\nseed = 5\n')
    architecture, config, settings = read_model(str(path))
    assert (architecture, config.filters, config.kernel_sizes) == ("deepstarr", (8, 8, 8, 8), (7, 3, 3, 7))
    recipe = registry.recipe(deepstarr, config)
    assert settings == {**recipe, "epochs": 3, "seed": 5}
    assert read_model("tuned") == ("deepstarr", deepstarr.VARIANTS["tuned"], recipe)
    path.write_text('[model]\narchitecture = "deepstarr"\nvariant = "tine"\n')
    with refuses("[model]", "deepstarr", "'tine'", "original, tuned"):
        read_model(str(path))
    path.write_text("[model]\nfilter = [8]\n")
    with refuses("[model]", "'filter'", "filters?", "dropout"):
        read_model(str(path))
    for text, *facts in (
        ("model = 3", "[model]", 3),
        ("[model]\nvariant = 3", "[model]", "variant", "got 3"),
        ("[model]\nfilters = 3", "filters", "got 3"),
        ("[model]\ndropout = 'x'", "dropout", "'x'"),
        ("[model]\ntargets = 'dev'", "targets"),
    ):
        path.write_text(str(text))
        with refuses(*facts):
            read_model(str(path))
    path.write_text("[modell]\n")
    with refuses("'modell'", "[model]", "[train]"):
        read_model(str(path))
    with refuses("'orignal'", "original"):
        read_model("orignal")


def test_trackers_log_every_epoch_or_name_the_missing_library(tmp_path: Path) -> None:
    job = TrainingJob(
        "deepstarr", SMALL, TrainConfig(epochs=1), TrainingOptions(output=tmp_path / "run", track="tensorboard")
    )
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        with refuses("tensorboard", "pip install", kind=MissingDependency):
            run(job, Toy())
    else:
        run(job, Toy())
        assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_the_reporter_is_called_for_steps_and_epochs(tmp_path: Path) -> None:
    steps, rows = [], []
    trainer(tmp_path / "run", epochs=2).run(Reporter(lambda *now: steps.append(now), rows.append))
    assert [row["epoch"] for row in rows] == [1, 2]
    assert steps[-1][:2] == (2, 2)


def test_two_processes_give_the_step_of_one(tmp_path: Path) -> None:
    run(without_dropout(tmp_path / "one"), Toy())
    port = free_port()
    processes = [started(train_as_one_of_two, rank, port, tmp_path / "two") for rank in range(2)]
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]
    one, two = (checkpoint.load(tmp_path / name / "weights.safetensors").arrays for name in ("one", "two"))
    for name, array in one.items():
        if not (name.endswith(".bias") and name.split(".")[0] in ("conv1", "conv2", "dense1")):
            np.testing.assert_allclose(two[name], array, rtol=1e-3, atol=2e-5, err_msg=name)
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2
