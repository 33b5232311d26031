"""Prediction of many FASTA files by workers, a file a part: the same table as one process writes, to the byte."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.formats import table_writer
from zoo.formats.fasta import Counts, Reader
from zoo.formats.table_writer import Layout
from zoo.formats.text_input import STANDARD_INPUT
from zoo.genome.shards import Arrays, Parts, Progress, Workers
from zoo.prediction import description
from zoo.prediction.model import Model, ModelSource
from zoo.prediction.run import PredictionJob, chunk_of, outputs_of
from zoo.system.atomic import temporary_folder


@dataclasses.dataclass(frozen=True)
class FilesTask:
    """The files of a PredictionJob; a Task of shards.py."""

    job: PredictionJob
    loading: ModelSource

    def start(self, threads: int | None = None) -> FilesWork:
        return FilesWork(self.job, self.loading.load(threads))

    def absolute(self) -> FilesTask:
        job = dataclasses.replace(self.job, source=tuple(Path(source).absolute() for source in self.job.sources))
        return FilesTask(job, self.loading.absolute())


class FilesWork:
    """A file a part: a Work of shards.py."""

    def __init__(self, job: PredictionJob, model: Model) -> None:
        self.runtime = model.runtime
        self._job = job
        self._model = model

    def compute(self, part: int, on_progress: Progress) -> Arrays:
        """values: float32 (N, T).  names: uint8, UTF-8 with a line feed behind each.  chunk: records of a batch.
        counts: those of fasta.Counts.  provider: text."""
        chunk = chunk_of(self._model)
        reader = Reader(self._job.sources[part], self._model.spec.sequence_length, chunk, self._job.reading)
        names: list[str] = []
        values = []
        for batch_names, codes in reader:
            names += batch_names
            values.append(self._model.predict_codes(codes))
            on_progress(len(codes))
        text = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
        return {
            "values": np.concatenate(values),
            "names": np.frombuffer(text, np.uint8),
            "chunk": np.array([chunk]),
            "counts": np.array(dataclasses.astuple(reader.counts)),
            "provider": np.frombuffer(self._model.provider.encode(), np.uint8),
        }


def predict_files(job: PredictionJob, loading: ModelSource, workers: Workers, on_progress: Progress) -> dict[str, Any]:
    """As predict.predict_file, by workers. Returns the run's description.

    on_progress: called with records that were predicted now.
    Raises ZooError as it does, and for standard input or output.
    """
    if job.output is None:
        raise ZooError("--ray: say with -o where the table goes")
    if STANDARD_INPUT in map(str, job.sources):
        raise ZooError("--ray: standard input cannot be shared out; give files")
    spec = loading.spec()
    totals: Counter[str] = Counter()
    files, runtimes, providers = [], set(), set()
    with temporary_folder(job.output.absolute().parent) as room:
        parts = Parts(room, {"command": "predict"}, len(job.sources))
        for part, arrays, runtime in workers(FilesTask(job, loading), range(parts.count), on_progress):
            parts.write(part, arrays, runtime)
            runtimes.add(runtime)
            providers.add(arrays["provider"].tobytes().decode())
        with outputs_of(job) as (written, description_file):
            with table_writer.opened(job.output, written, Layout(spec.targets, job.LABELS)) as table:
                for part, source in enumerate(job.sources):
                    arrays = parts.read(part)
                    for names, values in _chunks(arrays):
                        table.write((names,), values)
                    counts = Counts(*arrays["counts"].tolist())
                    totals.update(dataclasses.asdict(counts))
                    files.append({"file": str(source), "records": counts.records})
            described = {
                "command": job.command,
                **description.of_run(", ".join(sorted(runtimes)), ", ".join(sorted(providers)), spec),
                "rc": loading.rc,
                "inputs": files,
                "sequence_length": spec.sequence_length,
                "targets": list(spec.targets),
                "counts": dict(totals),
                "table": written.facts(),
            }
            if description_file is not None:
                description_file.write((json.dumps(described, indent=2) + "\n").encode())
    return described


def _chunks(arrays: Arrays) -> Iterator[tuple[list[str], np.ndarray]]:
    """The batches in which one process would have written them."""
    names = arrays["names"].tobytes().decode("utf-8", "surrogateescape").split("\n")[:-1]
    size = int(arrays["chunk"][0])
    for first in range(0, len(names), size):
        yield names[first : first + size], arrays["values"][first : first + size]
