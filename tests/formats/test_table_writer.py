"""The suffix of a name decides how a table is written: every kind holds the same rows, no other is taken."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import importlib.util
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from refusals import refuses

from zoo.errors import CheckFailed, MissingDependency
from zoo.formats import table_writer
from zoo.formats.table_writer import Layout

NAMES = ["plain", "a,b", '"q"', "twice", "twice"]
VALUES = np.array([[0.1, -2], [3e-9, 4], [1, 2], [np.pi, -np.e], [16777216, 0]], np.float32)
TARGETS = ("dev", "a,b")


def written(path: Path, names: list[str] = NAMES, values: np.ndarray = VALUES) -> dict[str, object]:
    """Write rows in two parts; what the file says of itself."""
    with path.open("wb") as file:
        digested = table_writer.Digested(file)
        with table_writer.opened(path, digested, Layout(TARGETS)) as table:
            table.write((names[:2],), values[:2])
            table.write((names[2:],), values[2:])
        return digested.facts()


def unzstd(content: bytes) -> bytes:
    from xopen import xopen

    with xopen(io.BytesIO(content), "rb", format="zst", threads=0) as file:
        return bytes(file.read())


KINDS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".xz": lzma.decompress,
    ".zst": unzstd,
}


@pytest.mark.parametrize("compression", KINDS)
@pytest.mark.parametrize(
    ("suffix", "separator"), [(".tsv", "\t"), (".txt", "\t"), ("", "\t"), (".csv", ","), (".CSV", ",")]
)
def test_text_holds_every_row_compressed_or_not(tmp_path: Path, suffix: str, separator: str, compression: str) -> None:
    path = tmp_path / f"out{suffix}{compression}"
    facts = written(path)
    content = path.read_bytes()
    assert facts == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    text = KINDS[compression](content).decode()
    quoting = csv.QUOTE_MINIMAL if separator == "," else csv.QUOTE_NONE
    header, *rows = csv.reader(io.StringIO(text), delimiter=separator, quoting=quoting)
    assert header == ["name", *TARGETS]
    assert [row[0] for row in rows] == NAMES
    np.testing.assert_array_equal(np.array([row[1:] for row in rows], np.float32), VALUES)
    assert text.count("\n") == len(NAMES) + 1


def test_pandas_reads_what_is_written(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    written(tmp_path / "out.csv.gz")
    table = pandas.read_csv(tmp_path / "out.csv.gz", dtype={"dev": np.float32, "a,b": np.float32})
    assert list(table["name"]) == NAMES
    np.testing.assert_array_equal(table[list(TARGETS)].to_numpy(), VALUES)


def test_parquet_holds_float32_columns_and_groups_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(table_writer, "ROW_GROUP", 2)
    path = tmp_path / "out.parquet"
    facts = written(path)
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    file = parquet.ParquetFile(path)
    assert file.metadata.num_row_groups == 2
    table = file.read()
    assert {field.name: str(field.type) for field in table.schema} == {"name": "string", "dev": "float", "a,b": "float"}
    assert table["name"].to_pylist() == NAMES
    np.testing.assert_array_equal(np.stack([table[target].to_numpy() for target in TARGETS], 1), VALUES)


def test_parquet_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with refuses("caf", "udce9", "UTF-8", "Parquet", ".tsv"):
        written(tmp_path / "out.parquet", ["x", "caf\udce9"], VALUES[:2])
    with refuses("x: output 2", "nan", kind=CheckFailed):
        written(tmp_path / "out.parquet", ["x"], np.array([[1, np.nan]], np.float32))


def test_parquet_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find(name))
    with refuses("out.parquet", "pyarrow", kind=MissingDependency):
        table_writer.check_name(tmp_path / "out.parquet")
    table_writer.check_name(tmp_path / "out.tsv")


@pytest.mark.parametrize("name", ["out.xlsx", "out.parquet.gz", "out.h5", "out.json.zst", "out.sv"])
def test_a_name_of_no_table_is_refused(name: str) -> None:
    with refuses(name, ".tsv, .txt, .csv, .parquet", ".gz, .bz2, .xz, .zst"):
        table_writer.check_name(Path(name))


def test_nothing_is_written_before_the_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "out.tsv"
    with path.open("wb") as file, table_writer.opened(path, table_writer.Digested(file), Layout(TARGETS)):
        pass
    assert path.read_bytes() == b""


every_float32 = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 3)),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@pytest.mark.parametrize("letter", list("\t\n\r\v\f\0\x1b"))
def test_a_name_that_would_not_stay_in_its_field_is_an_error(letter: str) -> None:
    shown = ascii(letter)[1:-1]
    with refuses(f"'y{shown}z'", "control characters"):
        table_writer.rows(["x", f"y{letter}z"], np.zeros((2, 2), np.float32))


@settings(deadline=None)
@given(every_float32)
def test_numbers_come_back_bit_for_bit(values: np.ndarray) -> None:
    names = [f"n{row}" for row in range(len(values))]
    lines = table_writer.rows(names, values).decode().split("\n")
    assert lines.pop() == ""
    cells = [line.split("\t") for line in lines]
    assert [row[0] for row in cells] == names
    read = np.array([row[1:] for row in cells], np.float64).astype(np.float32)
    assert read.tobytes() == values.tobytes()


def test_numbers_are_as_short_as_they_can_be() -> None:
    values = np.array([[0.1, 1.0], [5.82522774, -1e-7]], np.float32)
    assert table_writer.rows(["x", "y"], values) == b"x\t0.1\t1.0\ny\t5.8252277\t-1e-7\n"
    assert table_writer.header(["dev", "hk"]) == b"name\tdev\thk\n"
    assert table_writer.rows([], np.empty((0, 2), np.float32)) == b""


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_result_that_is_no_number_is_an_error(value: float) -> None:
    with refuses("y: output 2", value, kind=CheckFailed):
        table_writer.rows(["x", "y"], np.array([[1, 2], [3, value]], np.float32))
