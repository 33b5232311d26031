"""Stored comparisons and searches -> the drawn parts of docs/models.md: python -m benchmarks.models_page

A drawn part stands between two comments that name it; what is around them is written by hand. No figure within is.
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
"""Picture of a search -> its text."""

SENTENCES = {
    "better": "is better than",
    "worse": "is worse than",
    "no clear difference": "shows no clear difference from",
}

WIDTH = 120
"""Characters of a line of the page."""


def main() -> None:
    text = PAGE.read_text("utf-8")
    for name, lines in parts().items():
        text = replaced(text, name, lines)
    PAGE.write_text(text, "utf-8")
    for path in _stored(COMPARISONS):
        draw(json.loads(path.read_text("utf-8")), _picture(path))


def parts() -> dict[str, list[str]]:
    """Name of a drawn part of the page -> its lines, from the stored results."""
    comparisons = [line for path in _stored(COMPARISONS) for line in comparison(path)]
    return {"comparison": comparisons, "search": search(SEARCH)}


def replaced(text: str, name: str, lines: list[str]) -> str:
    """The page with these lines between the two comments. Raises ValueError if it does not have them once each."""
    begin, end = f"<!-- {name}: drawn by python -m benchmarks.models_page -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin)}\n.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"{PAGE}: expected {begin} and {end}, once each")
    between = "\n".join(lines).strip()
    return pattern.sub(lambda _: f"{begin}\n\n{between}\n\n{end}", text)


def comparison(path: Path) -> list[str]:
    """What the page says of one stored comparison."""
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
            f"{sides}; {data['evolved_share']:.0%} of the sequences evolved from windows. They lie in blocks of "
            f"{data['block_bases']:,} bases, each on one side. A perfect model would reach r = {ceiling} on the test "
            f"blocks. {_recipes(models)}"
        ),
        "",
        *_paragraph(
            f"Pearson r on the test blocks, averaged over the trainings of a model, and its difference from "
            f"`{reference}`, with 95% intervals by bootstrap over blocks and trainings. Operations of one sequence, a "
            "multiplication and an addition each; sequences a second on one thread, the models in turns."
        ),
        "",
        *table(_rows(document)),
        "",
        f"![Accuracy of each model, and its difference from {reference}]({_picture(path).name})",
        "",
        "The trainings, and the share of the ceiling that they reach:",
        "",
        *table(_details(document)),
        "",
        *_paragraph(on_machine(document)),
        "",
    ]


def search(folder: Path) -> list[str]:
    """What the page says of the stored search, whatever came out."""
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
            f"{sum(float(trial['seconds'] or 0) for trial in trials) / 60:.0f} minutes of training. The best, as "
            "`zoo train` takes it:"
        ),
        "",
        *(f"    {line}".rstrip() for line in best.splitlines()),
        "",
        *_paragraph(
            f"Then it and the models that it is against were trained {len(document['models'][0]['runs'])} times each "
            "on the same data, and only then were the test blocks looked at:"
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
    """What the confirmation says of each model that was found, in sentences."""
    found = []
    for one in document["models"]:
        for reference in document["references"]:
            if one["model"] in document["references"]:
                continue
            for target, measured in one["targets"].items():
                differences = measured["differences"][reference]
                said = SENTENCES[differences[METRIC]["verdict"]]
                found.append(f"{target}: {one['model']} {said} `{reference}`, {_shown(_difference(differences), '+')}")
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
                row[f"{target}: from {reference}"] = _told(found["differences"].get(reference))
        row["operations"] = one["operations"]
        row |= {
            f"sequences a second, {runtime}": f"{found['rate']:,}" + _ran(runtime, found["runtime"])
            for runtime, found in one["sequences_per_second"].items()
        }
        rows.append(row)
    return rows


def _told(differences: dict[str, Any] | None) -> str:
    """The difference from a reference and what it says; nothing for the reference itself."""
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
    """Where trainings differ from the recipe of their model, by the options of their commands."""
    changed: dict[str, list[str]] = {}
    for one in models:
        given = re.findall(r"--(?:precision|epochs|patience) \S+", one["runs"][0]["command"])
        changed.setdefault(" and ".join(f"`{option}`" for option in given), []).append(f"`{one['model']}`")
    but = "; ".join(f"{', '.join(names)} with {options}" for options, names in changed.items() if options)
    return f"Each model by its own recipe, but for {but}." if but else "Each model by its own recipe."


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
