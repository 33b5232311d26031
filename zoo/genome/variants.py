"""Variants to effects: what the model predicts for each alternative allele, and for the genome without it, in parts.

Each allele has a row, in the order of the file. An allele that cannot be scored, or whose REF differs from the genome,
has a row without numbers; its status says why, and the description counts and names it. With `skip_bad`, records that
cannot be read or whose REF differs are left out instead. The effects are written as a table, or as the VCF itself with
further INFO fields and an index. Axes: A alleles, N windows, T targets.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from zoo.dna.read_options import Ambiguous
from zoo.errors import CheckFailed, ZooError
from zoo.formats import table_writer, vcf
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.names import none_among
from zoo.formats.vcf import BadVariant, Variant
from zoo.genome import effect_files, figures, pvalues, shards
from zoo.genome.alleles import Chunk
from zoo.genome.effects import LEFT_OUT, MEMBERS, NUMBERED, PARTLY, Add, Effects, Report
from zoo.genome.job import GenomeJob, GenomeWork
from zoo.genome.options import VariantOptions
from zoo.genome.shards import Arrays, Progress
from zoo.prediction import background as backgrounds
from zoo.prediction import description
from zoo.prediction.columns import Columns
from zoo.prediction.held_out import HeldOut
from zoo.prediction.run import description_path
from zoo.spec import ModelSpec, check_targets
from zoo.system import pipeline
from zoo.system.atomic import check_target

CHUNK = 2048
"""Variants whose windows are predicted together."""

NUMBERS = ("ref", "alt", "delta", "match", "reasons")
"""Arrays of a part, see Effects. A part of an ensemble also has those of effects.MEMBERS. A part also has `labels`: for
every CHUNK variants, LISTS."""

LISTS = ("columns", "counts", "skipped", "read_as_n", "shifted")


@dataclasses.dataclass(frozen=True)
class VariantsJob(GenomeJob):
    """Which variants of a genome to score; `output` is the table or VCF of the effects."""

    variants: Path = dataclasses.field(kw_only=True)
    options: VariantOptions = dataclasses.field(default_factory=VariantOptions)

    @property
    def ambiguous(self) -> Ambiguous:
        return self.options.ambiguous

    def open(self, genome: IndexedFasta, spec: ModelSpec) -> Scoring:
        return Scoring(self, genome, spec)

    def absolute(self) -> Self:
        paths = {name: getattr(self.options, name) for name in ("figure", "background")}
        options = dataclasses.replace(self.options, **{name: path and path.absolute() for name, path in paths.items()})
        return dataclasses.replace(super().absolute(), variants=self.variants.absolute(), options=options)

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        return *super().inputs, self.variants, self.options.background

    def outputs(self, spec: ModelSpec) -> list[Path]:
        self.options.check(spec.sequence_length)
        vcf.check(self.variants)
        output = self.output
        if output.suffix.lower() == ".bcf":
            raise ZooError(f"{output}: expected an output in VCF, such as {output.with_suffix('.vcf.gz')}, or a table")
        if not vcf.is_vcf_output(output):
            table_writer.check_name(output)
        else:
            if not vcf.is_vcf(self.variants):
                raise ZooError(f"{output}: a table of variants has no VCF header; give an output such as .tsv")
            for index in effect_files.indices(output):
                if index.is_dir():
                    check_target(index)
            effect_files.check_fields(output, spec.targets, self.options.prefix)
        if self.options.prefix != VariantOptions.prefix and not vcf.is_vcf_output(output):
            raise ZooError(f"--prefix: names the INFO fields of a VCF output, and {output} is a table")
        figure = self.options.figure
        return [description_path(output), *([figure] if figure else []), output]


class Scoring(GenomeWork):
    """The variants of a VariantsJob, in parts. Parts that are done in order read the file once."""

    NAME = "variants"

    def __init__(
        self, job: VariantsJob, genome: IndexedFasta, spec: ModelSpec, held_out: HeldOut | None = None
    ) -> None:
        """held_out: which members predict, of weights that `model_source` does not name."""
        super().__init__(genome, spec)
        self.job = job
        self._reading: Iterator[Variant | BadVariant] = iter(())
        self._read = -1
        self._source: vcf.Records | None = None
        self.background = backgrounds.opened(job.options.background, spec, job.model_source.rc)
        held_out = held_out or job.model_source.held_out(spec, job.options.held_out)
        self.columns = Columns(spec, self.background, held_out=held_out)
        self._of_members = MEMBERS if self.columns.has_spread else {}
        if self.background is not None:
            pvalues.check(self.background, job.options)
        self.beside = {**self._of_members, **pvalues.columns_of(self.background)}
        check_targets(effect_files.number_columns(spec.targets, list(self.beside)))

    @cached_property
    def _digest_and_count(self) -> tuple[str, int]:
        return vcf.digest_and_count(self.job.variants)

    @cached_property
    def sizes(self) -> list[int]:
        (_, count), size = self._digest_and_count, self.job.sharing.part_size
        if not count:
            records = vcf.Records(self.job.variants)
            next(iter(records), None)  # raises for a file that is not as expected
            found = none_among(len(records.header), "header")
            raise ZooError(f"{self.job.variants}: expected variants, {found}")
        return [min(size, count - first) for first in range(0, count, size)]

    def identity(self) -> dict[str, Any]:
        options = self.job.options
        return {
            "variants sha256": self._digest_and_count[0],
            "shifts": list(options.shifts),
            "flank": options.flank,
            "skip_bad": options.skip_bad,
            **({"held_out": self.columns.held_out.identity()} if self.columns.held_out else {}),
        }

    def check(self) -> None:
        """Read the header of a VCF that is to be annotated."""
        if vcf.is_vcf_output(self.job.output):
            self._source = vcf.Records(self.job.variants, keep_lines=True, skip_bad=True)
            self._source.check_new(effect_files.info_fields(self.spec, self.job.options, self.beside))

    def compute(self, part: int, on_progress: Progress) -> Arrays:
        """See NUMBERS."""
        found: list[Effects] = []
        self._score(part, on_progress, found.append)
        arrays = {name: np.concatenate([getattr(one, name) for one in found]) for name in NUMBERS}
        arrays |= {name: np.concatenate([one.beside[name] for one in found]) for name in self._of_members}
        packed = [shards.pack([getattr(one, name) for name in LISTS]) for one in found]
        return arrays | {"labels": np.concatenate(packed)}

    def _score(self, part: int, on_progress: Progress, add: Add) -> None:
        """Predict the variants of a part, in order."""

        def work(chunk: tuple[Effects, np.ndarray, np.ndarray]) -> tuple[Effects, np.ndarray, Future[np.ndarray]]:
            effects, windows, places = chunk
            submitted = self.model.each.submit(windows, self._used(effects, places, len(windows)))
            on_progress(len(effects.counts))
            return effects, places, submitted

        def finish(result: tuple[Effects, np.ndarray, Future[np.ndarray]]) -> None:
            effects, places, submitted = result
            predicted = submitted.result()
            if self.columns.held_out is None and not np.isfinite(predicted).all():
                raise CheckFailed(f"{self.job.variants}: the model gave an output that is not finite")
            ref, alt = (self._means(predicted, first) for first in places)
            effects.predicted(ref, alt, self.columns, self.columns.used(effects.columns[0]))
            add(effects)

        pipeline.run(self._chunks(part), work, finish)

    def _used(self, effects: Effects, places: np.ndarray, windows: int) -> np.ndarray | None:
        """Which members predict each window, bool (N, M); None for all. places: see `_chunk`."""
        of_alleles = self.columns.used(effects.columns[0])
        if of_alleles is None:
            return None
        used = np.zeros((windows, of_alleles.shape[1]), bool)
        for first in places:
            scored = first >= 0
            shifts = np.arange(len(self.job.options.shifts))
            used[first[scored, None] + shifts] = of_alleles[scored, None]
        return used

    def _means(self, predicted: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Numbers of windows, float32 (N, M * T), and the first window of each allele, intp (A,), or -1 -> those of the
        alleles, (A, M * T)."""
        scored = first >= 0
        shifts = np.arange(len(self.job.options.shifts))
        values = np.full((len(first), predicted.shape[1]), np.nan, np.float32)
        values[scored] = predicted[first[scored, None] + shifts].mean(axis=1, dtype=np.float64)
        return values

    def _chunks(self, part: int) -> Iterator[tuple[Effects, np.ndarray, np.ndarray]]:
        size = self.job.sharing.part_size
        variants = itertools.islice(self._from(part * size), size)
        while chunk := list(itertools.islice(variants, CHUNK)):
            yield self._chunk(chunk)

    def _from(self, first: int) -> Iterator[Variant | BadVariant]:
        """The variants from number `first` on."""
        if self._read < 0 or self._read > first:
            self._reading, self._read = iter(vcf.Records(self.job.variants, skip_bad=True)), 0
        for variant in self._reading:
            self._read += 1
            if self._read > first:
                yield variant

    def _chunk(self, variants: list[Variant | BadVariant]) -> tuple[Effects, np.ndarray, np.ndarray]:
        """Effects without predictions; windows to predict, uint8 (N, L); and, intp (2, A), the first windows of each
        allele's reference and of its own, -1 where it is not scored."""
        found = Chunk(self.genome, self.spec.sequence_length, self.job.options)
        for variant in variants:
            found.add(variant)
        return found.effects([variant.line for variant in variants])

    def in_memory(self, variants: Iterable[Variant | BadVariant]) -> tuple[list[Effects], Report]:
        """The effects of some variants, and their counts. Raises ZooError as `compute` and `write` do."""
        report, found = Report(), list[Effects]()
        self.score(variants, lambda _: None, lambda effects: found.append(report.add(effects)))
        report.check(self.job.variants, self.job.genome)
        if self.background:
            ranks = pvalues.Ranks(self.background, self.genome)
            for effects, beside in zip(found, ranks.columns(found), strict=True):
                effects.beside |= beside
            report.kinds_without_p = ranks.without
        return found, report

    def score(self, variants: Iterable[Variant | BadVariant], on_progress: Progress, add: Add) -> None:
        """Predict some variants, not more than a part holds, in place of those of the file."""
        self._reading, self._read = iter(variants), 0
        self._score(0, on_progress, add)

    def run(self, on_progress: Progress, files: Mapping[Path, Path]) -> dict[str, Any]:
        """Compute and write a run of one part: the effects are written while further ones are computed, but not with a
        background, since q needs all of them."""
        if self.background:
            return super().run(on_progress, files)
        if self._source:
            self._reading, self._read = iter(self._source), 0
        return self._write(lambda add: self._score(0, on_progress, add), files)

    def write(self, parts: Iterable[Arrays], files: Mapping[Path, Path]) -> dict[str, Any]:
        lines = (variant.line for variant in self._source or ())
        ranks = pvalues.Ranks(self.background, self.genome) if self.background else None

        def join(add: Add) -> None:
            columns = iter(ranks.columns(_stored(parts)) if ranks else ())
            for effects in _stored(parts):
                effects.lines = list(itertools.islice(lines, len(effects.counts))) if self._source else effects.lines
                effects.beside |= next(columns, {})
                add(effects)

        written = self._write(join, files)
        return written | ({"kinds_without_p": ranks.without} if ranks else {})

    def _write(self, effects: Callable[[Add], None], files: Mapping[Path, Path]) -> dict[str, Any]:
        """Write the output. effects: calls its argument with the effects of all variants, in order.

        Raises ZooError if REF differs from the genome for every allele: it must be another genome.
        """
        job, source, file, index = self.job, self._source, files[self.job.output], None
        figure = job.options.figure
        plot = figures.EffectPlot(self.genome.contigs, self.spec.targets, self.spec.unit) if figure else None
        report = Report(plot)
        if source is None:
            with effect_files.table(job.output, self.spec.targets, file, list(self.beside)) as add:
                effects(lambda some: add(report.add(some)))
        else:
            fields, targets, prefix = (
                effect_files.info_fields(self.spec, self.job.options, self.beside),
                self.spec.targets,
                job.options.prefix,
            )
            with vcf.Annotated(source, file, vcf.is_compressed_output(job.output), fields) as annotated:
                effects(
                    lambda some: annotated.write(
                        some.kept_lines, effect_files.fields_of_records(report.add(some), targets, prefix)
                    )
                )
            index = annotated.index(max(self.genome.contigs.values()))
        if report.variants != sum(self.sizes):
            raise ZooError(
                f"{job.variants}: had {sum(self.sizes):,} variants when they were counted and {report.variants:,} when "
                "they were predicted; wait until it is written"
            )
        report.check(job.variants, job.genome)
        if plot is not None and figure is not None:
            plot.draw(files[figure])
        effect_files.put_index(job.output, index)
        return {
            "variants": {"file": str(job.variants), "sha256": self._digest_and_count[0]},
            **dataclasses.asdict(job.options),
            "figure": figure and str(figure),
            **self.columns.entry(),
            "counts": report.counts,
            "not_scored": {kind: names for kind, names in report.named.items() if kind not in NUMBERED},
            PARTLY: report.named.get(PARTLY, []),
            "skipped": report.skipped,
            "read_as_n": report.read_as_n,
            "shift": report.shift(),
            "index": index.suffix if index else None,
            "table": description.facts(file),
        }


def _stored(parts: Iterable[Arrays]) -> Iterator[Effects]:
    """The effects in finished parts, in order, with empty lines."""
    for arrays in parts:
        done = 0
        for lists in shards.unpack(arrays["labels"]):
            named = dict(zip(LISTS, lists, strict=True))
            counts = named["counts"]
            here = slice(done, done + sum(count for count in counts if count != LEFT_OUT))
            numbers: dict[str, Any] = {name: arrays[name][here] for name in NUMBERS}
            beside = {name: arrays[name][here] for name in MEMBERS if name in arrays}
            yield Effects(**named, **numbers, beside=beside, lines=[""] * len(counts))
            done = here.stop
