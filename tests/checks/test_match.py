"""With --match a file is read in the way that gives the predictions of its own program, or is refused."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import random_checkpoint
from command_line import Zoo
from ports import LENGTH, Port, ported
from refusals import refuses
from zoo_exporters.keras import export as write_h5

from zoo.checks import match as matching
from zoo.dna.encoding import encode
from zoo.errors import LONGEST
from zoo.models.deepstarr import Config
from zoo.prediction import session
from zoo.spec import ModelSpec
from zoo.weights import checkpoint, lookup
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import importer
from zoo.weights.importers.layers import ImportOptions

torch = pytest.importorskip("torch")

ALPHABETS = ["".join(order) for order in itertools.permutations("ACGT")]
SMALL = Config(filters=(8, 8), kernel_sizes=(5, 3), dense_units=(9,), sequence_length=LENGTH)


@pytest.fixture(scope="module")
def tuned() -> Checkpoint:
    return lookup.load("tuned")


def sequences(number: int, length: int, letters: str = "ACGT", seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list(letters), length)) for _ in range(number)]


def table(path: Path, texts: list[str], values: np.ndarray, targets: tuple[str, ...] = ("dev", "hk")) -> Path:
    lines = ["\t".join(("sequence", *targets))]
    lines += ["\t".join((text, *(repr(float(v)) for v in row))) for text, row in zip(texts, values, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def saved(path: Path, state: Any) -> Path:
    torch.save(state, path)
    return path


def imported(alphabet: str, flatten: str, epsilon: float) -> str:
    """How an imported file was read: the options and their values, as its spec keeps them."""
    return f"alphabet {alphabet}, flatten {flatten}, epsilon {epsilon};"


def read(path: Path, match: Path, **options: Any) -> Checkpoint:
    return matching.read(path, ImportOptions(**options), None, match)


def refused(path: Path, match: Path, *facts: str, **options: Any) -> None:
    with refuses(*facts) as caught:
        read(path, match, **options)
    assert len(str(caught.value)) <= LONGEST
    assert str(caught.value).startswith((str(path), str(match)))


def predicted(weights: Checkpoint, texts: list[str]) -> np.ndarray:
    return session.open_session(weights, "torch-cpu").predict(encode(texts))


def port_numbers(port: Port, texts: list[str]) -> np.ndarray:
    with torch.inference_mode():
        return port(encode(texts)).numpy()


WAYS = list(itertools.product(("channel", "length"), (1e-3, 1e-5)))


@pytest.mark.slow
@pytest.mark.parametrize("alphabet", ALPHABETS[::5])
def test_match_finds_the_alphabet_of_random_weights(alphabet: str, tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    flatten, epsilon = WAYS[ALPHABETS.index(alphabet) % len(WAYS)]
    path = saved(tmp_path / "port.pt", ported(weights, alphabet, flatten, epsilon))
    texts = sequences(30, LENGTH)
    match = table(tmp_path / "match.tsv", texts, predicted(weights, texts))
    found = read(path, match, length=LENGTH)
    for fact in (imported(alphabet, flatten, epsilon), " 60 predictions", "match.tsv"):
        assert fact in found.spec.imported
    others = sequences(30, LENGTH, seed=1)
    assert np.abs(predicted(found, others) - predicted(weights, others)).max() < 1e-4


@pytest.mark.parametrize(
    ("alphabet", "flatten", "epsilon"), [(ALPHABETS[5 * n], *way) for n, way in enumerate(WAYS, 1)]
)
def test_match_finds_how_a_network_of_another_program_is_built(
    alphabet: str, flatten: str, epsilon: float, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    port = Port(alphabet, flatten, epsilon).eval()
    path = saved(tmp_path / "port.pt", port.state_dict())
    texts = sequences(60, LENGTH)
    match = table(tmp_path / "match.tsv", texts, port_numbers(port, texts))
    weights = read(path, match, length=LENGTH)
    assert imported(alphabet, flatten, epsilon) in weights.spec.imported
    assert " 120 predictions" in weights.spec.imported
    others = sequences(40, LENGTH, seed=1)
    assert weights.spec.targets == ("hk", "dev")
    assert np.abs(predicted(weights, others) - port_numbers(port, others)[:, ::-1]).max() < 1e-4


def test_match_finds_how_bundled_weights_were_changed(tuned: Checkpoint, tmp_path: Path) -> None:
    path = saved(tmp_path / "port.pt", ported(tuned, "GATC", "length", 1e-5))
    texts = sequences(100, 249)
    match = table(tmp_path / "match.tsv", texts, predicted(tuned, texts))
    found = read(path, match)
    assert imported("GATC", "length", 1e-5) in found.spec.imported
    assert " 200 predictions" in found.spec.imported
    assert np.abs(predicted(found, texts) - predicted(tuned, texts)).max() < 1e-4


def test_match_finds_another_epsilon_only_where_it_is_among_those_given(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    path = saved(tmp_path / "port.pt", ported(weights, "ACTG", epsilon=0.02))
    texts = sequences(30, LENGTH)
    match = table(tmp_path / "match.tsv", texts, predicted(weights, texts))
    found = read(path, match, length=LENGTH, epsilon=0.02)
    assert imported("ACTG", "channel", 0.02) in found.spec.imported
    refused(path, match, "ACTG channel 0.001 ", "ACTG channel 1e-05 ", " 0.0", length=LENGTH)


def test_match_takes_a_fasta_file_and_its_table(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    path = saved(tmp_path / "port.pt", ported(weights, "ACTG", "length"))
    texts = sequences(30, LENGTH)
    fasta, match = tmp_path / "s.fa", tmp_path / "predictions.tsv"
    fasta.write_text("".join(f">s{number}\n{text}\n" for number, text in enumerate(texts)))
    rows = [f"s{number}\t{dev!r}\t{hk!r}" for number, (dev, hk) in enumerate(predicted(weights, texts).tolist())]
    match.write_text("\n".join(["name\tdev\thk", *rows]) + "\n")
    options = ImportOptions(length=LENGTH)
    found = matching.read(path, options, None, match, fasta)
    for fact in (imported("ACTG", "length", 0.001), " 60 predictions", "predictions.tsv"):
        assert fact in found.spec.imported
    match.write_text("\n".join(["name\tdev\thk", *reversed(rows)]) + "\n")
    with refuses(match, "row 1", "'s0'", "'s29'"):
        matching.read(path, options, None, match, fasta)


def test_sequences_without_some_bases_do_not_decide_the_alphabet(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    path = saved(tmp_path / "port.pt", ported(weights))
    texts = sequences(30, LENGTH, "AC")
    match = table(tmp_path / "match.tsv", texts, predicted(weights, texts))
    refused(path, match, "2 combinations", "--alphabet", length=LENGTH)
    found = read(path, match, length=LENGTH, alphabet="ACGT")
    assert found.spec.weights_id == weights.spec.weights_id


def test_an_epsilon_that_the_numbers_do_not_show_must_be_given(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    arrays = dict(weights.arrays)
    for norm in ("conv1_norm", "conv2_norm", "dense1_norm"):
        arrays[f"{norm}.running_var"] = arrays[f"{norm}.running_var"] * np.float32(1e4)
        arrays[f"{norm}.weight"] = arrays[f"{norm}.weight"] * np.float32(1e2)
    weights = checkpoint.make("deepstarr", SMALL, arrays, "a test", "none")
    texts = sequences(30, LENGTH)
    path = saved(tmp_path / "port.pt", ported(weights, "ACTG"))
    match = table(tmp_path / "match.tsv", texts, predicted(weights, texts))
    refused(path, match, "2 combinations", "--epsilon", length=LENGTH)
    assert "epsilon 1e-05;" in read(path, match, length=LENGTH, epsilon=1e-5).spec.imported


def test_options_that_the_numbers_contradict_are_refused(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    path = saved(tmp_path / "port.pt", ported(weights, "ACTG", "length", 1e-5))
    texts = sequences(30, LENGTH)
    match = table(tmp_path / "match.tsv", texts, predicted(weights, texts))
    right = "--alphabet ACTG --flatten length --epsilon 1e-05"
    for options, given in (
        ({"alphabet": "ACGT"}, "--alphabet ACGT"),
        ({"flatten": "channel", "alphabet": "actg"}, "--alphabet actg --flatten channel"),
        ({"epsilon": 1e-3}, "--epsilon 0.001"),
    ):
        refused(path, match, right, f"not {given}", length=LENGTH, **options)


def test_the_order_of_outputs_is_not_guessed(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    path = saved(tmp_path / "port.pt", ported(weights))
    texts = sequences(30, LENGTH)
    match = table(tmp_path / "match.tsv", texts, predicted(weights, texts)[:, ::-1])
    refused(path, match, "off by", length=LENGTH)
    assert read(path, match, length=LENGTH, targets=("hk", "dev")).spec.targets == ("hk", "dev")


def test_a_table_that_cannot_decide_is_refused(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    path = saved(tmp_path / "port.pt", ported(weights))
    texts = sequences(12, LENGTH)
    values = predicted(weights, texts)
    match = table(tmp_path / "few.tsv", texts[:9] * 3, np.tile(values[:9], (3, 1)))
    refused(path, match, "10", "got 9", length=LENGTH)
    match = table(tmp_path / "gap.tsv", texts, np.where(values == values[3], np.nan, values))
    refused(path, match, "row 4", "dev", length=LENGTH)
    match = table(tmp_path / "short.tsv", [texts[0][:-1], *texts[1:]], values)
    refused(path, match, "row 1", "61 bases", "got 60", length=LENGTH)
    match = table(tmp_path / "letters.tsv", ["X" + texts[0][1:], *texts[1:]], values)
    refused(path, match, "position 1", "'X'", length=LENGTH)
    match = table(tmp_path / "names.tsv", texts, values, ("dev", "other"))
    refused(path, match, "hk", length=LENGTH)


def test_the_published_keras_file_needs_no_options_and_matches_its_own_numbers(data: Path) -> None:
    path, table, fasta = data / "DeepSTARR.model.h5", data / "enhancers_500.keras.tsv", data / "enhancers_500.fa"
    found = matching.read(path, ImportOptions(), None, table, fasta)
    assert " 1,000 predictions" in found.spec.imported
    assert "enhancers_500.keras.tsv" in found.spec.imported
    assert found.spec.weights_id == importer.read(path).spec.weights_id
    with refuses(path, "--alphabet ACTG"):
        matching.read(path, ImportOptions(alphabet="ACTG"), None, table, fasta)


def test_a_file_with_a_spec_of_the_zoo_needs_no_options(tmp_path: Path) -> None:
    weights = random_checkpoint(SMALL)
    write_h5(weights, tmp_path / "ours.h5")
    assert importer.read(tmp_path / "ours.h5").spec == weights.spec


def test_a_spec_keeps_how_its_file_was_imported_and_files_without_it_still_load(tmp_path: Path, zoo: Zoo) -> None:
    weights = random_checkpoint(SMALL)
    assert "imported" not in json.loads(weights.spec.to_json())
    checkpoint.save(weights, tmp_path / "a.safetensors")
    assert checkpoint.load(tmp_path / "a.safetensors").spec.imported == ""
    assert "imported" not in zoo("info", tmp_path / "a.safetensors")[1]
    spec = dataclasses.replace(weights.spec, imported="alphabet ACTG")
    checkpoint.save(dataclasses.replace(weights, spec=spec), tmp_path / "b.safetensors")
    assert checkpoint.load(tmp_path / "b.safetensors").spec == spec
    assert re.search(r"^imported +alphabet ACTG$", zoo("info", tmp_path / "b.safetensors")[1], re.MULTILINE)
    with refuses("imported", "got 5"):
        ModelSpec("deepstarr", {}, 249, ("dev",), "", imported=5)  # type: ignore[arg-type]


def test_the_command_says_how_the_file_was_read(tuned: Checkpoint, tmp_path: Path, zoo: Zoo) -> None:
    path = saved(tmp_path / "port.pt", ported(tuned, "ACTG", epsilon=1e-5))
    output = tmp_path / "port.safetensors"
    status, out, err = zoo("import", path, "--flatten", "channel", "--epsilon", "1e-5", "-o", output)
    assert (status, out, output.exists()) == (2, "", False)
    assert "--alphabet" in err
    assert "--match" in err
    texts = sequences(30, 249)
    match = table(tmp_path / "match.tsv", texts, predicted(tuned, texts))
    status, out, err = zoo("import", path, "--match", match, "-o", output, "--flatten", "channel")
    assert status == 0
    assert "bundled weights of tuned" in err  # these are they
    told = checkpoint.load(output).spec.imported
    assert told in out
    assert not [
        fact for fact in (imported("ACTG", "channel", 1e-5), " 60 predictions", "match.tsv") if fact not in told
    ]
    status, out, err = zoo("import", path, "--match-sequences", match, "-o", output, "--overwrite")
    assert (status, out) == (2, "")
    assert "--match-sequences" in err
