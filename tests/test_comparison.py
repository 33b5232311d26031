"""The comparison of models in benchmarks/: splits of its data set, resumed trainings, the generated page."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.data import dataset, splits
from zoo.data.splits import SIDES
from zoo.dna.encoding import reverse_complement
from zoo.prediction.model import Model, load

pytest.importorskip("pytest_benchmark")
pytest.importorskip("dnaio")
pytest.importorskip("torch")

from benchmarks import comparison, comparison_data, models_page, search_study
from benchmarks.comparison_data import BLOCK, EVOLVED, Labelled

TARGETS = ("dev", "hk")


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two contigs of ten blocks each; in the second, block 7, for validation, is a copy of block 2."""
    letters = np.frombuffer(b"ACGT", "S1")[np.random.default_rng(0).integers(0, 4, (2, 10 * BLOCK))]
    letters[1, 7 * BLOCK : 8 * BLOCK] = letters[1, 2 * BLOCK : 3 * BLOCK]
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_bytes(b"".join(b">contig%d\n%s\n" % (number, row.tobytes()) for number, row in enumerate(letters)))
    return path


@pytest.fixture(scope="module")
def teacher() -> Model:
    return load("tuned", runtime="kmer-cpu")


@pytest.fixture(scope="module")
def drawn(genome: Path, teacher: Model) -> tuple[Labelled, dict[str, Any]]:
    return comparison_data.draw(genome, teacher, 2_000, 0)


def test_every_block_is_in_one_split_with_its_evolved_sequences(drawn: tuple[Labelled, dict[str, Any]]) -> None:
    data, facts = drawn
    assert len(np.unique(data.block)) == 20
    assert [np.unique(data.block[data.side == side]).tolist() for side in (1, 2)] == [[7, 17], [8, 9, 18, 19]]
    assert facts["train"] + facts["validation"] + facts["test"] == len(data.codes) == 2_000
    assert facts["evolved_share"] == EVOLVED / 100
    keys = splits.keys(data.codes)
    for later in (1, 2):
        assert not np.isin(keys[data.side < later], keys[data.side == later]).any()


def test_the_windows_of_a_block_are_within_it(genome: Path, drawn: tuple[Labelled, dict[str, Any]]) -> None:
    data, _ = drawn
    whole = comparison_data.genome.read(genome, data.codes.shape[1])
    block = 8
    inside = np.lib.stride_tricks.sliding_window_view(whole.codes[block * BLOCK : (block + 1) * BLOCK], whole.length)
    of_block = data.codes[data.block == block]
    found = np.isin(splits.keys(of_block), splits.keys(inside))
    assert found.sum() == 100 - EVOLVED
    # evolved sequences are a few mutations for each round from their window
    evolved = of_block[~found]
    forward, backward = inside, reverse_complement(inside)
    nearest = [min((one != strand).sum(1).min() for strand in (forward, backward)) for one in evolved]
    assert 0 < max(nearest) <= 8 * 15


def test_a_perfect_model_reaches_the_ceiling(drawn: tuple[Labelled, dict[str, Any]], teacher: Model) -> None:
    data, _ = drawn
    np.testing.assert_allclose(data.clean, teacher.predict_codes(data.codes), atol=1e-5)
    train = data.side == 0
    for t in range(2):
        assert np.corrcoef(data.clean[train, t], data.noisy[train, t])[0, 1] == pytest.approx(0.80, abs=0.03)


def test_a_sequence_of_two_splits_is_left_out_of_the_earlier_one() -> None:
    codes = np.random.default_rng(1).integers(0, 4, (6, 20)).astype(np.uint8)
    codes[3] = codes[0]
    codes[5] = reverse_complement(codes[1:2])[0]
    side = np.array([0, 0, 0, 1, 1, 2], np.uint8)
    assert comparison_data._kept(codes, side).tolist() == [False, False, True, True, True, True]


def test_the_commands_read_the_table(drawn: tuple[Labelled, dict[str, Any]], tmp_path: Path) -> None:
    data, facts = drawn
    path = tmp_path / "data.tsv"
    comparison_data.write(data, TARGETS, path)
    read = dataset.read(path, TARGETS, length=249)
    assert {side: len(split) for side, split in read.splits.items()} == {side: facts[side] for side in SIDES}
    assert read.notes == ()
    test = comparison_data.read_test(path, TARGETS, 249)
    of_test = data.side == SIDES.index("test")
    np.testing.assert_array_equal(test.codes, data.codes[of_test])
    np.testing.assert_array_equal(test.block, data.block[of_test])
    np.testing.assert_array_equal(test.noisy, data.noisy[of_test])
    np.testing.assert_array_equal(test.clean, data.clean[of_test])
    np.testing.assert_array_equal(read.test.targets, test.noisy)


def test_finished_trainings_are_not_repeated_and_others_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, status in (("tuned-0", "finished"), ("tuned-1", "interrupted")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text(json.dumps({"status": status}))
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command[3:]))
    typed = ["x", "--genome", "g.fa", "--teacher", "t", "--folder", str(tmp_path), "--precision", "bf16"]
    monkeypatch.setattr("sys.argv", [*typed, "--epochs", "9"])
    options = comparison.arguments()
    for model, seed in (("tuned", 0), ("tuned", 1), ("motif-counts", 2)):
        comparison._train(model, seed, options)
    second = (
        "train tuned --data data.tsv --output runs/tuned-1 --seed 1 --precision bf16 --epochs 9 --threads 1 --resume"
    )
    third = "train motif-counts --data data.tsv --output runs/motif-counts-2 --seed 2 --threads 1"
    assert [" ".join(map(str, command)) for command in commands] == [second, third]
    assert [run.path.name for run in comparison._finished("tuned", options)] == ["tuned-0"]


def test_the_search_trains_on_every_third_block_and_is_measured_on_all(
    drawn: tuple[Labelled, dict[str, Any]], tmp_path: Path
) -> None:
    data, _ = drawn
    comparison_data.write(data, TARGETS, tmp_path / "data.tsv")
    search_study.thin(tmp_path / "data.tsv", tmp_path / "search.tsv")
    whole, thinned = (dataset.read(tmp_path / name, TARGETS, length=249) for name in ("data.tsv", "search.tsv"))
    assert len(thinned.train) == np.isin(data.block[data.side == 0] % 3, 0).sum()
    assert 0.2 * len(whole.train) < len(thinned.train) < 0.5 * len(whole.train)
    for side in ("validation", "test"):
        np.testing.assert_array_equal(getattr(thinned, side).codes, getattr(whole, side).codes)


def test_the_trainings_of_a_confirmation_are_found_by_their_labels(tmp_path: Path) -> None:
    names = ["original-seed-1", "original-seed-2", "trial-12-seed-1", "trial-12-seed-2", "tuned-seed-1", "tuned-seed-2"]
    for name in names:
        (tmp_path / "confirm" / name).mkdir(parents=True)
    found = search_study.confirmed(tmp_path)
    assert list(found) == ["original", "tuned", "trial 12"]
    assert [run.path.name for runs in found.values() for run in runs] == [*names[:2], *names[4:], *names[2:4]]


def test_the_page_agrees_with_the_stored_results() -> None:
    page = models_page.PAGE.read_text("utf-8")
    for name, lines in models_page.parts().items():
        assert lines
        page = models_page.replaced(page, name, lines)
    assert page == models_page.PAGE.read_text("utf-8")


def test_a_page_without_the_place_for_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match=r"models.md.*<!-- comparison: .*<!-- end of comparison -->"):
        models_page.replaced("# Models\n", "comparison", ["a table"])
