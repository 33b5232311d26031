"""Ensembles along a genome: tracks, intervals and effects are NumPy's mean and spread of the members' own."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import Zoo
from refusals import refuses
from tables import mean_and_sd

import zoo as package
from zoo.card import Card
from zoo.genome.job import run_job
from zoo.genome.options import ScanOptions, ShardOptions
from zoo.genome.scan import ScanJob
from zoo.prediction.model import ModelSource
from zoo.weights import checkpoint, folds, lookup
from zoo.weights.checkpoint import Checkpoint

HELD_OUT: tuple[tuple[str, ...], ...] = (("one",), ("one", "two"), ("two",))

BED = "one\t10\t63\ta\t0\t+\ntwo\t20\t160\tb\t0\t-\none\t0\t200\tc\t0\t+\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    for seed, held_out in enumerate(HELD_OUT):
        made = random_checkpoint(ODD, seed=seed)
        spec = dataclasses.replace(made.spec, card=Card(held_out=held_out, unit="log2 enrichment"))
        checkpoint.save(Checkpoint(spec, made.arrays), folder / f"m{seed}.safetensors")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    random = np.random.default_rng(0)
    letters = {name: "".join(random.choice(list("ACGT"), size)) for name, size in (("one", 300), ("two", 200))}
    letters["one"] = letters["one"][:100] + "N" * 60 + letters["one"][160:]
    path.write_text("".join(f">{name}\n{text}\n" for name, text in letters.items()) + ">three\n" + "ACGT" * 20 + "\n")
    return path


def scanned(genome: Path, folder: Path, weights: list[Path], **options: object) -> Any:
    """The table of a scan, as a DataFrame."""
    folder.mkdir(exist_ok=True)
    source = ModelSource(weights=tuple(weights), runtime="kmer-cpu")
    chosen = ScanOptions(format="parquet", stride=3, targets=("c", "a"), **options)  # type: ignore[arg-type]
    sharing = ShardOptions(part_size=50)
    run_job(ScanJob(genome, folder / "t", chosen, model_source=source, sharing=sharing, overwrite=True))
    (table,) = folder.glob("t*.parquet")
    return pandas.read_parquet(table)


@pytest.mark.parametrize("options", [{}, {"aggregate": "mean"}, {"scale": "linear"}, {"held_out": False}])
def test_tracks_are_the_mean_and_spread_of_the_members_tracks(
    genome: Path, files: list[Path], tmp_path: Path, options: dict[str, object]
) -> None:
    runs = [scanned(genome, tmp_path / path.stem, [path], **options) for path in files]
    found = scanned(genome, tmp_path / "all", files, **options)
    assert list(found.columns) == ["chrom", "start", "end", "c", "c_sd", "a", "a_sd"]
    for target in ("c", "a"):
        mean, sd = mean_and_sd([run[target].to_numpy() for run in runs])
        np.testing.assert_array_equal(found[target], mean)
        np.testing.assert_array_equal(found[f"{target}_sd"], sd)


def test_each_chromosome_of_a_scan_is_predicted_by_members_that_held_it_out(
    genome: Path, files: list[Path], tmp_path: Path
) -> None:
    two = tmp_path / "two.fa"
    two.write_text(genome.read_text().partition(">three")[0])
    runs = [scanned(two, tmp_path / path.stem, [path]) for path in files]
    found = scanned(two, tmp_path / "all", files, held_out=True)
    for contig in ("one", "two"):
        there = (found.chrom == contig).to_numpy()
        used = [run["a"].to_numpy()[there] for run, held_out in zip(runs, HELD_OUT, strict=True) if contig in held_out]
        mean, sd = mean_and_sd(used)
        np.testing.assert_array_equal(found["a"][there], mean)
        np.testing.assert_array_equal(found["a_sd"][there], sd)
    with refuses("three"):
        scanned(genome, tmp_path / "other", files, held_out=True)
    # over one member there is no spread: a single fold for each chromosome
    alone = scanned(two, tmp_path / "alone", [files[0], files[2]], held_out=True)
    assert list(alone.columns) == ["chrom", "start", "end", "c", "a"]
    there = (alone.chrom == "two").to_numpy()
    np.testing.assert_array_equal(alone["c"][there], runs[2]["c"][there])


def test_a_scan_is_not_resumed_with_other_members(genome: Path, files: list[Path], tmp_path: Path) -> None:
    def job(weights: list[Path], **changes: object) -> ScanJob:
        sharing = ShardOptions(**{"part_size": 50, "shard": "1/2", **changes})
        source = ModelSource(weights=tuple(weights), runtime="kmer-cpu")
        return ScanJob(genome, tmp_path / "t", ScanOptions(format="bedgraph"), model_source=source, sharing=sharing)

    run_job(job(files))
    for others in (files[:2], files[::-1]):
        with refuses("another run", "weights"):
            run_job(job(others, shard=None, resume=True))
    described = run_job(job(files, shard=None, resume=True))
    assert sorted(path.name for path in tmp_path.glob("t.*")) == [
        *(f"t.{name}.bedgraph" for name in ("a", "a_sd", "b", "b_sd", "c", "c_sd")), "t.json",
    ]  # fmt: skip
    assert len(described["weights"]["members"]) == len(files)


@pytest.mark.parametrize("summary", ["center", "max", "mean"])
@pytest.mark.parametrize("held_out", [False, True])
def test_intervals(genome: Path, files: list[Path], tmp_path: Path, summary: str, held_out: bool) -> None:
    bed = tmp_path / "i.bed"
    bed.write_text(BED)
    options = {"summary": summary, "runtime": "kmer-cpu"}
    ensemble = package.predict_intervals(bed, genome, files, held_out=held_out, **options)
    runs = [package.predict_intervals(bed, genome, path, **options) for path in files]
    for row, contig in enumerate(ensemble.chrom):
        used = [run for run, of in zip(runs, HELD_OUT, strict=True) if contig in of or not held_out]
        mean, sd = mean_and_sd([run["b"][row : row + 1].to_numpy() for run in used])
        if summary != "max" or row < 1:  # the maximum is that of the mean
            np.testing.assert_array_equal(ensemble["b"][row : row + 1], mean)
            np.testing.assert_array_equal(ensemble["b_sd"][row : row + 1], sd)
        elif not held_out:
            there = ensemble["position_b"][row]
            one = package.predict_intervals(
                [(contig, there - 26, there + 27, "", 0, ensemble.strand[row])], genome, files, **options
            )
            np.testing.assert_array_equal([one["b"][0], one["b_sd"][0]], [ensemble["b"][row], ensemble["b_sd"][row]])


def test_the_command_says_how_many_members_predicted_what(
    genome: Path, files: list[Path], tmp_path: Path, zoo: Zoo
) -> None:
    bed, output = tmp_path / "i.bed", tmp_path / "o.tsv"
    bed.write_text(BED)
    arguments = ("--genome", genome, "--weights", ",".join(map(str, files[1:])), "--held-out", "--runtime", "kmer-cpu")
    status, _, said = zoo("predict", "--bed", bed, *arguments, "-o", output)
    assert status == 0
    assert "one by 1, two by 2 of 2 members" in said
    assert json.loads((tmp_path / "o.tsv.json").read_text())["held_out_members"] == {"one": 1, "two": 2}
    header, *rows = (line.split("\t") for line in output.read_text().splitlines())
    assert [(row[0], row[header.index("a_sd")] == "NA") for row in rows] == [
        ("one", True), ("two", False), ("one", True),
    ]  # fmt: skip
    bed.write_text("three\t0\t53\n")
    status, _, said = zoo("predict", "--bed", bed, *arguments)
    assert (status, "three" in said, said.count("\n")) == (2, True, 1)


def test_effects_their_spread_and_the_members_that_agree(
    genome: Path, files: list[Path], tmp_path: Path, zoo: Zoo
) -> None:
    letters = dict(record.split("\n")[:2] for record in genome.read_text().split(">")[1:])
    rows = [
        (contig, place, letters[contig][place - 1], "ACGT"["CGTA".index(letters[contig][place - 1])])
        for contig, place in (("one", 40), ("two", 60), ("two", 99), ("one", 250))
    ]
    runs = [package.variant_effects(rows, genome, path, runtime="kmer-cpu") for path in files]
    for held_out in (False, True):
        found = package.variant_effects(rows, genome, files, held_out=held_out, runtime="kmer-cpu")
        for row, (contig, *_) in enumerate(rows):
            used = [run for run, of in zip(runs, HELD_OUT, strict=True) if contig in of or not held_out]
            for name in ("ref_a", "alt_c", "delta_b"):
                mean, _ = mean_and_sd([run[name][row : row + 1].to_numpy() for run in used])
                np.testing.assert_array_equal(found[name][row : row + 1], mean)
            each = np.array([run["delta_b"][row] for run in used])
            _, sd = mean_and_sd([each[:, None].astype(np.float32)[number] for number in range(len(each))])
            assert found["b_delta_sd"][row] == sd[0]
            agree = np.mean(np.sign(each) == np.sign(found["delta_b"][row]))
            assert found["b_agreement"][row] == np.float32(agree)
    (tmp_path / "v.vcf").write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=one,length=300>\n##contig=<ID=two,length=200>\n"
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        + "".join(f"{contig}\t{place}\t.\t{ref}\t{alt}\t.\t.\t.\n" for contig, place, ref, alt in rows[:1])
    )
    weights = ",".join(map(str, files))
    arguments = ("variants", tmp_path / "v.vcf", "--genome", genome, "--weights", weights, "--runtime", "kmer-cpu")
    assert zoo(*arguments, "-o", tmp_path / "o.vcf")[0] == 0
    info = dict(field.split("=") for field in (tmp_path / "o.vcf").read_text().split()[-1].split(";"))
    assert float(info["ZOO_DELTA_SD_b"]) == pytest.approx(np.std([run["delta_b"][0] for run in runs], ddof=1))
    assert "ZOO_AGREEMENT_a" in info
    # in parts, the same bytes
    assert zoo(*arguments, "-o", tmp_path / "o.tsv")[0] == 0
    assert zoo(*arguments, "-o", tmp_path / "p.tsv", "--part-size", "1")[0] == 0
    assert (tmp_path / "o.tsv").read_bytes() == (tmp_path / "p.tsv").read_bytes()


def test_what_a_fold_held_out_decides_for_variants_of_a_loaded_model(
    genome: Path, files: list[Path], tmp_path: Path
) -> None:
    run = tmp_path / "fold-0"
    run.mkdir()
    shutil.copy(files[2], run / lookup.RUN_WEIGHTS)  # its card lists another chromosome
    (run / lookup.RUN_RECEIPTS).write_text('{"status": "finished"}')
    folds.write(tmp_path, folds.FINISHED, [folds.FoldMember("fold-0", 0, held_out=("one",))], {})
    base = genome.read_text().split("\n")[1][39]
    row = ("one", 40, base, "ACGT"["CGTA".index(base)])
    found = package.variant_effects([row], genome, run, held_out=True, runtime="kmer-cpu")
    assert np.isfinite(found["delta_a"]).all()
    with refuses("three", "list", "one"):
        package.variant_effects([("three", 40, "T", "A")], genome, run, held_out=True, runtime="kmer-cpu")


def test_weights_that_do_not_say_what_they_held_out_are_refused(genome: Path, tmp_path: Path) -> None:
    checkpoint.save(random_checkpoint(ODD), tmp_path / "w.safetensors")
    with refuses("--held-out", "card"):
        package.predict_intervals([("one", 0, 53)], genome, tmp_path / "w.safetensors", held_out=True)
