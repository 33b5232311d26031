"""Windows of a genome for distillation: contigs as base codes, divided by position into train, validation and test."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.dna.encoding import INVALID, ascii_codes, reverse_complement
from zoo.dna.read_options import Ambiguous, letter_message
from zoo.errors import ZooError
from zoo.formats.names import first_word, shown
from zoo.formats.text_input import lines, open_text
from zoo.spec import UNKNOWN_BASE

HELD_OUT = 0.05
"""Share of each contig for validation, and again for test: its last tenth, validation first."""

MOST_UNKNOWN = 0.1
"""Windows with a larger share of Ns (assembly gaps) are not drawn."""


@dataclasses.dataclass(frozen=True)
class Region:
    """Start positions in `Genome.codes` of the windows that are wholly inside one part of the genome."""

    starts: np.ndarray


@dataclasses.dataclass(frozen=True)
class Genome:
    """Contigs joined end to end, uint8 (bases,), and the windows of `length` bases in each part.

    No window crosses two contigs or two parts.
    ambiguous_letters: letters other than ACGTN, which are N.  first_ambiguous: the first of them and its place.
    """

    codes: np.ndarray
    length: int
    train: Region
    validation: Region
    test: Region
    sha256: str
    ambiguous_letters: int = 0
    first_ambiguous: str = ""

    def windows(self, region: Region, count: int, generator: np.random.Generator) -> np.ndarray:
        """`count` windows at random starts, each on a random strand, uint8 (count, length)."""
        starts = region.starts[generator.integers(0, len(region.starts), count)]
        codes = np.lib.stride_tricks.sliding_window_view(self.codes, self.length)[starts]
        flip = generator.random(count) < 0.5
        return np.where(flip[:, None], reverse_complement(codes), codes)


def read(path: Path, length: int, ambiguous: Ambiguous | None = None) -> Genome:
    """Read a genome from FASTA (compressed or not). Letters other than ACGT become N.

    ambiguous: "refuse" to refuse letters other than ACGTN.
    Raises ZooError if the file is not FASTA, has such a letter, or has no window for one of the parts.
    """
    import dnaio

    try:
        with io.BufferedReader(open_text(path)) as file:
            records = [(one.name, one.sequence.encode("ascii", "replace")) for one in dnaio.readers.FastaReader(file)]
    except (dnaio.FileFormatError, UnicodeDecodeError) as error:
        raise ZooError(f"{path}: expected a genome in FASTA ({error})") from None
    contigs = [sequence for _, sequence in records]
    codes = ascii_codes(b"".join(contigs))
    others = np.flatnonzero(codes == INVALID)
    first = _named(path, records, int(others[0])) if len(others) else ("", "")
    if len(others) and ambiguous == "refuse":
        expected = letter_message(first[0], None)
        raise ZooError(f"{path}: {first[1]}: {expected}; omit --ambiguous refuse to read it as N")
    codes[others] = UNKNOWN_BASE
    known = np.concatenate([[0], np.cumsum(codes < UNKNOWN_BASE)])
    parts: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    offset = 0
    for contig in contigs:
        bounds = [offset + round(len(contig) * share) for share in (0, 1 - 2 * HELD_OUT, 1 - HELD_OUT, 1)]
        for part, start, stop in zip(parts, bounds[:-1], bounds[1:], strict=True):
            starts = np.arange(start, max(start, stop - length + 1))
            parts[part].append(starts[known[starts + length] - known[starts] >= (1 - MOST_UNKNOWN) * length])
        offset += len(contig)
    regions = {}
    for part, found in parts.items():
        starts = np.concatenate([*found, np.empty(0, np.intp)]).astype(np.intp)
        if not len(starts):
            raise ZooError(f"{path}: has no window of {length} known bases for the {part} part; give a longer genome")
        regions[part] = Region(starts)
    sha256 = hashlib.sha256(codes.tobytes()).hexdigest()
    return Genome(
        codes, length, **regions, sha256=sha256, ambiguous_letters=len(others), first_ambiguous=" at ".join(first)
    )


def _named(path: Path, records: Sequence[tuple[str, bytes]], offset: int) -> tuple[str, str]:
    """The letter at an offset into all contigs joined, and its contig, position and line."""
    for number, (name, sequence) in enumerate(records):  # noqa: B007 - the number is for the line
        if offset < len(sequence):
            break
        offset -= len(sequence)
    headers, bases, line = 0, 0, 0
    for line, text in lines(path):  # noqa: B007 - the number is for the message
        headers += text.startswith(">")
        if headers == number + 1 and not text.startswith(">"):
            bases += len(text.strip())
            if bases > offset:
                break
    return chr(sequence[offset]), f"contig {shown(first_word(name))}, position {offset + 1:,} (line {line:,})"
