"""Tables in: no row is lost, joined or shifted, text stays text, numbers are numbers, and every refusal is one line."""

from __future__ import annotations

import bz2
import gzip
import lzma
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest
import xopen
from refusals import refuses

from zoo.errors import LONGEST, ZooWarning
from zoo.formats import columns, text_input

TARGETS = ("dev", "hk")


def check_refused(path: Path, *facts: object, numbers: tuple[str, ...] = TARGETS, text: tuple[str, ...] = ()) -> None:
    """Reading raises ZooError with the path and these facts, in one short printable line."""
    with refuses(path, *facts) as caught:
        columns.read(path, numbers, text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= LONGEST


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    def write(content: str | bytes, name: str = "t.tsv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_a_stray_quote_swallows_no_row(table: Callable[..., Path]) -> None:
    text = 'name\tdev\thk\na\t1\t1\n"b\t2\t2\nc"\t3\t3\nd"e\t4\t4\n'
    found = columns.read(table(text), TARGETS, ("name",))
    assert found.text["name"] == ["a", '"b', 'c"', 'd"e']
    assert found.numbers.tolist() == [[1, 1], [2, 2], [3, 3], [4, 4]]
    check_refused(table(text.replace("\t", ","), "t.csv"), "line 3", "quote")


def test_quotes_of_comma_separated_text_are_taken_off(table: Callable[..., Path]) -> None:
    path = table('"name",dev,"hk"\n"a,""x""",1,"2"\nb"c,3,4\n', "t.csv")
    found = columns.read(path, TARGETS, ("name",))
    assert found.text["name"] == ['a,"x"', 'b"c']
    assert found.numbers.tolist() == [[1, 2], [3, 4]]
    check_refused(table('name,dev,hk\n"a"b,1,2\n', "t.csv"), "line 2", "','")


def test_quotes_around_fields_of_tab_separated_text_are_taken_off_and_counted(table: Callable[..., Path]) -> None:
    path = table('"name"\t"dev"\thk\n"a ""x"""\t"1"\t2\n"b\t3\t"4"\n"\t5\t6\nc"d"\t7\t8\n')
    with pytest.warns(ZooWarning, match="quotes around 3 fields"):
        found = columns.read(path, TARGETS, ("name",))
    assert found.text["name"] == ['a "x"', '"b', '"', 'c"d"']
    assert found.numbers.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt.gz"])
@pytest.mark.parametrize("separator", list("\t,;"))
def test_the_separator_that_gives_the_columns_is_taken(table: Callable[..., Path], name: str, separator: str) -> None:
    text = f"name{separator}dev{separator}hk\na b{separator}1{separator}2\n"
    path = table(gzip.compress(text.encode()) if name.endswith("gz") else text, name)
    with warnings.catch_warnings(record=True) as said:
        found = columns.read(path, TARGETS, ("name",))
    assert (found.text["name"], found.numbers.tolist()) == (["a b"], [[1, 2]])
    expected = {"\t": "tabs between", ",": "commas between", ";": "semicolons between"}[separator]
    assert [expected in str(one.message) for one in said] == [True] * (separator != ("," if name == "t.csv" else "\t"))
    assert columns.digest_and_count(path)[1] == 1


def test_the_usual_separator_wins_and_messages_list_the_columns(table: Callable[..., Path]) -> None:
    path = table('dev;x,"hk",dev\n1,2,3\n', "t.csv")
    assert columns.read(path, TARGETS).numbers.tolist() == [[3, 2]]
    check_refused(table("name;dev;x\na;1;2\n", "t.csv"), "'hk'", "name, dev, x")
    check_refused(table("dev,hk;x\n1;2\n", "t.tsv"), "'hk'", "dev, hk;x")
    check_refused(table('dev;hk\n1;"2\n', "t.csv"), "line 2", "semicolon", "quote")


def test_decimal_commas_are_read_where_they_cannot_separate_thousands(table: Callable[..., Path]) -> None:
    for text, name in (
        ("dev;hk\n1,5;2\n-,25;1,5e-3\n1,234;NA\n", "t.csv"),
        ("dev\thk\n1,5\t2\n-,25\t1,5e-3\n1,234\t.\n", "t.tsv"),
        ('dev,hk\n"1,5",2\n"-,25","1,5e-3"\n"1,234",\n', "t.csv"),
    ):
        with pytest.warns(ZooWarning, match="decimal commas in 4 numbers"):
            found = columns.read(table(text, name), TARGETS)
        np.testing.assert_array_equal(found.numbers, [[1.5, 2], [-0.25, 0.0015], [1.234, np.nan]])
    check_refused(table("dev;hk\n1,234;2\n12,345;3\n", "t.csv"), "column dev, row 1", "'1,234'", "thousands")
    check_refused(table("dev\thk\n1,5\t2\n3\t0.5\n"), "column dev, row 1", "'1,5'", "point")
    check_refused(table("dev\thk\n1,5\t2\n3\t1,234,567\n"), "column dev, row 1", "'1,5'")
    check_refused(table("dev,hk\n1,5,2\n", "t.csv"), "line 2", "got 3", "semicolons")


def test_a_column_in_other_case_is_taken_if_it_is_the_only_one(table: Callable[..., Path]) -> None:
    path = table("#Name\tDEV\tHk_log2\tId\na\t1\t2\tNA\n")
    with pytest.warns(ZooWarning, match="#Name for name") as said:
        found = columns.read(path, TARGETS, ("name",), ("id",), {"hk": ["hk_log2"]})
    assert found.text == {"name": ["a"], "id": ["NA"]}
    assert found.numbers.tolist() == [[1, 2]]
    assert found.columns == ("DEV", "Hk_log2")
    assert len(said) == 1
    check_refused(table("Dev\tDEV\thk\n1\t2\t3\n"), "'dev'", "Dev, DEV, hk")
    with warnings.catch_warnings(record=True) as none:
        assert columns.read(table("Dev\tdev\thk\n1\t2\t3\n"), TARGETS).numbers.tolist() == [[2, 3]]
    assert not none


def test_comments_before_the_header_are_left_out(table: Callable[..., Path]) -> None:
    path = table("# made today\n##\n#\n#dev\thk\n1\t2\n")
    assert columns.digest_and_count(path)[1] == 1
    with pytest.warns(ZooWarning, match="#dev for dev"):
        assert columns.read(path, TARGETS).numbers.tolist() == [[1, 2]]
    check_refused(table("# a\n# b\n"), "names the columns", "2 lines of comments")


@pytest.mark.parametrize(
    ("content", "name", "facts"),
    [
        (b"##fileformat=VCFv4.2\n#CHROM\tPOS\n", "t.tsv", ["VCF", "zoo variants", ".vcf"]),
        (b">a\nACGT\n", "t.txt", ["FASTA"]),
        (b"chr2L\t5\t9\n", "t.tsv", ["BED", "--bed"]),
        (b"PK\3\4\0\0", "t.csv", ["Excel", "CSV"]),
        (b"\xd0\xcf\x11\xe0\0", "t.csv", ["Excel", "CSV"]),
        (b"PAR1\0", "t.tsv", ["Parquet", ".parquet"]),
        (b"<!DOCTYPE html>\n", "t.csv", ["web page"]),
    ],
)
def test_another_kind_of_file_is_named(table: Callable[..., Path], content: bytes, name: str, facts: list[str]) -> None:
    for path in (table(content, name), table(gzip.compress(content), f"{name}.gz")):
        check_refused(path, "'dev', 'hk'", *facts)


def test_text_is_taken_as_it_stands(table: Callable[..., Path]) -> None:
    words = ["NA", "nan", "None", "null", "007", "1e5", "True", "chr1 x"]
    for path in (
        table("".join(["name\tdev\n", *(f"{word}\t1\n" for word in words)])),
        table("".join(["name,dev\n", *(f"{word},1\n" for word in words)]), "t.csv"),
    ):
        assert columns.read(path, ("dev",), ("name",)).text["name"] == words
    path = table(b"", "t.parquet")
    pandas.DataFrame({"name": words, "dev": 1, "number": range(8)}).to_parquet(path)
    found = columns.read(path, ("dev",), ("name", "number"))
    assert found.text == {"name": words, "number": list("01234567")}
    check_refused(table("name\tdev\n\t1\n"), "column name, row 1", "missing", numbers=("dev",), text=("name",))


def test_numbers_may_be_missing_and_are_exact(table: Callable[..., Path]) -> None:
    path = table("dev\thk\n0.1\t\nNA\t-1e-3\nnan\t 7 \nnull\t5.\n")
    np.testing.assert_array_equal(
        columns.read(path, TARGETS).numbers, [[0.1, np.nan], [np.nan, -1e-3], [np.nan, 7], [np.nan, 5]]
    )
    frame = pandas.DataFrame({"dev": [0.1, None, 3e38], "hk": np.float32([0.1, 2, 3])})
    path = table(b"", "t.parquet")
    frame.to_parquet(path)
    expected = [[0.1, float(np.float32(0.1))], [np.nan, 2], [3e38, 3]]
    np.testing.assert_array_equal(columns.read(path, TARGETS).numbers, expected)
    path = table("dev\n3.4028235e38\n")  # the largest float32, as it is printed
    assert np.float32(columns.read(path, ("dev",)).numbers[0, 0]) == np.finfo(np.float32).max


@pytest.mark.parametrize(
    "value", ["True", "false", "inf", "-Infinity", "1_000", "٣", "0x10", "1,500", "1 2", "9" * 400]
)
def test_what_is_no_number_is_refused_with_its_row(table: Callable[..., Path], value: str) -> None:
    path = table(f"dev\thk\n1\t2\n3\t{value}\n")
    shown = value if len(value) < 40 else f"{value[:40]}..."
    check_refused(path, "column hk, row 2", repr(shown))


def test_numbers_beyond_float32_are_refused(table: Callable[..., Path]) -> None:
    check_refused(table("dev\thk\n1\t2\n-1e39\t3\n"), "column dev, row 2", "float32", "'-1e39'")
    path = table(b"", "t.parquet")
    pandas.DataFrame({"dev": [1, 1e39], "hk": 0}).to_parquet(path)
    check_refused(path, "column dev, row 2", "float32", "'1e+39'")


@pytest.mark.parametrize(
    ("values", "kind"), [([True, False], "bool"), ([[1.0], [2.0]], "list<element: double>"), ([b"1", b"2"], "binary")]
)
def test_parquet_columns_of_another_kind_are_refused(table: Callable[..., Path], values: list, kind: str) -> None:
    path = table(b"", "t.parquet")
    pandas.DataFrame({"dev": values, "hk": 0}).to_parquet(path)
    check_refused(path, "column dev", kind)


@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
def test_two_columns_of_one_name_are_refused(table: Callable[..., Path], name: str) -> None:
    check_refused(table("dev,hk,dev\n1,2,3\n".replace(",", "," if name == "t.csv" else "\t"), name), "'dev'")


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", ["empty"]),
        ("\n\n", ["empty"]),
        ("dev\thk\n", ["rows"]),
        ("dev\thk\n1\t2\n3\n", ["line 3", "2 fields", "got 1"]),
        ("dev\thk\na\t1\t2\n", ["line 2", "2 fields", "got 3"]),
        ("dev\thk\n1\t2\n\n3\t4\n", ["line 3", "empty"]),
        ("\ndev\thk\n1\t2\n", ["line 1", "empty"]),
        ("name\tx\na\t2\n", ["'dev', 'hk'", "name, x"]),
        ("name\tDev1\tHK2\n", ["'dev', 'hk'", "name, Dev1, HK2", "did you mean Dev1, HK2?", "dev, hk"]),
        (
            "\t".join(f"c{n}" for n in range(5000)) + "\n",
            ["'dev', 'hk'", "c0, c1, c2, c3, c4, c5, c6, c7 and 4,992 more"],
        ),
    ],
)
def test_a_table_that_is_not_one_row_a_line_is_refused(table: Callable[..., Path], text: str, facts: list[str]) -> None:
    check_refused(table(text), *facts)


def test_line_ends_a_byte_order_mark_and_lines_empty_at_the_end_do_not_matter(table: Callable[..., Path]) -> None:
    for text in ("dev\thk\n1\t2\n3\t4", "\ufeffdev\thk\r\n1\t2\r\n3\t4\r\n", "dev\thk\n1\t2\n3\t4\n\n\r\n"):
        assert columns.read(table(text), TARGETS).numbers.tolist() == [[1, 2], [3, 4]]


def test_blocks_cut_anywhere_give_the_same_rows(table: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = table("name\tdev\n" + "".join(f"é{n}\t{n / 7}\r\n" for n in range(300)))
    whole = columns.read(path, ("dev",), ("name",))
    for size in (1, 7, 64):
        monkeypatch.setattr(text_input, "BLOCK_BYTES", size)
        found = columns.read(path, ("dev",), ("name",))
        assert found.text == whole.text
        np.testing.assert_array_equal(found.numbers, whole.numbers)


def test_a_line_that_never_ends_is_refused(table: Callable[..., Path]) -> None:
    path = table(gzip.compress(b"dev\thk\n" + b"1" * (40 << 20), 1), "t.tsv.gz")
    check_refused(path, "line 2", "16,777,216")


@pytest.mark.parametrize("letter", list("\r\v\f\0\x1b\x85\u2028"))
def test_control_characters_in_text_are_refused(table: Callable[..., Path], letter: str) -> None:
    path = table(f"name\tdev\na{letter}b\t1\n")
    shown = f"'a{ascii(letter)[1:-1]}b'"
    check_refused(path, "column name, row 1", "control characters", shown, numbers=("dev",), text=("name",))


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_damaged_compressed_tables_are_one_line(table: Callable[..., Path], compress: Callable[[bytes], bytes]) -> None:
    content = compress(b"dev\thk\n" + b"1\t2\n" * 9999)
    suffix = {gzip.compress: "gz", bz2.compress: "bz2", lzma.compress: "xz"}[compress]
    path = table(content, f"t.tsv.{suffix}")
    assert len(columns.read(path, TARGETS)) == 9999
    path.write_bytes(content[:-20])
    check_refused(path, "cut off")
    path.write_bytes(content[:40] + b"\xff" * 20 + content[60:])
    check_refused(path, "damaged")


def test_zstd_tables_are_read(tmp_path: Path) -> None:
    with xopen.xopen(tmp_path / "t.tsv.zst", "wb", threads=0) as file:
        file.write(b"dev\thk\n1\t2\n")
    assert columns.read(tmp_path / "t.tsv.zst", TARGETS).numbers.tolist() == [[1, 2]]


def test_a_damaged_parquet_file_is_one_line(table: Callable[..., Path]) -> None:
    path = table(b"PAR1 and then nothing", "t.parquet")
    check_refused(path, "Parquet", "damaged")
    pandas.DataFrame({"dev": range(1000), "hk": 0}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 200 + path.read_bytes()[300:])
    check_refused(path, "Parquet", "damaged")
