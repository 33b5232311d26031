"""A model of two targets that is a sum over bases, so that its contributions can be written down."""

from __future__ import annotations

import numpy as np

from zoo.dna.encoding import ONE_HOT
from zoo.prediction.model import Model
from zoo.prediction.session import Session
from zoo.prediction.strands import with_strands
from zoo.spec import ModelSpec

LENGTH = 21

WEIGHTS = np.random.default_rng(5).normal(size=(LENGTH, 4, 2)).astype(np.float32)
"""What base b at position p adds to a target."""


class Sum:
    """An engine of WEIGHTS, which knows its contributions. factor: by which it gets them wrong."""

    def __init__(self, weights: np.ndarray = WEIGHTS, factor: float = 1) -> None:
        self.spec = ModelSpec("toy", {}, len(weights), ("dev", "hk"), "0" * 64, "made here", "none")
        self.provider = "a sum"
        self.batch_size = 50
        self.concurrent_batches = 1
        self._weights = weights
        self._factor = np.float32(factor)

    def run(self, codes: np.ndarray) -> np.ndarray:
        return np.einsum("nlb,lbt->nt", ONE_HOT[codes], self._weights).astype(np.float32)

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:  # noqa: ARG002
        weights = self._weights[..., target]
        of_references = (ONE_HOT[references] * weights).sum(3).mean(1)
        return self._factor * (weights - of_references[..., None])

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        return np.repeat(self._weights[None, ..., target], len(codes), 0)


def model(weights: np.ndarray = WEIGHTS, factor: float = 1, rc: str | None = None) -> Model:
    return Model(with_strands(Session(Sum(weights, factor), "toy-cpu"), rc))


def both_strands(weights: np.ndarray) -> np.ndarray:
    """The weights of the mean of both strands."""
    return (weights + weights[::-1, ::-1]) / 2


def texts(codes: np.ndarray) -> list[str]:
    return ["".join("ACGTN"[code] for code in row) for row in codes]
