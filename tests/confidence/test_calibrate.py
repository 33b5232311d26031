"""`zoo calibrate`, and the intervals of its files: coverage by blocks, what is refused, evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import Zoo, one_line
from refusals import refuses

import zoo as package
from zoo.confidence.calibrate import calibrate, check_not_trained_on
from zoo.confidence.options import CalibrationOptions
from zoo.data import trained_sequences
from zoo.data.blocks import blocks
from zoo.data.labelled import Split
from zoo.prediction import calibration
from zoo.prediction.model import Model
from zoo.prediction.options import CalibratedOptions
from zoo.weights import checkpoint, lookup

LENGTH, ROWS, TARGETS = ODD.sequence_length, 400, ODD.targets


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("weights")
    checkpoint.save(random_checkpoint(ODD), folder / "w.safetensors")
    return package.load(folder / "w.safetensors", runtime="onnx-cpu")


def measured(model: Model, seed: int, rows: int = ROWS) -> Split:
    """Random sequences with measurements around the predictions, of which some are missing; each tenth sequence is also
    there as its reverse complement."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 4, (rows, LENGTH)).astype(np.uint8)
    codes[::10] = 3 - codes[1::10, ::-1]
    targets = model.predict_codes(codes) + generator.normal(0, 0.5, (rows, len(TARGETS))).astype(np.float32)
    targets[generator.random((rows, len(TARGETS))) < 0.1] = np.nan
    return Split(codes, targets, [f"s{row}" for row in range(rows)], model.spec.targets)


@pytest.mark.parametrize("difficulty", ["neighbours", "constant"])
def test_new_sequences_are_inside_as_often_as_promised(model: Model, difficulty: str) -> None:
    data = measured(model, 1, 1200)
    found = calibrate(model, data, CalibrationOptions(difficulty=difficulty))  # type: ignore[arg-type]
    new = measured(model, 2, 2000)
    predicted = model.predict_codes(new.codes)
    half = found.half_widths(predicted, None, 0.8)
    inside = (np.abs(new.targets - predicted) <= half)[~np.isnan(new.targets)]
    assert inside.mean() == pytest.approx(0.8, abs=0.04)
    assert half == pytest.approx(0.5 * 1.2816, rel=0.35)
    assert found.targets[0].blocks < len(np.unique(blocks(data.codes)))  # some rows are not measured


def test_a_file_gives_the_same_intervals(model: Model, tmp_path: Path) -> None:
    data = measured(model, 1)
    found = calibrate(model, data, CalibrationOptions())
    calibration.save(found, tmp_path / "c.npz")
    again = calibration.opened(CalibratedOptions(tmp_path / "c.npz", 0.8), model.spec, None)
    assert again is not None
    predicted = model.predict_codes(data.codes)
    assert np.array_equal(found.half_widths(predicted, None, 0.8), again.half_widths(predicted, None, 0.8))
    calibration.save(calibrate(model, data, CalibrationOptions()), tmp_path / "d.npz")
    assert (tmp_path / "c.npz").read_bytes() == (tmp_path / "d.npz").read_bytes()


def test_damaged_files_are_refused(model: Model, tmp_path: Path) -> None:
    found = calibrate(model, measured(model, 1), CalibrationOptions())
    calibration.save(found, tmp_path / "c.npz")
    with np.load(tmp_path / "c.npz") as archive:
        arrays = dict(archive)
    for name in arrays:
        other = arrays[name][::-1] if name == "about" else -1.0 * arrays[name]
        np.savez(tmp_path / "bad.npz", **{**arrays, name: other})  # type: ignore[arg-type]
        with refuses("bad.npz"):
            calibration.read(tmp_path / "bad.npz")


def test_what_is_refused(model: Model, tmp_path: Path) -> None:
    with refuses("spread", "ensemble"):
        calibrate(model, measured(model, 1), CalibrationOptions(difficulty="spread"))
    with refuses("20", TARGETS[0]):
        calibrate(model, measured(model, 1, 30), CalibrationOptions())
    with refuses("--coverage", "--calibration"):
        CalibratedOptions(coverage=0.5)
    calibration.save(calibrate(model, measured(model, 1), CalibrationOptions()), tmp_path / "c.npz")
    with refuses("c.npz", "--both-strands"):
        calibration.opened(CalibratedOptions(tmp_path / "c.npz"), model.spec, "average")
    with refuses("0.999", "blocks"):
        calibration.opened(CalibratedOptions(tmp_path / "c.npz", 0.999), model.spec, None)


def test_sequences_of_the_training_are_refused(model: Model, tmp_path: Path) -> None:
    data = measured(model, 1)
    for name in (lookup.RUN_WEIGHTS, lookup.RUN_RECEIPTS):
        (tmp_path / name).write_text("{}")
    trained_sequences.save(tmp_path, {"train": data.codes[:7], "validation": data.codes[20:]})
    with refuses("7", "train"):
        check_not_trained_on([str(tmp_path)], data)
    assert "380 of 400" in check_not_trained_on([str(tmp_path)], data.rows(np.arange(ROWS) >= 20))[0].replace(
        "380 of 380", "380 of 400"
    )
    later = tmp_path / "later"
    later.mkdir()
    for name in (lookup.RUN_WEIGHTS, lookup.RUN_RECEIPTS):
        (later / name).write_text("{}")
    trained_sequences.save(later, {"train": data.codes[5:9]}, start=tmp_path)
    with refuses("9", "train"):
        check_not_trained_on([str(later)], data)
    assert "run folder" in check_not_trained_on(["original"], data)[0]


@pytest.fixture
def files(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), Path("w.safetensors"))
    for name, seed in (("one", 1), ("two", 2)):
        data = measured(model, seed)
        letters = ["".join("ACGT"[base] for base in row) for row in data.codes]
        rows = ["\t".join((text, *("" if np.isnan(x) else str(x) for x in values))) for text, values in
                zip(letters, data.targets, strict=True)]  # fmt: skip
        Path(f"{name}.tsv").write_text("\n".join(["\t".join(("sequence", *TARGETS)), *rows]) + "\n")


@pytest.mark.usefixtures("files")
def test_the_commands(zoo: Zoo) -> None:
    weights = ("--weights", "w.safetensors", "--runtime", "onnx-cpu")
    status, _, err = zoo("calibrate", *weights, "--data", "one.tsv", "--split", "all", "-o", "c.npz")
    assert status == 0
    assert "90% intervals" in err
    evaluate = ("evaluate", *weights, "--split", "all", "--resamples", 20)
    status, out, err = zoo(*evaluate, "--data", "two.tsv", "--calibration", "c.npz", "-o", "report")
    assert status == 0, err
    assert "as promised" in out
    found = json.loads(Path("report/metrics.json").read_text())["reliability"]
    assert [one["target"] for one in found] == list(TARGETS)
    assert Path("report/reliability.png").stat().st_size > 10_000
    for one in found:
        assert sum(part["rows"] for part in one["deciles"]) == one["rows"]
        assert one["coverage"]["value"] == pytest.approx(0.9, abs=0.06)
        assert [round(level, 2) for level, _ in one["curve"]] == [level / 20 for level in range(1, 20)]
    one_line(zoo, ["400", "--calibration"], *evaluate, "--data", "one.tsv", "--calibration", "c.npz")
    one_line(zoo, ["w.npy", ".npz"], "calibrate", *weights, "--data", "one.tsv", "--split", "all", "-o", "w.npy")
    one_line(zoo, ["--calibration", "one"], *evaluate, "--weights", "original", "--data", "two.tsv",
             "--calibration", "c.npz")  # fmt: skip


@pytest.mark.usefixtures("files")
def test_intervals_beside_predictions(zoo: Zoo, model: Model) -> None:
    found = calibrate(model, measured(model, 1), CalibrationOptions())
    calibration.save(found, Path("c.npz"))
    codes = measured(model, 3, 5).codes
    letters = ["".join("ACGT"[base] for base in row) for row in codes]
    Path("s.fa").write_text("".join(f">s{number}\n{text}\n" for number, text in enumerate(letters)))
    weights = ("--weights", "w.safetensors", "--runtime", "onnx-cpu")
    status, out, err = zoo("predict", "s.fa", *weights, "--calibration", "c.npz", "--coverage", 0.8)
    assert status == 0, err
    header, *lines = out.splitlines()
    assert header.split("\t") == ["name", *(f"{name}{end}" for name in TARGETS for end in ("", "_low", "_high"))]
    table = np.array([line.split("\t")[1:] for line in lines], np.float32).reshape(5, len(TARGETS), 3)
    predicted = model.predict_codes(codes)
    half = found.half_widths(predicted, None, 0.8)
    assert np.array_equal(table, np.stack([predicted, predicted - half, predicted + half], 2))
    frame = package.predict(letters, model, calibration="c.npz", coverage=0.8)
    assert np.array_equal(np.asarray(frame, np.float32), table.reshape(5, -1))
    one_line(zoo, ["--coverage", "--calibration"], "predict", "s.fa", *weights, "--coverage", 0.8)
    one_line(zoo, ["c.npz", "--both-strands"], "predict", "s.fa", *weights, "--calibration", "c.npz", "--both-strands")


def test_an_ensemble_has_intervals_by_its_spread(tmp_path: Path) -> None:
    paths = [tmp_path / f"{seed}.safetensors" for seed in range(3)]
    for seed, path in enumerate(paths):
        checkpoint.save(random_checkpoint(ODD, seed), path)
    ensemble = package.load(paths, runtime="onnx-cpu")
    data = measured(ensemble, 1)
    found = calibrate(ensemble, data, CalibrationOptions())
    assert found.targets[0].scale.kind == "spread"
    calibration.save(found, tmp_path / "c.npz")
    frame = package.predict(["ACGT" * 13 + "A", "A" * 53], ensemble, calibration=tmp_path / "c.npz")
    name = TARGETS[0]
    half = (frame[f"{name}_high"] - frame[f"{name}_low"]) / 2
    spread = np.maximum(frame[f"{name}_sd"], found.targets[0].scale.smallest)
    assert np.asarray(half) == pytest.approx(np.asarray(found.targets[0].factor(0.9) * spread), rel=1e-4)
