"""How bases are scored: a class a method, all with the same face. What is computed of a sequence depends on no other.

Each gives hypothetical contributions of every base at every position, from which those of the bases that are there
follow, and a few columns of a table. Axes: N sequences, L positions, T targets, of which K are explained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from zoo.dna.shuffle import references as shuffles_of
from zoo.explain import deeplift, mutagenesis
from zoo.explain.options import ExplainOptions
from zoo.formats.table_writer import Column
from zoo.prediction.model import Model
from zoo.spec import ALPHABET, UNKNOWN_BASE

DELTA = 1e-3
"""A convergence delta above it is told: rounding leaves less."""

SEQUENCES_AT_ONCE = 128
"""Where each is not compared with references."""


class Scores(NamedTuple):
    """hypothetical: of each target that is explained, float32 (N, L, 4).  effects: of substitutions on all targets,
    float32 (N, L, 4, T), where they are the method.  values, after: columns of a table, float32 (N, C) and others."""

    hypothetical: list[np.ndarray]
    effects: np.ndarray | None
    values: np.ndarray
    after: list[Column]


@dataclasses.dataclass
class Findings:
    """What is worth telling of the sequences so far.

    unknown: those with an N, which gets no score.  without_shuffles: those that have no shuffle but themselves, such as
    poly-A; they are scored zero.  above: those without N whose convergence delta exceeds DELTA.
    largest: that delta.
    """

    unknown: int = 0
    without_shuffles: int = 0
    above: int = 0
    largest: float = 0.0


class Method(Protocol):
    """numbers, after: the columns of a table, the second with their types.  at_once: sequences for one `score`."""

    numbers: Sequence[str]
    after: Mapping[str, type]
    at_once: int
    findings: Findings

    def score(self, codes: np.ndarray, activities: np.ndarray) -> Scores:
        """Base codes, uint8 (N, L), and their activities, float32 (N, T)."""


class DeepLift:
    """Against dinucleotide shuffles, see zoo/explain/deeplift.py."""

    def __init__(self, model: Model, targets: Sequence[int], options: ExplainOptions) -> None:
        self._model, self._targets, self._options = model, targets, options
        names = [model.spec.targets[target] for target in targets]
        self.numbers: Sequence[str] = [f"{name}_{column}" for name in names for column in ("shuffled", "delta")]
        self.after: Mapping[str, type] = {"shuffles": int, "unknown": int}
        self.at_once = max(1, deeplift.AT_ONCE // options.shuffles)
        self.findings = Findings()

    def score(self, codes: np.ndarray, activities: np.ndarray) -> Scores:
        references = shuffles_of(codes, self._options.shuffles, self._options.seed)
        against = deeplift.mean_of_references(self._model, references)
        difference = activities.astype(np.float64) - against
        found = [
            deeplift.of_references(self._model, codes, references, target, difference[:, target])
            for target in self._targets
        ]
        deltas = np.stack([one.delta for one in found], 1)
        values = np.stack([against[:, list(self._targets)].astype(np.float32), deltas], 2).reshape(len(codes), -1)
        alone, unknown = deeplift.same_as_references(codes, references), unknown_bases(codes)
        self._find(alone, unknown, deltas)
        shuffles = np.where(alone, 0, self._options.shuffles)
        return Scores([one.hypothetical for one in found], None, values, [shuffles.tolist(), unknown.tolist()])

    def _find(self, alone: np.ndarray, unknown: np.ndarray, deltas: np.ndarray) -> None:
        largest = np.abs(deltas[unknown == 0]).max(1, initial=0)
        self.findings.unknown += int((unknown > 0).sum())
        self.findings.without_shuffles += int(alone.sum())
        self.findings.above += int((largest > DELTA).sum())
        self.findings.largest = max(self.findings.largest, float(largest.max(initial=0)))


class Mutagenesis:
    """Every substitution predicted; minus the mean of the four bases, they are the contributions."""

    def __init__(self, model: Model, targets: Sequence[int], _: ExplainOptions) -> None:
        self._model, self._targets = model, targets
        names = [model.spec.targets[target] for target in targets]
        self.numbers: Sequence[str] = [f"{name}_{which}" for name in names for which in EXTREMES]
        self.after: Mapping[str, type] = {f"{name}_{which}_mutation": str for name in names for which in EXTREMES} | {
            "unknown": int
        }
        self.at_once = SEQUENCES_AT_ONCE
        self.findings = Findings()

    def score(self, codes: np.ndarray, activities: np.ndarray) -> Scores:  # noqa: ARG002
        effects = self._model.session.mutants(codes)
        middle = mutagenesis.centred(effects)
        unknown = unknown_bases(codes)
        self.findings.unknown += int((unknown > 0).sum())
        values, words = [], []
        for target in self._targets:
            flat = effects[..., target].reshape(len(codes), -1)
            for extreme in EXTREMES.values():
                place = extreme(flat, 1)
                values.append(np.take_along_axis(flat, place[:, None], 1)[:, 0])
                words.append([mutation(row, int(at)) for row, at in zip(codes, place, strict=True)])
        hypothetical = [np.ascontiguousarray(middle[..., target]) for target in self._targets]
        return Scores(hypothetical, effects, np.stack(values, 1), [*words, unknown.tolist()])


class Gradient:
    """The gradient of an output by the one-hot bases."""

    def __init__(self, model: Model, targets: Sequence[int], _: ExplainOptions) -> None:
        self._model, self._targets = model, targets
        self.numbers: Sequence[str] = ()
        self.after: Mapping[str, type] = {"unknown": int}
        self.at_once = SEQUENCES_AT_ONCE
        self.findings = Findings()

    def score(self, codes: np.ndarray, activities: np.ndarray) -> Scores:  # noqa: ARG002
        unknown = unknown_bases(codes)
        self.findings.unknown += int((unknown > 0).sum())
        gradients = [self._model.session.gradient(codes, target) for target in self._targets]
        return Scores(gradients, None, np.empty((len(codes), 0), np.float32), [unknown.tolist()])


EXTREMES = {"lowest": np.argmin, "highest": np.argmax}
"""Column of the table -> where the substitution is that it shows."""


def method(model: Model, targets: Sequence[int], options: ExplainOptions) -> Method:
    """The method of the options, for targets by their numbers."""
    kinds: dict[str, Callable[..., Method]] = {"deeplift": DeepLift, "ism": Mutagenesis, "gradient": Gradient}
    return kinds[options.method](model, targets, options)


def mutation(codes: np.ndarray, place: int) -> str:
    """Base codes of a sequence, uint8 (L,), and a place in effects (L, 4): T131G, the position counted from 1."""
    position, base = divmod(place, len(ALPHABET))
    return f"{(ALPHABET + 'N')[codes[position]]}{position + 1}{ALPHABET[base]}"


def unknown_bases(codes: np.ndarray) -> np.ndarray:
    """How many N each of the base codes (N, L) has, intp (N,)."""
    return (codes == UNKNOWN_BASE).sum(1)
