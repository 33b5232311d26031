"""Commands that show something: help, list, info, doctor, and the progress bar."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from checkpoints import ODD, random_checkpoint
from command_line import RUNTIME, Zoo, one_line, run_zoo
from zoo_runtimes.kmer import kernel

import zoo as package
from zoo.checks import inventory
from zoo.cli import notes
from zoo.prediction import session


class TestLookingAround:
    def test_help_without_arguments_and_the_version(self, zoo: Zoo) -> None:
        status, out, _ = zoo()
        assert status == 0
        for name in ("predict", "import", "export", "parity", "list", "info", "doctor"):
            assert f"\n  {name} " in out
        assert zoo("--version") == (0, f"zoo {package.__version__}\n", "")

    def test_debug_shows_the_traceback(self, folder: Path) -> None:
        result = run_zoo("--debug", "predict", "--weights", "w.safetensors", *RUNTIME, "none.fa", cwd=folder)
        assert result.returncode == 1
        assert b"Traceback" in result.stderr
        assert b"ZooError: none.fa: " in result.stderr

    def test_list_shows_every_runtime_and_why_it_cannot_be_used(self, zoo: Zoo, folder: Path) -> None:  # noqa: ARG002
        status, out, _ = zoo("list")
        assert status == 0
        for name in session.runtime_names():
            mark = "-" if session.missing(name) else "+"
            assert f"  {mark} {name}" in out
            assert (session.missing(name) or "") in out
        assert re.search(r"\+ original +deepstarr, 249 bases to dev, hk, 624,738 numbers", out)
        listed = json.loads(zoo("list", "--json")[1])
        assert listed.keys() == {"models", "weights", "runtimes", "formats"}
        assert {entry["name"] for entry in listed["formats"]} >= {"keras", "onnx"}

    def test_info_says_what_a_weights_file_is(self, zoo: Zoo, folder: Path) -> None:
        status, out, _ = zoo("info", "w.safetensors")
        spec = random_checkpoint(ODD).spec
        assert status == 0
        for text in (spec.weights_id, "53 bases, alphabet ACGT", "a, b, c", "random numbers", "[9, 5, 7]"):
            assert text in out
        described = json.loads(zoo("info", "w.safetensors", "--json")[1])
        assert described == inventory.describe(folder / "w.safetensors") | {"file": "w.safetensors"}
        assert described["numbers"] == sum(array.size for array in random_checkpoint(ODD).arrays.values())

    def test_info_of_a_run_is_that_of_its_best_weights(self, zoo: Zoo, folder: Path) -> None:
        (folder / "run").mkdir()
        (folder / "w.safetensors").rename(folder / "run/weights.safetensors")
        described = json.loads(zoo("info", "run", "--json")[1])
        assert described["file"] == "run/weights.safetensors"
        assert described["weights_id"] == random_checkpoint(ODD).spec.weights_id

    def test_info_shows_how_a_model_is_trained(self, zoo: Zoo) -> None:
        status, out, _ = zoo("info", "tuned")
        assert status == 0
        assert "recipe              --learning-rate 0.002 --epsilon 1e-07 --batch-size 128 --epochs 100 " in out

    def test_the_teacher_of_a_distillation_runs_on_any_runtime(self, zoo: Zoo) -> None:
        runtime = zoo("distill", "--help")[1].partition("--runtime TEXT")[2].partition("--dropout")[0]
        assert "(default: auto)" in runtime

    def test_info_of_a_model_without_bundled_weights_says_what_it_is(self, zoo: Zoo) -> None:
        status, out, _ = zoo("info", "basset")
        assert status == 0
        for text in ("no weights of this model", "[300, 200, 200]", "2,378,302", "--learning-rate 0.001"):
            assert text in out
        assert "weights id" not in out
        described = json.loads(zoo("info", "basset", "--json")[1])
        assert described["file"] is None
        assert described["recipe"] == {"learning_rate": 0.001, "epsilon": 1e-8, "batch_size": 128}

    @pytest.mark.parametrize(
        ("name", "facts"),
        [
            ("original:published", ["zoo pull original"]),
            ("none.onnx", ["none.onnx: "]),
            ("seqs.fa", ["seqs.fa: ", ".safetensors", ".onnx", "got .fa"]),
            (".", [".: ", "folder"]),
        ],
    )
    def test_info_refuses_files_without_weights(self, zoo: Zoo, folder: Path, name: str, facts: list[str]) -> None:  # noqa: ARG002
        one_line(zoo, facts, "info", name)

    def test_doctor_reports_this_machine(self, zoo: Zoo, folder: Path) -> None:  # noqa: ARG002
        status, out, _ = zoo("doctor")
        assert status == 0
        for text in (sys.executable, "onnxruntime", "CPUExecutionProvider", os.environ["ZOO_HOME"], "cores usable"):
            assert text in out
        report = json.loads(zoo("doctor", "--json")[1])
        assert report["runtimes"] == {name: session.missing(name) or "ready" for name in session.runtime_names()}
        sets = kernel.instruction_sets()
        assert report["kmer"]["k-mer tables"].startswith(sets[0] if sets else "not built")
        assert report["deepstarr"]["training step"]
        if not shutil.which("nvidia-smi"):
            assert report["machine"]["GPU"].startswith("none")


def test_the_progress_bar_shows_on_a_terminal_when_the_work_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def drawn(patience: float, terminal: io.StringIO) -> str:
        monkeypatch.setattr(notes, "BAR_SECONDS", patience)
        monkeypatch.setattr(sys, "stderr", terminal)
        with notes.Bar("sequences", 100) as bar:
            bar.update(50, 1234)
        return terminal.getvalue()

    assert "1,234 sequences" in drawn(0, Terminal())
    assert drawn(1000, Terminal()) == ""
    assert drawn(0, io.StringIO()) == ""
