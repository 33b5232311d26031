"""docs/python.md: every block runs as it stands, in order, and prints what it should."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def missing(block: str) -> list[str]:
    """Libraries that a block imports and that are not installed."""
    nodes = list(ast.walk(ast.parse(block)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    tops = dict.fromkeys(name.split(".")[0] for name in names)
    return [top for top in tops if importlib.util.find_spec(top) is None]


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the blocks before have made."""
    return {}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs(names: dict[str, Any], number: int, capsys: pytest.CaptureFixture[str]) -> None:
    if absent := missing(BLOCKS[number]):
        pytest.skip(f"{', '.join(absent)} is not installed; the extra dev brings it")
    exec(compile(BLOCKS[number], f"block {number + 1} of docs/python.md", "exec"), names)
    assert capsys.readouterr().out or "print" not in BLOCKS[number]
    if "contributions" in BLOCKS[number]:
        assert names["contributions"].shape == (2, 4, 249)
    if "DeepLift(" in BLOCKS[number]:
        # of captum's rule for max pooling, what the page says
        np.testing.assert_allclose(summed(names["contributions"]), difference(names), rtol=0.01)


def difference(names: dict[str, Any]) -> np.ndarray:
    """What contributions add up to: the output, first target, less that of the reference, all zeros; float32 (2,)."""
    network, inputs = names["network"], names["inputs"]
    return (network(inputs) - network(inputs * 0))[:, 0].detach().numpy()


def summed(contributions: Any) -> np.ndarray:
    return contributions.sum(dim=(1, 2)).detach().numpy()


@pytest.mark.filterwarnings("ignore")
def test_contributions_of_the_network_add_up() -> None:
    tangermeme = pytest.importorskip("tangermeme.deep_lift_shap", reason="tangermeme is not installed; see extra dev")
    import torch

    import zoo

    inputs = torch.from_numpy(zoo.one_hot(["ACGTA" * 49 + "ACGT", "TTGCA" * 49 + "TTTT"], channels_first=True))
    network = zoo.torch_module("original")
    references = torch.zeros(2, 1, 4, 249)
    found = tangermeme.deep_lift_shap(network, inputs, references=references, target=0, device="cpu")
    expected = difference({"network": network, "inputs": inputs})
    np.testing.assert_allclose(summed(found), expected, rtol=1e-4, atol=1e-4)


def test_the_page_has_the_examples_that_it_promises() -> None:
    assert len(BLOCKS) == 8
    for word in ("zoo.predict(", "captum", "tangermeme", "zoo.torch_module(", "zoo.one_hot(", "zoo.ZooError"):
        assert any(word in block for block in BLOCKS)
