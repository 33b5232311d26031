"""`zoo list`: the models, weights, runtimes and formats that there are, and what is usable here."""

from __future__ import annotations

from zoo.cli import options


def command(*, as_json: options.Json = False) -> None:
    import dataclasses
    import json

    from zoo.checks import inventory

    sections = inventory.everything()
    if as_json:
        print(json.dumps({title: [dataclasses.asdict(entry) for entry in sections[title]] for title in sections}))
        return
    for title, entries in sections.items():
        print(f"{title}:")
        width = max(len(entry.name) for entry in entries)
        for entry in entries:
            mark = "-" if entry.obstacle else "+"
            print(f"  {mark} {entry.name:<{width}}  {entry.obstacle or entry.about}")
    print("+ usable here, - not here, with the reason")
