"""A training run becomes bundled weights in both formats, with their distance from the teacher."""

from __future__ import annotations

import dataclasses
import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from refusals import refuses

from zoo.formats.fasta import Reader
from zoo.models.deepstarr import VARIANTS
from zoo.prediction.model import load
from zoo.training import release
from zoo.training.run_folder import RunFolder
from zoo.weights import checkpoint, lookup

pytest.importorskip("torch")
pytest.importorskip("dnaio")

ROOT = Path(__file__).parents[2]

TUNED = random_checkpoint(VARIANTS["tuned"])


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    checkpoint.save(TUNED, folder.weights)
    folder.receipts.write_text(json.dumps({"command": "zoo distill tuned", "start": {}}))
    folder.metrics.write_text("epoch\n1\n")
    return folder


@pytest.fixture
def drawn_from(tmp_path: Path) -> tuple[Path, Path]:
    """A genome, and sequences from elsewhere."""
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, 20_000)].tobytes().decode()
    (tmp_path / "genome.fa").write_text(f">contig\n{letters}\n")
    (tmp_path / "real.fa").write_text("".join(f">{n}\n{letters[n : n + 249]}\n" for n in range(0, 5000, 100)))
    return tmp_path / "genome.fa", tmp_path / "real.fa"


def test_a_run_becomes_the_bundled_weights_of_a_name(
    run: RunFolder, drawn_from: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "HELD_OUT_WINDOWS", 200)
    teacher = tmp_path / "teacher.safetensors"
    checkpoint.save(TUNED, teacher)
    pretrained, receipts = tmp_path / "pretrained", tmp_path / "receipts"
    for folder, stale in ((pretrained, "tuned.pt"), (receipts, "tuned.run-2.json")):
        folder.mkdir()
        (folder / stale).write_text("of weights before")
        (folder / "original.txt").write_text("of another name")
    entry = release.add("tuned", [run], teacher, *drawn_from, pretrained, receipts)
    assert entry["commands"] == ["zoo distill tuned"]
    assert len(entry["fidelity"]) == 30
    assert {value for name, value in entry["fidelity"].items() if name.endswith("pearson")} == {1.0}
    assert {value for name, value in entry["fidelity"].items() if name.endswith(("rmse", "largest"))} == {0.0}
    for fact in ("deepstarr-zoo", "error 0.0", "0.0 log2", TUNED.spec.weights_id[:12]):
        assert fact in entry["source"]

    monkeypatch.setattr(lookup, "PRETRAINED", pretrained)
    assert lookup.catalog() == {"tuned": entry}
    made = {"tuned.safetensors", "tuned.onnx", "catalog.toml", "original.txt"}
    assert {path.name for path in pretrained.iterdir()} == made
    assert {path.name for path in receipts.iterdir()} == {"tuned.run-1.json", "tuned.metrics-1.csv", "original.txt"}
    assert lookup.bundled_as(TUNED.spec.weights_id) == "tuned"
    assert (receipts / "tuned.run-1.json").read_bytes() == run.receipts.read_bytes()
    assert (receipts / "tuned.metrics-1.csv").read_bytes() == run.metrics.read_bytes()
    codes = random_codes(20, 249)
    both = [load("tuned", runtime=runtime) for runtime in ("torch-cpu", "onnx-cpu")]
    assert [model.spec.weights_id for model in both] == [TUNED.spec.weights_id] * 2
    np.testing.assert_allclose(both[1].predict_codes(codes), both[0].predict_codes(codes), rtol=1e-4, atol=1e-4)


def test_weights_of_another_network_are_refused(run: RunFolder, drawn_from: tuple[Path, Path], tmp_path: Path) -> None:
    others = [ODD] + [
        dataclasses.replace(VARIANTS["tuned"], **change)
        for change in ({"kernel_sizes": (7, 3, 3, 5)}, {"sequence_length": 250}, {"targets": ("hk", "dev")})
    ]
    for config in others:
        checkpoint.save(random_checkpoint(config), run.weights, overwrite=True)
        with refuses(run.weights, "tuned"):
            release.add("tuned", [run], run.weights, *drawn_from, tmp_path / "pretrained", tmp_path / "receipts")
    assert not (tmp_path / "pretrained").exists()
    assert not (tmp_path / "receipts").exists()


def test_runs_that_do_not_follow_each_other_are_refused(
    run: RunFolder, drawn_from: tuple[Path, Path], tmp_path: Path
) -> None:
    second = RunFolder(tmp_path / "second")
    second.create()
    checkpoint.save(TUNED, second.weights)
    second.receipts.write_text(json.dumps({"command": "zoo distill tuned", "start": {"weights_id": "0" * 64}}))
    for runs in ([run, second], [second], [run, run]):
        with refuses(runs[-1].path, "0" * 12 if runs[-1] is second else "random"):
            release.add("tuned", runs, run.weights, *drawn_from, tmp_path / "pretrained", tmp_path / "receipts")
    assert not (tmp_path / "pretrained").exists()
    assert not (tmp_path / "receipts").exists()


def test_outside_a_clone_there_is_no_folder_for_receipts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["tuned", "run", "--teacher", "t.safetensors", "--genome", "g.fa", "--sequences", "s.fa"]
    monkeypatch.setattr(sys, "argv", ["release", *given])
    with pytest.raises(SystemExit) as end:
        release.main()
    assert end.value.code == 2
    refused = capsys.readouterr().err
    assert refused.startswith(f"python -m zoo.training.release: {release.RECEIPTS}: ")
    assert "--receipts" in refused
    assert refused.count("\n") == 1
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit):
        release.main()
    assert str(release.RECEIPTS) not in capsys.readouterr().err


def test_weights_and_catalog_are_installed_and_receipts_are_not() -> None:
    catalog = lookup.catalog()
    weights = {f"{entry['file']}{suffix}" for entry in catalog.values() for suffix in entry["sha256"]}
    assert {path.name for path in lookup.PRETRAINED.iterdir()} == {*weights, lookup.CATALOG}
    assert (lookup.PRETRAINED / lookup.CATALOG).read_text("utf-8").startswith(release.CATALOG_HEAD)
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    package = ROOT / "zoo"
    installed = {path.relative_to(package) for pattern in patterns["zoo"] for path in package.glob(pattern)}
    folder = lookup.PRETRAINED.relative_to(package)
    assert {path for path in installed if folder in path.parents} == {
        folder / path.name for path in lookup.PRETRAINED.iterdir()
    }
    receipts = {
        f"{name}.{kind}"
        for name, entry in catalog.items()
        for number in range(1, len(entry["commands"]) + 1)
        for kind in (f"run-{number}.json", f"metrics-{number}.csv")
    }
    assert {path.name for path in (ROOT / release.RECEIPTS).iterdir()} == receipts


@pytest.mark.parametrize("name", sorted(lookup.catalog()))
def test_the_bundled_files_of_a_name_agree(name: str) -> None:
    """Both formats have the checksums and the weights id of the catalog."""
    both = [load(name, runtime=runtime) for runtime in ("torch-cpu", "onnx-cpu")]
    assert {model.spec.weights_id for model in both} == {lookup.catalog()[name]["weights_id"]}
    codes = random_codes(50, both[0].spec.sequence_length)
    np.testing.assert_allclose(both[1].predict_codes(codes), both[0].predict_codes(codes), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", sorted(lookup.catalog()))
def test_the_distance_of_bundled_weights_from_the_published_ones_is_that_of_the_catalog(name: str, data: Path) -> None:
    published = np.loadtxt(data / "enhancers_500.keras.tsv", skiprows=1, usecols=(1, 2))
    codes = np.concatenate([codes for _, codes in Reader(data / "enhancers_500.fa", 249)])
    ours = load(name, runtime="kmer-cpu").predict_codes(codes)
    fidelity = lookup.catalog()[name]["fidelity"]
    for column, target in enumerate(("dev", "hk")):
        pair = ours[:, column], published[:, column]
        error = np.abs(pair[0] - pair[1])
        found = {"pearson": np.corrcoef(*pair)[0, 1], "rmse": (error**2).mean() ** 0.5, "largest": error.max()}
        for measure, value in found.items():
            assert value == pytest.approx(fidelity[f"{lookup.ENHANCERS}_{target}_{measure}"], abs=1e-3)


@pytest.mark.parametrize("page", ["README.md", "docs/bundled-weights.md"])
def test_the_pages_show_the_figures_of_the_catalog(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    shown = {row for row in text.splitlines() if row.startswith("| ")}
    fidelity = [lookup.catalog()[name]["fidelity"] for name in ("original", "tuned")]
    labels = {lookup.ENHANCERS: "strong enhancers", "windows": "windows", "variants": "variants"}
    measures: tuple[str, ...] = ("pearson",)
    if page.startswith("docs"):
        measures = ("pearson", "rmse", "largest")
        labels |= {"training_windows": "training windows", "shuffled_windows": "shuffled windows"}
    for label, title in labels.items():
        for target in ("dev", "hk"):
            figures = [f"{entry[f'{label}_{target}_{measure}']:.3f}" for entry in fidelity for measure in measures]
            assert f"| {title} | {target} | {' | '.join(figures)} |" in shown
