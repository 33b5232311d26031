"""Prediction of many FASTA files by workers; each file is a part. The table has the same bytes as from one process."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.formats import table_writer
from zoo.formats.table_writer import Layout
from zoo.formats.text_input import STANDARD_INPUT
from zoo.genome import shards
from zoo.genome.shards import Arrays, Compute, Parts, Progress, Workers
from zoo.prediction import description
from zoo.prediction.columns import opened as columns_of
from zoo.prediction.model import Model, ModelSource
from zoo.prediction.run import PredictionJob, chunk_of, outputs_of, write_description
from zoo.system.atomic import temporary_folder


@dataclasses.dataclass(frozen=True)
class FilesTask:
    """The files of a PredictionJob; a Task of shards.py."""

    job: PredictionJob
    model_source: ModelSource

    def start(self, threads: int | None = None) -> Compute:
        model = self.model_source.load(threads, settled=True)
        return lambda part, on_progress: (_predicted(self.job, part, model, on_progress), model.runtime)

    def absolute(self) -> FilesTask:
        job = dataclasses.replace(self.job, source=tuple(Path(source).absolute() for source in self.job.sources))
        return FilesTask(job, self.model_source.absolute())


def _predicted(job: PredictionJob, part: int, model: Model, on_progress: Progress) -> Arrays:
    """values: of all members, float32 (N, M * T).  records: what the reader counts, what computed them, then the names
    of each batch."""
    reader = dataclasses.replace(job, source=job.sources[part]).records(model.spec.sequence_length, chunk_of(model))
    names, values = [], []
    for (batch,), codes in reader:
        names.append(batch)
        values.append(model.each.predict(codes))
        on_progress(len(codes))
    records = [dataclasses.asdict(reader.counts), model.provider, *names]
    return {"values": np.concatenate(values), "records": np.concatenate([*map(shards.pack, records)])}


def predict_files(
    job: PredictionJob, model_source: ModelSource, workers: Workers, on_progress: Progress
) -> dict[str, Any]:
    """Predict files as run.predict_file does, by workers. Returns the run's description.

    on_progress: called with the number of records that were just predicted.
    Raises ZooError as predict_file does, and for standard input or output.
    """
    if job.output is None:
        raise ZooError("--ray: needs -o, the table to write")
    if STANDARD_INPUT in map(str, job.sources):
        raise ZooError("--ray: standard input cannot be shared out; give files")
    spec = model_source.spec()
    columns = columns_of(spec, model_source.rc, job.background, job.calibrated)
    totals: Counter[str] = Counter()
    inputs, runtimes, providers = [], set(), set()
    with temporary_folder(job.output.absolute().parent) as room:
        parts = Parts(room, {"command": "predict"}, len(job.sources))
        for part, arrays, runtime in workers(FilesTask(job, model_source), range(parts.count), on_progress):
            parts.write(part, arrays, runtime)
            runtimes.add(runtime)
        with outputs_of(job) as (written, description_file):
            with table_writer.opened(job.output, written, Layout(columns.names, job.LABELS)) as table:
                for part, source in enumerate(job.sources):
                    arrays = parts.read(part)
                    counts, provider, *batches = shards.unpack(arrays["records"])
                    done = 0
                    for names in batches:
                        values = arrays["values"][done : done + len(names)]
                        table.write((names,), columns.of(values))
                        done += len(names)
                    totals.update(counts)
                    providers.add(provider)
                    inputs.append({"file": str(source), "records": counts["records"]})
            described = {
                "command": job.command,
                **description.of_run(", ".join(sorted(runtimes)), ", ".join(sorted(providers)), spec),
                "rc": model_source.rc,
                "inputs": inputs,
                **(dataclasses.asdict(job.table) if job.table.column else {}),
                "sequence_length": spec.sequence_length,
                "targets": list(spec.targets),
                "counts": dict(totals),
                **columns.entry(),
                "table": written.facts(),
            }
            write_description(described, description_file)
    return described
