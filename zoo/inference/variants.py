"""Variants to effects: what the model says of each alternative allele, and of the genome without it, in parts.

One row an allele, in the order of the file. An allele that cannot be scored, and one whose REF the genome does not
have, has a row without numbers, and is counted and named.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import CheckFailed, ZooError
from zoo.formats import vcf
from zoo.formats.indexed_fasta import INDEX, IndexedFasta
from zoo.formats.vcf import Variant
from zoo.inference import effect_files, haplotypes, shards
from zoo.inference.genome_options import ShardOptions, VariantOptions
from zoo.inference.haplotypes import REASONS, Placements
from zoo.inference.loading import Loading
from zoo.inference.predict import Model
from zoo.inference.shards import Arrays, Parts, Progress, Workers
from zoo.spec import ModelSpec
from zoo.system import digests, pipeline
from zoo.system.atomic import check_target

CHUNK = 2048
"""Variants whose windows are predicted together."""


@dataclasses.dataclass(frozen=True)
class Job:
    """Which variants to score, by which model and how, and where the effects go; a Task of shards.py.

    command: what the user typed, for the description.
    """

    variants: Path
    genome: Path
    output: Path
    options: VariantOptions = dataclasses.field(default_factory=VariantOptions)
    loading: Loading = dataclasses.field(default_factory=Loading)
    sharing: ShardOptions = dataclasses.field(default_factory=ShardOptions)
    overwrite: bool = False
    command: str = ""

    def start(self, threads: int | None = None) -> Scoring:
        model = self.loading.load(threads)
        return Scoring(IndexedFasta(self.genome), model, self)

    def absolute(self) -> Job:
        paths = {name: getattr(self, name).absolute() for name in ("variants", "genome", "output")}
        return dataclasses.replace(self, **paths, loading=self.loading.absolute())

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        return self.variants, self.genome, self.genome.with_name(self.genome.name + INDEX), self.loading.file

    def check(self, spec: ModelSpec, replaced: bool = False) -> dict[Path, bool]:
        """Each output -> whether one that exists may be replaced. Raises ZooError if it could not be written, or if the
        options do not fit. replaced: what is there was left by this run."""
        self.sharing.check()
        self.options.check(spec.sequence_length)
        vcf.check(self.variants)
        outputs = dict.fromkeys(effect_files.outputs(self.output, self.variants), self.overwrite or replaced)
        for path, overwrite in outputs.items():
            check_target(path, overwrite, self.inputs)
        return outputs

    def identity(self, spec: ModelSpec, genome: IndexedFasta) -> dict[str, Any]:
        """What decides the effects."""
        return {
            "command": "variants",
            "weights": spec.weights_id,
            "targets": list(spec.targets),
            "genome sha256": genome.digest(),
            "variants sha256": digests.sha256(self.variants),
            "shifts": list(self.options.shifts),
            "rc": self.loading.rc,
            "precision": self.loading.running.precision,
            "part_size": self.sharing.part_size,
        }


@dataclasses.dataclass
class _Chunk:
    """Windows of some variants. windows: uint8 (N, L).  ref_at, alt_at: the first window of each allele's reference and
    of its own, intp (A,), the latter -1 where it is not scored."""

    variants: int
    windows: np.ndarray
    ref_at: np.ndarray
    alt_at: np.ndarray
    match: np.ndarray
    reasons: np.ndarray


class Scoring:
    """The variants of a Job, in parts: a Work of shards.py. Parts that are done in order read the file once."""

    def __init__(self, genome: IndexedFasta, model: Model, job: Job) -> None:
        self.runtime = model.runtime
        self._model = model
        self._genome = genome
        self._job = job
        self._placements = Placements(model.spec.sequence_length, job.options.shifts)
        self._reading: Iterator[Variant] = iter(())
        self._read = -1

    def compute(self, part: int, on_progress: Progress) -> Arrays:
        """ref, alt: float32 (A, T), NaN where not scored.  match, reasons: uint8 (A,), the latter places in REASONS."""
        found: list[Arrays] = []

        def work(chunk: _Chunk) -> tuple[_Chunk, Future[np.ndarray]]:
            submitted = self._model.submit_codes(chunk.windows)
            on_progress(chunk.variants)
            return chunk, submitted

        def keep(result: tuple[_Chunk, Future[np.ndarray]]) -> None:
            found.append(self._effects(result[0], result[1].result()))

        pipeline.run(self._chunks(part), work, keep)
        names = ("ref", "alt", "match", "reasons")
        return {name: np.concatenate([one[name] for one in found]) for name in names}

    def _effects(self, chunk: _Chunk, predicted: np.ndarray) -> Arrays:
        """Predictions of a chunk's windows, float32 (N, T), to those of its alleles."""
        if not np.isfinite(predicted).all():
            raise CheckFailed(f"{self._job.variants}: an output of the model came out as no finite number")
        scored = chunk.alt_at >= 0
        arrays: Arrays = {"match": chunk.match, "reasons": chunk.reasons}
        for name, places in (("ref", chunk.ref_at), ("alt", chunk.alt_at)):
            values = np.full((len(places), predicted.shape[1]), np.nan, np.float32)
            shifts = np.arange(len(self._placements.shifts))
            values[scored] = predicted[places[scored, None] + shifts].mean(axis=1, dtype=np.float64)
            arrays[name] = values
        return arrays

    def _chunks(self, part: int) -> Iterator[_Chunk]:
        size = self._job.sharing.part_size
        variants = itertools.islice(self._from(part * size), size)
        while several := list(itertools.islice(variants, CHUNK)):
            yield self._chunk(several)

    def _from(self, first: int) -> Iterator[Variant]:
        """The variants from number `first` on."""
        if self._read < 0 or self._read > first:
            self._reading, self._read = vcf.read(self._job.variants), 0
        for variant in self._reading:
            self._read += 1
            if self._read > first:
                yield variant

    def _chunk(self, variants: list[Variant]) -> _Chunk:
        windows: list[np.ndarray] = []
        rows: list[tuple[int, int, bool, int]] = []
        references: dict[tuple[str, int], int] = {}
        for variant in variants:
            if variant.contig not in self._genome.contigs:
                raise ZooError(f"{self._job.variants}: {self._genome.unknown_contig(variant.contig)}")
            match = haplotypes.genome_has(self._genome, variant)
            for alt in variant.alts:
                reason = haplotypes.reason(alt, variant.ref, self._placements.length)
                ref_at = alt_at = -1
                if match and reason == haplotypes.SCORED:
                    place = variant.contig, variant.position
                    if place not in references:
                        references[place] = len(windows)
                        windows += self._placements.reference(self._genome, variant)
                    ref_at, alt_at = references[place], len(windows)
                    windows += self._placements.alternative(self._genome, variant, alt)
                rows.append((ref_at, alt_at, match, REASONS.index(reason)))
        length = self._placements.length
        codes = np.stack(windows) if windows else np.empty((0, length), np.uint8)
        table = np.array(rows, np.intp).reshape(-1, 4)
        return _Chunk(
            len(variants), codes, table[:, 0], table[:, 1], table[:, 2].astype(np.uint8), table[:, 3].astype(np.uint8)
        )


def run(job: Job, on_progress: shards.Shown = shards.silent, workers: Workers = shards.alone) -> dict[str, Any]:
    """Do a Job, or its share of it. Returns the description: of the whole run, or of a shard, with `shard` in it.

    on_progress: called with the variants done so far and those there are to do.  workers: who computes, see shards.py.
    Raises ZooError if an input is not as it should be, the output cannot be written, or parts are missing.
    """
    spec = job.loading.spec()
    folder = shards.folder_of(job.output)
    outputs = job.check(spec, replaced=job.sharing.resume and folder.is_dir())
    with IndexedFasta(job.genome) as genome:
        identity, longest = job.identity(spec, genome), max(genome.contigs.values())
    count = vcf.count(job.variants)
    if not count:
        raise ZooError(f"{job.variants}: expected variants, found none; the file is empty")
    size = job.sharing.part_size
    sizes = [min(size, count - first) for first in range(0, count, size)]
    parts = Parts(folder, identity, len(sizes))
    if not shards.done(job, parts, sizes, job.sharing, job.overwrite, workers, on_progress):
        return {"shard": job.sharing.shard, "parts": parts.count, "missing": len(parts.missing())}
    described = effect_files.join(job, spec, parts, outputs, longest)
    parts.remove()
    return described
