"""What the authors of a model published: files with their checksums, and what is in them. Needs no library."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from zoo.spec import ALPHABET


@dataclasses.dataclass(frozen=True)
class PublishedFiles:
    """Published files. folder: name in the cache.  md5: file name -> md5 (hex).
    mirrors: base addresses; the first that answers is used.

    sizes: file name -> bytes, where they are known.  at_most: bytes that a file of unknown size cannot exceed.
    optional: file names that a copy on this machine may lack.
    """

    folder: str
    md5: Mapping[str, str]
    mirrors: tuple[str, ...]
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    at_most: int = 1 << 30
    optional: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Published:
    """What the authors of a model published.

    variant: the name in VARIANTS that `weights` belong to.  weights: see ModelExtras.read_published.
    weights_id: their id once they are imported.
    data: labelled sequences.  files: names of its FASTA files and of their labels, with {} for the word of a split.
    splits: side ("train", "validation", "test") -> its word.
    columns: target -> the column of the labels that holds it.
    citations: md5 (hex) of a weights file -> citation and licence.  alphabet: base order of these files.
    predicts: what the targets are, in which cells, by which assay and in which unit, for readers.
    """

    variant: str
    weights: PublishedFiles
    weights_id: str
    data: PublishedFiles
    files: tuple[str, str]
    splits: Mapping[str, str]
    columns: Mapping[str, str]
    citations: Mapping[str, tuple[str, str]]
    alphabet: str = ALPHABET
    predicts: str = ""

    @property
    def citation(self) -> str:
        """Whom to cite."""
        return next((citation for citation, _ in self.citations.values()), "")
