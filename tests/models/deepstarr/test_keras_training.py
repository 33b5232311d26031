"""Ten steps of Adam here and in real Keras, from the same weights on the same batches, without dropout.

In float64, where the two agree to rounding. In float32 they part for a reason that is neither's fault: an activation
within rounding of zero passes ReLU in one and not in the other, and Adam's first steps, of a size that hardly depends
on the gradient, make the difference grow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from zoo_runtimes import keras as keras_runtime  # noqa: E402

from zoo.card import Card  # noqa: E402
from zoo.data.labelled import Split  # noqa: E402
from zoo.dna.encoding import one_hot  # noqa: E402
from zoo.models.deepstarr import VARIANTS  # noqa: E402
from zoo.training.config import TrainConfig  # noqa: E402
from zoo.training.run_folder import RunFolder  # noqa: E402
from zoo.training.trainer import Trainer  # noqa: E402
from zoo.weights import checkpoint, network  # noqa: E402
from zoo.weights.importers import importer  # noqa: E402
from zoo.weights.importers.layers import ImportOptions  # noqa: E402

STEPS, BATCH = 10, 64
CONFIG = dataclasses.replace(VARIANTS["tuned"], dropout=0.0, sequence_length=120)


@dataclasses.dataclass
class Source:
    """One epoch of random DNA with targets that follow from it; unused beyond its batches."""

    split: Split
    targets: tuple[str, ...] = CONFIG.targets
    sequence_length: int = CONFIG.sequence_length
    card: Card = dataclasses.field(default_factory=Card)

    @property
    def validation(self) -> Split:
        return self.split

    def epoch(self, number: int) -> Split:  # noqa: ARG002
        return self.split

    def identity(self) -> dict[str, object]:
        return {}


Trained = tuple[checkpoint.Checkpoint, checkpoint.Checkpoint, np.ndarray]


@pytest.fixture(scope="module")
def float64() -> Iterator[None]:
    """Keras in double precision: networks, the loss and the optimiser's variables."""
    tf_keras = pytest.importorskip("tf_keras")
    tf_keras.backend.set_floatx("float64")
    yield
    tf_keras.backend.set_floatx("float32")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, float64: None) -> Trained:  # noqa: ARG001
    """Weights after the steps here and in Keras, and the losses, (STEPS, 2)."""
    folder = tmp_path_factory.mktemp("fidelity")
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 4, (STEPS * BATCH, CONFIG.sequence_length)).astype(np.uint8)
    targets = np.stack([(codes == 1).mean(1) * 10, (codes[:, :60] == 2).mean(1) * 10], 1).astype(np.float32)
    split = Split(codes, targets)
    run = RunFolder(folder / "run")
    run.create()
    trainer = Trainer("deepstarr", CONFIG, Source(split), TrainConfig(batch_size=BATCH, precision="fp64"), run)
    import tf_keras

    single = keras_runtime.model(_single(trainer))
    model = tf_keras.models.model_from_json(single.to_json().replace('"float32"', '"float64"'))
    model.set_weights(single.get_weights())
    # Keras takes the powers of its betas from float32: with 0.999 itself, 1 - 0.999**t would be off by 1.3e-5 at first
    betas = {"beta_1": float(np.float32(0.9)), "beta_2": float(np.float32(0.999))}
    model.compile(tf_keras.optimizers.Adam(0.002, epsilon=1e-7, **betas), loss=["mse", "mse"])
    trainer.model.train()
    losses = []
    for step in range(STEPS):
        rows = np.arange(step * BATCH, (step + 1) * BATCH)
        ours, _ = trainer._step(split, rows, (0,))
        wanted = targets[rows].astype(np.float64)
        theirs = model.train_on_batch(one_hot(codes[rows]).astype(np.float64), [wanted[:, :1], wanted[:, 1:]])
        losses.append((float(ours), theirs[0]))
    model.save_weights(folder / "keras.h5")
    options = ImportOptions(alphabet="ACGT", length=CONFIG.sequence_length)
    theirs = importer.read(folder / "keras.h5", options, architecture="deepstarr")
    return _single(trainer), theirs, np.array(losses)


def _single(trainer: Trainer) -> checkpoint.Checkpoint:
    return network.to_checkpoint(trainer.model, "deepstarr", "test", "MIT")


def test_loss_curves_agree_with_keras(trained: Trained) -> None:
    losses = trained[2]
    assert losses[-1, 0] < losses[0, 0]
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-3)


def test_weights_and_running_statistics_agree_with_keras(trained: Trained) -> None:
    """To 1e-3 of the largest value of each array; a bias in front of a batch norm has no gradient and stays near 0."""
    ours, theirs = trained[0].arrays, trained[1].arrays
    for name, expected in theirs.items():
        limit = 1e-3 * np.abs(expected).max() + 1e-6
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=limit, err_msg=name)


def test_kernels_are_initialised_as_keras_does(tmp_path: Path) -> None:  # noqa: ARG001
    """Glorot uniform: bounded by sqrt(6 / (fan in + fan out)) and spread over it; biases zero."""
    torch.manual_seed(0)
    arrays = network.arrays(network.registry.load("models", "deepstarr").network(VARIANTS["original"]))
    for name, fans in (("conv1", (4 * 7, 256 * 7)), ("conv2", (256 * 3, 60 * 3)), ("dense1", (1800, 256))):
        bound = (6 / sum(fans)) ** 0.5
        kernel = arrays[f"{name}.weight"]
        assert bound * 0.99 < np.abs(kernel).max() <= bound
        assert kernel.std() == pytest.approx(bound / 3**0.5, rel=0.02)
        assert not arrays[f"{name}.bias"].any()
