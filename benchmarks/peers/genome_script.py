"""Genomes as someone scores them with pyfaidx, one-hot arrays and plain ONNX Runtime, a batch of 128 at a time.

genome_script.py scan MODEL.onnx GENOME.fa BASES OUT     every window of the first BASES of each contig, to OUT.*.bw
genome_script.py variants MODEL.onnx GENOME.fa CALLS.vcf OUT.tsv
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import onnxruntime
import pyBigWig
import pyfaidx

BATCH_SIZE = 128
LENGTH = 249
HALF = LENGTH // 2
TABLE = np.zeros((256, 4), np.float32)
TABLE[list(b"ACGT")] = np.eye(4)

Model = Callable[[list[str]], np.ndarray]


def model(path: str) -> Model:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def predict(sequences: list[str]) -> np.ndarray:
        batch = np.stack([TABLE[np.frombuffer(sequence.upper().encode(), np.uint8)] for sequence in sequences])
        return session.run(None, {name: np.ascontiguousarray(batch.transpose(0, 2, 1))})[0]

    return predict


def scan(predict: Model, genome: pyfaidx.Fasta, bases: int, output: str) -> None:
    header = [(name, len(genome[name])) for name in genome.keys()]  # noqa: SIM118 - not a dict
    files = [pyBigWig.open(f"{output}.{target}.bw", "w") for target in ("dev", "hk")]
    for file in files:
        file.addHeader(header)
    for name, length in header:
        starts = range(min(bases, length) - LENGTH + 1)
        for first in range(0, len(starts), BATCH_SIZE):
            batch = starts[first : first + BATCH_SIZE]
            values = predict([genome[name][start : start + LENGTH] for start in batch])
            for file, column in zip(files, values.T, strict=True):
                file.addEntries(name, batch[0] + HALF, values=np.ascontiguousarray(column), span=1, step=1)
    for file in files:
        file.close()


def variants(predict: Model, genome: pyfaidx.Fasta, calls: str, output: str) -> None:
    with open(calls) as lines, open(output, "w") as written:  # noqa: PTH123 - as such scripts are written
        rows = [line.split("\t") for line in lines if not line.startswith("#")]
        for first in range(0, len(rows), BATCH_SIZE // 2):
            batch = rows[first : first + BATCH_SIZE // 2]
            sequences = []
            for contig, position, _, ref, alt, *_ in batch:
                p = int(position) - 1
                around = genome[contig][p - HALF : p + LENGTH + len(ref)]
                haplotype = around[:HALF] + alt + around[HALF + len(ref) :]
                sequences += [around[:LENGTH], haplotype[:LENGTH]]
            values = predict(sequences)
            for row, ref_value, alt_value in zip(batch, values[::2], values[1::2], strict=True):
                numbers = np.stack([ref_value, alt_value, alt_value - ref_value], 1).ravel()
                print(*row[:5], *(f"{number:.6g}" for number in numbers), sep="\t", file=written)


def main(what: str, path: str, fasta: str, given: str, output: str) -> None:
    genome = pyfaidx.Fasta(fasta, as_raw=True)
    if what == "scan":
        scan(model(path), genome, int(given), output)
    else:
        variants(model(path), genome, given, output)


if __name__ == "__main__":
    main(*sys.argv[1:])
