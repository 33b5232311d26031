"""Experiments on a network: motifs put into backgrounds, knocked out, moved and combined.

import zoo
zoo.experiments.marginalize(model, "GATA")         # what a motif adds -> a table, effects in each background
zoo.experiments.ablate(model, sequences, "GATA")   # what its sites are needed for
zoo.experiments.flanks(model, sequences, "GATA")   # what they owe to the bases around them
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.system import lazy

if TYPE_CHECKING:
    from zoo.experiments.ablation import ablate
    from zoo.experiments.flank_swaps import flanks
    from zoo.experiments.marginalization import marginalize
    from zoo.experiments.measure import Found

__all__ = ["Found", "ablate", "flanks", "marginalize"]

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "Found": "zoo.experiments.measure",
        "ablate": "zoo.experiments.ablation",
        "flanks": "zoo.experiments.flank_swaps",
        "marginalize": "zoo.experiments.marginalization",
    },
)
