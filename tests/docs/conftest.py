"""Files that the commands of the pages need: sequences, labelled tables, a genome, PyTorch weights."""

from __future__ import annotations

import gzip
import random
import re
import shutil
import sys
from pathlib import Path

import genomes
import numpy as np
import pages
import pytest

from zoo.dna.encoding import encode
from zoo.formats import table_writer
from zoo.prediction.model import Model, load

ROOT = Path(__file__).parents[2]

LABELLED = 200
"""Sequences in a labelled table, enough for every split."""


@pytest.fixture
def reader(_made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, where `zoo` runs the code of this clone. It contains

    seqs.fa, seqs.fa.gz, more.fa    ten sequences
    predictions.tsv                 what original predicts for seqs.fa
    genome.fa                       a genome of one contig
    mine.tsv                        columns sequence, dev, hk
    peaks.tsv                       the same with columns peak_id, chrom, seq, log2FC_dev, log2FC_hk; some missing
    labelled.fa, labelled_activity.tsv   the same data in the two files of a FASTA with its labels
    port.pth                        a state dict of another program
    dm6.fa, genes.gtf               a genome of two contigs, a gene on it
    peaks.bed, regions.bed          intervals of it
    calls.vcf.gz, variants.tsv      variants of it
    """
    folder = tmp_path / "reader"
    shutil.copytree(_made, folder)
    monkeypatch.setenv("PATH", pages.shell_path(tmp_path / "bin", sys.executable))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reader")
    model = load("original", runtime="kmer-cpu")
    _write_sequences(made, model)
    _write_labelled(made, model)
    _write_port(made)
    _write_genome(made)
    return made


def _write_sequences(folder: Path, model: Model) -> None:
    example = (ROOT / "docs" / "example.fa").read_text()
    for name in ("seqs.fa", "more.fa"):
        (folder / name).write_text(example)
    (folder / "seqs.fa.gz").write_bytes(gzip.compress(example.encode()))
    names = re.findall(r">(\S+)", example)
    predicted = model.predict_codes(encode(re.findall(r"^[ACGTN]+$", example, re.MULTILINE)))
    table = table_writer.header(model.spec.targets) + table_writer.rows(names, predicted)
    (folder / "predictions.tsv").write_bytes(table)


def _write_labelled(folder: Path, model: Model) -> None:
    generator = np.random.default_rng(0)
    genome = "".join(np.array(list("ACGT"))[generator.integers(0, 4, 60_000)])
    (folder / "genome.fa").write_text(f">chr2L\n{genome}\n")
    length = model.spec.sequence_length
    starts = [int(start) for start in generator.integers(0, len(genome) - length, LABELLED)]
    sequences = [genome[start : start + length] for start in starts]
    labels = model.predict(sequences) + generator.normal(0, 0.1, (LABELLED, 2))
    numbers = [f"{dev:.6g}\t{hk:.6g}" for dev, hk in labels]
    names = [f"chr2L_{start + 1}_{start + length}" for start in starts]
    rows = list(zip(names, sequences, numbers, strict=True))
    _write(folder / "mine.tsv", "sequence\tdev\thk", [f"{text}\t{label}" for _, text, label in rows])
    _write(folder / "labelled_activity.tsv", "dev\thk", numbers)
    (folder / "labelled.fa").write_text("".join(f">{name}\n{text}\n" for name, text, _ in rows))
    missing = [f"{name}\tchr2L\t{text}\t\tNA" for name, text, _ in rows[:3]]
    present = [f"{name}\tchr2L\t{text}\t{label}" for name, text, label in rows[3:]]
    _write(folder / "peaks.tsv", "peak_id\tchrom\tseq\tlog2FC_dev\tlog2FC_hk", missing + present)


def _write_genome(folder: Path) -> None:
    bgzf = pytest.importorskip("Bio.bgzf")
    contigs = genomes.contigs({"chr2L": 560_000, "chrM": 20_000})
    bases = contigs["chr2L"]  # only where the pages look: windows of Ns are not predicted
    contigs["chr2L"] = bases[:103_000] + "N" * 367_000 + bases[470_000:490_000] + "N" * 70_000
    genomes.write(folder / "dm6.fa", contigs)
    (folder / "peaks.bed").write_text("chr2L\t1000\t1500\tfirst\t0\t+\nchr2L\t2000\t2100\tsecond\t0\t-\n")
    (folder / "regions.bed").write_text("chr2L\t1000\t1500\nchrM\t100\t900\n")
    exon = 'chr2L\tx\texon\t{}\t{}\t.\t+\t.\tgene_id "g"; gene_symbol "ush";\n'
    (folder / "genes.gtf").write_text(exon.format(480_001, 481_000) + exon.format(530_001, 540_000))
    generator = random.Random(0)
    rows = [
        (place + 1, contigs["chr2L"][place].upper(), generator.choice("ACGT"))
        for place in sorted(generator.sample(range(100_000), 50))
    ]
    lines = [f"chr2L\t{place}\t.\t{ref}\t{alt}\t.\t.\t." for place, ref, alt in rows]
    calls = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", *lines, ""]
    with bgzf.open(str(folder / "calls.vcf.gz"), "wb") as file:
        file.write("\n".join(calls).encode())
    table = [f"chr2L\t{place}\t{ref}\t{alt}" for place, ref, alt in rows]
    _write(folder / "variants.tsv", "chrom\tpos\tref\talt", table)


def _write(path: Path, header: str, rows: list[str]) -> None:
    path.write_text("\n".join([header, *rows, ""]))


def _write_port(folder: Path) -> None:
    """Write the bundled weights as a PyTorch state dict with other array names and no metadata."""
    torch = pytest.importorskip("torch")
    from zoo.weights import lookup, network

    state = network.from_checkpoint(lookup.load("original")).state_dict()
    renamed = {f"net.{name.replace('_norm', '_bn')}": tensor for name, tensor in state.items()}
    torch.save(renamed, folder / "port.pth")
