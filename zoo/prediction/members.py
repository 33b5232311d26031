"""Several sessions as one model, an ensemble: its results are means over the members, and `Each` has all their numbers.

Members run one after the other on a CPU, each with all cores; a GPU takes batches of all of them. Any numbers that are
derived from predictions, such as the effect of a variant, are derived for each member, and then their mean and standard
deviation are taken (zoo/weights/spread.py). Axes: N sequences, M members, T targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

import numpy as np

from zoo.dna.encoding import check_codes
from zoo.errors import CheckFailed
from zoo.prediction import strands
from zoo.prediction.session import Session
from zoo.prediction.strands import BothStrands
from zoo.spec import ModelSpec
from zoo.system import futures
from zoo.weights import spread

One = Session | BothStrands


class Each:
    """The numbers of all members of a model, one member after the other: float32 (..., M * T).

    For a single network they are its own. used: which members are wanted, bool (N, M); the numbers of others are NaN,
    and are not computed.
    """

    def __init__(self, sessions: Sequence[One]) -> None:
        self._sessions = [one.each for one in sessions]
        ends = np.cumsum([one.spec.numbers for one in self._sessions])
        self._places = [slice(end - one.spec.numbers, end) for end, one in zip(ends, self._sessions, strict=True)]
        self.concurrent_batches = max(one.concurrent_batches for one in sessions)
        self._members = int(ends[-1]) // len(self._sessions[0].spec.targets)

    def predict(self, codes: np.ndarray, used: np.ndarray | None = None) -> np.ndarray:
        """Base codes, uint8 (N, L) -> (N, M * T). Raises ZooError as Session.predict does."""
        return self.submit(codes, used).result()

    def submit(self, codes: np.ndarray, used: np.ndarray | None = None) -> Future[np.ndarray]:
        """Start to predict, see Session.submit."""
        if used is None or used.all():
            return futures.joined([one.submit(codes) for one in self._sessions], self._side_by_side)
        check_codes(codes, self._sessions[0].spec.sequence_length)
        rows = [np.flatnonzero(wanted.any(1)) for wanted in self._of_sessions(used)]
        begun = [one.submit(codes[own]) for one, own in zip(self._sessions, rows, strict=True)]

        def join(parts: list[np.ndarray]) -> np.ndarray:
            numbers = np.full((len(codes), self._places[-1].stop), np.nan, np.float32)
            for place, own, part in zip(self._places, rows, parts, strict=True):
                numbers[own, place] = part
            return self._only(numbers, used)

        return futures.joined(begun, join)

    def windows(self, codes: np.ndarray, stride: int = 1, used: np.ndarray | None = None) -> np.ndarray:
        """Base codes along a contig, uint8 (B,) -> (W, M * T), see Session.windows. used: bool (M,)."""
        wanted = [None] * len(self._sessions) if used is None else self._of_sessions(used[None])
        parts = [
            one.windows(codes, stride) if own is None or own.any() else None
            for one, own in zip(self._sessions, wanted, strict=True)
        ]
        rows = next(len(part) for part in parts if part is not None)
        filled = [
            np.full((rows, one.spec.numbers), np.nan, np.float32) if part is None else part
            for one, part in zip(self._sessions, parts, strict=True)
        ]
        numbers = self._side_by_side(filled)
        return numbers if used is None else self._only(numbers, np.broadcast_to(used, (rows, self._members)))

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) -> effects of all substitutions, (N, L, 4, M * T), see Session.mutants."""
        return self._side_by_side([one.mutants(codes) for one in self._sessions])

    def edits(self, codes: np.ndarray, edited: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Base codes, uint8 (N, L) and (M, L), and int (M,) -> effects of edits, (M, M' * T), M' members, see
        Session.edits."""
        return self._side_by_side([one.edits(codes, edited, rows) for one in self._sessions])

    def _side_by_side(self, parts: list[np.ndarray]) -> np.ndarray:
        return parts[0] if len(parts) == 1 else np.concatenate(parts, -1)

    def _of_sessions(self, used: np.ndarray) -> list[np.ndarray]:
        """bool (N, M) -> the members of each session, bool (N, own)."""
        targets = len(self._sessions[0].spec.targets)
        return [used[:, place.start // targets : place.stop // targets] for place in self._places]

    def _only(self, numbers: np.ndarray, used: np.ndarray) -> np.ndarray:
        """NaN for members that are not wanted. Raises CheckFailed for a wanted number that is not finite."""
        wanted = np.repeat(used, numbers.shape[1] // used.shape[1], axis=1)
        if not np.isfinite(numbers[wanted]).all():
            raise CheckFailed("the model gave an output that is not finite")
        numbers[~wanted] = np.nan
        return numbers


class Ensemble:
    """Sessions as one: its methods have the same arguments and results as those of Session, which are means over the
    members. spec: see zoo.weights.ensembles.combined.
    """

    def __init__(self, sessions: Sequence[One], spec: ModelSpec) -> None:
        self.sessions, self.spec = tuple(sessions), spec
        self.rc = sessions[0].rc
        self.runtime = _names(one.runtime for one in sessions)
        self.batch_size = max(one.batch_size for one in sessions)
        self.concurrent_batches = max(one.concurrent_batches for one in sessions)
        self._each = Each(sessions)

    @property
    def provider(self) -> str:
        return _names(one.provider for one in self.sessions)

    def predict(self, codes: np.ndarray) -> np.ndarray:
        return self._mean(self._each.predict(codes))

    def submit(self, codes: np.ndarray) -> Future[np.ndarray]:
        return futures.joined([self._each.submit(codes)], lambda parts: self._mean(parts[0]))

    def profiles(self, codes: np.ndarray) -> dict[str, np.ndarray]:
        found = [one.profiles(codes) for one in self.sessions]
        return {name: _over_sessions(self.sessions, [one[name] for one in found])[0] for name in found[0]}

    def windows(self, codes: np.ndarray, stride: int = 1) -> np.ndarray:
        return self._mean(self._each.windows(codes, stride))

    def mutants(self, codes: np.ndarray) -> np.ndarray:
        return self._mean(self._each.mutants(codes))

    def edits(self, codes: np.ndarray, edited: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return self._mean(self._each.edits(codes, edited, rows))

    def contributions(self, codes: np.ndarray, references: np.ndarray, target: int) -> np.ndarray:
        return over_members(self, lambda one: one.contributions(codes, references, target))[0]

    def gradient(self, codes: np.ndarray, target: int) -> np.ndarray:
        return over_members(self, lambda one: one.gradient(codes, target))[0]

    def settle(self) -> None:
        for one in self.sessions:
            one.settle()

    def runtime_of(self, way: str) -> str:
        return _names(one.runtime_of(way) for one in self.sessions)

    def _mean(self, numbers: np.ndarray) -> np.ndarray:
        return spread.mean(numbers, self.spec)


AnySession = Session | BothStrands | Ensemble


def parts_of(session: AnySession) -> Sequence[One]:
    """The sessions of an ensemble; of another model itself."""
    return session.sessions if isinstance(session, Ensemble) else (session,)


def over_members(session: AnySession, compute: Callable[[One], np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean and standard deviation over the members of what `compute` gives for each; for a single network its own and
    None."""
    sessions = parts_of(session)
    parts = [compute(one) for one in sessions]
    return _over_sessions(sessions, parts) if isinstance(session, Ensemble) else (parts[0], None)


def _over_sessions(sessions: Sequence[One], parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of arrays of sessions; one of several members counts as often as it has members."""
    repeated = [part for part, one in zip(parts, sessions, strict=True) for _ in one.spec.members or (None,)]
    return spread.mean_and_sd(np.stack(repeated))


def as_one(sessions: Sequence[One], spec: ModelSpec) -> AnySession:
    """Sessions as one model. spec: of the whole, see zoo.weights.ensembles.combined."""
    return Ensemble(sessions, spec) if spec.members else sessions[0]


def with_strands(session: AnySession, rc: str | None) -> AnySession:
    """See strands.with_strands: of an ensemble, each member predicts the mean over both strands."""
    return as_one([strands.with_strands(one, rc) for one in parts_of(session)], session.spec)


def _names(given: Iterable[str]) -> str:
    """Different names, each once."""
    return ", ".join(dict.fromkeys(given))
