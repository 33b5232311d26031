"""A long run over a genome: what scan.py and variants.py share, from the options to the files at the end.

The parts of a run are done by this process, by shards or by Ray (shards.py). A kind of run defines its parts, and how
the files are written from them.
"""

from __future__ import annotations

import abc
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import zoo
from zoo.errors import ZooError
from zoo.formats.indexed_fasta import INDEX, IndexedFasta
from zoo.genome import shards
from zoo.genome.options import ShardOptions
from zoo.genome.shards import Arrays, Parts, Progress, Workers
from zoo.prediction import description
from zoo.prediction.model import Model, ModelSource
from zoo.spec import ModelSpec
from zoo.system.atomic import check_target, replacing_together

GENOME_DIGEST = "genome sha256"
"""Key of the genome's digest in the identity of a run."""


@dataclasses.dataclass(frozen=True)
class GenomeJob(abc.ABC):
    """A run over a genome: its inputs, model, parts and outputs; a Task of shards.py.

    command: what the user typed, for the description.
    """

    genome: Path
    output: Path
    loading: ModelSource = dataclasses.field(default_factory=ModelSource, kw_only=True)
    sharing: ShardOptions = dataclasses.field(default_factory=ShardOptions, kw_only=True)
    overwrite: bool = dataclasses.field(default=False, kw_only=True)
    command: str = dataclasses.field(default="", kw_only=True)

    @abc.abstractmethod
    def outputs(self, spec: ModelSpec) -> list[Path]:
        """The files to write, the description first. Raises ZooError for options that do not fit the model, and for a
        kind of file that cannot be written."""

    @abc.abstractmethod
    def open(self, genome: IndexedFasta, spec: ModelSpec, model: Model | None = None) -> GenomeWork:
        """The parts of the job; without a model, they can be joined but not computed. Raises ZooError for bad input."""

    def start(self, threads: int | None = None) -> GenomeWork:
        model = self.loading.load(threads)
        model.settle()
        return self.open(IndexedFasta(self.genome), model.spec, model)

    def absolute(self) -> Self:
        genome, output = self.genome.absolute(), self.output.absolute()
        return dataclasses.replace(self, genome=genome, output=output, loading=self.loading.absolute())

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        """Files that are read, and never replaced."""
        return self.genome, self.genome.with_name(self.genome.name + INDEX), self.loading.file


class GenomeWork(abc.ABC):
    """A job in parts; a Work of shards.py."""

    NAME: ClassVar[str]

    def __init__(self, genome: IndexedFasta, spec: ModelSpec, model: Model | None) -> None:
        self.genome, self.spec, self._model = genome, spec, model

    @property
    def model(self) -> Model:
        if self._model is None:
            raise RuntimeError("parts are joined without a model, but computed with one")
        return self._model

    @property
    def runtime(self) -> str:
        return self.model.runtime

    @property
    @abc.abstractmethod
    def sizes(self) -> Sequence[int]:
        """Windows or variants of each part."""

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """What decides the numbers, other than the model, the genome and the size of parts."""

    @abc.abstractmethod
    def compute(self, part: int, on_progress: Progress) -> Arrays: ...

    @abc.abstractmethod
    def write(self, parts: Iterator[Arrays], files: Mapping[Path, Path]) -> dict[str, Any]:
        """Write the outputs. files: each output -> its temporary file. Returns their entries in the description."""


def run_job(
    job: GenomeJob, on_progress: Callable[[int, int], None] = lambda *_: None, workers: Workers = shards.alone
) -> dict[str, Any]:
    """Do a job, or its shard. Returns the description of the whole run, or of a shard, with the entry `shard`.

    on_progress: called with the number of windows or variants done, and to do.  workers: who computes, see shards.py.
    Raises ZooError if an input is invalid, the output cannot be written, or parts are missing.
    """
    spec, sharing = job.loading.spec(), job.sharing
    folder = shards.folder_of(job.output)
    # with --resume, outputs beside a folder of parts are those of the same run
    replaced = job.overwrite or (sharing.resume and folder.is_dir())
    outputs = dict.fromkeys(job.outputs(spec), replaced)
    for path in outputs:
        check_target(path, replaced, job.inputs)
    with IndexedFasta(job.genome) as genome:
        work = job.open(genome, spec)
        parts = Parts(folder, _identity(job, work), len(work.sizes))
        if sharing.merge:
            parts.check_run()
        else:
            _compute(job, work, parts, workers, on_progress)
        if sharing.shard is not None:
            return {"shard": sharing.shard, "parts": parts.count, "missing": len(parts.missing())}
        parts.check_complete()
        with replacing_together(outputs, job.inputs) as (described_file, *files):
            described = {
                "command": job.command,
                "version": zoo.__version__,
                "runtime": ", ".join(parts.runtimes()),
                "weights": description.of_weights(spec),
                "genome": {"file": str(job.genome), "sha256": parts.identity[GENOME_DIGEST]},
                "rc": job.loading.rc,
                "sequence_length": spec.sequence_length,
                "targets": list(spec.targets),
                **work.write(map(parts.read, range(parts.count)), dict(zip(list(outputs)[1:], files, strict=True))),
            }
            described_file.write_text(json.dumps(described, indent=2) + "\n")
    parts.remove()
    return described


def _identity(job: GenomeJob, work: GenomeWork) -> dict[str, Any]:
    return {
        "command": work.NAME,
        "weights": work.spec.weights_id,
        "targets": list(work.spec.targets),
        GENOME_DIGEST: work.genome.digest(),
        **work.identity(),
        "rc": job.loading.rc,
        "precision": job.loading.running.precision,
        "part_size": job.sharing.part_size,
    }


def _compute(
    job: GenomeJob, work: GenomeWork, parts: Parts, workers: Workers, on_progress: Callable[[int, int], None]
) -> None:
    """Do the parts of the shard, or all, that are not done yet."""
    shared = job.sharing.shard is not None
    in_memory = parts.count == 1 and not shared and not (parts.folder.exists() or parts.folder.is_symlink())
    if not in_memory:
        parts.begin(job.sharing.resume or shared, job.overwrite)
    number, count = job.sharing.share()
    wanted = [part for part in range(number, parts.count, count) if in_memory or not parts.has(part)]
    total, done = sum(work.sizes[part] for part in wanted), 0

    def on_done(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total)

    try:
        for part, arrays, runtime in workers(job, wanted, on_done):
            if in_memory:
                parts.keep(arrays, runtime)
            else:
                parts.write(part, arrays, runtime)
    except ZooError:
        if not (in_memory or shared) and len(parts.missing()) == parts.count:  # nothing to resume
            parts.remove()
        raise
