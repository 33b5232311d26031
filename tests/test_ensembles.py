"""What commands make of an ensemble, beside tables and genomes: designs, contributions, scores, parity, responses."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo
from refusals import refuses
from tables import mean_and_sd

import zoo as package
from zoo.data.labelled import Split
from zoo.dna.read_options import STRICT
from zoo.evaluation import evaluate
from zoo.evaluation.evaluate import EvaluationOptions
from zoo.prediction.model import Model
from zoo.serve import protocol
from zoo.weights import checkpoint

CODES = random_codes(5, ODD.sequence_length)
CODES[CODES > 3] = 0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    for seed in range(3):
        checkpoint.save(random_checkpoint(ODD, seed=seed), folder / f"m{seed}.safetensors")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def model(files: list[Path]) -> Model:
    loaded = package.load(files, runtime="kmer-cpu")
    loaded.settle()
    return loaded


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fasta") / "s.fa"
    path.write_text(
        "".join(f">s{number}\n{''.join('ACGT'[code] for code in row)}\n" for number, row in enumerate(CODES))
    )
    return path


@pytest.mark.parametrize("lower", [False, True])
def test_a_design_with_risk_takes_the_substitution_with_the_best_bound(model: Model, lower: bool) -> None:
    (found,) = package.design.evolve(model, "b", CODES[:1], rounds=1, risk=2.0, lower=lower, number=1)
    mutants = np.repeat(CODES[:1], 4 * ODD.sequence_length, 0)
    place = np.arange(len(mutants))
    mutants[place, place // 4] = place % 4
    mean, sd = model.predict_codes(mutants)[:, 1], model.spread(mutants)[:, 1]
    values = (-mean if lower else mean) - 2 * sd
    np.testing.assert_array_equal(found.codes, mutants[values.argmax()])
    assert found.activities[1] == pytest.approx(mean[values.argmax()], abs=1e-6)
    assert found.spread is not None
    assert found.spread[1] == pytest.approx(sd[values.argmax()], abs=1e-6)


def test_a_single_network_has_no_risk(files: list[Path]) -> None:
    with refuses("risk", "ensemble"):
        package.design.evolve(package.load(files[0]), "b", CODES[:1], risk=1.0)


@pytest.mark.parametrize("method", ["ism", "deeplift"])
def test_contributions_are_means_with_their_spread(
    files: list[Path], fasta: Path, tmp_path: Path, zoo: Zoo, method: str
) -> None:
    def explained(name: str, weights: str) -> Path:
        arguments = ("--method", method, "--runtime", "kmer-cpu", "--shuffles", "2", "--rows", "1", "--targets", "c")
        arguments = arguments if method == "deeplift" else (*arguments[:4], *arguments[6:])
        status, _, said = zoo("explain", fasta, "--weights", weights, *arguments, "-o", tmp_path / name)
        assert status == 0, said
        return tmp_path / name / "contributions.h5"

    runs = [explained(path.stem, str(path)) for path in files]
    whole = explained("whole", ",".join(map(str, files)))
    for group in ("contrib_scores", "hyp_contrib_scores"):
        each = [h5py.File(path)[f"{group}/c"][:] for path in runs]
        mean, sd = mean_and_sd(each)
        np.testing.assert_allclose(h5py.File(whole)[f"{group}/c"], mean, atol=1e-6)
        np.testing.assert_allclose(h5py.File(whole)[f"{group}_sd/c"], sd, atol=1e-6)
    header = (whole.parent / "summary.tsv").read_text().splitlines()[0].split("\t")
    assert header[1:7] == ["a", "a_sd", "b", "b_sd", "c", "c_sd"]


def test_the_mean_and_each_member_are_measured(model: Model, files: list[Path]) -> None:
    codes = random_codes(60, ODD.sequence_length)
    data = Split(codes, np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32), None)
    columns = evaluate.choose({"all": model})
    found = evaluate.evaluate({"all": model}, data, columns, EvaluationOptions(resamples=20)).evaluations
    assert [one.label for one in found] == ["all", *(f"all, member {number}" for number in (1, 2, 3))]
    np.testing.assert_array_equal(found[0].predicted, model.predict_codes(codes))
    for one, path in zip(found[1:], files, strict=True):
        np.testing.assert_allclose(
            one.predicted, package.load(path, runtime="kmer-cpu").predict_codes(codes), atol=1e-6
        )
    assert len({one.spec.weights_id for one in found}) == 4


def test_parity_compares_the_mean_and_each_member(files: list[Path], zoo: Zoo) -> None:
    several = ",".join(map(str, files[:2]))
    status, out, _ = zoo("parity", "--weights", several, "--runtimes", "kmer-cpu,onnx-cpu", "--json")
    assert status == 0
    assert {compared["targets"] for compared in json.loads(out)["comparisons"]} == {9}


def test_a_response_has_the_spread_unless_the_request_names_its_output(model: Model) -> None:
    tensor = protocol.Tensor("codes", "UINT8", CODES.shape, [])
    numbers = model.each.predict(CODES)
    for named, outputs in ((False, ["activity", "activity_sd"]), (True, ["activity"])):
        for binary in (False, True):
            request = protocol.InferenceRequest(None, tensor, None, STRICT, binary, named)
            body, headers = protocol.response("m", request, model.spec, numbers)
            length = int(dict(headers).get(protocol.ASGI_HEADER, len(body)))
            found = json.loads(body[:length])["outputs"]
            assert [one["name"] for one in found] == outputs
            values = np.frombuffer(body[length:], "<f4") if binary else np.concatenate([one["data"] for one in found])
            expected = [model.predict_codes(CODES), model.spread(CODES)][: len(outputs)]
            np.testing.assert_array_equal(values.astype(np.float32), np.concatenate(expected, None))
    assert [one["name"] for one in protocol.model_metadata("m", model)["outputs"]] == ["activity", "activity_sd"]
