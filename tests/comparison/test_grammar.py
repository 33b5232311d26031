"""The simulated grammar: counts of motifs are the same with and without it, so that only order and spacing tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import grammar
from zoo.data import dataset
from zoo.dna.encoding import ONE_HOT
from zoo.models.motif_counts import Config, scoring


def test_counts_of_motifs_do_not_tell_whether_a_pair_is_in_order() -> None:
    codes, activities, pairs = grammar.draw(400)
    planted = {name for names in grammar.PAIRS.values() for name in names}
    config = Config(motifs=tuple(motif for motif in Config().motifs if motif.name in planted))
    hits = scoring.hits(config.motifs, ONE_HOT[codes])
    for target, (first, second, third) in enumerate(grammar.PAIRS.values()):
        assert 0.8 < np.corrcoef(pairs[:, target], activities[:, target])[0, 1] < 0.9
        for motif in (first, second):
            column = hits[:, config.names.index(motif)]
            assert column.min() >= grammar.COPIES
            assert abs(np.corrcoef(column, pairs[:, target])[0, 1]) < 0.15
        counted = np.corrcoef(hits[:, config.names.index(third)], activities[:, target])[0, 1]
        assert 0.2 < counted < 0.55


def test_the_table_is_divided_and_read(tmp_path: Path) -> None:
    grammar.write(tmp_path / "grammar.tsv", 50)
    found = dataset.read(tmp_path / "grammar.tsv", tuple(grammar.PAIRS), length=None)
    assert {side: len(split) for side, split in found.splits.items()} == {"train": 35, "validation": 5, "test": 10}
    assert found.sequence_length == grammar.LENGTH
