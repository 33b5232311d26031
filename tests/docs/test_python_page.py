"""docs/python.md: contributions add up as the page says. test_pages.py runs its blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pages
import pytest

import zoo

torch = pytest.importorskip("torch")

SEQUENCES = ["ACGTA" * 49 + "ACGT", "TTGCA" * 49 + "TTTT"]


@pytest.fixture(scope="module")
def network() -> Any:
    return zoo.torch_module("original")


@pytest.fixture(scope="module")
def inputs() -> Any:
    return torch.from_numpy(zoo.one_hot(SEQUENCES, channels_first=True))


def difference(network: Any, inputs: Any) -> np.ndarray:
    """What contributions add up to: the output, first target, less that of the reference, all zeros; float32 (2,)."""
    return (network(inputs) - network(inputs * 0))[:, 0].detach().numpy()


def summed(contributions: Any) -> np.ndarray:
    return contributions.sum(dim=(1, 2)).detach().numpy()


@pytest.mark.filterwarnings("ignore")
def test_contributions_of_captum_add_up_to_one_percent(network: Any, inputs: Any) -> None:
    captum = pytest.importorskip("captum.attr", reason="captum is not installed; see extra dev")
    found = captum.DeepLift(network).attribute(inputs, target=0)
    assert found.shape == (2, 4, 249)
    np.testing.assert_allclose(summed(found), difference(network, inputs), rtol=0.01)


@pytest.mark.filterwarnings("ignore")
def test_contributions_of_tangermeme_add_up(network: Any, inputs: Any) -> None:
    tangermeme = pytest.importorskip("tangermeme.deep_lift_shap", reason="tangermeme is not installed; see extra dev")
    references = torch.zeros(2, 1, 4, 249)
    found = tangermeme.deep_lift_shap(network, inputs, references=references, target=0, device="cpu")
    np.testing.assert_allclose(summed(found), difference(network, inputs), rtol=1e-4, atol=1e-4)


def test_the_page_has_the_examples_that_it_promises() -> None:
    programs = [block.text for block in pages.blocks(pages.ROOT / "docs" / "python.md")]
    assert len(programs) == 10
    for word in ("zoo.predict(", "captum", "tangermeme", "zoo.torch_module(", "zoo.one_hot(", "zoo.ZooError"):
        assert any(word in text for text in programs)
