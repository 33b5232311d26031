"""The training step on a CPU, compiled and in PyTorch, is the step of the network."""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from refusals import refuses

torch = pytest.importorskip("torch")

from zoo.dna.encoding import one_hot  # noqa: E402
from zoo.models.deepstarr import POOL_SIZE, Config, network, training_forward, trunk  # noqa: E402
from zoo.models.deepstarr import VARIANTS as ALL_VARIANTS  # noqa: E402

VARIANTS = {name: config for name, config in ALL_VARIANTS.items() if config.pool_size == POOL_SIZE}
"""Those that have a faster step; the others are trained by their modules."""

CONFIGS = {
    **VARIANTS,
    "odd lengths": Config(filters=(50, 40, 33), kernel_sizes=(6, 4, 9), dense_units=(16,), sequence_length=131),
    "wide kernel": Config(filters=(70, 20), kernel_sizes=(15, 1), dense_units=(16,), sequence_length=77),
}
COUNT = 24
PAYS_IN_FLOAT32 = trunk.pays(torch.float32)
NEEDS_COMPILED = pytest.mark.skipif(not trunk.available(), reason="not built, or no bfloat16 in this processor")


def made(config: Config) -> torch.nn.Module:
    """A network whose norms scale up, down and to the negative."""
    torch.manual_seed(0)
    model = network(dataclasses.replace(config, dropout=0.0)).train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(layer.weight, -0.5, 1.5)
            torch.nn.init.normal_(layer.bias)
    return model


def batch(config: Config) -> torch.Tensor:
    """Random DNA with Ns, one-hot, channels last."""
    codes = np.random.default_rng(0).integers(0, 5, (COUNT, config.sequence_length)).astype(np.uint8)
    return torch.from_numpy(one_hot(codes)).float()


def step(model: torch.nn.Module, hot: torch.Tensor, dtype: torch.dtype) -> dict[str, np.ndarray]:
    """The activities, gradients and running statistics of a step."""
    model = copy.deepcopy(model)
    activities = training_forward(model, hot, dtype)
    (activities * torch.randn(COUNT, 2, generator=torch.Generator().manual_seed(1))).sum().backward()
    found = {"activities": activities}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            found[f"gradient of {name}"] = parameter.grad
    found.update({name: value for name, value in model.named_buffers() if "running" in name})
    return {name: value.detach().double().numpy() for name, value in found.items()}


def exact(model: torch.nn.Module, hot: torch.Tensor) -> dict[str, np.ndarray]:
    """The same arrays, computed by the modules of the network in float64."""
    model = copy.deepcopy(model).double()
    activities = model(hot.double().transpose(1, 2))
    (activities * torch.randn(COUNT, 2, generator=torch.Generator().manual_seed(1)).double()).sum().backward()
    found = {"activities": activities}
    for name, parameter in model.named_parameters():
        # a bias in front of a norm has no gradient but rounding
        if "norm" in name or "head" in name or name.endswith("weight"):
            found[f"gradient of {name}"] = parameter.grad
    found.update({name: value for name, value in model.named_buffers() if "running" in name})
    return {name: value.detach().numpy() for name, value in found.items()}


@functools.cache
def exact_step(name: str) -> dict[str, np.ndarray]:
    """Of a Config of CONFIGS, once for all tests."""
    return exact(made(CONFIGS[name]), batch(CONFIGS[name]))


def distance(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


def test_other_networks_are_trained_by_their_modules() -> None:
    """One has poolings by 3, one gives probabilities."""
    for others in ({"pool_size": 3}, {"sigmoid": True}):
        config = Config(
            filters=(5, 4), kernel_sizes=(3, 3), dense_units=(6,), sequence_length=40, dropout=0.0, **others
        )
        model, hot = made(config), batch(config)
        expected = copy.deepcopy(model)(hot.transpose(1, 2))
        torch.testing.assert_close(training_forward(model, hot, torch.float32), expected)


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_float64_is_the_step_of_the_network_to_rounding(variant: str) -> None:
    """Same values, gradients and running statistics as the modules in training mode, to the rounding of float64."""
    config = dataclasses.replace(VARIANTS[variant], dropout=0.0)
    torch.manual_seed(0)
    plain = network(config).double().train()
    fast = network(config).double().train()
    fast.load_state_dict(plain.state_dict())
    generator = np.random.default_rng(0)
    hot = torch.from_numpy(one_hot(generator.integers(0, 5, (24, 249)).astype(np.uint8))).double()
    weight = torch.randn(24, 2, dtype=torch.float64)
    expected = plain(hot.transpose(1, 2))
    got = training_forward(fast, hot, torch.float64)
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
    (expected * weight).sum().backward()
    (got * weight).sum().backward()
    for (name, one), other in zip(plain.named_parameters(), fast.parameters(), strict=True):
        if name.startswith(("conv", "dense")) and name.endswith(".bias") and "norm" not in name:
            continue  # in front of a batch norm: no gradient but rounding
        scale = one.grad.abs().max()
        assert (one.grad - other.grad).abs().max() < 1e-9 * scale, name
    for (name, one), other in zip(plain.named_buffers(), fast.buffers(), strict=True):
        if "running" in name:
            torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9, msg=name)


@pytest.fixture(params=[pytest.param("compiled", marks=NEEDS_COMPILED), "PyTorch"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunk, "pays", lambda dtype: request.param == "compiled")  # noqa: ARG005


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_float32_is_float32(name: str) -> None:
    model, hot = made(CONFIGS[name]), batch(CONFIGS[name])
    got = step(model, hot, torch.float32)
    for part, expected in exact_step(name).items():
        assert distance(got[part], expected) < 2e-5, part


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_bfloat16_rounds_operands_and_nothing_else(name: str) -> None:
    """Activities to the rounding of bfloat16; a ReLU or a pooling that rounding turns changes single gradients."""
    model, hot = made(CONFIGS[name]), batch(CONFIGS[name])
    got, expected = step(model, hot, torch.bfloat16), exact_step(name)
    assert distance(got["activities"], expected["activities"]) < 0.05
    for part, value in expected.items():
        cosine = (got[part] * value).sum() / np.linalg.norm(got[part]) / np.linalg.norm(value)
        assert cosine > 0.9, part


@NEEDS_COMPILED
class TestCompiled:
    @pytest.fixture(autouse=True)
    def _always(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trunk, "pays", lambda dtype: True)  # noqa: ARG005

    @pytest.fixture
    def _three_threads(self) -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(3)
        yield
        torch.set_num_threads(before)

    @pytest.mark.usefixtures("_three_threads")
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_the_same_every_time(self, dtype: torch.dtype) -> None:
        model, hot = made(VARIANTS["tuned"]), batch(VARIANTS["tuned"])
        first, again = step(model, hot, dtype), step(model, hot, dtype)
        for part, value in first.items():
            np.testing.assert_array_equal(again[part], value, err_msg=part)

    @pytest.mark.skipif(not PAYS_IN_FLOAT32, reason="float32 steps are not compiled here")
    @pytest.mark.usefixtures("_three_threads")
    def test_the_same_on_any_number_of_threads(self) -> None:
        model, hot = made(VARIANTS["tuned"]), batch(VARIANTS["tuned"])
        three = step(model, hot, torch.float32)
        torch.set_num_threads(1)
        for part, value in step(model, hot, torch.float32).items():
            assert distance(three[part], value) < 2e-6, part

    def test_a_weight_that_is_not_finite_shows(self) -> None:
        model, hot = made(VARIANTS["tuned"]), batch(VARIANTS["tuned"])
        with torch.no_grad():
            model.conv1.weight[3, 2, 1] = float("nan")
        assert np.isnan(step(model, hot, torch.bfloat16)["activities"]).any()

    def test_a_network_of_one_convolution_is_trained_in_pytorch(self) -> None:
        config = Config(filters=(20,), kernel_sizes=(5,), dense_units=(8,), sequence_length=61)
        model, hot = made(config), batch(config)
        assert distance(step(model, hot, torch.float32)["activities"], exact(model, hot)["activities"]) < 1e-5

    def test_arrays_that_are_too_small_are_refused(self) -> None:
        shape = (1, 100, 32, 32, 3, 0)
        room = np.empty(trunk._trunk.room(shape) // 4 + 16, np.float32)
        scale, weight, totals = np.ones(32, np.float32), np.ones((32, 32, 3), np.float32), np.zeros((2, 32))
        rows, out = np.ones((2, 100, 32), np.float32), np.empty((2, 50, 32), np.float32)
        for bad in ((rows[:1], scale, scale, weight, out), (rows, scale, scale, weight, out[:1])):
            with refuses("array", "small", kind=ValueError):
                trunk._trunk.forward(shape, 2, room, *bad, totals)
        with refuses("array", "small", kind=ValueError):
            trunk._trunk.forward(shape, 2, room[:100], rows, scale, scale, weight, out, totals)


@pytest.mark.skipif(not (trunk.available() and trunk._trunk.matrix_unit()), reason="no matrix unit (AMX) here")
def test_a_processor_with_a_matrix_unit_also_computes_on_avx512() -> None:
    """A process knows one unit, so these tests run again in another, which is told to use AVX-512."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-k", "float32_is_float32 or bfloat16_rounds", __file__]
    subprocess.run(command, env={**os.environ, "ZOO_INSTRUCTION_SET": "avx512"}, check=True)


@pytest.mark.skipif(not trunk.BUILT, reason="not built")
def test_a_lower_instruction_set_leaves_it_out() -> None:
    code = "from zoo.models.deepstarr import _trunk; raise SystemExit(_trunk.available() or _trunk.matrix_unit())"
    environment = {**os.environ, "ZOO_INSTRUCTION_SET": "avx2", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
