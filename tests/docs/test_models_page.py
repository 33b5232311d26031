"""docs/models.md: its numbers are those of the models, and its examples do what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zoo.training.config import read_model
from zoo.weights import lookup

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "models.md").read_text("utf-8")


def test_every_model_is_there_with_its_numbers() -> None:
    from zoo.checks import inventory

    numbers = dict(re.findall(r"^\| `([\w-]+)` \| .* \| ([\d,]+)[^|]* \| [^|]+ \|$", PAGE, re.MULTILINE))
    assert numbers == {
        entry.name: re.search(r"([\d,]+) numbers", entry.about)[1]  # type: ignore[index]
        for entry in inventory.models()
        if entry.name in lookup.variants()
    }


def test_the_toml_of_the_page_makes_a_network(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "words.toml").write_text(block)
    _, config, settings = read_model(str(tmp_path / "words.toml"))
    assert (config.word_length, config.informative) == (6, 6)
    assert settings["learning_rate"] == 0.001


def test_the_python_of_the_page_says_which_of_two_models_is_better(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("scipy")
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(block, "models.md", "exec"), {})
    assert re.fullmatch(r"\+0\.\d\d \(\+0\.\d\d to \+0\.\d\d\): better\n", capsys.readouterr().out)
