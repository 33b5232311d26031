"""`zoo bench`: how fast is each runtime on this machine, and does it give the same numbers?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from zoo.cli import notes, options
from zoo.options import ThreadOptions

if TYPE_CHECKING:
    from zoo.checks.bench import Result


def command(
    *,
    model: options.Model = None,
    weights: options.Weights = None,
    runtimes: options.Runtimes = (),
    seconds: Annotated[float, Parameter(help="To spend on each number of sequences a call.")] = 1.0,
    running: Annotated[ThreadOptions, options.RUNNING] = ThreadOptions(),
    as_json: options.Json = False,
) -> None:
    from zoo.checks import bench

    def announce(name: str) -> None:
        notes.say(f"measuring {name}")

    result = bench.run(model, weights, runtimes or None, seconds, running.threads, announce)
    print(result.to_json()) if as_json else _print(result)


def _print(result: Result) -> None:
    from zoo.checks.bench import CALLS

    print("sequences a second, by sequences a call")
    heads = "".join(f"{call:>10,}" for call in CALLS)
    names = [*result.skipped, *(row.runtime for row in result.measurements)]
    width = options.column_width("runtime", *names)
    print(f"{'runtime':<{width}}{heads}{'start':>9}{'memory':>10}{'max |diff|':>12}  verdict")
    for row in sorted(result.measurements, key=lambda measurement: -measurement.best):
        rates = "".join(f"{row.rate(call):>10,.0f}" for call in CALLS)
        memory = "unknown" if row.memory is None else f"{row.memory / 1e6:,.0f} MB"
        report = result.reports.get(row.runtime)
        verdict = "reference" if report is None else "same" if report.passed else "DIFFERS"
        difference = "" if report is None else f"{report.max_difference:.1e}"
        print(f"{row.runtime:<{width}}{rates}{row.start:>7.1f} s{memory:>10}{difference:>12}  {verdict}")
    for name, reason in result.skipped.items():
        print(f"{name:<{width}}not run here: {reason}")
    best = result.recommended
    print(f"fastest with the same numbers: {best.runtime}, {best.best:,.0f} sequences a second")
