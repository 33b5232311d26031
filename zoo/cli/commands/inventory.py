"""`zoo list`, `zoo info` and `zoo doctor`: plug-ins and weights, what weights are, and what this machine has."""

from __future__ import annotations

import json
from typing import Annotated, Any

from zoo.card import Card, common
from zoo.checks.catalogue import KnownModel, Wanted
from zoo.cli import options, tables
from zoo.frame import frame_of
from zoo.spec import MOST_SHOWN, listed

ALL = Wanted()

LONGEST = 200
"""Characters of a config field that are shown; --json shows all."""


def list_(*, wanted: Annotated[Wanted, options.CHOOSING] = ALL, as_json: options.Json = False) -> None:
    import dataclasses

    from zoo.checks import catalogue, inventory

    if wanted != ALL:
        found = catalogue.list_models(**dataclasses.asdict(wanted))
        print(json.dumps([dataclasses.asdict(one) for one in found])) if as_json else _print_models(found)
        return
    sections = inventory.everything()
    if as_json:
        print(json.dumps({title: [dataclasses.asdict(entry) for entry in sections[title]] for title in sections}))
        return
    for title, entries in sections.items():
        print(f"{title}:")
        tables.print_pairs(
            (f"  {'-' if entry.obstacle else '+'} {entry.name}", entry.obstacle or entry.about) for entry in entries
        )
    print("+ can be used on this machine, - cannot, with the reason")


def _print_models(found: list[KnownModel]) -> None:
    """A table of models that were asked for."""
    rows = [
        [
            one.name,
            one.weights if one.here or one.weights == "none" else "to pull",
            common(one.species),
            one.assay,
            str(one.sequence_length),
            listed(one.targets),
            one.licence,
        ]
        for one in found
    ]
    if rows:
        tables.print_table(["name", "weights", "species", "assay", "bases", "targets", "licence"], rows)
    else:
        print("no model fits; zoo list shows all")


def doctor(*, as_json: options.Json = False) -> None:
    from zoo.checks import doctor

    report = doctor.report()
    if as_json:
        print(json.dumps(report, indent=2))
        return
    for section, findings in report.items():
        print(f"{section}:")
        tables.print_pairs((f"  {item}", finding) for item, finding in findings.items())


def info(
    weights: Annotated[
        str,
        options.weights_argument(
            "A name (see zoo list), a .safetensors or .onnx file, or a run folder; several, A,B, or a folder of run "
            "folders are an ensemble."
        ),
    ],
    *,
    as_json: options.Json = False,
) -> None:
    from zoo.checks import inventory

    description = inventory.describe(weights)
    print(json.dumps(description, indent=2)) if as_json else tables.print_pairs(_lines(description).items())


def _options(settings: dict[str, Any]) -> str:
    """Settings as a user would type them."""
    words = []
    for name, value in settings.items():
        text = ",".join(value) if isinstance(value, list | tuple) else str(value)
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [text])]
    return " ".join(words)


def _lines(description: dict[str, Any]) -> dict[str, str]:
    """Name -> value of each line."""
    lines = {
        "file": "no weights of this model are bundled with this release",
        "architecture": ", ".join(dict.fromkeys(one["architecture"] for one in description["members"]))
        or description["architecture"],
    }
    alike = len({one["network_id"] for one in description["members"]}) <= 1
    for name, value in description["config"].items() if alike else ():
        if name not in ("sequence_length", "targets"):
            text = str(value)
            long = f"{text[:LONGEST]}... ({len(text):,} characters)"
            lines[f"  {name}"] = text if len(text) <= LONGEST else long
    lines["sequence length"] = f"{description['sequence_length']} bases, alphabet {description['alphabet']}"
    lines["targets"] = listed(description["targets"])
    if description["frame"]:
        frame = frame_of(description["frame"])
        lines |= {f"  {one.name}": one.text() for one in frame.targets if len(frame.targets) <= MOST_SHOWN}
        lines |= frame.lines()
    if description["arrays"]:
        lines["numbers"] = f"{description['numbers']:,} in {len(description['arrays'])} arrays"
    if description["file"] is not None:
        lines["file"] = f"{description['file']} ({description['bytes']:,} bytes)"
        lines["weights id"] = description["weights_id"]
        lines |= _members(description["members"])
        lines |= {name: description[name] for name in ("source", "licence", "imported") if description[name]}
        lines |= Card(**description["card"] or {}).lines()
    if description["recipe"]:
        lines["recipe"] = f"{_options(description['recipe'])}; options of zoo train replace these"
    if description["published"]:
        lines["published"] = f"these are {description['published']}"
    if description["caution"]:
        lines["caution"] = description["caution"]
    if description["imitates"]:
        lines["imitates"] = f"{description['imitates']}; agreement with it, Pearson r and root mean square error:"
        lines |= {f"  {name}": value for name, value in _agreement(description).items()}
    return lines


def _members(members: list[dict[str, Any]]) -> dict[str, str]:
    """A line for each member of an ensemble."""
    lines = {"ensemble": f"the mean of {len(members)} members"} if members else {}
    for number, one in enumerate(members, 1):
        held_out = f", held out {', '.join(one['held_out'])}" if one["held_out"] else ""
        name = f"{one['weights']}, " if "weights" in one else ""
        lines[f"  member {number}"] = f"{name}{one['architecture']}, weights {one['weights_id'][:12]}{held_out}"
    return lines


def _agreement(description: dict[str, Any]) -> dict[str, str]:
    """Kind of sequences -> agreement with the imitated model, target by target."""
    near, agreement = description["fidelity"], {}
    targets = description["targets"]
    kinds = [name.removesuffix(f"_{targets[0]}_pearson") for name in near if name.endswith(f"_{targets[0]}_pearson")]
    for kind in kinds:
        shown = (
            f"{name} {near[f'{kind}_{name}_pearson']:.3f} and {near[f'{kind}_{name}_rmse']:.3f}" for name in targets
        )
        agreement[kind.replace("_", " ")] = ", ".join(shown)
    return agreement
