"""Tracks as files: bigWig read by two programs, bedGraph and Parquet, all with the same numbers."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import environment
from refusals import refuses

from zoo.errors import CheckFailed, MissingDependency
from zoo.formats import tracks

CONTIGS = {"chr2": 5000, "chr10": 400, "empty": 100, "chrM": 3000}


def blocks() -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Single bases with gaps; neighbours of several lengths; long ones."""
    generator = np.random.default_rng(0)
    bases = np.flatnonzero(generator.random(3000) < 0.98) + 1500
    edges = np.unique(generator.integers(0, 400, 90))
    wide = np.arange(10, 2900, 50)
    made = [
        ("chr2", np.arange(0, 1400), np.arange(1, 1401)),
        ("chr2", bases, bases + 1),
        ("chr10", edges[:-1], edges[1:]),
        ("chrM", wide, wide + 50),
    ]
    return [
        (contig, starts, ends, generator.normal(0, 2, (len(starts), 2)).astype(np.float32))
        for contig, starts, ends in made
    ]


def written(folder: Path, format_: str) -> list[Path]:
    files = tracks.paths(folder / "x", format_, ("dev", "hk"))
    with tracks.opened(files, format_, CONTIGS, ("dev", "hk")) as track:
        for block in blocks():
            track.write(*block)
    return files


def base_by_base() -> dict[str, np.ndarray]:
    """float32 (bases, 2) of each contig, NaN where there is none."""
    found = {name: np.full((bases, 2), np.nan, np.float32) for name, bases in CONTIGS.items()}
    for contig, starts, ends, values in blocks():
        for start, end, row in zip(starts, ends, values, strict=True):
            found[contig][start:end] = row
    return found


def test_big_wig_is_what_two_programs_read(tmp_path: Path) -> None:
    pyBigWig = pytest.importorskip("pyBigWig", reason="pyBigWig is not installed; the extra genome brings it")
    pybigtools = pytest.importorskip("pybigtools", reason="pybigtools is not installed; the extra dev brings it")
    files = written(tmp_path, "bigwig")
    assert [file.name for file in files] == ["x.dev.bw", "x.hk.bw"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.dev.bw", "x.hk.bw"]
    for column, file in enumerate(files):
        with pyBigWig.open(str(file)) as first:
            assert list(first.chroms().items()) == list(CONTIGS.items())
            assert first.header()["nLevels"] > 0
            second = pybigtools.open(str(file))
            assert list(second.chroms()) == list(CONTIGS)
            for contig, values in base_by_base().items():
                np.testing.assert_array_equal(first.values(contig, 0, len(values), numpy=True), values[:, column])
                if contig != "empty":
                    read = second.values(contig, 0, len(values), fillna=None)
                    np.testing.assert_array_equal(read.astype(np.float32), values[:, column])


def test_bedgraph_is_text(tmp_path: Path) -> None:
    files = written(tmp_path, "bedgraph")
    rows = [line.split("\t") for line in files[1].read_text().splitlines()]
    expected = [
        (contig, str(start), str(end), row[1])
        for contig, starts, ends, values in blocks()
        for start, end, row in zip(starts, ends, values, strict=True)
    ]
    assert [tuple(row[:3]) for row in rows] == [row[:3] for row in expected]
    np.testing.assert_array_equal(np.array([row[3] for row in rows], np.float32), [row[3] for row in expected])


def test_parquet_has_all_targets_and_groups_of_one_contig(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (file,) = written(tmp_path, "parquet")
    read = parquet.ParquetFile(file)
    assert read.schema_arrow.names == ["chrom", "start", "end", "dev", "hk"]
    groups = [read.read_row_group(number).to_pydict() for number in range(read.num_row_groups)]
    assert [set(group["chrom"]) for group in groups] == [{"chr2"}, {"chr10"}, {"chrM"}]
    assert groups[2]["start"] == blocks()[3][1].tolist()
    np.testing.assert_array_equal(np.array(groups[2]["hk"], np.float32), blocks()[3][3][:, 1])


@pytest.mark.parametrize("name", ["x.bw", "x.bigWig", "x.bedgraph", "x.parquet", "x.tsv", "x.json"])
def test_a_name_with_a_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with refuses(tmp_path / name, Path(name).suffix, "--format"):
        tracks.paths(tmp_path / name, "bigwig", ("dev",))


def test_a_target_that_no_file_can_be_called_is_refused(tmp_path: Path) -> None:
    with refuses("target 'a/b'"):
        tracks.paths(tmp_path / "x", "bedgraph", ("a/b",))


def test_a_value_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyBigWig")
    place = np.array([5])
    with (
        refuses("chr2, base 6", "inf", kind=CheckFailed),
        tracks.BigWig(tmp_path / "x.bw", CONTIGS) as file,
    ):
        file.write("chr2", place, place + 1, np.array([np.inf], np.float32))


def test_without_pybigwig_one_line_says_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with refuses("pyBigWig", "'deepstarr-zoo[genome]'", kind=MissingDependency):
        tracks.BigWig(tmp_path / "x.bw", CONTIGS)


FILL = """
import resource, sys
sys.dont_write_bytecode = True  # a compiled module would be cut off too
from pathlib import Path
import numpy as np
from zoo.formats import tracks
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
values = np.random.default_rng(0).normal(0, 1, 400_000).astype(np.float32)
starts = np.arange(len(values))
try:
    with tracks.BigWig(Path(sys.argv[1]), {"c": len(values)}) as file:
        for first in range(0, len(values), 4096):
            part = slice(first, first + 4096)
            file.write("c", starts[part], starts[part] + 1, values[part])
except OSError as error:
    print(error.strerror)
else:
    print("written")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits as on POSIX")
@pytest.mark.parametrize(
    ("limit", "said"), [(500_000, "File too large"), (2_000_000, "File too large"), (1 << 30, "written")]
)
def test_a_full_disk_is_an_error_wherever_it_comes(tmp_path: Path, limit: int, said: str) -> None:
    """pyBigWig alone waits for ever."""
    pytest.importorskip("pyBigWig")
    command = [sys.executable, "-c", FILL, str(tmp_path / "x.bw"), str(limit)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environment())
    assert result.stdout == f"{said}\n"
    assert result.stderr == ""
