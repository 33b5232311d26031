"""Backgrounds depend on the options alone, and have the composition that these say."""

from __future__ import annotations

import numpy as np
import pytest
from refusals import refuses

from zoo.experiments.backgrounds import BLOCK, Backgrounds
from zoo.experiments.options import BackgroundSequences


def whole(options: BackgroundSequences, length: int = 40, given: np.ndarray | None = None) -> np.ndarray:
    backgrounds = Backgrounds(options, length, given)
    blocks = [*backgrounds]
    assert [block.number for block in blocks] == [*range(len(blocks))]
    assert max(len(block.codes) for block in blocks) <= BLOCK
    found = np.concatenate([block.codes for block in blocks])
    assert len(found) == len(backgrounds)
    return found


def test_more_backgrounds_begin_with_the_same_ones() -> None:
    few, more = (whole(BackgroundSequences(number)) for number in (100, 200))
    np.testing.assert_array_equal(few, more[:100])
    assert len(np.unique(more, axis=0)) == 200
    assert (whole(BackgroundSequences(200, seed=7)) != more).mean() > 0.7


@pytest.mark.parametrize("gc", [None, 0, 0.3, 1])
def test_random_backgrounds_have_the_share_of_g_and_c(gc: float | None) -> None:
    found = whole(BackgroundSequences(1000, gc), 200)
    share = 0.5 if gc is None else gc
    for base, expected in enumerate(np.array([1 - share, share, share, 1 - share]) / 2):
        assert (found == base).mean() == pytest.approx(expected, abs=0.005)


def test_given_sequences_are_taken_or_shuffled() -> None:
    given = np.random.default_rng(0).integers(0, 4, (70, 40), np.uint8)
    np.testing.assert_array_equal(whole(BackgroundSequences(), given=given), given)
    shuffled = whole(BackgroundSequences(shuffles=3), given=given)
    assert len(shuffled) == 210

    def pairs(sequence: np.ndarray) -> list[int]:
        return np.bincount(4 * sequence[:-1] + sequence[1:], minlength=16).tolist()

    for number, sequence in enumerate(shuffled):
        assert pairs(sequence) == pairs(given[number // 3])
    assert len(np.unique(shuffled, axis=0)) == 210
    # those of a sequence are the same among others
    np.testing.assert_array_equal(whole(BackgroundSequences(shuffles=3), given=given[:30]), shuffled[:90])


def test_options_of_another_source_are_refused() -> None:
    given = np.zeros((3, 40), np.uint8)
    with refuses("--backgrounds", "--gc", "FILE"):
        Backgrounds(BackgroundSequences(50), 40, given)
    with refuses("--shuffles", "FILE"):
        Backgrounds(BackgroundSequences(shuffles=2), 40)
    with refuses("at least 2", "got 1"):
        Backgrounds(BackgroundSequences(), 40, given[:1])
    with refuses("backgrounds", 2, "got 1"):
        BackgroundSequences(1)
    with refuses("gc", "1.5"):
        BackgroundSequences(gc=1.5)
