"""`zoo predict` from end to end: whole tables, pipes and signals."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import RUNTIME, Zoo, environment, expected_table, one_line, predicting, run_zoo


class TestPredict:
    def test_the_table_goes_to_standard_output_and_one_line_says_what_ran(self, zoo: Zoo, folder: Path) -> None:
        status, out, err = zoo("predict", "--weights", "w.safetensors", *RUNTIME, "seqs.fa")
        weights_id = random_checkpoint(ODD).spec.weights_id
        assert status == 0
        assert out == expected_table(folder)
        assert err.count("\n") == 1
        assert all(fact in err for fact in ("10 sequences", "1 mostly unknown", "kmer-cpu", weights_id[:12]))

    def test_with_an_output_name_the_table_and_its_description_are_written(self, zoo: Zoo, folder: Path) -> None:
        status, out, _ = zoo("predict", "--weights", "w.safetensors", *RUNTIME, "seqs.fa", "-o", "out.tsv")
        assert (status, out) == (0, "")
        assert Path("out.tsv").read_text() == expected_table(folder)
        described = json.loads(Path("out.tsv.json").read_text())
        assert described["command"] == "zoo predict --weights w.safetensors --runtime kmer-cpu seqs.fa -o out.tsv"
        assert described["inputs"] == [{"file": "seqs.fa", "records": 10}]
        assert sorted(path.name for path in folder.iterdir()) == ["out.tsv", "out.tsv.json", "seqs.fa", "w.safetensors"]

    def test_options_reach_the_reader_and_the_runtime(self, zoo: Zoo, folder: Path) -> None:
        (folder / "other.fa").write_text(">s\nRY\n")
        options = ("--resize", "center", "--ambiguous", "n", "--batch-size", 3, "--threads", 1, "-o", "-")
        status, out, err = zoo("predict", "--weights", "w.safetensors", *RUNTIME, "other.fa", *options)
        assert status == 0
        assert len(out.splitlines()) == 2
        assert all(fact in err for fact in ("1 sequence", "1 resized", "2 ambiguous letters", "1 mostly unknown"))


class TestTables:
    """A column of a table instead of FASTA."""

    WORDS = ("predict", "--weights", "w.safetensors", *RUNTIME)

    def rows(self, folder: Path) -> list[tuple[str, str]]:
        records = map(str.split, (folder / "seqs.fa").read_text().split(">")[1:])
        return [(name, sequence) for name, _, sequence in records]

    def test_every_kind_of_table_gives_the_predictions_of_fasta(self, zoo: Zoo, folder: Path) -> None:
        rows = self.rows(folder)
        for name, separator, header in (
            ("t.tsv", "\t", "name\tsequence"),
            ("t.csv", ";", "Sequence;ID"),
            ("t.csv.gz", ",", "sequence,name,id"),
        ):
            lines = [header]
            for one, sequence in rows:
                cells = {"name": one, "id": one if "name" not in header else "x", "sequence": f'"{sequence}"'}
                lines.append(separator.join(cells[column] for column in header.lower().split(separator)))
            text = "\n".join([*lines, ""]).encode()
            Path(name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
            status, out, _ = zoo(*self.WORDS, name, "--column", "sequence")
            assert (status, out) == (0, expected_table(folder)), name
        frame = pandas.DataFrame(rows, columns=["peak", "dna"])
        frame.to_parquet("t.parquet")
        words = ("--column", "dna", "--name-column", "peak", "-o", "out.tsv")
        assert zoo(*self.WORDS, "t.parquet", *words)[0] == 0
        assert Path("out.tsv").read_text() == expected_table(folder)
        described = json.loads(Path("out.tsv.json").read_text())
        assert described["inputs"] == [{"file": "t.parquet", "records": 10}]
        assert (described["column"], described["name_column"]) == ("dna", "peak")
        assert zoo(*self.WORDS, "t.parquet", "t.parquet", "--column", "dna")[1].count("\n3\t") == 2

    def test_strands_other_lengths_and_letters_are_as_for_fasta(self, zoo: Zoo, folder: Path) -> None:
        rows = [(name, f"{sequence}AR"[place:]) for place, (name, sequence) in enumerate(self.rows(folder))]
        Path("x.fa").write_text("".join(f">{name}\n{sequence}\n" for name, sequence in rows))
        Path("x.tsv").write_text("".join(f"{name}\t{sequence}\n" for name, sequence in [("name", "sequence"), *rows]))
        options = ("--both-strands", "--crop-or-pad", "--ambiguous-as-n", "--batch-size", 3)
        expected = zoo(*self.WORDS, "x.fa", *options)
        assert expected[0] == 0
        assert zoo(*self.WORDS, "x.tsv", "--column", "sequence", *options) == expected

    def test_explain_takes_tables_too(self, zoo: Zoo, folder: Path) -> None:  # noqa: ARG002
        words = ("--weights", "w.safetensors", *RUNTIME, "--method", "ism", "--column", "s", "-o", "explained")
        Path("t.csv").write_text(f"id,s\nx y,{'ACGTG' * 10}ACG\n")
        status, _, err = zoo("explain", "t.csv", *words)
        assert status == 0, err
        assert Path("explained/summary.tsv").read_text().splitlines()[1].startswith("x y\t")

    @pytest.mark.parametrize(
        ("text", "words", "facts"),
        [
            ("name\tseq\na\tACGT\n", ["--column", "sequence"], ["'sequence'", "name, seq", "--column"]),
            ("name\tseq\na\tACGT\n", ["--column", "seq"], ["row 1 (a)", "53", "4", "--crop-or-pad"]),
            ("name\tseq\na\t\n", ["--column", "seq", "--crop-or-pad"], ["column seq, row 1", "missing"]),
            ("name\tseq\na\tA\nb\tNA\n", ["--column", "seq", "--crop-or-pad"], ["row 2 (b)", "'NA'", "missing"]),
            ("name\tseq\na\tACX\n", ["--column", "seq", "--crop-or-pad"], ["row 1 (a), position 3", "'X'"]),
            ("name\tseq\na\tACG\n", ["--column", "seq", "--name-column", "n"], ["'n'", "name, seq"]),
            ("name\tseq\na\tACG\n", ["--name-column", "name"], ["--name-column", "--column"]),
            ("name\tseq\na\tACG\n", [], ["FASTA", "a table, name, seq", "--column seq"]),
            (">a\nACG\n", ["--column", "seq"], ["table", "FASTA"]),
        ],
    )
    def test_what_is_not_as_expected(
        self, zoo: Zoo, folder: Path, text: str, words: list[str], facts: list[str]
    ) -> None:
        (folder / "t.tsv").write_text(text)
        one_line(zoo, facts, *self.WORDS, "t.tsv", *words, "-o", "out.tsv")
        assert not Path("out.tsv").exists()

    def test_intervals_have_no_column(self, zoo: Zoo, folder: Path) -> None:  # noqa: ARG002
        words = ("--bed", "a.bed", "--genome", "g.fa", "--column", "s")
        one_line(zoo, ["--column", "intervals"], *self.WORDS, *words)


class TestProcess:
    """Pipes and signals, which need a process of their own."""

    def test_standard_input_is_read_compressed_or_not(self, folder: Path) -> None:
        content = (folder / "seqs.fa").read_bytes()
        for given in (content, gzip.compress(content)):
            result = run_zoo("predict", "--weights", "w.safetensors", *RUNTIME, "-", input=given, cwd=folder)
            assert result.returncode == 0
            assert result.stdout.decode() == expected_table(folder)
        table = b"name\tsequence\n" + content.replace(b" x\n", b"\t").replace(b">", b"")
        result = run_zoo(
            "predict", "--weights", "w.safetensors", *RUNTIME, "-", "--column", "sequence", input=table, cwd=folder
        )
        assert result.stdout.decode() == expected_table(folder)

    def test_a_closed_pipe_is_silent(self, folder: Path) -> None:
        (folder / "many.fa").write_text(f">s\n{'A' * ODD.sequence_length}\n" * 50_000)
        command = [sys.executable, "-m", "zoo", "predict", "--weights", "w.safetensors", *RUNTIME, "many.fa"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=folder, env=environment()) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == b"name\ta\tb\tc\n"
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait() == 0

    @pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")
    def test_ctrl_c_leaves_nothing_and_exits_130(self, folder: Path) -> None:
        before = sorted(folder.iterdir())
        with predicting(folder, f">s\n{'A' * ODD.sequence_length}\n".encode()) as process:
            assert process.stderr is not None
            process.send_signal(signal.SIGINT)
            assert process.wait() == 130
            assert (
                process.stderr.read()
                == b"zoo: interrupted\nzoo: no output file was written; the same command starts again\n"
            )
        assert sorted(folder.iterdir()) == before
