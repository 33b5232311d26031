"""Sequences drawn for distillation: what each kind keeps, what is held out, and that a draw can be repeated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from refusals import refuses

from zoo.dna.augment import mutate
from zoo.dna.encoding import encode, reverse_complement
from zoo.dna.shuffle import dinucleotide_shuffle
from zoo.formats import genome as genomes
from zoo.formats.genome import Genome
from zoo.training.distill import DistillConfig, DistillSource, _spliced

LENGTH = 40


def pairs(codes: np.ndarray) -> np.ndarray:
    """How often each of the 25 pairs of neighbours stands in each sequence, (N, 25)."""
    neighbours = codes[:, :-1].astype(int) * 5 + codes[:, 1:]
    return (neighbours[:, :, None] == np.arange(25)).sum(1)


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    generator = np.random.default_rng(0)
    first = "".join(generator.choice(list("ACGT"), 4000))
    second = "".join(generator.choice(list("acgt"), 3000))
    path.write_text(f">one\n{first}\n>two\n{second[:1000]}{'N' * 100}R{second[1000:]}\n")
    return genomes.read(path, LENGTH)


def label(codes: np.ndarray) -> np.ndarray:
    """A teacher: the shares of G and of A."""
    return np.stack([(codes == 2).mean(1), (codes == 0).mean(1)], 1).astype(np.float32)


def source(genome: Genome, **settings: float) -> DistillSource:
    return DistillSource(genome, label, "a test", ("dev", "hk"), DistillConfig(epoch_size=480, **settings))


def test_dinucleotide_shuffle_keeps_pairs_and_ends_and_changes_the_order() -> None:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 5, (300, 60)).astype(np.uint8)
    codes[:80] = np.minimum(codes[:80], 1)
    codes[80], codes[81, :-1], codes[81, -1] = 2, 0, 3
    shuffled = dinucleotide_shuffle(codes, generator)
    np.testing.assert_array_equal(pairs(shuffled), pairs(codes))
    np.testing.assert_array_equal(shuffled[:, [0, -1]], codes[:, [0, -1]])
    assert (shuffled[82:] != codes[82:]).any(1).all()


def test_dinucleotide_shuffle_draws_every_arrangement_equally() -> None:
    """ACAGAT... : the arrangements of the three loops through A are six, each as likely."""
    codes = np.tile(encode(["ACAGATA"]), (6000, 1))
    shuffled = dinucleotide_shuffle(codes, np.random.default_rng(1))
    _, counts = np.unique(shuffled, axis=0, return_counts=True)
    assert len(counts) == 6
    assert (np.abs(counts - 1000) < 5 * 1000**0.5).all()


def test_the_parts_of_a_genome_share_no_base(genome: Genome) -> None:
    regions = (genome.train, genome.validation, genome.test)
    covered = [{base for start in region.starts for base in range(start, start + LENGTH)} for region in regions]
    assert not covered[0] & covered[1]
    assert not covered[1] & covered[2]
    assert not covered[0] & covered[2]
    first, second = range(4000), range(4000, 7101)
    assert all((s in first) == (s + LENGTH - 1 in first) for s in genome.train.starts)
    assert genome.test.starts.max() == second[-1] - LENGTH + 1


def test_windows_are_of_both_strands_and_avoid_gaps(genome: Genome) -> None:
    windows = genome.windows(genome.train, 500, np.random.default_rng(0))
    text = genome.codes.tobytes()
    forward = np.array([window.tobytes() in text for window in windows])
    backward = np.array([reverse_complement(window).tobytes() in text for window in windows])
    assert (forward | backward).all()
    assert 200 < forward.sum() < 300
    assert ((windows == 4).mean(1) <= 0.1).all()


def test_a_genome_that_is_too_short_or_no_fasta_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.fa"
    path.write_text(">one\nACGTACGTACGT\n")
    with refuses(40, "train"):
        genomes.read(path, LENGTH)
    path.write_text("not a genome")
    with refuses("FASTA"):
        genomes.read(path, LENGTH)
    with refuses("absent.fa"):
        genomes.read(tmp_path / "absent.fa", LENGTH)


def test_an_epoch_is_fresh_labelled_by_the_teacher_and_can_be_drawn_again(genome: Genome) -> None:
    drawing, again = source(genome), source(genome)
    first, second = drawing.epoch(1), drawing.epoch(2)
    repeated = again.epoch(2)
    drawing.close()
    again.close()
    assert first.codes.shape == second.codes.shape == (480, LENGTH)
    np.testing.assert_array_equal(first.targets, label(first.codes))
    np.testing.assert_array_equal(second.codes, repeated.codes)
    seen = {sequence.tobytes() for sequence in first.codes}
    assert sum(sequence.tobytes() in seen for sequence in second.codes) < 0.1 * len(second)


@pytest.mark.parametrize("ahead", [False, True])
def test_passes_use_the_same_sequences_again(genome: Genome, ahead: bool) -> None:
    drawing = DistillSource(
        genome, label, "a test", ("dev", "hk"), DistillConfig(epoch_size=480, passes=2), ahead=ahead
    )
    first, second, third = (drawing.epoch(number).codes for number in (1, 2, 3))
    drawing.close()
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()
    fresh = source(genome)
    np.testing.assert_array_equal(third, fresh.epoch(2).codes)
    fresh.close()


def test_climbing_reaches_beyond_the_windows(genome: Genome) -> None:
    drawing = source(genome)
    climbed = drawing._climb(2400, np.random.default_rng(0))
    windows = label(drawing._windows(2400, np.random.default_rng(0)))
    drawing.close()
    assert len(climbed) == 2400
    np.testing.assert_array_equal(climbed.targets, label(climbed.codes))
    first, last = climbed.targets[:300].std(0), climbed.targets[-300:].std(0)
    assert (last > first).all()
    assert last.min() > windows.std(0).max()


def test_held_out_windows_do_not_overlap_training(genome: Genome) -> None:
    drawing = source(genome, climb=0.0)
    training = {window.tobytes() for window in drawing.epoch(1).codes}
    drawing.close()
    assert len(drawing.validation) == len(drawing.test) == 10_000
    assert not training & {window.tobytes() for window in drawing.validation.codes}


def test_shares_are_checked() -> None:
    with refuses("climb", 1, "got 2"):
        DistillConfig(climb=2)
    with refuses("passes", 1, "got 0"):
        DistillConfig(passes=0)
    with refuses("shuffle", "mutate", "splice", "climb", 1.3):
        DistillConfig(climb=0.5, mutate=0.6, shuffle=0.05)


def test_mutation_replaces_the_share_asked_for_and_leaves_unknown_bases() -> None:
    codes = np.random.default_rng(0).integers(0, 5, (400, 100)).astype(np.uint8)
    mutated = mutate(codes, 0.1, np.random.default_rng(1))
    assert ((mutated == 4) == (codes == 4)).all()
    assert (mutated != codes)[codes < 4].mean() == pytest.approx(0.1, abs=0.01)
    assert mutated.max() == 4


def test_splicing_joins_a_beginning_and_an_end() -> None:
    first, second = np.zeros((50, 20), np.uint8), np.ones((50, 20), np.uint8)
    spliced = _spliced(first, second, np.random.default_rng(0))
    assert (np.diff(spliced.astype(int), axis=1) >= 0).all()
    assert (spliced[:, 0] == 0).all()
    assert (spliced[:, -1] == 1).all()
