"""Alleles of small genomes, and their effects by two sequences that are built by hand, in plain Python."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

import genomes
import numpy as np
from checkpoints import ODD
from command_line import RUNTIME

from zoo.prediction.model import load

L = ODD.sequence_length
WORDS = ("--genome", "g.fa", "--weights", "w.safetensors", *RUNTIME)
EFFECTS = [f"{kind}_{target}" for target in "abc" for kind in ("ref", "alt", "delta")]
COLUMNS = ["chrom", "pos", "id", "ref", "alt", *EFFECTS, "ref_match", "status"]
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


class Allele(NamedTuple):
    """1-based, as in the file."""

    contig: str
    position: int
    ref: str
    alt: str


def windows(contigs: dict[str, str], allele: Allele, shift: int = 0, flank: str = "left") -> tuple[str, str]:
    """The reference bases [p - 26, p + 27) for L = 53, moved by `shift`, and the same slice of the haplotype, counted
    from the first or from the last base of the contig."""
    sequence, p = contigs[allele.contig].upper(), allele.position - 1
    haplotype = sequence[:p] + allele.alt.upper() + sequence[p + len(allele.ref) :]
    moved = len(haplotype) - len(sequence) if flank == "right" else 0
    return genomes.window(sequence, p + shift, L), genomes.window(haplotype, p + shift + moved, L)


def expected(
    contigs: dict[str, str],
    alleles: list[Allele],
    shifts: tuple[int, ...] = (0,),
    rc: bool = False,
    flank: str = "left",
) -> np.ndarray:
    """ref, alt and delta of each allele: (A, 3, T)."""
    model = load(weights="w.safetensors", runtime=RUNTIME[1], rc="average" if rc else None)
    pairs = [windows(contigs, allele, shift, flank) for allele in alleles for shift in shifts]
    both = [model.predict([pair[side] for pair in pairs]).reshape(len(alleles), len(shifts), 3) for side in (0, 1)]
    ref, alt = (values.mean(axis=1) for values in both)
    return np.stack([ref, alt, alt - ref], axis=1)


def random_alleles(contigs: dict[str, str], count: int, seed: int = 0) -> list[Allele]:
    """Single bases, several bases, insertions and deletions, as they stand in a sorted VCF; at the ends too."""
    generator = random.Random(seed)
    found = []
    for contig, sequence in contigs.items():
        places = sorted(generator.randrange(len(sequence)) for _ in range(count))
        for place in [0, 1, *places, len(sequence) - 2, len(sequence) - 1]:
            ref = sequence[place : place + generator.choice([1, 1, 1, 2, 3, 20, L])]
            alt = "".join(generator.choice("ACGTacgt") for _ in range(generator.choice([1, 1, 1, 2, 5, 30, L])))
            kind = generator.random()
            if kind < 0.5:
                ref, alt = ref[:1], generator.choice("ACGT".replace(ref[:1].upper(), "") or "A")
            elif kind < 0.7:
                alt = ref[:1] + alt[: L - 1]
                ref = ref[:1]
            elif kind < 0.9:
                alt = ref[:1]
            found.append(Allele(contig, place + 1, ref, alt))
    return found


def write_vcf(path: Path, rows: list[tuple[str, int, str, str]], contigs: dict[str, str], info: str = ".") -> Path:
    header = ["##fileformat=VCFv4.2", '##INFO=<ID=AF,Number=A,Type=Float,Description="frequency">']
    header += [f"##contig=<ID={name},length={len(sequence)}>" for name, sequence in contigs.items()]
    header.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    lines = [f"{c}\t{p}\trs{number}\t{ref}\t{alt}\t.\t.\t{info}" for number, (c, p, ref, alt) in enumerate(rows)]
    path.write_text("\n".join([*header, *lines, ""]))
    return path


def read(path: str = "out.tsv") -> tuple[list[list[str]], np.ndarray]:
    """Rows as text, and their numbers (A, 3, T)."""
    header, *rows = [line.split("\t") for line in Path(path).read_text().splitlines()]
    assert header == COLUMNS
    numbers = np.array([[np.nan if cell == "NA" else float(cell) for cell in row[5:14]] for row in rows])
    return rows, numbers.reshape(len(rows), 3, 3).swapaxes(1, 2)
