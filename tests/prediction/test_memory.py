"""The memory of a prediction does not grow with the number of records."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from unittest import mock

import numpy as np
from checkpoints import ODD, random_checkpoint

from zoo.formats import fasta
from zoo.options import RunOptions
from zoo.prediction import run
from zoo.prediction.model import Model
from zoo.prediction.session import open_session

BATCH = 128


def peak(folder: Path, records: int) -> int:
    """Most bytes in use while a file of random records is predicted, those of the model left out."""
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, (records, ODD.sequence_length))]
    source = folder / f"{records}.fa"
    source.write_bytes(b"".join(b">record_%d\n%s\n" % (number, row.tobytes()) for number, row in enumerate(letters)))
    session = open_session(random_checkpoint(ODD), "kmer-cpu", RunOptions(batch_size=BATCH))
    session.settle()
    session.predict(np.zeros((1, ODD.sequence_length), np.uint8))  # builds the tables
    model = Model(session)
    tracemalloc.start()
    try:
        run.predict_file(model, run.PredictionJob(source, folder / f"{records}.tsv"))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_flat_in_the_number_of_records(tmp_path: Path) -> None:
    """20,000 records more are at least 2 MB more, if their names and bases are kept."""
    with mock.patch.object(run, "CHUNK_RECORDS", BATCH), mock.patch.object(fasta, "BLOCK_BYTES", 1 << 14):
        few, many = (peak(tmp_path, records) for records in (5_000, 25_000))
    assert many < few + 300_000
