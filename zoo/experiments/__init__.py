"""Experiments on a network: motifs put into backgrounds, knocked out, moved and combined.

import zoo
zoo.experiments.marginalize(model, "GATA")   # what a motif adds -> a table with intervals, effects in each background
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.system import lazy

if TYPE_CHECKING:
    from zoo.experiments.marginalization import marginalize
    from zoo.experiments.measure import Found

__all__ = ["Found", "marginalize"]

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "Found": "zoo.experiments.measure",
        "marginalize": "zoo.experiments.marginalization",
    },
)
