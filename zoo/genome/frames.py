"""Intervals and variants of a genome from Python: the tables of `zoo predict --bed` and `zoo variants` as DataFrames.

What the commands print as notes are ZooWarnings here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.dna.read_options import Ambiguous, ReadOptions
from zoo.errors import ZooError, ZooWarning, counted
from zoo.formats import bed, vcf
from zoo.formats.bed import BadInterval, Interval
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.names import listed
from zoo.formats.positions import position
from zoo.formats.vcf import BadVariant, Variant
from zoo.genome import effect_files
from zoo.genome import variants as scoring
from zoo.genome.effects import AFTER, LABELS, MISMATCH
from zoo.genome.intervals import IntervalJob
from zoo.genome.options import MOST_PART_SIZE, IntervalOptions, ShardOptions, SummaryOptions, VariantOptions
from zoo.options import made
from zoo.prediction.columns import opened as columns_of
from zoo.prediction.model import Model, ModelSource, data_frame, loaded_model
from zoo.prediction.options import COVERAGE, calibrated_by
from zoo.prediction.run import chunk_of
from zoo.weights.ensembles import Weights

SHOWN = 3
"""Names in a warning."""


def predict_intervals(
    intervals: str | Path | Iterable[str | Sequence[Any]],
    genome: str | Path,
    model: Weights | Model | None = None,
    weights: Weights | None = None,
    *,
    summary: str = "center",
    stride: int = 1,
    skip_bad: bool = False,
    ambiguous: Ambiguous = "n",
    background: str | Path | None = None,
    calibration: str | Path | None = None,
    coverage: float = COVERAGE,
    held_out: bool = False,
    **options: Any,
) -> Any:
    """Predict intervals of a genome: a DataFrame with the columns of `zoo predict --bed`, a row for each interval.

    intervals: a BED or narrowPeak file; or a list of regions such as "chr2L:100,001-100,249" or "chr2L:5-", 1-based and
        inclusive, or of rows such as ("chr2L", 100000, 100249) with the columns of BED, 0-based with an exclusive end.
    genome: FASTA, plain or compressed with bgzip.
    model, weights, options: as for zoo.predict.
    summary: for intervals that are longer than the model: "center" predicts the window around the middle or summit,
        "max" and "mean" all windows, `stride` bases apart. With "max", columns such as position_dev have the 0-based
        centre of the window with the maximum.
    skip_bad: skip invalid intervals.
    ambiguous: "n" reads letters of the genome other than ACGTN as N, "refuse" refuses them.
    background, calibration, coverage: as for zoo.predict.
    held_out: predict each interval only by the members of an ensemble whose training held out its chromosome.

    Gives a ZooWarning for intervals that are skipped, or longer than the model with "center", and for letters that are
    read as N. Without pandas: a dict of column -> list or array. Raises ZooError as the command does.
    """
    loaded = loaded_model(model, weights, options)
    is_file = isinstance(intervals, str | Path)
    of_chromosomes = loaded.held_out(held_out)
    calibrated = calibrated_by(calibration, coverage)
    shown = columns_of(loaded.spec, loaded.rc, background, calibrated, of_chromosomes)
    chosen = IntervalOptions(Path(intervals) if is_file else None, None, Path(genome), skip_bad)  # type: ignore[arg-type]
    summarizing, reading = SummaryOptions(summary, stride), ReadOptions(ambiguous=ambiguous)  # type: ignore[arg-type]
    rows = [] if isinstance(intervals, str | Path) else list(intervals)
    job = IntervalJob(
        (),
        reading=reading,
        background=None if background is None else Path(background),
        calibrated=calibrated,
        held_out=of_chromosomes,
        intervals=chosen,
        summarizing=summarizing,
        found=None if is_file else lambda contigs: _intervals(rows, contigs),
    )
    records = job.records(loaded.spec.sequence_length, chunk_of(loaded))
    labels: list[list[Any]] = [[] for _ in job.LABELS]
    after: list[list[Any]] = [[] for _ in job.after(loaded.spec.targets)]
    values = []
    for batch, codes in records:
        numbers, more, used = job.submit(loaded, batch, codes).result()
        values.append(shown.of(numbers, used))
        for columns, found in ((labels, batch), (after, more)):
            for column, part in zip(columns, found, strict=True):
                column.extend(part)
    counts, described = records.counts, records.described()
    _warn("intervals", "skipped", counts.skipped, described["skipped"])
    _warn("letters", "of the genome read as N", counts.ambiguous_letters, described["read_as_n"])
    if counts.longer_than_the_model and summary == "center":
        _warn(
            "intervals",
            'longer than the model; see the argument summary: "max" or "mean"',
            counts.longer_than_the_model,
        )
    return data_frame(
        dict(zip(job.LABELS, labels, strict=True))
        | dict(zip(shown.names, np.concatenate(values).T, strict=True))
        | dict(zip(job.after(loaded.spec.targets), after, strict=True))
    )


def variant_effects(
    variants: str | Path | Iterable[Sequence[Any]],
    genome: str | Path,
    model: Weights | Model | None = None,
    weights: Weights | None = None,
    *,
    shifts: Sequence[int] = (0,),
    flank: str = "left",
    skip_bad: bool = False,
    ambiguous: Ambiguous = "n",
    background: str | Path | None = None,
    held_out: bool = False,
    **options: Any,
) -> Any:
    """Effects of variants: a DataFrame with the columns of `zoo variants`, a row for each alternative allele.

    variants: VCF, BCF or a table with the columns chrom, pos, ref and alt; or a list of rows such as
        ("chr2L", 5000, "A", "G"), with a 1-based position, and an identifier as the fifth cell or none.
    genome, model, weights, options: as for predict_intervals.
    shifts: predict the mean over windows moved by these numbers of bases.
    flank: "left" or "right", the flank of an indel that keeps its place in the window.
    background: file of `zoo background`; gives columns such as dev_active_percentile, and dev_p and dev_q if it has
        random variants.
    held_out: score each variant only by the members of an ensemble whose training held out its chromosome.
    skip_bad: leave out variants that are invalid or whose REF differs from the genome.
    ambiguous: as for predict_intervals.

    An allele that is not scored has NaN; `status` says why. Gives a ZooWarning for variants that are left out or whose
    REF differs, and for letters that are read as N. Without pandas: a dict of column -> list or array.
    Raises ZooError as the command does.
    """
    loaded = loaded_model(model, weights, options)
    compared = {"shifts": tuple(shifts), "flank": flank, "skip_bad": skip_bad, "ambiguous": ambiguous}
    compared |= {"held_out": held_out}
    chosen = made(VariantOptions, compared | {"background": None if background is None else Path(background)})
    chosen.check(loaded.spec.sequence_length)
    path = Path(variants) if isinstance(variants, str | Path) else Path("variants")
    given = vcf.Records(path, skip_bad=True) if isinstance(variants, str | Path) else _variants(variants)
    sharing = ShardOptions(part_size=MOST_PART_SIZE)
    job = scoring.VariantsJob(
        Path(genome),
        Path("effects"),
        chosen,
        variants=path,
        sharing=sharing,
        model_source=ModelSource(rc=loaded.rc),  # type: ignore[arg-type]
    )
    with IndexedFasta(genome, chosen.ambiguous) as opened:
        work = scoring.Scoring(job, opened, loaded.spec, loaded.held_out(held_out))
        work.model = loaded
        found, report = work.in_memory(given)
    columns = effect_files.number_columns(loaded.spec.targets, list(work.beside))
    names = [*LABELS, *columns, *AFTER]
    if not report.variants:
        raise ZooError(f"{path}: expected variants, found none")
    _warn("variants", "left out", report.counts["skipped"], report.skipped)
    _warn(
        "alleles",
        "with another REF than the genome",
        report.counts[MISMATCH],
        report.named.get(MISMATCH, []),
    )
    _warn("letters", "of the genome read as N", report.counts["ambiguous_letters"], report.read_as_n)
    without = report.kinds_without_p
    _warn("alleles", "without a p-value: the background lacks their kind", sum(without.values()), list(without))
    if shift := report.shift():
        warnings.warn(ZooWarning(shift), stacklevel=2)
    parts = [effect_files.rows(effects) for effects in found]
    labels = [[cell for part, _, _ in parts for cell in part[column]] for column in range(len(LABELS))]
    after = [[cell for _, _, part in parts for cell in part[column]] for column in range(len(AFTER))]
    return data_frame(
        dict(zip(names, [*labels, *np.concatenate([part for _, part, _ in parts]).T, *after], strict=True))
    )


def _intervals(rows: Sequence[str | Sequence[Any]], contigs: Mapping[str, int]) -> Iterator[Interval | BadInterval]:
    if not rows:
        raise ZooError("intervals: expected at least one, got an empty list")
    for number, row in enumerate(rows):
        if isinstance(row, str):
            yield bed.region(row, contigs)
        else:
            yield bed.row(row, f"intervals[{number}]")


def _variants(rows: Iterable[Sequence[Any]]) -> Iterator[Variant | BadVariant]:
    for number, row in enumerate(rows):
        where = f"variants[{number}]"
        if isinstance(row, str) or not 4 <= len(row) <= 5:
            raise ZooError(f"{where}: expected chrom, pos, ref, alt and perhaps an identifier, got {row!r}")
        contig, place, ref, alts, *name = map(str, row)
        try:
            start = position(place, "pos", 1) - 1
        except ValueError as error:
            yield BadVariant(where, str(error))
            continue
        yield Variant(contig, start, name[0] if name else vcf.MISSING, ref, tuple(alts.split(",")), where)


def _warn(things: str, what: str, count: int, names: Sequence[str] = ()) -> None:
    if count:
        which = f": {listed(list(names), SHOWN)}" if names else ""
        warnings.warn(ZooWarning(f"{counted(count, things)} {what}{which}"), stacklevel=3)
