"""report.html: a page about a study, with the pictures in the same folder."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import zoo
from zoo.errors import counted
from zoo.evaluation.metrics import Interval
from zoo.search import figures, results
from zoo.search.confirm import Confirmation
from zoo.search.study import Study
from zoo.system.atomic import replacing

REPORT = "report.html"

SHOWN = 20
"""Trials in the table of the page; trials.tsv has all."""

TEXTS = {
    figures.HISTORY: "The value of each trial, and the best so far.",
    figures.IMPORTANCE: "Share of the variance of the first objective that each setting explains alone, relative to "
    "the others (fANOVA, Hutter et al. 2014). Settings that not every trial has, such as those of a layer that may be "
    "absent, are left out.",
    figures.PARALLEL: "Each line is a trial and passes through its settings.",
    figures.FRONT: "Accuracy against cost. No trial beats a trial of the front in both.",
}

STYLE = """body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 13px }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
img { max-width: 100% } code { background: #f4f4f4; padding: .1rem .3rem } figcaption { color: #555 }"""


def write(study: Study, comparisons: Sequence[Confirmation], command: str) -> None:
    """Draw the pictures, and write the page around them."""
    pictures = figures.draw(study)
    with replacing(study.folder / REPORT, overwrite=True) as partial:
        partial.write_text(_page(study, comparisons, command, pictures), "utf-8")


def _page(study: Study, comparisons: Sequence[Confirmation], command: str, pictures: Sequence[str]) -> str:
    title = f"Search in {study.space.source}"
    states = [row["state"] for row in results.rows(study)]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    size = study.space.size()
    points = "a continuous search space" if size is None else f"a search space of {size:,} points"
    objectives = ", ".join(f"{one} ({one.direction}d)" for one in study.objectives)
    options = study.options
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{counted(len(states), 'trials')} ({counts}) of {points}; objective: {html.escape(objectives)}, on the "
        f"validation split; {options.sampler}, pruner {options.pruner}, seed {options.seed}; deepstarr-zoo "
        f"{zoo.__version__}.</p>",
        f"<p><code>{html.escape(command)}</code></p>" if command else "",
        _confirmation(comparisons, len(states)),
    ]
    for name in pictures:
        parts.append(f'<figure><img src="{name}" alt="{html.escape(TEXTS[name])}">')
        parts.append(f"<figcaption>{html.escape(TEXTS[name])}</figcaption></figure>")
    parts.append(_trials(study))
    body = "\n".join(part for part in parts if part)
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _confirmation(comparisons: Sequence[Confirmation], trials: int) -> str:
    if not comparisons:
        return (
            f"<p>Not confirmed: the best of {trials} trials is partly the luckiest. <code>--confirm</code> trains it "
            "again with other seeds and compares it on the test split.</p>"
        )
    lines = "".join(f"<li>{html.escape(one.words)}</li>" for one in comparisons)
    rows = [
        [one.first, one.second, f"{one.metric}:{one.target}", interval(one.first_score), interval(one.second_score),
         interval(one.found.interval, "+"), one.found.verdict]
        for one in comparisons
    ]  # fmt: skip
    names = ["first", "second", "metric", "first, test", "second, test", "difference", "verdict"]
    return f"<h2>Confirmed on the test split</h2><ul>{lines}</ul>{_table(names, rows)}"


def interval(found: Interval | None, sign: str = "") -> str:
    """A value and its interval."""
    if found is None:
        return "not defined"
    return f"{found.value:{sign}.4f} ({found.low:{sign}.4f} to {found.high:{sign}.4f})"


def _trials(study: Study) -> str:
    order = [trial.number for trial in study.finished()][:SHOWN]
    rows = {row["trial"]: row for row in results.rows(study)}
    names = results.columns(study)[:-1]
    cells = [[_cell(rows[number].get(name)) for name in names] for number in order]
    return f"<h2>The best {counted(len(cells), 'trials')}</h2>{_table(names, cells)}" if cells else ""


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
