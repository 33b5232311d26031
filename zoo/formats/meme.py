"""Motifs in the minimal MEME format, versions 4 and 5 (meme-suite.org/meme/doc/meme-format.html), read and written.

DNA only. The background and the strands are kept; E-values, URLs and log-odds matrices are skipped.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.formats import kinds
from zoo.formats.text_input import lines
from zoo.spec import ALPHABET
from zoo.system.atomic import replacing

LARGEST_ROUNDING = 0.02
"""Largest difference from 1 of the sum of the probabilities at a position; files hold rounded numbers."""

USUAL_SITES = 20
"""Number of sites of a motif if the file does not give it."""

MATRIX = "letter-probability matrix:"
BACKGROUND = "Background letter frequencies"


@dataclasses.dataclass(frozen=True)
class Motif:
    """name, alternative: the two words of a MOTIF line, the second may be "".
    probabilities: float64 (width, 4), in the order A, C, G, T; rows sum to 1.  sites: number of sites that it was made
    from."""

    name: str
    probabilities: np.ndarray
    alternative: str = ""
    sites: float = USUAL_SITES


@dataclasses.dataclass(frozen=True)
class Motifs:
    """Contents of a file. background: frequencies of A, C, G, T.  both_strands: motifs apply to both strands."""

    motifs: tuple[Motif, ...]
    background: tuple[float, float, float, float] = (0.25, 0.25, 0.25, 0.25)
    both_strands: bool = True


def read(path: Path) -> Motifs:
    """Read a file. Raises ZooError, with file and line, unless it is a minimal MEME file of DNA motifs."""
    texts = [line for _, line in lines(path)]
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise ZooError(f"{path}: expected UTF-8 text in the MEME format, found other bytes") from None
    return _Reader(path, texts).read()


def write(path: Path, content: Motifs, overwrite: bool = False) -> None:
    """Write a file, completely or not at all."""
    strands = "+ -" if content.both_strands else "+"
    frequencies = " ".join(f"{base} {share:.6g}" for base, share in zip(ALPHABET, content.background, strict=True))
    text = f"MEME version 4\n\nALPHABET= {ALPHABET}\n\nstrands: {strands}\n\n{BACKGROUND}\n{frequencies}\n"
    for motif in content.motifs:
        title = " ".join(["MOTIF", *(_word(part) for part in (motif.name, motif.alternative) if part)])
        width = len(motif.probabilities)
        text += f"\n{title}\n{MATRIX} alength= {len(ALPHABET)} w= {width} nsites= {motif.sites:g} E= 0\n"
        text += "".join(" ".join(f"{share:.6f}" for share in row) + "\n" for row in motif.probabilities)
    with replacing(path, overwrite) as partial:
        partial.write_text(text, "utf-8")


def _word(text: str) -> str:
    if len(text.split()) != 1:
        raise ZooError(f"motif {text!r}: expected a name without blanks, which the MEME format does not allow")
    return text.strip()


class _Reader:
    """One pass over the lines of a file."""

    def __init__(self, path: Path, lines: Sequence[str]) -> None:
        self._path, self._lines = path, lines
        self._at = 0  # lines read so far

    def read(self) -> Motifs:
        self._version()
        found: dict[str, Motif] = {}
        background, both = Motifs.background, True
        title: list[str] = []
        while (line := self._next()) is not None:
            if line.startswith("ALPHABET"):
                self._alphabet(line)
            elif line.startswith("strands:"):
                both = "-" in line.split()[1:]
            elif line.startswith(BACKGROUND):
                background = self._background()
            elif line.startswith("MOTIF"):
                self._check_has_matrix(title)
                title = self._title(line, found)
            elif line.startswith(MATRIX):
                found[title[0] if title else ""] = self._matrix(line, title)
                title = []
        self._check_has_matrix(title)
        if not found:
            raise ZooError(f"{self._path}: expected one or more motifs, found none")
        return Motifs(tuple(found.values()), background, both)

    def _title(self, line: str, found: Container[str]) -> list[str]:
        """One or two names."""
        title = line.split()[1:]
        if not title:
            raise self._error("expected MOTIF and a name", line)
        if title[0] in found:
            raise self._error(f"the motif {title[0]} occurs twice", None)
        return title

    def _check_has_matrix(self, title: list[str]) -> None:
        if title:
            raise self._error(f"the motif {title[0]} has no {MATRIX.removesuffix(':')}", None)

    def _version(self) -> None:
        line = self._next()
        if line is None:
            raise ZooError(f"{self._path}: expected motifs in the MEME format, the file is empty")
        number = re.fullmatch(r"MEME version (\d+)(\.\S*)?( .*)?", line)
        if not number or int(number[1]) not in (4, 5):
            if (kind := kinds.of_file(self._path)) not in (None, kinds.MEME):
                raise ZooError(f"{self._path}: expected motifs in the MEME format, found {kind}")
            raise self._error('expected "MEME version 4" or 5', line)

    def _alphabet(self, line: str) -> None:
        given = line.removeprefix("ALPHABET").strip().removeprefix("=").strip()
        if given != ALPHABET:
            raise self._error(f'expected "ALPHABET= {ALPHABET}"', line)

    def _background(self) -> tuple[float, float, float, float]:
        line = self._next() or ""
        words = line.split()
        if words[::2] != list(ALPHABET):
            raise self._error("expected the frequencies of A, C, G and T", line)
        a, c, g, t = self._shares(words[1::2], line)
        if min(a, c, g, t) <= 0:
            raise self._error("expected frequencies above 0", line)
        return a, c, g, t

    def _matrix(self, line: str, title: list[str]) -> Motif:
        if not title:
            raise self._error("expected a MOTIF line before its matrix", line)
        given = dict(re.findall(r"(\w+)\s*=\s*(\S+)", line))
        if given.get("alength", str(len(ALPHABET))) != str(len(ALPHABET)):
            raise self._error(f"expected alength= {len(ALPHABET)}", line)
        try:
            width, sites = int(given["w"]) if "w" in given else None, float(given.get("nsites", USUAL_SITES))
        except ValueError:
            raise self._error("expected numbers after w= and nsites=", line) from None
        if not 0 <= sites < np.inf or (width is not None and width < 1):
            raise self._error("expected w= of at least 1 and nsites= of at least 0", line)
        rows: list[list[float]] = []
        while self._is_row() if width is None else len(rows) < width:
            row = self._next()
            if row is None or row.startswith("MOTIF"):
                raise self._error(f"the motif {title[0]}: expected {width} rows, got {len(rows)}", None)
            rows.append(self._shares(row.split(), row))
        if not rows or (width is not None and self._is_row()):
            raise self._error(f"the motif {title[0]}: expected {width or 'some'} rows, got another number", None)
        return Motif(title[0], np.array(rows), title[1] if len(title) > 1 else "", sites or USUAL_SITES)

    def _shares(self, words: list[str], line: str) -> list[float]:
        """Four numbers from 0 to 1 whose sum is 1, apart from rounding."""
        try:
            shares = [float(word) for word in words]
        except ValueError:
            shares = []
        inside = len(shares) == len(ALPHABET) and all(0 <= share <= 1 for share in shares)
        if not inside or abs(sum(shares) - 1) > LARGEST_ROUNDING:
            raise self._error(f"expected {len(ALPHABET)} probabilities whose sum is 1", line)
        return [share / sum(shares) for share in shares]

    def _is_row(self) -> bool:
        """Whether the next line begins with a number."""
        return self._at < len(self._lines) and bool(re.match(r"\s*[\d.]", self._lines[self._at]))

    def _next(self) -> str | None:
        """The next line that is not blank, stripped; None at the end."""
        while self._at < len(self._lines):
            self._at += 1
            line = self._lines[self._at - 1].strip()
            if line:
                return line
        return None

    def _error(self, what: str, line: str | None) -> ZooError:
        got = "" if line is None else f", got {line[:60]!r}"
        return ZooError(f"{self._path}, line {max(self._at, 1)}: {what}{got}")
