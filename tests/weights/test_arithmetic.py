"""Operations of a forward pass, counted on every network of the registry without computing it."""

from __future__ import annotations

import dataclasses

import pytest

from zoo import registry
from zoo.weights import lookup, network

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", sorted(lookup.variants()))
def test_every_network_has_a_cost_and_counting_draws_no_random_numbers(name: str) -> None:
    architecture = lookup.variants()[name]
    before = torch.random.get_rng_state()
    assert network.arithmetic(architecture, registry.load("models", architecture).VARIANTS[name]) > 0
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_dense_layer_costs_a_multiplication_and_an_addition_a_weight() -> None:
    architecture = lookup.variants()["basset"]
    config = registry.load("models", architecture).VARIANTS["basset"]
    costs = [
        network.arithmetic(architecture, dataclasses.replace(config, dense_units=(1000, units))) for units in (10, 20)
    ]
    assert costs[1] - costs[0] == 2 * 10 * (1000 + 2)


def test_a_looked_up_weight_costs_an_addition() -> None:
    architecture = lookup.variants()["gapped-kmer"]
    config = registry.load("models", architecture).VARIANTS["gapped-kmer"]
    assert network.arithmetic(architecture, config) == 28 * 242 * 2  # gapped words, windows, targets


def test_a_network_that_no_memory_holds_is_counted_all_the_same() -> None:
    architecture = lookup.variants()["basset"]
    config = dataclasses.replace(
        registry.load("models", architecture).VARIANTS["basset"], dense_units=(10_000_000, 10_000_000)
    )
    assert network.arithmetic(architecture, config) > 2 * 10**14
