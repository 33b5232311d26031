"""Names and files that `--model` and `--weights` take."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from checkpoints import ODD, random_checkpoint
from refusals import refuses

from zoo.errors import ImitationWarning
from zoo.prediction import description
from zoo.prediction.model import ModelSource, load
from zoo.prediction.run import PredictionJob, predict_file
from zoo.weights import checkpoint, ensembles, lookup

NAMES = ", ".join(sorted(lookup.variants())[:4])
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

    @pytest.mark.parametrize("status", ["failed", "interrupted", "running", "finished"])
    def test_a_run_folder_without_weights_says_what_became_of_its_training(self, status: str, tmp_path: Path) -> None:
        run = tmp_path / "run"
        run.mkdir()
        for content in ("", "[1]", "{}"):
            (run / "run.json").write_text(content)
            with refuses(run, "another folder"):
                lookup.load(None, run)
        (run / "run.json").write_text(f'{{"status": "{status}"}}')
        with refuses(run, "run folder without weights", lookup.WITHOUT_WEIGHTS.get(status, lookup.RUN_WEIGHTS)):
            lookup.load(None, run)

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
        with pytest.warns(ImitationWarning, match="zoo pull original"):
            model = load("tuned", runtime="kmer-cpu")
        described = predict_file(model, PredictionJob(fasta, bundled / "out.tsv"))
        assert description.summary(described).startswith("1 sequence; kmer-cpu; bundled weights tuned")
        for number, words in (
            (1, "1 ambiguous letter, 1 ref mismatch;"),
            (2, "2 ambiguous letters, 2 ref mismatches;"),
        ):
            counts = {"records": 1, "ambiguous_letters": number, "ref_mismatch": number}
            assert f"1 sequence, {words}" in description.summary({**described, "counts": counts})
        caution = described["weights"]["caution"]
        assert "imitate" in caution
        assert "zoo" not in caution
        assert "--" not in caution

    @pytest.fixture
    def pulled(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A cache with published weights."""
        monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
        path = lookup.published_path("original")
        path.parent.mkdir(parents=True)
        checkpoint.save(random_checkpoint(ODD), path)
        return path

    def test_without_a_name_the_pulled_weights_are_used(self, pulled: Path) -> None:
        ids = [lookup.load(*names).spec.weights_id for names in ((), ("original:published",), (pulled,))]
        assert ids == [random_checkpoint(ODD).spec.weights_id] * 3
        assert (lookup.default(), ensembles.by_name([])) == (
            "original:published",
            {"original:published": lookup.default()},
        )
        assert (ModelSource().name, ModelSource().files) == ("original:published", (pulled,))
        source = ModelSource()
        pulled.unlink()
        assert source.name == "original:published"  # what a run uses is chosen once
        assert (ModelSource().name, lookup.default()) == ("original", "original")

    def test_a_pipeline_can_pin_either(self, pulled: Path) -> None:
        for name in ("original", "original:bundled"):
            assert ModelSource(name).files == ()
            with pytest.warns(ImitationWarning, match="--weights original:published") as told:
                assert lookup.load(name).spec.weights_id == lookup.catalog()["original"]["weights_id"]
            assert "zoo pull" not in str(told[0].message)
        pulled.write_bytes(pulled.read_bytes()[:-1])
        with refuses(pulled, "zoo pull original"):
            lookup.load("original:published")

    def test_the_default_makes_no_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
        assert lookup.default() == "original"
        assert not (tmp_path / "home").exists()

    def test_a_name_that_is_a_file_too_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "tuned").mkdir()
        assert lookup.resolve("tuned")  # an empty folder holds no weights
        checkpoint.save(random_checkpoint(ODD), tmp_path / "tuned" / lookup.RUN_WEIGHTS)
        for arguments in (("tuned",), (None, "tuned")):
            with refuses("./tuned", "tuned:bundled"):
                lookup.resolve(*arguments)
        for name in ("./tuned", "tuned/weights.safetensors"):
            assert lookup.load(name).config == ODD
        assert lookup.load("tuned:bundled").config != ODD

    def test_the_published_weights_are_the_pulled_ones(self, pulled: Path) -> None:  # noqa: ARG002
        loaded = lookup.resolve("original:published")
        assert isinstance(loaded, checkpoint.Checkpoint)
        assert loaded.spec == random_checkpoint(ODD).spec

    def test_several_have_names_of_their_own(self, tmp_path: Path) -> None:
        (tmp_path / "run.1").mkdir()
        run, file = str(tmp_path / "run.1"), str(tmp_path / "mine.safetensors")
        assert ensembles.by_name(["tuned", file, run]) == {"tuned": "tuned", "mine": file, "run.1": run}
        assert ensembles.by_name([]) == {"original": "original"}
        with refuses("mine"):
            ensembles.by_name([file, "elsewhere/mine.onnx"])

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
            (("small",), ["small: ", NAMES]),
            (("small", "w.onnx"), ["small: ", "w.onnx", NAMES]),
            (("w.onnx", "w.h5"), ["w.onnx: ", "w.h5", NAMES]),
            (("w.onnx",), ["w.onnx: ", "ONNX"]),
            (("original:mine",), ["original:published", "'original:mine'"]),
            (("tuned:published",), ["original:published", "'tuned:published'"]),
            (("original:published",), ["original", "zoo pull original"]),
            (("tuned",), ["tuned", "--weights", "zoo pull original", "original:published"]),
            (("original", "none.onnx"), ["none.onnx", NAMES]),
            (("original", "."), [".: ", "folder"]),
            (("original", "w.h5"), ["zoo import w.h5 -o w.safetensors"]),
            (("original", "w.pt"), ["zoo import w.pt -o w.safetensors"]),
            (("original", "w.onnx"), ["w.onnx: ", "ONNX"]),
            (("original", "w.txt"), ["w.txt: ", ".safetensors", "got .txt"]),
            (("original", "w"), ["w: ", ".safetensors"]),
        ],
    )
    def test_weights_that_cannot_be_run_are_refused(self, arguments: tuple[str, ...], facts: list[str]) -> None:
        with refuses(*facts):
            lookup.resolve(*arguments)
