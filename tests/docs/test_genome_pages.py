"""docs/genome.md, variants.md and cluster.md: their blocks run as they stand, in order, on a small genome."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import genomes
import pytest

from benchmarks import cluster_table

pysam = pytest.importorskip("pysam", reason="pysam is not installed; the extra genome brings it")
for library in ("pyBigWig", "pyarrow", "pandas", "matplotlib"):
    pytest.importorskip(library, reason=f"{library} is not installed; the extra dev brings it")

ROOT = Path(__file__).parents[2]

LEFT = {
    "genome": {
        "peaks.tsv", "peaks.tsv.json", "dm6.fa.fai", "ush.png", "tracks/ush.dev.bw", "tracks/ush.hk.bw",
        "tracks/ush.json", "tracks/mean.dev.bw", "tracks/peaks.hk.bedgraph",
    },
    "variants": {
        "effects.tsv", "effects.tsv.json", "effects.vcf.gz", "effects.vcf.gz.tbi", "effects.parquet", "effects.png",
    },
    "cluster": {"tracks/dm6.dev.bw", "tracks/dm6.hk.bw", "tracks/dm6.json"},
}  # fmt: skip
"""Page -> files that its blocks leave."""


def blocks(page: str, *kinds: str) -> list[tuple[str, str]]:
    """Kind and content of the fenced blocks of some kinds, in order."""
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(kind, content) for kind, content in found if kind in kinds]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a reader of the pages has: a genome, its genes, peaks, regions and variants."""
    contigs = genomes.contigs({"chr2L": 560_000, "chrM": 20_000})
    genomes.write(tmp_path / "dm6.fa", contigs)
    (tmp_path / "peaks.bed").write_text("chr2L\t1000\t1500\tfirst\t0\t+\nchr2L\t2000\t2100\tsecond\t0\t-\n")
    (tmp_path / "regions.bed").write_text("chr2L\t1000\t1500\nchrM\t100\t900\n")
    exon = 'chr2L\tx\texon\t{}\t{}\t.\t+\t.\tgene_id "g"; gene_symbol "ush";\n'
    (tmp_path / "genes.gtf").write_text(exon.format(480_001, 481_000) + exon.format(530_001, 540_000))
    generator = random.Random(0)
    rows = [
        (place + 1, contigs["chr2L"][place].upper(), generator.choice("ACGT"))
        for place in sorted(generator.sample(range(100_000), 50))
    ]
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    lines = [f"chr2L\t{place}\t.\t{ref}\t{alt}\t.\t.\t.\n" for place, ref, alt in rows]
    (tmp_path / "calls.vcf").write_text(header + "".join(lines))
    pysam.tabix_compress(str(tmp_path / "calls.vcf"), str(tmp_path / "calls.vcf.gz"))
    table = "".join(f"chr2L\t{place}\t{ref}\t{alt}\n" for place, ref, alt in rows)
    (tmp_path / "variants.tsv").write_text(f"chrom\tpos\tref\talt\n{table}")
    return tmp_path


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    """In which `zoo` is the code of this clone."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "zoo").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m zoo "$@"\n')
    (programs / "zoo").chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="the pages show commands of a POSIX shell")
@pytest.mark.parametrize("page", LEFT)
def test_the_blocks_run_in_order_and_leave_what_the_page_says(
    folder: Path, environment: dict[str, str], page: str
) -> None:
    found = blocks(page, "sh", "python")
    assert found
    for kind, content in found:
        command = ["bash", "-ec", content] if kind == "sh" else [sys.executable, "-c", content]
        result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{content}\n{result.stdout[-2000:]}{result.stderr[-2000:]}"
        assert "Traceback" not in result.stderr, content
    for name in LEFT[page]:
        assert (folder / name).is_file(), name


def test_the_page_ends_with_what_the_stored_rates_give() -> None:
    page = cluster_table.PAGE.read_text("utf-8")
    assert page.endswith(cluster_table.section(json.loads(cluster_table.RESULT.read_text("utf-8"))))


@pytest.mark.slow
def test_the_snakefile_of_the_page_runs(folder: Path, environment: dict[str, str]) -> None:
    program = shutil.which("snakemake")
    if program is None:
        pytest.skip("snakemake is not installed; pip install snakemake brings it")
    ((_, content),) = blocks("cluster", "snakemake")
    (folder / "Snakefile").write_text(content)
    command = [program, "--cores", "2", "--quiet", "all"]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    whole = ["scan", "dm6.fa", "-o", "tracks/whole", "--stride", "50", "--part-size", "3000"]
    subprocess.run([sys.executable, "-m", "zoo", *whole], cwd=folder, env=environment, check=True, capture_output=True)
    for target in ("dev", "hk"):
        tracks = [(folder / "tracks" / f"{name}.{target}.bw").read_bytes() for name in ("dm6", "whole")]
        assert tracks[0] == tracks[1]
