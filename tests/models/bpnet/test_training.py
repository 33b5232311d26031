"""Training on the signal around peaks, with simulated bigWig files in which one motif decides where reads are."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pyBigWig", reason="pyBigWig is not installed; the extra genome brings it")

from checkpoints import random_checkpoint  # noqa: E402
from command_line import Zoo  # noqa: E402
from refusals import refuses  # noqa: E402

from zoo.data import regions  # noqa: E402
from zoo.data.labelled import Layout  # noqa: E402
from zoo.data.regions import RegionOptions, Shape  # noqa: E402
from zoo.dna.encoding import encode, reverse_complement  # noqa: E402
from zoo.formats.tracks import BigWig  # noqa: E402
from zoo.models.bpnet import VARIANTS  # noqa: E402
from zoo.prediction import session  # noqa: E402
from zoo.training.config import TrainConfig  # noqa: E402
from zoo.training.profile_loss import ProfileLoss  # noqa: E402
from zoo.weights import checkpoint  # noqa: E402

MOTIF = "TGACTCAGC"
LENGTH, POSITIONS, STEP = 100, 60, 150
CONTIGS = {"chr1": 900, "chr2": 150, "chr3": 150}
"""Contig -> its peaks, STEP bases apart."""

MODEL = """[model]
variant = "bpnet"
sequence_length = 100
profile_length = 60
filters = 12
layers = 2
first_kernel = 11
profile_kernel = 15
[train]
batch_size = 32
learning_rate = 0.01
epochs = 12
"""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with g.fa, peaks.bed, plus.bw and minus.bw: up to three motifs near a summit, and for each of them reads
    four bases before it on the plus strand, and four behind it on the minus strand."""
    folder, random = tmp_path_factory.mktemp("simulated"), np.random.default_rng(0)
    sizes = {name: (peaks + 1) * STEP for name, peaks in CONTIGS.items()}
    signal, lines = {}, []
    with (folder / "g.fa").open("w") as genome:
        for name, size in sizes.items():
            letters = np.array(list("ACGT"))[random.integers(0, 4, size)]
            reads = random.poisson(0.4, (2, size)).astype(np.float32)
            for peak in range(1, CONTIGS[name] + 1):
                for place in np.arange(-24, 16, 13)[random.random(4) < 0.4] + peak * STEP:
                    letters[place : place + len(MOTIF)] = list(MOTIF)
                    reads[0, place - 4] += random.poisson(30)
                    reads[1, place + len(MOTIF) + 4] += random.poisson(30)
                lines.append(f"{name}\t{peak * STEP - 5}\t{peak * STEP + 5}\n")
            genome.write(f">{name}\n{''.join(letters)}\n")
            signal[name] = reads
    (folder / "peaks.bed").write_text("".join(lines))
    (folder / "model.toml").write_text(MODEL)
    for row, strand in enumerate(("plus", "minus")):
        with BigWig(folder / f"{strand}.bw", sizes) as file:
            for name, reads in signal.items():
                starts = np.flatnonzero(reads[row])
                file.write(name, starts, starts + 1, reads[row, starts])
    np.savez(folder / "signal.npz", **signal)
    return folder


OPTIONS = (
    "--data",
    "peaks.bed",
    "--genome",
    "g.fa",
    "--signal",
    "plus.bw,minus.bw",
    "--jitter",
    "40",
    "--threads",
    "1",
)
CHROMOSOMES = ("--validation-chromosomes", "chr2", "--test-chromosomes", "chr3")


def test_a_training_recovers_counts_places_and_the_planted_motif(
    simulated: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(simulated)
    status, _, told = zoo("train", "model.toml", *OPTIONS, *CHROMOSOMES, "-o", "run")
    assert status == 0, told
    with (simulated / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = min(rows, key=lambda row: float(row["validation_loss"]))
    tested = json.loads((simulated / "run" / "run.json").read_text())["test"]
    assert tested["pearson_log_counts"] > 0.8
    assert tested["profile_nll_log_counts"] < 0.8 * float(rows[0]["train_profile_nll_log_counts"])
    assert float(best["validation_jensen_shannon_log_counts"]) < 0.7
    weights = checkpoint.load(simulated / "run" / "weights.safetensors")
    assert weights.spec.card is not None
    assert (weights.spec.unit, weights.spec.card.held_out) == ("natural log of counts", ("chr2", "chr3"))
    running = session.open_session(weights, "torch-cpu")
    random = np.random.default_rng(1)
    codes = random.integers(0, 4, (20, LENGTH), np.uint8)
    codes[:, 45 : 45 + len(MOTIF)] = encode([MOTIF])[0]
    effects = -running.mutants(codes)[..., 0].sum(2).mean(0) / 3
    scores = running.contributions(codes, random.integers(0, 4, (20, 4, LENGTH), np.uint8), 0)
    contributions = np.take_along_axis(scores, codes[..., None].astype(int), 2)[..., 0].mean(0)
    for found in (effects, contributions):
        inside = np.zeros(LENGTH, bool)
        inside[45 : 45 + len(MOTIF)] = True
        assert found[inside].mean() > 5 * np.abs(found[~inside]).mean()
        assert set(np.argsort(found)[-5:]) <= set(np.flatnonzero(inside))
    counts = running.profiles(codes)["counts"].mean(0)
    assert (counts[0].argmax() + 20, counts[1].argmax() + 20) == (41, 45 + len(MOTIF) + 4)


def shape(strands: int = 2) -> Shape:
    return Shape(LENGTH, POSITIONS, ("log_counts",), strands)


def read(folder: Path, shape: Shape, **options: Any) -> regions.RegionSource:
    signal = tuple(folder / f"{strand}.bw" for strand in ("plus", "minus"))[: shape.strands]
    given = RegionOptions(folder / "g.fa", signal, **{"jitter": 7, **options})
    layout = Layout(validation_chromosomes=("chr2",), test_chromosomes=("chr3",))
    return regions.read(folder / "peaks.bed", given, layout, shape)


def read_held_out(folder: Path, path: Path) -> regions.Split:
    """The regions of a file on the chromosome of the validation, in their order."""
    signal = tuple(folder / f"{strand}.bw" for strand in ("plus", "minus"))
    layout = Layout(validation_chromosomes=("chr2",))
    return regions.read_split(path, RegionOptions(folder / "g.fa", signal), layout, shape(), "validation")


def test_an_epoch_has_the_bases_and_the_signal_of_the_genome_shifted_and_flipped(simulated: Path) -> None:
    source = read(simulated, shape())
    (letters,) = [line for line in (simulated / "g.fa").read_text().split(">") if line.startswith("chr1\n")]
    genome, reads = encode([letters.split()[1]])[0], np.load(simulated / "signal.npz")["chr1"]
    first, again, second = source.epoch(1), source.epoch(1), source.epoch(2)
    np.testing.assert_array_equal(first.codes, again.codes)
    assert not np.array_equal(first.codes, second.codes)
    assert len(first) == CONTIGS["chr1"]
    starts, turned = [], 0
    for row, peak in enumerate(range(1, 40)):
        middle = peak * STEP - LENGTH // 2
        for start in range(middle - 7, middle + 8):
            codes, signal = genome[None, start : start + LENGTH], reads[:, start + 20 : start + 80]
            for flip in (False, True):
                wanted = reverse_complement(codes) if flip else codes
                if np.array_equal(wanted[0], first.codes[row]):
                    np.testing.assert_array_equal(first.profiles[row], signal[::-1, ::-1] if flip else signal)
                    np.testing.assert_allclose(first.targets[row], np.log1p(signal.sum()), rtol=1e-6)
                    starts.append(start - middle)
                    turned += flip
    assert len(starts) == 39
    assert len(set(starts)) > 8
    assert 8 < turned < 31
    middle = STEP - LENGTH // 2
    (letters,) = [line for line in (simulated / "g.fa").read_text().split(">") if line.startswith("chr2\n")]
    held_out = encode([letters.split()[1]])[0]
    np.testing.assert_array_equal(source.validation.codes[0], held_out[middle : middle + LENGTH])


def test_background_is_drawn_anew_matched_by_gc_and_limited_by_counts(simulated: Path, tmp_path: Path) -> None:
    places = [(name, place) for name, peaks in CONTIGS.items() for place in range(2 * STEP, peaks * STEP, 100)]
    lines = [f"{name}\t{place - 5}\t{place + 5}\n" for name, place in places]
    (tmp_path / "outside.bed").write_text("".join(lines))
    plain = read(simulated, shape(), background=tmp_path / "outside.bed", background_share=0.5)
    assert len(plain.epoch(1)) == 1350
    assert not np.array_equal(plain.epoch(1).codes[900:], plain.epoch(2).codes[900:])
    matched = read(simulated, shape(), background=tmp_path / "outside.bed", background_share=0.5, match_gc=True)
    assert len(matched.background) == len(matched.train_regions)
    np.testing.assert_allclose(np.sort(matched.background.gc), np.sort(matched.train_regions.gc), atol=0.03)
    held_out = plain.validation.codes[150:]
    assert len(held_out) == 75
    assert not np.array_equal(held_out, read_held_out(simulated, tmp_path / "outside.bed").codes[:75])
    np.testing.assert_array_equal(
        held_out,
        read(simulated, shape(), background=tmp_path / "outside.bed", background_share=0.5).validation.codes[150:],
    )
    few = read(simulated, shape(), most_counts=70)
    assert 0 < len(few.train_regions) < 900
    assert few.train_regions.signal[:, :, 7:67].sum((1, 2)).max() <= 70


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"signal": ()}, ("--signal",)),
        ({"genome": None}, ("--genome",)),
        ({"match_gc": True}, ("--background",)),
        ({"most_counts": 1}, ("no region for train",)),
    ],
)
def test_options_that_do_not_fit_are_refused(simulated: Path, changes: dict[str, Any], facts: tuple[str, ...]) -> None:
    signal = tuple(simulated / f"{strand}.bw" for strand in ("plus", "minus"))
    options = dataclasses.replace(RegionOptions(simulated / "g.fa", signal), **changes)
    with refuses(*facts):
        regions.read(simulated / "peaks.bed", options, Layout(validation_chromosomes=("chr2",)), shape())


def test_files_that_do_not_fit_are_refused(simulated: Path, tmp_path: Path) -> None:
    layout, signal = Layout(validation_chromosomes=("chr2",)), (simulated / "plus.bw", simulated / "minus.bw")
    options = RegionOptions(simulated / "g.fa", signal, jitter=0)
    with refuses("--validation-chromosomes", "chr1 (900)"):
        regions.read(simulated / "peaks.bed", options, Layout(), shape())
    with refuses("2 files", "got 1"):
        regions.read(simulated / "peaks.bed", dataclasses.replace(options, signal=signal[:1]), layout, shape())
    with refuses("bigWig", "peaks.bed"):
        wrong = dataclasses.replace(options, signal=(signal[0], simulated / "peaks.bed"))
        regions.read(simulated / "peaks.bed", wrong, layout, shape())
    (tmp_path / "other.bed").write_text("chrUn\t5\t9\nchr2\t145\t155\n")
    with refuses("chrUn", "line 1"):
        regions.read(tmp_path / "other.bed", options, layout, shape())
    with BigWig(tmp_path / "minus.bw", {"chr1": 1000}) as file:
        file.write("chr1", np.array([150]), np.array([160]), np.array([-2], np.float32))
    with BigWig(tmp_path / "other_names.bw", {"1": 1000}) as file:
        file.write("1", np.array([150]), np.array([160]), np.array([2], np.float32))
    with refuses("other_names.bw", "nothing on chr1", "contigs are 1"):
        other_names = dataclasses.replace(options, signal=(signal[0], tmp_path / "other_names.bw"))
        regions.read(simulated / "peaks.bed", other_names, layout, shape())
    with refuses("at least 0", "-2", "line 1"):
        negative = dataclasses.replace(options, signal=(signal[0], tmp_path / "minus.bw"))
        regions.read(simulated / "peaks.bed", negative, layout, shape())


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"test_chromosomes": ("chr3", "3")}, ("--test-chromosomes 3;", "chr1 (900)", "peaks.bed")),
        ({"validation_chromosomes": ("chr2", "chrZ")}, ("--validation-chromosomes chrZ;", "chr1 (900)")),
        ({"labels": Path("labels.tsv")}, ("--labels",)),
        ({"split_column": "side"}, ("--split-column",)),
        ({"folds": ("3",)}, ("--folds",)),
        ({"fold": 1}, ("--fold",)),
        ({"split_by": "fraction"}, ("--split-by",)),
        ({"test_fraction": 0.2}, ("--test-fraction",)),
        ({"resize": "center"}, ("--crop-or-pad",)),
        ({"ambiguous": "n"}, ("--ambiguous-as-n",)),
    ],
)
def test_names_and_options_of_a_division_that_do_not_apply_are_refused(
    simulated: Path, changes: dict[str, Any], facts: tuple[str, ...]
) -> None:
    options = RegionOptions(simulated / "g.fa", (simulated / "plus.bw", simulated / "minus.bw"))
    layout = Layout(**{"validation_chromosomes": ("chr2",), **changes})
    with refuses(*facts):
        regions.read(simulated / "peaks.bed", options, layout, shape())
    with refuses(*facts):
        regions.read_split(simulated / "peaks.bed", options, layout, shape(), "validation")


def test_the_loss_is_that_of_pytorch_and_the_distance_that_of_scipy() -> None:
    distance = pytest.importorskip("scipy.spatial.distance")
    random = np.random.default_rng(0)
    reads = random.poisson(3, (6, 2, 20)).astype(np.float32)
    logits, predicted = (
        random.normal(size=(6, 2, 20)).astype(np.float32),
        random.normal(3, 1, (6, 1)).astype(np.float32),
    )
    counts = np.log1p(reads.sum((1, 2)))[:, None]
    loss = ProfileLoss(TrainConfig(), ("log_counts",), counts)
    median = np.median(reads.sum((1, 2)))
    assert float(loss.target_weights[0]) == pytest.approx(median / 10, rel=1e-3)
    both = [
        torch.from_numpy(np.concatenate([one, many.reshape(6, -1)], 1))
        for one, many in ((predicted, logits), (counts, reads))
    ]
    likelihoods = []
    for one, row in zip(reads.reshape(6, -1), logits.reshape(6, -1), strict=True):
        multinomial = torch.distributions.Multinomial(int(one.sum()), logits=torch.from_numpy(row))
        likelihoods.append(-float(multinomial.log_prob(torch.from_numpy(one))))
    wanted = np.mean(likelihoods) + float(loss.target_weights[0]) * np.square(predicted - counts).mean()
    assert float(loss(*both)) == pytest.approx(wanted, rel=1e-5)
    parts = [loss(*(one[rows] for one in both), loss.measured(both[1]).sum(0)) for rows in (slice(4), slice(4, 6))]
    assert float(sum(parts)) == pytest.approx(wanted, rel=1e-5)
    kept = loss.kept(*both).numpy()
    assert loss.of_arrays(kept, counts) == pytest.approx(wanted, rel=1e-5)
    shares = torch.from_numpy(logits).flatten(1).softmax(1).numpy()
    distances = [distance.jensenshannon(one.ravel(), share) for one, share in zip(reads, shares, strict=True)]
    assert loss.metrics(kept)["jensen_shannon_log_counts"] == pytest.approx(np.mean(distances), rel=1e-5)
    assert loss.of_a_constant(both[1].numpy()) < wanted


def test_a_bias_network_is_the_frozen_part_of_a_chrombpnet(
    simulated: Path, zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = MODEL.replace('"bpnet"', '"{}"').replace("layers = 2", "layers = {}").replace("epochs = 12", "epochs = 1")
    (tmp_path / "bias.toml").write_text(text.format("chrombpnet-bias", 1).replace("filters = 12", "filters = 4"))
    more = "bias_filters = 4\nbias_layers = 1\n[train]"
    (tmp_path / "whole.toml").write_text(text.format("chrombpnet", 2).replace("[train]", more))
    data = [str(simulated / name) if (simulated / name).is_file() else name for name in OPTIONS]
    data[data.index("plus.bw,minus.bw")] = str(simulated / "plus.bw")
    assert zoo("train", "bias.toml", *data, *CHROMOSOMES, "--most-counts", "70", "-o", "bias")[0] == 0
    status, _, told = zoo("train", "whole.toml", *data, *CHROMOSOMES, "-o", "whole")
    assert (status, "--start" in told) == (2, True)
    status, _, told = zoo("train", "whole.toml", *data, *CHROMOSOMES, "-o", "whole", "--start", "bias")
    assert status == 0, told
    bias, whole = (checkpoint.load(tmp_path / name / "weights.safetensors") for name in ("bias", "whole"))
    for name, array in bias.arrays.items():
        kept = whole.arrays[name.replace("trunk.", "bias_trunk.").replace("heads.", "heads.bias_")]
        np.testing.assert_array_equal(kept, array)
    assert whole.config.predicts == "without bias"


def test_a_network_is_trained_on_what_it_predicts_alone(
    simulated: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(simulated)
    status, _, told = zoo("train", "original", *OPTIONS, *CHROMOSOMES, "-o", "other")
    assert (status, "no profiles" in told) == (2, True)
    status, _, told = zoo("train", "model.toml", "--data", "peaks.bed", *CHROMOSOMES, "-o", "other")
    assert (status, "--genome" in told) == (2, True)
    status, _, told = zoo("train", "model.toml", *OPTIONS, *CHROMOSOMES, "--augment", "shift", "-o", "other")
    assert (status, "shift" in told) == (2, True)
    for words in (("--replicates", "2"), ("--allow-leakage",)):
        status, _, told = zoo("train", "model.toml", *OPTIONS, *CHROMOSOMES, *words, "-o", "other")
        assert (status, words[0] in told) == (2, True)


def test_evaluate_measures_counts_and_profiles(simulated: Path, zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(simulated)
    config = dataclasses.replace(
        VARIANTS["bpnet"], sequence_length=LENGTH, profile_length=POSITIONS, filters=4, layers=1, profile_kernel=9
    )
    weights = random_checkpoint(config)
    checkpoint.save(weights, simulated / "random.safetensors")
    given = ("--weights", "random.safetensors", *OPTIONS[:-4], "--runtime", "torch-cpu")
    status, told, errors = zoo("evaluate", *given, "--test-chromosomes", "chr3")
    assert status == 0, errors
    source = read(simulated, shape(), jitter=0)
    running = session.open_session(weights, "torch-cpu")
    assert source.test is not None
    counts, shares = running.predict(source.test.codes), running.profiles(source.test.codes)["probability"]

    assert f"{np.corrcoef(counts[:, 0], source.test.targets[:, 0])[0, 1]:.3f}" in told

    loss = ProfileLoss(TrainConfig(), ("log_counts",), source.test.targets)
    both = [
        torch.from_numpy(np.concatenate([one, many.reshape(len(counts), -1)], 1))
        for one, many in ((counts, np.log(shares)), (source.test.targets, source.test.profiles))
    ]
    expected = loss.metrics(loss.kept(*both).numpy())
    assert f"{expected['profile_nll_log_counts']:.4f}" in told
    assert f"{expected['jensen_shannon_log_counts']:.4f}" in told
    status, _, errors = zoo("evaluate", *given, "--test-chromosomes", "chr3", "--targets", "log_counts=other")
    assert (status, "log_counts=other" in errors) == (2, True)
