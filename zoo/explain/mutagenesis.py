"""In silico mutagenesis: what each substitution of a single base does to each target.

Axes: N sequences, L positions, 4 bases in the order A, C, G, T, and T targets. Activities are log2 already, so that an
effect is a difference, never a ratio.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.options import check_kind
from zoo.prediction.model import Model


def ism(model: Model, sequences: Sequence[str] | np.ndarray) -> np.ndarray:
    """The activity with base b at position p, minus the activity of the sequence: float32 (N, L, 4, T).

    sequences: N texts, or base codes, uint8 (N, L). 0 where a sequence has the base already; at an N, all four are
    substitutions. Of a model that was loaded with rc="average", the effect on the mean of both strands.
    Raises ZooError as `model.predict` and `model.predict_codes` do.
    """
    check_kind("model", model, Model)
    return model.session.mutants(model.codes(sequences))


def centred(effects: np.ndarray) -> np.ndarray:
    """Effects of substitutions, float32 (N, L, 4, T) -> minus their mean over the four bases: what a base contributes
    against the average base of its position."""
    return effects - effects.mean(2, keepdims=True, dtype=np.float32)
