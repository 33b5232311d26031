"""Windows of a genome for distillation: contigs as base codes, divided by position into train, validation and test."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from pathlib import Path

import numpy as np

from zoo.dna.encoding import INVALID, ascii_codes, reverse_complement
from zoo.errors import ZooError
from zoo.formats.text_input import open_text
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
    """

    codes: np.ndarray
    length: int
    train: Region
    validation: Region
    test: Region
    sha256: str

    def windows(self, region: Region, count: int, generator: np.random.Generator) -> np.ndarray:
        """`count` windows at random starts, each on a random strand, uint8 (count, length)."""
        starts = region.starts[generator.integers(0, len(region.starts), count)]
        codes = np.lib.stride_tricks.sliding_window_view(self.codes, self.length)[starts]
        flip = generator.random(count) < 0.5
        return np.where(flip[:, None], reverse_complement(codes), codes)


def read(path: Path, length: int) -> Genome:
    """Read a genome from FASTA (compressed or not). Letters other than ACGT become N.

    Raises ZooError if the file is not FASTA, or has no window for one of the parts.
    """
    import dnaio

    try:
        with io.BufferedReader(open_text(path)) as file:
            contigs = [record.sequence.encode("ascii", "replace") for record in dnaio.readers.FastaReader(file)]
    except (dnaio.FileFormatError, UnicodeDecodeError) as error:
        raise ZooError(f"{path}: expected a genome in FASTA ({error})") from None
    codes = ascii_codes(b"".join(contigs))
    codes[codes == INVALID] = UNKNOWN_BASE
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
    return Genome(codes, length, **regions, sha256=hashlib.sha256(codes.tobytes()).hexdigest())
