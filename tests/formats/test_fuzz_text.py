"""Changed FASTA files and tables: what the readers make of them is what slow, plain readers make, written here line by
line, or all refuse them; and a refusal is one short line, whatever the file holds.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import re
import unicodedata
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from fuzz import budget, mutated

from zoo import errors
from zoo.dna.read_options import LONGEST, ReadOptions
from zoo.errors import ZooError
from zoo.formats import columns, text_input
from zoo.formats.fasta import Reader

T = TypeVar("T")

LENGTH = 12
PIECES = (
    *(b"\n", b"\r", b"\r\n", b"\t", b" ", b">", b"\n>", b"\n\n", b"\0", b"\v", b"\f", b"\x1b[31m", b"\x7f"),
    *(b'"', b'""', b"'", b",", b";", b"_", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"\xc2\xa0", b"\xef\xbb\xbf"),
    *(b"N", b"acgt", b"U", b"R", b"-", b"#", b"# "),
    *(b"NA", b"nan", b"-NaN", b"inf", b"1e39", b"True", b"9" * 400, b"1_0", b"1e-400", b"\xd9\xa3", b"0x1", b" 1"),
)  # fmt: skip
COMPRESSIONS: tuple[Callable[[bytes], bytes], ...] = (gzip.compress, bz2.compress, lzma.compress)


class Refused(Exception):  # noqa: N818
    """By a plain reader."""


def outcome(read: Callable[[], T], seed: int) -> T | None:
    """What `read` gives; None if it refuses, in one short line. Anything else that is raised fails the test."""
    try:
        return read()
    except ZooError as error:
        line = str(error)
    except Exception as error:
        raise AssertionError(f"seed {seed}: expected records or a refusal, got {error!r}") from error
    assert line.isprintable(), f"seed {seed}: {line!r}"
    assert 0 < len(line) <= errors.LONGEST, f"seed {seed}: {line!r}"
    return None


def plain_outcome(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Refused:
        return None


def plain_name(header: str) -> str:
    name = ""
    for letter in header:
        if letter.isspace() or unicodedata.category(letter) == "Cc":
            if name:
                break
        else:
            name += letter
    return name


def plain_fasta(content: bytes, reading: ReadOptions) -> list[tuple[str, str]]:
    """Names and sequences as the model gets them."""
    content = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not content.startswith(b">"):
        raise Refused
    records: list[list[str]] = []
    for line in content.split(b"\n"):
        text = line.rstrip(b"\r \t").decode("utf-8", "surrogateescape")
        if text.startswith(">"):
            records.append([plain_name(text[1:]), ""])
        else:
            records[-1][1] += text
    return [(name, plain_sequence(sequence, reading)) for name, sequence in records]


def plain_sequence(sequence: str, reading: ReadOptions) -> str:
    letters = []
    for letter in sequence.upper() if sequence.isascii() else sequence:
        if letter in "ACGTN":
            letters.append(letter)
        elif reading.ambiguous and letter.isascii() and letter.isalpha():
            letters.append("N")
        else:
            raise Refused
    if not letters or (len(letters) > LONGEST * LENGTH if reading.resize else len(letters) != LENGTH):
        raise Refused
    surplus = len(letters) - LENGTH
    if surplus > 0:
        letters = letters[surplus // 2 :][:LENGTH]
    padding = LENGTH - len(letters)
    return "N" * (padding // 2) + "".join(letters) + "N" * (padding - padding // 2)


def written_fasta(generator: random.Random) -> bytes:
    end = generator.choice((b"\n", b"\n", b"\r\n", b" \n", b"\n\n"))
    lines = []
    for number in range(generator.randint(1, 12)):
        size = LENGTH if generator.random() < 0.9 else generator.randint(0, 60)
        sequence = "".join(generator.choices("ACGTacgtN", k=size))
        lines.append(f">s{number}{generator.choice(('', ' x', chr(9) + 'y', 'é', ' > z'))}".encode())
        width = generator.randint(1, LENGTH + 3)
        lines += [sequence[start : start + width].encode() for start in range(0, size, width)]
    return end.join(lines) + generator.choice((b"", end))


def read_fasta(path: Path, reading: ReadOptions, batch_size: int) -> list[tuple[str, str]]:
    reader = Reader(path, LENGTH, batch_size, reading)
    records = []
    for names, codes in reader:
        records += zip(names, ("".join("ACGTN"[code] for code in row) for row in codes), strict=True)
    assert reader.counts.records == len(records)
    assert reader.counts.mostly_unknown == sum(sequence.count("N") > LENGTH / 2 for _, sequence in records)
    return records


def test_changed_fasta_files_are_read_as_a_plain_reader_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "changed.fa"
    accepted = refused = 0
    for seed, generator in budget(1):
        reading = ReadOptions(generator.choice((None, "center")), generator.choice((None, "n")))
        monkeypatch.setattr("zoo.formats.fasta.BLOCK_BYTES", generator.choice((64, 100, 1 << 20)))
        content = written_fasta(generator)
        if generator.random() < 0.9:
            content = mutated(content, generator, PIECES, 2)
        expected = plain_outcome(lambda content=content, reading=reading: plain_fasta(content, reading))
        packed = generator.random() < 0.2
        path.write_bytes(generator.choice(COMPRESSIONS)(content) if packed else content)
        batch_size = generator.randint(1, 5)
        found = outcome(lambda reading=reading, size=batch_size: read_fasta(path, reading, size), seed)
        assert found == expected, f"seed {seed}"
        accepted, refused = accepted + (found is not None), refused + (found is None)
    assert min(accepted, refused) > 10


def test_damaged_compressed_files_give_all_records_or_none(tmp_path: Path) -> None:
    path = tmp_path / "damaged.fa"
    reading = ReadOptions()
    refused = 0
    for seed, generator in budget(1):
        content = b"".join(b">s%d\n%b\n" % (i, bytes(generator.choices(b"ACGT", k=LENGTH))) for i in range(40))
        path.write_bytes(mutated(generator.choice(COMPRESSIONS)(content), generator, (b"\0", b"\xff"), 2))
        found = outcome(lambda: read_fasta(path, reading, 7), seed)
        # a byte of the gzip header may change without a change to what is inside
        assert found is None or found == plain_fasta(content, reading), f"seed {seed}"
        refused += found is None
    assert refused > 10


def plain_lines(content: bytes) -> list[str]:
    """The header and the rows."""
    if b"\r" in content[:-1] and b"\n" not in content and b"\0" not in content:
        content = content.replace(b"\r", b"\n")
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if text.endswith("\r"):
        lines[-1] = lines[-1] if text.endswith("\n") else text.split("\n")[-1].removesuffix("\r")
    while lines and not lines[-1]:
        lines.pop()
    while lines and (lines[0].startswith("##") or lines[0] == "#" or (lines[0][:1] == "#" and lines[0][1].isspace())):
        lines.pop(0)
    if len(lines) < 2 or "" in lines:
        raise Refused
    return lines


def plain_table(content: bytes, usual: str) -> tuple[list[str], list[list[float | None]]]:
    """The columns name, dev and hk; None where a number is missing. usual: the separator of the file's suffix."""
    lines = plain_lines(content)
    separator = plain_separator(lines[0], usual)
    header, *rows = [plain_fields(line, separator) for line in lines]
    named = [name for name in header if name]
    if any(len(row) != len(header) for row in rows) or len(set(named)) != len(named):
        raise Refused
    places = [plain_place(name, header) for name in ("name", "dev", "hk")]
    if None in places:
        raise Refused
    names, *numbers = ([row[place] for row in rows] for place in places if place is not None)
    if any(not name or any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in name) for name in names):
        raise Refused
    numbers = plain_points(numbers)
    return names, [[plain_number(cell) for cell in row] for row in zip(*numbers, strict=True)]


def plain_points(columns: list[list[str]]) -> list[list[str]]:
    """Cells of numbers, with points in place of decimal commas."""
    cells = [cell for column in columns for cell in column if cell.strip().lower() not in MISSING]
    commas = [cell for cell in cells if "," in cell]
    decimal = all(re.fullmatch(r"\s*[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?\s*", cell) for cell in commas)
    thousands = all(re.fullmatch(r"\s*[+-]?[1-9][0-9]?[0-9]?,[0-9]{3}\s*", cell) for cell in commas)
    if not decimal or thousands or any("." in cell for cell in cells):
        return columns
    return [[cell.replace(",", ".") for cell in column] for column in columns]


def plain_place(name: str, header: list[str]) -> int | None:
    """Index of the column `name`, or of the only one that is written in another way."""
    if name in header:
        return header.index(name)
    near = [place for place, one in enumerate(header) if one.strip(" ").removeprefix("#").lower() == name]
    return near[0] if len(near) == 1 else None


def plain_separator(header: str, usual: str) -> str:
    fitting = []
    for separator in "\t,;":
        try:
            fields = plain_fields(header, separator)
        except Refused:
            continue
        if None not in (plain_place(name, fields) for name in ("name", "dev", "hk")):
            fitting.append(separator)
    return fitting[0] if len(fitting) == 1 else usual


def plain_fields(line: str, separator: str) -> list[str]:
    if separator == "\t":
        return [
            field[1:-1].replace('""', '"') if re.fullmatch(r'"([^"]|"")*"', field) else field
            for field in line.split("\t")
        ]
    if not re.search('[^"\r]', line) and not line.rstrip("\r"):
        return []
    fields, rest = [], line
    while True:
        if rest.startswith('"'):
            quoted = re.match(r'"((?:[^"]|"")*)"', rest)
            if quoted is None:
                raise Refused
            field, rest = quoted[1].replace('""', '"'), rest[quoted.end() :]
            if rest and not rest.startswith(separator) and rest.strip("\r"):
                raise Refused
        else:
            field = rest.partition(separator)[0]
            rest = rest[len(field) :]
            if not rest:
                field = field.rstrip("\r")
            if "\r" in field:
                raise Refused
        fields.append(field)
        if not rest.strip("\r"):
            return fields
        rest = rest[1:]


MISSING = ("", ".", "-", "na", "n/a", "#n/a", "#na", "<na>", "nan", "+nan", "-nan", "null", "none")


def plain_number(cell: str) -> float | None:
    if cell.strip().lower() in MISSING:
        return None
    if not cell.isascii() or not re.fullmatch(r"[ \t-\r]*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?[ \t-\r]*", cell):
        raise Refused
    with np.errstate(over="ignore"):
        number = np.float32(float(cell))
    if not np.isfinite(number):
        raise Refused
    return float(number)


def written_table(generator: random.Random, separator: str) -> bytes:
    names = ('"a', "NA", "b b", "é", "c'", 'd"e"', "nan", "#f", "True", "007")
    header = [generator.choice(("name", "name", "#Name")), generator.choice(("dev", "dev", "DEV")), "hk", "other", ""]
    generator.shuffle(header)
    header = header[: generator.randint(3, 5)] if generator.random() < 0.1 else header
    rows = []
    for _ in range(generator.randint(1, 12)):
        values = {"name": generator.choice(names), "other": generator.choice(("", '"', "x")), "": "1"}
        values |= {
            name: generator.choice(("", "NA", repr(generator.gauss(0, 9)), "1e5", "-3")) for name in ("dev", "hk")
        }
        rows.append([values[name.removeprefix("#").lower()] for name in header])
    if generator.random() < 0.1:
        rows = [[cell.replace(".", ",") for cell in row] for row in rows]
    if separator != "\t" or generator.random() < 0.1:
        rows = [
            [f'"{cell.replace(chr(34), 2 * chr(34))}"' if '"' in cell or separator in cell else cell for cell in row]
            for row in rows
        ]
    end = generator.choice(("\n", "\r\n"))
    return (end.join(separator.join(row) for row in (header, *rows)) + generator.choice(("", end))).encode()


def read_table(path: Path) -> tuple[list[str], list[list[float | None]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.ZooWarning)
        table = columns.read(path, ("dev", "hk"), ("name",))
    numbers = table.numbers.astype(np.float32)
    return table.text["name"], [[None if np.isnan(value) else float(value) for value in row] for row in numbers]


def test_changed_tables_are_read_as_a_plain_reader_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = refused = 0
    for seed, generator in budget(1):
        separator, suffix = generator.choice((("\t", ".tsv"), ("\t", ".txt"), (",", ".csv")))
        monkeypatch.setattr(text_input, "BLOCK_BYTES", generator.choice((64, 100, 1 << 20)))
        content = written_table(generator, generator.choice((separator, separator, ";")))
        if generator.random() < 0.9:
            content = mutated(content, generator, PIECES, 2)
        expected = plain_outcome(lambda content=content, separator=separator: plain_table(content, separator))
        path = tmp_path / f"changed{suffix}"
        path.write_bytes(generator.choice(COMPRESSIONS)(content) if generator.random() < 0.2 else content)
        found = outcome(lambda path=path: read_table(path), seed)
        assert found == expected, f"seed {seed}"
        accepted, refused = accepted + (found is not None), refused + (found is None)
    assert min(accepted, refused) > 10


def test_damaged_parquet_files_give_all_rows_or_none(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "damaged.parquet"
    refused = 0
    for seed, generator in budget(1):
        rows = generator.randint(1, 300)
        frame = {"name": [f"s{row}" for row in range(rows)], "dev": [0.5] * rows, "hk": list(range(rows))}
        parquet.write_table(pyarrow.table(frame), path, write_page_checksum=True)
        path.write_bytes(mutated(path.read_bytes(), generator, (b"\0", b"\xff"), 2))
        found = outcome(lambda: read_table(path), seed)
        assert found is None or len(found[0]) == rows, f"seed {seed}"
        refused += found is None
    assert refused > 10
