"""Networks whose architecture other authors published: their classes' state dicts give their numbers.

The state dicts are of small networks with random weights, saved by the authors' own classes; their README says more.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

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


def test_the_mean_of_both_strands_marks_the_reverse_one() -> None:
    model = registry.load("models", "dream")
    config = dataclasses.replace(model.VARIANTS["dream-cnn"], **checkpoints.SMALLER["dream"], strand="mean")
    weights = checkpoints.random_checkpoint(config)
    module = network.from_checkpoint(weights)
    given = network.from_checkpoint(checkpoints.random_checkpoint(dataclasses.replace(config, strand="given")))
    hot = torch.from_numpy(one_hot(random_codes(3, config.sequence_length))).mT
    with torch.inference_mode():
        forward, reverse = given(hot), given._one_strand(hot.flip((1, 2)), 1.0)
        torch.testing.assert_close(module(hot), (forward + reverse) / 2)
        assert (reverse - given(hot.flip((1, 2)))).abs().max() > 0.01
