"""Overlapping windows of kmer-cpu: sharing work changes no number beyond rounding, and is done where it pays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kmer_ways import SMALL, WAYS, built_once, computing, networks, runtime, started
from zoo_runtimes.kmer import kernel, numpy_network, sharing, tables
from zoo_runtimes.kmer.kernel import Windows

from zoo.dna import windows
from zoo.dna.encoding import ASCII_TO_CODE, reverse_complement
from zoo.layers import plain
from zoo.models import deepstarr
from zoo.models.deepstarr import VARIANTS, Config
from zoo.weights.importers import importer

STRIDES = (1, 2, 3, 7, 8, 16, 50)

TOLERANCE = 2e-5


@pytest.fixture(params=WAYS)
def sharing_whenever_it_can(request: pytest.FixtureRequest) -> Iterator[str]:
    with computing(request.param), always_shared():
        yield request.param


def always_shared() -> mock._patch[mock.Mock]:
    return mock.patch.object(sharing.Sharing, "pays", lambda self, number: number > 0)  # noqa: ARG005


def small_plan(config: Config, number: int) -> tables.Plan | None:
    """One of the plans that are quickly built."""
    plans = [plan for plan in tables.plans(deepstarr.plain_shape(config)) if plan.bytes <= SMALL]
    return plans[number % len(plans)] if plans else None


@settings(max_examples=60, deadline=None)
@example(
    Config(
        filters=(1, 1, 1), kernel_sizes=(1, 1, 2), dense_units=(1,), dropout=0.0, sequence_length=40, targets=("a",)
    ),
    0,
    0,
    50,
    157,
)  # windows far apart, over two blocks
@given(networks(), st.integers(0, 2**32), st.integers(0, 9), st.sampled_from(STRIDES), st.integers(1, 300))
def test_every_compiled_way_and_its_twin_in_numpy_give_the_numbers_of_each_window(
    config: Config, seed: int, plan_number: int, stride: int, number: int
) -> None:
    weights = random_checkpoint(config, seed)
    plan = small_plan(config, plan_number)
    layers = deepstarr.plain_layers(config, weights.arrays)
    shared = sharing.sharing(layers, plan, stride) if plan else None
    if plan is None or shared is None:
        return
    length = config.sequence_length
    codes = np.random.default_rng(seed).integers(0, 4, (number - 1) * stride + length, np.uint8)
    expected = plain.activities(layers, np.eye(4)[windows.cut(codes, length, stride)])
    built = built_once(layers, plan)
    twin = numpy_network.Windows(layers, built, shared)(codes, number)
    np.testing.assert_allclose(twin, expected, rtol=1e-5, atol=TOLERANCE)
    for name in kernel.instruction_sets():
        compiled = Windows(kernel.Kernel(layers, built, name), shared)
        np.testing.assert_allclose(compiled(codes, number), twin, rtol=1e-5, atol=TOLERANCE)
        # memory that another contig went through leaves no trace
        np.testing.assert_array_equal(compiled(codes[:length], 1), compiled(codes[:length], 1))


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize(
    "ns", [[], [(0, 1)], [(130, 131)], [(0, 90), (200, 201), (290, 400)], [(100, 300)], [(0, 400)]], ids=str
)
def test_ns_anywhere_give_the_numbers_of_each_window(
    sharing_whenever_it_can: str, ns: list[tuple[int, int]], stride: int
) -> None:
    codes = np.random.default_rng(0).integers(0, 4, 400, np.uint8)
    for first, stop in ns:
        codes[first:stop] = 4
    running = started(random_checkpoint(ODD), sharing_whenever_it_can)
    for contig in (codes, reverse_complement(codes), codes[:53], codes[:61]):
        expected = running.predict(np.ascontiguousarray(windows.cut(contig, 53, stride)))
        np.testing.assert_allclose(running.windows(contig, stride), expected, rtol=1e-5, atol=TOLERANCE)


def test_windows_of_ns_alone_are_computed_once() -> None:
    engine = started(random_checkpoint(ODD), WAYS[0])._engine
    codes = np.full(5000, 4, np.uint8)
    codes[2000:3000] = np.random.default_rng(0).integers(0, 4, 1000)
    in_full = mock.Mock(wraps=engine._network(kernel.Kernel, fast=False))
    with always_shared(), mock.patch.dict(engine._networks, {(kernel.Kernel, False): in_full}):
        engine.windows(codes, 1)
    in_full_of = sum(len(call.args[0]) for call in in_full.call_args_list)
    assert in_full_of == 2 * 52 + 1  # those that begin or end in the bases, and one


@pytest.mark.parametrize("threads", [1, 3])
def test_stretches_for_threads_change_nothing(threads: int) -> None:
    weights = random_checkpoint(ODD)
    codes = np.random.default_rng(0).integers(0, 4, 30_000, np.uint8)
    codes[20_000] = 4
    with mock.patch.object(runtime, "LEAST", 1), computing(WAYS[0]):
        running = started(weights, WAYS[0], threads=threads)
        with always_shared():
            shared = running.windows(codes)
        with mock.patch.object(sharing.Sharing, "pays", return_value=False):
            np.testing.assert_allclose(running.windows(codes), shared, rtol=1e-5, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["original", "tuned"])
def test_work_is_shared_at_the_strides_at_which_it_is_less(name: str) -> None:
    layers = deepstarr.plain_layers(VARIANTS[name], random_checkpoint(VARIANTS[name]).arrays)
    plan = tables.plan(layers.shape)

    def pays(stride: int, number: int = 100_000) -> bool:
        found = sharing.sharing(layers, plan, stride)
        assert found
        return found.pays(number)

    assert all(pays(stride) for stride in (1, 2, 7, 8, 16, 32, 48, 50))
    assert not any(pays(stride) for stride in (70, 101, 249, 1000))
    assert not pays(1, 1)


def test_a_stride_of_sixteen_or_less_takes_under_a_quarter_of_the_arithmetic() -> None:
    layers = deepstarr.plain_layers(VARIANTS["original"], random_checkpoint(VARIANTS["original"]).arrays)
    for stride in (1, 2, 4, 8, 16):
        found = sharing.sharing(layers, tables.plan(layers.shape), stride)
        assert found
        assert found.operations < found.operations_one_by_one / 4


def test_the_published_network_feels_the_ends_of_a_window_at_three_of_fifteen_last_positions() -> None:
    shape = deepstarr.plain_shape(VARIANTS["original"])
    layers = sharing.layers_of(shape, tables.plan(shape))
    assert layers
    assert [(layer.low, layer.high, layer.positions) for layer in layers] == [(2, 61, 62), (2, 29, 31), (2, 14, 15)]


def test_a_layer_of_more_inputs_than_the_kernel_can_list_is_not_shared() -> None:
    for units, shares in ((2**16, True), (2**16 + 1, False)):
        config = Config(filters=(1,), kernel_sizes=(1,), dense_units=(units,), dropout=0.0, sequence_length=4)
        layers = deepstarr.plain_layers(config, random_checkpoint(config).arrays)
        assert (sharing.sharing(layers, tables.plan(layers.shape), 1) is not None) == shares


def test_where_a_position_feels_both_ends_nothing_is_shared_and_the_numbers_are_right() -> None:
    config = Config(filters=(3, 4), kernel_sizes=(3, 9), dense_units=(5,), dropout=0.0, sequence_length=16)
    weights = random_checkpoint(config)
    shape = deepstarr.plain_shape(config)
    assert sharing.layers_of(shape, tables.plan(shape, SMALL)) is None
    codes = np.random.default_rng(0).integers(0, 5, 300, np.uint8)
    with computing(WAYS[0]):
        running = started(weights, WAYS[0], SMALL)
        expected = running.predict(np.ascontiguousarray(windows.cut(codes, 16, 1)))
        np.testing.assert_array_equal(running.windows(codes), expected)


@pytest.mark.parametrize("taps", range(1, 17))
@pytest.mark.parametrize("most", [1, 2, 8, 48])
def test_products_that_windows_share_add_up_to_each_windows_own(taps: int, most: int) -> None:
    random = np.random.default_rng(taps)
    weights = [*random.normal(size=(taps, 3, 2))]
    products = sharing.fastest(weights, most)
    assert products.group <= most
    rows = random.normal(size=(products.group + 2 * 16 + 8, 3))
    found = np.zeros((products.group, 2))
    for bundle in products.bundles:
        for product in bundle.products:
            made = sum(factor * rows[tap] for tap, factor in product.inputs.items()) @ product.weight
            for factor, outputs in zip(product.sums, bundle.outputs, strict=True):
                for window, times in outputs.items():
                    found[window] += made * factor * times
    expected = [sum(rows[window + tap] @ weights[tap] for tap in range(taps)) for window in range(products.group)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_twelve_taps_take_thirty_six_products_for_eight_windows() -> None:
    products = sharing.fastest([*np.ones((12, 120, 256))], 48)
    assert (sum(len(bundle.products) for bundle in products.bundles), products.group) == (36, 8)


@pytest.mark.parametrize("way", WAYS)
def test_the_published_weights_along_real_dna_are_within_two_in_a_hundred_thousand(way: str, data: Path) -> None:
    text = (data / "dm6_2Mb.fa").read_bytes()[:5000].split(b"\n", 1)[1].replace(b"\n", b"")
    codes = np.minimum(ASCII_TO_CODE[np.frombuffer(text, np.uint8)], 4)[:1000]
    codes[600] = 4
    with computing(way), always_shared():
        running = started(importer.read(data / "DeepSTARR.model.h5"), way)
        for contig in (codes, reverse_complement(codes)):
            expected = running.predict(np.ascontiguousarray(windows.cut(contig, 249, 1)))
            for stride in (1, 7, 8, 16, 50):
                found = running.windows(contig, stride)
                assert np.abs(found - expected[::stride]).max() <= TOLERANCE
