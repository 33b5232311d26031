"""kmer-cpu's edits give the numbers of full predictions, for any config and any edits, with bits of their own."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from checkpoints import EVERY_ODD_CONFIG, MODELS, ODD, architecture_of, random_checkpoint, random_codes
from hypothesis import given, settings
from hypothesis import strategies as st
from kmer_ways import WAYS, computing, networks, runtime, small_budgets, started
from zoo_runtimes.kmer import kernel, numpy_network, tables

from zoo.dna import edits
from zoo.dna.encoding import one_hot
from zoo.layers import plain
from zoo.models import deepstarr
from zoo.models.deepstarr import Config
from zoo.prediction.session import open_session, refuses
from zoo.weights.checkpoint import Checkpoint

PLAIN_CONFIGS = {
    name: config
    for name, config in {**EVERY_ODD_CONFIG, "odd": ODD}.items()
    if hasattr(MODELS[architecture_of(config)], "plain_shape")
}


def edited_at_random(
    random: np.random.Generator, codes: np.ndarray, number: int, largest: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Edited sequences and their rows: one or two stretches of any width with new bases, some of none."""
    rows = random.integers(0, len(codes), number)
    edited = codes[rows]
    length = codes.shape[1]
    for one in edited:
        for _ in range(random.integers(0, 3)):
            width = min(int(random.choice([1, 2, 5, 10, length // 4, length])), length)
            first = random.integers(0, length - width + 1)
            one[first : first + width] = random.integers(0, largest + 1, width)
    return edited, rows


def in_float64(weights: Checkpoint, codes: np.ndarray, edited: np.ndarray, rows: np.ndarray) -> np.ndarray:
    layers = deepstarr.plain_layers(weights.config, weights.arrays)
    return edits.effects(lambda part: plain.activities(layers, one_hot(part)), codes, edited, rows)


@settings(max_examples=50, deadline=None)
@given(networks(), st.integers(0, 2**32), st.sampled_from([0, 0.3]), st.sampled_from(WAYS), st.data())
def test_any_network_any_length_and_any_edits_give_the_differences_of_full_predictions(
    config: Config, seed: int, share_of_ns: float, way: str, data: st.DataObject
) -> None:
    weights = random_checkpoint(config, seed)
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (3, config.sequence_length), np.uint8)
    codes[random.random(codes.shape) < share_of_ns] = 4
    edited, rows = edited_at_random(random, codes, 20, 4 if share_of_ns else 3)
    budgets = small_budgets(config)
    if not budgets:
        return
    with computing(way), mock.patch.object(runtime, "WIDE", data.draw(st.sampled_from([0.4, 2]))):
        found = started(weights, way, data.draw(st.sampled_from(budgets))).edits(codes, edited, rows)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, in_float64(weights, codes, edited, rows), rtol=1e-5, atol=2e-5)
    np.testing.assert_array_equal(found[(edited == codes[rows]).all(axis=1)], 0)


@pytest.mark.parametrize("way", kernel.instruction_sets())
@pytest.mark.parametrize("name", PLAIN_CONFIGS)
def test_the_bits_of_an_edit_do_not_depend_on_the_others(name: str, way: str) -> None:
    weights = random_checkpoint(PLAIN_CONFIGS[name])
    if refuses("kmer-cpu", weights.spec):
        return
    random = np.random.default_rng(0)
    codes = random_codes(4, weights.spec.sequence_length)
    edited, rows = edited_at_random(random, codes, 2 * runtime.EDITS + 7, 4)
    edited[:20] = codes[rows[:20]]
    edited[:20, 10:15] %= 4  # a few of them have no N
    with computing(way):
        session = started(weights, way, threads=2)
        found = session.edits(codes, edited, rows)
        alone = [session.edits(codes, edited[one : one + 1], rows[one : one + 1]) for one in range(0, len(rows), 5)]
        np.testing.assert_array_equal(np.concatenate(alone), found[::5])
        order = random.permutation(len(rows))
        np.testing.assert_array_equal(session.edits(codes, edited[order], rows[order]), found[order])
        turned = session.edits(codes[::-1], edited, len(codes) - 1 - rows)
        np.testing.assert_array_equal(turned, found)


def test_a_mutant_is_an_edit_of_one_base() -> None:
    weights = random_checkpoint(ODD)
    codes = random_codes(1, ODD.sequence_length)
    codes[0, 20] = 4
    position, base = np.nonzero(codes[0, :, None] != np.arange(4))
    edited = np.repeat(codes, len(position), axis=0)
    edited[np.arange(len(position)), position] = base
    for way in kernel.instruction_sets():
        with computing(way):
            session = started(weights, way)
            found = session.edits(codes, edited, np.zeros(len(edited), int))
            np.testing.assert_array_equal(found, session.mutants(codes)[0, position, base])


def test_tables_come_with_enough_edits() -> None:
    codes = random_codes(1, ODD.sequence_length) % 4
    number = int(runtime.WARM_UP / runtime.EDIT)
    edited, rows = edited_at_random(np.random.default_rng(0), codes, number)
    session = open_session(random_checkpoint(ODD), "kmer-cpu")
    with mock.patch.object(tables, "Tables", wraps=tables.Tables) as built:
        few = session.edits(codes, edited[:-1], rows[:-1])
        assert not built.called
        many = session.edits(codes, edited, rows)
        assert built.call_count == 1
    np.testing.assert_allclose(many[:-1], few, rtol=0, atol=1e-5)


def test_the_edits_of_one_sequence_are_divided_among_all_threads() -> None:
    codes = random_codes(1, ODD.sequence_length) % 4
    edited, rows = edited_at_random(np.random.default_rng(0), codes, 4 * runtime.EDITS)
    session = started(random_checkpoint(ODD), WAYS[0], threads=2)
    with mock.patch.object(session._engine._pool, "map", wraps=session._engine._pool.map) as divided:
        session.edits(codes, edited, rows)
    assert max(len(call.args[1]) for call in divided.call_args_list) > 1


def test_the_plain_twin_gives_the_numbers_of_compiled_code() -> None:
    weights = random_checkpoint(ODD)
    layers = deepstarr.plain_layers(weights.config, weights.arrays)
    codes = random_codes(3, ODD.sequence_length)
    edited, rows = edited_at_random(np.random.default_rng(0), codes, 40, 4)
    rows.sort()
    expected = numpy_network.Network(layers, None).edits(codes[rows], edited)
    for name in kernel.instruction_sets():
        found = kernel.Kernel(layers, None, name).edits(codes[rows], edited)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
