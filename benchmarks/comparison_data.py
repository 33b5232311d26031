"""The data set of the comparison of models: windows and evolved sequences, with noisy labels of a teacher.

A genome is cut into blocks, and each block belongs to one split. Overlapping windows, both strands, and sequences that
evolved from a window are in the same block, so that no sequence is related to another split. Noise is added to the
teacher's activities until the teacher itself reaches r = CEILING of noise_ceiling.py on the training sequences.
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.noise_ceiling import noise_of
from zoo.data import splits
from zoo.data.splits import SIDES
from zoo.dna.encoding import encode_as
from zoo.dna.read_options import STRICT
from zoo.formats import columns, genome
from zoo.formats.genome import Genome, Region
from zoo.prediction.model import Model
from zoo.spec import ALPHABET
from zoo.system.atomic import replacing
from zoo.training.distill import CLIMB_CANDIDATES, CLIMB_ROUNDS, DistillConfig, DistillSource

BLOCK = 4_000
"""Bases in a block."""

SIDE_OF = np.array([SIDES.index(side) for side in ("train",) * 7 + ("validation",) + ("test",) * 2], np.uint8)
"""Split of a block, by its number modulo ten."""

EVOLVED = CLIMB_ROUNDS * CLIMB_CANDIDATES
"""Sequences in a block that evolve from its windows by mutation and selection, see zoo/training/distill.py."""

LETTERS = np.frombuffer(f"{ALPHABET}N".encode(), "S1")


@dataclasses.dataclass(frozen=True)
class Labelled:
    """codes: uint8 (N, L).  clean, noisy: labels without and with noise, float32 (N, T).  block: int (N,).  side: index
    into SIDES, uint8 (N,)."""

    codes: np.ndarray
    clean: np.ndarray
    noisy: np.ndarray
    block: np.ndarray
    side: np.ndarray


def draw(path: Path, teacher: Model, count: int, seed: int) -> tuple[Labelled, dict[str, Any]]:
    """Draw about `count` sequences, the same number from each block, and describe the data set in JSON types.

    A sequence that also occurs in a later split, on either strand, is left out.
    """
    whole = genome.read(path, teacher.spec.sequence_length)
    regions = _blocks(whole)
    size = max(EVOLVED + 1, round(count / len(regions)))
    # half a sequence more, against rounding down
    config = DistillConfig(size, shuffle=0, mutate=0, splice=0, climb=(EVOLVED + 0.5) / size)
    parts = []
    for number, region in regions.items():
        of_block = dataclasses.replace(whole, train=region)
        source = DistillSource(of_block, teacher.predict_codes, "", teacher.spec.targets, config, seed)
        parts.append(source.epoch(number + 1))
        source.close()
    codes, clean = (np.concatenate([getattr(part, name) for part in parts]) for name in ("codes", "targets"))
    block = np.repeat(list(regions), [len(part) for part in parts])
    side = SIDE_OF[block % len(SIDE_OF)]
    kept = _kept(codes, side)
    codes, clean, block, side = codes[kept], clean[kept], block[kept], side[kept]
    noise = noise_of(clean[side == 0]) * np.random.default_rng((seed, 0)).standard_normal(clean.shape)
    facts = {
        "genome_sha256": whole.sha256,
        "teacher": teacher.spec.weights_id,
        "seed": seed,
        "block_bases": BLOCK,
        "evolved_share": EVOLVED / size,
        **{name: int((side == number).sum()) for number, name in enumerate(SIDES)},
    }
    return Labelled(codes, clean, (clean + noise).astype(np.float32), block, side), facts


def write(data: Labelled, targets: tuple[str, ...], path: Path) -> None:
    """Write a table with a split column for `zoo train`, `zoo evaluate` and `zoo search`; also the block of each
    sequence and the labels without noise."""
    names = [f"block_{block}_{number}" for number, block in enumerate(data.block)]
    header = ["name", "sequence", "split", "block", *targets, *(f"clean_{target}" for target in targets)]
    with replacing(path, overwrite=True) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(header)
        for name, codes, side, block, noisy, clean in zip(
            names, data.codes, data.side, data.block, data.noisy, data.clean, strict=True
        ):
            sequence = LETTERS[codes].tobytes().decode()
            table.writerow([name, sequence, SIDES[side], block, *(f"{v:.9g}" for v in (*noisy, *clean))])


def read_test(path: Path, targets: tuple[str, ...], length: int) -> Labelled:
    """Read the test sequences of a table of `write`."""
    table = columns.read(path, (*targets, *(f"clean_{target}" for target in targets)), ("sequence", "split", "block"))
    chosen = np.array(table.text["split"]) == "test"
    sequences = [sequence for sequence, of_test in zip(table.text["sequence"], chosen, strict=True) if of_test]
    numbers = table.numbers[chosen].astype(np.float32)
    block = np.array(table.text["block"], int)[chosen]
    side = np.full(len(sequences), SIDES.index("test"), np.uint8)
    codes = encode_as(sequences, length, STRICT, lambda row: f"{path}: test sequence {row}")
    return Labelled(codes, numbers[:, len(targets) :], numbers[:, : len(targets)], block, side)


def _blocks(whole: Genome) -> dict[int, Region]:
    """Number -> windows that lie wholly in the block; blocks without any are left out."""
    starts = np.sort(np.concatenate([part.starts for part in (whole.train, whole.validation, whole.test)]))
    inside = starts[starts // BLOCK == (starts + whole.length - 1) // BLOCK]
    numbers, first = np.unique(inside // BLOCK, return_index=True)
    return {int(n): Region(part) for n, part in zip(numbers, np.split(inside, first[1:]), strict=True)}


def _kept(codes: np.ndarray, side: np.ndarray) -> np.ndarray:
    """bool (N,): False where the same molecule stands on a later side."""
    keys = splits.keys(codes)
    kept = np.ones(len(codes), bool)
    for number in range(len(SIDES) - 1):
        kept &= (side != number) | ~np.isin(keys, keys[side > number])
    return kept
