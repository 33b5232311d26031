"""Folds: balanced groups of chromosomes or of single sequences, each held out once, with all copies of a sequence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled_files import LENGTH, TARGETS, dna, other_strand, read, read_split, table, write_published
from refusals import refuses

from zoo.data import splits
from zoo.data.dataset import DividedFile, Layout, read_folds
from zoo.dna.encoding import encode

SIZES = {"chr2L": 9, "chr2R": 8, "chr3L": 7, "chr3R": 12, "chr4": 1, "chrX": 6, "chrY": 2}


def chromosomes() -> list[str]:
    return [name for name, size in SIZES.items() for _ in range(size)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return table(tmp_path / "data.tsv", dna(sum(SIZES.values())), chromosome=chromosomes())


def divided(path: Path, *folds: str, **layout: Any) -> DividedFile:
    return read_folds(path, TARGETS, length=LENGTH, layout=Layout(folds=folds, **layout))


class TestGroups:
    def test_a_number_makes_groups_of_about_as_many_rows(self) -> None:
        groups = splits.groups(chromosomes(), ("4",))
        assert groups == [("chr3R",), ("chr2L", "chr4"), ("chr2R", "chrY"), ("chr3L", "chrX")]
        assert splits.groups(list(reversed(chromosomes())), ("4",)) == groups

    def test_every_chromosome_is_in_one_fold(self) -> None:
        for number in range(3, 8):
            groups = splits.groups(chromosomes(), (str(number),))
            assert len(groups) == number
            assert sorted(name for group in groups for name in group) == sorted(SIZES)

    def test_a_list_names_the_chromosomes_of_each_fold(self) -> None:
        given = ("chr2L+chr4", "chr2R+chrX", "chr3L+chrY", "chr3R")
        assert splits.groups(chromosomes(), given) == [tuple(text.split("+")) for text in given]

    @pytest.mark.parametrize(
        ("folds", "facts"),
        [
            (("8",), ["8 folds", "chr3R (12)", "--split-by fraction"]),
            (("chr2L+chr2R", "chr3L+chr3R", "chrX+chrY"), ["'chr4'", "no fold"]),
            (("chr2L+chr2R+chr4", "chr3L+chr3R+chr4", "chrX+chrY"), ["'chr4'", "two folds"]),
            (("chr2L+chr2R+chr4", "chr3L+chr3R", "chrX+chrY", "chr5"), ["'chr5'", "no row", "chr2L (9)"]),
        ],
    )
    def test_folds_that_do_not_fit_the_chromosomes_are_refused(self, folds: tuple[str, ...], facts: list[str]) -> None:
        with refuses(*facts):
            splits.groups(chromosomes(), folds)

    def test_folds_of_sequences_depend_on_the_sequence_and_the_seed_alone(self) -> None:
        keys = splits.keys(encode(dna(3000)))
        folds = splits.folds_of_keys(keys, 10, 0)
        np.testing.assert_allclose(np.bincount(folds, minlength=10) / 3000, 0.1, atol=0.02)
        np.testing.assert_array_equal(splits.folds_of_keys(keys[::-1], 10, 0), folds[::-1])
        assert (splits.folds_of_keys(keys, 10, 1) != folds).mean() > 0.8
        # fold 0 of ten is the test split of a tenth
        np.testing.assert_array_equal(folds == 0, splits.by_fraction(keys, 0.1, 0.1, 0) == splits.SIDES.index("test"))


class TestMembers:
    def test_each_member_tests_its_fold_and_validates_on_the_next(self, data: Path) -> None:
        found = divided(data, "4")
        assert len(found.folds) == 4
        sequences = {name: [] for name in SIZES}
        for name, codes in zip(chromosomes(), found.whole.codes, strict=True):
            sequences[name].append(codes.tobytes())
        for fold in range(4):
            member = found.holding_out(fold)
            test, validation = found.folds.chromosomes[fold], found.folds.chromosomes[(fold + 1) % 4]
            for split, names in ((member.test, test), (member.validation, validation)):
                assert split is not None
                assert sorted(map(bytes, split.codes)) == sorted(one for name in names for one in sequences[name])
            assert len(member.train) == len(found.whole) - len(member.validation) - len(member.test or ())
            assert member.card.held_out == test

    def test_every_row_is_in_one_fold_and_copies_of_a_held_out_sequence_are_not_trained_on(
        self, tmp_path: Path
    ) -> None:
        """One sequence lies on three chromosomes, once as its reverse complement."""
        shared, *others = dna(7)
        sequences = [shared, others[0], others[1], other_strand(shared), others[2], shared, others[3], others[4]]
        names = ["chr2L", "chr2R", "chr3L", "chr3R", "chr2R", "chr3L", "chr3R", "chr2L"]
        found = divided(table(tmp_path / "x.tsv", sequences, chromosome=names), "chr2L", "chr2R", "chr3L", "chr3R")
        assert found.folds.of_rows.tolist() == [0, 1, 2, 3, 1, 2, 3, 0]
        (key,) = set(splits.keys(encode([shared])).tolist())
        for fold in (0, 2, 3):
            member = found.holding_out(fold)
            assert key not in splits.keys(member.train.codes)
            assert key not in splits.keys(member.validation.codes)
            assert member.test is not None
            assert (splits.keys(member.test.codes) == key).sum() == 3
            assert [note for note in member.notes if "several chromosomes" in note]

    def test_data_without_chromosomes_have_folds_of_sequences_with_both_strands_together(self, tmp_path: Path) -> None:
        sequences = dna(60)
        path = table(tmp_path / "x.tsv", [*sequences, *map(other_strand, sequences)])
        found = divided(path, "5")
        np.testing.assert_array_equal(found.folds.of_rows[:60], found.folds.of_rows[60:])
        assert found.folds.chromosomes == ((),) * 5
        assert found.holding_out(0).card.held_out == ()
        assert [note for note in found.folds.notes if "overlap" in note]
        with refuses(path, "no chromosomes", "a,b,c"):
            divided(path, "a", "b", "c")
        with refuses(path, "'chromosome'", "'name'"):
            divided(path, "5", split_by="chromosome")

    def test_names_have_chromosomes_all_or_none(self, tmp_path: Path) -> None:
        names = [f"{name}_{row}_{row + 40}_+" for row, name in enumerate(chromosomes())]
        path = table(tmp_path / "x.tsv", dna(len(names)), name=names)
        assert divided(path, "4").folds.chromosomes[0] == ("chr3R",)
        names[3] = "spike-in"
        with refuses("row 4", "'spike-in'"):
            divided(table(tmp_path / "x.tsv", dna(len(names)), name=names), "4")
        assert divided(tmp_path / "x.tsv", "4", split_by="fraction").folds.chromosomes == ((),) * 4

    def test_one_fold_is_read_like_any_other_division(self, data: Path) -> None:
        member = divided(data, "4").holding_out(2)
        alone = read(data, layout=Layout(folds=("4",), fold=2))
        assert alone.sha256 == member.sha256
        assert alone.card == member.card
        test = read_split(data, layout=Layout(folds=("4",), fold=2))
        assert member.test is not None
        np.testing.assert_array_equal(test.codes, member.test.codes)

    def test_what_is_not_said_or_said_twice_is_one_line(self, data: Path, tmp_path: Path) -> None:
        with refuses("--folds 4", "--fold"):
            read(data, layout=Layout(folds=("4",)))
        with refuses("--folds", "3", "got 2"):
            divided(data, "2")
        with refuses("--folds", "'ten'"):
            divided(data, "ten")
        with refuses("--fold", "0 to 3", "got 4"):
            read(data, layout=Layout(folds=("4",), fold=4))
        with refuses("--fold", "--folds"):
            read(data, layout=Layout(fold=1))
        with refuses("--test-chromosomes", "--folds"):
            divided(data, "4", split_by="chromosome", test_chromosomes=("chr4",))
        folder = tmp_path / "published"
        folder.mkdir()
        write_published(folder, "Train", dna(4))
        with refuses(folder, "--folds"):
            divided(folder, "3")
