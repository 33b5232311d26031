"""kmer-cpu: tables and kernels against the network written out in float64, for any config, length and place of an N."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from checkpoints import CONFIGS, ODD, random_checkpoint, random_codes
from hypothesis import given, settings
from hypothesis import strategies as st
from kmer_ways import WAYS, computing, networks, runtime, small_budgets, started
from refusals import refuses
from zoo_runtimes.kmer import kernel, tables

from zoo.models import deepstarr
from zoo.models.deepstarr import BATCH_NORM_EPSILON, VARIANTS, Config
from zoo.options import RunOptions
from zoo.prediction.session import open_session
from zoo.weights.checkpoint import Checkpoint


def in_float64(weights: Checkpoint, codes: np.ndarray) -> np.ndarray:
    """The network as its paper has it, layer by layer: base codes (N, L) -> float64 (N, T)."""
    array = {name: values.astype(np.float64) for name, values in weights.arrays.items()}

    def normalised(hidden: np.ndarray, layer: str) -> np.ndarray:
        gain, shift, mean, variance = (
            array[f"{layer}_norm.{part}"].reshape(-1, *[1] * (hidden.ndim - 2))
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return np.maximum((hidden - mean) / np.sqrt(variance + BATCH_NORM_EPSILON) * gain + shift, 0)

    hidden = np.vstack([np.eye(4), np.zeros(4)])[codes].transpose(0, 2, 1)
    for number, size in enumerate(weights.config.kernel_sizes, 1):
        length = hidden.shape[2]
        padded = np.pad(hidden, ((0, 0), (0, 0), ((size - 1) // 2, size // 2)))
        kernel_ = array[f"conv{number}.weight"]
        summed = sum(kernel_[:, :, tap] @ padded[:, :, tap : tap + length] for tap in range(size))
        hidden = normalised(summed + array[f"conv{number}.bias"][:, None], f"conv{number}")
        even = length // 2 * 2
        hidden = np.maximum(hidden[:, :, 0:even:2], hidden[:, :, 1:even:2])
    hidden = hidden.reshape(len(codes), -1)
    for number in range(1, len(weights.config.dense_units) + 1):
        layer = f"dense{number}"
        hidden = normalised(hidden @ array[f"{layer}.weight"].T + array[f"{layer}.bias"], layer)
    return hidden @ array["head.weight"].T + array["head.bias"]


@settings(max_examples=50, deadline=None)
@given(networks(), st.integers(0, 2**32), st.sampled_from([0, 0.001, 0.3]), st.sampled_from(WAYS), st.data())
def test_any_network_any_length_and_any_ns_give_the_numbers_of_the_network_written_out(
    config: Config, seed: int, share_of_ns: float, way: str, data: st.DataObject
) -> None:
    weights = random_checkpoint(config, seed)
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (data.draw(st.sampled_from([1, 5, 70])), config.sequence_length), np.uint8)
    codes[random.random(codes.shape) < share_of_ns] = 4
    budget = data.draw(st.sampled_from(small_budgets(config) or [0]))
    if not budget:
        with refuses("kmer-cpu", "onnx-cpu"):
            started(weights, way, budget)
        return
    with computing(way):
        activities = started(weights, way, budget).predict(codes)
    np.testing.assert_allclose(activities, in_float64(weights, codes), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if isinstance(config, Config)])
def test_named_networks_keep_order_and_rows_with_ns_between_rows_without(name: str, way: str) -> None:
    weights = random_checkpoint(CONFIGS[name])
    codes = random_codes(70, weights.spec.sequence_length)
    codes[::3] %= 4
    assert 0 < (codes == 4).any(axis=1).sum() < 70
    with computing(way):
        session = started(weights, way, 2**27)
        activities = session.predict(codes)
        np.testing.assert_allclose(activities, in_float64(weights, codes), rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(session.predict(codes[::-1])[::-1], activities)


@pytest.mark.parametrize("way", WAYS)
def test_threads_and_batch_size_change_nothing_beyond_rounding(way: str) -> None:
    weights = random_checkpoint(ODD)
    codes = random_codes(300, ODD.sequence_length)
    with computing(way):
        expected = started(weights, way).predict(codes)
        for options in ({"threads": 1}, {"threads": 5}, {"batch_size": 1}, {"batch_size": 77}):
            np.testing.assert_allclose(started(weights, way, **options).predict(codes), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if isinstance(config, Config)])
def test_a_few_sequences_get_the_bits_that_they_get_among_many(name: str, way: str) -> None:
    weights = random_checkpoint(CONFIGS[name])
    codes = random_codes(runtime.WARM_UP, weights.spec.sequence_length) % 4
    sets = [one for one in kernel.instruction_sets() if one == way]
    with mock.patch.object(kernel, "instruction_sets", return_value=sets):
        engine = runtime.start(weights, "cpu", RunOptions(), 2**27)
        alone, few = engine.run(codes[:1]), engine.run(codes[:70])
        assert not engine._tables.whole
        many = engine.run(codes)
        assert engine._tables.whole
        np.testing.assert_array_equal(alone, many[:1])
        np.testing.assert_array_equal(few, many[:70])
        np.testing.assert_array_equal(engine.run(codes), many)
        np.testing.assert_array_equal(runtime.start(weights, "cpu", RunOptions(threads=1), 2**27).run(codes), many)


def test_rows_of_a_table_have_the_same_bits_however_few_are_filled_at_a_time() -> None:
    config = CONFIGS["tuned"]
    layers = deepstarr.plain_layers(config, random_checkpoint(config).arrays)
    generator = np.random.default_rng(0)
    for plan in tables.plans(layers.shape):
        if plan.bytes > 2**26:
            continue
        at_once, in_parts = tables.Tables(layers, plan), tables.Tables(layers, plan)
        at_once.fill()
        for size in (1, 2, 30):
            codes = generator.integers(0, 4, (size, config.sequence_length), np.uint8)
            in_parts.fill(codes)
            np.testing.assert_array_equal(in_parts.look_up(codes), at_once.look_up(codes))
        in_parts.fill()
        np.testing.assert_array_equal(in_parts.table, at_once.table)


@pytest.mark.parametrize("name", ["original", "tuned"])
def test_the_tables_of_the_published_networks_replace_two_convolutions_and_fit_seventy_megabytes(name: str) -> None:
    plan = tables.plan(deepstarr.plain_shape(VARIANTS[name]))
    assert (plan.depth, plan.projected, plan.convolutions) == (1, True, 2)
    assert plan.bytes < 70e6
    # 8-mers; 5 and 7 bases where the first kernels reach beyond the left end, 6 bases at the right end
    assert plan.rows == 4**8 + 4**5 + 4**7 + 4**6
    assert plan.positions == 62


def test_building_tables_takes_a_quarter_more_memory_than_they_have() -> None:
    config = VARIANTS["original"]
    layers = deepstarr.plain_layers(config, random_checkpoint(config).arrays)
    plan = tables.plan(layers.shape)
    tracemalloc.start()
    try:
        tables.Tables(layers, plan).fill()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.25 * plan.bytes


def test_the_deepest_layers_that_fit_the_budget_are_compiled() -> None:
    config = Config(filters=(8, 8, 8), kernel_sizes=(2, 2, 3), dense_units=(4,), dropout=0.0, sequence_length=40)
    possible = tables.plans(deepstarr.plain_shape(config))
    assert [(plan.depth, plan.projected) for plan in possible] == [
        (1, False),
        (1, True),
        (2, False),
        (2, True),
        (3, False),
    ]
    for plan in possible:
        chosen = tables.plan(deepstarr.plain_shape(config), plan.bytes)
        assert chosen.bytes <= plan.bytes
        assert all(other.bytes > plan.bytes for other in possible[possible.index(chosen) + 1 :])


def test_a_stem_that_does_not_fit_is_refused_with_its_size_and_a_way_out() -> None:
    weights = random_checkpoint(
        Config(filters=(16, 8), kernel_sizes=(11, 3), dense_units=(4,), dropout=0.0, sequence_length=40)
    )
    smallest = min(plan.bytes for plan in tables.plans(deepstarr.plain_shape(weights.config)))
    with refuses("kmer-cpu", "12 bases", "268 MB", f"{smallest / 1e6:,.0f} MB", "onnx-cpu"):
        open_session(weights, "kmer-cpu")


def test_other_precisions_and_files_are_refused(tmp_path: Path) -> None:
    weights = random_checkpoint(ODD)
    with refuses("kmer-cpu", "fp32", "tf32"):
        open_session(weights, "kmer-cpu", RunOptions(precision="tf32"))
    with refuses("model.onnx", "kmer-cpu"):
        open_session(tmp_path / "model.onnx", "kmer-cpu")


@pytest.mark.parametrize("way", WAYS)
def test_the_published_weights_give_the_numbers_of_keras(way: str, data: Path) -> None:
    pytest.importorskip("h5py")
    from zoo.dna.encoding import encode
    from zoo.weights.importers import importer

    with computing(way):
        session = started(importer.read(data / "DeepSTARR.model.h5"), way)
        for name in ("Sequences_example", "test_first10", "enhancers_500", "edge_cases"):
            records = (data / f"{name}.fa").read_text().split(">")[1:]
            codes = encode(["".join(record.split("\n")[1:]) for record in records])
            rows = [line.split("\t")[1:] for line in (data / f"{name}.keras.tsv").read_text().splitlines()[1:]]
            np.testing.assert_allclose(session.predict(codes), np.array(rows, np.float64), rtol=0, atol=2e-5)


def test_layers_are_folded_for_channels_last() -> None:
    layers = deepstarr.plain_layers(ODD, random_checkpoint(ODD).arrays)
    assert [layer.weight.shape for layer in layers.convolutions] == [(6, 4, 9), (1, 9, 5), (4, 5, 7)]
    assert [(layer.left, layer.positions) for layer in layers.convolutions] == [(2, 53), (0, 26), (1, 13)]
    assert [(layer.weight.shape, layer.relu) for layer in layers.dense] == [((42, 11), True), ((11, 3), False)]


def test_a_settled_engine_gives_the_same_bits_whatever_came_before() -> None:
    weights = random_checkpoint(ODD)
    codes = random_codes(600, ODD.sequence_length)
    settled, other = (runtime.start(weights, "cpu", RunOptions()) for _ in range(2))
    for engine in (settled, other):
        engine.settle()
    other.run(codes)
    np.testing.assert_array_equal(settled.run(codes[:40]), other.run(codes[:40]))
