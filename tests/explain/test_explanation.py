"""`zoo explain`: the files in its folder for each method; they hold the same numbers as the Python functions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from checkpoints import CONFIGS, ODD, random_checkpoint, random_codes
from command_line import RUNTIME, Zoo, one_line
from refusals import refuses

import zoo as package
from zoo.dna.encoding import ONE_HOT
from zoo.prediction.model import Model, load
from zoo.prediction.run import PredictionJob
from zoo.prediction.session import Session
from zoo.weights import checkpoint

CODES = random_codes(10, ODD.sequence_length)
"""The sequences of seqs.fa in `folder`: bases, some Ns, and a last sequence of Ns only."""

COMMON = ("--weights", "w.safetensors", *RUNTIME, "--shuffles", "7", "-o", "out")

LOGOS = ("--logos", "2", "--targets", "a,c", "--logo-format")


def table(path: Path) -> tuple[list[str], list[list[str]]]:
    header, *rows = (line.split("\t") for line in path.read_text().splitlines())
    return header, rows


def column(path: Path, name: str) -> np.ndarray:
    header, rows = table(path)
    return np.array([float(row[header.index(name)]) for row in rows], np.float32)


@pytest.fixture
def model(folder: Path) -> Model:
    return load(weights=folder / "w.safetensors", runtime=RUNTIME[1])


def test_deeplift_writes_the_layout_of_the_paper(zoo: Zoo, folder: Path, model: Model) -> None:
    assert zoo("explain", "seqs.fa", *COMMON)[0] == 0
    with h5py.File(folder / "out" / "contributions.h5") as file:
        assert sorted(file) == ["contrib_scores", "hyp_contrib_scores"]
        for target in ODD.targets:
            expected = package.explain.contributions(model, CODES, target, 7)
            actual, hypothetical = (file[f"{group}/{target}"] for group in ("contrib_scores", "hyp_contrib_scores"))
            assert actual.shape == hypothetical.shape == (10, ODD.sequence_length, 4)
            assert actual.dtype == hypothetical.dtype == np.float32
            np.testing.assert_allclose(hypothetical[:], expected.hypothetical, atol=1e-6)
            np.testing.assert_array_equal(actual[:], hypothetical[:] * ONE_HOT[CODES])
        assert (file.attrs["method"], file.attrs["shuffles"], file.attrs["seed"]) == ("deeplift", 7, 1234)


def test_the_table_has_predictions_deltas_and_counts(zoo: Zoo, folder: Path, model: Model) -> None:
    zoo("explain", "seqs.fa", *COMMON, "--targets", "b")
    header, rows = table(folder / "out" / "summary.tsv")
    assert header == ["name", "a", "b", "c", "b_shuffled", "b_delta", "shuffles", "unknown"]
    assert [row[0] for row in rows] == [f"s{number}" for number in range(10)]
    summary = folder / "out" / "summary.tsv"
    np.testing.assert_allclose(column(summary, "b"), model.predict_codes(CODES)[:, 1], atol=1e-6)
    expected = package.explain.contributions(model, CODES, "b", 7)
    np.testing.assert_allclose(column(summary, "b_delta"), expected.delta, atol=1e-5)
    np.testing.assert_array_equal(column(summary, "unknown"), (CODES == 4).sum(1))
    # the last sequence has no other shuffle
    np.testing.assert_array_equal(column(summary, "shuffles"), [7] * 9 + [0])
    with h5py.File(folder / "out" / "contributions.h5") as file:
        assert list(file["contrib_scores"]) == ["b"]


def test_the_files_for_modisco_are_padded_to_an_even_length(zoo: Zoo, folder: Path) -> None:
    zoo("explain", "seqs.fa", *COMMON)
    even = ODD.sequence_length + 1
    with np.load(folder / "out" / "modisco.ohe.npz") as archive:
        np.testing.assert_array_equal(archive["arr_0"][:, :, :-1], ONE_HOT[CODES].transpose(0, 2, 1))
        assert archive["arr_0"].shape == (10, 4, even)
        assert not archive["arr_0"][:, :, -1].any()
    with (
        h5py.File(folder / "out" / "contributions.h5") as file,
        np.load(folder / "out" / "modisco.c.hyp.npz") as archive,
    ):
        np.testing.assert_array_equal(archive["arr_0"][:, :, :-1].transpose(0, 2, 1), file["hyp_contrib_scores/c"])
        assert not archive["arr_0"][:, :, -1].any()


def test_ism_writes_raw_effects_and_centred_contributions(zoo: Zoo, folder: Path, model: Model) -> None:
    assert zoo("explain", "seqs.fa", *COMMON, "--method", "ism", "--targets", "c,a")[0] == 0
    effects = package.explain.ism(model, CODES)
    with np.load(folder / "out" / "ism.npz") as archive:
        np.testing.assert_allclose(archive["raw"], effects, atol=1e-6)
    with h5py.File(folder / "out" / "contributions.h5") as file:
        assert sorted(file["hyp_contrib_scores"]) == ["a", "c"]
        np.testing.assert_allclose(file["hyp_contrib_scores/c"], package.explain.centred(effects)[..., 2], atol=1e-6)
    header, rows = table(folder / "out" / "summary.tsv")
    lowest = column(folder / "out" / "summary.tsv", "c_lowest")
    np.testing.assert_allclose(lowest, effects[..., 2].min((1, 2)), atol=1e-6)
    for codes, effect, value, row in zip(CODES, effects, lowest, rows, strict=True):
        mutation = row[header.index("c_lowest_mutation")]
        place = int(mutation[1:-1]) - 1
        assert mutation[0] == "ACGTN"[codes[place]]
        assert effect[place, "ACGT".index(mutation[-1]), 2] == pytest.approx(value, abs=1e-6)


def test_gradient_is_that_of_the_output(zoo: Zoo, folder: Path, model: Model) -> None:
    assert zoo("explain", "seqs.fa", *COMMON, "--method", "gradient")[0] == 0
    with h5py.File(folder / "out" / "contributions.h5") as file:
        for number, target in enumerate(ODD.targets):
            expected = model.session.gradient(CODES, number)
            np.testing.assert_allclose(file[f"hyp_contrib_scores/{target}"], expected, atol=1e-6)


@pytest.mark.parametrize("method", ["deeplift", "ism", "gradient"])
def test_the_mean_of_both_strands_is_the_same_from_either(zoo: Zoo, folder: Path, method: str) -> None:
    complement = str.maketrans("ACGTN", "TGCAN")
    lines = (folder / "seqs.fa").read_text().splitlines()
    turned = [line if line.startswith(">") else line.translate(complement)[::-1] for line in lines]
    (folder / "turned.fa").write_text("\n".join(turned) + "\n")
    found = []
    for name in ("seqs", "turned"):
        options = ("--method", method, "--rc", "average", "--shuffles", "400", "--targets", "a")
        assert zoo("explain", f"{name}.fa", *COMMON[:-1], name, *options)[0] == 0
        with h5py.File(folder / name / "contributions.h5") as file:
            found.append(file["contrib_scores/a"][:])
    # DeepLIFT compares the other strand with other shuffles
    tolerance = 0.2 * np.abs(found[0]).max() if method == "deeplift" else 1e-5
    np.testing.assert_allclose(found[0], found[1][:, ::-1, ::-1], atol=tolerance)
    assert np.abs(found[0]).max() > 0


def test_notable_results_are_printed_and_stored(zoo: Zoo, folder: Path) -> None:
    (folder / "some.fa").write_text(f">a\n{'A' * 53}\n>b\n{'ACGTC' * 10}NGG\n>c\n{'ACGTCA' * 8}GATTA\n")
    status, _, err = zoo("explain", "some.fa", *COMMON)
    assert status == 0
    assert re.search(r"^zoo: 1 sequences? .*shuffle", err, re.MULTILINE)
    assert re.search(r"^zoo: 1 sequences? .*\bN\b", err, re.MULTILINE)
    described = json.loads((folder / "out" / "explain.json").read_text())
    findings = described["findings"]
    assert (findings["without_shuffles"], findings["unknown"], findings["above"]) == (1, 1, 0)
    assert findings["largest"] < 1e-4
    assert described["explained"] == list(ODD.targets)
    assert described["options"]["shuffles"] == 7
    with h5py.File(folder / "out" / "contributions.h5") as file:
        assert not file["hyp_contrib_scores/a"][0].any()
        assert file["hyp_contrib_scores/a"][1:].any((1, 2)).all()


def test_contributions_that_do_not_add_up_are_refused_unless_forced(
    zoo: Zoo, folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = type(model.session)
    honest = session.contributions
    monkeypatch.setattr(session, "contributions", lambda *arguments: 1.5 * honest(*arguments))
    (folder / "one.fa").write_text(f">c\n{'ACGTCA' * 8}GATTA\n")
    one_line(zoo, ["delta", "0.001", "--method ism", "--force"], "explain", "one.fa", *COMMON)
    assert not (folder / "out").exists()
    with refuses("delta", "zoo.explain.ism", "force=True"):
        package.explain.contributions(model, CODES, "a", 7)
    assert np.abs(package.explain.contributions(model, CODES, "a", 7, force=True).delta).max() > 1e-3
    status, _, err = zoo("explain", "one.fa", *COMMON, "--force")
    assert status == 0
    assert re.search(r"^zoo: 1 sequence with .*delta.* 0\.\d+; .*summary.tsv", err, re.MULTILINE)


def test_the_effect_of_an_n_is_no_reason_to_refuse(zoo: Zoo, folder: Path) -> None:
    (folder / "n.fa").write_text(f">n\n{'ACGTCA' * 8}GANNA\n")
    status, _, err = zoo("explain", "n.fa", *COMMON)
    assert status == 0, err
    assert np.abs(column(folder / "out" / "summary.tsv", "a_delta")).max() > 1e-3


def test_no_substitutions_predicts_none(zoo: Zoo, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_line(zoo, ["--no-substitutions", "ism"], "explain", "seqs.fa", *COMMON, "--no-substitutions", "--method", "ism")
    monkeypatch.delattr(Session, "mutants")
    assert zoo("explain", "seqs.fa", *COMMON, "--no-substitutions")[0] == 0
    assert '"effects":[]' in (folder / "out" / "report.html").read_text()
    assert zoo("explain", "seqs.fa", *COMMON, "--overwrite", "--rows", "0", "--logos", "1")[0] == 0


def test_auto_takes_a_runtime_with_gradients_and_another_one_for_substitutions(
    zoo: Zoo, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr("zoo.system.machine.driver_missing", lambda: "no GPU")
    checkpoint.save(random_checkpoint(CONFIGS["odd basset"]), folder / "basset.safetensors")
    length = CONFIGS["odd basset"].sequence_length
    (folder / "b.fa").write_text(f">b\n{'ACGTTGCAAT' * length}"[: length + 3] + "\n")
    words = ("explain", "b.fa", "--weights", "basset.safetensors", "-o", "out", "--method", "gradient")
    status, _, err = zoo(*words)
    assert status == 0, err
    described = json.loads((folder / "out" / "explain.json").read_text())
    assert (described["runtime"], described["scoring_runtime"]) == ("onnx-cpu", "torch-cpu")
    assert "gradient was computed by torch-cpu" in err


def test_results_do_not_depend_on_the_number_of_sequences_at_once(
    zoo: Zoo, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo("explain", "seqs.fa", *COMMON)
    first = (folder / "out" / "summary.tsv").read_text()
    monkeypatch.setattr("zoo.explain.methods.PAIRS_AT_ONCE", 21)
    zoo("explain", "seqs.fa", *COMMON, "--overwrite")
    assert column(folder / "out" / "summary.tsv", "a_delta").shape == (10,)
    assert [row.split("\t")[0] for row in first.splitlines()[1:]] == [f"s{number}" for number in range(10)]
    for name in ("a", "a_shuffled", "c_shuffled"):
        again = column(folder / "out" / "summary.tsv", name)
        header = first.splitlines()[0].split("\t")
        before = [float(row.split("\t")[header.index(name)]) for row in first.splitlines()[1:]]
        np.testing.assert_allclose(again, before, atol=1e-6)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_logos_of_the_first_sequences_are_drawn(zoo: Zoo, folder: Path, kind: str) -> None:
    pytest.importorskip("logomaker")
    status, _, _ = zoo("explain", "seqs.fa", *COMMON, *LOGOS, kind)
    assert status == 0
    drawn = sorted(path.name for path in (folder / "out" / "logos").iterdir())
    assert drawn == [f"000{number}.{target}.{kind}" for number in (1, 2) for target in ("a", "c")]
    content = (folder / "out" / "logos" / drawn[0]).read_bytes()
    assert zoo("explain", "seqs.fa", *COMMON[:-1], "again", *LOGOS, kind)[0] == 0
    assert (folder / "again" / "logos" / drawn[0]).read_bytes() == content
    assert content.startswith(b"\x89PNG") if kind == "png" else b"<svg" in content
    assert zoo("explain", "seqs.fa", *COMMON, "--overwrite")[0] == 0
    assert not (folder / "out" / "logos").exists()


def test_targets_whose_names_are_not_file_names_are_written(folder: Path) -> None:
    from explain.toy_model import WEIGHTS, Sum

    from zoo.explain import explanation
    from zoo.explain.options import ExplainOptions

    engine = Sum(WEIGHTS)
    object.__setattr__(engine.spec, "targets", ("a/b", "c d"))
    (folder / "toy.fa").write_text(f">x\n{'ACGTTGCAAT' * 2}A\n")
    job = PredictionJob(folder / "toy.fa")
    described: dict[str, Any] = explanation.explain(
        Model(Session(engine, "toy")), job, folder / "out", ExplainOptions(method="gradient")
    )
    assert described["explained"] == ["a/b", "c d"]
    names = {path.name for path in (folder / "out").iterdir()}
    assert {"modisco.a%2Fb.hyp.npz", "modisco.c%20d.hyp.npz"} <= names


BED = "chrB\t40\t60\tsecond\t0\t+\nchrA\t30\t31\tfirst\t0\t-\nchrA\t50\t60\tother\t0\t+\nchrA\t3\t4\tend\t0\t+\n"
"""Windows that overlap on both strands, one that begins before its contig, and contigs out of order."""


def genome(folder: Path) -> dict[str, np.ndarray]:
    random = np.random.default_rng(8)
    contigs = {"chrA": random.integers(0, 4, 90, np.uint8), "chrB": random.integers(0, 4, 120, np.uint8)}
    text = "".join(f">{name}\n{''.join('ACGT'[code] for code in codes)}\n" for name, codes in contigs.items())
    (folder / "genome.fa").write_text(text)
    (folder / "peaks.bed").write_text(BED)
    return contigs


def test_tracks_are_means_over_windows_on_both_strands(zoo: Zoo, folder: Path) -> None:
    pyBigWig = pytest.importorskip("pyBigWig")
    pytest.importorskip("pysam")
    contigs = genome(folder)
    status, _, err = zoo("explain", *COMMON, "--bed", "peaks.bed", "--genome", "genome.fa", "--targets", "b")
    assert status == 0, err
    with h5py.File(folder / "out" / "contributions.h5") as file:
        actual = file["contrib_scores/b"][:].sum(2)
    half = ODD.sequence_length // 2
    expected = {name: np.full((4, len(codes)), np.nan) for name, codes in contigs.items()}
    for row, line in enumerate(BED.splitlines()):
        contig, start, end, *_, strand = line.split("\t")
        first = (int(start) + int(end)) // 2 - half
        values = actual[row][::-1] if strand == "-" else actual[row]
        for offset, value in enumerate(values):
            if 0 <= first + offset < len(contigs[contig]):
                expected[contig][row, first + offset] = value
    with pyBigWig.open(str(folder / "out" / "tracks" / "b.bw")) as track:
        assert track.chroms() == {name: len(codes) for name, codes in contigs.items()}
        for name, codes in contigs.items():
            found = np.array(track.values(name, 0, len(codes)))
            covered = ~np.isnan(expected[name]).all(0)
            np.testing.assert_array_equal(~np.isnan(found), covered)
            np.testing.assert_allclose(found[covered], np.nanmean(expected[name][:, covered], 0), atol=1e-6)
    header, rows = table(folder / "out" / "summary.tsv")
    assert header[:5] == ["chrom", "start", "end", "name", "strand"]
    assert rows[1][:5] == ["chrA", "30", "31", "first", "-"]
    assert "chrA:31-31 first -" in (folder / "out" / "report.html").read_text()
    assert zoo("explain", "seqs.fa", *COMMON, "--overwrite")[0] == 0
    assert not (folder / "out" / "tracks").exists()
