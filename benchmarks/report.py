"""Write docs/benchmarks.md and its plots from stored results: python -m benchmarks.report [RESULT.json ...]

Without arguments it reads all files of pytest-benchmark, benchmarks/results/*.json, and then those of noise_ceiling.py.
No number on the page is typed by hand. A run of the benchmarks prints the same tables, see conftest.py.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
SHARED = 0.02
"""Share of stalled time above which the page says that a machine is shared."""

LEFT_OUT = "left out"
"""Key of extra_info under which a benchmark lists what it left out and why."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
HEAD = """# Benchmarks

`python -m benchmarks.report` writes this page from the files in `benchmarks/results/`. Each file was written by

    pytest benchmarks --benchmark-json=benchmarks/results/NAME.json

Rates are the best of several turns. The programs of one table took turns in one run, so compare numbers within a table,
not between tables. Sequences and weights are random; the speed does not depend on them.
"""

CEILING_HEAD = """## Training on noisy labels

`python -m benchmarks.noise_ceiling` trains on genome windows that a teacher labels. Noise is added to the labels until
the teacher itself, a perfect model, reaches only r = 0.80 on the training windows. The ceiling below is its r on
held-out windows. The last column is r with the labels before the noise.
"""

Rows = list[dict[str, Any]]


def main(paths: list[Path]) -> None:
    text = [HEAD]
    for path in paths or sorted(RESULTS.glob("*.json"), key=lambda path: path.stem):
        document = json.loads(path.read_text("utf-8"))
        groups = _groups(document)
        text += [f"## {path.stem}", "", on_machine(document), ""]
        for plot in _plots(groups, PAGE.parent, path.stem):
            text += [f"![{plot.stem}]({plot.name})", ""]
        for name, rows in groups.items():
            text += [f"### {_title(name)}", "", *table(rows), ""]
    text += _ceilings(sorted((RESULTS / "noise_ceiling").glob("*.json")))
    PAGE.write_text("\n".join(text).rstrip() + "\n", "utf-8")


def on_terminal(document: dict[str, Any], width: int) -> str:
    """The description of the machine and the tables of the page, wrapped to `width` columns."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, markup=False)
    console.print(on_machine(document).replace("**", ""))
    for name, rows in _groups(document).items():
        columns, cells = _cells(rows)
        drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for column in columns:
            numbers = all(isinstance(row.get(column, 0), (int, float)) for row in rows)
            drawn.add_column(column, justify="right" if numbers else "left")
        for row in cells:
            drawn.add_row(*row)
        console.print(f"\n{_title(name)}\n")
        console.print(drawn)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def left_out(document: dict[str, Any]) -> list[str]:
    """What the benchmarks left out, one line each."""
    lines = [line for entry in document["benchmarks"] for line in entry["extra_info"].get(LEFT_OUT, ())]
    return list(dict.fromkeys(lines))


def _groups(document: dict[str, Any]) -> dict[str, Rows]:
    groups: dict[str, Rows] = {}
    for entry in document["benchmarks"]:
        info = entry["extra_info"]
        groups.setdefault(info["table"], []).extend(info["rows"])
    return groups


def on_machine(document: dict[str, Any]) -> str:
    """Describe machine, libraries, date and commit of a result."""
    machine = document["machine_info"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    text = (
        f"{machine['cpu']['brand_raw']}, {machine['cores']} cores{gpu}; {machine['system']}, Python "
        f"{machine['python_version']}; {libraries}; measured {document['datetime'][:10]} at commit "
        f"{document['commit_info']['id'][:7]}."
    )
    if machine["stalled"] > SHARED:
        text += (
            f" **The machine was shared: its cores were stalled {machine['stalled']:.0%} of the time.** Rates "
            "of short turns are hardly affected. Times of whole commands include the stalls: only their ratios "
            "mean something, and only roughly."
        )
    return text


def _ceilings(paths: list[Path]) -> list[str]:
    rows: Rows = []
    for path in paths:
        document = json.loads(path.read_text("utf-8"))
        for row in document["held_out_windows"]:
            figures = {name: round(value, 3) for name, value in row.items() if name != "target"}
            windows, epochs = document["data"]["count"], document["epochs"]
            rows.append({"windows": windows, "epochs": epochs, "target": row["target"], **figures})
    return [CEILING_HEAD, *table(rows), ""] if rows else []


def _title(name: str) -> str:
    return f"{name[0].upper()}{name[1:]}"


def table(rows: Rows) -> list[str]:
    columns, cells = _cells(rows)
    lines = [f"| {' | '.join(row)} |" for row in (columns, *cells)]
    return [lines[0], f"|{'---|' * len(columns)}", *lines[1:]]


def _cells(rows: Rows) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and the text of every row."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return columns, [[_cell(row.get(name, "")) for name in columns] for row in rows]


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)


def _plots(groups: dict[str, Rows], folder: Path, stem: str) -> list[Path]:
    """Draw the rates of the model alone, and time and memory by number of records, if they were measured."""
    made = []
    model_only = {name: rows for name, rows in groups.items() if name.startswith("model only")}
    if model_only:
        made.append(_plot_rates(model_only, folder / f"{stem}-model-only.svg"))
    scaling = {name.rpartition(", ")[2]: rows for name, rows in groups.items() if name.startswith("scaling")}
    if scaling:
        made.append(_plot_scaling(scaling, folder / f"{stem}-scaling.svg"))
    return made


def _plot_rates(groups: dict[str, Rows], path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.1 * len(groups)), layout="constrained")
    for axes, (name, rows) in zip(figure.subplots(len(groups), 1, squeeze=False)[:, 0], groups.items(), strict=True):
        rates = [row["sequences a second"] for row in rows]
        colours = [COLOURS[0] if row["way"].startswith("kmer-cpu") else "#999999" for row in rows]
        bars = axes.barh([row["way"] for row in rows], rates, color=colours)
        axes.bar_label(bars, [f"{rate:,}" for rate in rates], padding=3, fontsize=8)
        axes.invert_yaxis()
        axes.set_title(name, loc="left", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.margins(x=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("sequences a second", fontsize=8)
    return _save(figure, path)


def _plot_scaling(groups: dict[str, Rows], path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, (runtime, rows) in zip(COLOURS, groups.items(), strict=False):
        records = [row["records"] for row in rows]
        left.plot(records, [row["seconds"] for row in rows], "o-", color=colour, label=runtime)
        right.plot(records, [row["peak MB"] for row in rows], "o-", color=colour, label=runtime)
    left.set(xscale="log", yscale="log", xlabel="records", ylabel="seconds")
    highest = max(row["peak MB"] for rows in groups.values() for row in rows)
    right.set(xscale="log", ylim=(0, 1.2 * highest), xlabel="records", ylabel="peak memory, MB")
    left.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return _save(figure, path)


def _save(figure: Any, path: Path) -> Path:
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": path.stem}):  # the same results give the same file
        figure.savefig(path, metadata={"Date": None})
    return path


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
