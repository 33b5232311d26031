"""Intervals of a genome: the window around each centre on its strand, against sequences cut in plain Python."""

from __future__ import annotations

import json
from pathlib import Path

import genomes
import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import RUNTIME, Zoo, one_line

from zoo.prediction import run as prediction
from zoo.prediction.model import load
from zoo.weights import checkpoint

pytest.importorskip("pysam", reason="pysam is not installed; the extra genome brings it")

L = ODD.sequence_length

BED = [
    ("chr2", 100, 153, "whole", "+"),
    ("chr2", 100, 153, "whole", "-"),
    ("chr10", 3, 8, "first", "."),
    ("chr10", 395, 400, "last", "-"),
    ("chr2", 400, 401, "one", "+"),
    ("chr2", 0, 900, "all", "."),
]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The working folder, with weights w.safetensors, the genome g.fa and the intervals p.bed."""
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), tmp_path / "w.safetensors")
    contigs = genomes.contigs({"chr2": 900, "chr10": 400}, unknown=0.02)
    genomes.write(tmp_path / "g.fa", contigs)
    lines = [f"{contig}\t{start}\t{end}\t{name}\t0\t{strand}" for contig, start, end, name, strand in BED]
    (tmp_path / "p.bed").write_text("\n".join([*lines, ""]))
    return contigs


def expected(contigs: dict[str, str], rows: list[tuple[str, int, str]]) -> np.ndarray:
    """Predictions of contig, centre and strand."""
    model = load(weights="w.safetensors", runtime=RUNTIME[1])
    return model.predict([genomes.window(contigs[contig], centre, L, strand) for contig, centre, strand in rows])


def values(table: str, labels: int = 5) -> np.ndarray:
    return np.array([line.split("\t")[labels:] for line in table.splitlines()[1:]], np.float32)


def run(zoo: Zoo, *words: object) -> tuple[int, str, str]:
    return zoo("predict", "--weights", "w.safetensors", *RUNTIME, *words)


def test_one_row_an_interval_in_order_on_its_strand(zoo: Zoo, made: dict[str, str]) -> None:
    status, out, err = run(zoo, "--bed", "p.bed", "--genome", "g.fa", "-o", "out.tsv")
    assert (status, out) == (0, "")
    table = Path("out.tsv").read_text()
    assert table.splitlines()[0] == "chrom\tstart\tend\tname\tstrand\ta\tb\tc"
    assert [tuple(line.split("\t")[:5]) for line in table.splitlines()[1:]] == [
        tuple(map(str, interval)) for interval in BED
    ]
    centres = [(contig, (start + end) // 2, strand) for contig, start, end, _, strand in BED]
    np.testing.assert_array_equal(values(table), expected(made, centres))
    assert err.startswith("zoo: 6 intervals, 2 padded; kmer-cpu;")
    described = json.loads(Path("out.tsv.json").read_text())
    assert described["counts"] == {"records": 6, "padded": 2, "skipped": 0, "mostly_unknown": 0}
    assert described["genome"] == "g.fa"
    assert described["inputs"] == [{"file": "p.bed", "records": 6}]


def test_batches_do_not_show(zoo: Zoo, made: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    _, whole, _ = run(zoo, "--bed", "p.bed", "--genome", "g.fa")
    monkeypatch.setattr(prediction, "CHUNK_RECORDS", 2)
    _, out, _ = run(zoo, "--bed", "p.bed", "--genome", "g.fa", "--batch-size", 2)
    assert [line.split("\t")[:5] for line in out.splitlines()] == [line.split("\t")[:5] for line in whole.splitlines()]
    np.testing.assert_allclose(values(out), values(whole), atol=2e-5)


def test_narrow_peaks_are_predicted_around_their_summit(zoo: Zoo, made: dict[str, str]) -> None:
    Path("p.narrowPeak").write_text("chr2\t100\t300\tp\t9\t-\t1\t1\t1\t20\nchr2\t100\t300\tq\t9\t.\t1\t1\t1\t-1\n")
    _, out, _ = run(zoo, "--bed", "p.narrowPeak", "--genome", "g.fa")
    np.testing.assert_array_equal(values(out), expected(made, [("chr2", 120, "-"), ("chr2", 200, ".")]))


def test_the_mean_of_both_strands_is_the_same_on_both(zoo: Zoo, made: dict[str, str]) -> None:
    _, out, _ = run(zoo, "--bed", "p.bed", "--genome", "g.fa", "--rc", "average")
    both = expected(made, [("chr2", 126, "+"), ("chr2", 126, "-")])
    np.testing.assert_array_equal(values(out)[:2], np.repeat([(both[0] + both[1]) * 0.5], 2, axis=0))


def test_a_region_is_one_interval(zoo: Zoo, made: dict[str, str]) -> None:
    status, out, _ = run(zoo, "--region", "chr2:1,01-153", "--genome", "g.fa")
    assert status == 0
    assert out.splitlines()[1].startswith("chr2\t100\t153\t.\t.\t")
    np.testing.assert_array_equal(values(out), expected(made, [("chr2", 126, "+")]))


def test_parquet_holds_positions_as_numbers(zoo: Zoo, made: dict[str, str]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run(zoo, "--bed", "p.bed", "--genome", "g.fa", "-o", "out.parquet")
    found = parquet.read_table("out.parquet")
    assert found.column("start").to_pylist() == [interval[1] for interval in BED]
    assert found.column("name").to_pylist() == [interval[3] for interval in BED]
    first = expected(made, [("chr2", 126, "+")])[0]
    np.testing.assert_array_equal([found.column(target)[0].as_py() for target in "abc"], first)


def test_commas_in_names_are_quoted_in_csv(zoo: Zoo, made: dict[str, str]) -> None:  # noqa: ARG001
    Path("p.bed").write_text('chr2\t1\t60\ta,"b"\n')
    run(zoo, "--bed", "p.bed", "--genome", "g.fa", "-o", "out.csv")
    assert Path("out.csv").read_text().splitlines()[1].startswith('chr2,1,60,"a,""b""",.,')


BAD = {
    "chr10\t20\t19": ["20", "19"],
    "chr10\t-1\t19": ["start", "'-1'"],
    "10\t1\t19": ["g.fa", "'10'", "'chr10'"],
    "x\t1\t19": ["g.fa", "'x'", "chr2, chr10"],
    "chr10\t390\t401": ["400", "chr10", "401"],
}


@pytest.mark.parametrize("line", BAD)
def test_a_bad_interval_is_one_line_or_skipped_and_named(zoo: Zoo, made: dict[str, str], line: str) -> None:
    text = Path("p.bed").read_text()
    Path("p.bed").write_text(f"{line}\n{text}")
    words = ("--weights", "w.safetensors", *RUNTIME, "--bed", "p.bed", "--genome", "g.fa")
    one_line(zoo, ["p.bed, line 1", *BAD[line]], "predict", *words, "-o", "out.tsv")
    assert not Path("out.tsv").exists()
    status, out, err = zoo("predict", *words, "--skip-bad")
    assert status == 0
    assert len(out.splitlines()) == len(BED) + 1
    summary, named = err.splitlines()
    assert "6 intervals, 2 padded, 1 skipped;" in summary
    assert not [fact for fact in ("p.bed, line 1", *BAD[line]) if fact not in named], named
    np.testing.assert_array_equal(values(out)[0], expected(made, [("chr2", 126, "+")])[0])


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["--bed", "e.bed", "--genome", "g.fa"], ["e.bed", "empty"]),
        (["--bed", "bad.bed", "--genome", "g.fa", "--skip-bad"], ["bad.bed", "1 intervals"]),
        (["--bed", "p.bed"], ["--bed", "--genome"]),
        (["--region", "chr2:1-5"], ["--region", "--genome"]),
        (["--genome", "g.fa"], ["--genome", "--bed", "--region", "zoo scan"]),
        (["--bed", "p.bed", "--region", "chr2:1-5", "--genome", "g.fa"], ["--bed", "--region", "both"]),
        (["--region", "chr2:890-901", "--genome", "g.fa"], ["chr2:890-901", "900"]),
        (["--region", "chr2:5-4", "--genome", "g.fa"], ["region", "contig:first-last"]),
        (["--bed", "p.bed", "--genome", "none.fa"], ["none.fa"]),
        (["g.fa", "--bed", "p.bed", "--genome", "g.fa"], ["g.fa", "both"]),
        (["--bed", "p.bed", "--genome", "g.fa", "--crop-or-pad"], ["--crop-or-pad", "FASTA"]),
        (["--bed", "p.bed", "--genome", "g.fa", "-o", "out.xls"], ["out.xls", ".tsv, .txt, .csv"]),
    ],
)
def test_usage(zoo: Zoo, made: dict[str, str], words: list[str], facts: str | list[str]) -> None:  # noqa: ARG001
    Path("e.bed").write_text("")
    Path("bad.bed").write_text("chr2\t5\t4\n")
    one_line(zoo, facts, "predict", "--weights", "w.safetensors", *RUNTIME, *words)


def test_inputs_are_never_replaced(zoo: Zoo, made: dict[str, str]) -> None:  # noqa: ARG001
    before = Path("p.bed").read_bytes()
    words = ("--weights", "w.safetensors", *RUNTIME, "--bed", "p.bed", "--genome", "g.fa", "-o", "p.bed", "--overwrite")
    one_line(zoo, "p.bed: is an input of this command, which is never replaced; give another name", "predict", *words)
    assert Path("p.bed").read_bytes() == before
