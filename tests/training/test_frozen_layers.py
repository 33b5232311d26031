"""Fine-tuning on little data: frozen layers, and adapters that end as ordinary weights."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refuses

torch = pytest.importorskip("torch")

from checkpoints import EVERY_ODD_CONFIG, architecture_of, random_checkpoint  # noqa: E402
from toy import SMALL, Toy  # noqa: E402

from zoo import registry  # noqa: E402
from zoo.data.labelled import Split  # noqa: E402
from zoo.training import notes, trainable  # noqa: E402
from zoo.training.config import TrainConfig  # noqa: E402
from zoo.training.run_folder import RunFolder  # noqa: E402
from zoo.training.scores import predict  # noqa: E402
from zoo.training.trainer import Trainer  # noqa: E402
from zoo.weights import checkpoint, model_arrays, network  # noqa: E402
from zoo.weights.checkpoint import Checkpoint  # noqa: E402

CPU = torch.device("cpu")


@dataclasses.dataclass
class Many(Toy):
    """Any number of targets, all the same."""

    def _split(self, seed: int, size: int) -> Split:
        split = super()._split(seed, size)
        return Split(split.codes, np.repeat(split.targets[:, :1], len(self.targets), 1), None)


def tuned(folder: Path, start: Checkpoint, source: Any = None, **settings: Any) -> Trainer:
    """A trainer that begins with `start` in a new folder, or in one that has been begun."""
    made = RunFolder(folder)
    if not folder.exists():
        made.create()
    options = TrainConfig(**{"epochs": 2, "batch_size": 50, **settings})
    source = source or Many(start.spec.targets, start.config.sequence_length, size=100)
    return Trainer(architecture_of(start.config), start.config, source, options, made, start=start)


@cache
def given() -> Checkpoint:
    """Weights with a head that is far from the best one, so that the first epoch improves them."""
    weights = random_checkpoint(SMALL)
    return checkpoint.make("deepstarr", SMALL, {**weights.arrays, "head.bias": np.full(2, 3, np.float32)}, "toy", "MIT")


def changed(before: Checkpoint, after: Checkpoint) -> set[str]:
    return {name for name, array in before.arrays.items() if array.tobytes() != after.arrays[name].tobytes()}


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1, "clip_gradient": 1.0},
    "average": {"weight_average": 0.9},
    "bf16": {"precision": "bf16"},
    "fp64": {"precision": "fp64"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_exactly_the_frozen_arrays_keep_their_bits(tmp_path: Path, name: str) -> None:
    made = tuned(tmp_path / "run", given(), freeze=("trunk",), **SETTINGS[name])
    assert made.run()["epoch"] > 0
    kept = checkpoint.load(tmp_path / "run" / "weights.safetensors")
    assert changed(given(), kept) == {"head.weight", "head.bias"}


@pytest.mark.parametrize(
    ("patterns", "trained"),
    [
        (("conv*",), {"dense1", "dense1_norm", "head"}),
        (("conv1", "conv1_norm"), {"conv2", "conv2_norm", "dense1", "dense1_norm", "head"}),
        (("trunk", "!dense1*"), {"dense1", "dense1_norm", "head"}),
        (("*", "!conv2_norm"), {"conv2_norm"}),
        (("trunk", "!conv1.bias"), {"conv1", "head"}),
    ],
)
def test_patterns_choose_the_layers(tmp_path: Path, patterns: tuple[str, ...], trained: set[str]) -> None:
    made = tuned(tmp_path / "run", given(), freeze=patterns, epochs=1)
    made.run()
    assert {name.rpartition(".")[0] for name in changed(given(), made.weights())} == trained
    statistics = {name for name in given().arrays if "running" in name}
    assert changed(given(), made.weights()) & statistics == {n for n in statistics if n.rpartition(".")[0] in trained}


def odd(name: str) -> Checkpoint:
    return random_checkpoint(EVERY_ODD_CONFIG[f"odd {name}"])


@pytest.mark.parametrize("name", sorted(architecture_of(config) for config in EVERY_ODD_CONFIG.values()))
def test_every_model_trains_its_head_alone_and_takes_adapters(tmp_path: Path, name: str) -> None:
    """Models whose head is all they have refuse to freeze the rest."""
    weights = odd(name)
    if checkpoint.profiles_of(weights.spec):
        with refuses("--signal"):  # regions alone train it: tests/models/bpnet
            tuned(tmp_path / "run", weights, freeze=("trunk",))
        return
    head = {array for array in weights.arrays if model_arrays.in_head(name, array)}
    if head == set(weights.arrays):
        with refuses("freeze", "trunk"):
            tuned(tmp_path / "run", weights, freeze=("trunk",))
        return
    made = tuned(tmp_path / "run", weights, freeze=("trunk",), epochs=1)
    made.run()
    assert head >= changed(weights, made.weights()) > set()
    made = tuned(tmp_path / "adapters", weights, adapter_rank=2, epochs=1)
    made.run()
    layers = dict(network.from_checkpoint(weights).named_modules())
    adapted = {f"{path}.weight" for path, layer in layers.items() if isinstance(layer, trainable.ADAPTED)} - head
    found = changed(weights, made.weights())
    assert found - head == adapted > set()


def test_merged_adapters_compute_what_the_network_with_adapters_did(tmp_path: Path) -> None:
    made = tuned(tmp_path / "run", given(), adapter_rank=3, weight_average=0.5)
    made.run()
    kept = checkpoint.load(tmp_path / "run" / "weights.safetensors")
    codes = Toy().validation.codes
    with_adapters = predict(made.kept, codes, CPU)
    assert made.weights().spec.weights_id == kept.spec.weights_id or made.progress.best_epoch != 2
    np.testing.assert_allclose(
        predict(network.from_checkpoint(made.weights()), codes, CPU), with_adapters, rtol=0, atol=1e-6
    )
    assert np.abs(with_adapters - predict(network.from_checkpoint(given()), codes, CPU)).max() > 0.01
    for name in ("conv1.weight", "conv2.weight", "dense1.weight"):
        difference = (made.weights().arrays[name] - given().arrays[name]).reshape(len(given().arrays[name]), -1)
        sizes = np.linalg.svd(difference.astype(np.float64), compute_uv=False)
        assert sizes[2] > 1e-6
        assert (sizes[3:] < 1e-5 * sizes[0]).all()


def test_adapters_begin_as_the_given_network_and_their_size_is_told(tmp_path: Path) -> None:
    made = tuned(tmp_path / "run", given(), adapter_rank=3)
    assert made.weights().spec.weights_id == given().spec.weights_id
    # rank times outputs and inputs of conv1, conv2 and dense1, and the head
    numbers = 3 * (8 + 4 * 5) + 3 * (6 + 8 * 4) + 3 * (8 + 60) + 2 * 8 + 2
    (line,) = (line for line in notes.at_start(made, "cpu") if "stay unchanged" in line)
    assert f"{numbers:,} numbers" in line


def test_adapters_are_put_on_the_frozen_layers_alone(tmp_path: Path) -> None:
    made = tuned(tmp_path / "run", given(), adapter_rank=1, freeze=("conv1*",), epochs=1)
    made.run()
    assert set(given().arrays) - changed(given(), made.weights()) == {
        *(f"conv1_norm.{name}" for name in ("weight", "bias", "running_mean", "running_var")), "conv1.bias"
    }  # fmt: skip


@pytest.mark.parametrize("settings", [{"freeze": ("conv*",)}, {"adapter_rank": 2, "weight_average": 0.9}])
def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path: Path, settings: dict[str, Any]) -> None:
    tuned(tmp_path / "whole", given(), **settings).run()
    part = tuned(tmp_path / "part", given(), **settings)
    step = part._step

    def stopping(*arguments: Any) -> Any:
        if (part.progress.epoch, part.progress.step) == (1, 1):
            raise RuntimeError
        return step(*arguments)

    part._step = stopping  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        part.run()
    again = tuned(tmp_path / "part", given(), **settings)
    again.resume()
    assert again.progress.epoch == 1
    again.run()
    whole, resumed = (tmp_path / name / "weights.safetensors" for name in ("whole", "part"))
    assert resumed.read_bytes() == whole.read_bytes()


def test_what_cannot_be_frozen_is_one_line(tmp_path: Path) -> None:
    start = given()

    def refused(*facts: object, **settings: Any) -> None:
        with refuses(*facts):
            tuned(tmp_path / "run", start, **settings)

    refused("freeze", "'conv9'", "conv1", "deepstarr", freeze=("conv9",))
    refused("freeze", "*", freeze=("*",))
    refused("rescale_start", "adapter_rank", adapter_rank=2, rescale_start=True)
    refused("adapter_rank", freeze=("conv1_norm",), adapter_rank=2)
    refused("adapter-rank", "-1", adapter_rank=-1)
    for settings in ({"freeze": ("trunk",)}, {"adapter_rank": 1}):
        with refuses(next(iter(settings)), "--start"):
            Trainer("deepstarr", SMALL, Toy(), TrainConfig(**settings), RunFolder(tmp_path / "run"))


def test_a_model_that_names_no_head_asks_for_the_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(registry.load("models", "deepstarr"), "HEAD")
    with refuses("deepstarr", "head", "freeze"):
        tuned(tmp_path / "run", given(), freeze=("trunk",))


@dataclasses.dataclass
class Motifs(Toy):
    """Sequences of 40 bases, some with a planted motif; the target is whether it is there, with noise, and its place
    does not matter. The second target is the first, halved: other targets have the same trunk."""

    def _split(self, seed: int, size: int) -> Split:
        generator = np.random.default_rng((self.seed, seed))
        codes = generator.integers(0, 4, (size, self.sequence_length)).astype(np.uint8)
        planted = generator.random(size) < 0.5
        for row in np.flatnonzero(planted):
            place = generator.integers(0, self.sequence_length - 6)
            codes[row, place : place + 6] = (2, 0, 3, 0, 0, 2)
        first = planted + generator.normal(0, 0.2, size)
        return Split(codes, np.stack([first, first / 2], 1).astype(np.float32), None)


def trained(folder: Path, source: Toy, start: Checkpoint | None = None, **settings: Any) -> Checkpoint:
    """The best weights of a training, from `start` or from scratch."""
    config = dataclasses.replace(SMALL, filters=(12, 8), kernel_sizes=(7, 4), dropout=0.0)
    made = RunFolder(folder)
    made.create()
    Trainer("deepstarr", config, source, TrainConfig(**settings), made, start=start).run()
    return checkpoint.load(made.weights)


def test_on_200_sequences_a_frozen_trunk_and_adapters_beat_training_from_scratch(tmp_path: Path) -> None:
    """The given weights know the motif by other targets."""
    other = Motifs(targets=("leaf", "root"), size=1000, seed=1)
    start, source = trained(tmp_path / "start", other, epochs=8, batch_size=40), Motifs(size=200)
    codes, observed = source.test.codes, source.test.targets[:, 0]

    def error(name: str, begin: Checkpoint | None, **settings: Any) -> float:
        weights = trained(tmp_path / name, source, begin, epochs=10, batch_size=20, **settings)
        return float(np.mean((predict(network.from_checkpoint(weights), codes, CPU)[:, 0] - observed) ** 2))

    scratch = error("scratch", None)
    assert error("frozen", start, freeze=("trunk",), learning_rate=0.01) < 0.7 * scratch
    assert error("adapted", start, adapter_rank=2, learning_rate=0.005) < 0.7 * scratch
