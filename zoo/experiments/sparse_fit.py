"""Instances of motifs in contributions, by a sparse fit, the model of Fi-NeMo (github.com/austintwang/finemo_gpu).

The contributions of a sequence, divided by their root mean square, are a sum of matrices, each at a place:

    minimize  |y - sum of c q M|^2 / 2 + strength * sum of c,   c >= 0

M is a contribution-weighted matrix of unit length, on either strand, of which only the bases of the sequence count;
q = 1 / sqrt(1 + sum of squares of y below M). So M alone is a hit where its correlation with y is about `strength`, and
matrices that overlap compete for the same contributions. A hit whose similarity is lower than `strength` is left out,
as in Fi-NeMo. The fit is exact: coordinate descent on the matrices that may be hits, until none that is left out would
be one. Axes: N sequences, L positions, W positions of a matrix, F features: matrices on strands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from zoo.dna.encoding import ONE_HOT
from zoo.errors import CheckFailed

AT_ONCE = 64
"""Sequences that are fitted together."""

TOLERANCE = 1e-5
"""How far the correlation of a matrix that is left out may be above the strength."""

SWEEPS = 20_000
"""Most sweeps of coordinate descent; some tens are usual."""


@dataclasses.dataclass(frozen=True)
class Feature:
    """A matrix on a strand. number: that of its motif.  matrix: float64 (W, 4), of length 1."""

    number: int
    strand: str
    matrix: np.ndarray


def features(matrices: Sequence[np.ndarray], signs: Sequence[int] = (1,)) -> list[Feature]:
    """Both strands of matrices, float64 (W, 4), each once. signs: also those of the opposite sign for (1, -1).

    A matrix of zeros has no direction, and no feature.
    """
    found = []
    for number, given in enumerate(matrices):
        size = np.linalg.norm(given)
        if not size:
            continue
        for sign in signs:
            forward = sign * given / size
            found.append(Feature(number, "+", forward))
            backward = forward[::-1, ::-1]
            if not np.allclose(forward, backward, rtol=0, atol=1e-6):
                found.append(Feature(number, "-", backward))
    return found


@dataclasses.dataclass(frozen=True)
class Hits:
    """H hits, by sequence and position.

    sequence, start, feature: numbers, intp (H,); start counts from 0.  coefficient: c.  strength: the length of what
    the hit adds to the contributions, in their unit.  similarity: cosine between matrix and contributions.
    """

    sequence: np.ndarray
    start: np.ndarray
    feature: np.ndarray
    coefficient: np.ndarray
    strength: np.ndarray
    similarity: np.ndarray


def fit(contributions: np.ndarray, codes: np.ndarray, among: Sequence[Feature], strength: float) -> Hits:
    """Find the hits. contributions: those of the bases of the sequences, float (N, L).  codes: uint8 (N, L)."""
    parts = [_Block(contributions[at : at + AT_ONCE], codes[at : at + AT_ONCE], among, strength).hits(at)
             for at in range(0, len(codes), AT_ONCE)]  # fmt: skip
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)] or [np.empty(0)] * 6
    whole = (column.astype(np.intp) for column in joined[:3])
    return Hits(*whole, *joined[3:])


class _Block:
    """Some sequences. Places of all features are side by side: feature f at position p is number first[f] + p."""

    def __init__(self, contributions: np.ndarray, codes: np.ndarray, among: Sequence[Feature], strength: float) -> None:
        self._features = [(number, one) for number, one in enumerate(among) if len(one.matrix) <= codes.shape[1]]
        self._codes, self._strength = codes, strength
        self._scale = np.sqrt(np.mean(np.square(contributions, dtype=np.float64), axis=1))
        self._y = contributions / np.where(self._scale, self._scale, 1)[:, None]
        self._widths = [len(one.matrix) for _, one in self._features]
        self._counts = [codes.shape[1] - width + 1 for width in self._widths]
        self._first = np.cumsum([0, *self._counts])
        squares = np.pad(np.cumsum(self._y**2, 1), ((0, 0), (1, 0)))
        below = {width: squares[:, width:] - squares[:, :-width] for width in set(self._widths)}
        columns = [np.maximum(below[width], 0) for width in self._widths]
        self._below = np.concatenate(columns, 1) if columns else np.empty((len(self._y), 0))
        self._q = 1 / np.sqrt(1 + self._below)

    def hits(self, offset: int) -> tuple[np.ndarray, ...]:
        """Columns of Hits, for sequences that begin with number `offset`."""
        products = self._products(self._y)
        wanted = products * self._q > self._strength
        found = [(np.empty(0, np.intp), np.empty(0), np.empty(0))] * len(self._y)
        changed = np.flatnonzero(wanted.any(1))
        while len(changed):  # ends, since each round adds matrices
            residuals = self._y[changed]
            for place, row in enumerate(changed.tolist()):
                active = np.flatnonzero(wanted[row])
                found[row] = active, *self._solve(row, active, residuals[place])
            above = self._products(residuals, changed) * self._q[changed] > self._strength + TOLERANCE
            above &= ~wanted[changed]
            wanted[changed] |= above
            changed = changed[above.any(1)]
        similarity = np.divide(products, np.sqrt(self._below), out=np.zeros_like(products), where=self._below > 0)
        parts = [self._of_sequence(row, *found[row], similarity[row]) for row in range(len(self._y))]
        sequence = np.repeat(np.arange(len(parts)) + offset, [len(one[0]) for one in parts])
        return sequence, *(np.concatenate(column) for column in zip(*parts, strict=True))

    def _solve(self, row: int, active: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The coefficients of active places, and the length of what each adds to y. residual: float64 (L,), y; becomes
        what is left of it."""
        rows = np.zeros((len(active), len(residual)))
        for place, (feature, start) in enumerate(self._places(active)):
            bases = slice(start, start + self._widths[feature])
            matrix = np.pad(self._features[feature][1].matrix, ((0, 0), (0, 1)))  # an N matches nothing
            rows[place, bases] = matrix[np.arange(self._widths[feature]), self._codes[row, bases]]
        rows *= self._q[row, active, None]
        gram, toward = rows @ rows.T, rows @ residual - self._strength
        sizes = np.diag(gram)
        coefficients = np.zeros(len(active))
        for _ in range(SWEEPS):
            largest = 0.0
            for place, size in enumerate(sizes):
                old = coefficients[place]
                new = max(0.0, old + (toward[place] - gram[place] @ coefficients) / size) if size else 0.0
                coefficients[place] = new
                largest = max(largest, abs(new - old) * size)
            if largest < TOLERANCE / 10:
                break
        else:
            raise CheckFailed(f"the sparse fit of a sequence has not converged after {SWEEPS:,} sweeps")
        residual -= coefficients @ rows
        return coefficients, coefficients * np.sqrt(sizes)

    def _of_sequence(
        self, row: int, active: np.ndarray, coefficients: np.ndarray, added: np.ndarray, similarity: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """The hits of a sequence by position: start, feature, coefficient, strength, similarity. Of a motif on both
        strands at a place, the larger one counts."""
        best: dict[tuple[int, int, int], int] = {}
        places = self._places(active)
        for number in np.argsort(-coefficients, kind="stable"):
            feature, start = places[number]
            one = self._features[feature][1]
            if coefficients[number] > TOLERANCE and similarity[active[number]] >= self._strength:
                best.setdefault((start, one.number, len(one.matrix)), int(number))
        kept = np.array([best[key] for key in sorted(best)], np.intp)
        starts = np.array([places[number][1] for number in kept], np.intp)
        numbers = np.array([self._features[places[number][0]][0] for number in kept], np.intp)
        chosen = active[kept]
        return starts, numbers, coefficients[kept], added[kept] * self._scale[row], similarity[chosen]

    def _places(self, active: np.ndarray) -> list[tuple[int, int]]:
        """The feature and the position of places."""
        numbers = np.searchsorted(self._first, active, "right") - 1
        return list(zip(numbers.tolist(), (active - self._first[numbers]).tolist(), strict=True))

    def _products(self, values: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """The product of each matrix with values, float64 (n, L), at each place. rows: their sequences."""
        bases = ONE_HOT[self._codes if rows is None else self._codes[rows]] * values[:, :, None]
        found: dict[int, np.ndarray] = {}
        for width, count in dict(zip(self._widths, self._counts, strict=True)).items():
            windows = np.lib.stride_tricks.sliding_window_view(bases, width, 1).swapaxes(2, 3)
            those = np.stack([one.matrix.ravel() for _, one in self._features if len(one.matrix) == width], 1)
            products = windows.reshape(len(values), count, len(those)) @ those
            numbers = [place for place, own in enumerate(self._widths) if own == width]
            found |= {place: products[:, :, column] for column, place in enumerate(numbers)}
        columns = [found[place] for place in range(len(self._features))]
        return np.concatenate(columns, 1) if columns else np.empty((len(values), 0))
