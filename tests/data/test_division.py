"""Which side a sequence is on: the same on every machine, and no strand of it leaks to another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from labelled_files import LENGTH, check_refused, dna, other_strand, read, table, write_published

from zoo.data import splits
from zoo.data.dataset import Layout
from zoo.dna.encoding import encode, reverse_complement


class TestDivision:
    def test_both_strands_share_a_key_and_other_sequences_do_not(self) -> None:
        codes = encode([*dna(500), "N" * LENGTH])
        keys = splits.keys(codes)
        np.testing.assert_array_equal(keys, splits.keys(reverse_complement(codes)))
        assert len(np.unique(keys)) == len(codes)
        one_base_off = codes.copy()
        one_base_off[:, LENGTH // 2] = (one_base_off[:, LENGTH // 2] + 1) % 4
        assert not np.isin(splits.keys(one_base_off), keys).any()

    def test_the_fraction_division_is_the_same_on_every_machine(self) -> None:
        """Goldens: a change of these numbers would reshuffle the splits of every user."""
        keys = splits.keys(encode(["ACGTTGCA", "AAAAAAAA", "CCGATNAC"]))
        assert keys.tolist() == [1709432564936412973, 0, 11537327777186628274]
        keys = splits.keys(encode([base * 8 + other * 8 for base in "ACGT" for other in "ACGTN"]))
        assert "".join(map(str, splits.by_fraction(keys, 0.25, 0.25, seed=1))) == "12002211001012201212"

    def test_fractions_hold_out_their_share_and_keep_strands_together(self, tmp_path: Path) -> None:
        sequences = dna(2000)
        path = table(tmp_path / "x.tsv", sequences + [other_strand(sequence) for sequence in sequences])
        data = read(path, layout=Layout(split_by="fraction", validation_fraction=0.2, test_fraction=0.1))
        assert 0.17 < len(data.validation) / 4000 < 0.23
        assert 0.08 < len(data.test) / 4000 < 0.12
        assert data.notes == ()

    def test_a_sequence_stays_on_its_side_when_others_come_and_another_seed_moves_it(self) -> None:
        few, many = splits.keys(encode(dna(50))), splits.keys(encode([*dna(70, seed=1), *dna(50)]))
        sides = splits.by_fraction(few, 0.3, 0.3, seed=0)
        np.testing.assert_array_equal(splits.by_fraction(many, 0.3, 0.3, seed=0)[70:], sides)
        assert (splits.by_fraction(few, 0.3, 0.3, seed=1) != sides).any()

    def test_a_test_fraction_of_nothing_leaves_no_test_split(self, tmp_path: Path) -> None:
        path = table(tmp_path / "x.tsv", dna(50))
        assert read(path, layout=Layout(split_by="fraction", validation_fraction=0.5, test_fraction=0)).test is None

    @pytest.mark.parametrize("column", ["chromosome", "name"])
    def test_chromosomes_are_held_out_whole(self, tmp_path: Path, column: str) -> None:
        chromosomes = ["chrX", "chr2L", "chr2R", "chr2L", "chrUn_random"]
        values = (
            chromosomes if column == "chromosome" else [f"{name}_{n}_{n + 39}_+" for n, name in enumerate(chromosomes)]
        )
        sequences = dna(5)
        layout = Layout(split_by="chromosome", validation_chromosomes=("chr2L",), test_chromosomes=("chrUn_random",))
        data = read(table(tmp_path / "x.tsv", sequences, **{column: values}), layout=layout)
        np.testing.assert_array_equal(data.validation.codes, encode([sequences[1], sequences[3]]))
        np.testing.assert_array_equal(data.test.codes, encode(sequences[4:]))

    @pytest.mark.parametrize(
        ("name", "chromosome"),
        [
            ("chr2L_5750_5998_+_positive_peaks", "chr2L"),
            ("chr2L:5750-5998", "chr2L"),
            ("chr2L:5750-5998(+)", "chr2L"),
            ("chrX_10251416_10251664_+_peak_849bp_region", "chrX"),
            ("chr2L_5750_5998_+_peak_12_34", "chr2L"),
            ("2L_5750_5998_+_peak_12_34", "2L"),
            ("chr2L_5750_5998_9999", "chr2L"),
            ("2L_5750_5998_17", "2L"),
            ("chrUn_random_4_43_+", "chrUn_random"),
            ("scaffold_12_100_349_+", "scaffold_12"),
            ("scaffold_12_100_349", "scaffold_12"),
            ("scaffold_12:100-349", "scaffold_12"),
            ("scaffold_1_2_100_349_-", "scaffold_1_2"),
            ("chr2L_5998_5750_-", "chr2L"),
            ("peak_12", None),
            ("_12_34", None),
        ],
    )
    def test_the_chromosome_of_a_name(self, name: str, chromosome: str | None) -> None:
        assert splits.chromosome(name) == chromosome

    def test_a_sequence_on_several_chromosomes_goes_to_the_held_out_side(self, tmp_path: Path) -> None:
        first, second, third = dna(3)
        path = table(
            tmp_path / "x.tsv",
            [first, second, other_strand(first), third, second],
            chromosome=["chrX", "chrX", "chr2L", "chrX", "chr2R"],
        )
        layout = Layout(split_by="chromosome", validation_chromosomes=("chr2L",), test_chromosomes=("chr2R",))
        data = read(path, layout=layout)
        assert [len(split) for split in data.splits.values()] == [1, 2, 2]
        (note,) = data.notes
        assert note.startswith("2 sequences")


class TestLeakage:
    def test_a_copy_on_either_strand_is_refused_with_the_counts(self, folder: Path) -> None:
        train = dna(6)
        write_published(folder, "Val", [train[2], *dna(3, seed=1)])
        write_published(folder, "Test", [*dna(2, seed=2), other_strand(train[0]), train[1]])
        line = "1 of validation in train too, 2 of test in train too (chr2L_0_39_+_class)"
        check_refused(folder, line, "--allow-leakage")
        (note,) = read(folder, allow_leakage=True).notes
        assert str(folder) in note
        assert line in note

    def test_copies_within_one_split_are_fine(self, folder: Path) -> None:
        write_published(folder, "Train", dna(4) + dna(4))
        assert read(folder).notes == ()
