"""Every model of the registry meets zoo/contracts.py, and its parts agree with one another."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import checkpoints  # noqa: E402
from checkpoints import EVERY_CONFIG, EVERY_ODD_CONFIG, MODELS, ODD_CONFIGS, random_checkpoint, random_codes  # noqa: E402
from refusals import refuses  # noqa: E402
from toy import Toy, trainer  # noqa: E402
from zoo_exporters.keras import export as write_h5  # noqa: E402

from zoo import registry  # noqa: E402
from zoo.dna.encoding import one_hot  # noqa: E402
from zoo.errors import ZooError  # noqa: E402
from zoo.layers import keras_layers, plain  # noqa: E402
from zoo.prediction import session  # noqa: E402
from zoo.prediction.automatic import open_automatic  # noqa: E402
from zoo.training.config import (  # noqa: E402
    TrainConfig,
    make,
    read_model,
)
from zoo.weights import model_arrays, network  # noqa: E402
from zoo.weights.checkpoint import Checkpoint  # noqa: E402

every_config = pytest.mark.parametrize("name", EVERY_CONFIG)
every_small_config = pytest.mark.parametrize("name", [*EVERY_ODD_CONFIG, "odd"])
every_odd_config = pytest.mark.parametrize("name", EVERY_ODD_CONFIG)


def made(name: str) -> tuple[Any, Any]:
    """A Config, and its model."""
    config = EVERY_CONFIG[name]
    return MODELS[checkpoints.architecture_of(config)], config


def torch_numbers(weights: Checkpoint, codes: np.ndarray, dtype: torch.dtype = torch.float32) -> np.ndarray:
    hot = torch.from_numpy(one_hot(codes)).mT.to(dtype)
    with torch.inference_mode():
        return network.from_checkpoint(weights).to(dtype)(hot).numpy()


@every_config
def test_array_shapes_are_those_of_the_state_dict_in_its_order(name: str) -> None:
    model, config = made(name)
    module = model.network(config)
    assert module.config == config
    arrays = network.arrays(module)
    expected = list(model_arrays.shapes(checkpoints.architecture_of(config), config).items())
    assert [(array, values.shape) for array, values in arrays.items()] == expected
    assert all(values.dtype == np.float32 for values in arrays.values())


@every_config
def test_a_head_holds_the_arrays_that_depend_on_the_targets(name: str) -> None:
    _, config = made(name)
    architecture = checkpoints.architecture_of(config)
    other = dataclasses.replace(config, targets=(*config.targets, "one more"))
    shapes, others = (model_arrays.shapes(architecture, one).items() for one in (config, other))
    changed = {array for array, _ in set(shapes) ^ set(others)}
    assert changed
    heads = model_arrays.heads(architecture)
    if heads:
        assert all(any(array.startswith(f"{head}.") for head in heads) for array in changed)
        assert all(any(array.startswith(f"{head}.") for array, _ in shapes) for head in heads)


@every_small_config
def test_layer_norms_are_layers_with_the_batch_norm_right_after_them(name: str) -> None:
    model, config = made(name)
    module = model.network(config).eval()
    norms = model_arrays.layer_norms(checkpoints.architecture_of(config), config)
    layers, results, inputs = dict(module.named_modules()), {}, {}
    for layer, norm in norms.items():
        assert isinstance(layers[norm], torch.nn.BatchNorm1d)
        layers[layer].register_forward_hook(lambda *given, to=layer: results.update({to: given[2]}))
        layers[norm].register_forward_pre_hook(lambda *given, to=layer: inputs.update({to: given[1][0]}))
    module(torch.zeros(2, 4, config.sequence_length))
    assert all(results[layer] is inputs[layer] for layer in norms)


@every_config
def test_a_config_survives_json_and_cannot_be_changed(name: str) -> None:
    model, config = made(name)
    again = model.Config(**json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert hash(again) == hash(config)
    with pytest.raises(dataclasses.FrozenInstanceError):
        again.sequence_length = 1
    for field, wrong in (("sequence_length", 0), ("targets", ())):
        with refuses("expected "):  # a model may name another field that no longer fits
            dataclasses.replace(config, **{field: wrong})


@pytest.mark.parametrize("architecture", MODELS)
def test_a_recipe_holds_settings_of_a_training_and_a_file_overrides_them(architecture: str, tmp_path: Path) -> None:
    model = MODELS[architecture]
    for variant, config in model.VARIANTS.items():
        recipe = registry.recipe(model, config)
        assert make(TrainConfig, recipe, architecture) == TrainConfig(**recipe)
        assert read_model(variant) == (architecture, config, recipe)
    path = tmp_path / "model.toml"
    path.write_text(f'[model]\nvariant = "{variant}"\n[train]\nlearning_rate = 0.125\n')
    assert read_model(str(path)) == (architecture, config, {**recipe, "learning_rate": 0.125})


@every_odd_config
def test_an_epoch_of_training_changes_every_layer_and_gives_a_finite_loss(name: str, tmp_path: Path) -> None:
    model, config = made(name)
    training = trainer(tmp_path / "run", config, **{**registry.recipe(model, config), "epochs": 1})
    before = network.arrays(training.model)
    row = training.run()
    assert math.isfinite(row["train_loss"])
    assert math.isfinite(row["validation_loss"])
    after = network.arrays(training.model)
    trained = {array for array, one in training.model.named_parameters() if one.requires_grad and one.ndim > 1}
    for array in trained | {array for array in after if array.endswith(("running_mean", "running_var"))}:
        assert not np.array_equal(after[array], before[array]), array


@every_odd_config
def test_a_moving_average_of_the_weights_predicts_the_same_as_its_file(name: str, tmp_path: Path) -> None:
    """Buffers that are not weights, such as a table of indices, are not averaged."""
    _, config = made(name)
    training = trainer(tmp_path / "run", config, epochs=1, batch_size=16, weight_average=0.9)
    training.run()
    codes = random_codes(20, config.sequence_length)
    with torch.inference_mode():
        numbers = training.kept.eval()(torch.from_numpy(one_hot(codes)).mT).numpy()
    np.testing.assert_allclose(numbers, torch_numbers(training.weights(), codes), rtol=1e-5, atol=1e-5)


@every_odd_config
def test_given_weights_keep_their_head_only_for_the_same_targets(name: str, tmp_path: Path) -> None:
    _, config = made(name)
    architecture = checkpoints.architecture_of(config)
    source = Toy(sequence_length=config.sequence_length)
    begin = random_checkpoint(dataclasses.replace(config, targets=source.targets))
    other = random_checkpoint(config)
    for start, kept in ((begin, True), (other, False)):
        training = trainer(tmp_path / str(kept), config, source)
        fresh = network.arrays(training.model)
        if not kept and not model_arrays.heads(architecture):
            with refuses("HEAD", *other.spec.targets):
                network.begin_with(training.model, start)
            continue
        assert network.begin_with(training.model, start) != kept
        for array, values in network.arrays(training.model).items():
            from_start = kept or not model_arrays.in_head(architecture, array)
            np.testing.assert_array_equal(values, (start.arrays if from_start else fresh)[array], array)


@every_odd_config
def test_rescaled_weights_are_as_large_as_fresh_ones_and_predict_the_same(name: str) -> None:
    model, config = made(name)
    grown = random_checkpoint(config)
    norms = model_arrays.layer_norms(checkpoints.architecture_of(config), config)
    for layer, norm in norms.items():
        for array in (f"{layer}.weight", f"{layer}.bias", f"{norm}.running_mean"):
            if array in grown.arrays:
                grown.arrays[array] *= 30
        grown.arrays[f"{norm}.running_var"] *= 900
    fresh = network.sizes(model.network(config), norms)
    module = network.from_checkpoint(grown)
    network.rescale(module, norms, fresh)
    assert network.sizes(module, norms) == pytest.approx(fresh, rel=1e-5)
    codes = random_codes(20, config.sequence_length)
    with torch.inference_mode():
        numbers = module(torch.from_numpy(one_hot(codes)).mT).numpy()
    np.testing.assert_allclose(numbers, torch_numbers(grown, codes), rtol=1e-4, atol=1e-4)


@every_small_config
def test_a_keras_file_loads_into_the_graph_and_gives_the_numbers_of_pytorch(name: str, tmp_path: Path) -> None:
    weights = random_checkpoint(EVERY_CONFIG[name])
    if reason := keras_layers.refuses(weights.spec):
        with pytest.raises(ZooError) as refusal:
            keras_layers.graph(weights.spec)
        assert str(refusal.value) == reason
        return
    names = [layer.name for layer in keras_layers.of(weights.spec).layers]
    assert len(names) == len(set(names))
    # in Keras a sigmoid is part of the output layers
    children = {layer for layer, _ in network.from_checkpoint(weights).named_children()} - {"sigmoid"}
    assert {layer.module for layer in keras_layers.of(weights.spec).layers} == children
    keras = pytest.importorskip("tf_keras")
    write_h5(weights, tmp_path / "weights.h5")
    built = keras.models.model_from_json(json.dumps(keras_layers.graph(weights.spec)))
    built.load_weights(tmp_path / "weights.h5")
    codes = random_codes(5, weights.spec.sequence_length)
    outputs = built.predict_on_batch(one_hot(codes))
    numbers = np.concatenate(outputs if isinstance(outputs, list) else [outputs], axis=1)
    np.testing.assert_allclose(numbers, torch_numbers(weights, codes), rtol=1e-4, atol=1e-4)


@every_small_config
def test_plain_layers_give_the_numbers_of_the_network(name: str) -> None:
    model, config = made(name)
    plain_layers, plain_shape = (getattr(model, part, None) for part in ("plain_layers", "plain_shape"))
    assert (plain_layers is None) == (plain_shape is None)
    if plain_layers is None:
        return
    weights = random_checkpoint(config)
    layers = plain_layers(config, weights.arrays)
    assert layers.shape == plain_shape(config)
    assert layers.shape.targets == len(config.targets)
    codes = random_codes(plain.BLOCK + 2, config.sequence_length)
    expected = torch_numbers(weights, codes, torch.float64)
    numbers = plain.activities(layers, one_hot(codes))
    assert numbers.dtype == np.float64
    np.testing.assert_allclose(numbers, expected, rtol=1e-5, atol=1e-5)


@every_small_config
def test_the_numpy_code_of_a_model_with_its_own_graph_gives_the_numbers_of_the_network(name: str) -> None:
    model, config = made(name)
    write, activities = (getattr(model, part, None) for part in ("onnx_model", "activities"))
    assert (write is None) == (activities is None)
    if activities is None:
        return
    assert getattr(model, "plain_layers", None) is None
    weights, codes = random_checkpoint(config), random_codes(9, config.sequence_length)
    numbers = activities(config, weights.arrays, one_hot(codes))
    assert numbers.dtype == np.float64
    np.testing.assert_allclose(numbers, torch_numbers(weights, codes, torch.float64), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ODD_CONFIGS)
def test_auto_runs_every_model(name: str) -> None:
    weights = random_checkpoint(EVERY_CONFIG[name])
    running = open_automatic(lambda _: weights)
    assert session.refuses(running.runtime, weights.spec) is None
    codes = random_codes(5, weights.spec.sequence_length)
    np.testing.assert_allclose(running.predict(codes), torch_numbers(weights, codes), rtol=1e-4, atol=1e-4)
