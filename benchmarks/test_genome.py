"""Whole commands on genomes: tracks and variants compared with scripts, and the rates of long runs.

Every effect that `zoo variants` writes is compared with two predictions of sequences that are built here by hand.
Speed depends on the weights, see test_windows.py. The genome is random unless one is given with --genome.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.cluster_table import BYTES, COMPUTED, ITEMS, MERGED, RATES, READ
from benchmarks.measure import Usage, needs, run, zoo
from benchmarks.peers import naive_graph
from zoo.formats import table_writer, vcf
from zoo.prediction.model import load
from zoo.system import machine
from zoo.weights import checkpoint, lookup
from zoo.weights.checkpoint import Checkpoint

needs("pysam", "pyBigWig", "pyfaidx", "pyarrow")

BASES = 1_000_000
"""Bases in each of two random contigs, if no genome is given."""

TEXT_WINDOWS = 200_000
"""Windows to write as FASTA for zoo predict."""

NAIVE_BASES = 20_000
"""Bases of each contig that the script scans."""

VARIANTS = 100_000
NAIVE_VARIANTS = 5_000
BACKGROUND_WINDOWS = 1_000_000
RANDOM_VARIANTS = 1_000
"""Of each kind."""

ROUNDS = 2
TOLERANCE = 2e-5
"""Largest difference from float32 rounding in the whole network."""


@pytest.fixture(scope="module")
def weights(request: pytest.FixtureRequest) -> Checkpoint:
    given = request.config.getoption("--weights")
    return checkpoint.load(given) if given else lookup.load("original")


@pytest.fixture(scope="module")
def folder(weights: Checkpoint, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder with w.safetensors, naive.onnx, g.fa with its index, and v.vcf."""
    made = tmp_path_factory.mktemp("genome")
    checkpoint.save(weights, made / "w.safetensors")
    (made / "naive.onnx").write_bytes(naive_graph.graph(weights.config, weights.arrays))
    given = request.config.getoption("--genome")
    if given:
        shutil.copy(given, made / "g.fa")
    else:
        letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, (2, BASES))]
        (made / "g.fa").write_bytes(
            b"".join(b">c%d\n%s\n" % (number, row.tobytes()) for number, row in enumerate(letters))
        )
    contigs = _contigs(made / "g.fa")
    rows = _random_variants(contigs, VARIANTS)
    header = ["##fileformat=VCFv4.2", *(f"##contig=<ID={name},length={len(text)}>" for name, text in contigs.items())]
    header.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    lines = [f"{contig}\t{place + 1}\t.\t{ref}\t{alt}\t.\t.\t." for contig, place, ref, alt in rows]
    (made / "v.vcf").write_text("\n".join([*header, *lines, ""]))
    (made / "few.vcf").write_text("\n".join([*header, *lines[:NAIVE_VARIANTS], ""]))
    return made


def _contigs(path: Path) -> dict[str, str]:
    """Name -> sequence, in plain Python."""
    records = path.read_text().split(">")[1:]
    return {text.split(None, 1)[0]: "".join(text.split("\n")[1:]) for text in records}


def _random_variants(contigs: dict[str, str], count: int) -> list[tuple[str, int, str, str]]:
    """Contig, 0-based position, REF and ALT, sorted. Two thirds are substitutions, the others indels."""
    generator = random.Random(0)
    found = []
    for contig, sequence in contigs.items():
        for place in sorted(generator.randrange(200, len(sequence) - 500) for _ in range(count // len(contigs))):
            ref = sequence[place].upper()
            kind = generator.randrange(6)
            alt = "".join(generator.choice("ACGT") for _ in range(generator.randint(1, 30)))
            if kind == 0:
                found.append((contig, place, ref, ref + alt))
            elif kind == 1:
                found.append((contig, place, sequence[place : place + 1 + len(alt)].upper(), ref))
            else:
                found.append((contig, place, ref, generator.choice([base for base in "ACGT" if base != ref])))
    return found


def _scan(folder: Path, *options: object) -> list[str]:
    return zoo("scan", folder / "g.fa", "--weights", folder / "w.safetensors", "-o", folder / "t", *options)


def _score(folder: Path, *options: object, calls: str = "v.vcf") -> list[str]:
    words = ("--genome", folder / "g.fa", "--weights", folder / "w.safetensors", "-o", folder / "e.tsv")
    return zoo("variants", folder / calls, *words, *options)


def _peer(folder: Path, *words: object) -> list[str]:
    what, given, output = words
    script = [sys.executable, "-m", "benchmarks.peers.genome_script"]
    return [*script, *map(str, (what, folder / "naive.onnx", folder / "g.fa", given, output))]


def _in_turns(ways: dict[str, list[str]]) -> dict[str, list[Usage]]:
    used: dict[str, list[Usage]] = {name: [] for name in ways}
    for _, (name, command) in itertools.product(range(ROUNDS), ways.items()):
        used[name].append(run(command))
    return used


def _rows(used: dict[str, list[Usage]], numbers: dict[str, int], item: str) -> list[dict[str, Any]]:
    rates = {name: numbers[name] / min(usage.seconds for usage in usages) for name, usages in used.items()}
    fastest = next(iter(rates.values()))
    return [
        {
            "way": name,
            item: numbers[name],
            "seconds": round(min(usage.seconds for usage in used[name]), 1),
            f"{item} a second": round(rate),
            "zoo is faster by": round(fastest / rate, 1),
            "peak MB": round(max(usage.memory for usage in used[name]) / 1e6),
        }
        for name, rate in rates.items()
    ]


def test_tracks(benchmark: Any, folder: Path) -> None:
    """Whole commands that write both targets to bigWig. The slow ones do a part; their rates include their start."""
    contigs = _contigs(folder / "g.fa")
    _write_windows(folder)
    ways = {
        "zoo scan": _scan(folder, "--overwrite"),
        "zoo predict, windows as FASTA": zoo(
            "predict", folder / "windows.fa", "--weights", folder / "w.safetensors", "--ambiguous-as-n",
            "-o", folder / "p.tsv", "--overwrite",
        ),
        "script, ONNX Runtime": _peer(folder, "scan", NAIVE_BASES, folder / "naive"),
    }  # fmt: skip
    used: dict[str, list[Usage]] = {}
    benchmark.pedantic(lambda: used.update(_in_turns(ways)), rounds=1)
    numbers = (sum(len(text) - 248 for text in contigs.values()), TEXT_WINDOWS, len(contigs) * (NAIVE_BASES - 248))
    benchmark.extra_info["table"] = "tracks of a genome, stride 1, two targets to bigWig"
    benchmark.extra_info["rows"] = _rows(used, dict(zip(ways, numbers, strict=True)), "windows")
    benchmark.extra_info["rows"][0]["largest difference to the script"] = f"{_difference_of_tracks(folder):.1e}"


def _difference_of_tracks(folder: Path) -> float:
    """Largest difference between our tracks and those of the script."""
    import pyBigWig

    largest = 0.0
    for target in ("dev", "hk"):
        ours, theirs = (pyBigWig.open(str(folder / f"{name}.{target}.bw")) for name in ("t", "naive"))
        for contig in ours.chroms():
            expected = theirs.values(contig, 0, NAIVE_BASES - 124, numpy=True)
            found = ours.values(contig, 0, NAIVE_BASES - 124, numpy=True)
            largest = max(largest, float(np.nanmax(np.abs(found - expected))))
    assert largest < TOLERANCE
    return largest


def test_effects(benchmark: Any, folder: Path) -> None:
    """Whole commands; then every effect is compared with the prediction of sequences built here."""
    ways = {
        "zoo variants": _score(folder, "--overwrite"),
        "script, ONNX Runtime": _peer(folder, "variants", folder / "few.vcf", folder / "naive.tsv"),
    }
    used: dict[str, list[Usage]] = {}
    benchmark.pedantic(lambda: used.update(_in_turns(ways)), rounds=1)
    count = len(_random_variants(_contigs(folder / "g.fa"), VARIANTS))
    benchmark.extra_info["table"] = "effects of variants, substitutions and indels, VCF to table"
    benchmark.extra_info["rows"] = _rows(used, dict(zip(ways, (count, NAIVE_VARIANTS), strict=True)), "variants")
    largest = _difference_of_effects(folder)
    benchmark.extra_info["rows"][0]["largest difference to sequences built by hand"] = f"{largest:.1e}"


def _difference_of_effects(folder: Path) -> float:
    contigs = {name: text.upper() for name, text in _contigs(folder / "g.fa").items()}
    pairs = []
    for contig, p, ref, alt in _random_variants(contigs, VARIANTS):
        sequence = contigs[contig]
        haplotype = sequence[p - 124 : p] + alt + sequence[p + len(ref) : p + len(ref) + 249]
        pairs.append((sequence[p - 124 : p + 125], haplotype[:249]))
    model = load(weights=folder / "w.safetensors", ambiguous="n")
    ref_values, alt_values = (model.predict([pair[side] for pair in pairs]) for side in (0, 1))
    expected = np.stack([ref_values, alt_values, alt_values - ref_values], axis=2).reshape(len(pairs), -1)
    header, *rows = (line.split("\t") for line in (folder / "e.tsv").read_text().splitlines())
    assert header[5:8] == ["ref_dev", "alt_dev", "delta_dev"]
    found = np.array([row[5:-1] for row in rows], np.float64)
    largest = float(np.abs(found - expected).max())
    assert largest < TOLERANCE
    return largest


def _seconds(work: Callable[[], object]) -> float:
    """Processor seconds; on a shared machine elapsed seconds mean little."""
    began = time.process_time()
    work()
    return time.process_time() - began


def test_long_runs(benchmark: Any, folder: Path) -> None:
    """Rates of one worker, and of what is done only once: reading variants, and joining parts.

    Rates are by processor seconds: of all cores for a worker, of one core for what is done once.
    """
    used: dict[str, Usage] = {}

    def turns() -> None:
        for name, command in (
            ("scan", _scan(folder, "--shard", "1/1", "--overwrite")),
            ("tracks", _scan(folder, "--merge", "--overwrite")),
            ("score", _score(folder, "--shard", "1/1", "--overwrite")),
            ("table", _score(folder, "--merge", "--overwrite")),
        ):
            used[name] = run(command)

    benchmark.pedantic(turns, rounds=1)
    windows = json.loads((folder / "t.json").read_text())["counts"]["records"]
    alleles = json.loads((folder / "e.tsv.json").read_text())["counts"]["records"]
    tracks = sum((folder / f"t.{target}.bw").stat().st_size for target in ("dev", "hk"))
    reading = alleles / _seconds(lambda: sum(1 for _ in vcf.Records(folder / "v.vcf")))
    benchmark.extra_info["table"] = RATES
    benchmark.extra_info["rows"] = [
        {
            ITEMS: "windows at stride 1",
            COMPUTED: round(windows * machine.cores() / used["scan"].busy),
            READ: "",
            MERGED: round(windows / used["tracks"].busy),
            BYTES: round(tracks / windows, 1),
        },
        {
            ITEMS: "variants",
            COMPUTED: round(alleles * machine.cores() / used["score"].busy),
            READ: round(reading),
            MERGED: round(alleles / used["table"].busy),
            BYTES: round((folder / "e.tsv").stat().st_size / alleles, 1),
        },
        _sequences(folder),
    ]


def test_backgrounds(benchmark: Any, folder: Path) -> None:
    """A background of many windows, then commands without and with it. Seconds are those of the processor."""
    lines = (folder / "v.vcf").read_text().splitlines()
    header = [line for line in lines if line.startswith("#")]
    (folder / "ranked.vcf").write_text("\n".join([*header, *lines[len(header) :: 10], ""]))
    weights, given = ("--weights", folder / "w.safetensors"), ("--background", folder / "bg.npz")
    kinds = ("--random-variants", RANDOM_VARIANTS, "--variants", folder / "ranked.vcf")
    background = zoo("background", "--genome", folder / "g.fa", *weights, "-o", folder / "bg.npz", "--overwrite")
    scored = _score(folder, "--overwrite", calls="ranked.vcf")
    groups = {
        f"zoo background, {BACKGROUND_WINDOWS:,} windows": [*background, "--windows", str(BACKGROUND_WINDOWS)],
        "... and random variants": [*background, "--windows", str(BACKGROUND_WINDOWS), *map(str, kinds)],
        "zoo scan": _scan(folder, "--overwrite"),
        "... with tracks of percentiles": _scan(folder, "--overwrite", *given),
        "... and peaks": _scan(folder, "--overwrite", *given, "--threshold-percentile", 99.9),
        f"zoo variants, {len(lines[len(header) :: 10]):,} alleles": scored,
        "... with p, q and percentiles": [*scored, *map(str, given)],
    }
    used: dict[str, Usage] = {}
    benchmark.pedantic(lambda: used.update({name: run(command) for name, command in groups.items()}), rounds=1)
    plain = 0.0
    rows = []
    for name, usage in used.items():
        plain = plain if name.startswith("...") else usage.busy
        ratio = round(usage.busy / plain, 2) if name.startswith("...") else 1
        rows.append(
            {"way": name, "seconds": round(usage.busy, 1), "times": ratio, "peak MB": round(usage.memory / 1e6)}
        )
    benchmark.extra_info["table"] = "percentiles and p-values, two targets, stride 1"
    benchmark.extra_info["rows"] = rows


def _sequences(folder: Path) -> dict[str, Any]:
    """The row of zoo predict, where joining on a cluster means writing the table."""
    _write_windows(folder)
    words = ("--weights", folder / "w.safetensors", "--ambiguous-as-n", "-o", folder / "p.tsv", "--overwrite")
    used = run(zoo("predict", folder / "windows.fa", *words))
    values = np.random.default_rng(0).normal(0, 1, (TEXT_WINDOWS, 2)).astype(np.float32)
    names = [str(number) for number in range(TEXT_WINDOWS)]
    return {
        ITEMS: "sequences",
        COMPUTED: round(TEXT_WINDOWS * machine.cores() / used.busy),
        READ: "",  # each worker reads its own files
        MERGED: round(TEXT_WINDOWS / _seconds(lambda: table_writer.rows(names, values))),
        BYTES: round((folder / "p.tsv").stat().st_size / TEXT_WINDOWS, 1),
    }


def _write_windows(folder: Path) -> None:
    """Write the first windows of the genome as windows.fa."""
    first = next(iter(_contigs(folder / "g.fa").values()))
    lines = (f">{start}\n{first[start : start + 249]}\n" for start in range(TEXT_WINDOWS))
    (folder / "windows.fa").write_text("".join(lines))
