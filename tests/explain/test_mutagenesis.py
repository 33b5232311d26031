"""In silico mutagenesis in Python: effects of substitutions, on one strand and on the mean of both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from checkpoints import random_codes
from explain.toy_model import LENGTH, WEIGHTS, both_strands, model, texts
from refusals import refuses

import zoo
from zoo.dna.encoding import ONE_HOT

CODES = random_codes(5, LENGTH)


def expected(codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    own = np.einsum("nlb,lbt->nlt", ONE_HOT[codes], weights)
    return weights - own[:, :, None]


def test_an_effect_is_the_activity_with_a_base_minus_the_activity_of_the_sequence() -> None:
    found = zoo.explain.ism(model(), texts(CODES))
    assert (found.shape, found.dtype) == ((5, LENGTH, 4, 2), np.float32)
    np.testing.assert_allclose(found, expected(CODES, WEIGHTS), atol=1e-5)
    assert not found[:-1][ONE_HOT[CODES[:-1]] == 1].any()
    np.testing.assert_array_equal(zoo.explain.ism(model(), CODES), found)


def test_effects_on_both_strands_are_those_of_the_mean_model() -> None:
    found = zoo.explain.ism(model(rc="average"), CODES)
    np.testing.assert_allclose(found, expected(CODES, both_strands(WEIGHTS)), atol=1e-5)


def test_centred_effects_of_a_position_sum_to_zero() -> None:
    effects = zoo.explain.ism(model(), CODES)
    middle = zoo.explain.centred(effects)
    np.testing.assert_allclose(middle.sum(2), 0, atol=1e-5)
    np.testing.assert_allclose(middle - middle[:, :, :1], effects - effects[:, :, :1], atol=1e-5)


def test_bad_input_is_refused() -> None:
    with refuses("sequence 2", LENGTH, "got 3"):
        zoo.explain.ism(model(), [texts(CODES)[0], "ACG"])
    with refuses("sequences", "list"):
        zoo.explain.ism(model(), "ACGT")
    with refuses("uint8", f"(N, {LENGTH})"):
        zoo.explain.ism(model(), CODES.astype(int))


def test_import_zoo_makes_the_package_available_and_imports_libraries_only_when_needed() -> None:
    program = (
        "import sys, zoo; before = set(sys.modules); zoo.explain; print('numpy' in before, 'numpy' in sys.modules)\n"
        "print(callable(zoo.explain.contributions), callable(zoo.explain.ism), 'torch' in sys.modules)\n"
        "import zoo.explain.methods\n"
        "print(callable(zoo.explain.contributions), 'explain' in dir(zoo), 'ism' in dir(zoo.explain))\n"
        "try:\n    zoo.explain.nothing\nexcept AttributeError as error:\n    print(error)"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert result.stdout.splitlines() == [
        "False False",
        "True True False",
        "True True True",
        "module 'zoo.explain' has no attribute 'nothing'",
    ]
