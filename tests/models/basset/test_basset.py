"""Basset gives the numbers of the same network written by hand in Keras; what makes no network is refused."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from checkpoints import random_checkpoint, random_codes
from refusals import refuses

from zoo.dna.encoding import one_hot
from zoo.models import basset
from zoo.models.basset import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM, Config
from zoo.prediction import session
from zoo.prediction.session import open_session
from zoo.weights import checkpoint, network

LENGTHS = {249: 400, 600: 2000}
"""Bases -> inputs of the first hidden layer."""


def in_keras(arrays: dict[str, np.ndarray], codes: np.ndarray) -> np.ndarray:
    """The paper's network in tf_keras, layer by layer, with these weights: base codes (N, L) -> float32 (N, 2)."""
    keras = pytest.importorskip("tf_keras")
    layers = keras.layers
    taken = layers.Input((codes.shape[1], 4))
    hidden = taken
    for filters, size, pool in ((300, 19, 3), (200, 11, 4), (200, 7, 4)):
        hidden = layers.Conv1D(filters, size, padding="valid")(hidden)
        hidden = layers.BatchNormalization(epsilon=1e-5)(hidden)
        hidden = layers.ReLU()(hidden)
        hidden = layers.MaxPooling1D(pool, pool, padding="valid")(hidden)
    # channels slower than positions, as Torch7 flattens
    hidden = layers.Flatten()(layers.Permute((2, 1))(hidden))
    for _ in range(2):
        hidden = layers.Dense(1000)(hidden)
        hidden = layers.BatchNormalization(epsilon=1e-5)(hidden)
        hidden = layers.ReLU()(hidden)
        hidden = layers.Dropout(0.3)(hidden)
    model = keras.Model(taken, layers.Dense(2)(hidden))

    def norm(name: str) -> list[np.ndarray]:
        return [arrays[f"{name}.{end}"] for end in ("weight", "bias", "running_mean", "running_var")]

    model.set_weights(
        [
            arrays["conv1.weight"].transpose(2, 1, 0), arrays["conv1.bias"], *norm("conv1_bn"),
            arrays["conv2.weight"].transpose(2, 1, 0), arrays["conv2.bias"], *norm("conv2_bn"),
            arrays["conv3.weight"].transpose(2, 1, 0), arrays["conv3.bias"], *norm("conv3_bn"),
            arrays["hidden1.weight"].T, arrays["hidden1.bias"], *norm("hidden1_bn"),
            arrays["hidden2.weight"].T, arrays["hidden2.bias"], *norm("hidden2_bn"),
            arrays["output.weight"].T, arrays["output.bias"],
        ]
    )  # fmt: skip
    return model.predict_on_batch(one_hot(codes))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("runtime", ["torch-cpu", "keras-cpu"])
def test_it_gives_the_numbers_of_the_same_network_in_keras(runtime: str, length: int) -> None:
    pytest.importorskip("torch")
    weights = random_checkpoint(Config(sequence_length=length))
    codes = random_codes(64, length)
    assert 0 < (codes == 4).mean() < 0.1
    numbers = open_session(weights, runtime).predict(codes)
    assert numbers.std() > 0.1
    np.testing.assert_allclose(numbers, in_keras(weights.arrays, codes), rtol=0, atol=2e-5)


@pytest.mark.parametrize(("length", "features"), LENGTHS.items())
def test_the_length_decides_how_many_features_the_first_hidden_layer_sees(length: int, features: int) -> None:
    config = Config(sequence_length=length)
    assert config.flat_features == features
    assert basset.array_shapes(config)["hidden1.weight"] == (1000, features)
    assert config.positions == {249: (249, 77, 16, 2), 600: (600, 194, 46, 10)}[length]


def test_the_network_of_the_paper() -> None:
    config = basset.VARIANTS["basset"]
    assert config == Config(
        filters=(300, 200, 200),
        kernel_sizes=(19, 11, 7),
        dense_units=(1000, 1000),
        dropout=0.3,
        sequence_length=249,
        targets=("dev", "hk"),
        pools=(3, 4, 4),
    )
    assert sum(math.prod(shape) for shape in basset.array_shapes(config).values()) == 2_378_302
    assert basset.HEAD == "output"
    assert list(basset.layer_norms(config).items()) == [
        ("conv1", "conv1_bn"), ("conv2", "conv2_bn"), ("conv3", "conv3_bn"),
        ("hidden1", "hidden1_bn"), ("hidden2", "hidden2_bn"),
    ]  # fmt: skip


def test_it_begins_as_torch_begins() -> None:
    """Uniform within 1 / sqrt(inputs), biases too; batch norms keep a tenth of the newest batch."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = basset.network(Config())
    for name, inputs in {"conv1": 4 * 19, "conv2": 300 * 11, "conv3": 200 * 7, "hidden1": 400, "output": 1000}.items():
        bound = 1 / math.sqrt(inputs)
        layer = getattr(module, name)
        assert 0.9 * bound < layer.weight.abs().max() <= bound * (1 + 1e-6)
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert 0 < layer.bias.abs().max() <= bound * (1 + 1e-6)
    norm = module.conv1_bn
    assert (norm.eps, norm.momentum) == (BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM) == (1e-5, 0.1)
    assert [child.p for child in module.children() if isinstance(child, torch.nn.Dropout)] == [0.3, 0.3]
    kinds = [type(child).__name__ for child in module.children()]
    convolution = ["Conv1d", "BatchNorm", "ReLU", "MaxPool1d"]
    assert kinds == [*convolution * 3, "Flatten", *["Linear", "BatchNorm", "ReLU", "Dropout"] * 2, "Linear"]


def test_any_number_of_targets_of_any_name() -> None:
    config = dataclasses.replace(Config(), targets=("liver / 24 h", "brain", "c"))
    names = [layer.name for layer in basset.keras_model(config).layers if layer.row is not None]
    assert names == ["output_1", "output_2", "output_3"]
    assert basset.array_shapes(config)["output.weight"] == (3, 1000)


def test_the_tables_of_k_mers_refuse_it_for_its_poolings() -> None:
    spec = checkpoint.describe("basset", Config())
    reason = session.refuses("kmer-cpu", spec)
    assert reason
    assert "basset" in reason
    assert "onnx-cpu" in reason
    for runtime in ("onnx-cpu", "torch-cpu", "keras-cpu"):
        assert session.refuses(runtime, spec) is None


@pytest.mark.parametrize(
    ("wrong", "facts"),
    [
        ({"filters": []}, ["filters", 0]),
        ({"filters": [300, 200, 0]}, ["filters", 1, 0]),
        ({"pools": [3, 4, 4.0]}, ["pools", "[3, 4, 4.0]"]),
        ({"pools": 4}, ["pools", 4]),
        ({"dense_units": []}, ["dense_units", 0]),
        ({"pools": [3, 4]}, ["filters", "kernel_sizes", "pools", 3, 2]),
        ({"dropout": 1}, ["dropout", 1]),
        ({"dropout": "0.3"}, ["dropout", "'0.3'"]),
        ({"sequence_length": 167}, ["sequence_length", 168, 167]),
        ({"sequence_length": "249"}, ["sequence_length", "'249'"]),
        ({"targets": "dev"}, ["targets", "dev"]),
        ({"targets": []}, ["targets", "[]"]),
        ({"targets": ["dev", "dev"]}, ["targets", "['dev', 'dev']"]),
        ({"targets": ["dev", 2]}, ["targets", 2]),
    ],
)
def test_dimensions_that_make_no_network_are_refused(wrong: dict[str, object], facts: list[object]) -> None:
    with refuses(*facts):
        Config(**wrong)


def test_numbers_of_numpy_become_python_s() -> None:
    config = Config(filters=tuple(np.array([300, 200, 200])), sequence_length=np.int64(249))
    assert config == Config()
    assert json.dumps(config.to_dict()) == json.dumps(Config().to_dict())


def test_the_shortest_sequence_leaves_one_position_and_runs() -> None:
    torch = pytest.importorskip("torch")
    config = Config(sequence_length=168)
    assert config.positions[-1] == 1
    hot = torch.from_numpy(one_hot(random_codes(2, 168))).mT
    with torch.inference_mode():
        assert network.from_checkpoint(random_checkpoint(config))(hot).shape == (2, 2)
