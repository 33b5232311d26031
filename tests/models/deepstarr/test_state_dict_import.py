"""PyTorch ports of DeepSTARR give their own numbers once imported, whatever they call their layers."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from ports import LENGTH, Port
from refusals import refuses

from zoo.dna.encoding import one_hot
from zoo.weights import network
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import importer
from zoo.weights.importers.layers import ImportOptions

torch = pytest.importorskip("torch")


def read(path: Path, **options: Any) -> Checkpoint:
    return importer.read(path, ImportOptions(**{"alphabet": "ACGT", **options}), architecture="deepstarr")


@pytest.fixture(scope="module")
def odd() -> Checkpoint:
    return random_checkpoint(ODD)


def codes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 5, (20, LENGTH), np.uint8)


def predicted(weights: Checkpoint) -> np.ndarray:
    with torch.inference_mode():
        return network.from_checkpoint(weights)(torch.from_numpy(one_hot(codes()).transpose(0, 2, 1).copy())).numpy()


def state(weights: Checkpoint, prefix: str = "") -> OrderedDict[str, Any]:
    return OrderedDict((prefix + name, torch.from_numpy(array)) for name, array in weights.arrays.items())


@pytest.mark.parametrize("flatten", ["channel", "length"])
@pytest.mark.parametrize("alphabet", ["ACGT", "ACTG", "TGCA"])
def test_a_port_with_its_own_names_gives_its_own_numbers_once_imported(
    tmp_path: Path, alphabet: str, flatten: str
) -> None:
    torch.manual_seed(1)
    port = Port(alphabet, flatten).eval()
    path = tmp_path / "port.pt"
    torch.save(port.state_dict(), path)
    weights = read(path, alphabet=alphabet, flatten=flatten, length=LENGTH, epsilon=1e-3)
    assert weights.spec.targets == ("hk", "dev")
    assert weights.config.filters == (6, 6, 8)
    assert weights.config.dense_units == (9, 9)
    assert weights.spec.source.startswith("imported from port.pt (md5 ")
    with torch.inference_mode():
        assert np.abs(predicted(weights)[:, ::-1] - port(codes()).numpy()).max() < 1e-5
    other = read(
        path,
        alphabet=alphabet,
        flatten={"channel": "length", "length": "channel"}[flatten],
        length=LENGTH,
        epsilon=1e-3,
    )
    assert np.abs(predicted(other) - predicted(weights)).max() > 0.01


def test_another_epsilon_is_folded_into_the_scale(tmp_path: Path) -> None:
    torch.manual_seed(2)
    port = Port(epsilon=1e-5).eval()
    path = tmp_path / "port.pt"
    torch.save(port.state_dict(), path)
    with torch.inference_mode():
        wanted = port(codes()).numpy()[:, ::-1]
    right = read(path, flatten="channel", length=LENGTH, epsilon=1e-5)
    wrong = read(path, flatten="channel", length=LENGTH, epsilon=1e-3)
    assert np.abs(predicted(right) - wanted).max() < 1e-4
    assert np.abs(predicted(wrong) - wanted).max() > 1e-3


def test_convolutions_that_all_lack_a_bias_get_zeros_and_one_alone_is_refused(tmp_path: Path) -> None:
    torch.manual_seed(3)
    port = Port(bias=False).eval()
    path = tmp_path / "port.pt"
    torch.save(port.state_dict(), path)
    with torch.inference_mode():
        wanted = port(codes()).numpy()[:, ::-1]
    assert np.abs(predicted(read(path, flatten="channel", length=LENGTH, epsilon=1e-3)) - wanted).max() < 1e-5
    arrays = Port().state_dict()
    del arrays["convs.1.bias"]
    torch.save(arrays, path)
    with refuses(path, "convs.1.bias"):
        read(path, flatten="channel", length=LENGTH, epsilon=1e-3)


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "_orig_mod.", "net.module."])
@pytest.mark.parametrize("container", [None, "state_dict", "model_state_dict"])
def test_the_zoo_s_own_names_need_no_flatten_order_and_come_back_bit_for_bit(
    odd: Checkpoint, tmp_path: Path, prefix: str, container: str | None
) -> None:
    content: Any = state(odd, prefix)
    if container:
        content = {"epoch": 3, container: content, "optimizer_states": [{"lr": 0.1}]}
    path = tmp_path / "own.ckpt"
    torch.save(content, path)
    weights = read(path, length=53, targets=("a", "b", "c"), source="us", licence="MIT")
    assert weights.spec.weights_id == odd.spec.weights_id
    assert (weights.spec.source, weights.spec.licence) == ("us", "MIT")


def test_batch_counters_are_left_out(tmp_path: Path) -> None:
    module = network.from_checkpoint(random_checkpoint(ODD))
    assert any(name.endswith("num_batches_tracked") for name in module.state_dict())
    path = tmp_path / "own.pt"
    torch.save(module.state_dict(), path)
    weights = read(path, length=53, targets=("a", "b", "c"))
    assert weights.spec.weights_id == random_checkpoint(ODD).spec.weights_id


def test_a_safetensors_file_of_another_program_is_taken_in_the_natural_order_of_its_names(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(4)
    port = Port().eval()
    path = tmp_path / "port.safetensors"
    # as nn.Sequential numbers them: 10 comes after 2
    names = [name.rpartition(".")[0] for name in port.state_dict() if name.endswith("bias")]
    renamed = {f"layers.{names.index(name.rpartition('.')[0])}.{name.rpartition('.')[2]}": tensor.clone()
               for name, tensor in port.state_dict().items()}  # fmt: skip
    save_file(renamed, path)
    weights = read(path, flatten="channel", length=LENGTH, epsilon=1e-3)
    with torch.inference_mode():
        assert weights.spec.targets == ("dev", "hk")
        assert np.abs(predicted(weights)[:, ::-1] - port(codes()).numpy()).max() < 1e-5


def test_a_flatten_order_or_an_epsilon_that_the_file_cannot_tell_must_be_given(tmp_path: Path) -> None:
    path = tmp_path / "port.pt"
    torch.save(Port().state_dict(), path)
    with refuses(path, "--flatten channel", "--match"):
        read(path, length=LENGTH, epsilon=1e-5)
    with refuses(path, "--epsilon 1e-5", "--match"):
        read(path, length=LENGTH, flatten="channel")
    with refuses(path, "--flatten", "--epsilon", "--match"):
        read(path, length=LENGTH)
    with refuses("alphabet", "ACGT", "'ACGU'"):
        read(path, length=LENGTH, flatten="channel", alphabet="ACGU")


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        (lambda arrays: arrays.pop("convs.2.weight"), ["convs.2.bias"]),
        (lambda arrays: arrays.pop("norms.1.running_var"), ["norms.1.running_var"]),
        (lambda arrays: arrays.update(extra=torch.zeros(3)), ["array extra"]),
        (
            lambda arrays: arrays.update({"convs.1.weight": torch.zeros(6, 7, 3)}),
            ["layer convs.1", "6 inputs", "7"],
        ),
        (
            lambda arrays: arrays.update({"fc.1.weight": torch.zeros(9, 8)}),
            ["layer fc.1", "9 inputs", "8"],
        ),
        (lambda arrays: arrays.update({"convs.0.weight": torch.zeros(6, 4, 1, 5)}), ["layer convs.0", "4 dimensions"]),
        (lambda arrays: arrays.update({"out_dev.bias": torch.full((1,), float("nan"))}), ["head.bias"]),
    ],
)
def test_another_network_is_refused_with_the_first_mismatch(tmp_path: Path, change: Any, facts: list[str]) -> None:
    arrays = Port().state_dict()
    change(arrays)
    path = tmp_path / "port.pt"
    torch.save(arrays, path)
    with refuses(*facts):
        read(path, flatten="channel", length=LENGTH, epsilon=1e-3)
