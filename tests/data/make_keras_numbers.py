"""Makes sequences.fa and, with tf_keras 2.21 on TensorFlow 2.21 (CPU, float32), NAME.keras.tsv of the bundled weights.

Run it from the root of a clone with the extra `dev` installed: python tests/data/make_keras_numbers.py
Each table is what `zoo predict --runtime keras-cpu` writes: name and the targets, in digits that give the same float32
back; the .json beside it says which weights and versions ran. The same again gives the same bytes, but for last digits
on another processor. tests/checks/test_stored_keras_numbers.py compares every runtime with the tables.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from zoo.checks import parity
from zoo.dna.shuffle import dinucleotide_shuffle
from zoo.errors import ZooError
from zoo.formats.fasta import Reader
from zoo.prediction import description
from zoo.prediction.model import load
from zoo.prediction.run import PredictionJob, predict_file
from zoo.spec import ALPHABET
from zoo.weights import lookup

FOLDER = Path(__file__).resolve().parent
EXAMPLES = FOLDER.parents[1] / "docs" / "example.fa"
SEQUENCES = "sequences.fa"
LENGTH = 249

SHUFFLES = 5
"""Of each sequence of EXAMPLES."""

SEED = 2


def fasta() -> bytes:
    """The text of sequences.fa: EXAMPLES, their dinucleotide shuffles, and the records of `zoo parity`."""
    (names, codes), *_ = Reader(EXAMPLES, LENGTH)
    shuffled = dinucleotide_shuffle(np.repeat(codes, SHUFFLES, 0), np.random.default_rng(SEED))
    made_of = [f"{name}_shuffled_{number}" for name in names for number in range(1, SHUFFLES + 1)]
    letters = np.frombuffer(f"{ALPHABET}N".encode(), np.uint8)
    text = b""
    for name, row in zip([*names, *made_of], letters[np.concatenate([codes, shuffled])], strict=True):
        text += b">example_%b\n%b\n" % (name.encode(), row.tobytes())
    return text + parity.example_fasta(LENGTH)


def main() -> None:
    with contextlib.chdir(FOLDER):  # so that the .json files hold no path of this machine
        Path(SEQUENCES).write_bytes(fasta())
        for name in sorted(lookup.catalog()):
            table = Path(f"{name}.keras.tsv")
            job = PredictionJob(SEQUENCES, table, overwrite=True, command="python tests/data/make_keras_numbers.py")
            try:
                model = load(name, runtime="keras-cpu", threads=1)  # more add up in another order
                described = predict_file(model, job)
            except ZooError as error:
                print(f"{table}: not made: {error}")
                continue
            print(f"{table}: {description.summary(described)}")


if __name__ == "__main__":
    main()
