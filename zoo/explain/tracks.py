"""tracks/TARGET.bw: contributions along a genome, one bigWig file a target, for a genome browser.

A base that lies in several windows has the mean of them; one on which a window reads the other strand has the
contribution of the base that pairs with it. Bases outside all windows have no value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.dna.windows import window_start
from zoo.explain import files
from zoo.formats.bigwig import BigWig

FOLDER = "tracks"


class Window(NamedTuple):
    """Where a sequence lies. centre: 0-based.  strand: "-" where it is the reverse complement."""

    contig: str
    centre: int
    strand: str


def write(folder: Path, targets: Sequence[str], contigs: Mapping[str, int], windows: Sequence[Window]) -> None:
    """Write the tracks of a folder that holds contributions.h5. contigs: of the genome, in its order, name -> bases."""
    import h5py

    (folder / FOLDER).mkdir()
    with h5py.File(folder / files.CONTRIBUTIONS) as file:
        for target in targets:
            scores = file[f"{files.ACTUAL}/{target}"]
            with BigWig(folder / FOLDER / f"{files.of_target(target)}.bw", contigs) as track:
                for contig, start, values in _stretches(scores, contigs, windows):
                    starts = np.arange(start, start + len(values), dtype=np.int64)
                    track.write(contig, starts, starts + 1, values)


def _stretches(
    scores: Any, contigs: Mapping[str, int], windows: Sequence[Window]
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Contig, first base and values, float32, of every stretch that windows cover, in the order of the genome.

    scores: float32 (N, L, 4), an array or a dataset.
    """
    length = scores.shape[1]
    order = {contig: number for number, contig in enumerate(contigs)}
    places = [(order[one.contig], window_start(one.centre, length)) for one in windows]
    together: list[int] = []
    for number in sorted(range(len(windows)), key=lambda number: (*places[number], number)):
        if together:
            contig, last = places[together[-1]]
            if places[number][0] != contig or places[number][1] > last + length:
                yield _stretch(scores, contigs, windows, places, together)
                together = []
        together.append(number)
    if together:
        yield _stretch(scores, contigs, windows, places, together)


def _stretch(
    scores: Any,
    contigs: Mapping[str, int],
    windows: Sequence[Window],
    places: Sequence[tuple[int, int]],
    together: Sequence[int],
) -> tuple[str, int, np.ndarray]:
    """The mean of windows that touch each other, cut at the ends of their contig."""
    length = scores.shape[1]
    contig, first = windows[together[0]].contig, places[together[0]][1]
    sums = np.zeros(places[together[-1]][1] + length - first)
    counts = np.zeros_like(sums)
    for number in together:
        values = scores[number].sum(1)
        at = places[number][1] - first
        sums[at : at + length] += values[::-1] if windows[number].strand == "-" else values
        counts[at : at + length] += 1
    start, stop = max(0, -first), contigs[contig] - first
    return contig, first + start, (sums / counts)[start:stop].astype(np.float32)
