"""Prediction as someone does it who exports the network and runs an inference engine: onnxruntime or openvino.

Biopython, a lookup table for each sequence, batches of 128: inference_engine.py ENGINE MODEL.onnx SEQUENCES.fa OUT.tsv
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
from Bio import SeqIO

BATCH_SIZE = 128
TABLE = np.zeros((256, 4), np.float32)
TABLE[list(b"ACGT")] = np.eye(4)


def onnxruntime(path: str) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0]


def openvino(path: str) -> Callable[[np.ndarray], np.ndarray]:
    import openvino

    model = openvino.Core().compile_model(path, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
    return lambda batch: model(batch)[0]


def main(engine: str, path: str, fasta: str, output: str) -> None:
    run = {"onnxruntime": onnxruntime, "openvino": openvino}[engine](path)
    records = list(SeqIO.parse(fasta, "fasta"))
    parts = []
    for start in range(0, len(records), BATCH_SIZE):
        batch = [np.frombuffer(bytes(record.seq).upper(), np.uint8) for record in records[start : start + BATCH_SIZE]]
        parts.append(run(np.ascontiguousarray(TABLE[np.stack(batch)].transpose(0, 2, 1))))
    predicted = np.concatenate(parts)
    names = [record.id for record in records]
    pd.DataFrame({"name": names, "dev": predicted[:, 0], "hk": predicted[:, 1]}).to_csv(output, sep="\t", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
