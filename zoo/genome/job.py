"""A long run over a genome: what scan.py and variants.py have in common, from what is read to the files at the end.

The work is done in parts by whoever is there, see shards.py; a kind of run says what its parts are and how they are
joined.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import zoo
from zoo.formats.indexed_fasta import INDEX, IndexedFasta
from zoo.genome import shards
from zoo.genome.options import ShardOptions
from zoo.genome.shards import Parts, Work, Workers
from zoo.prediction import description
from zoo.prediction.model import ModelSource
from zoo.spec import ModelSpec
from zoo.system.atomic import check_target

GENOME_DIGEST = "genome sha256"
"""In the identity of a run."""

Outputs = Mapping[Path, bool]
"""Each file to write -> whether one that exists may be replaced."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run in parts. identity: see `GenomeJob.identity`.  sizes: windows or variants of each part.
    join: writes all the files from the parts, or none, and returns the description of the run."""

    identity: dict[str, Any]
    sizes: Sequence[int]
    join: Callable[[Parts, Outputs], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class GenomeJob(abc.ABC):
    """What is computed of a genome, by which model, shared out how, and where it goes; a Task of shards.py.

    command: what the user typed, for the description.
    """

    genome: Path
    output: Path
    loading: ModelSource = dataclasses.field(default_factory=ModelSource, kw_only=True)
    sharing: ShardOptions = dataclasses.field(default_factory=ShardOptions, kw_only=True)
    overwrite: bool = dataclasses.field(default=False, kw_only=True)
    command: str = dataclasses.field(default="", kw_only=True)

    @abc.abstractmethod
    def start(self, threads: int | None = None) -> Work:
        """See Task."""

    @abc.abstractmethod
    def check_options(self, spec: ModelSpec) -> None:
        """Raise ZooError unless the options fit each other and the model."""

    @abc.abstractmethod
    def outputs(self, spec: ModelSpec) -> list[Path]:
        """The files to write, the description first. Raises ZooError for a kind of file that cannot be written."""

    @abc.abstractmethod
    def plan(self, spec: ModelSpec, genome: IndexedFasta) -> Plan:
        """The parts. Raises ZooError if an input is not as it should be."""

    def absolute(self) -> Self:
        """See Task."""
        genome, output = self.genome.absolute(), self.output.absolute()
        return dataclasses.replace(self, genome=genome, output=output, loading=self.loading.absolute())

    @property
    def inputs(self) -> tuple[Path | None, ...]:
        """Files that are read, and never replaced."""
        return self.genome, self.genome.with_name(self.genome.name + INDEX), self.loading.file

    def check(self, spec: ModelSpec, replaced: bool = False) -> Outputs:
        """The files to write. Raises ZooError if one could not be written, or if the options do not fit.

        replaced: what is there was left by this run.
        """
        self.sharing.check()
        self.check_options(spec)
        outputs = dict.fromkeys(self.outputs(spec), self.overwrite or replaced)
        for path, overwrite in outputs.items():
            check_target(path, overwrite, self.inputs)
        return outputs

    def identity(self, command: str, spec: ModelSpec, genome: IndexedFasta, own: Mapping[str, Any]) -> dict[str, Any]:
        """What decides the numbers of a run. own: what else does so than the model, the genome and the parts."""
        return {
            "command": command,
            "weights": spec.weights_id,
            "targets": list(spec.targets),
            GENOME_DIGEST: genome.digest(),
            **own,
            "rc": self.loading.rc,
            "precision": self.loading.running.precision,
            "part_size": self.sharing.part_size,
        }

    def described(self, spec: ModelSpec, parts: Parts) -> dict[str, Any]:
        """The beginning of a description: what ran, by what, on which genome."""
        return {
            "command": self.command,
            "version": zoo.__version__,
            "runtime": ", ".join(parts.runtimes()),
            "weights": description.of_weights(spec),
            "genome": {"file": str(self.genome), "sha256": parts.identity[GENOME_DIGEST]},
        }


def run_job(
    job: GenomeJob, on_progress: shards.Shown = shards.silent, workers: Workers = shards.alone
) -> dict[str, Any]:
    """Do a job, or its share of it. Returns the description: of the whole run, or of a shard, with `shard` in it.

    on_progress: called with the windows or variants done so far and those there are to do.  workers: who computes, see
    shards.py.
    Raises ZooError if an input is not as it should be, the output cannot be written, or parts are missing.
    """
    spec, sharing = job.loading.spec(), job.sharing
    folder = shards.folder_of(job.output)
    outputs = job.check(spec, replaced=sharing.resume and folder.is_dir())
    with IndexedFasta(job.genome) as genome:
        plan = job.plan(spec, genome)
        parts = Parts(folder, plan.identity, len(plan.sizes))
        if not shards.done(job, parts, plan.sizes, sharing, job.overwrite, workers, on_progress):
            return {"shard": sharing.shard, "parts": parts.count, "missing": len(parts.missing())}
        described = plan.join(parts, outputs)
    parts.remove()
    return described
