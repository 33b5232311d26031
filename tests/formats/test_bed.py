"""BED, narrowPeak and region strings: what stands in a line, and a line that is none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from refusals import refuses

from zoo.formats import bed
from zoo.formats.bed import BadInterval, Interval


def test_three_to_six_columns_comments_and_track_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text("#x\ntrack name=x\nbrowser y\nchr2L\t5\t10\n\nchr2L\t6\t9\tp\r\nc\t1\t2\tq\t7\t-\nc 1 4 r")
    found = list(bed.read(path))
    assert [(one.contig, one.start, one.end, one.name, one.strand, one.centre) for one in found] == [
        ("chr2L", 5, 10, ".", ".", 7),
        ("chr2L", 6, 9, "p", ".", 7),
        ("c", 1, 2, "q", "-", 1),
        ("c", 1, 4, "r", ".", 2),
    ]
    assert [one.where for one in found] == [f"{path}, line {line}" for line in (4, 6, 7, 8)]


def test_narrow_peaks_have_a_summit_and_may_be_compressed(tmp_path: Path) -> None:
    path = tmp_path / "a.narrowPeak.gz"
    rows = ["c\t10\t50\tp\t0\t.\t1\t2\t3\t7", "c\t10\t50\tq\t0\t.\t1\t2\t3\t-1", "c\t10\t50\tr\t0\t.\t1\t2\t3\t40"]
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    first, second, third = bed.read(path)
    assert isinstance(first, Interval)
    assert first.centre == 17
    assert isinstance(second, Interval)
    assert second.centre == 30
    assert isinstance(third, BadInterval)
    assert third.where == f"{path}, line 3"
    assert "summit" in third.reason
    assert third.reason.count("40") == 2


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ("c\t5", ["contig", "'c\\t5'"]),
        ("c\t5\t5", ["start", "5 and 5"]),
        ("c\t6\t5", ["start", "6 and 5"]),
        ("c\t-1\t5", ["start:", "'-1'"]),
        ("c\t1\t5.5", ["end:", "'5.5'"]),
        ("c\t1\t5.0", ["end:", "'5.0'", "decimal"]),
        ("c\t1\t5E+3", ["end:", "'5E+3'", "spreadsheet"]),
        ("c\t1\t99999999999999", ["end:", "'99999999999999'"]),
        ("c\t1\t5\tx\t0\tplus", ["strand", "+, -, .", "'plus'"]),
        ("c\t1\t5\t\x1b", ["control characters", "'\\x1b'"]),
    ],
)
def test_a_line_that_is_no_interval_says_why(tmp_path: Path, line: str, facts: list[str]) -> None:
    path = tmp_path / "a.bed"
    path.write_text(f"c\t1\t2\n{line}\n")
    bad = list(bed.read(path))[1]
    assert isinstance(bad, BadInterval)
    assert bad.where == f"{path}, line 2"
    assert not [fact for fact in facts if fact not in bad.reason], bad.reason


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text("\n")
    with refuses(path, "BED", "empty"):
        list(bed.read(path))
    path.write_text("# nothing\n\n#\ntrack name=x\n")
    with refuses(path, "BED", "3 lines of comments"):
        list(bed.read(path))


CONTIGS = {"chr2L": 200_000, "HLA:A": 70, "HLA:A:5-10": 40, "HLA": 30}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("chr2L:100,001-100,249", ("chr2L", 100_000, 100_249)),
        ("chr2L", ("chr2L", 0, 200_000)),
        ("chr2L:5-", ("chr2L", 4, 200_000)),
        ("chr2L:5", ("chr2L", 4, 200_000)),
        ("chr2L:-5", ("chr2L", 0, 5)),
        ("chr2L:1,000-2,000", ("chr2L", 999, 2000)),
        ("HLA:A", ("HLA:A", 0, 70)),
        ("HLA:A:1-1", ("HLA:A", 0, 1)),
        ("HLA:A:5-", ("HLA:A", 4, 70)),
        ("{HLA:A}:5-10", ("HLA:A", 4, 10)),
        ("{HLA:A:5-10}", ("HLA:A:5-10", 0, 40)),
        ("{HLA:A:5-10}:2-3", ("HLA:A:5-10", 1, 3)),
        ("other:1-3", ("other", 0, 3)),
        ("other", ("other", 0, bed.LAST_POSITION)),
    ],
)
def test_regions_are_one_based_and_inclusive_as_samtools_takes_them(text: str, found: tuple[str, int, int]) -> None:
    region = bed.region(text, CONTIGS)
    assert (region.contig, region.start, region.end) == found
    assert region.centre == (region.start + region.end) // 2


@pytest.mark.parametrize(
    "text",
    ["chr2L:0-5", "chr2L:6-5", "chr2L:a-b", "chr2L:", "chr2L:-", "chr2L:1-2-", "c:-5-2", "c:,-,", "chr2L:200001-"],
)
def test_what_is_no_region_is_refused(text: str) -> None:
    with refuses("region", "chr2L:100,001-100,249", repr(text)):
        bed.region(text, CONTIGS)


def test_a_region_of_two_readings_is_refused() -> None:
    with refuses("HLA:A:5-10", "'HLA:A'", "{HLA:A}:5-10", "{HLA:A:5-10}"):
        bed.region("HLA:A:5-10", CONTIGS)
