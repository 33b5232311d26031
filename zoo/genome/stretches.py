"""The stretches of a genome that a scan predicts, and how their windows are divided into parts."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from zoo.dna import windows
from zoo.errors import ZooError
from zoo.formats import bed
from zoo.formats.bed import BadInterval, Interval
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.genome.aggregate import Stretch
from zoo.genome.intervals import outside
from zoo.genome.options import ScanOptions


@dataclasses.dataclass(frozen=True)
class Piece:
    """Consecutive windows of a stretch, from its window number `first`. last: whether the stretch ends with them."""

    stretch: Stretch
    first: int
    count: int
    last: bool


def of_options(genome: IndexedFasta, options: ScanOptions) -> list[Stretch]:
    """Contigs, or regions in the order of the genome. Raises ZooError for an invalid region, or where two overlap."""
    if options.region is None and options.regions is None:
        return [Stretch(name, 0, bases) for name, bases in genome.contigs.items()]
    found = bed.read(options.regions) if options.regions else iter([bed.region(options.region or "", genome.contigs)])
    regions: list[Interval] = []
    for one in found:
        reason = one.reason if isinstance(one, BadInterval) else outside(genome, one)
        if reason is not None:
            raise ZooError(f"{one.where}: {reason}")
        if isinstance(one, Interval):
            regions.append(one)
    order = {name: place for place, name in enumerate(genome.contigs)}
    regions.sort(key=lambda one: (order[one.contig], one.start))
    for one, following in itertools.pairwise(regions):
        if one.contig == following.contig and following.start < one.end:
            raise ZooError(
                f"{following.where}: overlaps with {one.where}, but a base has one value; merge them first, for "
                "example with bedtools merge"
            )
    return [Stretch(one.contig, one.start, one.end) for one in regions]


def planned(stretches: Sequence[Stretch], length: int, stride: int, part_size: int) -> Iterator[list[Piece]]:
    """The parts: `part_size` consecutive windows each, the last may have fewer."""
    pieces: list[Piece] = []
    room = part_size
    for stretch in stretches:
        total = windows.count(stretch.stop - stretch.start, length, stride)
        first = 0
        while first < total:
            count = min(room, total - first)
            pieces.append(Piece(stretch, first, count, first + count == total))
            first += count
            room -= count
            if not room:
                yield pieces
                pieces, room = [], part_size
    if pieces:
        yield pieces
