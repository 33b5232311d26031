"""Write the last section of docs/cluster.md from stored rates: python -m benchmarks.cluster_table [RESULT.json]

It has the core-hours of large jobs, and the number of workers they can use, from rates that test_genome.py measured.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT
from benchmarks.report import SHARED

RATES = "rates of long runs"
"""The table of test_genome.py with the rates; its columns follow."""

ITEMS, COMPUTED, READ, MERGED, BYTES = "what", "a second, computed", "a second, read", "a second, joined", "bytes each"

PAGE = ROOT / "docs" / "cluster.md"
RESULT = ROOT / "benchmarks" / "results" / "amd-two-cores-genome.json"
HEADING = "## How large it gets\n"


@dataclasses.dataclass(frozen=True)
class Work:
    """A large job. name: in the table.  kind: row of the rates.  items: windows, variants or sequences."""

    name: str
    kind: str
    items: int


WORK = (
    Work("fly genome (dm6, 143.7 Mb), stride 1", "windows at stride 1", 143_726_002),
    Work("human genome (hg38, 3.09 Gb), stride 1", "windows at stride 1", 3_088_269_832),
    Work("variants of 205 fly lines (DGRP freeze 2)", "variants", 4_438_427),
    Work("variants of 2,504 people (1000 Genomes, phase 3)", "variants", 88_300_000),
    Work("10^9 designs", "sequences", 10**9),
)
"""Bases of the assemblies at UCSC, alternative contigs of hg38 left out; Huang et al. 2014, doi:10.1101/gr.171546.113;
The 1000 Genomes Project Consortium 2015, doi:10.1038/nature15393."""


def section(document: dict[str, Any]) -> str:
    """The section, from HEADING on."""
    (entry,) = (one for one in document["benchmarks"] if one["extra_info"]["table"] == RATES)
    rates = {row[ITEMS]: row for row in entry["extra_info"]["rows"]}
    cores = document["machine_info"]["cores"]
    brand = document["machine_info"]["cpu"]["brand_raw"]
    lines = [
        HEADING,
        f"`python -m benchmarks.cluster_table` computes this from the rates of one worker with {cores} cores of",
        f"{brand}, by processor time, in `benchmarks/results/{RESULT.name}`. Reading the VCF and",
        "joining the parts are done only once. The last columns are the number of workers at which one of these takes",
        "as long as all predictions, and which one it is. More workers than that do not help.",
        *_shared(document["machine_info"]["stalled"]),
        "",
        "| work | items | core-hours | GB written | workers | then the limit is |",
        "|---|---|---|---|---|---|",
    ]
    for work in WORK:
        row = rates[work.kind]
        hours = work.items / row[COMPUTED] * cores / 3600
        limits = {"joining": row[MERGED], "reading": row[READ] or float("inf")}
        limit = min(limits, key=lambda name: limits[name])
        workers = max(1, round(limits[limit] / row[COMPUTED]))
        size = work.items * row[BYTES] / 1e9
        shown = f"{hours:,.1f}" if hours < 100 else f"{hours:,.0f}"
        lines.append(f"| {work.name} | {work.items:,} | {shown} | {size:,.1f} | {workers} | {limit} |")
    lines += [
        "",
        "| measured | a second, computed | a second, read | a second, joined | bytes each |",
        "|---|---|---|---|---|",
    ]
    for row in rates.values():
        numbers = [f"{row[name]:,}" if row[name] else "" for name in (COMPUTED, READ, MERGED, BYTES)]
        lines.append(f"| {' | '.join([row[ITEMS], *numbers])} |")
    lines += [
        "",
        "To raise the limit of reading, split the VCF by chromosome and run each file by itself. To raise the limit of",
        "joining, scan each chromosome by itself, with `--region` or `--regions`.",
    ]
    return "\n".join(lines) + "\n"


def _shared(stalled: float) -> list[str]:
    """A warning for results of a shared machine."""
    if stalled <= SHARED:
        return []
    return [
        "",
        f"**The machine was shared: its cores were stalled {stalled:.0%} of the time.** Take the core-hours as orders",
        "of magnitude. The numbers of workers are ratios within one run.",
    ]


def main(result: Path = RESULT) -> None:
    text = PAGE.read_text("utf-8")
    PAGE.write_text(text[: text.index(HEADING)] + section(json.loads(result.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
