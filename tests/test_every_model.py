"""Every command on every model: it works, or one line says why it refuses. Numbers are tested elsewhere."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from checkpoints import EMBRYO, EVERY_ODD_CONFIG, MODELS, SMALLER, TRACED, architecture_of, random_checkpoint
from command_line import Zoo
from served import opened
from sites import stand_in

from zoo.weights import checkpoint

pytest.importorskip("torch")

DREAM = MODELS["dream"].VARIANTS

NETWORKS = {
    **EVERY_ODD_CONFIG,
    "dream-rnn": dataclasses.replace(DREAM["dream-rnn"], **SMALLER["dream"], sequence_length=50),
    "dream-attn": dataclasses.replace(
        DREAM["dream-attn"],
        **SMALLER["dream"] | {"core_filters": 6, "heads": 2},
        attention_blocks=1,
        sequence_length=50,
    ),
    "embryo-activity": EMBRYO,
}
"""Small networks: one of each architecture, and one for each kind that differs in its layers."""

COMMANDS: dict[str, list[str]] = {
    "info": ["info", "w.safetensors"],
    "predict": ["predict", "s.fa", "-o", "out.tsv"],
    "predict --bed": ["predict", "--bed", "r.bed", "--genome", "genome.fa", "-o", "out.tsv"],
    "predict --both-strands": ["predict", "s.fa", "--both-strands", "-o", "out.tsv"],
    "scan": ["scan", "genome.fa", "--stride", "40", "--format", "bedgraph", "-o", "t"],
    "variants": ["variants", "v.tsv", "--genome", "genome.fa", "-o", "out.tsv"],
    "explain ism": ["explain", "one.fa", "--method", "ism", "-o", "explained"],
    "explain deeplift": ["explain", "one.fa", "--shuffles", "2", "-o", "explained"],
    "design": ["design", "--target", "TARGET", "-n", "1", "--rounds", "1", "-o", "d.fa"],
    "evaluate": ["evaluate", "--data", "t.tsv", "--split", "all", "--resamples", "10"],
    "train": ["train", "m.toml", "--data", "t.tsv", "-o", "run", "--epochs", "1"],
    "export": ["export", "--onnx", "-o", "w.onnx"],
    "parity": ["parity", "--sequences", "s.fa", "--runtimes", "torch-cpu,onnx-cpu"],
    "page": ["page", "w.safetensors", "-o", "site", "--ort", "dist"],
}

ON_A_RUNTIME = ("predict", "scan", "variants", "explain", "design", "evaluate")

REFUSED = {
    ("explain deeplift", "odd gapped_kmer"): "--method ism",
    ("explain deeplift", "odd motif_counts"): "--method ism",
    ("explain deeplift", "dream-rnn"): "delta",
    ("train", "odd bpnet"): "--signal",
    **{("predict --both-strands", name): "channel for the strand" for name in ("odd dream", "dream-rnn", "dream-attn")},
}
"""Command and network -> a fact in the line that refuses it."""


SLOW = "PyTorch traces its graph, which takes seconds; tests/models/test_goldens.py exports it"


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any, Path]:
    """Name, Config, and a folder with weights and inputs."""
    config = NETWORKS[request.param]
    folder = tmp_path_factory.mktemp("network")
    random, length = np.random.default_rng(0), config.sequence_length

    def dna(bases: int) -> str:
        return "".join(random.choice(list("ACGT"), bases))

    checkpoint.save(random_checkpoint(config), folder / "w.safetensors")
    sequences = [dna(length) for _ in range(24)]
    for name, number in (("s.fa", 6), ("one.fa", 1)):
        (folder / name).write_text("".join(f">s{row}\n{bases}\n" for row, bases in enumerate(sequences[:number])))
    table = pandas.DataFrame({"name": range(24), "sequence": sequences})
    table["split"] = ["train"] * 12 + ["validation"] * 6 + ["test"] * 6
    table[list(config.targets)] = random.uniform(0.1, 0.9, (24, len(config.targets)))
    table.to_csv(folder / "t.tsv", sep="\t", index=False)
    genome = dna(length + 90)
    (folder / "genome.fa").write_text(f">chr1\n{genome}\n")
    (folder / "r.bed").write_text(f"chr1\t3\t{3 + length}\ta\n")
    position = length // 2 + 20
    other = "A" if genome[position] != "A" else "C"
    (folder / "v.tsv").write_text(f"chrom\tpos\tref\talt\nchr1\t{position + 1}\t{genome[position]}\t{other}\n")
    stand_in(folder / "dist")
    plain = {name: value for name, value in config.to_dict().items() if "{" not in str(value) and value is not None}
    fields = "".join(f"{name} = {json.dumps(value)}\n" for name, value in plain.items())
    (folder / "m.toml").write_text(f'[model]\narchitecture = "{architecture_of(config)}"\n{fields}')
    return request.param, config, folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_works_or_refuses_in_one_line(
    network: tuple[str, Any, Path], command: str, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, config, folder = network
    if command in ("export", "parity", "page") and architecture_of(config) in TRACED:
        pytest.skip(SLOW)
    monkeypatch.chdir(folder)
    typed = [config.targets[0] if word == "TARGET" else word for word in COMMANDS[command]]
    if typed[0] in (*ON_A_RUNTIME, "export", "parity"):
        typed += ["--weights", "w.safetensors"]
    if typed[0] in ON_A_RUNTIME:
        typed += ["--runtime", "torch-cpu", "--threads", "1"]
    status, out, err = zoo(*typed, *(["--overwrite"] if {"-o"} & {*typed} and typed[0] != "train" else []))
    fact = REFUSED.get((command, name))
    if fact is None:
        assert status == 0, err
    else:
        assert (status, out) == (2, "")
        assert err.startswith("zoo: ")
        assert err.count("\n") == 1
        assert fact in err


def test_the_service_predicts(network: tuple[str, Any, Path]) -> None:
    _, config, folder = network
    if architecture_of(config) in TRACED:
        pytest.skip(SLOW)
    models = opened(folder / "w.safetensors")
    models.close()
