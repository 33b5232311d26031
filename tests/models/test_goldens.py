"""Networks whose architecture other authors published: their classes' state dicts give their numbers.

The state dicts are of small networks with random weights, saved by the authors' own classes; their README says more.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import checkpoints  # noqa: E402
from checkpoints import random_codes  # noqa: E402

from zoo import registry  # noqa: E402
from zoo.dna.encoding import encode, one_hot  # noqa: E402
from zoo.formats import columns  # noqa: E402
from zoo.prediction import session  # noqa: E402
from zoo.weights import checkpoint, network  # noqa: E402
from zoo.weights.importers import importer  # noqa: E402
from zoo.weights.importers.layers import ImportOptions  # noqa: E402

VARIANTS = {
    "legnet_small": "legnet-230",
    "malinois_small": "malinois-relu6",
    "dream_cnn_small": "dream-cnn",
    "dream_rnn_small": "dream-rnn",
}
"""File -> the variant whose settings, but for the sizes that arrays show, are those of the file."""


@pytest.mark.parametrize("name", VARIANTS)
def test_a_published_class_gives_its_numbers_here_and_after_export(name: str, data: Path, tmp_path: Path) -> None:
    folder = data / "models"
    if not folder.is_dir():
        pytest.skip(f"the state dicts of other networks are not at {folder}")
    weights = importer.read(folder / f"{name}.pt", ImportOptions(), VARIANTS[name])
    table = columns.read(folder / f"{name}.tsv", weights.spec.targets, text=["sequence"])
    codes = encode(table.text["sequence"])
    tolerance = 2e-5 * np.abs(table.numbers).max()
    with torch.inference_mode():
        numbers = network.from_checkpoint(weights)(torch.from_numpy(one_hot(codes)).mT).numpy()
    np.testing.assert_allclose(numbers, table.numbers, rtol=0, atol=tolerance)
    checkpoint.save(weights, tmp_path / "weights.safetensors")
    again = checkpoint.load(tmp_path / "weights.safetensors")
    assert again.spec == weights.spec
    exported = session.open_session(again, "onnx-cpu").predict(codes)
    np.testing.assert_allclose(exported, table.numbers, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "bases", "begin", "end"),
    [("legnet", 230, "AGGACCGGATCAACT", "CATTGCGTGAACCGA"), ("malinois", 600, "GTACGGGAGGTATT", "GGGTGGTGCCCATC")],
)
def test_a_network_with_flanks_gives_the_numbers_of_the_whole_construct(
    name: str, bases: int, begin: str, end: str
) -> None:
    """The flanks are those of the study: by number, first bases and last bases."""
    model = registry.load("models", name)
    config = dataclasses.replace(model.VARIANTS[name], **checkpoints.SMALLER[name])
    assert config.left_flank.startswith(begin)
    assert config.right_flank.endswith(end)
    given = random_codes(3, config.sequence_length)
    left, right = (np.repeat(encode([flank]), 3, axis=0) for flank in (config.left_flank, config.right_flank))
    whole = np.concatenate([left, given, right], 1)
    assert whole.shape[1] == bases
    bare = dataclasses.replace(config, sequence_length=bases, left_flank="", right_flank="")
    weights = checkpoints.random_checkpoint(config)
    with torch.inference_mode():
        numbers = network.from_checkpoint(weights)(torch.from_numpy(one_hot(given)).mT)
        expected = network.from_checkpoint(checkpoints.random_checkpoint(bare))(torch.from_numpy(one_hot(whole)).mT)
    torch.testing.assert_close(numbers, expected)


@pytest.mark.parametrize(("variant", "sizes"), [("dream-cnn", {}), ("dream-attn", {"core_filters": 6, "heads": 2})])
def test_the_mean_of_both_strands_marks_the_reverse_one(variant: str, sizes: dict[str, int]) -> None:
    model = registry.load("models", "dream")
    changes = {**checkpoints.SMALLER["dream"], **sizes, "strand": "mean"}
    config = dataclasses.replace(model.VARIANTS[variant], **changes)
    weights = checkpoints.random_checkpoint(config)
    module = network.from_checkpoint(weights)
    given = network.from_checkpoint(checkpoints.random_checkpoint(dataclasses.replace(config, strand="given")))
    hot = torch.from_numpy(one_hot(random_codes(3, config.sequence_length))).mT
    with torch.inference_mode():
        forward, reverse = given(hot), given._one_strand(hot.flip((1, 2)), 1.0)
        torch.testing.assert_close(module(hot), (forward + reverse) / 2)
        assert (reverse - given(hot.flip((1, 2)))).abs().max() > 0.01


def attention_numbers(state: dict[str, Any], codes: np.ndarray, alphabet: str) -> np.ndarray:
    """The attention network of the DREAM challenge from the description of its authors, by their names of arrays and
    with PyTorch's own attention: base codes, uint8 (N, L) -> (N, 2)."""
    function = torch.nn.functional

    def feed(hidden: Any, name: str) -> Any:
        normal = norm(hidden, f"{name}.layernorm")
        values, gate = (normal @ state[f"{name}.linear1.weight"].T).chunk(2, -1)
        return values * function.silu(gate) @ state[f"{name}.linear2.weight"].T

    def norm(hidden: Any, name: str) -> Any:
        return function.layer_norm(hidden, hidden.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def attention(hidden: Any, name: str) -> Any:
        each, channels = hidden.transpose(0, 1), hidden.shape[-1]
        arrays = [state[f"{name}.{array}"] for array in ("in_proj_weight", "in_proj_bias")]
        output = [state[f"{name}.out_proj.{array}"] for array in ("weight", "bias")]
        found, _ = function.multi_head_attention_forward(
            each, each, each, channels, 4, *arrays, None, None, False, 0.0, *output, training=False
        )
        return found.transpose(0, 1)

    order = ["ACGT".index(base) for base in alphabet]
    hidden = torch.from_numpy(one_hot(codes)).double().mT[:, order]
    hidden = torch.cat([hidden, torch.zeros_like(hidden[:, :1])], 1)
    hidden = function.conv1d(hidden, state["first.block.0.weight"], padding="same")
    arrays = [state[f"first.block.1.{array}"] for array in ("running_mean", "running_var", "weight", "bias")]
    hidden = function.silu(function.batch_norm(hidden, *arrays)).mT + state["core.pos_embedding.weight"]
    for number in range(sum(name.endswith("in_proj_bias") for name in state)):
        block = f"core.blocks.{number}"
        hidden = hidden + 0.5 * feed(hidden, f"{block}.ff1")
        normal = norm(hidden, f"{block}.layernorm1").mT
        depthwise = state[f"{block}.conv.0.weight"]
        found = function.conv1d(normal, depthwise, padding="same", groups=len(depthwise))
        found = function.conv1d(found, state[f"{block}.conv.1.weight"], state[f"{block}.conv.1.bias"]).relu()
        hidden = norm(hidden + (normal + found).mT, f"{block}.layernorm2")
        hidden = hidden + attention(hidden, f"{block}.attn")
        hidden = hidden + 0.5 * feed(hidden, f"{block}.ff2")
    outputs = []
    for number in (1, 2):
        mapper, linear = f"final.mapper{number}", f"final.linear{number}.0"
        mapped = function.conv1d(hidden.mT, state[f"{mapper}.weight"], state[f"{mapper}.bias"]).mean(2)
        outputs.append(mapped @ state[f"{linear}.weight"].T + state[f"{linear}.bias"])
    return torch.cat(outputs, 1).numpy()


@pytest.mark.parametrize(("alphabet", "blocks"), [("ACGT", 1), ("AGCT", 2)])
def test_the_attention_network_gives_the_numbers_of_an_independent_calculation(
    alphabet: str, blocks: int, tmp_path: Path
) -> None:
    """The state dict has the names and shapes of its authors' class, and any sizes."""
    channels, length, inner = 24, 61, 72
    block: dict[str, tuple[int, ...]] = {"conv.0.weight": (channels, 1, 5), "conv.1.weight": (channels, channels, 1)}
    block |= {"attn.in_proj_weight": (3 * channels, channels), "attn.in_proj_bias": (3 * channels,)}
    block |= {
        "attn.out_proj.weight": (channels, channels),
        "attn.out_proj.bias": (channels,),
        "conv.1.bias": (channels,),
    }
    for part in ("ff1", "ff2"):
        block |= {f"{part}.linear1.weight": (inner, channels), f"{part}.linear2.weight": (channels, inner // 2)}
    for layer in ("ff1.layernorm", "ff2.layernorm", "layernorm1", "layernorm2"):
        block |= {f"{layer}.weight": (channels,), f"{layer}.bias": (channels,)}
    shapes = {"first.block.0.weight": (channels, 5, 9), "core.pos_embedding.weight": (length, channels)}
    shapes |= {f"first.block.1.{name}": (channels,) for name in ("weight", "bias", "running_mean", "running_var")}
    shapes |= {f"core.blocks.{number}.{name}": shape for number in range(blocks) for name, shape in block.items()}
    for number in (1, 2):
        shapes |= {f"final.mapper{number}.weight": (10, channels, 1), f"final.mapper{number}.bias": (10,)}
        shapes |= {f"final.linear{number}.0.weight": (1, 10), f"final.linear{number}.0.bias": (1,)}
    generator = torch.Generator().manual_seed(0)
    state = {name: 0.4 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    state["first.block.1.running_var"] = state["first.block.1.running_var"].abs() + 0.5
    torch.save({**state, "first.block.1.num_batches_tracked": torch.tensor(3)}, tmp_path / "attention.pt")
    weights = importer.read(tmp_path / "attention.pt", ImportOptions(alphabet=alphabet), "dream-attn")
    assert (weights.config.sequence_length, weights.config.attention_blocks, weights.config.widening) == (
        length,
        blocks,
        3,
    )
    codes = random_codes(5, length)
    expected = attention_numbers({name: array.double() for name, array in state.items()}, codes, alphabet)
    with torch.inference_mode():
        numbers = network.from_checkpoint(weights).double()(torch.from_numpy(one_hot(codes)).double().mT).numpy()
    np.testing.assert_allclose(numbers, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    if blocks == 1:
        exported = session.open_session(weights, "onnx-cpu").predict(codes)
        np.testing.assert_allclose(exported, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
