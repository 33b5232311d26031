"""`zoo doctor`: what this machine is, and what each runtime misses on it."""

from __future__ import annotations

from zoo.cli import options


def command(*, as_json: options.Json = False) -> None:
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
