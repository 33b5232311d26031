"""Experiments on a network: motifs put into backgrounds, knocked out, moved and combined.

import zoo
zoo.experiments.marginalize(model, "GATA")         # what a motif adds -> a table, effects in each background
zoo.experiments.ablate(model, sequences, "GATA")   # what its sites are needed for
zoo.experiments.flanks(model, sequences, "GATA")   # what they owe to the bases around them
zoo.experiments.spacing(model, ["GATA", "AP-1"])   # do two motifs interact, at which distance?
zoo.experiments.pairs(model, ["GATA", "twist"])    # which motifs of a set do?
zoo.experiments.dependency(model, sequences)       # how mutations change what other bases do -> maps
zoo.experiments.hits("explained")                  # instances of motifs in contributions -> a table
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.system import lazy

if TYPE_CHECKING:
    from zoo.experiments.ablation import ablate
    from zoo.experiments.dependencies import dependency
    from zoo.experiments.flank_swaps import flanks
    from zoo.experiments.marginalization import marginalize
    from zoo.experiments.measure import Found
    from zoo.experiments.motif_hits import hits
    from zoo.experiments.motif_pairs import pairs
    from zoo.experiments.motif_spacing import spacing

__all__ = ["Found", "ablate", "dependency", "flanks", "hits", "marginalize", "pairs", "spacing"]

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "Found": "zoo.experiments.measure",
        "ablate": "zoo.experiments.ablation",
        "dependency": "zoo.experiments.dependencies",
        "flanks": "zoo.experiments.flank_swaps",
        "hits": "zoo.experiments.motif_hits",
        "marginalize": "zoo.experiments.marginalization",
        "pairs": "zoo.experiments.motif_pairs",
        "spacing": "zoo.experiments.motif_spacing",
    },
)
