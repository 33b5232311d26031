"""Networks whose architecture other authors published: their classes' state dicts give their numbers.

The state dicts are of small networks with random weights, saved by the authors' own classes; their README says more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from zoo.dna.encoding import encode, one_hot  # noqa: E402
from zoo.formats import columns  # noqa: E402
from zoo.prediction import session  # noqa: E402
from zoo.weights import checkpoint, network  # noqa: E402
from zoo.weights.importers import importer  # noqa: E402
from zoo.weights.importers.layers import ImportOptions  # noqa: E402

VARIANTS = {
    "legnet_small": "legnet-230",
    "malinois_small": "basset-branched",
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
