"""The motifs of `zoo hits`, and its hits: contribution-weighted matrices (CWMs) of patterns, or motifs of a MEME file.

A pattern of TF-MoDISco has a CWM: the mean contributions of its seqlets, trimmed to its core. A motif of a MEME file
has probabilities only; in place of its CWM stand the probabilities times the information of their position in bits. It
is looked for with both signs, since a MEME file does not say whether a motif raises or lowers the activity.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.explain import files
from zoo.formats import meme
from zoo.formats.names import shown
from zoo.motifs import motifs as motif_folder
from zoo.motifs.patterns import SIGNS, Pattern

NUMBERS = ("coefficient", "strength", "similarity", "contribution", "site_score", "q")
"""Columns of numbers of a hit."""


@dataclasses.dataclass(frozen=True)
class HitMotif:
    """matrix: the CWM, float64 (W, 4).  frequencies: of the bases, float64 (W, 4)."""

    name: str
    matrix: np.ndarray
    frequencies: np.ndarray


@dataclasses.dataclass(frozen=True)
class Source:
    """signs: of the matrices that are looked for.  by_target: whether targets have motifs of their own."""

    path: Path
    signs: tuple[int, ...]
    by_target: bool

    def of(self, target: str) -> list[HitMotif]:
        """The motifs of a target. Raises ZooError for files that cannot be read."""
        if not self.by_target:
            return [_of_meme(one) for one in meme.read(self.path).motifs]
        return _patterns(self.path / f"{files.quoted(target)}.modisco.h5")


def source(given: Path | None, folder: Path) -> Source:
    """Where the motifs are: a MEME file, or a folder of zoo motifs, by default the one in the folder of zoo explain.

    Raises ZooError if there is none.
    """
    path = given or folder / motif_folder.FOLDER
    if path.is_dir() and (path / motif_folder.DESCRIPTION).is_file():
        return Source(path, (1,), True)
    if path.is_file():
        return Source(path, (1, -1), False)
    if given is None:
        raise ZooError(f"{path}: no such folder; run zoo motifs {folder} first, or give --motifs a MEME file")
    raise ZooError(f"--motifs {path}: expected an output folder of zoo motifs, or a MEME file")


def _of_meme(motif: meme.Motif) -> HitMotif:
    shares = motif.probabilities
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = 2 + np.nansum(shares * np.log2(shares), axis=1)
    return _trimmed(motif.name, shares * np.maximum(bits, 0)[:, None], shares)


def _patterns(path: Path) -> list[HitMotif]:
    """The patterns in a file of modisco-lite."""
    import h5py

    try:
        with h5py.File(path) as file:
            return [
                _trimmed(f"{group}.{name}", np.array(one["contrib_scores"]), np.array(one["sequence"]))
                for group in SIGNS
                for name, one in sorted(file.get(group, {}).items(), key=lambda pair: int(pair[0].rpartition("_")[2]))
            ]
    except FileNotFoundError:
        raise ZooError(f"{path}: no such file; run zoo motifs for this target, or choose others by --targets") from None
    except (OSError, KeyError, ValueError) as error:
        raise ZooError(f"{path}: expected the patterns of zoo motifs ({shown(str(error))})") from None


def _trimmed(name: str, matrix: np.ndarray, frequencies: np.ndarray) -> HitMotif:
    """A motif without the ends that hardly contribute, see Pattern.core."""
    if not matrix.any():
        return HitMotif(name, matrix, frequencies)
    core = Pattern(name, frequencies, matrix, ()).core
    return HitMotif(name, matrix[core].astype(np.float64), frequencies[core].astype(np.float64))


@dataclasses.dataclass(frozen=True)
class TargetHits:
    """The hits of a target, of H. rows: number of the sequence, intp (H,).  starts: from 0.  motifs: their numbers.
    numbers: float64 (H, 6), the columns NUMBERS.  strands: texts.  chance: hits of each motif in one shuffle of all
    sequences, float64."""

    target: str
    among: list[HitMotif]
    rows: np.ndarray
    starts: np.ndarray
    motifs: np.ndarray
    strands: list[str]
    numbers: np.ndarray
    chance: np.ndarray

    @property
    def ends(self) -> np.ndarray:
        widths = np.array([len(one.matrix) for one in self.among], np.intp)
        return self.starts + widths[self.motifs]
