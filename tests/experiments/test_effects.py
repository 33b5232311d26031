"""Means, intervals and tests over backgrounds are those of NumPy and SciPy; and the folder of an experiment."""

from __future__ import annotations

import contextlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from zoo.experiments.effects import Measured, Moments
from zoo.experiments.files import Arrays, Outputs, Table


def values(members: int = 1) -> np.ndarray:
    """Effects far from 0 for their spread, which costs a sum of squares its digits: (B, C, M, T)."""
    random = np.random.default_rng(0)
    found = random.normal(1000, 0.1, (150, 4, members, 2)) + random.normal(0, 0.1, (1, 4, members, 2))
    return found.astype(np.float32)


def measured(effects: np.ndarray, size: int = 64) -> Measured:
    moments = Moments()
    for first in range(0, len(effects), size):
        moments.add(effects[first : first + size])
    return moments.measured()


def test_one_background_has_a_mean_without_an_interval() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measured(values()[:1])
    np.testing.assert_array_equal(found.mean, values()[0, :, 0])
    assert np.isnan([found.low, found.high, found.sd]).all()


@pytest.mark.parametrize("members", [1, 3])
def test_means_and_intervals_are_those_of_scipy(members: int) -> None:
    effects = values(members)
    found, over_members = measured(effects), effects.astype(np.float64).mean(2)
    expected = stats.t.interval(0.95, 149, over_members.mean(0), stats.sem(over_members))
    np.testing.assert_allclose(found.mean, over_members.mean(0), rtol=1e-12)
    np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-10)
    np.testing.assert_allclose(found.sd, over_members.std(0, ddof=1), rtol=1e-8)
    if members == 1:
        assert found.members_sd is None
    else:
        spread = effects.astype(np.float64).mean(0).std(1, ddof=1)
        np.testing.assert_allclose(found.members_sd, spread, rtol=1e-8)


def test_p_and_q_are_those_of_scipy() -> None:
    effects = values() - np.float32(1000)
    effects -= 0.98 * effects.mean(0)
    found = measured(effects).tested(len(effects))
    expected = stats.ttest_1samp(effects[:, :, 0].astype(np.float64), 0).pvalue
    assert (expected > 1e-12).any()
    np.testing.assert_allclose(found.p, expected, rtol=1e-2, atol=1e-14)
    for target in range(2):
        q = stats.false_discovery_control(found.p[:, target])
        np.testing.assert_allclose(found.q[:, target], q, rtol=1e-5, atol=1e-30)
    rounding = measured(np.full((150, 1, 1, 1), 1e-5, np.float32)).tested(150)
    assert rounding.p[0, 0] > 0.5, "a difference of rounding is not significant, however often it comes"
    same = measured(np.full((150, 1, 1, 1), 0.5, np.float32)).tested(150)
    assert same.q[0, 0] < 1e-6
    assert same.low[0, 0] == same.mean[0, 0] == same.high[0, 0] == 0.5


def table() -> Table:
    return Table({"motif": ["x", "y", "z", "w"]}, {"effect": measured(values()).tested(150)}, ["dev", "hk"])


def test_text_arrays_and_rows_have_the_same_numbers(tmp_path: Path) -> None:
    made = table()
    arrays = Arrays(tmp_path / "e.npz", {"effects": (2, 4, 2)})
    parts = values()[:2, :, 0]
    for part in parts:
        arrays.add(part[None])
    arrays.finish(made.columns())
    arrays.close()
    made.write(tmp_path / "e.tsv")
    stored = np.load(tmp_path / "e.npz")
    np.testing.assert_array_equal(stored["effects"], parts)
    head, *lines = [line.split("\t") for line in (tmp_path / "e.tsv").read_text().splitlines()]
    rows = json.loads(json.dumps(made.rows(), allow_nan=False))
    assert head == [*rows[0]] == ["motif", *[f"{t}_effect{end}" for t in ("dev", "hk") for end in
                                           ("", "_low", "_high", "_sd_backgrounds", "_p", "_q")]]  # fmt: skip
    for line, row in zip(lines, rows, strict=True):
        assert line[0] == row["motif"]
        assert np.float32(line[1:]).tolist() == [*row.values()][1:]
    for name in head[1:]:
        np.testing.assert_array_equal(stored[name].astype(np.float32), np.float32([row[name] for row in rows]))


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    outputs = Outputs("pairs", tmp_path / "out")
    outputs.check()
    with contextlib.suppress(RuntimeError), outputs.opened() as folder:
        (folder / "pairs.tsv").write_text("half")
        raise RuntimeError
    assert not outputs.folder.exists()
