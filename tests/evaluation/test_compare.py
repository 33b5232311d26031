"""`zoo compare`: rows joined by their key, numbers as NumPy and SciPy compute them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Zoo, one_line
from refusals import refuses
from tables import read_rows

from zoo.errors import ZooWarning
from zoo.evaluation import compare
from zoo.evaluation.compare import CompareOptions

N = 40


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a.tsv and b.csv, whose rows have another order; each has rows that the other lacks."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    values = generator.normal(size=(N, 2))
    other = 0.5 * values + generator.normal(0, 0.3, (N, 2)) + 1
    a = [f"s{row}\tACGT\t{dev:.6g}\t{hk:.6g}\tx" for row, (dev, hk) in enumerate(values)]
    b = [f"{hk:.6g},{dev:.6g},s{row + 3},other" for row, (dev, hk) in enumerate(other[3:])]
    a[10] = "s10\tACGT\tNA\t1\tx"
    write("a.tsv", "name\tsequence\tdev\thk\tgroup", a)
    write("b.csv", "hk,dev,name,group", [*b[::-1], "1,2,new,other"])
    return tmp_path


def write(name: str, header: str, rows: list[str]) -> None:
    Path(name).write_text("\n".join([header, *rows, ""]))


def test_the_numbers_are_those_of_the_joined_rows(zoo: Zoo, folder: Path) -> None:  # noqa: ARG001
    status, out, err = zoo("compare", "a.tsv", "b.csv", "--json", "-o", "d.tsv")
    assert status == 0
    assert "only in a.tsv: 3 rows" in err
    assert "only in b.csv: 1 row" in err
    assert "group" in err
    found = json.loads(out)
    assert (found["rows"], found["only_first"], found["only_second"], found["left_out"]) == (N - 3, 3, 1, ["group"])
    a = {row["name"]: row for row in read_rows(Path("a.tsv"))}
    b = {line.split(",")[2]: line.split(",") for line in Path("b.csv").read_text().splitlines()[1:]}
    for target, column, one in zip(("dev", "hk"), (1, 0), found["targets"], strict=True):
        shared = [name for name in a if name in b and a[name][target] != "NA"]
        x = np.array([float(a[name][target]) for name in shared])
        y = np.array([float(b[name][column]) for name in shared])
        assert (one["target"], one["n"]) == (target, len(shared))
        assert one["pearson"] == pytest.approx(np.corrcoef(x, y)[0, 1])
        assert one["spearman"] == pytest.approx(np.corrcoef(x.argsort().argsort(), y.argsort().argsort())[0, 1])
        assert one["slope"] == pytest.approx(np.polyfit(x, y, 1)[0])
        assert one["mean_difference"] == pytest.approx((y - x).mean())
        assert one["rms"] == pytest.approx(np.sqrt(((y - x) ** 2).mean()))
    rows = read_rows(Path("d.tsv"))
    assert len(rows) == N - 3
    largest = [
        max(abs(float(row[f"difference_{target}"])) for target in ("dev", "hk") if row[f"difference_{target}"] != "NA")
        for row in rows
    ]
    assert largest == sorted(largest, reverse=True)
    assert float(rows[0]["A_hk"]) == pytest.approx(float(a[rows[0]["name"]]["hk"]))
    assert float(rows[0]["B_hk"]) == pytest.approx(float(b[rows[0]["name"]][0]))


def test_the_figure_and_the_largest_differences(zoo: Zoo, folder: Path) -> None:  # noqa: ARG001
    pytest.importorskip("matplotlib")
    words = ("compare", "a.tsv", "b.csv", "--targets", "hk=dev", "-n", 2, "--figure", "s.svg", "--unit", "log2 counts")
    status, out, _ = zoo(*words)
    assert status == 0
    lines = [line for line in out.splitlines() if line]
    last = [line.split() for line in lines[lines.index("the largest differences") + 2 :]]
    assert len(last) == 2
    for name, target, a, b, difference in last:
        assert (target, float(difference)) == ("hk", pytest.approx(float(b) - float(a), abs=2e-3))
        assert any(row["name"] == name and float(row["hk"]) == pytest.approx(float(a), rel=1e-3) for row in
                   read_rows(Path("a.tsv")))  # fmt: skip
    drawn = Path("s.svg").read_text()
    for text in ("hk, a.tsv (log2 counts)", "hk, b.csv (log2 counts)", "equal values", "r = "):
        assert text in drawn
    one_line(zoo, ["s.svg", "--overwrite"], *words)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("chrom\tpos\tid\tref\talt\tdelta", ("chrom", "pos", "ref", "alt")),
        ("chrom\tstart\tend\tname\tstrand\tdev", ("chrom", "start", "end", "name", "strand")),
        ("name\tdev", ("name",)),
        ("sequence\tdev", ("sequence",)),
    ],
)
def test_a_table_is_joined_by_what_identifies_its_rows(folder: Path, header: str, key: tuple[str, ...]) -> None:
    rows = [[str(100 * row + column) for column in range(header.count("\t") + 1)] for row in range(5)]
    changed = [[*row[:-1], str(float(row[-1]) + 1)] for row in rows]
    write("x.tsv", header, ["\t".join(row) for row in rows])
    write("y.tsv", header, ["\t".join(row) for row in changed[::-1]])
    found = compare.compare(folder / "x.tsv", folder / "y.tsv")
    assert found.key == key
    assert len(found) == 5
    np.testing.assert_array_equal((found.second - found.first)[:, -1], np.ones(5))


def test_tables_of_spreadsheets_are_read_as_elsewhere(folder: Path) -> None:
    del folder
    write("x.csv", "Name;dev", ["a;1,5", "b;2,5", "c;4"])
    write("y.tsv", "name\tdev", ["c\t4", "b\t2.5", "a\t1.5"])
    with pytest.warns(ZooWarning, match="decimal commas in 2 numbers"):
        found = compare.compare(Path("x.csv"), Path("y.tsv"))
    np.testing.assert_array_equal(found.first, [[1.5], [2.5], [4]])
    np.testing.assert_array_equal(found.second, found.first)


def test_keys_that_repeat_in_the_same_order_are_joined_row_by_row(folder: Path) -> None:
    del folder
    write("x.tsv", "name\tdev", ["a\t1", "a\t2", "b\t3"])
    write("y.tsv", "name\tdev", ["a\t2", "a\t4", "b\t6"])
    found = compare.compare(Path("x.tsv"), Path("y.tsv"))
    np.testing.assert_array_equal(found.second, 2 * found.first)
    write("z.tsv", "name\tdev", ["b\t6", "a\t2", "a\t4"])
    with refuses("x.tsv", "rows 1 and 2", "name", "(a)"):
        compare.compare(Path("x.tsv"), Path("z.tsv"))


@pytest.mark.parametrize(
    ("header", "rows", "facts"),
    [
        ("name\tdev", ["t1\t1"], ["b.csv", "no name in common with x.tsv", "'t1'"]),
        ("name\tother", ["s4\t1"], ["no column of numbers in common", "other", "--targets"]),
        ("id\tdev", ["s4\t1"], ["no key in common", "id, dev"]),
        ("name\tdev", ["s4\t1", "s5\tx"], ["x.tsv", "column dev, row 2", "'x'"]),
    ],
)
def test_tables_that_cannot_be_compared(zoo: Zoo, folder: Path, header: str, rows: list[str], facts: list[str]) -> None:
    del folder
    write("x.tsv", header, rows)
    one_line(zoo, facts, "compare", "x.tsv", "b.csv", "-o", "d.tsv")
    assert not Path("d.tsv").exists()


def test_bad_options_are_refused_before_any_work(zoo: Zoo, folder: Path) -> None:
    (folder / "link.tsv").symlink_to("a.tsv")
    one_line(zoo, ["link.tsv", "a.tsv", "same file"], "compare", "a.tsv", "link.tsv")
    one_line(zoo, ["none.tsv", "no such file"], "compare", "a.tsv", "none.tsv")
    one_line(zoo, ["s.gif", ".gif"], "compare", "none.tsv", "b.csv", "--figure", "s.gif")
    one_line(zoo, ["d.xlsx"], "compare", "none.tsv", "b.csv", "-o", "d.xlsx")
    one_line(zoo, ["a.tsv"], "compare", "a.tsv", "b.csv", "-o", "a.tsv", "--overwrite")
    one_line(zoo, ["nope", "a.tsv"], "compare", "a.tsv", "b.csv", "--targets", "nope=dev")
    with refuses("targets", "dev, dev"):
        _ = CompareOptions(targets=("dev", "dev")).pairs


def test_names_of_files_with_one_name_have_their_folders(folder: Path) -> None:
    for name in ("x", "y"):
        (folder / name).mkdir()
        write(f"{name}/p.tsv", "name\tdev", ["a\t1", "b\t1"])
    found = compare.compare(folder / "x" / "p.tsv", folder / "y" / "p.tsv")
    assert found.names == ("x/p.tsv", "y/p.tsv")
    (one,) = found.agreements
    assert (one.score.pearson, one.slope, one.mean, one.rms) == (None, None, 0, 0)
    assert found.largest(10) == []
