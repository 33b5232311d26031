"""Work shared out by Ray: a cluster of three nodes, one of which is lost, gives the bytes of one process."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import genomes
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import RUNTIME, Zoo, one_line
from refusals import refuses

from zoo.errors import MissingDependency
from zoo.genome import ray_cluster, scan, shards, shared_files, variants
from zoo.genome.job import run_job
from zoo.genome.options import ScanOptions, ShardOptions
from zoo.options import RunOptions
from zoo.prediction.model import ModelSource, load
from zoo.prediction.run import PredictionJob, predict_file
from zoo.weights import checkpoint

LOADING = ModelSource(weights="w.safetensors", runtime=RUNTIME[1])


def ray() -> Any:
    return pytest.importorskip("ray", reason="ray is not installed; the extra ray brings it")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes of one core each on this machine."""
    ray()
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.add_node(num_cpus=1)
    ray().init(address=made.address, logging_level="ERROR", log_to_driver=False)
    yield made
    ray().shutdown()
    made.shutdown()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The working folder, with weights w.safetensors, a genome g.fa, variants v.vcf and five files of sequences."""
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), tmp_path / "w.safetensors")
    contigs = genomes.contigs({"chr2": 2000, "chr10": 900}, unknown=0.01)
    genomes.write(tmp_path / "g.fa", contigs)
    generator = random.Random(0)
    places = sorted(generator.sample(range(2000), 150))
    rows = [f"chr2\t{place + 1}\t.\t{contigs['chr2'][place]}\t{generator.choice('ACGT')}\t.\t.\t." for place in places]
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    (tmp_path / "v.vcf").write_text("\n".join([header, *rows, ""]))
    for number in range(5):
        texts = [
            "".join("ACGTN"[code] for code in row) for row in random_codes(300 + number, ODD.sequence_length, number)
        ]
        (tmp_path / f"{number}.fa").write_text("".join(f">s{row}\n{text}\n" for row, text in enumerate(texts)))
    return contigs


def tracks() -> list[bytes]:
    return [Path(f"t.{target}.bedgraph").read_bytes() for target in "abc"]


@pytest.mark.slow
def test_a_node_that_is_lost_changes_nothing(cluster: Any, made: dict[str, str]) -> None:  # noqa: ARG001
    sharing, options = ShardOptions(part_size=100), ScanOptions(format="bedgraph", aggregate="mean")
    job = scan.ScanJob(Path("g.fa"), Path("t"), options, model_source=LOADING, sharing=sharing, overwrite=True)
    run_job(job)
    alone = tracks()
    nodes = list(cluster.worker_nodes)
    done: list[int] = []

    def on_progress(count: int, _: int) -> None:
        if not done:
            cluster.remove_node(nodes[0], allow_graceful=False)
        done.append(count)

    described = run_job(job, on_progress, ray_cluster.workers(cluster.address))
    assert tracks() == alone
    assert len(done) == -(-described["counts"]["records"] // 100)
    assert nodes[0] not in cluster.worker_nodes
    assert not Path("t.parts").exists()


@pytest.mark.slow
def test_variants_and_files_are_the_same_to_the_byte(cluster: Any, made: dict[str, str]) -> None:  # noqa: ARG001
    on_ray = ray_cluster.workers(cluster.address)
    sharing = ShardOptions(part_size=20)
    job = variants.VariantsJob(
        Path("g.fa"), Path("e.tsv"), variants=Path("v.vcf"), model_source=LOADING, sharing=sharing, overwrite=True
    )
    run_job(job)
    alone = Path("e.tsv").read_bytes()
    run_job(job, workers=on_ray)
    assert Path("e.tsv").read_bytes() == alone

    sources = tuple(f"{number}.fa" for number in range(5))
    files = PredictionJob(sources, Path("p.tsv.gz"), overwrite=True)
    expected = predict_file(load(weights="w.safetensors", runtime=RUNTIME[1], rc="average"), files)
    alone = Path("p.tsv.gz").read_bytes()
    described = shared_files.predict_files(files, dataclasses.replace(LOADING, rc="average"), on_ray, lambda _: None)
    assert Path("p.tsv.gz").read_bytes() == alone
    assert described == expected == json.loads(Path("p.tsv.gz.json").read_text())
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]


def test_files_in_parts_give_the_table_of_one_run(made: dict[str, str]) -> None:  # noqa: ARG001
    sources = tuple(f"{number}.fa" for number in range(5))
    whole = PredictionJob(sources, Path("p.csv"), command="zoo predict")
    expected = predict_file(load(weights="w.safetensors", runtime=RUNTIME[1], batch_size=7), whole)
    model_source = dataclasses.replace(LOADING, running=RunOptions(batch_size=7))
    done: list[int] = []
    in_parts = dataclasses.replace(whole, output=Path("q.csv"))
    described = shared_files.predict_files(in_parts, model_source, shards.alone, done.append)
    assert Path("q.csv").read_bytes() == Path("p.csv").read_bytes()
    assert described == expected == json.loads(Path("q.csv.json").read_text())
    assert sum(done) == expected["counts"]["records"]


@pytest.mark.slow
def test_what_is_wrong_with_a_part_is_said_as_it_is(cluster: Any, made: dict[str, str]) -> None:  # noqa: ARG001
    Path("3.fa").write_text(">s\nACGT\n")
    job = PredictionJob(tuple(f"{number}.fa" for number in range(5)), Path("p.tsv"))
    with refuses("3.fa", "record 1 (s)", 53, 4, "--crop-or-pad"):
        shared_files.predict_files(job, LOADING, ray_cluster.workers(cluster.address), lambda _: None)
    assert not Path("p.tsv").exists()


def test_usage(zoo: Zoo, made: dict[str, str]) -> None:  # noqa: ARG001
    ray()
    words = ("predict", "--weights", "w.safetensors", *RUNTIME, "--ray", "local")
    one_line(zoo, ["--ray", "-o"], *words, "0.fa")
    one_line(zoo, ["--ray", "standard input"], *words, "-", "-o", "out.tsv")
    intervals = ("--region", "chr2:1-53", "--genome", "g.fa", "-o", "out.tsv")
    one_line(zoo, ["--ray", "FASTA", "zoo scan", "zoo variants"], *words, *intervals)


def test_without_ray_one_line_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with refuses("ray", "pip install 'deepstarr-zoo[ray]'", kind=MissingDependency):
        ray_cluster.workers("local")
