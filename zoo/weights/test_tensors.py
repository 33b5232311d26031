"""Test tensors: sequences and what a network predicts for them, kept with its weights to test any copy of them.

They travel as bytes of a .safetensors file: `codes` uint8 (N, L), `expected` float32 (N, T), and `made_by` in the
metadata. Needs NumPy and safetensors, no runtime. Axes: N sequences, L positions, T targets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from zoo.errors import ZooError, counted
from zoo.spec import ALPHABET, UNKNOWN_BASE
from zoo.weights import file_checks

SHARE = 2e-5
"""Largest difference that passes, as a share of the largest expected output of the same target. Rounding of float32
stays below it; a wrong epsilon or a changed weight does not."""

SEQUENCES = 64
"""Sequences of `random_codes`."""

UNKNOWN_SHARE = 0.02
"""Share of Ns in half of the random sequences."""

MOST_SEQUENCES = 1 << 16
"""Maximum number of sequences that are read; a file that tests weights needs few."""


@dataclasses.dataclass(frozen=True)
class TestTensors:
    """codes: base codes, uint8 (N, L), A 0, C 1, G 2, T 3, N 4.  expected: predictions, float32 (N, T).
    made_by: the programs that predicted, with versions, such as "keras 3.15.1 on tensorflow 2.21.0".

    Raises ZooError for arrays of another dtype or shape, an unknown code, and predictions that are not finite.
    """

    __test__ = False  # pytest would take the class for a test

    codes: np.ndarray
    expected: np.ndarray
    made_by: str

    def __post_init__(self) -> None:
        for name, dtype in (("codes", np.dtype(np.uint8)), ("expected", np.dtype(np.float32))):
            array = getattr(self, name)
            if array.dtype != dtype or array.ndim != 2 or not array.size:
                raise ZooError(f"{name}: expected a table of {dtype}, got {array.dtype} {list(array.shape)}")
        if len(self.codes) != len(self.expected) or len(self.codes) > MOST_SEQUENCES:
            raise ZooError(
                f"expected: expected a row for each of at most {MOST_SEQUENCES:,} sequences, got "
                f"{len(self.expected):,} for {counted(len(self.codes), 'sequences')}"
            )
        if self.codes.max() > UNKNOWN_BASE:
            raise ZooError(f"codes: expected base codes up to {UNKNOWN_BASE}, got {self.codes.max()}")
        if not np.isfinite(self.expected).all():
            raise ZooError("expected: some predictions are not finite")

    def to_bytes(self) -> bytes:
        """The content of a .safetensors file."""
        from safetensors.numpy import save

        arrays = {"codes": self.codes, "expected": self.expected}
        return save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"made_by": self.made_by})

    def difference(self, actual: np.ndarray, targets: Sequence[str], share: float = SHARE) -> str | None:
        """How `actual`, float (N, T), differs from what is expected: how many values, how far, and where; None if every
        value is within `share` of the largest expected output of its target. NaN and infinity never pass.
        """
        if actual.shape != self.expected.shape:
            return f"expected predictions of shape {list(self.expected.shape)}, got {list(actual.shape)}"
        expected, actual = self.expected.astype(np.float64), actual.astype(np.float64)
        largest = np.abs(expected).max(0)
        with np.errstate(invalid="ignore"):
            distance = np.abs(actual - expected)
        distance[np.isnan(distance)] = np.inf
        wrong = distance > share * largest
        if not wrong.any():
            return None
        relative = np.where(wrong, distance / np.maximum(largest, np.finfo(np.float64).tiny), 0)
        row, column = (int(place) for place in np.unravel_index(np.argmax(relative), relative.shape))
        return (
            f"{wrong.sum()} of {wrong.size} values differ by more than {share:g} of the largest of their target, the "
            f"worst by {relative[row, column]:.2g} of it: sequence {row + 1}, target {targets[column]}: expected "
            f"{expected[row, column]:.7g}, got {actual[row, column]:.7g}"
        )


def from_bytes(content: bytes) -> TestTensors:
    """Read what `to_bytes` wrote. Raises ZooError for anything else."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        header = file_checks.parse_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ZooError(f"expected the bytes of a .safetensors file ({error})") from None
    if set(arrays) != {"codes", "expected"}:
        raise ZooError(f"expected the arrays codes and expected, got {', '.join(sorted(arrays)) or 'none'}")
    return TestTensors(**arrays, made_by=header.get("__metadata__", {}).get("made_by", "unknown"))


def random_codes(length: int, seed: int) -> np.ndarray:
    """Base codes that test a network well, uint8 (SEQUENCES, length), always the same for a seed.

    Half are random bases, the others have Ns too; the last nine are edge cases that ports often get wrong: Ns at one
    end, at both, in the middle or everywhere, and the same base everywhere.
    """
    random = np.random.default_rng(seed)
    codes = random.integers(0, len(ALPHABET), (SEQUENCES, length), np.uint8)
    codes[SEQUENCES // 2 :][random.random((SEQUENCES // 2, length)) < UNKNOWN_SHARE] = UNKNOWN_BASE
    edge, middle = max(1, length // 25), length // 2
    codes[-9, :edge] = codes[-8, -edge:] = codes[-7, :edge] = codes[-7, -edge:] = UNKNOWN_BASE
    codes[-6, max(middle - edge, 0) : middle + edge] = UNKNOWN_BASE
    codes[-5:] = np.array([UNKNOWN_BASE, *range(len(ALPHABET))], np.uint8)[:, None]
    return codes
