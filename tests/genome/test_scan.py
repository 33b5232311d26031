"""`zoo scan`: every window wholly inside, against predictions of windows that are cut in plain Python."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import genomes
import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import RUNTIME, WITHOUT_BYTECODE, Zoo, environment, one_line

from zoo.genome import scan, shards
from zoo.prediction.model import load
from zoo.weights import checkpoint

pytest.importorskip("pysam", reason="pysam is not installed; the extra genome brings it")
bigwig = pytest.importorskip("pyBigWig", reason="pyBigWig is not installed; the extra genome brings it")

L = ODD.sequence_length
SCAN = ("scan", "g.fa", "--weights", "w.safetensors", *RUNTIME, "-o", "t")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The working folder, with weights w.safetensors and the genome g.fa, in which one contig is too short."""
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), tmp_path / "w.safetensors")
    contigs = genomes.contigs({"chr2": 900, "chr10": 400, "short": L - 1, "one": L}, unknown=0.01)
    gap = "N" * 70
    contigs["chr2"] = contigs["chr2"][:300] + gap + contigs["chr2"][370:]
    genomes.write(tmp_path / "g.fa", contigs)
    return contigs


def windows(
    contigs: dict[str, str], stride: int, rc: bool = False, most: float = 0.5
) -> Iterator[tuple[str, int, np.ndarray]]:
    """Contig, start and prediction of every window that has a value, in plain Python."""
    model = load(weights="w.safetensors", runtime=RUNTIME[1])
    for name, sequence in contigs.items():
        starts = [
            start
            for start in range(0, len(sequence) - L + 1, stride)
            if sequence[start : start + L].upper().count("N") <= most * L
        ]
        texts = [genomes.window(sequence, start + L // 2, L) for start in starts]
        values = model.predict(texts) if texts else np.empty((0, 3))
        if rc and texts:
            values = (values + model.predict([text.translate(genomes.COMPLEMENT)[::-1] for text in texts])) / 2
        yield from zip([name] * len(starts), starts, values, strict=True)


def read(contigs: dict[str, str], prefix: str = "t") -> dict[str, np.ndarray]:
    """What the bigWig files hold, base by base: float32 (bases, 3), NaN where there is none."""
    found = {name: np.full((len(sequence), 3), np.nan) for name, sequence in contigs.items()}
    for column, target in enumerate("abc"):
        with bigwig.open(f"{prefix}.{target}.bw") as file:
            assert list(file.chroms().items()) == [(name, len(sequence)) for name, sequence in contigs.items()]
            for name, values in found.items():
                values[:, column] = file.values(name, 0, len(values), numpy=True)
    return found


def around_centres(contigs: dict[str, str], stride: int, **options: object) -> dict[str, np.ndarray]:
    found = {name: np.full((len(sequence), 3), np.nan) for name, sequence in contigs.items()}
    for name, start, value in windows(contigs, stride, **options):  # type: ignore[arg-type]
        first = start + L // 2 - stride // 2
        found[name][max(0, first) : first + stride] = value
    return found


def means(contigs: dict[str, str], stride: int, linear: bool = False) -> dict[str, np.ndarray]:
    sums = {name: np.zeros((len(sequence), 4)) for name, sequence in contigs.items()}
    for name, start, value in windows(contigs, stride):
        sums[name][start : start + L] += [*(2.0**value if linear else value), 1]
    with np.errstate(invalid="ignore"):
        return {name: total[:, :3] / total[:, 3:] for name, total in sums.items()}


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], tolerance: float = 2e-5) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=tolerance, rtol=1e-5)
    assert sum(int((~np.isnan(values)).sum()) for values in expected.values()) > 500


@pytest.mark.parametrize("stride", [1, 7, 60])
def test_a_window_stands_around_its_centre(zoo: Zoo, made: dict[str, str], stride: int) -> None:
    status, out, err = zoo(*SCAN, "--stride", stride)
    assert (status, out) == (0, "")
    assert err.count("\n") == 1
    same(read(made), around_centres(made, stride)) if stride < 60 else None
    described = json.loads(Path("t.json").read_text())
    there = sum((len(sequence) - L) // stride + 1 for sequence in made.values() if len(sequence) >= L)
    left = there - len(list(windows(made, stride)))
    assert described["counts"] == {"records": there, "left_out_for_Ns": left, "ambiguous_letters": 0}
    assert sorted(path.name for path in Path().iterdir() if path.name.startswith("t")) == [
        "t.a.bw", "t.b.bw", "t.c.bw", "t.json",
    ]  # fmt: skip


@pytest.mark.parametrize("scale", ["log2", "linear"])
def test_the_mean_over_all_windows_on_a_base(zoo: Zoo, made: dict[str, str], scale: str) -> None:
    assert zoo(*SCAN, "--aggregate", "mean", "--scale", scale, "--stride", 3)[0] == 0
    same(read(made), means(made, 3, linear=scale == "linear"))


def test_the_mean_of_both_strands(zoo: Zoo, made: dict[str, str]) -> None:
    assert zoo(*SCAN, "--rc", "average", "--stride", 5)[0] == 0
    same(read(made), around_centres(made, 5, rc=True))


def test_windows_with_many_unknown_bases_are_left_out(zoo: Zoo, made: dict[str, str]) -> None:
    assert zoo(*SCAN, "--max-n", 0)[0] == 0
    same(read(made), around_centres(made, 1, most=0))
    status, _, err = zoo(*SCAN, "--max-n", 1, "--overwrite")
    assert status == 0
    assert "left out" not in err
    same(read(made), around_centres(made, 1, most=1))


def test_other_letters_are_counted_once_in_parts_of_any_size(zoo: Zoo, made: dict[str, str]) -> None:
    expected = []
    for place in (0, 130, 131, 290, 700, 899):
        made["chr2"] = f"{made['chr2'][:place]}k{made['chr2'][place + 1 :]}"
        expected.append(f"K at contig chr2, position {place + 1} (line {place // 60 + 2})")
    genomes.write(Path("g.fa"), made)
    for words in ((), ("--part-size", 17), ("--stride", 60, "--part-size", 3)):
        status, _, err = zoo(*SCAN, *words, "--overwrite")
        assert status == 0
        described = json.loads(Path("t.json").read_text())
        last = expected if "--stride" not in words else expected[:-1]
        assert described["read_as_n"] == last
        assert described["counts"]["ambiguous_letters"] == len(last)
        assert all(fact in err for fact in (f"{len(last)} ambiguous letters", expected[0], "others"))
    for words in ((), ("--shard", "1/2", "--part-size", 17)):
        facts = ["g.fa", "chr2", "position 1 ", "line 2", "'K'", "--ambiguous"]
        one_line(zoo, facts, *SCAN, "--overwrite", "--ambiguous", "refuse", *words)
    assert not Path("t.parts").exists()
    assert zoo(*SCAN, "--overwrite", "--ambiguous", "refuse", "--region", "chr2:292-600")[0] == 0


def test_regions_have_windows_of_their_own(zoo: Zoo, made: dict[str, str]) -> None:
    Path("r.bed").write_text("chr10\t20\t100\nchr2\t500\t700\nchr2\t3\t203\nchr2\t203\t230\n")
    assert zoo(*SCAN, "--regions", "r.bed", "--stride", 2)[0] == 0
    expected = {name: np.full((len(sequence), 3), np.nan) for name, sequence in made.items()}
    for name, start, stop in (("chr10", 20, 100), ("chr2", 500, 700), ("chr2", 3, 203)):
        part = around_centres({name: made[name][start:stop]}, 2)[name]
        expected[name][start:stop] = part
    same(read(made), expected)
    assert json.loads(Path("t.json").read_text())["counts"]["regions_too_short"] == 1
    assert zoo(*SCAN, "--region", "chr2:4-203", "--stride", 2, "--overwrite")[0] == 0
    alone = read(made)["chr2"]
    np.testing.assert_array_equal(alone[3:203], read(made)["chr2"][3:203])
    assert np.isnan(alone[203:]).all()


def test_bedgraph_and_parquet_say_the_same(zoo: Zoo, made: dict[str, str]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for format_ in ("bedgraph", "parquet"):
        assert zoo(*SCAN, "--stride", 4, "--format", format_, "--overwrite")[0] == 0
    table = parquet.read_table("t.parquet").to_pydict()
    expected = [(name, start, value) for name, start, value in windows(made, 4)]
    assert table["chrom"] == [name for name, _, _ in expected]
    assert table["start"] == [start + L // 2 - 2 for _, start, _ in expected]
    assert table["end"] == [start + 4 for start in table["start"]]
    np.testing.assert_allclose(table["b"], [value[1] for _, _, value in expected], atol=2e-5)
    rows = [line.split("\t") for line in Path("t.b.bedgraph").read_text().splitlines()]
    assert [int(row[1]) for row in rows] == table["start"]
    np.testing.assert_array_equal(np.array([row[3] for row in rows], np.float32), np.array(table["b"], np.float32))


def contents(prefix: str) -> list[bytes]:
    return [Path(f"{prefix}.{target}.bw").read_bytes() for target in "abc"]


class TestParts:
    """Shards, a stop and a merge give the bytes of one run."""

    words = ("--stride", "2", "--part-size", "100", "--aggregate", "mean")

    def test_parts_of_any_size_give_the_same_numbers(self, zoo: Zoo, made: dict[str, str]) -> None:
        for size in (1, 37, 10_000):
            assert zoo(*SCAN, "--stride", 20, "--part-size", size, "--overwrite", "--aggregate", "mean")[0] == 0
            same(read(made), means(made, 20))

    def test_a_run_of_one_part_stays_in_memory(
        self, zoo: Zoo, made: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("begin", "write"):
            monkeypatch.setattr(shards.Parts, name, lambda *_: pytest.fail("a part was written"))
        assert zoo(*SCAN, "--stride", 20, "--aggregate", "mean", "--resume")[0] == 0
        same(read(made), means(made, 20))
        assert not Path("t.parts").exists()

    def test_shards_are_merged_to_the_same_bytes(self, zoo: Zoo, made: dict[str, str]) -> None:  # noqa: ARG002
        assert zoo(*SCAN, *self.words)[0] == 0
        other = tuple(word if word != "t" else "s" for word in SCAN)
        for shard in ("3/3", "1/3"):
            status, _, err = zoo(*other, *self.words, "--shard", shard)
            assert status == 0
        assert all(fact in err for fact in ("1/3", "6 parts", " 2 "))
        assert not list(Path().glob("s.*bw"))
        one_line(zoo, ["s.parts", "2 of 6", "(2, 5)"], *other, *self.words, "--merge")
        err = zoo(*other, *self.words, "--shard", "2/3")[2]
        assert all(fact in err for fact in ("2/3", "6 parts", "--merge"))
        assert zoo(*other, *self.words, "--merge")[0] == 0
        assert contents("s") == contents("t")
        assert not Path("s.parts").exists()

    def test_a_stopped_run_goes_on(self, zoo: Zoo, made: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG002
        assert zoo(*SCAN, *self.words)[0] == 0
        whole = contents("t")
        for path in Path().glob("t.*"):
            path.unlink()
        compute, done = scan.Scan.compute, []

        def stops(self: scan.Scan, part: int, on_progress: shards.Progress) -> shards.Arrays:
            if part == 4:
                raise KeyboardInterrupt
            done.append(part)
            return compute(self, part, on_progress)

        monkeypatch.setattr(scan.Scan, "compute", stops)
        assert zoo(*SCAN, *self.words)[0] == 130
        monkeypatch.setattr(scan.Scan, "compute", lambda *words: done.append(words[1]) or compute(*words))
        assert sorted(path.name for path in Path("t.parts").iterdir()) == [
            *(f"{part:07}.safetensors" for part in range(4)), "run.json",
        ]  # fmt: skip
        one_line(
            zoo,
            ["t.parts", "--resume", "--overwrite"],
            *SCAN,
            *self.words,
        )
        done.clear()
        assert zoo(*SCAN, *self.words, "--resume")[0] == 0
        assert done == [4, 5]
        assert contents("t") == whole

    def test_parts_of_another_run_are_refused(self, zoo: Zoo, made: dict[str, str]) -> None:
        assert zoo(*SCAN, *self.words, "--shard", "1/2")[0] == 0
        facts = ["t.parts", "stride", "2 there", "3 here"]
        for words in (("--shard", "2/2"), ("--merge",), ("--resume",)):
            one_line(zoo, facts, *SCAN, *self.words, "--stride", 3, *words)
        one_line(zoo, ["rc", "null", "average"], *SCAN, *self.words, "--rc", "average", "--merge")
        checkpoint.save(random_checkpoint(ODD, seed=1), Path("w.safetensors"), overwrite=True)
        one_line(zoo, ["t.parts", "weights"], *SCAN, *self.words, "--merge")
        checkpoint.save(random_checkpoint(ODD), Path("w.safetensors"), overwrite=True)
        changed = {**made, "chr10": made["chr10"][::-1]}
        genomes.write(Path("g.fa"), changed)
        one_line(zoo, ["t.parts", "genome sha256"], *SCAN, *self.words, "--merge")

    def test_a_part_that_was_copied_from_another_run_is_refused(self, zoo: Zoo, made: dict[str, str]) -> None:  # noqa: ARG002
        assert zoo(*SCAN, *self.words, "--shard", "1/2")[0] == 0
        Path("t.parts").rename("other")
        for shard in ("1/2", "2/2"):
            assert zoo(*SCAN, *self.words, "--max-n", 0.1, "--shard", shard)[0] == 0
        Path("other/0000002.safetensors").replace("t.parts/0000002.safetensors")
        one_line(
            zoo,
            ["t.parts/0000002.safetensors", "another run"],
            *SCAN,
            *self.words,
            "--max-n",
            0.1,
            "--merge",
        )
        Path("t.parts/0000002.safetensors").write_bytes(b"damaged")
        one_line(zoo, ["t.parts/0000002.safetensors", "damaged"], *SCAN, *self.words, "--max-n", 0.1, "--merge")
        assert not list(Path().glob("t.*bw"))

    def test_merge_without_parts_and_a_folder_of_something_else(self, zoo: Zoo, made: dict[str, str]) -> None:  # noqa: ARG002
        one_line(zoo, ["t.parts", "--shard"], *SCAN, "--merge")
        Path("t.parts").mkdir()
        Path("t.parts/mine.txt").write_text("mine")
        one_line(zoo, ["t.parts", "mine.txt"], *SCAN, "--overwrite")
        assert Path("t.parts/mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (["--stride", 0], ["stride", "1", "0"]),
        (["--stride", -3], ["stride", "1", "-3"]),
        (["--max-n", 1.5], ["max-n", "1", "1.5"]),
        (["--region", "chr2:851-901"], ["chr2:851-901", "900", "901"]),
        (["--region", "10:1-300"], ["10:1-300", "g.fa", "'10'", "'chr10'"]),
        (["--region", "chr2:1-20"], ["chr2:1-20", "53"]),
        (["--regions", "short.bed"], ["short.bed", "53"]),
        (["--region", "chr2:5-4"], ["region", "contig:first-last"]),
        (["--regions", "e.bed"], ["e.bed", "empty"]),
        (["--regions", "bad.bed"], ["bad.bed, line 1", "5", "4"]),
        (["--regions", "o.bed"], ["o.bed, line 1", "o.bed, line 2", "bedtools merge"]),
        (["--regions", "o.bed", "--region", "chr2:1-90"], ["--region", "--regions", "both"]),
        (["--shard", "0/3"], ["shard", "i/n", "'0/3'"]),
        (["--shard", "4/3"], ["shard", "i/n", "'4/3'"]),
        (["--shard", "1/2", "--merge"], ["--shard", "--merge", "both"]),
        (["-o", "t.bw"], "t.bw: expected the start of a file name, without .bw: --format decides the suffix"),
        (["-o", "none/t"], ["none/t.json", "the folder none"]),
        (["--part-size", 0], ["part-size", "1", "0"]),
        (["--format", "wig"], ["--format", "bigwig, bedgraph, parquet", "'wig'"]),
    ],
)
def test_usage(zoo: Zoo, made: dict[str, str], words: list[str], facts: list[str]) -> None:  # noqa: ARG001
    Path("e.bed").write_text("")
    Path("bad.bed").write_text("chr2\t5\t4\n")
    Path("short.bed").write_text("chr2\t100\t152\nchr2\t200\t220\n")
    Path("o.bed").write_text("chr2\t100\t200\nchr2\t50\t101\n")
    one_line(zoo, facts, *SCAN, *words)
    assert not list(Path().glob("t.*"))


def test_a_track_that_is_there_is_not_replaced(zoo: Zoo, made: dict[str, str]) -> None:  # noqa: ARG001
    Path("t.b.bw").write_text("mine")
    one_line(zoo, ["t.b.bw", "--overwrite"], *SCAN)
    assert zoo(*SCAN, "--overwrite", "--stride", 50)[0] == 0
    assert Path("t.b.bw").read_bytes() != b"mine"


def test_a_genome_of_unknown_bases_has_no_track(zoo: Zoo, made: dict[str, str]) -> None:  # noqa: ARG001
    genomes.write(Path("g.fa"), {"c": "N" * 200})
    Path("g.fa.fai").unlink(missing_ok=True)
    one_line(zoo, "bigWig", *SCAN)
    assert not list(Path().glob("t.*bw"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
class TestProcess:
    """What only a process of its own shows: a kill, and a disk that is full."""

    words = ("--stride", "1", "--part-size", "20")

    def test_killed_and_resumed_gives_the_same_bytes(self, zoo: Zoo, made: dict[str, str]) -> None:  # noqa: ARG002
        assert zoo(*SCAN, *self.words)[0] == 0
        whole = contents("t")
        for path in Path().glob("t.*"):
            path.unlink()
        with subprocess.Popen([sys.executable, "-m", "zoo", *SCAN, *self.words], env=environment()) as process:
            while len(list(Path().glob("t.parts/*.safetensors"))) < 10 and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not list(Path().glob("t.*.bw"))
        assert zoo(*SCAN, *self.words, "--resume")[0] == 0
        assert contents("t") == whole
        assert sorted(path.name for path in Path().iterdir()) == [
            "g.fa", "g.fa.fai", "t.a.bw", "t.b.bw", "t.c.bw", "t.json", "w.safetensors",
        ]  # fmt: skip

    def test_a_full_disk_is_one_line_and_resume_goes_on(self, zoo: Zoo, made: dict[str, str]) -> None:
        def limit() -> None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

        command = [sys.executable, "-m", "zoo", *SCAN, *self.words]
        unwritten = {**environment(), **WITHOUT_BYTECODE}
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, env=unwritten, preexec_fn=limit, timeout=100
        )
        assert result.stderr.count("\n") == 1
        assert "t.c.bw" in result.stderr
        assert "File too large" in result.stderr
        assert result.returncode == 2
        assert sorted(path.name for path in Path().iterdir()) == ["g.fa", "g.fa.fai", "t.parts", "w.safetensors"]
        assert zoo(*SCAN, *self.words, "--resume")[0] == 0
        same(read(made), around_centres(made, 1))
