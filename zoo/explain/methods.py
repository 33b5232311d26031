"""Methods that score bases: DeepLIFT, in silico mutagenesis and the gradient. Each is a subclass of Method.

DeepLIFT uses the rescale rule (Shrikumar et al. 2017, arXiv:1704.02685) with dinucleotide shuffles as references, one
target at a time, as the paper of DeepSTARR does. The hypothetical contribution of base b at a position is the sum over
the four channels of (one-hot of b - reference) x multiplier, averaged over the references. The actual contribution is
that of the sequence's own base; it is 0 at an N.

In silico mutagenesis predicts every substitution. Activities are log2, so that an effect is a difference, not a ratio.

Axes: N sequences, R references, L positions, 4 bases in the order A, C, G, T, and T targets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from zoo.dna.encoding import ONE_HOT
from zoo.dna.shuffle import references as shuffles_of
from zoo.errors import ZooError
from zoo.explain.options import MOST_SHUFFLES, ExplainOptions
from zoo.formats.table_writer import Column
from zoo.options import Bounds, check_kind
from zoo.prediction.members import One, over_members
from zoo.prediction.model import Model
from zoo.spec import ALPHABET, UNKNOWN_BASE
from zoo.weights import spread

LARGEST_DELTA = 1e-3
"""Contributions with a larger convergence delta are refused; for predictions above 1, a larger share of the prediction.
Rounding in float32 gives about 1e-6."""

PAIRS_AT_ONCE = 1 << 11
"""Pairs of a sequence and a reference in one batch of DeepLIFT."""

SEQUENCES_AT_ONCE = 128
"""Sequences in one batch of the methods without references."""

EXTREMES = {"lowest": np.argmin, "highest": np.argmax}
"""Column of the table -> position of the substitution that it shows."""


class Contributions(NamedTuple):
    """DeepLIFT contributions to one target.

    hypothetical: contribution of each base at each position, float32 (N, L, 4).  actual: the same for the sequence's
    own bases, else 0.  delta: the convergence delta, float32 (N,): the sum of `actual` minus the difference between the
    prediction and its mean over the references. It is rounding, except for sequences with N, whose effect belongs to no
    base.
    """

    hypothetical: np.ndarray
    actual: np.ndarray
    delta: np.ndarray


def contributions(
    model: Model,
    sequences: Sequence[str] | np.ndarray,
    target: str | int,
    references: int | np.ndarray = ExplainOptions.shuffles,
    seed: int = ExplainOptions.seed,
    force: bool = False,
) -> Contributions:
    """Return the DeepLIFT contributions of the bases of N sequences to one target.

    sequences: N texts, or base codes, uint8 (N, L).  target: name, or number from 0.
    references: number of dinucleotide shuffles of each sequence, or base codes, uint8 (N, R, L).
    seed: seed of the shuffles, which depend only on it and on their own sequence.
    force: return contributions even if they do not add up to the prediction.
    A sequence without another shuffle, such as poly-A, gets zeros. For a model that was loaded with rc="average", the
    contributions are to the mean of both strands; the references are reversed with their sequence.
    Raises ZooError for an unknown target, for sequences or references of the wrong shape, if no runtime can compute
    contributions of the model, and for a convergence delta above LARGEST_DELTA of a sequence without N.
    """
    check_kind("model", model, Model)
    codes = model.codes(sequences)
    index = model.spec.target_index(target)
    if isinstance(references, np.ndarray):
        _check_references(references, codes)
        number = references.shape[1]
    else:
        check_kind("references", references, int)
        Bounds(1, MOST_SHUFFLES).check("references", references)
        ExplainOptions(seed=seed)
        number = references
    step = max(1, PAIRS_AT_ONCE // number)
    parts = []
    for start in range(0, len(codes), step):
        part = codes[start : start + step]
        given = references[start : start + step] if isinstance(references, np.ndarray) else None
        against = shuffles_of(part, number, seed) if given is None else given
        activities = model.predict_codes(part)
        found, means, _ = _deeplift(model, part, activities, against, [index])
        if not force:
            above = _above(part, activities, means, [index], found)
            _refuse_above(above, found, "zoo.explain.ism, or force=True to get them anyway")
        parts += found
    if not parts:
        empty = np.empty((0, codes.shape[1], 4), np.float32)
        return Contributions(empty, empty, np.empty(0, np.float32))
    return Contributions(*map(np.concatenate, zip(*parts, strict=True)))


def _check_references(references: np.ndarray, codes: np.ndarray) -> None:
    """Raise ZooError unless references are base codes, uint8 (N, R, L), R at least 1, for sequences uint8 (N, L)."""
    expected = f"references: expected base codes, uint8 ({len(codes)}, R, {codes.shape[1]})"
    if references.ndim != 3 or len(references) != len(codes) or not references.shape[1]:
        raise ZooError(f"{expected}, got {references.dtype} {references.shape}")
    if references.shape[2] != codes.shape[1]:
        raise ZooError(f"{expected} like the sequences, got references of {references.shape[2]} bases")
    if references.dtype != np.uint8 or references.max(initial=0) > UNKNOWN_BASE:
        raise ZooError(f"{expected} from 0 to {UNKNOWN_BASE}, got {references.dtype} up to {references.max(initial=0)}")


def _deeplift(
    model: Model, codes: np.ndarray, activities: np.ndarray, references: np.ndarray, targets: Sequence[int]
) -> tuple[list[Contributions], np.ndarray, Spreads]:
    """The contributions to each target, the mean predictions of the references, float64 (N, T), and the spreads of the
    hypothetical contributions.

    codes: uint8 (N, L).  activities: their predictions, float32 (N, T).  references: uint8 (N, R, L).
    """
    predicted = model.predict_codes(references.reshape(-1, references.shape[2]))
    means = predicted.reshape(*references.shape[:2], -1).mean(1, dtype=np.float64)
    difference = activities.astype(np.float64) - means
    not_shuffled = _not_shuffled(codes, references)[:, None, None]
    found, spreads = [], []
    for target in targets:
        hypothetical, sd = over_members(model.session, partial(_contributions, codes, references, target))
        spreads.append(None if sd is None else np.where(not_shuffled, np.float32(0), sd))
        hypothetical = np.where(not_shuffled, np.float32(0), hypothetical)
        actual = hypothetical * ONE_HOT[codes]
        delta = actual.sum((1, 2), dtype=np.float64) - difference[:, target]
        found.append(Contributions(hypothetical, actual, delta.astype(np.float32)))
    return found, means, spreads


def _contributions(codes: np.ndarray, references: np.ndarray, target: int, one: One) -> np.ndarray:
    return one.contributions(codes, references, target)


def _gradient(codes: np.ndarray, target: int, one: One) -> np.ndarray:
    return one.gradient(codes, target)


def _above(
    codes: np.ndarray,
    activities: np.ndarray,
    means: np.ndarray,
    targets: Sequence[int],
    found: Sequence[Contributions],
) -> np.ndarray:
    """Sequences without N whose contributions to a target do not add up to its prediction, bool (N,).

    activities: float32 (N, T).  means: mean predictions of the references, float64 (N, T).  found: for each of targets.
    """
    scale = np.maximum(np.abs(activities), np.abs(means)).clip(1)[:, list(targets)]
    deltas = np.abs(np.stack([one.delta for one in found], 1))
    return ~(codes == UNKNOWN_BASE).any(1) & ~(deltas <= LARGEST_DELTA * scale).all(1)


def _refuse_above(above: np.ndarray, found: Sequence[Contributions], advice: str) -> None:
    """Raise ZooError if contributions do not add up. above: bool (N,), of _above.  advice: what to use instead."""
    if above.any():
        largest = max(float(np.abs(one.delta[above]).max()) for one in found)
        raise ZooError(
            f"DeepLIFT contributions of this network do not add up to its prediction: the convergence delta is "
            f"{largest:.2g} (allowed {LARGEST_DELTA:g}), since its rule covers activations, poolings and products only "
            f"(docs/explain.md), or for a low precision; use {advice}"
        )


def _not_shuffled(codes: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Sequences that equal all their references, bool (N,); they have no contributions."""
    return (references == codes[:, None]).all((1, 2))


def ism(model: Model, sequences: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return the effects of all substitutions, float32 (N, L, 4, T): the activity with base b at position p, minus the
    activity of the sequence.

    sequences: N texts, or base codes, uint8 (N, L). The effect of the sequence's own base is 0; at an N, all four bases
    are substitutions. For a model that was loaded with rc="average", the effects are on the mean of both strands.
    Raises ZooError as `model.predict` and `model.predict_codes` do.
    """
    check_kind("model", model, Model)
    return model.session.mutants(model.codes(sequences))


def centred(effects: np.ndarray) -> np.ndarray:
    """Subtract from effects, float32 (N, L, 4, T), their mean over the four bases: the contribution of each base
    against the average base of its position."""
    return effects - effects.mean(2, keepdims=True, dtype=np.float32)


Spreads = Sequence[np.ndarray | None]
"""Standard deviations for each explained target, float32 (N, L, 4); None for a single network."""


class Scores(NamedTuple):
    """Results of a method for N sequences.

    hypothetical: for each explained target, float32 (N, L, 4).  spreads: their standard deviations over the members of
    an ensemble.  effects: those of substitutions on all targets, float32
    (N, L, 4, T), or None if the method does not compute them.  values, labels: columns of the table, float32 (N, C) and
    others.
    """

    hypothetical: list[np.ndarray]
    spreads: Spreads
    effects: np.ndarray | None
    values: np.ndarray
    labels: list[Column]


@dataclasses.dataclass
class Findings:
    """Counts of notable sequences.

    unknown: with an N, which gets no score.  without_shuffles: without another shuffle, such as poly-A; they are scored
    zero.  above: without N and with a convergence delta above LARGEST_DELTA.  largest: the largest such delta.
    """

    unknown: int = 0
    without_shuffles: int = 0
    above: int = 0
    largest: float = 0.0


class Method:
    """A way to score bases. The scores of a sequence do not depend on other sequences.

    way: the method of contracts.ShorterWays that it needs.  columns: float32 columns of the table.  labels: further
    columns, with their types.  at_once: sequences in a batch.
    """

    way = ""
    columns: Sequence[str] = ()
    labels: Mapping[str, type] = {"unknown": int}
    at_once = SEQUENCES_AT_ONCE

    def __init__(self, model: Model, targets: Sequence[int], options: ExplainOptions) -> None:
        self._model, self._targets, self._options = model, targets, options
        self._names = [model.spec.targets[target] for target in targets]
        self.findings = Findings()

    def score(self, codes: np.ndarray, activities: np.ndarray) -> Scores:
        """Score base codes, uint8 (N, L), whose predictions are `activities`, float32 (N, T)."""
        raise NotImplementedError

    def _count_unknown(self, codes: np.ndarray) -> list[int]:
        """The number of N in each sequence; also counted in the findings."""
        unknown = (codes == UNKNOWN_BASE).sum(1)
        self.findings.unknown += int((unknown > 0).sum())
        return unknown.tolist()


class DeepLift(Method):
    """DeepLIFT against dinucleotide shuffles."""

    way = "contributions"

    def __init__(self, model: Model, targets: Sequence[int], options: ExplainOptions) -> None:
        super().__init__(model, targets, options)
        self.columns = [f"{name}_{column}" for name in self._names for column in ("shuffled", "delta")]
        self.labels = {"shuffles": int, "unknown": int}
        self.at_once = max(1, PAIRS_AT_ONCE // options.shuffles)

    def score(self, codes: np.ndarray, activities: np.ndarray) -> Scores:
        references = shuffles_of(codes, self._options.shuffles, self._options.seed)
        found, means, spreads = _deeplift(self._model, codes, activities, references, self._targets)
        deltas = np.stack([one.delta for one in found], 1)
        values = np.stack([means[:, list(self._targets)].astype(np.float32), deltas], 2).reshape(len(codes), -1)
        not_shuffled, unknown = _not_shuffled(codes, references), self._count_unknown(codes)
        above = _above(codes, activities, means, self._targets, found)
        if not self._options.force:
            _refuse_above(above, found, "--method ism, or --force to write them anyway")
        self.findings.without_shuffles += int(not_shuffled.sum())
        self.findings.above += int(above.sum())
        self.findings.largest = max(self.findings.largest, float(np.abs(deltas[above]).max(initial=0)))
        shuffles = np.where(not_shuffled, 0, self._options.shuffles)
        return Scores([one.hypothetical for one in found], spreads, None, values, [shuffles.tolist(), unknown])


class Mutagenesis(Method):
    """In silico mutagenesis. Contributions are effects minus the mean over the four bases."""

    way = "mutants"

    def __init__(self, model: Model, targets: Sequence[int], options: ExplainOptions) -> None:
        super().__init__(model, targets, options)
        self.columns = [f"{name}_{extreme}" for name in self._names for extreme in EXTREMES]
        self.labels = {f"{column}_mutation": str for column in self.columns} | {"unknown": int}

    def score(self, codes: np.ndarray, activities: np.ndarray) -> Scores:  # noqa: ARG002
        each = spread.by_member(self._model.each.mutants(codes), self._model.spec)
        of_members = np.stack([centred(one)[..., list(self._targets)] for one in each])
        is_ensemble = len(each) > 1
        effects = spread.mean_and_sd(each)[0] if is_ensemble else each[0]
        means_removed, sd = spread.mean_and_sd(of_members) if is_ensemble else (of_members[0], None)
        values, mutations = [], []
        for target in self._targets:
            flat = effects[..., target].reshape(len(codes), -1)
            for extreme in EXTREMES.values():
                place = extreme(flat, 1)
                values.append(np.take_along_axis(flat, place[:, None], 1)[:, 0])
                mutations.append([mutation(row, int(at)) for row, at in zip(codes, place, strict=True)])
        places = range(len(self._targets))
        hypothetical = [np.ascontiguousarray(means_removed[..., place]) for place in places]
        spreads = [None if sd is None else np.ascontiguousarray(sd[..., place]) for place in places]
        return Scores(hypothetical, spreads, effects, np.stack(values, 1), [*mutations, self._count_unknown(codes)])


class Gradient(Method):
    """The gradient of an output with respect to the one-hot bases."""

    way = "gradient"

    def score(self, codes: np.ndarray, activities: np.ndarray) -> Scores:  # noqa: ARG002
        found = [over_members(self._model.session, partial(_gradient, codes, target)) for target in self._targets]
        gradients, spreads = zip(*found, strict=True)
        unknown = self._count_unknown(codes)
        return Scores(list(gradients), spreads, None, np.empty((len(codes), 0), np.float32), [unknown])


METHODS = {"deeplift": DeepLift, "ism": Mutagenesis, "gradient": Gradient}
"""Value of --method -> class."""


def mutation(codes: np.ndarray, place: int) -> str:
    """Name a substitution such as T131G, its position counted from 1. codes: uint8 (L,).  place: flat index in effects
    (L, 4)."""
    position, base = divmod(place, len(ALPHABET))
    return f"{(ALPHABET + 'N')[codes[position]]}{position + 1}{ALPHABET[base]}"
