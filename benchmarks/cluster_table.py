"""The last section of docs/cluster.md, from stored rates: python -m benchmarks.cluster_table [RESULT.json]

How much work there is and how many workers it keeps busy, computed from what test_genome.py measured on one machine.
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
"""The table of test_genome.py that this one is computed from; its columns:"""

ITEMS, COMPUTED, READ, MERGED, BYTES = "what", "a second, computed", "a second, read", "a second, joined", "bytes each"

PAGE = ROOT / "docs" / "cluster.md"
RESULT = ROOT / "benchmarks" / "results" / "amd-two-cores-genome.json"
HEADING = "## How large it gets\n"


@dataclasses.dataclass(frozen=True)
class Work:
    """name: for the table.  kind: a row of the rates.  items: how many there are."""

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
    """What the page says below HEADING."""
    (entry,) = (one for one in document["benchmarks"] if one["extra_info"]["table"] == RATES)
    rates = {row[ITEMS]: row for row in entry["extra_info"]["rows"]}
    cores = document["machine_info"]["cores"]
    brand = document["machine_info"]["cpu"]["brand_raw"]
    lines = [
        HEADING,
        f"From the rates of one worker, {cores} cores of {brand}, by processor time, in",
        f"`benchmarks/results/{RESULT.name}`, computed by `python -m benchmarks.cluster_table`. The last columns are",
        "the number of such workers at which what is done once, reading the VCF or joining the parts, takes as long as",
        "all that the workers do, and which of the two it is: with more workers, the model is no longer the limit.",
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
        "Several VCFs, one a chromosome, and one run a file raise the limit of reading; one scan a chromosome, with",
        "`--region` or `--regions`, raises that of joining.",
    ]
    return "\n".join(lines) + "\n"


def _shared(stalled: float) -> list[str]:
    """A line where the machine was not alone."""
    if stalled <= SHARED:
        return []
    return [
        "",
        f"**Measured on a shared machine, whose cores stood still {stalled:.0%} of the time**: of the core-hours only",
        "the order of magnitude means something; the numbers of workers are ratios within one run.",
    ]


def main(result: Path = RESULT) -> None:
    text = PAGE.read_text("utf-8")
    PAGE.write_text(text[: text.index(HEADING)] + section(json.loads(result.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
