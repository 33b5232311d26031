"""Write the generated parts of docs/models.md from stored comparisons and searches: python -m benchmarks.models_page

A generated part is between two comments with its name; no number in it is typed by hand. The rest of the page is.
"""

from __future__ import annotations

import csv
import json
import re
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT
from benchmarks.report import RESULTS, Rows, on_machine, table
from zoo.evaluation.metrics import Interval

PAGE = ROOT / "docs" / "models.md"
COMPARISONS = RESULTS / "comparison"
SEARCH = RESULTS / "search"
METRIC = "pearson"

PICTURES = {
    "history": "Every trial in order, and the best so far",
    "importance": "Importance of each setting",
    "parallel": "The settings of the trials in parallel coordinates",
    "cost": "Accuracy against arithmetic",
}
"""Picture of a search -> its caption."""

SENTENCES = {
    "better": "is better than",
    "worse": "is worse than",
    "no clear difference": "shows no clear difference from",
}

WIDTH = 120
"""Characters in a line of the page."""


def main() -> None:
    text = PAGE.read_text("utf-8")
    for name, lines in parts().items():
        text = replaced(text, name, lines)
    PAGE.write_text(text, "utf-8")
    for path in _stored(COMPARISONS):
        draw(json.loads(path.read_text("utf-8")), _picture(path))


def parts() -> dict[str, list[str]]:
    """Name of a generated part of the page -> its lines."""
    comparisons = [line for path in _stored(COMPARISONS) for line in comparison(path)]
    return {"comparison": comparisons, "search": search(SEARCH)}


def replaced(text: str, name: str, lines: list[str]) -> str:
    """Replace the lines between the two comments of a part. Raises ValueError unless the page has each comment once."""
    begin, end = f"<!-- {name}: drawn by python -m benchmarks.models_page -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"{PAGE}: expected {begin} and {end}, once each")
    between = "\n".join(lines).strip()
    return pattern.sub(lambda _: f"{begin}\n\n{between}\n\n{end}", text)


def comparison(path: Path) -> list[str]:
    """The lines about one stored comparison."""
    document = json.loads(path.read_text("utf-8"))
    data, models = document["data"], document["models"]
    sides = ", ".join(f"{data[side]:,} for {side}" for side in ("train", "validation", "test"))
    ceiling = " and ".join(f"{found['value']:.3f} ({target})" for target, found in document["ceiling"].items())
    (reference,) = document["references"]
    return [
        f"From `{path.relative_to(ROOT)}`, which this command wrote:",
        "",
        f"    {document['command']}",
        "",
        *_paragraph(
            f"The data are {sides}; {data['evolved_share']:.0%} of the sequences evolved from windows. All sequences "
            f"of a block of {data['block_bases']:,} bases are in one split. A perfect model would reach r = {ceiling} "
            f"on the test blocks. {_recipes(models)}"
        ),
        "",
        *_paragraph(
            f"Pearson r on the test blocks is the mean over the trainings of a model; its difference is from "
            f"`{reference}`. The 95% intervals are from a bootstrap over blocks and trainings. Operations are the "
            "multiplications and additions for one sequence. Speed was measured on one thread, the models in turns."
        ),
        "",
        *table(_rows(document)),
        "",
        f"![Accuracy of each model, and its difference from {reference}]({_picture(path).name})",
        "",
        "The trainings, and how much of the ceiling they reach:",
        "",
        *table(_details(document)),
        "",
        *_paragraph(on_machine(document)),
        "",
    ]


def search(folder: Path) -> list[str]:
    """The lines about the stored search."""
    document = json.loads((folder / "confirm.json").read_text("utf-8"))
    with (folder / "trials.tsv").open(newline="") as file:
        trials = list(csv.DictReader(file, delimiter="\t"))
    states = Counter(trial["state"] for trial in trials)
    best = (folder / "best.toml").read_text("utf-8")
    pictures = {path.stem: path for path in sorted(folder.glob("*.png"))}
    return [
        f"In `{folder.relative_to(ROOT)}/`, written by `{document['command']}`, which runs",
        "",
        f"    {document['search']}",
        "",
        *_paragraph(
            f"{len(trials)} trials: {', '.join(f'{count} {state}' for state, count in states.most_common())}, "
            f"{sum(float(trial['seconds'] or 0) for trial in trials) / 60:.0f} minutes of training. The settings of "
            "the best trial, for `zoo train`:"
        ),
        "",
        *(f"    {line}".rstrip() for line in best.splitlines()),
        "",
        *_paragraph(
            f"These settings and the models to compare with were then trained "
            f"{len(document['models'][0]['runs'])} times each on the same data, and compared on the test blocks, "
            "which nothing had used before:"
        ),
        "",
        *(f"- {line}" for line in _words(document)),
        "",
        *table(_rows(document)),
        "",
        *(f"![{PICTURES.get(name, name)}]({_from_page(path)})" for name, path in pictures.items()),
        "",
        *_paragraph(on_machine(document)),
        "",
    ]


def _words(document: dict[str, Any]) -> list[str]:
    """The results of the confirmation, one sentence for each model that was found."""
    found = []
    for one in document["models"]:
        for reference in document["references"]:
            if one["model"] in document["references"]:
                continue
            for target, measured in one["targets"].items():
                differences = measured["differences"][reference]
                verdict = SENTENCES[differences[METRIC]["verdict"]]
                found.append(
                    f"{target}: {one['model']} {verdict} `{reference}`, {_shown(_difference(differences), '+')}"
                )
    return found


def _from_page(path: Path) -> str:
    return f"../{path.relative_to(ROOT).as_posix()}"


def draw(document: dict[str, Any], path: Path) -> None:
    """The figure of a stored comparison."""
    from zoo.evaluation import figures

    targets = tuple(document["ceiling"])
    (reference,) = document["references"]
    figures.comparison(
        {one["model"]: [_interval(one["targets"][target][METRIC]) for target in targets] for one in document["models"]},
        {
            one["model"]: [_difference(one["targets"][target]["differences"][reference]) for target in targets]
            for one in document["models"]
            if one["model"] != reference
        },
        reference,
        targets,
        METRIC,
        path,
    )


def _rows(document: dict[str, Any]) -> Rows:
    """Accuracy and cost of each model, side by side."""
    rows: Rows = []
    for one in document["models"]:
        row: dict[str, Any] = {"model": one["model"]}
        for target, found in one["targets"].items():
            row[f"{target} r"] = _shown(_interval(found[METRIC]))
        for reference in document["references"]:
            for target, found in one["targets"].items():
                row[f"{target}: from {reference}"] = _difference_and_verdict(found["differences"].get(reference))
        row["operations"] = one["operations"]
        row |= {
            f"sequences a second, {runtime}": f"{found['rate']:,}" + _ran(runtime, found["runtime"])
            for runtime, found in one["sequences_per_second"].items()
        }
        rows.append(row)
    return rows


def _difference_and_verdict(differences: dict[str, Any] | None) -> str:
    """The difference from a reference and its verdict; nothing for the reference itself."""
    if differences is None:
        return ""
    return f"{_shown(_difference(differences), '+')} {differences[METRIC]['verdict']}"


def _details(document: dict[str, Any]) -> Rows:
    rows: Rows = []
    for one in document["models"]:
        runs = one["runs"]
        row: dict[str, Any] = {
            "model": one["model"],
            "numbers": one["numbers"],
            "trainings": len(runs),
            "best epoch": ", ".join(str(run["best_epoch"]) for run in runs),
            "minutes": ", ".join(f"{run['seconds'] / 60:.0f}" for run in runs),
        }
        for target, found in one["targets"].items():
            row[f"{target} r of the ceiling"] = _share(found[METRIC], document["ceiling"][target])
            row[f"{target} r without noise"] = _shown(_interval(found["pearson_without_noise"]))
        rows.append(row)
    return rows


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _recipes(models: list[dict[str, Any]]) -> str:
    """List the options of trainings that differ from the recipe of their model."""
    changed: dict[str, list[str]] = {}
    for one in models:
        given = re.findall(r"--(?:precision|epochs|patience) \S+", one["runs"][0]["command"])
        changed.setdefault(" and ".join(f"`{option}`" for option in given), []).append(f"`{one['model']}`")
    but = "; ".join(f"{', '.join(names)} with {options}" for options, names in changed.items() if options)
    return (
        f"Each model was trained by its own recipe, except {but}."
        if but
        else "Each model was trained by its own recipe."
    )


def _ran(asked: str, ran: str) -> str:
    return "" if asked == ran else f" ({ran})"


def _share(found: dict[str, float] | None, ceiling: dict[str, float]) -> str:
    return "" if found is None else f"{found['value'] / ceiling['value']:.0%}"


def _interval(found: dict[str, float] | None) -> Interval | None:
    return None if found is None else Interval(found["value"], found["low"], found["high"])


def _difference(differences: dict[str, Any]) -> Interval | None:
    found = differences[METRIC]
    return None if found["difference"] is None else Interval(found["difference"], found["low"], found["high"])


def _shown(found: Interval | None, sign: str = "") -> str:
    return (
        "not defined" if found is None else f"{found.value:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"
    )


def _picture(path: Path) -> Path:
    return PAGE.with_name(f"models-{path.stem}.png")


def _stored(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


if __name__ == "__main__":
    main()
