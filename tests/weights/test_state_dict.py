"""State dicts are read as tensors and nothing else, and sorted into layers whatever the names; no pickle runs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from refusals import refuses

from zoo.weights import checkpoint
from zoo.weights.importers import pytorch

torch = pytest.importorskip("torch")


def small() -> dict[str, Any]:
    module = torch.nn.Sequential(
        torch.nn.Conv1d(4, 3, 5), torch.nn.BatchNorm1d(3), torch.nn.Linear(6, 2), torch.nn.Linear(2, 1)
    )
    return dict(module.state_dict())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.save(small(), tmp_path / "small.pt")
    return tmp_path / "small.pt"


def test_kernels_come_with_their_biases_and_norms(path: Path) -> None:
    layers = pytorch.read(path).layers
    assert [layer.name for layer in layers] == ["0", "2", "3"]
    assert [layer.kernel.shape for layer in layers] == [(3, 4, 5), (2, 6), (1, 2)]
    assert [layer.bias.shape for layer in layers] == [(3,), (2,), (1,)]
    assert [sorted(layer.norm or {}) for layer in layers] == [["bias", "running_mean", "running_var", "weight"], [], []]


def test_a_convolution_over_an_axis_of_one_is_one_over_positions() -> None:
    arrays = {name: tensor.numpy() for name, tensor in small().items() if not name.endswith("tracked")}
    wider = {**arrays, "0.weight": arrays["0.weight"][..., None]}
    assert wider["0.weight"].shape == (3, 4, 5, 1)
    (plain, *_), (squeezed, *_) = (pytorch.layers(found, "here") for found in (arrays, wider))
    assert np.array_equal(plain.kernel, squeezed.kernel)
    across = {**arrays, "0.weight": arrays["0.weight"][:, :, None]}
    assert pytorch.layers(across, "here")[0].kernel.shape == (3, 4, 1, 5)


def test_what_all_names_begin_with_and_batch_counters_are_left_out(tmp_path: Path) -> None:
    torch.save({"model": {f"net.module.{name}": tensor for name, tensor in small().items()}}, tmp_path / "a.ckpt")
    assert list(pytorch.read_arrays(tmp_path / "a.ckpt")) == [name for name in small() if not name.endswith("tracked")]


def test_as_many_norms_as_kernels_are_refused() -> None:
    arrays = {"a.weight": np.ones((2, 4), np.float32), "n.running_mean": np.ones(2, np.float32)}
    with refuses("here", "1"):
        pytorch.layers(arrays, "here")


def test_the_zoo_s_own_file_is_not_imported_again(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    checkpoint.save(random_checkpoint(ODD), path)
    with refuses(path):
        pytorch.read(path, safetensors=True)


class Bomb:
    """A pickle that writes a file when it is loaded by anything that runs its code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["weights.pt", "weights.pkl"])
def test_a_pickle_is_refused_and_never_run(tmp_path: Path, name: str) -> None:
    sign = tmp_path / "it_ran"
    path = tmp_path / name
    if name.endswith(".pt"):
        torch.save({"state_dict": Bomb(sign)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(sign)))
    facts = ("state_dict",) if name.endswith(".pt") else ("pickle", "torch.save(model.state_dict(), ...)")
    with refuses(path, *facts):
        pytorch.read(path)
    assert not sign.exists()


@pytest.mark.parametrize("content", [[1, 2], {"lr": 0.1}, {"state_dict": {}}, torch.zeros(3)])
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with refuses(path, "state_dict", type(content).__name__ if not isinstance(content, dict) else "dict"):
        pytorch.read(path)


@pytest.mark.parametrize("size", [5, 100, 2000])
def test_a_file_that_is_cut_off_is_refused_in_one_line(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with refuses(path, "PyTorch", "cut off"):
        pytorch.read(path)


def test_bytes_that_are_no_text_give_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(b"\x80\x02" + b"cmodule\n\x80\n.")  # the name of a class is not ASCII
    with refuses(path, "damaged") as raised:
        pytorch.read(path)
    assert "can't decode" not in str(raised.value)


def grouped() -> dict[str, np.ndarray]:
    """Dense layers in branches, whose biases have three dimensions."""
    return {"branch.weight": np.ones((3, 4, 2), np.float32), "branch.bias": np.ones((3, 1, 2), np.float32)}


@pytest.mark.parametrize(
    ("arrays", "facts"),
    [
        (grouped(), ["no architecture", "branch.bias of shape [3, 1, 2]"]),
        ({"lstm.weight_ih_l0": np.ones((8, 4), np.float32)}, ["no architecture", "lstm.weight_ih_l0 of shape [8, 4]"]),
        ({"stem.0.weight": np.ones((8, 4), np.float32)}, ["no architecture", "stem.0.weight without stem.0.bias"]),
        ({"weight": np.ones((8, 4), np.float32)}, ["no architecture", "weight without bias"]),
        ({"x": np.ones(3, np.float32)}, ["kernels", "x of shape [3]"]),
        ({"0": np.ones((8, 4), np.float32)}, ["the file is a list of parameters without names"]),
        ({"shadow_params.0": np.ones((8, 4), np.float32), "shadow_params.1": np.ones(8, np.float32)},
         ["shadow_params is a list of parameters without names"]),
    ],
)  # fmt: skip
def test_only_arrays_that_exist_are_said_to_be_unknown(arrays: dict[str, np.ndarray], facts: list[str]) -> None:
    with refuses("here", *facts) as raised:
        pytorch.layers(arrays, "here")
    assert "is missing" not in str(raised.value)


@pytest.mark.parametrize("bias", [True, False])
def test_parameters_without_statistics_are_no_network(bias: bool, tmp_path: Path) -> None:
    whole = {name: tensor for name, tensor in small().items() if bias or name != "0.bias"}
    alone = {name: tensor for name, tensor in whole.items() if "running" not in name and "tracked" not in name}
    path = tmp_path / "both.pt"
    torch.save({"ema": alone, "state_dict": whole}, path)
    with refuses(path, "kernels of the same shapes", "--prefix state_dict."):
        pytorch.read(path)
    assert len(pytorch.read(path, prefix="state_dict").layers) == 3
    with refuses(path, "1.weight", "running_mean", "running_var", "moving average"):
        _ = pytorch.read(path, prefix="ema").layers
