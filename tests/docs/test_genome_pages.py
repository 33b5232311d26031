"""docs/cluster.md: the stored rates give its table, and its Snakefile runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pages
import pytest
from command_line import Zoo

from benchmarks import cluster_table


def test_the_page_ends_with_what_the_stored_rates_give() -> None:
    page = cluster_table.PAGE.read_text("utf-8")
    assert page.endswith(cluster_table.section(json.loads(cluster_table.RESULT.read_text("utf-8"))))


@pytest.mark.slow
def test_the_snakefile_of_the_page_runs(reader: Path, zoo: Zoo) -> None:
    program = shutil.which("snakemake")
    if program is None:
        pytest.skip("snakemake is not installed; pip install snakemake installs it")
    (snakefile,) = [block for block in pages.blocks(cluster_table.PAGE) if block.language == "snakemake"]
    (reader / "Snakefile").write_text(snakefile.text)
    command = [program, "--cores", "2", "--quiet", "all"]
    result = subprocess.run(command, cwd=reader, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert zoo("scan", "dm6.fa", "-o", "tracks/whole", "--stride", "50", "--part-size", "3000")[0] == 0
    for target in ("dev", "hk"):
        tracks = [(reader / "tracks" / f"{name}.{target}.bw").read_bytes() for name in ("dm6", "whole")]
        assert tracks[0] == tracks[1]
