"""`zoo doctor`: what this machine is, and what each runtime misses on it."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: the same as JSON.")] = False,
) -> None:
    """Show what this machine offers, and what would make each runtime run."""
    import json

    from zoo.checks import doctor

    report = doctor.report()
    if as_json:
        print(json.dumps(report, indent=2))
        return
    for section, findings in report.items():
        print(f"{section}:")
        width = max(map(len, findings))
        for item, finding in findings.items():
            print(f"  {item:<{width}}  {finding}")
