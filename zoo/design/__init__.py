"""Design of sequences for a predicted activity, by directed evolution.

import zoo
zoo.design.evolve(model, "dev", number=10)  # -> designs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.system import lazy

if TYPE_CHECKING:
    from zoo.design.design import Design, evolve

__all__ = ["Design", "evolve"]

__getattr__, __dir__ = lazy.names(__name__, dict.fromkeys(__all__, "zoo.design.design"))
