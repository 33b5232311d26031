"""`zoo motifs`: find motifs in the output folder of `zoo explain`. The results appear together or not at all.

TARGET.modisco.h5    all results of modisco-lite, in its own layout; sequences are numbered as in the folder, from 0
TARGET.meme          the frequencies of each pattern, trimmed to its core
TARGET.patterns.tsv  one row for each pattern: seqlets, consensus, the most similar known motif
TARGET.hits.tsv      one row for each seqlet, by sequence and position; start and end are 1-based and inclusive
TARGET.patterns.png  the logos of all patterns; logos/ has them one by one
motifs.html          a page of all patterns
motifs.json          description of the run
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import html
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

import zoo
from zoo.errors import ZooError, counted, require
from zoo.explain import files, logos
from zoo.formats import meme
from zoo.motifs import known_motifs, patterns, results
from zoo.motifs.options import MotifOptions
from zoo.motifs.patterns import Pattern
from zoo.spec import UNIT
from zoo.system.atomic import check_folder_target, replacing_folder
from zoo.weights import lookup

FOLDER = "motifs"
"""Default folder of the results, in the folder of zoo explain."""

DESCRIPTION = "motifs.json"

PAGE_FILE = "motifs.html"

OURS = (
    *("*.modisco.h5", "*.meme", "*.patterns.tsv", "*.patterns.png", "*.hits.tsv"),
    *(DESCRIPTION, PAGE_FILE, f"{logos.FOLDER}/*.png"),
)
"""Files in a folder of results; a folder with any other file is never replaced."""

PATTERN_COLUMNS = ("pattern", "seqlets", "consensus", "like", "p_value", "similarity")

HIT_COLUMNS = ("name", "start", "end", "strand", "pattern", "contribution")

PAGE_COLUMNS = ("pattern", "seqlets", "contributions", "consensus", "most similar motif", "similarity", "p-value")

LOGO_WIDTH, PAGE_LOGO_WIDTH = 4, 3.6
"""Inches of a logo in a file, and on the page."""

MOST_HITS = 500
"""Hits of a pattern on the page; the table has all."""

LISTED = 4
"""Maximum number of patterns in a line on the terminal."""


def check(folder: Path, output: Path, known: Path | None, overwrite: bool) -> None:
    """Raise ZooError, before any work, if the folder cannot be read, a library is missing or `output` exists."""
    files.read(folder)
    require("modiscolite", "motifs", "TF-MoDISco")
    require("logomaker", "explain", "logos")
    check_folder_target(output, overwrite, OURS, [folder, known])


def find(
    folder: Path,
    output: Path,
    options: MotifOptions,
    known: Path | None = known_motifs.FILE,
    overwrite: bool = False,
    command: str = "",
    on_progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Find the patterns in an output folder of `zoo explain`, and return the description of the run.

    known: a MEME file; each pattern gets the name of the most similar motif. None compares with no motifs.
    on_progress: called with what is done next.
    Warns of bundled weights.
    Raises ZooError for another folder, a target that was not explained, too few seqlets, or files that cannot be used.
    """
    explained = files.read(folder)
    lookup.warn_of_imitation(explained.description["weights"]["id"])
    targets = explained.targets(options.targets)
    unit = explained.description["weights"].get("unit", UNIT)  # descriptions of earlier releases have no unit
    motifs, known_described = results.read_known(known)
    described: dict[str, Any] = {
        "command": command,
        "version": zoo.__version__,
        "explanation": explained.description,
        "options": dataclasses.asdict(options),
        "known": known_described,
        "targets": {},
    }
    with replacing_folder(output, overwrite, OURS, [known]) as partial:
        compared = results.known_words(known_described)
        motifs_words = f"compared with {compared}" if compared else "patterns were compared with no known motifs"
        content = results.about(explained.description, motifs_words, command or "zoo motifs", zoo.__version__)
        for place, target in enumerate(targets, 1):
            numbers, one_hot, hypothetical = explained.arrays(target, options.strongest)
            on_progress(f"patterns of {target}, {len(numbers):,} sequences; target {place} of {len(targets)}")
            with _errors_of(target):
                path = partial / f"{files.quoted(target)}.modisco.h5"
                found = patterns.find(one_hot, hypothetical, options, path, numbers)
            if motifs:
                on_progress(f"names of {len(found)} patterns of {target}")
                found = patterns.with_matches(found, motifs)
            _write(partial, target, explained.names, found, unit)
            described["targets"][target] = {"sequences": len(numbers), "patterns": [_described(one) for one in found]}
            content += _section(target, explained.names, len(numbers), found, unit)
        results.write_page(partial / PAGE_FILE, "Patterns found by TF-MoDISco", content)
        (partial / DESCRIPTION).write_text(json.dumps(described, indent=2) + "\n")
    return described


@contextlib.contextmanager
def _errors_of(target: str) -> Iterator[None]:
    """Begin errors with the name of the target."""
    try:
        yield
    except ZooError as error:
        raise ZooError(f"{target}: {error}") from None


def _described(pattern: Pattern) -> dict[str, Any]:
    return {
        "name": pattern.name,
        "seqlets": len(pattern.seqlets),
        "consensus": pattern.consensus,
        "like": dataclasses.asdict(pattern.match) if pattern.match else None,
    }


def _write(folder: Path, target: str, names: Sequence[str], found: Sequence[Pattern], unit: str) -> None:
    """Write the tables, the MEME file and the logos of a target."""
    stem = files.quoted(target)
    motifs = (meme.Motif(one.name, one.core_frequencies, one.consensus, sites=len(one.seqlets)) for one in found)
    meme.write(folder / f"{stem}.meme", meme.Motifs(tuple(motifs)))
    rows = []
    titles = []
    for one in found:
        row, title = [one.name, len(one.seqlets), one.consensus, "", "", ""], f"{len(one.seqlets)} seqlets"
        if one.match:
            row[3:] = one.match.name, f"{one.match.p_value:.2g}", f"{one.match.similarity:.3f}"
            title += f", like {one.match.name} ({one.match.similarity:.2f})"
        rows.append(row)
        titles.append(f"{one.consensus}\n{title}")
    results.write_table(folder / f"{stem}.patterns.tsv", PATTERN_COLUMNS, rows)
    hits = [
        (names[one.sequence], one.start + 1, one.end, one.strand, pattern.name, f"{one.contribution:.5g}")
        for one, pattern in patterns.hits(found)
    ]
    results.write_table(folder / f"{stem}.hits.tsv", HIT_COLUMNS, hits)
    logos.overview(titles, [one.logo for one in found], folder / f"{stem}.patterns.png", unit)
    (folder / logos.FOLDER).mkdir(exist_ok=True)
    for one in found:
        path = folder / logos.FOLDER / f"{stem}.{one.name}.png"
        logos.save_motif(one.logo, path, one.name, LOGO_WIDTH, unit=unit)


def _section(target: str, names: Sequence[str], sequences: int, found: Sequence[Pattern], unit: str) -> str:
    """The patterns of a target as HTML."""
    columns = "".join(f"<th>{name}</th>" for name in PAGE_COLUMNS)
    rows = "".join(_row(one, unit) + _positions(one, names, target, unit) for one in found)
    title = f"{html.escape(target)}: {len(found):,} patterns in {sequences:,} sequences"
    return f"<h2>{title}</h2>\n<table class=patterns>\n<tr>{columns}</tr>\n{rows}</table>\n"


def _row(one: Pattern, unit: str) -> str:
    sign = ", lowers the prediction" if patterns.SIGNS[one.name.split(".")[0]] < 0 else ""
    match = one.match
    cells = (html.escape(match.name), f"{match.similarity:.2f}", f"{match.p_value:.1e}") if match else ("", "", "")
    return (
        f"<tr><td>{one.name}{sign}</td><td class=number>{len(one.seqlets):,}</td>"
        f'<td><img src="{_image(one.logo, unit)}" alt="{one.consensus}"></td>'
        f"<td><code>{one.consensus}</code></td><td>{cells[0]}</td><td class=number>{cells[1]}</td>"
        f"<td class=number>{cells[2]}</td></tr>\n"
    )


def _positions(one: Pattern, names: Sequence[str], target: str, unit: str) -> str:
    """The hits of a pattern, which open on a click: a row of the table of patterns."""
    hits = [hit for hit, _ in patterns.hits([one])]
    table = f"{files.quoted(target)}.hits.tsv"
    more = "" if len(hits) <= MOST_HITS else f"; the first {MOST_HITS:,} of them are here"
    rows = "".join(
        f"<tr><td>{html.escape(names[hit.sequence])}</td><td class=number>{hit.start + 1:,}</td>"
        f"<td class=number>{hit.end:,}</td><td>{hit.strand}</td><td class=number>{hit.contribution:.3f}</td></tr>"
        for hit in hits[:MOST_HITS]
    )
    columns = "".join(f"<th>{name}</th>" for name in (*HIT_COLUMNS[:4], html.escape(logos.contribution(unit))))
    return (
        f"<tr class=hits><td colspan={len(PAGE_COLUMNS)}><details><summary>{len(hits):,} positions of {one.consensus}"
        f'</summary><p>All are in <a href="{html.escape(quote(table))}">{html.escape(table)}</a>{more}.</p>'
        f"<table><tr>{columns}</tr>{rows}</table></details></td></tr>\n"
    )


def _image(scores: np.ndarray, unit: str) -> str:
    """A logo of float (W, 4) as a data URL."""
    drawn = io.BytesIO()
    logos.save_motif(scores, drawn, "", PAGE_LOGO_WIDTH, "svg", unit)
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn.getvalue()).decode()}"


def findings(described: Mapping[str, Any]) -> list[str]:
    """Describe the patterns of a run for the terminal, one line for each target."""
    lines = []
    for target, found in described["targets"].items():
        first = ", ".join(
            f"{one['consensus']} ({one['seqlets']}{' ' + one['like']['name'] if one['like'] else ''})"
            for one in found["patterns"][:LISTED]
        )
        lines.append(
            f"{target}: {counted(len(found['patterns']), 'patterns')} in {counted(found['sequences'], 'sequences')}; "
            f"{first}"
        )
    known = described["known"]
    if known and known["motifs"] < patterns.FEW_MOTIFS:
        lines.append(
            f"{known['file']}: p-values are rough with only {known['motifs']} known motifs; compare the similarity"
        )
    return lines
