"""In silico mutagenesis: what each substitution of a single base does to each target.

Axes: N sequences, L positions, 4 bases in the order A, C, G, T, and T targets. Activities are log2 already, so that an
effect is a difference, never a ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from zoo.dna.encoding import reverse_complement
from zoo.options import check_kind
from zoo.prediction.model import Model


def ism(model: Model, sequences: Sequence[str] | np.ndarray) -> np.ndarray:
    """The activity with base b at position p, minus the activity of the sequence: float32 (N, L, 4, T).

    sequences: N texts, or base codes, uint8 (N, L). 0 where a sequence has the base already; at an N, all four are
    substitutions. Of a model that was loaded with rc="average", the effect on the mean of both strands.
    Raises ZooError as `model.predict` and `model.predict_codes` do.
    """
    check_kind("model", model, Model)
    return mutants(model, model.codes(sequences), model.rc)


def mutants(model: Model, codes: np.ndarray, rc: str | None) -> np.ndarray:
    """`ism` of base codes, uint8 (N, L). rc: "average" for the mean of both strands."""
    return on_strands(model.session.mutants, codes, rc)


def on_strands(compute: Callable[[np.ndarray], np.ndarray], codes: np.ndarray, rc: str | None) -> np.ndarray:
    """What `compute` gives of base codes (N, L): float32 (N, L, 4, ...); or its mean with what it gives of the other
    strand, read back along this one: position p is L-1-p there, and a base is its complement."""
    given = compute(codes)
    if rc is None:
        return given
    return (given + compute(reverse_complement(codes))[:, ::-1, ::-1]) * np.float32(0.5)


def centred(effects: np.ndarray) -> np.ndarray:
    """Effects of substitutions, float32 (N, L, 4, T) -> minus their mean over the four bases: what a base contributes
    against the average base of its position."""
    return effects - effects.mean(2, keepdims=True, dtype=np.float32)
