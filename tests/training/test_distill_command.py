"""`zoo distill`: the student takes its sequence length and targets from the teacher, not from its own file."""

from __future__ import annotations

import json
from pathlib import Path

import genomes
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import RUNTIME, Zoo, one_line

from zoo.weights import checkpoint

QUICK = ("--epochs", 1, "--epoch-size", 48, "--held-out", 10, "--device", "cpu", "-o", "run")

STUDENT = '[model]\narchitecture = "gapped_kmer"\nword_length = 4\ninformative = 3\n'


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.chdir(tmp_path)
    checkpoint.save(random_checkpoint(ODD), Path("w.safetensors"))
    genomes.write(Path("g.fa"), genomes.contigs({"chr2": 3000}))
    return "distill", "student.toml", "--teacher", "w.safetensors", "--genome", "g.fa", *RUNTIME


def test_a_student_is_trained_with_the_length_and_targets_of_its_teacher_and_says_so(
    zoo: Zoo, words: tuple[str, ...]
) -> None:
    Path("student.toml").write_text(f'{STUDENT}sequence_length = 300\ntargets = ["petal"]\n')
    status, _, told = zoo(*words, *QUICK)
    assert status == 0, told
    for facts in (
        ("zoo: sequence_length: ", "53", "300", "student.toml"),
        ("zoo: targets: ", "a, b, c", "petal", "student.toml"),
    ):
        assert [line for line in told.splitlines() if all(fact in line for fact in facts)], told
    made = json.loads(Path("run/run.json").read_text())["model"]
    assert (made["sequence_length"], made["targets"]) == (53, ["a", "b", "c"])


def test_dropout_is_refused_where_the_student_has_none(zoo: Zoo, words: tuple[str, ...]) -> None:
    Path("student.toml").write_text(STUDENT)
    facts = ("student.toml", "[model]", "'dropout'", "word_length", "informative")
    one_line(zoo, facts, *words, *QUICK, "--dropout", 0.1)
    assert not Path("run").exists()
