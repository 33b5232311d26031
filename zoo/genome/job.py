"""A long run over a genome: what scan.py and variants.py share, from the options to the files at the end.

The parts of a run are done by this process, by shards or by Ray (shards.py). A kind of run defines its parts, and how
the files are written from them.
"""

from __future__ import annotations

import abc
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import zoo
from zoo.dna.read_options import Ambiguous
from zoo.errors import BadInput, ZooError
from zoo.formats.indexed_fasta import INDEX, IndexedFasta
from zoo.genome import shards
from zoo.genome.options import ShardOptions
from zoo.genome.shards import Arrays, Compute, Parts, Progress, Workers
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
    model_source: ModelSource = dataclasses.field(default_factory=ModelSource, kw_only=True)
    sharing: ShardOptions = dataclasses.field(default_factory=ShardOptions, kw_only=True)
    overwrite: bool = dataclasses.field(default=False, kw_only=True)
    command: str = dataclasses.field(default="", kw_only=True)

    @abc.abstractmethod
    def outputs(self, spec: ModelSpec) -> list[Path]:
        """The files to write, the description first. Raises ZooError for options that do not fit the model, and for a
        kind of file that cannot be written."""

    @property
    @abc.abstractmethod
    def ambiguous(self) -> Ambiguous:
        """What is done with letters of the genome other than ACGTN."""

    @abc.abstractmethod
    def open(self, genome: IndexedFasta, spec: ModelSpec) -> GenomeWork:
        """The parts of the job. Raises ZooError for bad input."""

    def start(self, threads: int | None = None) -> Compute:
        model = self.model_source.load(threads, settled=True)
        work = self.open(IndexedFasta(self.genome, self.ambiguous), model.spec)
        work.model = model
        return lambda part, on_progress: (work.compute(part, on_progress), model.runtime)

    def absolute(self) -> Self:
        genome, output = self.genome.absolute(), self.output.absolute()
        return dataclasses.replace(self, genome=genome, output=output, model_source=self.model_source.absolute())

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        """Files that are read, and never replaced."""
        return self.genome, self.genome.with_name(self.genome.name + INDEX), *self.model_source.files


class GenomeWork(abc.ABC):
    """The parts of a job. model: set before parts are computed; parts are joined without it."""

    NAME: ClassVar[str]
    model: Model

    def __init__(self, genome: IndexedFasta, spec: ModelSpec) -> None:
        self.genome, self.spec = genome, spec

    @property
    @abc.abstractmethod
    def sizes(self) -> Sequence[int]:
        """Windows or variants of each part."""

    def check(self) -> None:
        """Raise ZooError for bad input that can be found before anything is computed or written."""
        return

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """What decides the numbers, other than the model, the genome and the size of parts."""

    @abc.abstractmethod
    def compute(self, part: int, on_progress: Progress) -> Arrays:
        """The numbers of a part, regardless of what was computed before."""

    @abc.abstractmethod
    def write(self, parts: Iterable[Arrays], files: Mapping[Path, Path]) -> dict[str, Any]:
        """Write the outputs. parts: in order, as often as one iterates.  files: each output -> its temporary file.

        Returns their entries in the description.
        """

    def run(self, on_progress: Progress, files: Mapping[Path, Path]) -> dict[str, Any]:
        """Compute and write a run of one part."""
        return self.write([self.compute(0, on_progress)], files)


def run_job(
    job: GenomeJob, on_progress: Callable[[int, int], None] = lambda *_: None, workers: Workers = shards.alone
) -> dict[str, Any]:
    """Do a job, or its shard. Returns the description of the whole run, or of a shard, with the entry `shard`.

    on_progress: called with the number of windows or variants done, and to do.  workers: who computes, see shards.py.
    A run of one part that this process computes needs no folder of parts.
    Raises ZooError if an input is invalid, the output cannot be written, or parts are missing.
    """
    spec, sharing = job.model_source.spec(), job.sharing
    folder = shards.folder_of(job.output)
    # with --resume, outputs beside a folder of parts are those of the same run
    replaced = job.overwrite or (sharing.resume and folder.is_dir())
    outputs = dict.fromkeys(job.outputs(spec), replaced)
    for path in outputs:
        check_target(path, replaced, job.inputs)
    with IndexedFasta(job.genome, job.ambiguous) as genome:
        work = job.open(genome, spec)
        identity = {
            "command": work.NAME,
            "weights": spec.weights_id,
            "network": spec.network_id,
            "targets": list(spec.targets),
            GENOME_DIGEST: genome.digest(),
            **work.identity(),
            "ambiguous": job.ambiguous,
            "rc": job.model_source.rc,
            "precision": job.model_source.running.precision,
            "part_size": sharing.part_size,
        }
        parts = Parts(folder, identity, len(work.sizes))
        work.check()

        def finish(runtime: str, write: Callable[[dict[Path, Path]], dict[str, Any]]) -> dict[str, Any]:
            with replacing_together(outputs, job.inputs) as (described_file, *partial):
                written = write(dict(zip(list(outputs)[1:], partial, strict=True)))
                described = {
                    "command": job.command,
                    "version": zoo.__version__,
                    "runtime": runtime,
                    "weights": description.of_weights(spec),
                    "genome": {"file": str(job.genome), "sha256": identity[GENOME_DIGEST]},
                    "rc": job.model_source.rc,
                    "sequence_length": spec.sequence_length,
                    "targets": list(spec.targets),
                    **written,
                }
                described_file.write_text(json.dumps(described, indent=2) + "\n")
            return described

        is_whole = sharing.shard is None and not sharing.merge
        if is_whole and workers is shards.alone and parts.count == 1 and not parts.exists():
            work.model = job.model_source.load(settled=True)
            on_done = _counted(on_progress, work.sizes[0])
            return finish(work.model.runtime, lambda files: work.run(on_done, files))
        if sharing.merge:
            parts.check_run()
        else:
            _compute(job, work, parts, workers, on_progress)
        if sharing.shard is not None:
            return {"shard": sharing.shard, "parts": parts.count, "missing": len(parts.missing())}
        parts.check_complete()
        try:
            described = finish(", ".join(parts.runtimes()), lambda files: work.write(parts, files))
        except BadInput:
            parts.remove()
            raise
    parts.remove()
    return described


def _compute(
    job: GenomeJob, work: GenomeWork, parts: Parts, workers: Workers, on_progress: Callable[[int, int], None]
) -> None:
    """Do the parts of the shard, or all, that are not done yet."""
    is_shard = job.sharing.shard is not None
    parts.begin(job.sharing.resume or is_shard, job.overwrite)
    number, count = job.sharing.share()
    wanted = [part for part in range(number, parts.count, count) if not parts.has(part)]
    on_done = _counted(on_progress, sum(work.sizes[part] for part in wanted))
    written = []
    try:
        for part, arrays, runtime in workers(job, wanted, on_done):
            parts.write(part, arrays, runtime)
            written.append(part)
    except ZooError as error:
        # a refused input leaves nothing to resume; other shards may have parts
        refused = isinstance(error, BadInput)
        for part in written if refused else ():
            parts.path(part).unlink()
        none_left = len(parts.missing()) == parts.count
        if (refused or none_left) if not is_shard else (refused and none_left):
            parts.remove()
        raise


def _counted(on_progress: Callable[[int, int], None], total: int) -> Progress:
    """Call `on_progress` with the sum of what is done, and the total."""
    done = 0

    def on_done(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total)

    return on_done
