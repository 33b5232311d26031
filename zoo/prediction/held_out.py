"""Predictions by networks that did not see a chromosome: of an ensemble, the members that held it out predict it.

A network may have been trained on every chromosome that its card, or its fold of a cross-validation, does not list.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo.errors import ZooError
from zoo.formats.names import listed
from zoo.spec import Member


class HeldOut:
    """Which members predict a chromosome. members: see zoo.weights.ensembles.members_in.

    counts: chromosome -> number of members, of those that were asked for.
    Raises ZooError if no member says what it held out.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self.counts: dict[str, int] = {}
        self._known = list(dict.fromkeys(name for one in members for name in one.held_out))
        if not self._known:
            raise ZooError(
                "--held-out: the weights do not say which chromosomes their training held out; a card says it, and the "
                "folds of zoo train --folds by chromosome"
            )

    def used(self, contig: str) -> np.ndarray:
        """The members that predict a chromosome, bool (M,). Raises ZooError if none held it out."""
        wanted = np.array([contig in one.held_out for one in self._members])
        if not wanted.any():
            who = "the weights do not list" if len(wanted) == 1 else f"none of {len(wanted)} members lists"
            raise ZooError(f"--held-out: {who} {contig} as held out; listed are {listed(self._known)}")
        self.counts[contig] = int(wanted.sum())
        return wanted

    @property
    def most(self) -> int:
        """The most members that predict a chromosome."""
        return max(sum(contig in one.held_out for one in self._members) for contig in self._known)

    def rows(self, contigs: Sequence[str]) -> np.ndarray:
        """The members that predict sequences of these chromosomes, bool (N, M). Raises ZooError as `used` does."""
        known = {contig: self.used(contig) for contig in dict.fromkeys(contigs)}
        return np.array([known[contig] for contig in contigs], bool).reshape(len(contigs), len(self._members))

    def identity(self) -> list[list[str]]:
        """What decides which members predict, JSON types."""
        return [list(one.held_out) for one in self._members]
