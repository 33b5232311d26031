"""Predictions that do not depend on the strand: the mean over a sequence and its reverse complement.

The published network was trained on both strands, yet the strand moves a prediction by up to 1.5. The mean removes this
for twice the arithmetic. Whether both strands count is decided once, when a model is loaded.
"""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np

from zoo import registry
from zoo.dna.encoding import check_codes, reverse_complement
from zoo.errors import ZooError
from zoo.frame import REVERSE
from zoo.options import StrandOptions
from zoo.prediction.session import Session
from zoo.spec import ModelSpec
from zoo.system import futures
from zoo.weights.checkpoint import config_of

HALF = np.float32(0.5)


class BothStrands:
    """A Session whose results are the mean over both strands; its methods have the same arguments and results as those
    of Session.

    Positions and bases of results are those of the strand that is given. The result is the same for either strand.
    """

    rc = "average"

    def __init__(self, session: Session) -> None:
        self._session = session
        self.runtime = session.runtime
        self.batch_size = session.batch_size
        self.concurrent_batches = session.concurrent_batches
        self.settle = session.settle
        self.runtime_of = session.runtime_of

    @property
    def each(self) -> BothStrands:
        """See Session.each: the numbers of each member are means over the strands."""
        return BothStrands(self._session.each)

    @property
    def spec(self) -> ModelSpec:
        return self._session.spec

    @property
    def provider(self) -> str:
        return self._session.provider

    def predict(self, codes: np.ndarray) -> np.ndarray:
        return self.submit(codes).result()

    def submit(self, codes: np.ndarray) -> Future[np.ndarray]:
        check_codes(codes, self.spec.sequence_length)
        return futures.joined([self._session.submit(both(codes))], lambda parts: mean(parts[0]))

    def profiles(self, codes: np.ndarray) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Raises ZooError, since positions differ between the strands."""
        raise ZooError("profiles: are of the strand that is given; leave out --both-strands, rc in Python")

    def windows(self, codes: np.ndarray, stride: int = 1) -> np.ndarray:
        given = self._session.windows(codes, stride)
        if not len(given):
            return given
        # on the other strand, the windows of the same bases begin where the last window ends
        covered = codes[: (len(given) - 1) * stride + self.spec.sequence_length]
        return (given + self._session.windows(reverse_complement(covered), stride)[::-1]) * HALF

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        given = self._session.mutants(codes)
        return _mean_of_bases(given, self._session.mutants(reverse_complement(codes)))

    def edits(self, codes: np.ndarray, edited: np.ndarray, rows: np.ndarray) -> np.ndarray:
        given = self._session.edits(codes, edited, rows)
        return (given + self._session.edits(reverse_complement(codes), reverse_complement(edited), rows)) * HALF

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        """The references are reverse-complemented with their sequence."""
        given = self._session.contributions(codes, references, target)
        other = self._session.contributions(reverse_complement(codes), reverse_complement(references), target)
        return _mean_of_bases(given, other)

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        given = self._session.gradient(codes, target)
        return _mean_of_bases(given, self._session.gradient(reverse_complement(codes), target))


def with_strands(session: Session | BothStrands, rc: str | None) -> Session | BothStrands:
    """The session itself for None, the mean over both strands for "average". Raises ZooError for anything else."""
    StrandOptions(rc)  # type: ignore[arg-type]
    check(session.spec, rc)
    return BothStrands(session) if rc is not None and isinstance(session, Session) else session


def check(spec: ModelSpec, rc: str | None) -> None:
    """Raise ZooError if the mean over both strands is asked of a network that sees both already, or that is told which
    strand it sees: the mean is then made inside the network."""
    if rc is None:
        return
    frame, plugin = spec.frame, registry.working("models").get(spec.architecture)
    refused = getattr(plugin, "refuses_both_strands", None)
    reason = refused(config_of(spec)) if refused else None
    if frame is not None and frame.strand.rule != "given":
        reason = f"by the frame of this network, {frame.strand.text()}"
    elif frame is not None and REVERSE in frame.input.channels:
        reason = "the network has a channel for the strand; import it with the strand rule mean for the mean of both"
    if reason:
        raise ZooError(f"rc: leave out --both-strands, rc={rc!r} in Python: {reason}")


def both(codes: np.ndarray) -> np.ndarray:
    """Base codes, uint8 (N, L) -> those of both strands, (2N, L), for one batch."""
    return np.concatenate([codes, reverse_complement(codes)])


def mean(activities: np.ndarray) -> np.ndarray:
    """Activities of a batch from `both`, float32 (2N, T) -> their mean over the strands, (N, T)."""
    half = len(activities) // 2
    return (activities[:half] + activities[half:]) * HALF


def _mean_of_bases(given: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float32 (N, L, 4, ...) of both strands -> their mean. Position p is L-1-p on the other strand, where a base is
    its complement."""
    return (given + other[:, ::-1, ::-1]) * HALF
