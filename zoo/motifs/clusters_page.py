"""The page of `zoo explain --clusters`: what was found, the figure, the motifs of each cluster, and why so many."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import counted
from zoo.motifs import clustering, features, results

MOST_MOTIFS = 12
"""Rows for a cluster on the page; the table has all."""

STRUCTURES = ((0.7, "strong"), (0.5, "reasonable"), (0.25, "weak"), (-1.0, "hardly any"))
"""Least silhouette -> what it says about the structure (Kaufman and Rousseeuw 1990, doi:10.1002/9780470316801)."""

ONE_COLUMNS = ("motif or word", "target", "has it", "uses it", "contribution")
"""Columns for a single cluster; with several, these follow."""

MORE_COLUMNS = (
    *("elsewhere: has it", "elsewhere: uses it", "elsewhere: contribution"),
    *("difference", "95% interval", "q"),
)

TRIED_COLUMNS = ("clusters", "silhouette", "p", "adjusted Rand index", "least stable cluster", "smallest cluster")

READING = f"""
A sequence <b>has</b> a motif if its bases match it, and <b>uses</b> it if the network also prefers these bases there.
Words have {features.WORD} bases; they count outside of known motifs, on both strands. Contributions are means over
sequences. <b>Elsewhere</b> is in all other clusters. The clusters were made from these contributions, so q (Benjamini
and Hochberg, of a rank test) says which motifs differ most. Whether there are clusters is decided below.
"""

CHOICE = f"""
A number of clusters is accepted if each of them has {clustering.LEAST_MEMBERS} sequences or more, and a Jaccard index
of {clustering.STABLE} or more in bootstrap samples, and if p is at most {clustering.LARGEST_P}. This p is the share of
clouds of random points without clusters whose silhouette is as large. The accepted number with the largest silhouette
is taken. Where p is empty, it was not needed.
"""


def headline(described: Mapping[str, Any]) -> str:
    """What was found, in one line."""
    number, sequences = len(described["clusters"]), counted(described["sequences"], "sequences")
    chosen = described["chosen"]
    if chosen is None:
        return f"one cluster: {sequences} form no separate groups ({_why_one(described['tried'])})"
    facts = f"silhouette {chosen['silhouette']:.2f}, adjusted Rand index {chosen['rand']:.2f} in bootstrap samples"
    if not chosen["accepted"]:
        return f"{number} clusters of {sequences}, as you asked, but they are not separate: {facts}; {_why_not(chosen)}"
    structure = next(words for least, words in STRUCTURES if chosen["silhouette"] >= least)
    return f"{number} clusters of {sequences}, {structure} structure: {facts}, p {chosen['p']:.2g}"


def _why_one(tried: Sequence[Mapping[str, Any]]) -> str:
    if not tried:
        return f"all are alike, or there are fewer than {2 * clustering.LEAST_MEMBERS}"
    best = max(tried, key=lambda one: one["silhouette"])
    return f"the largest silhouette is {best['silhouette']:.2f} for {best['clusters']} clusters; {_why_not(best)}"


def _why_not(division: Mapping[str, Any]) -> str:
    """Why a number of clusters was not accepted."""
    if division["smallest"] < clustering.LEAST_MEMBERS:
        return f"the smallest cluster has {counted(division['smallest'], 'sequences')}"
    if division["jaccard"] < clustering.STABLE:
        return f"one cluster is not found again in bootstrap samples, its Jaccard index is {division['jaccard']:.2f}"
    return f"clouds without clusters have as large a silhouette, p {division['p']:.2g}"


def write(path: Path, described: Mapping[str, Any], figure: bytes, unit: str) -> None:
    """Write the page. described: the description of the run.  figure: SVG.  unit: of predictions and contributions."""
    first = headline(described)
    image = f"data:image/svg+xml;base64,{base64.b64encode(figure).decode()}"
    content = [
        f"<p class=first>{html.escape(first[0].upper() + first[1:])}.</p>\n",
        f"<p>{html.escape(_variance(described))}</p>\n",
        f'<div class=scroll><img class=figure src="{image}" alt="{html.escape(first)}"></div>\n',
        *(_cluster(one, len(described["clusters"]) > 1, unit) for one in described["clusters"]),
        f"<h2>How to read the tables</h2>\n<p>{READING}</p>\n",
        f"<h2>How many clusters</h2>\n<p>{CHOICE}</p>\n" + _tried(described["tried"]),
        results.about(
            described["explanation"],
            results.known_words(described["known"]) or "no known motifs, only words",
            described["command"] or "zoo explain --clusters",
            described["version"],
        ),
    ]
    results.write_page(path, "Clusters of sequences by their contributions", "".join(content))


def _variance(described: Mapping[str, Any]) -> str:
    start = (
        "Contributions are divided by their norm in each sequence, so that the height of a prediction does not count."
    )
    if len(described["clusters"]) < 2:
        return start
    listed = " and ".join(f"{share:.0%} of that of {name}" for name, share in described["variance_explained"].items())
    return f"{start} Of the variance of the predictions, the clusters explain {listed}."


def _cluster(one: Mapping[str, Any], several: bool, unit: str) -> str:
    """A cluster as HTML: size, predictions, and the motifs that distinguish it; of a single cluster, the largest."""
    rows = [row for row in one["motifs"] if row["distinguishes"] or not several]
    if not several:
        rows.sort(key=lambda row: -abs(row["contribution"]))
    names = ", ".join(dict.fromkeys(row["name"].split(" ")[0] for row in rows[:3])) or "no motif of its own"
    title = f"Cluster {one['cluster']}: {counted(one['sequences'], 'sequences')}, {names}"
    means = "; ".join(
        f"{target} {mean['mean']:.2f}{'' if mean['low'] is None else f' ({_interval(mean)})'}"
        for target, mean in one["predictions"].items()
    )
    more = f" The first {MOST_MOTIFS} of {len(rows)} rows are here; cluster_motifs.tsv has all."
    text = (
        f"Mean predictions ({unit}): {means}. Nearest to the centre: {', '.join(one['typical'])}."
        f"{more if len(rows) > MOST_MOTIFS else ''}"
    )
    columns = (*ONE_COLUMNS, *(MORE_COLUMNS if several else ()))
    table = _table(columns, [_row(row, several) for row in rows[:MOST_MOTIFS]]) if rows else ""
    return f"<h2>{html.escape(title)}</h2>\n<p>{html.escape(text)}</p>\n{table}"


def _interval(of: Mapping[str, Any]) -> str:
    return "" if of["low"] is None else f"{of['low']:.2f} to {of['high']:.2f}"


def _row(row: Mapping[str, Any], several: bool) -> list[str]:
    cells = [row["name"], row["target"], f"{row['present']:.0%}", f"{row['used']:.0%}", f"{row['contribution']:.3f}"]
    if several:
        cells += [f"{row['present_elsewhere']:.0%}", f"{row['used_elsewhere']:.0%}"]
        cells += [f"{row['contribution_elsewhere']:.3f}", f"{row['difference']:.3f}", _interval(row), f"{row['q']:.1e}"]
    return cells


def _tried(tried: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            f"{one['clusters']}{', accepted' if one['accepted'] else ''}",
            f"{one['silhouette']:.3f}",
            "" if one["p"] is None else f"{one['p']:.3f}",
            f"{one['rand']:.3f}",
            f"{one['jaccard']:.3f}",
            f"{one['smallest']:,}",
        ]
        for one in tried
    ]
    return _table(TRIED_COLUMNS, rows) if rows else "<p>None were tried.</p>\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells that begin with a digit or a sign are aligned as numbers."""
    header = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
    return f"<div class=scroll><table class=lines><tr>{header}</tr>\n{lines}</table></div>\n"


def _cell(text: str) -> str:
    number = text[:1].isdigit() or text[:1] == "-"
    return f"<td{' class=number' if number else ''}>{html.escape(text)}</td>"
