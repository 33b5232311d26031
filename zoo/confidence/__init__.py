"""How unusual a prediction is: backgrounds of random sequences and random variants.

import zoo
zoo.confidence.background("bg.npz", model, genome="dm6.fa", windows=100_000)   # writes a file
zoo.predict(sequences, model, background="bg.npz")   # with a column such as dev_percentile
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.system import lazy

if TYPE_CHECKING:
    from zoo.confidence.make import background

__all__ = ["background"]

__getattr__, __dir__ = lazy.names(__name__, dict.fromkeys(__all__, "zoo.confidence.make"))
