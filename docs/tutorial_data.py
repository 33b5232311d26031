"""Write the simulated data of the tutorial: `python docs/tutorial_data.py FOLDER`.

The genome is random DNA with the base composition of Drosophila melanogaster (42% GC). Enhancers are planted in it as
clusters of motifs: AP-1 and GATA for developmental ones, DRE and Ohler 1 for housekeeping ones. The measured activities
are simulated too: they follow from the motifs in a sequence, with noise. The same seed gives the same files.
Needs NumPy.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

CONTIGS = {"chr2L": 400_000, "chr2R": 200_000}
FREQUENCIES = (0.29, 0.21, 0.21, 0.29)
MOTIFS = {"dev": ("ATGACTCAT", "TGACTCAC", "AGATAAGA"), "hk": ("TATCGATAG", "TGGTCACACTG", "CTATCGATA")}
SPACING = 1_500
"""Bases between the centres of planted enhancers."""

WINDOW = 249
ROWS = 6_000
"""Sequences in the table of measured activities."""

NOISE = 0.3
"""Standard deviation of the measurement, log2."""


def random_bases(generator: np.random.Generator, number: int) -> np.ndarray:
    """Letters, shape (number,)."""
    return generator.choice(list("ACGT"), number, p=FREQUENCIES)


def plant(generator: np.random.Generator, bases: np.ndarray, centre: int, kind: str, number: int) -> list[int]:
    """Write `number` motifs of a kind around a centre, in place. Returns where they start."""
    starts = centre - 90 + 15 * np.sort(generator.choice(12, number, replace=False))
    for start in starts:
        motif = generator.choice(MOTIFS[kind])
        bases[start : start + len(motif)] = list(motif)
    return [int(start) for start in starts]


def write_genome(folder: Path, generator: np.random.Generator) -> None:
    """genome.fa, peaks.narrowPeak with the planted enhancers, genes.gtf with a gene behind some, and variants.vcf."""
    peaks, genes, variants = [], [], []
    with (folder / "genome.fa").open("w") as file:
        for contig, length in CONTIGS.items():
            bases = random_bases(generator, length)
            for centre in range(2_000, length - 2_000, SPACING):
                kind, number = str(generator.choice(list(MOTIFS))), int(generator.integers(2, 6))
                starts = plant(generator, bases, centre, kind, number)
                name = f"{kind}_{number}_motifs_{len(peaks) + 1}"
                start, end = centre - 200, centre + 200
                peaks.append(f"{contig}\t{start}\t{end}\t{name}\t0\t.\t{number}\t-1\t-1\t{centre - start}")
                if generator.random() < 0.5:
                    place = f"{contig}\ttutorial\texon\t{centre + 600}\t{centre + 1400}\t.\t+\t."
                    genes.append(f'{place}\tgene_id "gene{len(genes) + 1}"; gene_symbol "gene{len(genes) + 1}";')
                for position, effect in ((starts[0] + 4, "motif"), (centre + 110, "flank")):
                    ref = str(bases[position])
                    alt = str(generator.choice([base for base in "ACGT" if base != ref]))
                    variants.append(f"{contig}\t{position + 1}\t{name}_{effect}\t{ref}\t{alt}\t.\t.\t.")
            text = "".join(bases)
            file.write(f">{contig}\n" + "".join(f"{text[i : i + 60]}\n" for i in range(0, length, 60)))
    header = "##fileformat=VCFv4.2\n" + "".join(f"##contig=<ID={name},length={CONTIGS[name]}>\n" for name in CONTIGS)
    header += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (folder / "peaks.narrowPeak").write_text("\n".join(peaks) + "\n")
    (folder / "genes.gtf").write_text("\n".join(genes) + "\n")
    (folder / "variants.vcf").write_text(header + "\n".join(variants) + "\n")


def write_activities(folder: Path, generator: np.random.Generator) -> None:
    """starr.tsv: columns name, split, sequence, dev, hk. Each motif adds to the activity of its kind, log2."""
    rows = ["name\tsplit\tsequence\tdev\thk"]
    for number in range(ROWS):
        bases, activity = random_bases(generator, WINDOW), dict.fromkeys(MOTIFS, -0.5)
        kind, motifs = str(generator.choice(list(MOTIFS))), int(generator.integers(0, 6))
        plant(generator, bases, WINDOW // 2, kind, motifs)
        activity[kind] += 0.8 * motifs
        split = ("validation", "test")[number % 2] if number % 10 < 2 else "train"
        measured = [f"{value + generator.normal(0, NOISE):.3f}" for value in activity.values()]
        rows.append("\t".join([f"oligo_{number + 1}", split, "".join(bases), *measured]))
    (folder / "starr.tsv").write_text("\n".join(rows) + "\n")


def main() -> None:
    """Write all files into the folder that is named on the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tutorial")
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(1)
    write_genome(folder, generator)
    write_activities(folder, generator)


if __name__ == "__main__":
    main()
