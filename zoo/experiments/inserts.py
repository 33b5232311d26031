"""Motifs as bases that are written into sequences.

An insert is base codes, uint8 (m,); where it is 4, the base of the sequence stays.
"""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections.abc import Sequence

import numpy as np

from zoo.dna import sites
from zoo.errors import ZooError, did_you_mean
from zoo.experiments.options import InsertOptions, MotifNames
from zoo.formats import meme
from zoo.motifs import known_motifs
from zoo.spec import UNKNOWN_BASE

EVEN = 1e-6
"""A position whose probabilities differ by less keeps the base of the sequence."""


@dataclasses.dataclass(frozen=True)
class Motif:
    """probabilities: of A, C, G, T at each position, float64 (m, 4).  exact: made of letters, each of which stands for
    the bases of its sites and no others."""

    name: str
    probabilities: np.ndarray
    exact: bool = False

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def consensus(self) -> np.ndarray:
        """The most probable base at each position, uint8 (m,); of two the first in the order A, C, G, T."""
        # rounding in a file does not choose between equal bases
        first = (self.probabilities >= self.probabilities.max(1, keepdims=True) - EVEN).argmax(1)
        return np.where(self._free, UNKNOWN_BASE, first).astype(np.uint8)

    def written(self, options: InsertOptions, number: int, seed: int, block: int) -> np.ndarray:
        """The bases for `number` backgrounds of a block, uint8 (number, m)."""
        if options.letters == "consensus":
            return np.repeat(self.consensus[None], number, 0)
        generator = np.random.default_rng([seed, zlib.crc32(self.name.encode()), block])
        drawn = generator.random((number, len(self), 1)) > np.cumsum(self.probabilities, 1)[:, :-1]
        return np.where(self._free, UNKNOWN_BASE, drawn.sum(2)).astype(np.uint8)

    @property
    def _free(self) -> np.ndarray:
        return np.ptp(self.probabilities, axis=1) < EVEN


def motifs(options: MotifNames, length: int, *, all_known: bool = False, repeated: bool = False) -> list[Motif]:
    """The motifs of the options. all_known: take all of the file if none is named.  repeated: a motif may come again.

    Raises ZooError for none, unknown ones, two of one name, and those longer than the sequences, of `length` bases."""
    known = {one.name: one.probabilities for one in meme.read(options.known or known_motifs.FILE).motifs}
    if not options.motifs and not all_known:
        raise ZooError(f"--motifs: expected one or more motifs, such as TGASTCA; known are {', '.join(known)}")
    found = [_motif(text, known) for text in options.motifs or known]
    for one in found:
        others = [other for other in found if other is not one and other.name == one.name]
        if any(not repeated or not np.array_equal(one.probabilities, other.probabilities) for other in others):
            raise ZooError(f"--motifs {one.name}: is given twice; name sites, as in first=TGACTCA")
        if len(one) > length:
            raise ZooError(f"--motifs {one.name}: expected at most {length} bases, got {len(one)}")
    return found


def _motif(text: str, known: dict[str, np.ndarray]) -> Motif:
    if text in known:
        return Motif(text, known[text])
    name, equals, site = text.rpartition("=")
    letters = site.upper()
    meant = [one for one in known if one.upper() == text.upper()]
    if meant:
        raise ZooError(f"--motifs {text}: expected {meant[0]}, the known motif, or NAME={site}, a site")
    if not re.fullmatch(f"[{''.join(sites.IUPAC)}]+", letters) or (equals and not name):
        raise ZooError(
            f"--motifs {text}: expected the name of a known motif, or a site of IUPAC letters"
            f"{did_you_mean(text, list(known))}"
        )
    return Motif(name if equals else site, sites.probabilities(letters, 1.0), exact=True)


def put(codes: np.ndarray, bases: np.ndarray, starts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Sequences with an insert at each of some places: base codes, uint8 (B, L), and inserts, uint8 (B, m) or (m,) ->
    uint8 (B, P, L). starts: the first base of each place, from 0, (P,)."""
    out = np.repeat(codes[:, None], len(starts), axis=1)
    inserts = np.broadcast_to(bases, (len(codes), bases.shape[-1]))
    for place, start in enumerate(starts):
        window = out[:, place, start : start + inserts.shape[1]]
        np.copyto(window, inserts, where=inserts != UNKNOWN_BASE)
    return out


def middle(length: int, width: int) -> int:
    """Where an insert of `width` bases begins so that it is in the middle of a sequence, from 0."""
    return length // 2 - width // 2
