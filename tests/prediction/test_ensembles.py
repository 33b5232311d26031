"""Several weights as one model: means and spreads are NumPy's of the members' own predictions, to the bit."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo
from refusals import refuses
from tables import mean_and_sd

import zoo
from zoo.card import Card
from zoo.prediction import session
from zoo.weights import checkpoint, ensembles, folds, lookup
from zoo.weights.checkpoint import Checkpoint

MEMBERS = 5

SLOW_TO_START = ("keras-cpu", "torch-cpu")

CODES = random_codes(40, ODD.sequence_length)


def member(seed: int, **changes: object) -> Checkpoint:
    made = random_checkpoint(ODD, seed=seed)
    return Checkpoint(dataclasses.replace(made.spec, **changes), made.arrays)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    paths = [folder / f"m{seed}.safetensors" for seed in range(MEMBERS)]
    for seed, path in enumerate(paths):
        checkpoint.save(member(seed), path)
    return paths


@pytest.mark.parametrize("runtime", [name for name in session.runtime_names() if session.missing(name) is None])
def test_mean_and_spread_are_those_of_numpy_to_the_bit(files: list[Path], runtime: str) -> None:
    spec = lookup.read_spec(files[0])
    if session.refuses(runtime, spec):
        pytest.skip(f"{runtime} refuses this network")
    if runtime in SLOW_TO_START:
        compare_with_numpy(files[:2], runtime, "average")
    else:
        for rc in (None, "average"):
            compare_with_numpy(files, runtime, rc)


def compare_with_numpy(files: list[Path], runtime: str, rc: str | None) -> None:
    runs = [zoo.load(path, runtime=runtime, rc=rc).predict_codes(CODES) for path in files]
    ensemble = zoo.load(files, runtime=runtime, rc=rc)
    mean, sd = mean_and_sd(runs)
    np.testing.assert_array_equal(ensemble.predict_codes(CODES), mean)
    np.testing.assert_array_equal(ensemble.spread(CODES), sd)
    np.testing.assert_array_equal(ensemble.members(CODES), np.stack(runs))
    assert ensemble.predict_codes(CODES).dtype == ensemble.spread(CODES).dtype == np.float32
    assert (sd > 0).all()


def test_no_sequences_have_no_results(files: list[Path]) -> None:
    ensemble, none = zoo.load(files[:2], runtime="kmer-cpu"), CODES[:0]
    targets = len(ensemble.spec.targets)
    assert ensemble.predict_codes(none).shape == ensemble.spread(none).shape == (0, targets)
    assert ensemble.members(none).shape == (2, 0, targets)
    assert ensemble.session.mutants(none).shape == (*none.shape, 4, targets)
    assert ensemble.session.edits(CODES, none, np.zeros(0, int)).shape == (0, targets)


def test_a_list_of_one_is_this_network(files: list[Path]) -> None:
    one = zoo.load([files[0]])
    assert not one.spec.members
    np.testing.assert_array_equal(one.predict_codes(CODES), zoo.load(files[0]).predict_codes(CODES))
    assert one.members(CODES).shape == (1, len(CODES), len(ODD.targets))
    with refuses("ensemble"):
        one.spread(CODES)


def test_members_may_have_different_networks(files: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    checkpoint.save(random_checkpoint(dataclasses.replace(ODD, dense_units=(8,)), seed=9), other)
    both = zoo.load([files[0], other])
    np.testing.assert_array_equal(
        both.predict_codes(CODES), mean_and_sd([zoo.load(path).predict_codes(CODES) for path in (files[0], other)])[0]
    )


def test_every_way_is_the_mean_over_the_members(files: list[Path]) -> None:
    members = [zoo.load(path, runtime="kmer-cpu") for path in files]
    ensemble = zoo.load(files, runtime="kmer-cpu")
    contig, references = np.concatenate(list(CODES)), CODES[:3, None, ::-1].copy()
    for way in (
        lambda one: one.windows(contig, 3),
        lambda one: one.mutants(CODES[:3]),
        lambda one: one.contributions(CODES[:3], references, 1),
        lambda one: one.gradient(CODES[:3], 2),
    ):
        for one in (*members, ensemble):
            one.settle()
        np.testing.assert_array_equal(way(ensemble.session), mean_and_sd([way(one.session) for one in members])[0])


def test_tables_have_the_spread_beside_each_target(files: list[Path], tmp_path: Path, zoo: Zoo) -> None:
    letters = {f"s{number}": "".join("ACGTN"[code] for code in row) for number, row in enumerate(CODES)}
    fasta, table = tmp_path / "seqs.fa", tmp_path / "out.tsv"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in letters.items()))
    assert zoo("predict", fasta, "--weights", ",".join(map(str, files)), "-o", table)[0] == 0
    header, *rows = (line.split("\t") for line in table.read_text().splitlines())
    assert header == ["name", "a", "a_sd", "b", "b_sd", "c", "c_sd"]
    numbers = np.array([row[1:] for row in rows], np.float32)
    mean, sd = mean_and_sd([loaded(path) for path in files])
    np.testing.assert_array_equal(numbers[:, ::2], mean)
    np.testing.assert_array_equal(numbers[:, 1::2], sd)
    described = json.loads(table.with_name("out.tsv.json").read_text())["weights"]
    assert described["members"] == [lookup.read_spec(path).weights_id for path in files]
    assert described["id"] not in described["members"]


def loaded(path: Path) -> np.ndarray:
    return zoo.load(path).predict_codes(CODES)


def test_the_id_of_an_ensemble_depends_on_its_members_and_their_order(files: list[Path]) -> None:
    ids = [zoo.load(some).spec.weights_id for some in (files, files[::-1], files[:2], [files[0]])]
    assert len(set(ids)) == len(ids)
    again = pickle.loads(pickle.dumps(zoo.load(files)))
    assert again.spec == zoo.load(files).spec


def run_folder(folder: Path, weights: Checkpoint | None) -> None:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"status": "finished"}')
    if weights is not None:
        checkpoint.save(weights, folder / lookup.RUN_WEIGHTS)


def test_a_folder_of_run_folders_is_an_ensemble_in_their_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        run_folder(tmp_path / f"fold-{number}", member(number, card=Card(held_out=(f"chr{number}",))))
    found = zoo.load(tmp_path).spec.members
    assert [one.held_out for one in found] == [("chr1",), ("chr2",), ("chr10",)]
    run_folder(tmp_path / "fold-11", None)
    with refuses("fold-11"):
        zoo.load(tmp_path)
    for status in ("running", "failed", "interrupted"):
        (tmp_path / "fold-11" / "run.json").write_text(f'{{"status": "{status}"}}')
        checkpoint.save(member(11), tmp_path / "fold-11" / lookup.RUN_WEIGHTS, overwrite=True)
        with refuses(tmp_path / "fold-11", status, "--resume"):
            zoo.load(tmp_path)


def test_a_folder_of_folds_says_the_order_and_what_was_held_out(tmp_path: Path) -> None:
    for number in range(2):
        run_folder(tmp_path / f"fold-{number}", member(number, card=Card(held_out=("chr1", "chr2"))))
    listed = [folds.FoldMember(f"fold-{number}", number, held_out=(f"chr{number}",)) for number in (1, 0)]
    folds.write(tmp_path, folds.FINISHED, listed, {})
    found = zoo.load(tmp_path).spec
    assert [one.held_out for one in found.members] == [("chr1",), ("chr0",)]
    assert found.weights_id == zoo.load([tmp_path / "fold-1", tmp_path / "fold-0"]).spec.weights_id
    folds.write(tmp_path, "running", listed, {})
    with refuses(tmp_path, "--resume"):
        zoo.load(tmp_path)


def test_the_card_has_what_all_members_agree_in() -> None:
    cards = [
        Card(assay="STARR-seq", tissue="S2", held_out=("chr1", "chr2")),
        Card(assay="STARR-seq", tissue="OSC", held_out=("chr2", "chr3")),
    ]
    spec = ensembles.combined(["a", "b"], [member(seed, card=card).spec for seed, card in enumerate(cards)])
    assert spec.card == Card(assay="STARR-seq", held_out=("chr2",))


def test_members_that_do_not_fit_are_refused(files: list[Path], tmp_path: Path) -> None:
    def saved(name: str, config: object = ODD, **changes: object) -> Path:
        made = random_checkpoint(config, seed=9)
        checkpoint.save(Checkpoint(dataclasses.replace(made.spec, **changes), made.arrays), tmp_path / name)
        return tmp_path / name

    first = files[0]
    longer = saved("longer.safetensors", dataclasses.replace(ODD, sequence_length=54))
    with refuses("53", "54", first.name, longer.name):
        zoo.load([first, longer])
    swapped = saved("swapped.safetensors", dataclasses.replace(ODD, targets=("b", "a", "c")))
    with refuses("a, b, c", "b, a, c", swapped.name):
        zoo.load([first, swapped])
    counts = saved("counts.safetensors", card=Card(unit="log2 counts"))
    with refuses("log2 counts", counts.name):
        zoo.load([first, counts])
    with refuses(first.name, "same weights"):
        zoo.load([first, files[1], first])
    with refuses("missing.safetensors"):
        zoo.load(f"{first},{tmp_path / 'missing.safetensors'}")
    with refuses("''"):
        zoo.load(f"{first},,{files[1]}")
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", []):
        with refuses("expected"):
            zoo.load(nothing)
    twice = [
        saved(f"twice{seed}.safetensors", dataclasses.replace(ODD, targets=("a", "a_sd", "c"), dropout=seed / 10))
        for seed in range(2)
    ]
    with refuses("a_sd"):
        zoo.predict([], twice)


def test_a_command_for_one_network_says_that_it_takes_no_ensemble(files: list[Path]) -> None:
    with refuses("ensemble", files[0].name):
        zoo.torch_module(",".join(map(str, files[:2])))
