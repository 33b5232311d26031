"""The Keras form calls an output after its target; a target that can name no Keras layer is refused in one line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from checkpoints import ODD, random_checkpoint
from refusals import refuses

from zoo import registry
from zoo.prediction import session


@pytest.mark.parametrize("target", ["liver 24 h", "liver/24h", "a>b", "1"])
def test_a_target_that_can_name_no_layer_is_refused_by_runtime_and_format(target: str, tmp_path: Path) -> None:
    weights = random_checkpoint(dataclasses.replace(ODD, targets=("brain", target)))
    exporter = registry.load("exporters", "keras")
    for reason in (session.refuses("keras-cpu", weights.spec), exporter.refuses(weights.spec)):
        assert reason is not None
        assert repr(target) in reason
        assert "Conv1D_1st" in reason
    with refuses("targets", repr(target), "Conv1D_1st"):
        exporter.export(weights, tmp_path / "model.h5")
    assert list(tmp_path.iterdir()) == []
