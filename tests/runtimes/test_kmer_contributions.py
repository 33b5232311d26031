"""kmer-cpu's DeepLIFT and gradient: tangermeme's and PyTorch's numbers, for any config, length and place of an N."""

from __future__ import annotations

from pathlib import Path

import deeplift
import numpy as np
import pytest
from checkpoints import CONFIGS, ODD, random_checkpoint, random_codes
from hypothesis import given, settings
from hypothesis import strategies as st
from kmer_ways import WAYS, computing, networks, small_budgets, started
from zoo_runtimes.kmer import kernel, numpy_network

from zoo.dna.encoding import ONE_HOT, encode
from zoo.models import deepstarr
from zoo.models.deepstarr import Config
from zoo.prediction.session import Session, open_session
from zoo.weights.importers import importer


def permuted(codes: np.ndarray, number: int, seed: int = 0) -> np.ndarray:
    """References: (N, L) -> (N, number, L), the bases of each sequence in other orders."""
    return np.random.default_rng(seed).permuted(np.repeat(codes[:, None], number, axis=1), axis=2)


def differences(session: Session, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
    """Activity of each sequence minus the mean of its references', (N,)."""
    zero = session.predict(references.reshape(-1, codes.shape[1]))[:, target].reshape(len(codes), -1)
    return session.predict(codes)[:, target] - zero.mean(axis=1)


@settings(max_examples=40, deadline=None)
@given(networks(), st.integers(0, 2**32), st.sampled_from([0, 0.01, 0.3]), st.sampled_from(WAYS), st.data())
def test_any_network_any_length_and_any_ns_give_the_rescale_rule_written_out(
    config: Config, seed: int, share_of_ns: float, way: str, data: st.DataObject
) -> None:
    weights = random_checkpoint(config, seed)
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (2, config.sequence_length), np.uint8)
    references = permuted(codes, data.draw(st.integers(1, 4)), seed)
    codes[0, random.random(config.sequence_length) < share_of_ns] = 4
    references[random.random(references.shape) < share_of_ns / 10] = 4
    budgets = small_budgets(config)
    if not budgets:
        return
    target = data.draw(st.integers(0, len(config.targets) - 1))
    with computing(way):
        found = started(weights, way, data.draw(st.sampled_from(budgets))).contributions(codes, references, target)
    assert found.dtype == np.float32
    # sums within rounding of each other are on another side of SMALL now and then
    close = abs(found - deeplift.hypothetical(weights, codes, references, target)) < 1e-5
    assert close.mean() > 0.9, close.mean()


@pytest.mark.parametrize("way", WAYS)
def test_the_published_weights_give_the_rescale_rule_written_out_and_its_sums(way: str, data: Path) -> None:
    weights = importer.read(data / "DeepSTARR.model.h5")
    texts = [record.split("\n")[1:] for record in (data / "enhancers_500.fa").read_text().split(">")[1:5]]
    codes = encode(["".join(lines) for lines in texts])
    references = permuted(codes, 7)
    codes[1, [0, 100, 101, 248]] = 4
    references[2, 3, 5] = 4
    with computing(way):
        session = started(weights, way)
        for target in (0, 1):
            found = session.contributions(codes, references, target)
            expected = deeplift.hypothetical(weights, codes, references, target)
            assert abs(expected).max() > 0.1
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
            sums = (found * ONE_HOT[codes]).sum((1, 2))
            known = [0, 3]  # what an N takes away is no contribution of a base
            wanted = differences(session, codes, references, target)
            np.testing.assert_allclose(sums[known], wanted[known], rtol=0, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if isinstance(config, Config)])
def test_named_networks_give_the_gradient_of_pytorch(name: str, way: str) -> None:
    weights = random_checkpoint(CONFIGS[name])
    codes = random_codes(4, weights.spec.sequence_length)[:-1]  # of Ns alone, equal sums could take each other's place
    with computing(way):
        session = started(weights, way, 2**27)
    for target in range(len(weights.spec.targets)):
        found = session.gradient(codes, target)
        expected = open_session(weights, "torch-cpu").gradient(codes, target)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_order_and_threads_change_nothing(way: str) -> None:
    codes = random_codes(9, ODD.sequence_length)
    references = permuted(codes, 4)
    weights = random_checkpoint(ODD)
    with computing(way):
        session = started(weights, way, threads=1)
        whole = session.contributions(codes, references, 2)
        again = started(weights, way, threads=3).contributions(codes[::-1], references[::-1], 2)
        np.testing.assert_array_equal(again[::-1], whole)
        one = session.contributions(codes[:1], references[:1], 2)
        np.testing.assert_array_equal(one, whole[:1])


@pytest.mark.parametrize("way", WAYS)
def test_references_that_equal_the_sequence_leave_nothing(way: str) -> None:
    codes = np.zeros((1, ODD.sequence_length), np.uint8)
    with computing(way):
        found = started(random_checkpoint(ODD), way).contributions(codes, codes[:, None].repeat(5, 1), 0)
    np.testing.assert_array_equal((found * ONE_HOT[codes]).sum(), 0)


def test_the_plain_twin_gives_the_numbers_of_compiled_code() -> None:
    weights = random_checkpoint(CONFIGS["tuned"])
    layers = deepstarr.plain_layers(weights.config, weights.arrays)
    codes = random_codes(3, weights.spec.sequence_length)[:-1]
    references = permuted(codes, 5)
    plain = numpy_network.Network(layers, None)
    for name in kernel.instruction_sets():
        compiled = kernel.Backward(layers, None, name)
        for ours, twins in (
            (compiled.contributions(codes, references, 1), plain.contributions(codes, references, 1)),
            (compiled.gradient(codes, 1), plain.gradient(codes, 1)),
        ):
            np.testing.assert_allclose(ours, twins, rtol=0, atol=2e-6)
