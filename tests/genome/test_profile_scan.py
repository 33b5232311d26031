"""`zoo scan --profile`: the positions of a profile along a genome, against the network's own program."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import genomes
import numpy as np
import onnx
import pytest
from command_line import Zoo, one_line
from foreign import LENGTH, Network, network
from refusals import refuses

from zoo.dna.encoding import encode
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.frame import Frame, InputFrame, Profile, StrandFrame, Target
from zoo.genome import scan
from zoo.genome.options import ScanOptions, ShardOptions
from zoo.prediction.model import ModelSource
from zoo.weights.importers import framed, graph_import
from zoo.weights.importers.graphs import sources

pytest.importorskip("pysam", reason="pysam is not installed; the extra genome brings it")

PROFILE = Profile("coverage", "track", targets=("plus", "minus"), start=2)
FRAME = Frame(InputFrame(alphabet="ACGT"), StrandFrame("given"), (Target("a", "y"),), profiles=(PROFILE,))
SPAN = LENGTH - 3
CONTIGS = {"chr1": 7 * SPAN + 11, "short": LENGTH - 1, "chr2": LENGTH}


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    """The network of net.onnx, beside the genome g.fa."""
    monkeypatch.chdir(tmp_path)
    found = network()
    onnx.save(found.model, tmp_path / "foreign.onnx")
    graph_import.write([sources.read(tmp_path / "foreign.onnx")], FRAME, tmp_path / "net.onnx", None, "", "MIT")
    return found


def test_a_position_has_the_number_of_the_window_that_covers_it(foreign: Network, tmp_path: Path, zoo: Zoo) -> None:
    contigs = genomes.contigs(CONTIGS, unknown=0.02)
    contigs["chr1"] = contigs["chr1"][:SPAN] + "N" * LENGTH + contigs["chr1"][SPAN + LENGTH :]
    genomes.write(tmp_path / "g.fa", contigs)
    expected = {}
    for name, text in contigs.items():
        for start in range(0, len(text) - LENGTH + 1, SPAN):
            window = text[start : start + LENGTH]
            if window.upper().count("N") <= LENGTH / 2:
                outputs = foreign.run(framed.feeds(encode([window]), FRAME, foreign.inputs))
                for position in range(SPAN):
                    expected[name, start + 2 + position] = outputs["track"][0, :, position]
    rest = ("--weights", "net.onnx", "--format", "bedgraph", "-o", "t", "--profile", "coverage")
    assert zoo("scan", "g.fa", *rest, "--part-size", "3")[0] == 0
    described = json.loads((tmp_path / "t.json").read_text())["scan"]
    assert (described["profile"], described["stride"]) == ("coverage", SPAN)
    for column, target in enumerate(PROFILE.targets):
        found = {}
        for line in (tmp_path / f"t.{target}.bedgraph").read_text().splitlines():
            contig, start, stop, value = line.split("\t")
            found |= {(contig, place): float(value) for place in range(int(start), int(stop))}
        assert found.keys() == expected.keys()
        numbers = [expected[place][column] for place in found]
        np.testing.assert_allclose(list(found.values()), numbers, rtol=0, atol=1e-4)
    one_line(zoo, ("--profile", "coverage", "other"), "scan", "g.fa", *rest[:-1], "other", "--overwrite")
    one_line(zoo, ("--profile", "--both-strands"), "scan", "g.fa", *rest, "--both-strands", "--overwrite")
    one_line(zoo, ("--stride", "--profile"), "scan", "g.fa", *rest, "--stride", "5", "--overwrite")


def test_a_part_holds_no_more_numbers_than_one_of_targets(foreign: Network, tmp_path: Path) -> None:  # noqa: ARG001
    genomes.write(tmp_path / "g.fa", genomes.contigs({"chr1": 9 * SPAN}))
    source = ModelSource(weights=tmp_path / "net.onnx")
    options, sharing = ScanOptions(profile="coverage"), ShardOptions(part_size=2 * SPAN)
    job = scan.ScanJob(tmp_path / "g.fa", tmp_path / "t", model_source=source, options=options, sharing=sharing)
    with IndexedFasta(job.genome, job.ambiguous) as genome:
        assert set(job.open(genome, source.spec()).sizes) == {2}


@pytest.mark.parametrize(
    ("start", "bases", "place"),
    [(None, 1, None), (0, 1, (0, SPAN)), (3, 1, (3, LENGTH)), (4, 1, None), (0, 2, None)],
)
def test_a_profile_says_where_it_is(start: int | None, bases: int, place: tuple[int, int] | None) -> None:
    one = dataclasses.replace(PROFILE, start=start, bases=bases, positions=SPAN)
    if place is None:
        with refuses("start"):
            one.place(LENGTH)
    else:
        assert one.place(LENGTH) == place


def test_each_target_of_a_profile_has_a_name() -> None:
    frame = dataclasses.replace(FRAME, profiles=(dataclasses.replace(PROFILE, targets=()),))
    with refuses("2 targets", "coverage"):
        framed.with_positions(frame, network().outputs)
