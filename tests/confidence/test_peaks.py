"""Scans with a background: tracks of percentiles, and peaks as narrowPeak, by brute force."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import genomes
import numpy as np
import pytest
from checkpoints import ODD
from command_line import RUNTIME, Zoo, one_line
from scipy.stats import false_discovery_control

from zoo.confidence import background
from zoo.formats import bed
from zoo.formats.bed import Interval
from zoo.genome.aggregate import Stretch
from zoo.genome.peaks import Peaks
from zoo.prediction import background as backgrounds
from zoo.prediction.model import load

bigwig = pytest.importorskip("pyBigWig", reason="pyBigWig is not installed; the extra genome brings it")

L = ODD.sequence_length
SCAN = ("scan", "g.fa", "--weights", "w.safetensors", *RUNTIME, "--background", "bg.npz", "-o", "t", "--overwrite")


@pytest.fixture
def among(contigs: dict[str, str]) -> np.ndarray:  # noqa: ARG001
    """Values of the background bg.npz, (N, T)."""
    background("bg.npz", weights="w.safetensors", runtime=RUNTIME[1], genome="g.fa", windows=400, seed=1)
    return backgrounds.read(Path("bg.npz")).values.T


def test_a_percentile_has_a_track_and_high_ones_are_peaks(zoo: Zoo, contigs: dict[str, str], among: np.ndarray) -> None:
    words = ("--stride", 3, "--part-size", 40, "--threshold-percentile", 90)
    status, _, err = zoo(*SCAN, *words)
    assert status == 0
    values, percentiles = ({name: _read(f"t.b{kind}.bw", name) for name in contigs} for kind in ("", "_percentile"))
    for name, found in values.items():
        there = ~np.isnan(found)
        lower, equal = among[None, :, 1] < found[there, None], among[None, :, 1] == found[there, None]
        below = lower.sum(axis=1) + equal.sum(axis=1) / 2
        np.testing.assert_allclose(percentiles[name][there], below / 4, rtol=1e-6)
        assert np.isnan(percentiles[name][~there]).all()

    # one value for each window: that of the base at its centre
    tested = [
        (name, start, values[name][start + L // 2])
        for name, sequence in contigs.items()
        for start in range(0, len(sequence) - L + 1, 3)
        if not np.isnan(values[name][start + L // 2])
    ]
    p = [(1 + np.count_nonzero(among[:, 1] >= value)) / 401 for _, _, value in tested]
    q = false_discovery_control(p)
    expected: list[list[tuple[str, int, float, float, float]]] = []
    for (name, start, value), one_p, one_q in zip(tested, p, q, strict=True):
        if percentiles[name][start + L // 2] >= 90:
            if not expected or expected[-1][-1][0] != name or start > expected[-1][-1][1] + L:
                expected.append([])
            expected[-1].append((name, start, value, one_p, one_q))
    lines = [line.split("\t") for line in Path("t.b.narrowPeak").read_text().splitlines()]
    assert len(lines) == len(expected) > 3
    assert f"{len(lines)} peaks of b" in err
    for number, (cells, windows) in enumerate(zip(lines, expected, strict=True), 1):
        best = max(windows, key=lambda one: one[2])
        assert cells[:4] == [windows[0][0], str(windows[0][1]), str(windows[-1][1] + L), f"b_{number}"]
        assert int(cells[1]) + int(cells[9]) == best[1] + L // 2
        assert np.float32(cells[6]) == np.float32(best[2])
        np.testing.assert_allclose([float(cells[7]), float(cells[8])], -np.log10(best[3:]), rtol=1e-5, atol=1e-6)
        assert int(cells[4]) == round(1000 * np.log10(best[3]) / np.log10(1 / 401))
    described = json.loads(Path("t.json").read_text())
    assert described["peaks"]["b"] == len(lines)
    assert described["background"]["sequences"] == 400
    assert described["scan"]["background"] == "bg.npz"

    # it reads as narrowPeak, and the number of each summit comes back
    found_peaks = list(bed.read(Path("t.b.narrowPeak")))
    assert all(isinstance(one, Interval) for one in found_peaks)
    assert zoo("predict", "--bed", "t.b.narrowPeak", "--genome", "g.fa", *SCAN[2:6], "-o", "p.tsv")[0] == 0
    again = [line.split("\t") for line in Path("p.tsv").read_text().splitlines()]
    numbers = [float(row[again[0].index("b")]) for row in again[1:]]
    np.testing.assert_allclose(numbers, [float(cells[6]) for cells in lines], atol=2e-5)

    # shards and other formats have the same peaks
    first = Path("t.b.narrowPeak").read_bytes()
    for shard in ("--shard=1/2", "--shard=2/2", "--merge"):
        assert zoo(*SCAN, *words, shard)[0] == 0
    assert Path("t.b.narrowPeak").read_bytes() == first
    assert zoo(*SCAN[:-3], "-o", "p", *words, "--format", "parquet", "--scale", "linear", "--targets", "b")[0] == 0
    pandas = pytest.importorskip("pandas")
    table = pandas.read_parquet("p.parquet")
    assert list(table) == ["chrom", "start", "end", "b", "b_percentile"]
    there = [percentiles[name][start + L // 2] for name, start, _ in tested]
    np.testing.assert_allclose(sorted(table["b_percentile"]), sorted(there))
    np.testing.assert_allclose(sorted(np.log2(table["b"])), sorted(value for *_, value in tested), atol=1e-5)
    linear = [line.split("\t") for line in Path("p.b.narrowPeak").read_text().splitlines()]
    assert [cells[:6] + cells[7:] for cells in linear] == [cells[:6] + cells[7:] for cells in lines]
    signals, logarithms = (np.array([float(cells[6]) for cells in some]) for some in (linear, lines))
    np.testing.assert_allclose(np.log2(signals), logarithms, atol=1e-5)


def _read(path: str, contig: str) -> np.ndarray:
    with bigwig.open(path) as file:
        found: np.ndarray = file.values(contig, 0, file.chroms()[contig], numpy=True)
    return found


@pytest.mark.parametrize("stride", [1, 5, 9, 30])
def test_peaks_do_not_depend_on_how_windows_come(stride: int) -> None:
    generator = np.random.default_rng(stride)
    values = generator.normal(size=500).astype(np.float32).round(1)
    values[generator.random(500) < 0.1] = np.nan
    ranks = np.where(np.isnan(values), np.nan, np.clip(50 + 20 * values, 0, 100)).astype(np.float32)
    at_least = np.where(np.isnan(values), 0, 100 - np.nan_to_num(ranks)).astype(np.int64)
    found = []
    for cuts in ([], [1], list(range(0, 500, 7))):
        peaks = Peaks(20, stride, 80, 100)
        for first, stop in itertools.pairwise([0, *cuts, 500]):
            peaks.add(0, Stretch("c", 10, 9999), first, values[first:stop], ranks[first:stop], at_least[first:stop])
        peaks.add(1, Stretch("c", 9999, 10**6), 0, values, ranks, at_least)
        found.append(peaks)
    assert found[0].found == found[1].found == found[2].found
    for one in found:
        for peak, following in itertools.pairwise(one.found):
            assert peak.end < following.start or peak.stretch != following.stretch
        covered = {base for peak in one.found if not peak.stretch for base in range(peak.start, peak.end)}
        over = [10 + place * stride for place in np.flatnonzero(ranks >= 80)]
        assert covered == {base for start in over for base in range(start, start + 20)}
        p, q = one.p_and_q()
        counted = np.concatenate([at_least[~np.isnan(values)]] * 2)
        np.testing.assert_allclose(q[counted], false_discovery_control(p[counted]))


def test_what_a_scan_refuses(zoo: Zoo, among: np.ndarray) -> None:  # noqa: ARG001
    plain = tuple(word for word in SCAN if word not in ("--background", "bg.npz"))
    one_line(zoo, ["--threshold-percentile", "--background"], *plain, "--threshold-percentile", 99)
    one_line(zoo, ["threshold-percentile", "100.5"], *SCAN, "--threshold-percentile", 100.5)
    one_line(zoo, ["--background", "mean"], *SCAN, "--aggregate", "mean")
    one_line(zoo, ["bg.npz", "one strand"], *SCAN, "--rc", "average")
    one_line(zoo, ["bg.npz", "weights"], *[word if word != "w.safetensors" else "tuned" for word in SCAN])
    assert not list(Path().glob("t.*"))
    genomes.write(Path("s.fa"), genomes.contigs({"c": 100}))
    weights = load(weights="w.safetensors", runtime=RUNTIME[1])
    background("one.npz", weights, genome="s.fa", windows=1)
    assert zoo(*[word if word != "bg.npz" else "one.npz" for word in SCAN], "--threshold-percentile", 100)[0] == 0
