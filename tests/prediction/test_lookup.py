"""Names and files that `--model` and `--weights` take."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoints import ODD, random_checkpoint

from zoo.errors import ZooError
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
        with pytest.raises(ZooError, match=r"tuned\.onnx: the bundled weights are damaged \(sha256 differs\); install"):
            lookup.resolve("tuned", None, (".onnx",))
        (bundled / "tuned.safetensors").unlink()
        with pytest.raises(ZooError, match="the bundled weights of tuned are not there; install deepstarr-zoo again"):
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
        with pytest.raises(ZooError, match=r"^mine: two of the models would have this name; rename one of the files$"):
            lookup.by_name([file, "elsewhere/mine.onnx"])

    def test_a_file_decides_over_the_name(self, file: Path) -> None:
        loaded = lookup.resolve("tuned", file)
        assert isinstance(loaded, checkpoint.Checkpoint)
        assert loaded.config == ODD

    @pytest.fixture
    def refusal(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
        monkeypatch.setattr(lookup, "PRETRAINED", tmp_path)
        for name in ("w.onnx", "w.h5", "w.pt", "w.txt", "w"):
            (tmp_path / name).touch()

        def refuse(*arguments: str) -> str:
            with pytest.raises(ZooError) as refused:
                lookup.resolve(*arguments)
            return str(refused.value)

        return refuse

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("small",), f"no model is called 'small'; there are {NAMES}"),
            (("small", "w.onnx"), f"no model is called 'small'; there are {NAMES}"),
            (
                ("w.onnx",),
                f"no model is called 'w.onnx'; there are {NAMES}; a file is given as weights (--weights)",
            ),
            (
                ("original:mine",),
                "expected original for the bundled weights or original:published for those of the paper, "
                "got 'original:mine'",
            ),
            (
                ("tuned:published",),
                "expected tuned for the bundled weights or original:published for those of the paper, "
                "got 'tuned:published'",
            ),
            (
                ("original:published",),
                "the published weights of original are not on this machine yet; zoo pull original brings them",
            ),
            (
                ("tuned",),
                "no weights for tuned are bundled with this release; give a file with --weights, "
                "or zoo pull original and use original:published",
            ),
            (("original", "none.onnx"), f"none.onnx: no such weights file; names are {NAMES}"),
            (("original", "."), ".: expected a weights file, this is a folder"),
            (("original", "w.h5"), "w.h5: weights of another program; zoo import w.h5 -o w.safetensors first"),
            (("original", "w.pt"), "w.pt: weights of another program; zoo import w.pt -o w.safetensors first"),
            (
                ("original", "w.onnx"),
                "w.onnx: this runtime does not run .onnx files; give the .safetensors, or see zoo list",
            ),
            (("original", "w.txt"), "w.txt: expected a .safetensors file, got .txt"),
            (("original", "w"), "w: expected a .safetensors file, got no suffix"),
        ],
    )
    def test_what_cannot_be_run_is_refused(
        self, refusal: Callable[..., str], arguments: tuple[str, ...], message: str
    ) -> None:
        assert refusal(*arguments) == message
