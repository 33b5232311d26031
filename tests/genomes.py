"""Small genomes for tests, and what a window of them holds, in plain Python: no code of the zoo."""

from __future__ import annotations

import random
from pathlib import Path

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def contigs(lengths: dict[str, int], seed: int = 0, unknown: float = 0.0) -> dict[str, str]:
    """Random bases, with some Ns among them if asked, and some in lower case, which says nothing."""
    generator = random.Random(seed)
    letters = "ACGTacgt"
    return {
        name: "".join("N" if generator.random() < unknown else generator.choice(letters) for _ in range(length))
        for name, length in lengths.items()
    }


def write(path: Path, made: dict[str, str], width: int = 60) -> Path:
    """FASTA with lines of `width` bases."""
    text = ""
    for name, sequence in made.items():
        lines = [sequence[start : start + width] for start in range(0, len(sequence), width)]
        text += "\n".join([f">{name} some words", *lines, ""])
    path.write_text(text)
    return path


def window(sequence: str, centre: int, length: int, strand: str = "+") -> str:
    """The bases around a centre, with N outside of the contig, on a strand."""
    first = centre - length // 2
    bases = [sequence[place].upper() if 0 <= place < len(sequence) else "N" for place in range(first, first + length)]
    text = "".join(bases)
    return text.translate(COMPLEMENT)[::-1] if strand == "-" else text
