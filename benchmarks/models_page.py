"""Stored comparisons and searches -> the drawn parts of docs/models.md: python -m benchmarks.models_page

A drawn part stands between two comments that name it; what is around them is written by hand. No figure within is.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT
from benchmarks.report import RESULTS, Rows, on_machine, table
from zoo.evaluation.metrics import Interval

PAGE = ROOT / "docs" / "models.md"
COMPARISONS = RESULTS / "comparison"
METRIC = "pearson"
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
    return {"comparison": comparisons}


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
    reference = models[0]["reference"]
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


def draw(document: dict[str, Any], path: Path) -> None:
    """The figure of a stored comparison."""
    from zoo.evaluation import figures

    models = document["models"]
    targets = tuple(document["ceiling"])
    figures.comparison(
        {one["model"]: [_interval(one["targets"][target][METRIC]) for target in targets] for one in models},
        {one["model"]: [_difference(one["targets"][target]) for target in targets] for one in models},
        models[0]["reference"],
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
        for target, found in one["targets"].items():
            of_itself = one["model"] == one["reference"]
            said = found["differences"][METRIC]["verdict"]
            row[f"{target}: from {one['reference']}"] = "" if of_itself else f"{_shown(_difference(found), '+')} {said}"
        row["operations"] = one["operations"]
        row |= {
            f"sequences a second, {runtime}": f"{found['rate']:,}" + _ran(runtime, found["runtime"])
            for runtime, found in one["sequences_per_second"].items()
        }
        rows.append(row)
    return rows


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
    """Where a training differs from the recipe of its model, by the options of its command."""
    given = re.findall(r"--(precision|epochs|patience) (\S+)", models[0]["runs"][0]["command"])
    changed = " and ".join(f"`--{name} {value}`" for name, value in given)
    return f"Each model by its own recipe, but for {changed}." if changed else "Each model by its own recipe."


def _ran(asked: str, ran: str) -> str:
    return "" if asked == ran else f" ({ran})"


def _share(found: dict[str, float] | None, ceiling: dict[str, float]) -> str:
    return "" if found is None else f"{found['value'] / ceiling['value']:.0%}"


def _interval(found: dict[str, float] | None) -> Interval | None:
    return None if found is None else Interval(found["value"], found["low"], found["high"])


def _difference(found: dict[str, Any]) -> Interval | None:
    of_metric = found["differences"][METRIC]
    if of_metric["difference"] is None:
        return None
    return Interval(of_metric["difference"], of_metric["low"], of_metric["high"])


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
