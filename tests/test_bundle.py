"""A training run becomes bundled weights that a name stands for, in both forms, with their distance to the teacher."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes, traced_once

from zoo import bundle, checkpoint, predict, registry, weights
from zoo.errors import ZooError
from zoo.models.deepstarr import VARIANTS
from zoo.run_folder import RunFolder

pytest.importorskip("torch")
pytest.importorskip("dnaio")

TUNED = random_checkpoint(VARIANTS["tuned"])


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    checkpoint.save(TUNED, folder.weights)
    folder.receipts.write_text(json.dumps({"command": "zoo distill tuned"}))
    folder.metrics.write_text("epoch\n1\n")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """A genome and sequences that are not of it."""
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, 20_000)].tobytes().decode()
    (tmp_path / "genome.fa").write_text(f">contig\n{letters}\n")
    (tmp_path / "real.fa").write_text("".join(f">{n}\n{letters[n : n + 249]}\n" for n in range(0, 5000, 100)))
    return tmp_path / "genome.fa", tmp_path / "real.fa"


def test_a_run_becomes_the_weights_that_a_name_stands_for(
    run: RunFolder, data: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry.load("exporters", "onnx"), "_trace", traced_once)
    monkeypatch.setattr(bundle, "HELD_OUT_WINDOWS", 200)
    teacher = tmp_path / "teacher.safetensors"
    checkpoint.save(TUNED, teacher)
    pretrained = tmp_path / "pretrained"
    entry = bundle.add("tuned", run, teacher, *data, pretrained)
    assert entry["command"] == "zoo distill tuned"
    assert len(entry["fidelity"]) == 12
    assert {value for name, value in entry["fidelity"].items() if name.endswith("pearson")} == {1.0}
    assert {value for name, value in entry["fidelity"].items() if name.endswith("rmse")} == {0.0}

    monkeypatch.setattr(weights, "PRETRAINED", pretrained)
    assert weights.catalog() == {"tuned": entry}
    assert weights.bundled_as(TUNED.spec.weights_id) == "tuned"
    assert (pretrained / "tuned.run.json").read_bytes() == run.receipts.read_bytes()
    codes = random_codes(20, 249)
    both = [predict.load("tuned", runtime=runtime) for runtime in ("torch-cpu", "onnx-cpu")]
    assert [model.spec.weights_id for model in both] == [TUNED.spec.weights_id] * 2
    np.testing.assert_allclose(both[1].predict_codes(codes), both[0].predict_codes(codes), rtol=1e-4, atol=1e-4)


def test_weights_of_another_network_are_refused(run: RunFolder, data: tuple[Path, Path], tmp_path: Path) -> None:
    checkpoint.save(random_checkpoint(ODD), run.weights, overwrite=True)
    with pytest.raises(ZooError, match="expected weights of the variant tuned, got"):
        bundle.add("tuned", run, run.weights, *data, tmp_path / "pretrained")
    assert not (tmp_path / "pretrained").exists()


@pytest.mark.parametrize("name", sorted(weights.catalog()))
def test_the_bundled_files_of_a_name_agree(name: str) -> None:
    """In both forms, with the sums and the identity that the catalog gives."""
    both = [predict.load(name, runtime=runtime) for runtime in ("torch-cpu", "onnx-cpu")]
    assert {model.spec.weights_id for model in both} == {weights.catalog()[name]["weights_id"]}
    codes = random_codes(50, both[0].spec.sequence_length)
    np.testing.assert_allclose(both[1].predict_codes(codes), both[0].predict_codes(codes), rtol=1e-4, atol=1e-4)
