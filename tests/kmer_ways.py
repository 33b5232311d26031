"""kmer-cpu in every way in which it can compute on this machine, and small networks of any shape for it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from hypothesis import strategies as st
from zoo_runtimes.kmer import kernel, tables

from zoo import registry
from zoo.layers.plain import PlainLayers
from zoo.models import deepstarr
from zoo.models.deepstarr import Config
from zoo.options import RunOptions
from zoo.prediction.session import Session
from zoo.weights.checkpoint import Checkpoint

runtime = registry.load("runtimes", "kmer")

WAYS = [*kernel.instruction_sets(), "NumPy and ONNX Runtime"]
"""Every way in which kmer-cpu can compute on this machine."""

SMALL = 2**21
"""A budget in bytes that several plans fit and several do not, and that is built in no time."""


_build = tables.Tables
_built: dict[bytes, tables.Tables] = {}


def built_once(layers: PlainLayers, plan: tables.Plan, each: tables.Each = map) -> tables.Tables:
    """The whole tables of a network, built once for all the ways to compute with them."""
    key = pickle.dumps((layers, plan))  # all of it: networks that differ in a deeper layer alone can share the first
    if key not in _built:
        _built[key] = _build(layers, plan, each)
        _built[key].fill()
    return _built[key]


@contextmanager
def computing(way: str) -> Iterator[None]:
    """kmer-cpu computes in one of WAYS, with tables from the first sequence on."""
    sets = [way] if way in kernel.instruction_sets() else []
    with (
        mock.patch.object(kernel, "instruction_sets", return_value=sets),
        mock.patch.object(runtime, "WARM_UP", 0),
        mock.patch.object(tables, "Tables", built_once),
    ):
        yield


def started(weights: Checkpoint, way: str, budget: int = tables.BUDGET, **options: int) -> Session:
    with computing(way):
        engine = runtime.start(weights, "cpu", RunOptions(**options), budget)
    assert engine.provider == f"cpu, {way}"
    return Session(engine, "kmer-cpu")


@st.composite
def networks(draw: st.DrawFn) -> Config:
    depth = draw(st.integers(1, 3))
    filters = draw(st.lists(st.sampled_from([1, 3, 7, 16, 17, 35]), min_size=depth, max_size=depth))
    sizes = draw(st.lists(st.integers(1, 5), min_size=depth, max_size=depth))
    dense = draw(st.lists(st.sampled_from([1, 5, 33]), min_size=1, max_size=2))
    length = draw(st.integers(2**depth, 70))
    return Config(
        filters=tuple(filters),
        kernel_sizes=tuple(sizes),
        dense_units=tuple(dense),
        dropout=0.0,
        sequence_length=length,
        targets=("a", "b", "c")[: draw(st.integers(1, 3))],
    )


def small_budgets(config: Config) -> list[int]:
    """Budgets in bytes with which every plan of at most SMALL is reached: the smallest for one is its own size."""
    return [plan.bytes for plan in tables.plans(deepstarr.plain_shape(config)) if plan.bytes <= SMALL]
