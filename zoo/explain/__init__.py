"""Contributions of bases to predictions, and effects of substitutions.

import zoo
zoo.explain.ism(model, sequences)                   # every substitution -> float32 (N, L, 4, T)
zoo.explain.contributions(model, sequences, "dev")  # DeepLIFT -> hypothetical, actual, delta
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.system import lazy

if TYPE_CHECKING:
    from zoo.explain.methods import Contributions, centred, contributions, ism

__all__ = ["Contributions", "centred", "contributions", "ism"]

__getattr__, __dir__ = lazy.names(__name__, dict.fromkeys(__all__, "zoo.explain.methods"))
