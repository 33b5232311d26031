"""A newcomer's first commands: names with typos, several files, flags, quiet and verbose, shell completion."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo, environment, one_line

from zoo.cli import main, notes, parsing
from zoo.errors import ZooWarning
from zoo.prediction.model import load
from zoo.weights import checkpoint, lookup

KMER = ("--runtime", "kmer-cpu")
LENGTH = 249


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with three FASTA files of 3, 1 and 2 records, the last of them compressed."""
    monkeypatch.chdir(tmp_path)
    texts = ["".join("ACGTN"[code] for code in row) for row in random_codes(6, LENGTH)]
    records = [f">s{number}\n{text}\n" for number, text in enumerate(texts)]
    (tmp_path / "a.fa").write_text("".join(records[:3]))
    (tmp_path / "b.fa").write_text(records[3])
    (tmp_path / "c.fa.gz").write_bytes(gzip.compress("".join(records[4:]).encode()))
    return tmp_path


def refused(zoo: Zoo, facts: list[str], *arguments: object) -> None:
    """The command fails with one line that holds the facts, and writes nothing."""
    before = sorted(Path().iterdir())
    one_line(zoo, facts, *arguments)
    assert sorted(Path().iterdir()) == before


class TestNote:
    """Point: one line names the weights, and a last one says how far bundled ones are from the published ones."""

    @pytest.mark.parametrize("name", sorted(lookup.catalog()))
    def test_bundled_weights_say_that_they_imitate_and_how_closely(self, zoo: Zoo, folder: Path, name: str) -> None:
        shutil.copy(lookup.path_of(name), folder / "copied.safetensors")
        near = lookup.catalog()[name]["fidelity"]
        typical, largest = (
            max(near[f"strong_enhancers_{target}_{measure}"] for target in ("dev", "hk"))
            for measure in ("rmse", "largest")
        )
        assert 0.3 < typical < 1 < largest < 3
        for given in ([name, "a.fa"], ["copied.safetensors", "a.fa", "--crop-or-pad", "--ambiguous-as-n"]):
            summary, caution = zoo("predict", *given[1:], "--weights", given[0], *KMER)[2].splitlines()
            for fact in ("3 sequences", "kmer-cpu", f"bundled weights {name}"):
                assert fact in summary
            for fact in (f" {name} ", f"{typical:.1f}", f"{largest:.1f} log2 on strong enhancers", "zoo pull original"):
                assert fact in caution

    @pytest.mark.parametrize(
        "words",
        [
            ("parity", "--runtimes", "kmer-cpu,onnx-cpu", "--weights"),
            ("evaluate", "--data", "labelled.tsv", "--split", "all", *KMER, "--weights"),
            ("design", "--target", "dev", "-n", "1", "--rounds", "1", "-o", "d.fa", "--overwrite", *KMER, "--weights"),
            ("variants", "v.tsv", "--genome", "g.fa", "-o", "v.out.tsv", "--overwrite", *KMER, "--weights"),
            ("scan", "g.fa", "-o", "scanned", "--overwrite", *KMER, "--weights"),
            ("explain", "a.fa", "--method", "ism", "-o", "e", "--overwrite", *KMER, "--weights"),
            ("export", "--onnx", "-o", "x.onnx", "--overwrite", "--weights"),
            ("predict", "a.fa", *KMER, "--model"),
        ],
    )
    def test_every_command_that_uses_them_says_so_once_and_last(
        self, zoo: Zoo, folder: Path, words: tuple[str, ...]
    ) -> None:
        text = "".join("ACGT"[code] for code in random_codes(1, 300)[0] % 4)
        (folder / "g.fa").write_text(f">c\n{text}\n")
        (folder / "v.tsv").write_text(
            f"chrom\tpos\tref\talt\nc\t150\t{text[149]}\t{'C' if text[149] == 'A' else 'A'}\n"
        )
        rows = [f"{text[n : n + LENGTH]}\t{n}\t{n % 3}\n" for n in range(9)]
        (folder / "labelled.tsv").write_text("sequence\tdev\thk\n" + "".join(rows))
        checkpoint.save(random_checkpoint(lookup.load("tuned").config), folder / "other.safetensors")
        for weights, told in (("tuned", 1), ("other.safetensors", 0)):
            status, _, err = zoo(*words, weights)
            assert status == 0, err
            lines = err.splitlines()
            assert ["imitate" in line for line in lines].count(True) == told
            assert not told or "imitate" in lines[-1]

    @pytest.mark.parametrize("switch", ["-q", "--quiet"])
    @pytest.mark.parametrize("before", [True, False])
    def test_quiet_says_nothing_but_errors(self, zoo: Zoo, folder: Path, switch: str, before: bool) -> None:  # noqa: ARG002
        words = [switch, "predict", "a.fa", *KMER] if before else ["predict", "a.fa", *KMER, switch]
        status, out, err = zoo(*words)
        assert (status, err) == (0, "")
        assert out.count("\n") == 4
        one_line(zoo, "none.fa: ", "predict", "none.fa", switch)

    def test_verbose_says_where_weights_come_from(self, zoo: Zoo, folder: Path) -> None:  # noqa: ARG002
        err = zoo("predict", "a.fa", *KMER, "-v")[2]
        weights = lookup.load("original").spec
        for fact in (weights.weights_id, weights.architecture, weights.source, weights.licence):
            assert f" {fact}" in err

    def test_every_command_knows_the_switches(self, zoo: Zoo) -> None:
        for command in main.NAMES:
            assert "-q, --quiet" in zoo(command, "--help", "-q")[1]
        assert zoo("list", "-v")[0] == 0

    def test_what_stands_behind_two_hyphens_is_no_switch(self) -> None:
        assert notes.without_switches(["predict", "-q", "--", "-v"]) == ["predict", "--", "-v"]
        assert notes.quiet()
        assert notes.without_switches(["predict"]) == ["predict"]
        assert not notes.quiet()

    def test_a_warning_is_a_note(self, capsys: pytest.CaptureFixture[str]) -> None:
        for words, shown in (([], "zoo: careful\n"), (["-q"], "")):
            notes.without_switches(words)
            main._show_warning("careful", ZooWarning)
            assert capsys.readouterr().err == shown
        notes.without_switches([])

    def test_a_terminal_shows_three_decimals_and_a_file_all_digits(
        self, zoo: Zoo, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = zoo("predict", "a.fa", *KMER)[1]
        assert zoo("predict", "a.fa", *KMER, "-o", "a.tsv")[0] == 0
        assert (folder / "a.tsv").read_text() == whole
        monkeypatch.setattr("zoo.prediction.run.os.isatty", lambda descriptor: descriptor == 1)
        header, *rows = whole.splitlines()
        short = [[f"{float(text):.3f}" for text in row.split("\t")[1:]] for row in rows]
        shown = zoo("predict", "a.fa", *KMER)[1].splitlines()
        assert shown == [header, *("\t".join([f"s{n}", *numbers]) for n, numbers in enumerate(short))]


class TestNames:
    """Point: an error about a name with a typo suggests the right name; every command knows the same names."""

    @pytest.mark.parametrize(
        ("arguments", "facts"),
        [
            (["predict", "a.fa", "--model", "orignal"], ["orignal: ", "original?"]),
            (["predict", "a.fa", "--model", "orignal", "--weights", "tuned"], ["orignal: ", "original?"]),
            (["predict", "a.fa", "--weights", "tunned"], ["tunned", "tuned?"]),
            (["predict", "a.fa", "--runtime", "onx-cpu"], ["'onx-cpu'", "onnx-cpu?"]),
            (["export", "original", "--format", "onn"], ["'onn'", "onnx?"]),
            (["train", "orignal", "--data", "x", "-o", "y"], ["'orignal'", "original?"]),
            (["info", "orignal"], ["orignal", "original?"]),
        ],
    )
    def test_did_you_mean(self, zoo: Zoo, folder: Path, arguments: list[str], facts: list[str]) -> None:  # noqa: ARG002
        refused(zoo, facts, *arguments)

    def test_a_model_beside_weights_of_another_is_an_error(self, zoo: Zoo, folder: Path) -> None:
        checkpoint.save(lookup.load("tuned"), folder / "t.safetensors")
        checkpoint.save(random_checkpoint(ODD), folder / "odd.safetensors")
        onnx = lookup.PRETRAINED / "tuned.onnx"
        for model, weights, held in (
            ("original", "t.safetensors", "tuned"),
            ("basset", "t.safetensors", "deepstarr"),
            ("original", "tuned", "tuned"),
            ("original", onnx, "tuned"),
        ):
            facts = [f"{weights}: ", f"{model},", held]
            refused(zoo, facts, "predict", "a.fa", "--model", model, "--weights", weights)
        assert zoo("predict", "a.fa", "--model", "tuned", "--weights", "t.safetensors", *KMER)[0] == 0
        assert zoo("predict", "a.fa", "--weights", "t.safetensors", *KMER)[0] == 0
        # sizes without a name of their own are of every variant
        refused(zoo, ["53 bases"], "predict", "a.fa", "--model", "tuned", "--weights", "odd.safetensors")

    def test_info_takes_names_and_says_how_near_bundled_weights_come(self, zoo: Zoo, folder: Path) -> None:
        status, out, _ = zoo("info", "original")
        near = lookup.catalog()["original"]["fidelity"]
        assert status == 0
        assert "imitates" in out
        assert "original:published" in out
        dev, error = near["windows_dev_pearson"], near["windows_dev_rmse"]
        assert re.search(rf"\n  windows +dev {dev:.3f} and {error:.3f}, hk ", out)
        described = json.loads(zoo("info", "tuned", "--json")[1])
        assert described["fidelity"] == lookup.catalog()["tuned"]["fidelity"]
        assert (described["bundled"], described["imitates"]) == ("tuned", "original:published")
        refused(zoo, ["original", "zoo pull original"], "info", "original:published")
        shutil.copy(lookup.PRETRAINED / "tuned.safetensors", folder / "mine.safetensors")
        assert json.loads(zoo("info", "mine.safetensors", "--json")[1])["bundled"] == "tuned"


class TestFiles:
    """Point: several files are read one after the other; a bad file is refused before the work."""

    def test_rows_are_in_the_order_of_the_files_and_the_description_tells_them_apart(
        self,
        zoo: Zoo,
        folder: Path,  # noqa: ARG002
    ) -> None:
        assert zoo("predict", "c.fa.gz", "a.fa", "b.fa", *KMER, "-o", "out.csv")[:2] == (0, "")
        header, *rows = [line.split(",") for line in Path("out.csv").read_text().splitlines()]
        assert header == ["name", "dev", "hk"]
        assert [row[0] for row in rows] == ["s4", "s5", "s0", "s1", "s2", "s3"]
        codes = random_codes(6, LENGTH)[[4, 5, 0, 1, 2, 3]]
        values = load(runtime="kmer-cpu").predict_codes(codes)
        np.testing.assert_allclose(np.array([row[1:] for row in rows], np.float32), values, rtol=1e-4, atol=1e-4)
        described = json.loads(Path("out.csv.json").read_text())
        files = [("c.fa.gz", 2), ("a.fa", 3), ("b.fa", 1)]
        assert described["inputs"] == [{"file": file, "records": records} for file, records in files]
        assert described["counts"]["records"] == 6

    def test_a_file_that_is_not_there_is_known_before_the_work(self, zoo: Zoo, folder: Path) -> None:
        refused(zoo, ["none.fa: "], "predict", "a.fa", "none.fa", *KMER, "-o", "out.tsv")
        refused(zoo, ["standard input", "once"], "predict", "-", "-", *KMER)
        (folder / "bad.fa").write_text(">x\nACGT\n")
        refused(zoo, ["bad.fa: ", "record 1 (x)"], "predict", "a.fa", "bad.fa", *KMER, "-o", "out.tsv")

    def test_no_input_is_replaced(self, zoo: Zoo, folder: Path) -> None:  # noqa: ARG002
        refused(zoo, ["b.fa: ", "input"], "predict", "a.fa", "b.fa", *KMER, "-o", "b.fa", "--overwrite")

    def test_no_header_before_the_input_is_known_to_be_good(self, zoo: Zoo, folder: Path) -> None:
        (folder / "bad.fa").write_text(f">x\n{'A' * 12}\n")
        refused(zoo, ["bad.fa: ", "record 1 (x)", "249 bases", "got 12"], "predict", "bad.fa", *KMER)

    def test_a_name_of_no_table_is_refused_before_the_work(self, zoo: Zoo, folder: Path) -> None:  # noqa: ARG002
        refused(zoo, ["out.xlsx: ", ".tsv, .txt, .csv, .parquet"], "predict", "none.fa", *KMER, "-o", "out.xlsx")


class TestFlags:
    """Point: an option with only one value is a flag with a plain name; the long form works as well."""

    @pytest.mark.parametrize(
        ("typed", "full"),
        [
            (["--both-strands"], ["--both-strands=average"]),
            (["--rc", "average"], ["--both-strands=average"]),
            (["--rc=average", "x.fa"], ["--both-strands=average", "x.fa"]),
            (["--rc"], ["--both-strands=average"]),
            (["--resize", "center", "--ambiguous", "n"], ["--crop-or-pad=center", "--ambiguous-as-n=n"]),
            (["--crop-or-pad", "x.fa", "--ambiguous-as-n"], ["--crop-or-pad=center", "x.fa", "--ambiguous-as-n=n"]),
            (["--rc", "mean"], ["--both-strands=mean"]),
            (["--", "--rc", "x"], ["--", "--rc", "x"]),
        ],
    )
    def test_every_form_is_the_same_option(self, typed: list[str], full: list[str]) -> None:
        assert parsing.full_forms(typed) == full

    def test_flags_do_what_their_old_forms_do(self, zoo: Zoo, folder: Path) -> None:
        (folder / "odd.fa").write_text(f">x\n{'ACGTR' * 60}\n")
        new = zoo("predict", "odd.fa", *KMER, "--both-strands", "--crop-or-pad", "--ambiguous-as-n")
        old = zoo("predict", "odd.fa", *KMER, "--rc", "average", "--resize", "center", "--ambiguous", "n")
        assert new == old
        assert new[0] == 0
        model = load(runtime="kmer-cpu", rc="average", resize="center", ambiguous="n")
        values = model.predict(["ACGTR" * 60])
        assert new[1].splitlines()[1].split("\t")[1:] == [str(value) for value in values[0]]

    def test_the_help_shows_the_flag_and_what_it_is_the_same_as(
        self, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        out = zoo("predict", "--help")[1]
        for flag, old in (("--both-strands", "--rc average"), ("--crop-or-pad", "--resize center")):
            assert re.search(rf"\n  {flag} .*\(same as {old}\)", out.replace("\n                          ", " "))


class TestProgress:
    def test_a_log_has_a_line_now_and_then(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [0.0]
        log = io.StringIO()
        monkeypatch.setattr(notes.time, "monotonic", lambda: now[0])
        monkeypatch.setattr(sys, "stderr", log)
        notes.without_switches([])
        with notes.Bar("sequences", 100) as bar:
            for second in range(0, 200, 10):
                now[0] = float(second)
                bar.update(min(second, 100), second * 20_000)
        assert log.getvalue().splitlines() == [
            f"zoo: {second * 20_000:,} sequences, 20,000 a second, {left}"
            for second, left in ((60, "40 s left"), (120, "0 s left"), (180, "0 s left"))
        ]
        notes.without_switches(["-q"])
        with notes.Bar("sequences", 100) as bar:
            now[0] += 1000
            bar.update(100, 100)
        notes.without_switches([])
        assert log.getvalue().count("\n") == 3


class TestCompletion:
    def test_it_is_written_where_it_is_asked_for(self, zoo: Zoo, folder: Path) -> None:
        status, out, err = zoo("--install-completion", "--shell", "bash", "-o", "zoo.bash")
        assert (status, err) == (0, "")
        assert "zoo.bash: " in out
        text = (folder / "zoo.bash").read_text()
        for word in ("predict", "evaluate", "--both-strands", "--overwrite"):
            assert word in text
        if bash := shutil.which("bash"):
            assert subprocess.run([bash, "-n", "zoo.bash"], check=False).returncode == 0

    @pytest.mark.parametrize(
        ("words", "offered"),
        [
            (["predict", "--runtime", ""], {"auto", "kmer-cpu", "onnx-cpu", "torch-cpu"}),
            (["bench", "--runtimes", "kmer-cpu,"], {"kmer-cpu,onnx-cpu"}),
            (["predict", "--weights", ""], {"original", "original:published", "w.safetensors"}),
            (["predict", "--model", ""], {"original"}),
            (["info", ""], {"original", "tuned", "w.safetensors"}),
            (["export", ""], {"original"}),
            (["export", "original", "--format", ""], {"onnx", "keras", "triton"}),
            (["train", ""], {"original", "gapped-kmer"}),
            (["distill", "original", "--teacher", ""], {"original:published"}),
            (["serve", "original", ""], {"tuned"}),
        ],
    )
    def test_names_are_completed(self, zoo: Zoo, folder: Path, words: list[str], offered: set[str]) -> None:
        (folder / "w.safetensors").touch()
        status, out, err = zoo("__complete", *words)
        assert (status, err) == (0, "")
        assert offered <= {line.partition("\t")[0] for line in out.splitlines()}

    def test_completion_imports_no_heavy_library(self) -> None:
        heavy = ("torch", "onnxruntime", "tensorflow", "scipy", "matplotlib", "pandas", "pyarrow")
        script = "import sys; sys.argv = ['zoo', '__complete', 'predict', '--weights', '']\nfrom zoo.cli import main\n"
        script += f"try: main.main()\nexcept SystemExit: print([name for name in {heavy} if name in sys.modules])"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment())
        assert done.stdout.endswith(b"[]\n")


class TestTyping:
    def test_a_version_is_a_command_and_an_option(self, zoo: Zoo) -> None:
        assert zoo("version") == zoo("--version")
        assert zoo("version")[0] == 0

    def test_a_mistyped_option_is_no_command(self, zoo: Zoo) -> None:
        one_line(zoo, ["unknown option --verison", "--version"], "--verison")
        one_line(zoo, ["unknown command 'verison'", "version"], "verison")

    @pytest.mark.parametrize(
        ("words", "nearest"),
        [
            (["info", "orignal"], "original, basepairnet"),
            (["predict", "seqs.fa", "--runtime", "onx-cpu"], "onnx-cpu, keras-cpu"),
            (["export", "original", "--format", "tritn"], "triton, keras, onnx"),
            (["train", "tunde", "--data", "x.tsv", "-o", "out"], "tuned, basepairnet"),
            (["design", "--target", "hkk", "-o", "out.fa"], "hk, dev"),
        ],
    )
    def test_an_unknown_name_lists_the_known_ones_with_the_nearest_first(
        self, zoo: Zoo, folder: Path, words: list[str], nearest: str
    ) -> None:
        (folder / "seqs.fa").write_text(f">a\n{'A' * 249}\n")
        one_line(zoo, nearest, *words)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestSignsOfLife:
    def test_a_command_that_shows_nothing_else_has_a_spinner_at_a_terminal(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(notes, "BAR_SECONDS", 0.01)
        monkeypatch.setattr(sys, "stderr", terminal := Terminal())
        with notes.Activity("zoo motifs"):
            notes.doing("patterns of dev")
            until(lambda: "patterns of dev" in terminal.getvalue())
            notes.doing("patterns of hk")
            until(lambda: "patterns of hk" in terminal.getvalue())
            with notes.Bar("sequences", 2) as bar:
                until(lambda: bar.update(1, 1) or "1 sequence," in terminal.getvalue())
            terminal.truncate(0)
            until(lambda: "patterns of hk" in terminal.getvalue())

    def test_what_is_printed_ends_the_spinner_and_reaches_a_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(notes, "BAR_SECONDS", 0.01)
        monkeypatch.setattr(sys, "stderr", terminal := Terminal())
        for stdout in (Terminal(), io.StringIO()):
            monkeypatch.setattr(sys, "stdout", stdout)
            with notes.Activity("zoo parity") as activity:
                until(lambda activity=activity: activity._progress is not None and activity._progress.live.is_started)
                print("12 rows")
                assert (activity._progress is None) == stdout.isatty()
            assert sys.stdout is stdout
            with notes.Bar("rows") as bar:
                bar.update(1, 1)
                until(lambda bar=bar: bar.update(1, 1) or bar._progress is not None)
                print("1 row" if not stdout.isatty() else "", end="")
            assert stdout.getvalue() == ("12 rows\n" if stdout.isatty() else "12 rows\n1 row")
        assert "rows\n1 row" not in terminal.getvalue()

    def test_nothing_is_shown_in_a_file_or_with_quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for stream, words in ((io.StringIO(), []), (Terminal(), ["-q"])):
            monkeypatch.setattr(sys, "stderr", stream)
            notes.without_switches(words)
            with notes.Activity("zoo motifs") as activity:
                assert activity._timer is None
            assert stream.getvalue() == ""
        notes.without_switches([])


def until(happened: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)
