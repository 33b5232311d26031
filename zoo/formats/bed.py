"""Intervals: BED of three to six columns, narrowPeak with its summits, and regions as samtools writes them.

BED is 0-based and half-open; chr2L:100,001-100,249 is 1-based and inclusive, and equals 100000 to 100249 in BED.
A region may also be a whole contig, chr2L, or lack an end, chr2L:5-, or a start, chr2L:-10. Comments, `track` and
`browser` lines are skipped.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from zoo.dna.windows import centre_of
from zoo.errors import ZooError
from zoo.formats import kinds
from zoo.formats.names import CONTROL, none_among, shown
from zoo.formats.positions import LAST_POSITION, position
from zoo.formats.text_input import lines

NARROW_PEAK_COLUMNS = 10
"""The tenth is the offset of the summit from the start, or -1 (UCSC, format of ENCODE narrowPeak)."""

MISSING = "."
"""An unknown name or strand."""

STRANDS = ("+", "-", MISSING)

RANGE = re.compile(r"(?P<first>[0-9][0-9,]*)?(?:-(?P<last>[0-9][0-9,]*)?)?")
"""Positions of a region, after the last colon."""

QUOTED = re.compile(r"\{(?P<contig>[^{}]+)\}(?::(?P<range>.+))?")
"""A region whose contig is in braces, for names that contain a colon (samtools view, "Regions")."""

COMMENT = re.compile(r"#|(track|browser)\s")


@dataclasses.dataclass(frozen=True)
class Interval:
    """[start, end) of a contig, 0-based. centre: that of its window. where: its name in messages."""

    contig: str
    start: int
    end: int
    name: str
    strand: str
    centre: int
    where: str


@dataclasses.dataclass(frozen=True)
class BadInterval:
    """A line that is not a valid interval, and why."""

    where: str
    reason: str


def region(text: str, contigs: Mapping[str, int]) -> Interval:
    """A region as samtools takes it -> interval; its contig may be unknown. contigs: name -> bases.

    chr2L is the whole contig, chr2L:5- and chr2L:5 go to its end, chr2L:-10 starts at its first base. The name of a
    contig may contain a colon; if two readings are possible, {name}:5-10 chooses.
    Raises ZooError for anything else.
    """
    name, positions = _parts_of_region(text, contigs)
    match = RANGE.fullmatch(positions) if positions is not None else None
    first, last = 1, contigs.get(name, LAST_POSITION)
    if match:
        first, last = (
            int(match[group].replace(",", "")) if match[group] else whole
            for group, whole in (("first", first), ("last", last))
        )
    if (positions is not None and (not match or positions in ("", "-"))) or not 1 <= first <= last <= LAST_POSITION:
        bases = f", whose last base is {contigs[name]:,}" if name in contigs else ""
        raise ZooError(
            "region: expected a contig, contig:first- or contig:first-last, 1-based and inclusive as "
            f"chr2L:100,001-100,249, got {shown(text)!r}{bases}"
        )
    start = first - 1
    return Interval(name, start, last, MISSING, MISSING, centre_of(start, last), f"region {shown(text)}")


def _parts_of_region(text: str, contigs: Mapping[str, int]) -> tuple[str, str | None]:
    """The contig and the positions of a region; None for a whole contig."""
    if quoted := QUOTED.fullmatch(text):
        return quoted["contig"], quoted["range"]
    name, colon, positions = text.rpartition(":")
    if text in contigs:
        if name in contigs and RANGE.fullmatch(positions):
            raise ZooError(
                f"region {shown(text)}: the genome has the contigs {shown(name)!r} and {shown(text)!r}; give "
                f"{{{name}}}:{positions} or {{{text}}}"
            )
        return text, None
    return (name, positions) if colon else (text, None)


def row(fields: Sequence[object], where: str) -> Interval | BadInterval:
    """The columns of a BED line as an interval."""
    try:
        return _interval("\t".join(map(str, fields)), where)
    except ValueError as error:
        return BadInterval(where, str(error))


def read(path: Path) -> Iterator[Interval | BadInterval]:
    """The intervals of a file in order, with a BadInterval for each line that is not valid.

    Raises ZooError if the file cannot be read or has no interval.
    """
    comments, first = 0, True
    for number, line in lines(path):
        if not line or line.isspace() or COMMENT.match(line):
            comments += bool(line)
            continue
        where = f"{path}, line {number}"
        try:
            yield _interval(line, where)
        except ValueError as error:
            if first and (kind := kinds.of_file(path)) not in (None, kinds.BED, kinds.NARROW_PEAK):
                raise ZooError(f"{path}: expected intervals (BED), found {kind}") from None
            yield BadInterval(where, str(error))
        first = False
    if first:
        raise ZooError(f"{path}: expected intervals (BED), {none_among(comments, 'comments')}")


def _interval(line: str, where: str) -> Interval:
    """Raises ValueError that says what is wrong with the line."""
    fields = line.split("\t") if "\t" in line else line.split()
    if len(fields) < 3:
        raise ValueError(f"expected contig, start and end between tabs, got {shown(line)!r}")
    contig, start, end = fields[0], position(fields[1], "start"), position(fields[2], "end")
    if start >= end:
        raise ValueError(f"expected a start below the end, got {start} and {end}")
    name = fields[3] if len(fields) > 3 and fields[3] else MISSING
    strand = fields[5] if len(fields) > 5 else MISSING
    if strand not in STRANDS:
        raise ValueError(f"expected the strand {', '.join(STRANDS)}, got {shown(strand)!r}")
    for word in (contig, name):
        if CONTROL.search(word):
            raise ValueError(f"expected text without control characters, got {shown(word)!r}")
    return Interval(contig, start, end, name, strand, _centre(fields, start, end), where)


def _centre(fields: list[str], start: int, end: int) -> int:
    if len(fields) != NARROW_PEAK_COLUMNS or fields[-1] == "-1":
        return centre_of(start, end)
    summit = position(fields[-1], "summit")
    if start + summit >= end:
        raise ValueError(f"expected a summit within the interval of {end - start} bases, got {summit}")
    return start + summit
