"""Test tensors: their bytes are read back, damaged ones are refused, and a difference says how many, how far, where."""

import contextlib

import numpy as np
import pytest
from refusals import refuses

from zoo.errors import ZooError
from zoo.weights import test_tensors
from zoo.weights.test_tensors import TestTensors


def some(seed=0, targets=2):
    codes = test_tensors.random_codes(20, seed)
    expected = np.random.default_rng(seed).normal(size=(len(codes), targets)).astype(np.float32)
    return TestTensors(codes, expected, "numpy 1 on paper")


def test_they_are_read_back_with_what_made_them():
    tensors = some()
    read = test_tensors.from_bytes(tensors.to_bytes())
    assert np.array_equal(read.codes, tensors.codes)
    assert np.array_equal(read.expected, tensors.expected)
    assert read.made_by == "numpy 1 on paper"


@pytest.mark.parametrize("length", [1, 2, 7, 249])
def test_sequences_have_random_bases_ns_and_edge_cases(length):
    codes = test_tensors.random_codes(length, 3)
    assert codes.shape == (64, length)
    assert codes.dtype == np.uint8
    assert np.array_equal(codes, test_tensors.random_codes(length, 3))
    assert codes[:32].max() < 4
    assert [set(row.tolist()) for row in codes[-5:]] == [{4}, {0}, {1}, {2}, {3}]
    assert codes[-7, 0] == codes[-7, -1] == codes[-6, length // 2] == 4


def test_damaged_bytes_are_refused():
    random, whole = np.random.default_rng(0), some().to_bytes()
    for _ in range(200):
        content = bytearray(whole)
        content[random.integers(120)] = random.integers(256)
        with contextlib.suppress(ZooError):  # any other error fails
            test_tensors.from_bytes(bytes(content[: random.integers(1, len(content) + 1)]))
    with refuses("safetensors"):
        test_tensors.from_bytes(whole[:-1])
    with refuses("safetensors"):
        test_tensors.from_bytes(b"")


def test_other_arrays_are_refused():
    tensors = some()
    with refuses("codes", "int64"):
        TestTensors(tensors.codes.astype(np.int64), tensors.expected, "")
    with refuses("63", "64"):
        TestTensors(tensors.codes, tensors.expected[1:], "")
    with refuses("codes", "4", "9"):
        TestTensors(tensors.codes + np.uint8(5), tensors.expected, "")
    with refuses("finite"):
        TestTensors(tensors.codes, tensors.expected * np.float32("nan"), "")


def test_a_difference_is_judged_target_by_target():
    tensors = some()
    largest = np.abs(tensors.expected).max(0)
    assert tensors.difference(tensors.expected + 1.9e-5 * largest, ("dev", "hk")) is None
    small = TestTensors(tensors.codes, tensors.expected * np.float32([1, 1e-3]), "")
    actual = small.expected.copy()
    actual[6, 1] += 1e-4 * largest[1] * 1e-3  # small beside the first target
    said = small.difference(actual, ("dev", "hk"))
    assert "1 of 128" in said
    assert "sequence 7" in said
    assert "hk" in said
    actual[3] = np.nan
    assert "3 of 128" in small.difference(actual, ("dev", "hk"))
    assert "63" in small.difference(actual[1:], ("dev", "hk"))
