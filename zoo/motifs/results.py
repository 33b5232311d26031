"""What `zoo motifs` and `zoo explain --clusters` share: the motifs that they know, their tables and their page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.formats import meme
from zoo.motifs import known_motifs
from zoo.prediction import description

PAGE = Path(__file__).with_name("motifs_page.html")

TITLE_MARK, CONTENT_MARK = "{{TITLE}}", "{{CONTENT}}"
"""Placeholders in the page."""

BUNDLED = "bundled"
"""In the description, for the known motifs of known_motifs.py."""


def read_known(known: Path | None) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
    """The motifs in a MEME file, name and alternative -> frequencies, float64 (W, 4), and a description of the file.
    None is no motifs."""
    if known is None:
        return {}, None
    motifs = {f"{one.name} {one.alternative}".strip(): one.probabilities for one in meme.read(known).motifs}
    return motifs, {"file": BUNDLED if known == known_motifs.FILE else str(known), "motifs": len(motifs)}


def known_words(known: Mapping[str, Any] | None) -> str | None:
    """The description of read_known in words; None without motifs."""
    if known is None:
        return None
    name = "motifs of fly enhancers and core promoters" if known["file"] == BUNDLED else known["file"]
    return f"{known['motifs']:,} known motifs: {name}"


def about(explanation: Mapping[str, Any], motifs: str, command: str, version: str) -> str:
    """What was explained with which weights, as HTML. explanation: description of the run of zoo explain.
    motifs: what was done with known motifs."""
    weights, options = explanation["weights"], explanation["options"]
    shuffles = f" against {options['shuffles']} shuffles" if options["method"] == "deeplift" else ""
    lines = [
        f"{description.name(weights)} ({weights['architecture']}, {weights['id'][:12]}): {weights['source']}",
        f"contributions by {options['method']}{shuffles}; {motifs}",
        f"{command} (zoo {version})",
    ]
    return "".join(f"<p>{html.escape(line)}</p>\n" for line in lines)


def write_page(path: Path, title: str, content: str) -> None:
    """Write a page that needs no other file. title: text.  content: HTML."""
    page = PAGE.read_text("utf-8").replace(TITLE_MARK, html.escape(title)).replace(CONTENT_MARK, content)
    path.write_text(page, "utf-8", "replace")


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write tab-separated text."""
    lines = ("\t".join(map(str, row)) + "\n" for row in (columns, *rows))
    path.write_text("".join(lines), "utf-8", "surrogateescape")
