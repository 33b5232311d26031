"""`zoo motifs`: a folder that `zoo explain` left to patterns, their logos, and where they lie. Whole or not at all.

TARGET.modisco.h5    all that modisco-lite found, in its own layout; sequences are counted as in the folder, from 0
TARGET.meme          the frequencies of each pattern, trimmed to its core
TARGET.patterns.tsv  a row a pattern: seqlets, consensus, and the known motif that it is like
TARGET.hits.tsv      a row a seqlet, by sequence and position: start and end are 1-based and inclusive
TARGET.patterns.png  their logos; in logos/ one by one
motifs.html          a page with all of it
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from zoo.errors import ZooError, did_you_mean
from zoo.explain import explanation, files, logos
from zoo.explain.options import MotifOptions
from zoo.formats import meme
from zoo.formats.names import shown
from zoo.motifs import motif_page, patterns, similarity
from zoo.motifs.patterns import Pattern
from zoo.motifs.similarity import Match
from zoo.system.atomic import check_folder_target, replacing_folder

DESCRIPTION = "motifs.json"

FOLDER = "motifs"
"""Where the results go if nothing else is said: a folder in that of the explanation."""

OURS = (
    *("*.modisco.h5", "*.meme", "*.patterns.tsv", "*.patterns.png", "*.hits.tsv"),
    *(DESCRIPTION, motif_page.FILE, f"{logos.FOLDER}/*.png"),
)
"""What a folder of ours holds, and nothing else."""

PATTERN_COLUMNS = ("pattern", "seqlets", "consensus", "like", "p_value", "similarity")

HIT_COLUMNS = ("name", "start", "end", "strand", "pattern", "contribution")

LOGO_WIDTH = 4
"""Inches."""

SHOWN = 4
"""Patterns that a line at a terminal names."""


@dataclasses.dataclass(frozen=True)
class Explained:
    """A folder that `zoo explain` left. names: of the N sequences.  activities: target -> float32 (N,)."""

    folder: Path
    description: dict[str, Any]
    names: list[str]
    activities: dict[str, np.ndarray]

    def arrays(self, target: str, strongest: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Number of each sequence that is taken, one-hot and hypothetical contributions, (N, 4, L) both."""
        numbers = np.arange(len(self.names))
        if strongest is not None and strongest < len(numbers):
            order = np.argsort(-self.activities[target], kind="stable")
            numbers = np.sort(order[:strongest])
        expected = len(self.names), 4, self.description["sequence_length"]
        one_hot, hypothetical = (
            _array(self.folder / name, expected) for name in (files.ONE_HOT_FILE, files.hypothetical_file(target))
        )
        return numbers, one_hot[numbers], hypothetical[numbers]


def read(folder: Path) -> Explained:
    """Raises ZooError for anything but a folder that `zoo explain` left."""
    wrong = f"{folder}: expected a folder that zoo explain left"
    try:
        description = json.loads((folder / explanation.DESCRIPTION).read_bytes())
        targets, length = description["targets"], description["sequence_length"]
        with (folder / explanation.SUMMARY).open(encoding="utf-8", errors="surrogateescape", newline="") as text:
            header, *rows = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
        first = header.index(targets[0])
        names = [" ".join(row[:first]) for row in rows]
        activities = {
            target: np.array([row[first + number] for row in rows], np.float32) for number, target in enumerate(targets)
        }
        description["explained"], int(length)
    except OSError as error:
        raise ZooError(f"{wrong}; {error.filename} cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ZooError(f"{wrong}; {explanation.DESCRIPTION} and {explanation.SUMMARY} are of another layout") from error
    return Explained(folder, description, names, activities)


def _array(path: Path, expected: tuple[int, int, int]) -> np.ndarray:
    """An array of the folder, without the position that made its length even."""
    count, bases, length = expected
    shape = count, bases, length + length % 2
    try:
        with np.load(path, allow_pickle=False) as archive:
            array = archive[files.MEMBER]
    except OSError:
        raise ZooError(f"{path}: no such file, or not what zoo explain leaves; explain anew") from None
    except (ValueError, KeyError, EOFError) as error:
        raise ZooError(f"{path}: expected an npz file with an array {files.MEMBER} ({shown(str(error))})") from None
    if array.shape != shape:
        raise ZooError(f"{path}: expected an array {shape}, got {array.shape}; explain anew")
    return array


def check(folder: Path, output: Path, known: Path | None, overwrite: bool) -> None:
    """Raise ZooError if the results could not be written or modisco-lite is missing, before any work is done."""
    read(folder)
    patterns.require()
    logos.require("zoo motifs")
    check_folder_target(output, overwrite, OURS, [folder, known])


def find(
    folder: Path,
    output: Path,
    options: MotifOptions,
    known: Path | None = None,
    overwrite: bool = False,
    command: str = "",
) -> dict[str, Any]:
    """Look for patterns in a folder that `zoo explain` left, and return the description of the run.

    known: a MEME file; each pattern gets the name of the motif that it is like.
    Raises ZooError for another folder, a target that was not explained, too few seqlets, or files that cannot be used.
    """
    explained = read(folder)
    targets = options.targets or tuple(explained.description["explained"])
    for target in targets:
        if target not in explained.description["explained"]:
            there = explained.description["explained"]
            hint = did_you_mean(target, there)
            raise ZooError(f"targets: {folder} explains {', '.join(there)}, got {target!r}{hint}")
    motifs = {_title(one): one.probabilities for one in meme.read(known).motifs} if known is not None else {}
    described: dict[str, Any] = {
        "command": command,
        "version": zoo.__version__,
        "explanation": explained.description,
        "options": dataclasses.asdict(options),
        "known": {"file": str(known), "motifs": len(motifs)} if known is not None else None,
        "targets": {},
    }
    with replacing_folder(output, overwrite, OURS, [known]) as partial:
        sections: list[motif_page.Section] = []
        for target in targets:
            numbers, one_hot, hypothetical = explained.arrays(target, options.strongest)
            with _named(target):
                found = patterns.find(
                    one_hot, hypothetical, options, partial / f"{files.of_target(target)}.modisco.h5", numbers
                )
            cores = [one.frequencies[one.core] for one in found]
            matches: Sequence[Match | None] = [None] * len(found)
            if motifs:
                matches = similarity.best_matches(cores, motifs)
            _write(partial, target, explained.names, found, matches)
            described["targets"][target] = _described(found, matches, len(numbers))
            sections.append(motif_page.Section(target, len(numbers), found, matches))
        motif_page.write(partial / motif_page.FILE, sections, described)
        (partial / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
    return described


@contextlib.contextmanager
def _named(target: str) -> Iterator[None]:
    """Have errors begin with the target."""
    try:
        yield
    except ZooError as error:
        raise ZooError(f"{target}: {error}") from None


def _title(motif: meme.Motif) -> str:
    return f"{motif.name} {motif.alternative}".strip()


def _write(
    folder: Path, target: str, names: Sequence[str], found: Sequence[Pattern], matches: Sequence[Match | None]
) -> None:
    """The tables, the MEME file and the pictures of a target."""
    stem = files.of_target(target)
    cores = tuple(
        meme.Motif(one.name, one.frequencies[one.core], one.consensus, sites=len(one.seqlets)) for one in found
    )
    meme.write(folder / f"{stem}.meme", meme.Motifs(cores))
    rows = [PATTERN_COLUMNS]
    for one, match in zip(found, matches, strict=True):
        like = (match.name, f"{match.p_value:.2g}", f"{match.similarity:.3f}") if match else ("", "", "")
        rows.append((one.name, str(len(one.seqlets)), one.consensus, *like))
    _write_table(folder / f"{stem}.patterns.tsv", rows)
    places = [HIT_COLUMNS]
    for seqlet, one in patterns.hits(found):
        place = str(seqlet.start + 1), str(seqlet.end), seqlet.strand
        places.append((names[seqlet.sequence], *place, one.name, f"{seqlet.contribution:.5g}"))
    _write_table(folder / f"{stem}.hits.tsv", places)
    titles = [
        f"{one.consensus}\n{len(one.seqlets)} seqlets"
        + (f", like {match.name} ({match.similarity:.2f})" if match else "")
        for one, match in zip(found, matches, strict=True)
    ]
    logos.overview(titles, [one.contributions[one.shown] for one in found], folder / f"{stem}.patterns.png")
    (folder / logos.FOLDER).mkdir(exist_ok=True)
    for one in found:
        logos.save(one.contributions[one.shown], folder / logos.FOLDER / f"{stem}.{one.name}.png", one.name, LOGO_WIDTH)


def _write_table(path: Path, rows: Sequence[Sequence[str]]) -> None:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), "utf-8", "surrogateescape")


def _described(found: Sequence[Pattern], matches: Sequence[Match | None], sequences: int) -> dict[str, Any]:
    return {
        "sequences": sequences,
        "patterns": [
            {
                "name": one.name,
                "seqlets": len(one.seqlets),
                "consensus": one.consensus,
                "like": dataclasses.asdict(match) if match else None,
            }
            for one, match in zip(found, matches, strict=True)
        ],
    }


def findings(described: dict[str, Any]) -> list[str]:
    """What a run found, from its description, a line each."""
    lines = []
    for target, found in described["targets"].items():
        shown_first = ", ".join(
            f"{one['consensus']} ({one['seqlets']}{' ' + one['like']['name'] if one['like'] else ''})"
            for one in found["patterns"][:SHOWN]
        )
        lines.append(f"{target}: {len(found['patterns'])} patterns in {found['sequences']:,} sequences; {shown_first}")
    known = described["known"]
    if known and known["motifs"] < similarity.FEW:
        lines.append(f"{known['file']}: with {known['motifs']} known motifs, p-values are rough; go by the similarity")
    return lines
