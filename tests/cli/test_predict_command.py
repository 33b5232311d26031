"""`zoo predict` from end to end: whole tables, pipes and signals."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoints import ODD, random_checkpoint
from command_line import RUNTIME, Zoo, environment, expected_table, predicting, run_zoo


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


class TestProcess:
    """Pipes and signals, which need a process of their own."""

    def test_standard_input_is_read_compressed_or_not(self, folder: Path) -> None:
        content = (folder / "seqs.fa").read_bytes()
        for given in (content, gzip.compress(content)):
            result = run_zoo("predict", "--weights", "w.safetensors", *RUNTIME, "-", input=given, cwd=folder)
            assert result.returncode == 0
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
            assert process.stderr.read() == b"zoo: interrupted\n"
        assert sorted(folder.iterdir()) == before
