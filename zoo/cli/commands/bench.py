"""`zoo bench`: how fast is each runtime on this machine, and does it give the same numbers?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zoo.defaults import MODEL

if TYPE_CHECKING:
    from zoo.checks.bench import Result


def command(
    model: Annotated[str, typer.Option(help="A model by name, for its bundled weights; see zoo list.")] = MODEL,
    weights: Annotated[str | None, typer.Option(help="A weights file instead.")] = None,
    runtimes: Annotated[str | None, typer.Option(help="Comma-separated; by default all that can run here.")] = None,
    seconds: Annotated[float, typer.Option(help="To spend on each number of sequences a call.")] = 1.0,
    threads: Annotated[int | None, typer.Option(help="CPU threads; by default one a core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure the runtimes of this machine: sequences a second, memory, difference to the reference."""
    import sys

    from zoo.checks import bench

    chosen = [name.strip() for name in runtimes.split(",")] if runtimes else None

    def announce(name: str) -> None:
        print(f"zoo: measuring {name}", file=sys.stderr)

    result = bench.run(model, weights, chosen, seconds, threads, announce)
    print(result.to_json()) if as_json else _print(result)


def _print(result: Result) -> None:
    from zoo.checks.bench import CALLS

    print("sequences a second, by sequences a call")
    heads = "".join(f"{call:>10,}" for call in CALLS)
    print(f"{'runtime':<12}{heads}{'start':>9}{'memory':>10}{'max |diff|':>12}  verdict")
    for row in sorted(result.measurements, key=lambda measurement: -measurement.best):
        rates = "".join(f"{row.rate(call):>10,.0f}" for call in CALLS)
        memory = "unknown" if row.memory is None else f"{row.memory / 1e6:,.0f} MB"
        report = result.reports.get(row.runtime)
        verdict = "reference" if report is None else "same" if report.passed else "DIFFERS"
        difference = "" if report is None else f"{report.max_difference:.1e}"
        print(f"{row.runtime:<12}{rates}{row.start:>7.1f} s{memory:>10}{difference:>12}  {verdict}")
    for name, reason in result.skipped.items():
        print(f"{name:<12}not run here: {reason}")
    best = result.recommended
    print(f"fastest with the same numbers: {best.runtime}, {best.best:,.0f} sequences a second")
