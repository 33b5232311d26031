"""Instances of motifs over all contributions of the sequences in a folder of `zoo explain`, and how many are chance.

Beside the files of every experiment, `zoo hits` writes hits_motifs.tsv, a row for each motif, and hits.bed, all hits in
coordinates of the genome, or of the sequences if the folder is of a FASTA file. sparse_fit.py finds the hits.

The same search in the same contributions with their positions in random order, each base with its contribution, says
what is found by chance. Then precision is 1 - chance / hits, and q of a hit is the false discovery rate among the hits
of its motif that have at least its coefficient: (those by chance + 1) / those found, at most 1.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo import __version__
from zoo.dna.encoding import from_one_hot
from zoo.errors import CheckFailed
from zoo.experiments import files, sparse_fit
from zoo.experiments.files import Listed, Outputs
from zoo.experiments.hit_figure import figure
from zoo.experiments.hit_motifs import NUMBERS, Source, TargetHits, source
from zoo.experiments.options import HitOptions
from zoo.explain import files as explained_files
from zoo.explain.files import Explained
from zoo.motifs import matches
from zoo.options import made
from zoo.spec import UNIT, UNKNOWN_BASE
from zoo.system import figures
from zoo.weights import lookup

LABELS = ("sequence", "target", "start", "end", "strand", "motif")

BED = "hits.bed"

AT_ONCE = 512
"""Sequences between two reports of progress."""


class Found(NamedTuple):
    """table: a row for each hit.  motifs: a row for each motif and target."""

    table: Listed
    motifs: Listed

    def frame(self) -> Any:
        """The table of hits as a pandas DataFrame."""
        return self.table.frame()


def hits(
    explained: str | Path, motifs: str | Path | None = None, *, targets: Sequence[str] = (), **options: Any
) -> Found:
    """Find the instances of motifs in the contributions of an output folder of `zoo explain`.

    motifs: a folder of `zoo motifs`, by default the one in `explained`, or a MEME file.  targets: names; by default all
        that were explained.  options: fields of HitOptions, such as sparsity=0.6.
    Raises ZooError for other folders and files, and for targets that were not explained.
    """
    folder = explained_files.read(Path(explained))
    search = made(HitOptions, options)
    among = source(None if motifs is None else Path(motifs), folder.folder)
    return _tables(folder, [find(folder, among, target, search) for target in folder.targets(targets)])


def find(
    folder: Explained,
    among: Source,
    target: str,
    options: HitOptions,
    on_progress: Callable[[int], None] = lambda _: None,
) -> TargetHits:
    """The hits of one target. on_progress: called with the number of new sequences."""
    motifs = among.of(target)
    known = sparse_fit.features([one.matrix for one in motifs], among.signs)
    _, one_hot, hypothetical = folder.arrays(target, None)
    length = folder.description["sequence_length"]
    codes = from_one_hot(one_hot[:, :, :length])
    contributions = (one_hot * hypothetical).sum(1)[:, :length]
    if not np.isfinite(contributions).all():
        raise CheckFailed(f"{folder.folder}: the contributions to {target} are not finite")
    parts, by_chance = [], []
    for first in range(0, len(codes), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        found = sparse_fit.fit(contributions[part], codes[part], known, options.sparsity)
        parts.append(dataclasses.replace(found, sequence=found.sequence + first))
        for order in _orders(codes[part], options):
            values, bases = (np.take_along_axis(array[part], order, 1) for array in (contributions, codes))
            by_chance.append(sparse_fit.fit(values, bases, known, options.sparsity))
        on_progress(len(codes[part]))
    found, chance = _joined(parts), _joined(by_chance)
    numbers_of = np.array([one.number for one in known], np.intp)
    of_motif, of_chance = numbers_of[found.feature], numbers_of[chance.feature]
    strands = [known[feature].strand for feature in found.feature]
    q = np.ones(len(of_motif))
    for number in range(len(motifs)):
        own, other = of_motif == number, of_chance == number
        q[own] = _q(found.coefficient[own], chance.coefficient[other], options.shuffles)
    made_of = TargetHits(
        target, motifs, found.sequence, found.start, of_motif, strands, np.empty((len(q), len(NUMBERS))),
        np.bincount(of_chance, minlength=len(motifs)) / options.shuffles,
    )  # fmt: skip
    sums = np.pad(np.cumsum(contributions, 1, dtype=np.float64), ((0, 0), (1, 0)))
    rows, ends = found.sequence, made_of.ends
    columns = (
        *(found.coefficient, found.strength, found.similarity),
        sums[rows, ends] - sums[rows, found.start],
        _site_scores(codes, made_of),
        q,
    )
    return dataclasses.replace(made_of, numbers=np.stack(columns, 1))


def _orders(codes: np.ndarray, options: HitOptions) -> list[np.ndarray]:
    """Random orders of the positions of sequences, intp (N, L) each; they depend on the seed and the bases only."""
    generators = [np.random.default_rng([options.seed, zlib.crc32(one.tobytes())]) for one in codes]
    return [np.stack([one.permutation(codes.shape[1]) for one in generators]) for _ in range(options.shuffles)]


def _joined(parts: Sequence[sparse_fit.Hits]) -> sparse_fit.Hits:
    if not parts:
        none = np.empty(0, np.intp)
        return sparse_fit.Hits(none, none, none, np.empty(0), np.empty(0), np.empty(0))
    return sparse_fit.Hits(
        *(np.concatenate([getattr(part, one.name) for part in parts]) for one in dataclasses.fields(sparse_fit.Hits))
    )


def _q(coefficients: np.ndarray, chance: np.ndarray, shuffles: int) -> np.ndarray:
    """The false discovery rate of each hit, see the top of the file."""
    order = np.argsort(-coefficients, kind="stable")
    at_least = len(chance) - np.searchsorted(np.sort(chance), coefficients[order], "left")
    rates = (at_least / shuffles + 1) / np.arange(1, len(order) + 1)
    q = np.empty(len(order))
    q[order] = np.minimum(np.minimum.accumulate(rates[::-1])[::-1], 1)
    return q


def _site_scores(codes: np.ndarray, found: TargetHits) -> np.ndarray:
    """The log-odds score of each hit beside equal frequencies, in bits; an N adds 0."""
    scores = np.zeros(len(found.rows))
    tables = [matches.scores(one.frequencies) / matches.PER_BIT for one in found.among]
    for place, (row, start, motif, strand) in enumerate(
        zip(found.rows, found.starts, found.motifs, found.strands, strict=True)
    ):
        table = tables[motif] if strand == "+" else tables[motif][::-1, ::-1]
        bases = codes[row, start : start + len(table)]
        known = bases < UNKNOWN_BASE
        scores[place] = table[known, bases[known]].sum()
    return scores


def _tables(folder: Explained, found: Sequence[TargetHits]) -> Found:
    """The rows of all targets."""
    targets = [one.target for one in found]
    labels: dict[str, list[Any]] = {name: [] for name in LABELS}
    about: dict[str, list[Any]] = {name: [] for name in ("motif", "target", "bases", "hits", "sequences")}
    numbers: list[tuple[float, ...]] = []
    for one in found:
        labels["sequence"] += [folder.names[row] for row in one.rows]
        labels["target"] += [one.target] * len(one.rows)
        labels["start"] += (one.starts + 1).tolist()
        labels["end"] += one.ends.tolist()
        labels["strand"] += one.strands
        labels["motif"] += [one.among[motif].name for motif in one.motifs]
        for motif, chance in enumerate(one.chance):
            own = one.motifs == motif
            count, contribution = int(own.sum()), one.numbers[own, NUMBERS.index("contribution")]
            sequences = len(np.unique(one.rows[own]))
            for name, value in zip(about, (one.among[motif].name, one.target, len(one.among[motif].matrix), count,
                                           sequences), strict=True):  # fmt: skip
                about[name].append(value)
            rate = count / len(folder.names) if folder.names else np.nan
            precision = max(0.0, 1 - chance / count) if count else np.nan
            numbers.append((rate, chance, precision, contribution.mean() if count else np.nan))
    values = np.concatenate([one.numbers for one in found]).astype(np.float32)
    of_hits = {name: values[:, column] for column, name in enumerate(NUMBERS)}
    columns = np.array(numbers, np.float32).reshape(-1, 4).T
    of_motifs = dict(zip(("per_sequence", "chance", "precision", "mean_contribution"), columns, strict=True))
    return Found(Listed(labels, of_hits, targets), Listed(about, of_motifs, targets))


def save(
    folder: Explained,
    among: Source,
    targets: Sequence[str],
    search: HitOptions,
    outputs: Outputs,
    options: Mapping[str, Any],
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Write the folder of `zoo hits`. Returns the description of the run.

    targets: explained ones.  on_progress: called with sequences done, each for every target, and all of them.
    """
    windows = folder.windows()
    done, total = 0, len(folder.names) * len(targets)

    def more(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total)

    with outputs.opened() as partial:
        found = [find(folder, among, target, search, more) for target in targets]
        table, motifs = _tables(folder, found)
        table.write(partial / f"{outputs.name}.tsv")
        motifs.write(partial / f"{outputs.name}_{outputs.summary}.tsv")
        _write_bed(partial / BED, folder, found, windows)
        with contextlib.closing(files.Arrays(partial / f"{outputs.name}.npz", {})) as arrays:
            arrays.finish(table.columns())
        length = folder.description["sequence_length"]
        drawn = figure(found, length, folder.description["weights"].get("unit", UNIT))
        figures.write(drawn, partial / f"{outputs.name}.{outputs.figure_format}")
        described = {
            "command": outputs.command,
            "version": __version__,
            "explanation": folder.description,
            "targets": list(targets),
            "options": dict(options),
            "motif_file": str(among.path),
            "counts": {"records": len(folder.names), "hits": len(table.labels["start"])},
        }
        rows = {"rows": table.rows(), outputs.summary: motifs.rows()}
        written = json.dumps(described | rows, indent=2, allow_nan=False)
        (partial / f"{outputs.name}.json").write_text(written + "\n", "utf-8")
    lookup.warn_of_imitation(folder.description["weights"]["id"])
    return described


def _write_bed(
    path: Path, folder: Explained, found: Sequence[TargetHits], windows: list[tuple[str, int, str]] | None
) -> None:
    """Write all hits as BED: contig, start, end, motif, 1000 x similarity, strand. A hit of several overlapping windows
    is written once, with its highest similarity; with several targets, names are TARGET:MOTIF."""
    best: dict[tuple[Any, ...], int] = {}
    length = folder.description["sequence_length"]
    for one in found:
        similarities = one.numbers[:, NUMBERS.index("similarity")]
        ends = one.ends
        for place, row in enumerate(one.rows):
            start, end, strand = int(one.starts[place]), int(ends[place]), one.strands[place]
            contig = folder.names[row]
            if windows is not None:
                contig, first, window_strand = windows[row]
                if window_strand == "-":
                    start, end, strand = length - end, length - start, {"+": "-", "-": "+"}[strand]
                start, end = max(0, first + start), first + end
            motif = one.among[one.motifs[place]].name
            key = contig, start, end, motif if len(found) == 1 else f"{one.target}:{motif}", strand
            best[key] = max(best.get(key, 0), min(1000, round(1000 * float(similarities[place]))))
    order = sorted(best, key=lambda key: key[:4]) if windows is not None else [*best]
    text = "".join(f"{contig}\t{start}\t{end}\t{motif}\t{best[key]}\t{strand}\n"
                   for key in order for contig, start, end, motif, strand in [key])  # fmt: skip
    path.write_text(text, "utf-8", "surrogateescape")
