"""Augmentations: what each may change, how often, where and by how much, with a fixed seed."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.dna.augment import LARGEST_SHIFT, augment, delete, insert, invert, translocate
from zoo.dna.encoding import reverse_complement
from zoo.spec import UNKNOWN_BASE
from zoo.training.config import STRENGTHS, TrainConfig

LENGTH = 60
CODES = np.random.default_rng(0).integers(0, 4, (4000, LENGTH)).astype(np.uint8)


def drawn(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def unlike(changed: np.ndarray, codes: np.ndarray = CODES) -> np.ndarray:
    """Share of the rows in which each position changed."""
    return (changed != codes).mean(0)


def test_the_other_strand_is_drawn_for_half_of_the_sequences_and_is_exact() -> None:
    flipped, noise = augment(CODES, {"reverse-complement": 1}, drawn())
    same = (flipped == CODES).all(1)
    assert noise is None
    assert same.mean() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_array_equal(flipped[~same], reverse_complement(CODES[~same]))


def test_a_shift_keeps_the_bases_in_order_and_fills_the_gap_with_n() -> None:
    shifted, _ = augment(CODES, {"shift": LARGEST_SHIFT}, drawn())
    lost = (shifted == UNKNOWN_BASE).sum(1)
    assert set(lost) == set(range(LARGEST_SHIFT + 1))
    left = shifted[:, 0] != UNKNOWN_BASE
    for row in range(50):
        kept = shifted[row][shifted[row] < UNKNOWN_BASE]
        expected = CODES[row][lost[row] :] if left[row] else CODES[row][: LENGTH - lost[row]]
        np.testing.assert_array_equal(kept, expected)


def test_a_mutation_takes_each_of_the_other_bases_equally_often_and_leaves_n() -> None:
    codes = CODES.copy()
    codes[:, :5] = UNKNOWN_BASE
    mutated, _ = augment(codes, {"mutation": 0.05}, drawn())
    np.testing.assert_array_equal(mutated[:, :5], UNKNOWN_BASE)
    hit = mutated != codes
    assert hit[:, 5:].mean() == pytest.approx(0.05, abs=0.002)
    steps = np.bincount((mutated[hit].astype(int) - codes[hit]) % 4, minlength=4)
    assert steps[0] == 0
    np.testing.assert_allclose(steps[1:] / steps.sum(), 1 / 3, atol=0.02)


def numbered(length: int = LENGTH) -> np.ndarray:
    """Sequences whose codes are positions, so that a moved base is recognised; random DNA is at most 3, they begin at
    10. The complement of a base is not defined here."""
    return np.tile(np.arange(10, 10 + length, dtype=np.uint8), (4000, 1))


def test_a_deletion_removes_one_segment_and_pads_both_ends_with_random_dna() -> None:
    changed = delete(numbered(), 30, drawn())
    own = changed >= 10
    deleted = LENGTH - own.sum(1)
    assert set(deleted) == set(range(31))
    np.testing.assert_allclose(np.bincount(deleted) / 4000, 1 / 31, atol=0.012)
    starts = []
    for row in range(600):
        (places,) = own[row].nonzero()
        assert places[0] == deleted[row] // 2
        assert (np.diff(places) == 1).all()
        values = changed[row][places]
        (cut,) = (np.diff(values) != 1).nonzero()
        if len(cut):  # neither empty nor at an end
            assert np.diff(values)[cut[0]] == deleted[row] + 1
            starts.append(cut[0] + 1)
    assert (min(starts), max(starts)) == (1, LENGTH - 30)
    random = np.bincount(changed[~own], minlength=4) / (~own).sum()
    np.testing.assert_allclose(random, 0.25, atol=0.01)


def test_an_insertion_adds_one_segment_of_random_dna_and_cuts_both_ends() -> None:
    changed = insert(numbered(), 20, drawn())
    own = changed >= 10
    inserted = LENGTH - own.sum(1)
    assert inserted.max() == 20
    for row in range(400):
        values = changed[row][own[row]].astype(int)
        assert (np.diff(values) == 1).all()  # the sequence's own bases stay in order, without a gap
        assert len(values) + inserted[row] == LENGTH
        (random,) = (~own[row]).nonzero()
        assert (np.diff(random) == 1).all()
    # inserted bases are as likely at every place of the middle
    share = (~own).mean(0)
    np.testing.assert_allclose(share[25:35], share[20:40].mean(), rtol=0.12)
    np.testing.assert_allclose(np.bincount(changed[~own], minlength=4) / (~own).sum(), 0.25, atol=0.01)


def test_a_translocation_is_a_roll_to_either_side() -> None:
    changed = translocate(numbered(), 20, drawn())
    rolled = (changed.argmin(1) + LENGTH // 2) % LENGTH - LENGTH // 2
    for row in range(200):
        np.testing.assert_array_equal(changed[row], np.roll(numbered()[row], rolled[row]))
    counts = {by: (rolled == by).mean() for by in range(-20, 21)}
    assert sum(counts.values()) == pytest.approx(1)
    assert counts.pop(0) == pytest.approx(1 / 21, abs=0.012)
    np.testing.assert_allclose(list(counts.values()), 1 / 42, atol=0.01)


def test_an_inversion_is_the_reverse_complement_of_a_segment_in_its_place() -> None:
    changed = invert(CODES, 20, drawn())
    for row in range(300):
        (places,) = (changed[row] != CODES[row]).nonzero()
        if len(places):
            # a palindrome at the ends of the segment leaves fewer changes, but they stay centred on it
            first, last = places[0], places[-1] + 1
            assert last - first <= 20
            np.testing.assert_array_equal(
                changed[row, first:last], reverse_complement(CODES[row : row + 1, first:last])[0]
            )
    assert (unlike(changed)[20:40].min(), unlike(changed).max()) == (
        pytest.approx(unlike(changed)[20:40].mean(), abs=0.04),
        pytest.approx(unlike(changed)[20:40].mean(), abs=0.04),
    )


def test_noise_is_gaussian_on_the_one_hot_and_leaves_the_codes() -> None:
    codes, noise = augment(CODES[:500], {"noise": 0.3}, drawn())
    np.testing.assert_array_equal(codes, CODES[:500])
    assert noise is not None
    assert (noise.dtype, noise.shape) == (np.float32, (500, LENGTH, 4))
    assert noise.mean() == pytest.approx(0, abs=0.003)
    assert noise.std() == pytest.approx(0.3, abs=0.003)
    assert np.mean(np.abs(noise) < 0.3) == pytest.approx(0.683, abs=0.01)


EVERY = TrainConfig(augment=("reverse-complement", *STRENGTHS)).strengths()


@pytest.mark.parametrize("name", STRENGTHS)
def test_no_augmentation_of_evoaug_makes_another_letter_or_length_or_changes_its_input(name: str) -> None:
    before = CODES.copy()
    changed, noise = augment(CODES, {name: EVERY[name]}, drawn())
    assert (changed.dtype, changed.shape) == (np.uint8, CODES.shape)
    assert changed.max() < UNKNOWN_BASE
    np.testing.assert_array_equal(CODES, before)
    assert (noise is not None) == (name == "noise")
    nothing, silence = augment(CODES, {name: 0}, drawn())
    np.testing.assert_array_equal(nothing, CODES)
    assert silence is None or not silence.any()


@pytest.mark.parametrize("length", [1, 7])
def test_strengths_may_exceed_a_short_sequence(length: int) -> None:
    changed, _ = augment(CODES[:, :length], EVERY, drawn())
    assert changed.shape == (4000, length)
    assert changed.max() < UNKNOWN_BASE


def test_a_number_of_augmentations_is_drawn_for_each_sequence_and_the_strand_is_not_counted() -> None:
    """Rolls, inserted and noisy sequences are told apart by what they leave."""
    strengths = {"translocation": 20, "mutation": 1.0, "noise": 0.3}
    codes = np.zeros_like(CODES)  # only mutation changes a sequence of A alone
    changed, noise = augment(codes, strengths, drawn(), per_sequence=2)
    assert noise is not None
    mutated, noisy = changed.any(1), noise.any((1, 2))
    assert (mutated | noisy).all()
    for share in (mutated, noisy):
        assert share.mean() == pytest.approx(2 / 3, abs=0.03)
    assert (mutated & noisy).mean() == pytest.approx(1 / 3, abs=0.03)
    one, noise = augment(codes, {**strengths, "reverse-complement": 1}, drawn(), per_sequence=1)
    flipped = (one == 3).all(1)  # T alone: the other strand of A alone, not mutated
    assert noise is not None
    assert (flipped & noise.any((1, 2))).mean() == pytest.approx(1 / 6, abs=0.03)
    several, noise = augment(codes, strengths, drawn(), per_sequence=9)
    assert several.any(1).all()
    assert noise is not None
    assert noise.any((1, 2)).all()


def test_the_same_seed_gives_the_same_draw_in_any_order_of_the_names() -> None:
    first = augment(CODES, EVERY, drawn(), 2)
    second = augment(CODES, dict(reversed(EVERY.items())), drawn(), 2)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (augment(CODES, EVERY, drawn(2), 2)[0] != first[0]).any()


def test_fine_tuning_keeps_the_strand_alone() -> None:
    settings = TrainConfig(augment=("reverse-complement", "mutation", "shift"), fine_tune_epochs=1)
    assert set(settings.strengths()) == {"reverse-complement", "mutation", "shift"}
    assert set(settings.strengths(fine_tuning=True)) == {"reverse-complement"}
