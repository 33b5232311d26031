"""kmer-cpu's in silico mutagenesis gives the numbers of full predictions, for any config, length and place of an N."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from checkpoints import CONFIGS, ODD, random_checkpoint, random_codes
from hypothesis import given, settings
from hypothesis import strategies as st
from kmer_ways import WAYS, computing, networks, runtime, small_budgets, started
from zoo_runtimes.kmer import kernel, numpy_network, tables

from zoo.dna.encoding import encode, one_hot
from zoo.layers import plain
from zoo.models import deepstarr
from zoo.models.deepstarr import Config
from zoo.prediction import by_prediction
from zoo.prediction.session import open_session
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import importer


def in_float64(weights: Checkpoint, codes: np.ndarray) -> np.ndarray:
    """Every mutant by the layers written out."""
    layers = deepstarr.plain_layers(weights.config, weights.arrays)
    return by_prediction.mutants(lambda part: plain.activities(layers, one_hot(part)), codes, layers.shape.targets)


@settings(max_examples=50, deadline=None)
@given(networks(), st.integers(0, 2**32), st.sampled_from([0, 0.01, 0.3]), st.sampled_from(WAYS), st.data())
def test_any_network_any_length_and_any_ns_give_the_differences_of_full_predictions(
    config: Config, seed: int, share_of_ns: float, way: str, data: st.DataObject
) -> None:
    weights = random_checkpoint(config, seed)
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (data.draw(st.sampled_from([1, 3])), config.sequence_length), np.uint8)
    codes[random.random(codes.shape) < share_of_ns] = 4
    budgets = small_budgets(config)
    if not budgets:
        return
    with computing(way):
        found = started(weights, way, data.draw(st.sampled_from(budgets))).mutants(codes)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, in_float64(weights, codes), rtol=1e-5, atol=2e-5)
    there = codes[..., None] == np.arange(4)
    np.testing.assert_array_equal(found[there], 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if isinstance(config, Config)])
def test_named_networks_keep_order_and_sequences_with_ns_between_those_without(name: str, way: str) -> None:
    weights = random_checkpoint(CONFIGS[name])
    codes = random_codes(5, weights.spec.sequence_length)
    codes[::2] %= 4
    assert (codes == 4).any(axis=1).sum() == 2
    with computing(way):
        session = started(weights, way, 2**27)
        found = session.mutants(codes)
        np.testing.assert_allclose(
            found[:2], by_prediction.mutants(session.predict, codes[:2], found.shape[-1]), rtol=0, atol=2e-5
        )
        np.testing.assert_array_equal(session.mutants(codes[::-1])[::-1], found)


def test_an_n_has_four_alternatives_and_a_base_that_reaches_nothing_changes_nothing() -> None:
    weights = random_checkpoint(ODD)
    codes = random_codes(2, ODD.sequence_length)
    codes[0, 20] = 4
    found = started(weights, WAYS[0]).mutants(codes)
    assert (found[0, 20] != 0).all()
    # convolutions of one tap; the last of 53 bases is dropped by the first pooling
    narrow = random_checkpoint(
        Config(filters=(5, 6), kernel_sizes=(1, 1), dense_units=(4,), dropout=0.0, sequence_length=53, targets=("a",))
    )
    for way in WAYS:
        with computing(way):
            found = started(narrow, way).mutants(codes % 4)
        np.testing.assert_allclose(found[:, 52], 0, rtol=0, atol=2e-6)
        assert (found[:, 40:52] != 0).any()


def test_tables_come_with_the_mutants_of_a_few_sequences() -> None:
    codes = random_codes(runtime.WARM_UP // runtime.MUTANTS, ODD.sequence_length) % 4
    session = open_session(random_checkpoint(ODD), "kmer-cpu")
    with mock.patch.object(tables, "Tables", wraps=tables.Tables) as built:
        few = session.mutants(codes[:-1])
        assert not built.called
        many = session.mutants(codes)
        assert built.call_count == 1
    np.testing.assert_allclose(many[:-1], few, rtol=0, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_the_published_weights_give_the_differences_of_full_predictions(way: str, data: Path) -> None:
    weights = importer.read(data / "DeepSTARR.model.h5")
    texts = [record.split("\n")[1:] for record in (data / "enhancers_500.fa").read_text().split(">")[1:4]]
    codes = encode(["".join(lines) for lines in texts])
    codes[1, [0, 100, 101, 248]] = 4
    with computing(way):
        session = started(weights, way)
        found = session.mutants(codes)
        assert abs(found).max() > 1
        np.testing.assert_allclose(found, by_prediction.mutants(session.predict, codes, 2), rtol=0, atol=2e-5)


def test_the_plain_twin_gives_the_numbers_of_compiled_code() -> None:
    weights = random_checkpoint(CONFIGS["tuned"])
    layers = deepstarr.plain_layers(weights.config, weights.arrays)
    codes = random_codes(2, weights.spec.sequence_length)
    expected = numpy_network.Network(layers, None).mutants(codes)
    for name in kernel.instruction_sets():
        compiled = kernel.Kernel(layers, None, name)
        np.testing.assert_allclose(compiled.mutants(codes), expected, rtol=0, atol=2e-5)
