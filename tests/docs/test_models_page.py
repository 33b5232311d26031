"""docs/models.md: its commands run as they stand, in order, in one folder, and its figures are those of the models."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoo.training import chosen
from zoo.weights import checkpoint, named

pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "models.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("bash") is None, reason="the page shows commands of a POSIX shell")
def test_the_commands_run_in_order_and_leave_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "seqs.fa").write_text((ROOT / "docs" / "example.fa").read_text("utf-8"))
    random = np.random.default_rng(0)
    rows = [
        "".join(np.array(list("ACGT"))[random.integers(0, 4, 249)]) + f"\t{random.normal():.4f}\t{random.normal():.4f}"
        for _ in range(200)
    ]
    (tmp_path / "mine.tsv").write_text("\n".join(["sequence\tdev\thk", *rows, ""]))
    (tmp_path / "zoo").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m zoo "$@"\n')
    (tmp_path / "zoo").chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    assert len(BLOCKS) == 3
    for block in BLOCKS:
        done = subprocess.run(
            ["bash", "-ec", block], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    trained = checkpoint.load(tmp_path / "runs" / "motifs" / "weights.safetensors")
    assert trained.config.names == ("DRE", "AP-1")
    assert checkpoint.config_of(named.read_spec(tmp_path / "motifs.onnx")) == trained.config
    assert (tmp_path / "gapped.tsv").is_file()
    assert (tmp_path / "gapped" / "metrics.json").is_file()
    (compared,) = json.loads((tmp_path / "compared" / "metrics.json").read_text("utf-8"))["comparisons"]
    assert (compared["first"], compared["second"]) == ("tuned", "original")
    assert (tmp_path / "compared" / "comparison.png").is_file()


def test_every_model_is_there_with_its_numbers() -> None:
    from zoo.checks import inventory

    numbers = dict(re.findall(r"^\| `([\w-]+)` \| .* \| ([\d,]+)[^|]* \| [^|]+ \|$", PAGE, re.MULTILINE))
    assert numbers == {
        entry.name: re.search(r"([\d,]+) numbers", entry.about)[1]  # type: ignore[index]
        for entry in inventory.models()
        if entry.name in named.variants()
    }


def test_the_toml_of_the_page_makes_a_network(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "words.toml").write_text(block)
    _, config, settings = chosen.read_model(str(tmp_path / "words.toml"))
    assert (config.word_length, config.informative) == (6, 6)
    assert settings["learning_rate"] == 0.001


def test_the_python_of_the_page_says_which_of_two_models_is_better(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("scipy")
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(block, "models.md", "exec"), {})
    assert re.fullmatch(r"\+0\.\d\d \(\+0\.\d\d to \+0\.\d\d\): better\n", capsys.readouterr().out)
