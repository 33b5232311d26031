"""motifs.html: the patterns of every target with their logos, on one page that needs no network and no other file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from zoo.explain import logos
from zoo.motifs.patterns import SIGNS, Pattern
from zoo.motifs.similarity import Match

FILE = "motifs.html"

WIDTH = 3.6
"""Inches of a logo."""

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>Patterns</title>
<style>
:root { color-scheme: light dark; }
body { margin: 16px 20px; font: 14px/1.45 system-ui, sans-serif; }
p { opacity: .75; max-width: 110ch; overflow-wrap: anywhere; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: 4px 14px 4px 0; border-bottom: 1px solid rgba(127, 140, 155, .4); }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
code { font-size: 15px; }
img { display: block; height: 92px; background: #fff; border-radius: 4px; }
</style>
</head>
<body>
<h1>Patterns of TF-MoDISco</h1>
"""

LESSENS = {group: " lessens" if sign < 0 else "" for group, sign in SIGNS.items()}


class Section(NamedTuple):
    """A target: sequences that were looked at, patterns, and what each is like."""

    target: str
    sequences: int
    patterns: Sequence[Pattern]
    matches: Sequence[Match | None]


def write(path: Path, sections: Sequence[Section], described: dict[str, Any]) -> None:
    """Write the page. described: the description of the run."""
    parts = [HEAD, f"<p>{html.escape(described['command'])} (zoo {described['version']})</p>\n"]
    for section in sections:
        parts.append(f"<h2>{html.escape(section.target)}: {section.sequences:,} sequences</h2>\n<table>\n<tr>")
        parts += [f"<th>{name}</th>" for name in ("pattern", "seqlets", "contributions", "consensus", "like")]
        parts.append("<th>similarity</th><th>p-value</th></tr>\n")
        parts += [_row(one, match) for one, match in zip(section.patterns, section.matches, strict=True)]
        parts.append("</table>\n")
    path.write_text("".join([*parts, "</body>\n</html>\n"]), "utf-8", "replace")


def _row(one: Pattern, match: Match | None) -> str:
    like = (html.escape(match.name), f"{match.similarity:.2f}", f"{match.p_value:.1e}") if match else ("", "", "")
    sign = LESSENS[one.name.split(".")[0]]
    return (
        f"<tr><td>{one.name}{sign}</td><td class=number>{len(one.seqlets):,}</td>"
        f'<td><img src="{_picture(one.contributions[one.shown])}" alt="{one.consensus}"></td>'
        f"<td><code>{one.consensus}</code></td><td>{like[0]}</td><td class=number>{like[1]}</td>"
        f"<td class=number>{like[2]}</td></tr>\n"
    )


def _picture(scores: np.ndarray) -> str:
    """A logo of float (W, 4) as an address that holds it."""
    drawn = io.BytesIO()
    logos.save(scores, drawn, "", WIDTH, "svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn.getvalue()).decode()}"
