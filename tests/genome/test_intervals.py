"""Intervals of a genome: the window around each centre on its strand, against sequences cut in plain Python."""

from __future__ import annotations

import json
from pathlib import Path

import genomes
import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import RUNTIME, Zoo, one_line

from zoo.genome import summaries
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
    summary, longer = err.splitlines()
    assert summary.startswith("zoo: 6 intervals, 2 padded, 1 longer than the model; kmer-cpu;")
    assert all(fact in longer for fact in ("1 of 6", "53 bases", "--summary max or mean"))
    described = json.loads(Path("out.tsv.json").read_text())
    assert {name: count for name, count in described["counts"].items() if count} == {
        "records": 6,
        "padded": 2,
        "longer_than_the_model": 1,
    }
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


@pytest.mark.parametrize(
    ("region", "start", "end"),
    [("chr2", 0, 900), ("chr2:5-", 4, 900), ("chr2:5", 4, 900), ("chr2:-60", 0, 60), ("{chr2}:1,00-1,52", 99, 152)],
)
def test_regions_as_samtools_takes_them(zoo: Zoo, made: dict[str, str], region: str, start: int, end: int) -> None:
    status, out, _ = run(zoo, "--region", region, "--genome", "g.fa")
    assert (status, out.splitlines()[1].split("\t")[:3]) == (0, ["chr2", str(start), str(end)])
    np.testing.assert_array_equal(values(out), expected(made, [("chr2", (start + end) // 2, "+")]))


def windows(contigs: dict[str, str], interval: tuple[str, int, int, str, str], stride: int) -> tuple[np.ndarray, list]:
    """Predictions of all windows in an interval on its strand, and their centres; none with more than half Ns."""
    contig, start, end, _, strand = interval
    centres = range(start + L // 2, end - L + L // 2 + 1, stride)
    texts = {centre: genomes.window(contigs[contig], centre, L, strand) for centre in centres}
    kept = [centre for centre, text in texts.items() if text.count("N") * 2 <= L]
    return load(weights="w.safetensors", runtime=RUNTIME[1]).predict([texts[centre] for centre in kept]), kept


class TestLongerThanTheModel:
    """Intervals that are longer than the model, by all their windows."""

    LONG = (
        ("chr2", 0, 900, "all", "."),
        ("chr10", 31, 31 + L + 1, "two", "-"),
        ("chr2", 200, 500, "gap", "-"),
        ("chr10", 40, 40 + L, "exact", "-"),
        ("chr10", 3, 8, "short", "+"),
    )

    @pytest.fixture
    def long(self, made: dict[str, str]) -> dict[str, str]:
        made["chr2"] = made["chr2"][:300] + "N" * 50 + made["chr2"][350:]
        genomes.write(Path("h.fa"), made)
        Path("l.bed").write_text("".join(f"{c}\t{s}\t{e}\t{n}\t0\t{strand}\n" for c, s, e, n, strand in self.LONG))
        return made

    @pytest.mark.parametrize("stride", [1, 7])
    @pytest.mark.parametrize("runtime", ["kmer-cpu", "onnx-cpu"])
    def test_max_with_its_position_and_mean(
        self, zoo: Zoo, long: dict[str, str], stride: int, runtime: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(summaries, "BLOCK_BASES", 200)
        words = ("--bed", "l.bed", "--genome", "h.fa", "--stride", stride, "--runtime", runtime)
        status, out, err = run(zoo, *words, "--summary", "max")
        assert (status, out.splitlines()[0]) == (
            0,
            "\t".join([*"abc", ""]).join(["chrom\tstart\tend\tname\tstrand\t", "position_a\tposition_b\tposition_c"]),
        )
        assert all(fact in err for fact in ("3 longer than the model", "3 of 5", "max", f"--stride {stride}"))
        table = np.array([line.split("\t")[5:] for line in out.splitlines()[1:]], np.float64)
        for row, interval in zip(table, self.LONG[:3], strict=False):
            found, centres = windows(long, interval, stride)
            np.testing.assert_allclose(row[:3], found.max(axis=0), atol=2e-5)
            assert row[3:].tolist() == [centres[place] for place in found.argmax(axis=0)]
        short = [("chr10", 40 + L // 2, "-"), ("chr10", 5, "+")]
        np.testing.assert_allclose(table[3:, :3], expected(long, short), atol=2e-5)
        assert table[3:, 3:].tolist() == [[40 + L // 2] * 3, [5] * 3]
        _, out, _ = run(zoo, *words, "--summary", "mean")
        means = [windows(long, interval, stride)[0].mean(axis=0) for interval in self.LONG[:3]]
        np.testing.assert_allclose(values(out)[:3], means, atol=2e-5)
        np.testing.assert_allclose(values(out)[3:], expected(long, short), atol=2e-5)

    def test_of_both_strands(self, zoo: Zoo, long: dict[str, str]) -> None:
        _, out, _ = run(zoo, "--bed", "l.bed", "--genome", "h.fa", "--rc", "average", "--summary", "max")
        both = [windows(long, (*self.LONG[0][:4], strand), 1)[0] for strand in "+-"]
        np.testing.assert_allclose(values(out)[0][:3], ((both[0] + both[1]) / 2).max(axis=0), atol=2e-5)

    def test_only_unknown_bases_are_counted(self, zoo: Zoo, made: dict[str, str]) -> None:
        made["chr2"] = "N" * 200 + made["chr2"][200:]
        genomes.write(Path("h.fa"), made)
        status, out, err = run(zoo, "--region", "chr2:1-200", "--genome", "h.fa", "--summary", "max")
        assert status == 0
        assert "1 mostly unknown" in err
        np.testing.assert_allclose(values(out)[0][:3], load(weights="w.safetensors").predict(["N" * L])[0], atol=2e-5)


def test_other_letters_of_a_genome_are_counted_named_or_refused(zoo: Zoo, made: dict[str, str]) -> None:
    before = made["chr2"]
    made["chr2"] = f"{before[:110]}Y{before[111:]}"
    genomes.write(Path("h.fa"), made)
    words = ("--bed", "p.bed", "--genome", "h.fa")
    status, out, err = run(zoo, *words, "-o", "out.tsv")
    place = "chr2, position 111 (line 3)"
    assert status == 0
    assert "2 ambiguous letters" in err.splitlines()[0]
    assert f"Y at contig {place}" in err.splitlines()[-1]
    described = json.loads(Path("out.tsv.json").read_text())
    assert described["read_as_n"] == [f"Y at contig {place}"]
    assert described["counts"]["ambiguous_letters"] == 2
    made["chr2"] = f"{before[:110]}N{before[111:]}"
    np.testing.assert_array_equal(values(Path("out.tsv").read_text())[0], expected(made, [("chr2", 126, "+")])[0])
    assert run(zoo, *words, "--ambiguous-as-n")[0] == 0
    strict = ("predict", "--weights", "w.safetensors", *RUNTIME, *words, "--ambiguous", "refuse")
    one_line(zoo, ["p.bed, line 1", "h.fa", place, "'Y'", "--ambiguous", "--skip-bad"], *strict)
    status, out, err = zoo(*strict, "--skip-bad")
    assert (status, len(out.splitlines())) == (0, 1 + len(BED) - 2)
    assert "2 skipped" in err


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
    summary, _, named = err.splitlines()
    assert "6 intervals, 2 padded, 1 skipped, 1 longer than the model;" in summary
    assert not [fact for fact in ("p.bed, line 1", *BAD[line]) if fact not in named], named
    np.testing.assert_array_equal(values(out)[0], expected(made, [("chr2", 126, "+")])[0])


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["--bed", "e.bed", "--genome", "g.fa"], ["e.bed", "empty"]),
        (["--bed", "bad.bed", "--genome", "g.fa", "--skip-bad"], ["bad.bed", "1 interval"]),
        (["--bed", "p.bed"], ["--bed", "--genome"]),
        (["--region", "chr2:1-5"], ["--region", "--genome"]),
        (["--genome", "g.fa"], ["--genome", "--bed", "--region", "zoo scan"]),
        (["--bed", "p.bed", "--region", "chr2:1-5", "--genome", "g.fa"], ["--bed", "--region", "both"]),
        (["--region", "chr2:890-901", "--genome", "g.fa"], ["chr2:890-901", "900"]),
        (["--region", "chr2:5-4", "--genome", "g.fa"], ["region", "contig:first-last"]),
        (["--bed", "p.bed", "--genome", "none.fa"], ["none.fa"]),
        (["g.fa", "--bed", "p.bed", "--genome", "g.fa"], ["g.fa", "both"]),
        (["--bed", "p.bed", "--genome", "g.fa", "--crop-or-pad"], ["--crop-or-pad", "FASTA"]),
        (["--bed", "p.bed", "--genome", "g.fa", "--stride", "2"], ["--stride", "--summary"]),
        (["--bed", "p.bed", "--genome", "g.fa", "--summary", "max", "--stride", "0"], ["stride", "1", "0"]),
        (["s.fa", "--summary", "max"], ["--summary", "--bed"]),
        (["--region", "chr2:901-", "--genome", "g.fa"], ["chr2:901-", "900"]),
        (["--region", "chr9", "--genome", "g.fa"], ["'chr9'", "chr2, chr10"]),
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
