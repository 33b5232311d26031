"""Maps of dependencies: equal to double mutants and to tangermeme, on every runtime, and what their files say."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import planted
import pytest
from checkpoints import random_checkpoint
from command_line import Zoo, one_line
from refusals import refuses

import zoo as package
from zoo.dna.encoding import encode
from zoo.errors import CheckFailed
from zoo.models.deepstarr import Config
from zoo.options import RunOptions
from zoo.prediction import session
from zoo.prediction.members import as_one
from zoo.prediction.model import Model
from zoo.prediction.session import Session, open_session
from zoo.prediction.strands import with_strands
from zoo.spec import ModelSpec
from zoo.weights import checkpoint, ensembles

dependency = package.experiments.dependency

SMALL = Config(filters=(8, 6), kernel_sizes=(5, 4), dense_units=(8,), sequence_length=24)

CODES = np.random.default_rng(3).integers(0, 4, (2, 24), np.uint8)

WITH_N = np.where(np.arange(24) == 7, 4, CODES[0]).astype(np.uint8)


def weights(seed: int = 0) -> checkpoint.Checkpoint:
    return random_checkpoint(SMALL, seed)


def opened(runtime: str = "kmer-cpu", seed: int = 0) -> Session:
    return open_session(weights(seed), runtime, RunOptions())


def ensemble() -> Model:
    each = [opened(seed=seed) for seed in range(3)]
    return Model(as_one(each, ensembles.combined(("a", "b", "c"), [one.spec for one in each])))


def by_double_mutants(model: Model, codes: np.ndarray, positions: range) -> np.ndarray:
    """f(both) - f(only i) - f(only j) + f(neither) for all substitutions, float64 (R, R, 16, M, T)."""

    def mutated(*changes: tuple[int, int]) -> np.ndarray:
        one = codes.copy()
        for position, base in changes:
            one[position] = base
        return one

    places = list(product(positions, positions, range(4), range(4)))
    four = [[mutated((i, a), (j, b)), mutated((i, a)), mutated((j, b)), mutated()] for i, j, a, b in places if i != j]
    found = model.each.predict(np.array(four).reshape(-1, len(codes))).astype(np.float64)
    found = found.reshape(-1, 4, max(1, len(model.spec.members)), len(model.spec.targets))
    out = np.zeros((len(places), *found.shape[2:]))
    out[[i != j for i, j, *_ in places]] = found[:, 0] - found[:, 1] - found[:, 2] + found[:, 3]
    return out.reshape(len(positions), len(positions), 16, *found.shape[2:])


@pytest.mark.parametrize("runtime", [name for name in session.runtime_names() if session.missing(name) is None])
def test_interactions_are_those_of_double_mutants_on_every_runtime(runtime: str) -> None:
    model, poly_a = Model(opened(runtime)), np.zeros(24, np.uint8)
    for codes in (CODES[0], WITH_N, poly_a):
        found = dependency(model, codes[None], positions="6-8").maps[0]
        expected = by_double_mutants(model, codes, range(5, 8))[..., 0, :]
        sizes = np.sort(np.abs(expected), 2)
        np.testing.assert_allclose(np.abs(found), sizes[:, :, -1], rtol=0, atol=2e-5)
        best = np.take_along_axis(expected, np.abs(expected).argmax(2)[:, :, None], 2)[:, :, 0]
        clear = sizes[:, :, -1] - sizes[:, :, -2] > 1e-4  # else rounding chooses the pair, and its sign
        np.testing.assert_allclose(found[clear], best[clear], rtol=0, atol=2e-5)
        assert clear.any()


@pytest.mark.parametrize("measure", ["ism", "gradient"])
def test_changes_of_contributions_are_those_of_tangermeme(measure: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("tangermeme", reason="tangermeme is not installed; see extra explain")
    from tangermeme.dependency_map import dependency_map
    from tangermeme.saliency import saliency
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    from zoo.dna.encoding import one_hot
    from zoo.weights import network

    codes = np.stack([CODES[0], WITH_N, np.zeros(24, np.uint8)])
    found = dependency(Model(opened()), codes, measure=measure)
    theirs = {"ism": saturation_mutagenesis, "gradient": saliency}[measure]
    module, bases = network.from_checkpoint(weights()), torch.from_numpy(one_hot(codes, channels_first=True))
    first, last = (5, 8) if measure == "ism" else (0, 24)
    rest = {"additional_func_kwargs": {"fast": False}} if measure == "ism" else {}
    expected = dependency_map(module, bases, None, first, last, theirs, target=1, device="cpu", batch_size=512, **rest)
    np.testing.assert_allclose(found.maps[:, first:last, :, 1], expected.numpy().transpose(0, 2, 1), rtol=0, atol=1e-5)
    assert expected.max() > 0.01


def test_both_strands_and_ensembles_derive_from_their_own_predictions() -> None:
    both = Model(with_strands(opened(), "average"))
    found = dependency(both, CODES[:1], positions="5-9")
    expected = np.abs(by_double_mutants(both, CODES[0], range(4, 9))[..., 0, :]).max(2)
    np.testing.assert_allclose(np.abs(found.maps[0]), expected, rtol=0, atol=2e-5)
    several = ensemble()
    found = dependency(several, CODES[:1], positions="5-9")
    of_members = by_double_mutants(several, CODES[0], range(4, 9))
    chosen = np.abs(of_members.mean(3)).argmax(2)[:, :, None, None]
    of_pair = np.take_along_axis(of_members, chosen, 2)[:, :, 0]
    np.testing.assert_allclose(found.maps[0], of_pair.mean(2), rtol=0, atol=2e-5)
    np.testing.assert_allclose(found.sd[0], of_pair.std(2, ddof=1), rtol=0, atol=2e-5)
    changes = dependency(several, CODES[:1], measure="ism")
    singles = [dependency(Model(opened(seed=seed)), CODES[:1], measure="ism").maps for seed in range(3)]
    np.testing.assert_allclose(changes.maps, np.mean(singles, 0), rtol=0, atol=2e-5)
    np.testing.assert_allclose(changes.sd, np.std(singles, 0, ddof=1), rtol=0, atol=2e-5)


class Pair:
    """An engine whose only rule is a pair: the activity is 2 where A at position 6 and C at position 15 meet."""

    def __init__(self) -> None:
        self.spec = ModelSpec("pair", {}, 24, ("up",), "0" * 64, "made here", "none")
        self.provider, self.batch_size, self.concurrent_batches = "counting", 1000, 1

    def run(self, codes: np.ndarray) -> np.ndarray:
        both = (codes[:, 5] == 0) & (codes[:, 14] == 1)
        return (2 * both + (codes == 2).sum(1))[:, None].astype(np.float32)


def test_the_bases_of_a_planted_pair_are_found_and_no_others() -> None:
    codes = CODES[:1].copy()
    codes[0, [5, 14]] = 0, 1
    found = dependency(Model(Session(Pair(), "toy")), codes)
    assert np.argwhere(np.abs(found.maps[0, ..., 0]) > 1e-4).tolist() == [[5, 14], [14, 5]]
    (row,) = found.frame().to_dict("records")
    assert [row[name] for name in ("sequence", "target", "position", "other_position")] == ["sequence 1", "up", 6, 15]
    assert (row["mutation"][:2], row["other_mutation"][:3], row["interaction"]) == ("A6", "C15", 2)


def test_a_motif_that_helps_another_shows_the_bases_of_both_and_no_others() -> None:
    codes = np.full((1, planted.LENGTH), 3, np.uint8)  # poly-T, which no two substitutions make a motif
    for motif, start in (("A", 41), ("B", 60)):
        codes[0, start : start + planted.WIDTH] = encode([planted.MOTIFS[motif]])[0]
    found = dependency(Model(open_session(planted.network(), "kmer-cpu")), codes).maps[0]
    bases = {*range(40, 48), *range(60, 67)}  # the base before A decides its strength
    for number in range(2):
        sizes = np.abs(found[:, :, number])
        pairs = np.argwhere(sizes > 1e-4 * sizes.max()).tolist()
        assert {base for pair in pairs for base in pair} == bases
        assert ([44, 63] in pairs) == (number == 0), "only the first target knows the help"
    assert found[44, 63, 0] == pytest.approx(planted.STRENGTHS[3], abs=1e-5)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dependency")
    checkpoint.save(weights(), folder / "small.safetensors")
    checkpoint.save(weights(1), folder / "other.safetensors")
    lines = (f">s{number}\n{''.join('ACGTN'[code] for code in row)}\n" for number, row in enumerate([*CODES, WITH_N]))
    (folder / "seqs.fa").write_text("".join(lines))
    (folder / "empty.fa").write_text("")
    return folder


@pytest.mark.drawn
def test_the_files_repeat_each_other_and_the_function(files: Path, zoo: Zoo) -> None:
    given = (
        "--weights",
        f"{files / 'small.safetensors'},{files / 'other.safetensors'}",
        "--positions",
        "3-12",
        "--panels",
        1,
    )
    status, _, err = zoo("dependency", files / "seqs.fa", *given, "--pairs", 4, "-o", files / "out")
    assert status == 0, err
    described = json.loads((files / "out" / "dependency.json").read_text())
    header, *lines = (line.split("\t") for line in (files / "out" / "dependency.tsv").read_text().splitlines())
    assert header[-2:] == ["interaction", "interaction_sd"]
    assert [list(map(str, row.values()))[:6] for row in described["rows"]] == [line[:6] for line in lines]
    assert len(lines) == 3 * 2 * 4
    model = package.load([files / "small.safetensors", files / "other.safetensors"])
    found = dependency(model, np.stack([*CODES, WITH_N]), positions="3-12", pairs=4)
    with np.load(files / "out" / "dependency.npz") as arrays:
        np.testing.assert_array_equal(arrays["maps"], found.maps)
        np.testing.assert_array_equal(arrays["sd"], found.sd)
        assert arrays["positions"].tolist() == list(range(3, 13))
        assert arrays["names"].tolist() == ["s0", "s1", "s2"]
    first = (files / "out" / "dependency.npz").read_bytes()
    assert zoo("dependency", files / "seqs.fa", *given, "--pairs", 4, "-o", files / "out", "--overwrite")[0] == 0
    assert (files / "out" / "dependency.npz").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        ((), ("FILE", "zoo dependency")),
        (("seqs.fa", "--positions", "20-25"), ("--positions", "24", "20-25")),
        (("seqs.fa", "--positions", "0-5"), ("--positions", "0-5")),
        (("seqs.fa", "--positions", "x"), ("--positions", "FIRST-LAST", "'x'")),
        (("seqs.fa", "--targets", "none"), ("none", "dev")),
        (("empty.fa",), ("empty",)),
    ],
)
def test_what_does_not_fit_is_one_line(
    files: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], facts: tuple[str, ...]
) -> None:
    monkeypatch.chdir(files)
    one_line(zoo, facts, "dependency", *words, "--weights", "small.safetensors", "-o", "bad")
    assert not (files / "bad").exists()


def test_an_output_that_is_not_finite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pair, "run", lambda _, codes: np.full((len(codes), 1), np.nan, np.float32))
    with refuses("finite", kind=CheckFailed):
        dependency(Model(Session(Pair(), "toy")), CODES)


def test_the_function_refuses_what_the_command_refuses() -> None:
    model = Model(opened())
    with refuses("positions", "24"):
        dependency(model, CODES, positions="1-25")
    with refuses("measure", "'shap'"):
        dependency(model, CODES, measure="shap")
    assert dependency(model, CODES[:0]).maps.shape == (0, 24, 24, 2)
