"""Names and files that `--model` and `--weights` take."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from checkpoints import ODD, random_checkpoint
from refusals import refuses

from zoo.prediction import description
from zoo.prediction.model import load
from zoo.prediction.run import PredictionJob, predict_file
from zoo.weights import checkpoint, lookup

NAMES = ", ".join(sorted(lookup.variants()))
"""Needs no PyTorch and starts at once; that all runtimes agree is shown in test_runtimes.py and test_parity.py."""


class TestWeights:
    """Names and files that `--model` and `--weights` take."""

    @pytest.fixture
    def bundled(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(lookup, "PRETRAINED", tmp_path)
        checkpoint.save(random_checkpoint(ODD), tmp_path / "tuned.safetensors")
        (tmp_path / "tuned.onnx").write_bytes(b"a graph")
        sums = {path.suffix: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
        table = "".join(f'"{suffix}" = "{value}"\n' for suffix, value in sums.items())
        weights_id = random_checkpoint(ODD).spec.weights_id
        text = f'[tuned]\nfile = "tuned"\nsource = "a test"\nweights_id = "{weights_id}"\n[tuned.sha256]\n{table}'
        (tmp_path / "catalog.toml").write_text(text)
        return tmp_path

    def test_a_name_means_the_bundled_weights_in_the_form_that_the_runtime_takes(self, bundled: Path) -> None:
        loaded = lookup.resolve("tuned")
        assert isinstance(loaded, checkpoint.Checkpoint)
        assert loaded.spec == random_checkpoint(ODD).spec
        assert lookup.resolve("tuned", None, (".onnx",)) == bundled / "tuned.onnx"
        assert isinstance(lookup.resolve("tuned"), checkpoint.Checkpoint)
        assert isinstance(lookup.resolve("original", "tuned"), checkpoint.Checkpoint)

    def test_damaged_bundled_weights_are_refused(self, bundled: Path) -> None:
        (bundled / "tuned.onnx").write_bytes(b"another graph")
        with refuses(bundled / "tuned.onnx", "sha256"):
            lookup.resolve("tuned", None, (".onnx",))
        (bundled / "tuned.safetensors").unlink()
        with refuses(bundled, "tuned", "deepstarr-zoo"):
            lookup.resolve("tuned")

    def test_who_runs_bundled_weights_hears_how_to_get_the_published_ones(self, bundled: Path) -> None:
        fasta = bundled / "one.fa"
        fasta.write_text(f">one\n{'A' * ODD.sequence_length}\n")
        model = load("tuned", runtime="kmer-cpu")
        line = description.summary(predict_file(model, PredictionJob(fasta, bundled / "out.tsv")))
        assert line.startswith("1 sequences; kmer-cpu; ")
        assert "zoo pull original" in line

    def test_the_published_weights_are_the_pulled_ones(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ZOO_HOME", str(tmp_path))
        checkpoint.save(random_checkpoint(ODD), lookup.published_path("original"))
        loaded = lookup.resolve("original:published")
        assert isinstance(loaded, checkpoint.Checkpoint)
        assert loaded.spec == random_checkpoint(ODD).spec

    def test_several_have_names_of_their_own(self, tmp_path: Path) -> None:
        (tmp_path / "run.1").mkdir()
        run, file = str(tmp_path / "run.1"), str(tmp_path / "mine.safetensors")
        assert lookup.by_name(["tuned", file, run]) == {"tuned": "tuned", "mine": file, "run.1": run}
        assert lookup.by_name([]) == {"original": "original"}
        with refuses("mine"):
            lookup.by_name([file, "elsewhere/mine.onnx"])

    def test_a_file_decides_over_the_name(self, file: Path) -> None:
        loaded = lookup.resolve("tuned", file)
        assert isinstance(loaded, checkpoint.Checkpoint)
        assert loaded.config == ODD

    @pytest.fixture
    def _files(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
        monkeypatch.setattr(lookup, "PRETRAINED", tmp_path)
        for name in ("w.onnx", "w.h5", "w.pt", "w.txt", "w"):
            (tmp_path / name).touch()

    @pytest.mark.usefixtures("_files")
    @pytest.mark.parametrize(
        ("arguments", "facts"),
        [
            (("small",), ["'small'", NAMES]),
            (("small", "w.onnx"), ["'small'", NAMES]),
            (("w.onnx",), ["'w.onnx'", NAMES, "--weights"]),
            (("original:mine",), ["original:published", "'original:mine'"]),
            (("tuned:published",), ["original:published", "'tuned:published'"]),
            (("original:published",), ["original", "zoo pull original"]),
            (("tuned",), ["tuned", "--weights", "zoo pull original", "original:published"]),
            (("original", "none.onnx"), ["none.onnx", NAMES]),
            (("original", "."), [".: ", "folder"]),
            (("original", "w.h5"), ["zoo import w.h5 -o w.safetensors"]),
            (("original", "w.pt"), ["zoo import w.pt -o w.safetensors"]),
            (("original", "w.onnx"), ["w.onnx: ", ".safetensors", "zoo list"]),
            (("original", "w.txt"), ["w.txt: ", ".safetensors", "got .txt"]),
            (("original", "w"), ["w: ", ".safetensors"]),
        ],
    )
    def test_weights_that_cannot_be_run_are_refused(self, arguments: tuple[str, ...], facts: list[str]) -> None:
        with refuses(*facts):
            lookup.resolve(*arguments)
