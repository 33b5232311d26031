"""`zoo ablate` and `zoo flanks`: sites, their replacements, and what is measured."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo, one_line
from refusals import refuses

from zoo.dna.encoding import encode, one_hot, reverse_complement
from zoo.experiments import ablate, flanks, inserts
from zoo.experiments.instances import Replacements, Stretch, sites
from zoo.experiments.options import SiteOptions
from zoo.motifs import matches
from zoo.prediction.members import as_one
from zoo.prediction.model import Model
from zoo.prediction.session import open_session
from zoo.prediction.strands import BothStrands
from zoo.weights import checkpoint
from zoo.weights.ensembles import combined

LENGTH = ODD.sequence_length
PLANTED = "TGATAA"


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(open_session(random_checkpoint(ODD), "kmer-cpu"))


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    """Sequences with two sites each, on both strands."""
    found = np.asarray(random_codes(6, LENGTH) % 4)
    site = encode([PLANTED])
    found[:, 3:9] = site
    found[:, 20:26] = reverse_complement(site)
    return found


def named(name: str) -> inserts.Motif:
    return inserts.motifs(SiteOptions((name,)), LENGTH)[0]


@pytest.mark.parametrize(("name", "share"), [("GATA", 1e-4), ("AP-1", 1e-3), ("AP-1", 1e-2), ("twist", 2e-3)])
def test_sites_are_the_best_words_by_count(name: str, share: float) -> None:
    motif = named(name)
    words = np.array([*itertools.product(range(4), repeat=len(motif))], np.uint8)
    scores = np.log2(np.maximum(motif.probabilities, matches.LEAST_FREQUENCY) * 4)[np.arange(len(motif)), words].sum(1)
    scores = scores.round(9)
    most = max(share * len(words), (scores == scores.max()).sum())
    reached = [(value, (scores >= value).sum()) for value in np.unique(scores)]
    least = min(value for value, count in reached if count <= most + 1e-6)
    found = {one.row for one in sites(words, [motif], share) if one.strand == "+"}
    assert found == {*np.flatnonzero(scores >= least).tolist()}


def test_letters_match_exactly_and_on_both_strands() -> None:
    text = "CCTGACTCACC", "CCGGTTTCACC", "GGTGAGTCAGG", "CCTGANTCACC"
    found = sites(encode(text), [named("TGASTCA")], 0.5)
    assert found == [Stretch(0, 2, 9, "TGASTCA", "+"), Stretch(2, 2, 9, "TGASTCA", "+")]
    found = sites(encode(["CCGATAACC", "CCTTATCCC"]), [named("mine=GATAA")], 0.5)
    assert [(one.row, one.start, one.strand, one.name) for one in found] == [(0, 2, "+", "mine"), (1, 2, "-", "mine")]


def test_replacements_are_other_orders_and_depend_only_on_their_sequence(codes: np.ndarray) -> None:
    replacements = Replacements(30, True, 7)
    found = replacements.of(codes[2], 3, 9)
    assert (np.sort(found, 1) == np.sort(codes[2, 3:9])).all()
    assert not (found == codes[2, 3:9]).all(1).any()
    assert len(np.unique(found, axis=0)) > 10
    np.testing.assert_array_equal(found, Replacements(30, True, 7).of(codes[2].copy(), 3, 9))
    assert (found != Replacements(30, True, 8).of(codes[2], 3, 9)).any()
    random = Replacements(400, False, 7).of(codes[2], 3, 9)
    assert abs(np.bincount(random.ravel(), minlength=4) / random.size - 0.25).max() < 0.05
    with_n = codes[2].copy()
    with_n[[4, 7]] = 4
    for shuffled in (True, False):
        kept = Replacements(30, shuffled, 7).of(with_n, 3, 9)
        assert ((kept == 4) == (with_n[3:9] == 4)).all()
    poly = np.zeros(10, np.uint8)
    assert (replacements.of(poly, 2, 8) == 0).all()


def test_ablation_is_the_difference_of_predictions(model: Model, codes: np.ndarray) -> None:
    found = ablate(model, codes, "GATA", replacements=5)
    columns = found.table.columns()
    spots = {(one.row, one.start) for one in sites(codes, [named("GATA")], 1e-4)}
    assert {(0, 3), (0, 20), (5, 3), (5, 20)} <= spots
    assert len(columns["start"]) == len(spots)
    before = model.predict_codes(codes)
    for number, (row, start) in enumerate(sorted(spots)):
        changed = Replacements(5, True, 1234).edited(codes[row], start, start + 6)
        effects = model.predict_codes(changed) - before[row]
        np.testing.assert_allclose(found.effects[number], effects, rtol=0, atol=2e-5)
        assert columns["site"][number] == "".join("ACGT"[base] for base in codes[row, start : start + 6])
        for target, name in enumerate(model.spec.targets):
            assert columns[name][number] == pytest.approx(before[row, target], abs=2e-5)
            assert columns[f"{name}_effect"][number] == pytest.approx(effects[:, target].mean(), abs=2e-5)
            least = effects[np.abs(effects[:, target]).argmin(), target]
            assert columns[f"{name}_least"][number] == pytest.approx(least, abs=2e-5)
    summary = found.summary.columns()
    assert summary["motif"] == ["GATA"]
    assert summary["sites"] == [len(spots)]
    means = found.effects.mean(1)
    half = summary["a_effect_high"][0] - summary["a_effect"][0]
    from scipy import stats

    assert summary["a_effect"][0] == pytest.approx(means[:, 0].mean(), abs=1e-6)
    expected = stats.sem(means[:, 0]) * stats.t.ppf(0.975, len(means) - 1)
    assert half == pytest.approx(expected, rel=1e-4)


def test_windows_cover_the_sequence(model: Model, codes: np.ndarray) -> None:
    found = ablate(model, codes[:2], window=10, step=5, replacements=2)
    starts = list(range(1, LENGTH - 10 + 2, 5))
    assert found.table.columns()["start"] == starts * 2
    assert found.summary.columns()["start"] == starts
    assert found.frame()["end"].tolist() == [start + 9 for start in starts] * 2


def test_tangermeme_gives_the_same_numbers(codes: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    ablation = pytest.importorskip("tangermeme.ablate")
    from zoo.weights.network import from_checkpoint

    weights = random_checkpoint(ODD)
    module = from_checkpoint(weights)
    found = ablate(Model(open_session(weights, "torch-cpu")), codes, "mine=TGATAA", replacements=4)
    forward = [number for number, start in enumerate(found.table.columns()["start"]) if start == 4]

    def shuffled(_: torch.Tensor, start: int, end: int, n: int, **__: object) -> torch.Tensor:
        ours = [Replacements(n, True, 1234).edited(one, start, end) for one in codes]
        return torch.from_numpy(np.stack([one_hot(one, channels_first=True) for one in ours]))

    x = torch.from_numpy(one_hot(codes, channels_first=True))
    before, after = ablation.ablate(module, x, 3, 9, n=4, shuffle_fn=shuffled, device="cpu")
    np.testing.assert_allclose(found.effects[forward], (after - before[:, None]).numpy(), rtol=0, atol=1e-5)


def test_flanks_exchange_what_is_around_and_keep_the_site(model: Model, codes: np.ndarray) -> None:
    from zoo.experiments import ablation
    from zoo.experiments.flank_swaps import FlankSwaps
    from zoo.experiments.options import FlankOptions, ReplacementOptions

    sample = ablation.sample(codes, list("abcdef"), SiteOptions((f"x={PLANTED}",)))
    for donors in ("random", "sites"):
        swaps = FlankSwaps(sample, FlankOptions(3, donors), ReplacementOptions(8))
        around = {
            strand: {
                (codes if strand == "+" else reverse_complement(codes))[one.row][
                    (start := one.start if strand == "+" else LENGTH - one.end) - 3 : start + 9
                ].tobytes()
                for one in sample.stretches
                if one.strand == strand and one.start >= 3
            }
            for strand in "+-"
        }
        for one in sample.stretches:
            exchanged, both, without = swaps.edited(codes[one.row], one).reshape(3, 8, LENGTH)
            inside = slice(one.start, one.end)
            assert (exchanged[:, inside] == codes[one.row, inside]).all()
            assert (np.sort(both[:, inside]) == np.sort(codes[one.row, inside])).all()
            np.testing.assert_array_equal(both[:, inside], without[:, inside])
            outside = np.r_[0 : one.start - 3, one.end + 3 : LENGTH]
            for edited in (exchanged, both, without):
                assert (edited[:, outside] == codes[one.row, outside]).all()
            beside = np.r_[max(0, one.start - 3) : one.start, one.end : one.end + 3]
            np.testing.assert_array_equal(exchanged[:, beside], both[:, beside])
            assert (without[:, beside] == codes[one.row, beside]).all()
            assert (exchanged[:, beside] != codes[one.row, beside]).any()
            if donors == "sites":
                turned = exchanged if one.strand == "+" else reverse_complement(exchanged)
                start = one.start if one.strand == "+" else LENGTH - one.end
                taken = {row[start - 3 : start + 9].tobytes() for row in turned}
                assert taken <= {*around["+"], *around["-"]}
    found = flanks(model, codes, f"x={PLANTED}", width=3, replacements=8)
    predicted = model.predict_codes(codes)
    edits = FlankSwaps(sample, FlankOptions(3), ReplacementOptions(8))
    for number, one in enumerate(sample.stretches):
        exchanged, both, without = model.predict_codes(edits.edited(codes[one.row], one)).reshape(3, 8, -1)
        row = found.frame().iloc[number]
        assert row["a_effect"] == pytest.approx((exchanged - predicted[one.row])[:, 0].mean(), abs=2e-5)
        assert row["b_necessity"] == pytest.approx((predicted[one.row] - without)[:, 1].mean(), abs=2e-5)
        assert row["b_necessity_exchanged"] == pytest.approx((exchanged - both)[:, 1].mean(), abs=2e-5)


def test_both_strands_and_ensembles_are_means(codes: np.ndarray) -> None:
    arrays = [random_checkpoint(ODD, seed=seed) for seed in (1, 2, 3)]
    sessions = [open_session(one, "kmer-cpu") for one in arrays]
    ensemble = as_one(sessions, combined(list("123"), [one.spec for one in sessions]))
    found = ablate(Model(ensemble), codes, "GATA", replacements=3)
    each = [ablate(Model(one), codes, "GATA", replacements=3) for one in sessions]
    np.testing.assert_allclose(found.effects, np.mean([one.effects for one in each], 0), rtol=0, atol=2e-6)
    means = np.stack([one.table.columns()["a_effect"] for one in each])
    np.testing.assert_allclose(found.table.columns()["a_effect_sd"], means.std(0, ddof=1), rtol=1e-4, atol=1e-6)
    both = ablate(Model(BothStrands(sessions[0])), codes, "GATA", replacements=3)
    turned = ablate(Model(BothStrands(sessions[0])), codes, "GATA", replacements=3, targets=["b"])
    np.testing.assert_array_equal(both.effects[..., 1:2], turned.effects)
    assert (both.effects != each[0].effects).any()


def test_the_command_writes_a_folder_and_refuses_in_one_line(zoo: Zoo, tmp_path: Path, codes: np.ndarray) -> None:
    weights = tmp_path / "w.safetensors"
    checkpoint.save(random_checkpoint(ODD), weights)
    fasta = tmp_path / "seqs.fa"
    letters = ["".join("ACGT"[base] for base in row) for row in codes]
    fasta.write_text("".join(f">s{number} about\n{text}\n" for number, text in enumerate(letters)))
    common = [fasta, "--weights", weights, "--runtime", "kmer-cpu", "--replacements", "3"]
    out = tmp_path / "out"
    runs = []
    for _ in range(2):
        status, _, err = zoo("ablate", *common, "--motifs", "GATA", "-o", out, "--overwrite")
        assert status == 0, err
        runs.append({path.name: path.read_bytes() for path in out.iterdir()})
    written = runs[0]
    assert {*written} == {f"ablate{end}" for end in (".tsv", "_motifs.tsv", ".npz", ".json", ".png")}
    assert runs[1] == written
    described = json.loads(written["ablate.json"])
    header, *lines = written["ablate.tsv"].decode().splitlines()
    assert [one["sequence"] for one in described["rows"]] == [line.split("\t")[0] for line in lines]
    assert header.split("\t") == [*described["rows"][0]]
    arrays = np.load(out / "ablate.npz")
    assert arrays["effects"].shape == (len(lines), 3, 3)
    np.testing.assert_array_equal(arrays["start"], [int(line.split("\t")[2]) for line in lines])
    assert zoo("ablate", *common, "--window", "8", "-o", out, "--overwrite")[0] == 0
    assert (out / "ablate_windows.tsv").is_file()
    assert not (out / "ablate_motifs.tsv").exists()
    assert zoo("flanks", *common, "--motifs", "GATA", "-o", tmp_path / "flanks", "--figure-format", "svg")[0] == 0
    for words, facts in (
        (["--motifs", "GATA", "--window", "8"], ["--window"]),
        (["--motifs", "DRE"], ["no site"]),
        (["--motifs", "GATTAX"], ["GATTAX", "IUPAC"]),
        (["--window", "999"], ["999", str(LENGTH)]),
        ([], ["--motifs", "GATA"]),
    ):
        one_line(zoo, facts, "ablate", *common, *words, "-o", tmp_path / "none")
        assert not (tmp_path / "none").exists()


def test_sites_in_one_sequence_have_no_donors(model: Model, codes: np.ndarray) -> None:
    with refuses("--donors", "x", "1"):
        flanks(model, codes[:1], f"x={PLANTED}", donors="sites")
