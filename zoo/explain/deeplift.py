"""DeepLIFT contributions of bases against dinucleotide shuffles, as the paper of the published weights has them.

The rescale rule (Shrikumar et al. 2017, arXiv:1704.02685), one target at a time. The hypothetical score of base b at a
position is the sum over the four channels of (one-hot of b - reference) x multiplier, averaged over the references; the
actual score is that of the base which is there, and a row of zeros at an N.
Axes: N sequences, R references, L positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from zoo.dna.encoding import ONE_HOT
from zoo.dna.shuffle import references as shuffles_of
from zoo.errors import ZooError, did_you_mean
from zoo.explain.options import MOST_SHUFFLES, ExplainOptions
from zoo.options import Bounds, check_kind
from zoo.prediction.model import Model
from zoo.spec import UNKNOWN_BASE

AT_ONCE = 1 << 11
"""Pairs of a sequence and a reference that are worked on together."""


class Contributions(NamedTuple):
    """hypothetical: float32 (N, L, 4), of each base at each position.  actual: the same where the base is the
    sequence's, else 0.  delta: float32 (N,), the sum of `actual` minus the difference between the output and its mean
    over the references; rounding alone, but for a sequence with N, whose share of the difference no base gets."""

    hypothetical: np.ndarray
    actual: np.ndarray
    delta: np.ndarray


def contributions(
    model: Model,
    sequences: Sequence[str] | np.ndarray,
    target: str | int,
    references: int | np.ndarray = ExplainOptions.shuffles,
    seed: int = ExplainOptions.seed,
) -> Contributions:
    """DeepLIFT contributions of the bases of N sequences to one target.

    sequences: N texts, or base codes, uint8 (N, L).  target: name or number.
    references: how many dinucleotide shuffles each sequence is compared with, or base codes, uint8 (N, R, L).
    seed: the shuffles follow from it and the bases of their sequence, so that the order of sequences does not matter.
    A sequence that has no shuffle but itself, such as poly-A, gets zeros. Of a model that was loaded with rc="average",
    the contributions to the mean of both strands; the references are turned with the sequence.
    Raises ZooError for a target that the model lacks, or sequences or references of another shape than it takes.
    """
    check_kind("model", model, Model)
    codes = model.codes(sequences)
    index = target_index(model.spec.targets, target)
    if isinstance(references, np.ndarray):
        check_references(references, codes)
    else:
        check_kind("references", references, int)
        Bounds(1, MOST_SHUFFLES).check("references", references)
        ExplainOptions(seed=seed)
    number = references.shape[1] if isinstance(references, np.ndarray) else references
    step = max(1, AT_ONCE // number)
    parts = []
    for start in range(0, len(codes), step):
        part = codes[start : start + step]
        given = references[start : start + step] if isinstance(references, np.ndarray) else None
        against = shuffles_of(part, number, seed) if given is None else given
        difference = model.predict_codes(part).astype(np.float64) - mean_of_references(model, against)
        parts.append(of_references(model, part, against, index, difference[:, index]))
    if not parts:
        empty = np.empty((0, codes.shape[1], 4), np.float32)
        return Contributions(empty, empty, np.empty(0, np.float32))
    return Contributions(*map(np.concatenate, zip(*parts, strict=True)))


def of_references(
    model: Model, codes: np.ndarray, references: np.ndarray, target: int, difference: np.ndarray
) -> Contributions:
    """Contributions to target number `target`, see `contributions`. difference: of that target, to its
    mean over the references, float64 (N,)."""
    hypothetical = model.session.contributions(codes, references, target)
    hypothetical = np.where(same_as_references(codes, references)[:, None, None], np.float32(0), hypothetical)
    actual = hypothetical * ONE_HOT[codes]
    delta = actual.sum((1, 2), dtype=np.float64) - difference
    return Contributions(hypothetical, actual, delta.astype(np.float32))


def mean_of_references(model: Model, references: np.ndarray) -> np.ndarray:
    """Base codes, uint8 (N, R, L) -> the mean of their activities, float64 (N, T)."""
    activities = model.predict_codes(references.reshape(-1, references.shape[2]))
    return activities.reshape(*references.shape[:2], -1).mean(1, dtype=np.float64)


def same_as_references(codes: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Which sequences no reference differs from, bool (N,): nothing can be said of them."""
    return (references == codes[:, None]).all((1, 2))


def target_index(targets: Sequence[str], target: str | int) -> int:
    """The number of a target, from 0. Raises ZooError, which lists those that there are."""
    if isinstance(target, str) and target in targets:
        return targets.index(target)
    check_kind("target", target, str | int)
    if not isinstance(target, str) and 0 <= target < len(targets):
        return int(target)
    hint = did_you_mean(target, list(targets)) if isinstance(target, str) else ""
    raise ZooError(f"targets: these weights predict {', '.join(targets)}, got {target!r}{hint}")


def target_indices(targets: Sequence[str], chosen: Sequence[str]) -> list[int]:
    """The numbers of chosen targets, or of all. Raises ZooError for one that there is not, or is named twice."""
    for target in chosen:
        if list(chosen).count(target) > 1:
            raise ZooError(f"targets: {target} is named twice")
    return [target_index(targets, target) for target in chosen or targets]


def check_references(references: np.ndarray, codes: np.ndarray) -> None:
    """Raise ZooError unless references are base codes, uint8 (N, R, L), R at least 1, for sequences uint8 (N, L)."""
    expected = f"references: expected base codes, uint8 ({len(codes)}, R, {codes.shape[1]})"
    if references.ndim != 3 or len(references) != len(codes) or not references.shape[1]:
        raise ZooError(f"{expected}, got {references.dtype} {references.shape}")
    if references.shape[2] != codes.shape[1]:
        raise ZooError(f"{expected} as the sequences are, got references of {references.shape[2]} bases")
    if references.dtype != np.uint8 or references.max(initial=0) > UNKNOWN_BASE:
        raise ZooError(f"{expected} from 0 to {UNKNOWN_BASE}, got {references.dtype} up to {references.max(initial=0)}")
