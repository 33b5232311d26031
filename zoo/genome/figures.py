"""Figures of tracks in a region, with genes below them, and of the effects of variants.

A region is divided into at most MOST_COLUMNS columns of whole bases. Each shows the mean over its bases, and in a
lighter colour the range of the values, so that a narrow peak is seen in a wide region. Needs matplotlib, imported
inside. Axes: K intervals, T targets, C columns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError, counted
from zoo.formats import bed, genes, tracks, vcf
from zoo.formats.genes import Gene
from zoo.spec import UNIT
from zoo.system import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_BASES = 20_000_000
"""Bases of a region in a figure; a genome browser shows more of a track."""

MOST_COLUMNS = 1500
"""Columns of a region, about one for each pixel of the width."""

MOST_PANELS = 24
"""Targets that have a panel."""

WIDTH, TRACK_HEIGHT = 9.0, 1.35
"""Inches of the figure, and of the panel of a target."""

GENE_HEIGHT, NAMELESS_HEIGHT = 0.3, 0.13
"""Inches of a row of genes, with and without names."""

MOST_ROWS = 12
"""Rows of genes with names, and three times as many rows without; further genes are counted below the panel."""

LETTER_INCHES = 0.062
"""Width of a letter of a gene's name."""

ARROW_INCHES = 0.18
"""Distance of two arrows on a gene."""

INK = "0.25"

EFFECT_HEIGHT = 2.3
"""Inches of the panel of a target with effects of variants."""

MOST_LABELS = 8
"""Largest effects of a target that are labelled."""

MOST_LETTERS = 9
"""Letters of an allele in a label."""


@dataclasses.dataclass(frozen=True)
class Region:
    """[start, end) of a contig, 0-based."""

    contig: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end - self.start > MOST_BASES:
            raise ZooError(
                f"--figure: {self} has {self.end - self.start:,} bases, and a figure shows at most {MOST_BASES:,}; "
                "give a smaller --region, or open the tracks in a genome browser"
            )

    def __str__(self) -> str:
        """As samtools writes it."""
        return f"{self.contig}:{self.start + 1:,}-{self.end:,}"


class Columns:
    """Means and ranges of the values of T targets in the columns of a region. edges: int64 (C + 1,)."""

    def __init__(self, region: Region, targets: Sequence[str]) -> None:
        self.region, self.targets = region, tuple(targets)
        size = region.end - region.start
        count = min(MOST_COLUMNS, size)
        self.edges = region.start + np.arange(count + 1) * size // count
        self._bases, self._sums = np.zeros((2, count, len(targets)))
        self.lowest = np.full((count, len(targets)), np.inf)
        self.highest = np.full((count, len(targets)), -np.inf)

    def add(self, starts: np.ndarray, ends: np.ndarray, values: np.ndarray, of: slice = slice(None)) -> None:
        """Add intervals of the region's contig, int64 (K,) each, sorted, and their values, float32 (K, T).

        of: the targets whose values these are.
        """
        starts, ends = (np.clip(places, self.region.start, self.region.end) for places in (starts, ends))
        inside = starts < ends
        starts, ends, values = starts[inside], ends[inside], values[inside]
        if not len(starts):
            return
        first = np.searchsorted(self.edges, starts, "right") - 1
        counts = np.searchsorted(self.edges, ends, "left") - first
        rows = np.repeat(np.arange(len(starts)), counts)
        columns = first[rows] + np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        bases = np.minimum(ends[rows], self.edges[columns + 1]) - np.maximum(starts[rows], self.edges[columns])
        runs = np.flatnonzero(np.diff(columns, prepend=-1))
        found, touched = values[rows].astype(np.float64), columns[runs]
        self._bases[touched, of] += np.add.reduceat(bases, runs)[:, None]
        self._sums[touched, of] += np.add.reduceat(found * bases[:, None], runs)
        self.lowest[touched, of] = np.minimum(self.lowest[touched, of], np.minimum.reduceat(found, runs))
        self.highest[touched, of] = np.maximum(self.highest[touched, of], np.maximum.reduceat(found, runs))

    @property
    def means(self) -> np.ndarray:
        """float64 (C, T), NaN where no base has a value."""
        with np.errstate(invalid="ignore"):
            return self._sums / self._bases


def of_tracks(region: str, files: Mapping[str, Path]) -> Columns:
    """The columns of a region of finished tracks. region: chr2L:100,001-200,000.  files: target -> bigWig or bedGraph.

    Raises ZooError for a file that cannot be read, or that does not have the contig.
    """
    found = bed.region(region, tracks.contigs(next(iter(files.values()))))
    columns = Columns(Region(found.contig, found.start, found.end), list(files))
    for number, path in enumerate(files.values()):
        starts, ends, values = tracks.read(path, found.contig, found.start, found.end)
        columns.add(starts, ends, values[:, None], slice(number, number + 1))
    return columns


def draw(columns: Columns, path: Path, annotation: Path | None = None, unit: str = UNIT, title: str = "") -> None:
    """Draw a panel for each target, all with one scale, and the genes of the region below them.

    annotation: genes in GTF or GFF3.  unit: of the values.  Raises ZooError for genes that cannot be read.
    """
    region, shown = columns.region, columns.targets[:MOST_PANELS]
    below = [] if annotation is None else genes.read(annotation, region.contig, region.start, region.end)
    heights = [TRACK_HEIGHT] * len(shown)
    stack = _stacked(below, region)
    if annotation is not None:
        heights.append(max(0.35, stack.height))
    figure, panels = figures.new(
        WIDTH, sum(heights) + 0.75, len(heights), sharex=True, gridspec_kw={"height_ratios": heights}
    )
    limits = _limits(columns)
    for number, (panel, target) in enumerate(zip(panels[:, 0], shown, strict=False)):
        _draw_track(panel, columns, number, figures.COLOURS[number % len(figures.COLOURS)])
        panel.set(ylim=limits)
        panel.set_ylabel(unit if len(shown) < 4 else "", parse_math=False)
        panel.set_title(target, fontsize=9, loc="left", pad=3, parse_math=False)
    if annotation is not None:
        _draw_genes(panels[-1, 0], stack, region)
    last = panels[-1, 0]
    last.set(xlim=(region.start + 0.5, region.end + 0.5))
    last.set_xlabel(f"position on {region.contig} (bases)", parse_math=False)
    figures.thousands(last)
    if len(shown) >= 4:
        figure.supylabel(unit, fontsize=10, parse_math=False)
    figure.suptitle(_title(columns, title, len(shown)), fontsize=10, parse_math=False)
    figures.write(figure, path)


def _title(columns: Columns, title: str, shown: int) -> str:
    region = columns.region
    wide = int(np.diff(columns.edges).max())
    parts = [title or str(region)]
    if wide > 1:
        parts.append(f"mean (dark) and range (light) of {wide:,} bases a column")
    if shown < len(columns.targets):
        parts.append(f"the first {shown} of {len(columns.targets)} targets")
    return "; ".join(parts)


def _limits(columns: Columns) -> tuple[float, float]:
    """Limits of the values of all panels, which include 0."""
    lowest = columns.lowest.min(initial=0, where=np.isfinite(columns.lowest))
    highest = columns.highest.max(initial=0, where=np.isfinite(columns.highest))
    margin = 0.05 * (highest - lowest) or 1.0
    return float(lowest - margin * (lowest < 0)), float(highest + margin)


def _draw_track(panel: Axes, columns: Columns, number: int, colour: str) -> None:
    """Positions on the axis are 1-based: base p reaches from p - 0.5 to p + 0.5."""
    edges, means = columns.edges + 0.5, columns.means[:, number]
    lowest, highest = columns.lowest[:, number], columns.highest[:, number]
    if not np.isfinite(means).any():
        panel.text(0.5, 0.5, "no values", transform=panel.transAxes, ha="center", va="center", color="0.5")
        return
    there = np.isfinite(means)
    lowest, highest = np.where(there, lowest, np.nan), np.where(there, highest, np.nan)
    panel.stairs(np.maximum(highest, 0), edges, baseline=np.minimum(lowest, 0), fill=True, color=colour, alpha=0.3)
    panel.stairs(means, edges, baseline=0, fill=True, color=colour)
    panel.axhline(0, color=INK, linewidth=0.6)
    panel.tick_params(labelsize=8)


@dataclasses.dataclass(frozen=True)
class _Stack:
    """Genes in rows. rows: row of each gene, from the top.  hidden: genes for which there is no row."""

    genes: tuple[Gene, ...]
    rows: tuple[int, ...]
    named: bool
    hidden: int

    @property
    def height(self) -> float:
        """Inches."""
        return (max(self.rows, default=0) + 1) * (GENE_HEIGHT if self.named else NAMELESS_HEIGHT)


def _stacked(found: Sequence[Gene], region: Region) -> _Stack:
    """Put each gene into the first row where it fits beside the others with its name, or without if names take too
    many rows."""
    rows = _rows(found, region, named=True)
    named = max(rows, default=0) < MOST_ROWS
    if not named:
        rows = _rows(found, region, named=False)
    most = MOST_ROWS if named else 3 * MOST_ROWS
    kept = [(gene, row) for gene, row in zip(found, rows, strict=True) if row < most]
    return _Stack(tuple(gene for gene, _ in kept), tuple(row for _, row in kept), named, len(found) - len(kept))


def _rows(found: Sequence[Gene], region: Region, named: bool) -> list[int]:
    ends: list[float] = []
    rows = []
    gap = 0.1 * _bases_per_inch(region)
    for gene in found:
        left, right = _extent(gene, region, named)
        row = next((number for number, end in enumerate(ends) if end + gap <= left), len(ends))
        ends[row : row + 1] = [right]
        rows.append(row)
    return rows


def _bases_per_inch(region: Region) -> float:
    return (region.end - region.start) / (WIDTH - 1.0)


def _extent(gene: Gene, region: Region, named: bool) -> tuple[float, float]:
    """Where a gene and its name begin and end on the axis, within the region."""
    left, right = max(gene.start, region.start), min(gene.end, region.end)
    if not named:
        return left, right
    width = len(gene.name) * LETTER_INCHES * _bases_per_inch(region)
    start = min(left, region.end - width)
    return start, max(right, start + width)


def _draw_genes(panel: Axes, stack: _Stack, region: Region) -> None:
    """Exons are boxes on the line of their gene, whose arrows point to its end."""
    scale = _bases_per_inch(region)
    for gene, row in zip(stack.genes, stack.rows, strict=True):
        left, right = max(gene.start, region.start), min(gene.end, region.end)
        panel.plot([left + 0.5, right + 0.5], [row, row], color=INK, linewidth=0.8, solid_capstyle="butt")
        exons = [(max(first, left), min(last, right)) for first, last in gene.exons if first < right and last > left]
        panel.bar(
            [first + 0.5 for first, _ in exons],
            0.34 if stack.named else 0.6,
            # an exon that is narrower than a line is still seen
            [max(last - first, 0.012 * scale) for first, last in exons],
            [row - (0.17 if stack.named else 0.3)] * len(exons),
            align="edge",
            color=INK,
        )
        if gene.strand in "+-" and stack.named:
            _draw_arrows(panel, gene.strand, row, left, right, exons, scale)
        if stack.named:
            start, _ = _extent(gene, region, named=True)
            panel.text(start + 0.5, row - 0.26, gene.name, fontsize=7, style="italic", va="bottom", parse_math=False)
    if not stack.genes and not stack.hidden:
        panel.text(0.5, 0.5, "no genes", transform=panel.transAxes, ha="center", va="center", color="0.5", fontsize=8)
    bottom = max(stack.rows, default=0)
    panel.set(yticks=[], ylim=(bottom + 0.4, -0.75 if stack.named else -0.6))
    panel.spines["left"].set_visible(False)
    panel.tick_params(labelsize=8)
    count = len(stack.genes) + stack.hidden
    note = (
        f"{stack.hidden:,} of {counted(count, 'genes')} not shown"
        if stack.hidden
        else f"{count:,} genes, too many to name"
    )
    if stack.hidden or not stack.named:
        panel.set_title(note, fontsize=8, loc="right", color="0.4", pad=2)


def _draw_arrows(
    panel: Axes, strand: str, row: int, left: float, right: float, exons: Sequence[tuple[int, int]], scale: float
) -> None:
    """Arrows along a gene at equal distances, at least one: white ones on exons."""
    count = max(1, int((right - left) / (ARROW_INCHES * scale)))
    places = left + (np.arange(count) + 0.5) * (right - left) / count
    on_exon = np.array([any(first <= place <= last for first, last in exons) for place in places])
    for some, colour in ((places[~on_exon], INK), (places[on_exon], "white")):
        marker = "4" if strand == "+" else "3"
        panel.plot(some + 0.5, [row] * len(some), marker, color=colour, markersize=4, markeredgewidth=0.8)


class EffectPlot:
    """Effects of variants by position, a panel for each target, with the largest of them labelled."""

    def __init__(self, contigs: Mapping[str, int], targets: Sequence[str], unit: str = UNIT) -> None:
        """contigs: name -> bases, in the order of the genome.  unit: of the effects."""
        self._contigs, self._targets, self._unit = contigs, tuple(targets), unit
        self._numbers = {name: number for number, name in enumerate(contigs)}
        self._places: list[np.ndarray] = [np.empty((0, 2), np.int64)]
        self._effects: list[np.ndarray] = [np.empty((0, len(targets)), np.float32)]
        self._labels: dict[int, str] = {}
        self._count = 0

    def add(self, columns: Sequence[Sequence[Any]], effects: np.ndarray) -> None:
        """Add A alleles: columns of contig, 1-based position, id, REF and ALT; and their effects, float32 (A, T), NaN
        for one that is not scored."""
        scored = np.flatnonzero(~np.isnan(effects[:, 0]))
        if not len(scored):
            return
        contigs, positions, *_ = columns
        rows = scored.tolist()
        self._places.append(np.array([(self._numbers[contigs[row]], positions[row]) for row in rows], np.int64))
        self._effects.append(effects[scored])
        # of each batch the largest, since they may be the largest of all
        for number in np.unique(np.argsort(-np.abs(effects[scored]), axis=0)[:MOST_LABELS]).tolist():
            self._labels[self._count + number] = _allele(*(column[rows[number]] for column in columns[1:]))
        self._count += len(rows)

    def draw(self, path: Path) -> None:
        places, effects = np.concatenate(self._places), np.concatenate(self._effects)
        shown = self._targets[:MOST_PANELS]
        figure, panels = figures.new(WIDTH, EFFECT_HEIGHT * len(shown) + 0.6, len(shown), sharex=True, sharey=True)
        x, contigs = self._axis(panels[-1, 0], places)
        colours = [figures.COLOURS[number % len(figures.COLOURS)] for number in range(len(shown))]
        for panel, target, values, colour in zip(panels[:, 0], shown, effects.T, colours, strict=False):
            panel.axhline(0, color=INK, linewidth=0.6)
            size = float(np.clip(6000 / max(1, len(x)), 4, 18))
            # every second contig is lighter, so that it is seen where one ends
            for odd in (False, True):
                some = contigs % 2 == odd
                panel.scatter(
                    x[some], values[some], size, color=colour, alpha=0.45 if odd else 0.9, linewidths=0, rasterized=True
                )
            panel.set_ylabel(f"effect ({self._unit})", parse_math=False)
            _title_effects(panel, target, len(x))
            panel.tick_params(labelsize=8)
            panel.margins(x=0.02, y=0.14)
            if not len(x):
                panel.text(0.5, 0.5, "no allele is scored", transform=panel.transAxes, ha="center", color="0.5")
        figure.draw_without_rendering()  # sets the scales, which labels need to stay apart
        for panel, target, values in zip(panels[:, 0], shown, effects.T, strict=False):
            largest = sorted(self._labels, key=lambda row: -abs(values[row]))[:MOST_LABELS]
            named = figures.label_points(
                panel, [(float(x[row]), float(values[row]), self._labels[row]) for row in largest]
            )
            _title_effects(panel, target, len(x), named)
        figures.write(figure, path)

    def _axis(self, panel: Axes, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places on the axis and numbers of the contigs, counted from 0, both (A,); contigs follow each other."""
        names = list(self._contigs)
        present, contigs = np.unique(places[:, 0], return_inverse=True)
        if len(present) < 2:
            name = f" on {names[present[0]]}" if len(present) else ""
            panel.set_xlabel(f"position{name} (bases)", parse_math=False)
            figures.thousands(panel)
            return places[:, 1], contigs
        sizes = np.array([self._contigs[names[number]] for number in present])
        starts = np.cumsum(sizes) - sizes
        panel.set_xticks(starts + sizes / 2, [names[number] for number in present], parse_math=False)
        crowded = len(present) > 12 or max(len(names[number]) for number in present) * len(present) > 90
        panel.tick_params("x", length=0, labelrotation=60 if crowded else 0)
        panel.set_xlabel("position, contigs in the order of the genome")
        return starts[contigs] + places[:, 1], contigs


def _title_effects(panel: Axes, target: str, alleles: int, named: int = 0) -> None:
    """named: alleles with a label, the largest effects regardless of the sign."""
    largest = f"; the {named} largest by size are named" if 1 < named < alleles else ""
    text = f"{target}: ALT minus REF of {counted(alleles, 'alleles')}{largest}"
    panel.set_title(text, fontsize=9, loc="left", parse_math=False)


def _allele(position: int, name: str, ref: str, alt: str) -> str:
    """The name of a variant, or what it changes: 1,234 A>T."""
    if name not in ("", vcf.MISSING):
        return name
    ref, alt = (text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 2]}..." for text in (ref, alt))
    return f"{position:,} {ref}>{alt}"
