"""Under load, whatever is computed together: the numbers of `zoo predict` on the same runtime, to the bit."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
from checkpoints import random_codes
from command_line import Zoo
from served import LOCAL, asking, running

from zoo.options import RunOptions
from zoo.serve.metrics import Metrics
from zoo.serve.models import open_models
from zoo.spec import ALPHABET

SEQUENCES = 300
"""Fewer than kmer-cpu builds whole tables for."""


def texts(length: int) -> list[str]:
    """Of letters in either case, some with an N."""
    codes = random_codes(SEQUENCES, length, 1)
    codes[SEQUENCES // 4 :] %= 4
    letters = ["".join(f"{ALPHABET}N"[code] for code in row) for row in codes]
    return [one.lower() if number % 3 == 0 else one for number, one in enumerate(letters)]


@pytest.mark.parametrize(("runtime", "bundled"), [("kmer-cpu", True), ("kmer-cpu", False), ("onnx-cpu", True)])
def test_answers_under_load_are_those_of_the_command(
    zoo: Zoo, weights: Path, tmp_path: Path, runtime: str, bundled: bool
) -> None:
    one = "original" if bundled else str(weights)
    metrics = Metrics()
    models = open_models([one], runtime, RunOptions(), LOCAL, metrics.batch)
    (served,) = models
    sequences = texts(served.model.spec.sequence_length)
    fasta, table = tmp_path / "some.fa", tmp_path / "some.tsv"
    fasta.write_text("".join(f">s{number}\n{text}\n" for number, text in enumerate(sequences)))
    which = () if bundled else ("--weights", weights)
    assert zoo("predict", fasta, *which, "--runtime", runtime, "-o", table)[0] == 0
    rows = [line.split("\t")[1:] for line in table.read_text().splitlines()[1:]]

    generator = random.Random(0)
    starts = [0]
    while starts[-1] < SEQUENCES:
        starts.append(min(SEQUENCES, starts[-1] + generator.choice([1, 1, 2, 9, 40])))
    with running(models, metrics=metrics) as service, ThreadPoolExecutor(16) as clients:
        url = f"{service.url}/v2/models/{served.name}/infer"

        def ask(start: int, stop: int) -> list[float]:
            body = json.dumps(asking(sequences[start:stop]))
            return requests.post(url, data=body, timeout=60).json()["outputs"][0]["data"]

        answers = list(clients.map(ask, starts, starts[1:]))
    found = np.array([number for answer in answers for number in answer], np.float32)
    np.testing.assert_array_equal(found, np.array(rows, np.float32).reshape(-1))
