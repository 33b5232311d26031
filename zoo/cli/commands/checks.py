"""`zoo parity`, `zoo test` and `zoo bench`: agreement and speed of the runtimes of this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from zoo.cli import notes, options, tables
from zoo.errors import ZooError, counted
from zoo.options import ThreadOptions

if TYPE_CHECKING:
    from zoo.checks.agreement import LayerReport
    from zoo.checks.bench import Result as Speeds
    from zoo.checks.parity import Result
    from zoo.checks.stored import Result as Tests


def parity(
    npz: Annotated[
        Path | None, Parameter(help="For --layers: Keras layer outputs to compare with; by default tf_keras is run.")
    ] = None,
    /,
    *,
    sequences: Annotated[Path | None, options.input_("FASTA file; by default random sequences and edge cases.")] = None,
    reference: Annotated[
        str | None,
        options.input_(
            "Runtime or table of predictions to compare with; by default keras-cpu if it can run.",
            completer=options.names_of("runtimes"),
        ),
    ] = None,
    as_json: options.Json = False,
    layers: Annotated[bool, options.under(options.CHECKED, "Compare PyTorch with Keras layer by layer.")] = False,
    relative: Annotated[float | None, options.under(options.CHECKED, "Relative tolerance; by default 1e-4.")] = None,
    tolerance: Annotated[
        float | None,
        options.under(
            options.CHECKED, "Absolute tolerance; by default 1e-4. --layers: 5e-6 of each layer's largest output."
        ),
    ] = None,
    model: options.Model = None,
    weights: options.Weights = None,
    runtimes: options.Runtimes = (),
) -> None:
    from zoo.checks import parity
    from zoo.checks.agreement import Tolerance

    subject = parity.Subject(model, weights, sequences)
    bounds = {"relative": relative, "absolute": tolerance}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    if layers:
        if reference is not None and npz is None:
            npz = Path(reference)
        bound = Tolerance(**{"relative": 0.0, "absolute": 0.0, **given}) if given else None
        label, reports = parity.run_layers(subject, npz, bound)
        if as_json:
            print(json.dumps({"reference": label, "layers": [report.to_dict() for report in reports]}, indent=2))
        else:
            _print_layers(label, reports)
        parity.check_layers(label, reports)
        return
    if npz is not None:
        raise ZooError(f"{npz}: layer outputs are only compared with --layers")
    result = parity.run(subject, runtimes or None, reference, Tolerance(**given))
    print(result.to_json()) if as_json else _print_result(result)
    result.check()


def test_(
    weights: Annotated[
        str, options.weights_argument("A pack that zoo pack wrote, its name on a hub, or an imported .onnx file.")
    ],
    *,
    runtimes: options.Runtimes = (),
    as_json: options.Json = False,
) -> None:
    from zoo.checks import stored

    result = stored.run(weights, runtimes or None)
    print(result.to_json()) if as_json else _print_tests(result)
    result.check()


def _print_tests(result: Tests) -> None:
    made = f"{counted(result.sequences, 'sequences')}, expected numbers by {result.made_by}"
    tables.print_text(f"{result.weights}: {made}; weights {result.weights_id[:12]}")
    rows = [[test.runtime, test.file, _verdict(not test.difference)] for test in result.tests]
    tables.print_table(["runtime", "file", "verdict"], rows)
    for test in result.failed:
        tables.print_text(f"{test.runtime}: {test.difference}")
    _print_skipped(result.skipped)


def _print_result(result: Result) -> None:
    tables.print_text(
        f"reference {result.reference}; {counted(result.records, 'sequences')}; weights {result.weights_id[:12]}"
    )
    rows = []
    for row in result.comparisons:
        report, worst = row.report, row.report.worst
        rows.append([
            row.runtime,
            f"{report.max_difference:.2e}",
            f"{report.mean_difference:.2e}",
            f"{report.pearson:.9f}",
            _verdict(report.passed),
            f"{worst.record} {worst.target}: {worst.expected:.9g}, got {worst.actual:.9g}",
        ])  # fmt: skip
    tables.print_table(["runtime", "max |diff|", "mean |diff|", "Pearson r", "verdict", "worst at"], rows)
    _print_skipped(result.skipped)


def _print_layers(label: str, reports: list[LayerReport]) -> None:
    print(f"PyTorch against {label}")
    rows = [[report.name, f"{report.max_difference:.2e}", _verdict(report.passed)] for report in reports]
    tables.print_table(["layer", "max |diff|", "verdict"], rows)


def _print_skipped(reasons: Mapping[str, str]) -> None:
    shared: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        shared.setdefault(reason, []).append(name)
    for reason, names in shared.items():
        tables.print_text(f"{', '.join(names)}: cannot run here, {reason}")


def _verdict(passed: bool) -> str:
    return "same" if passed else "DIFFERS"


def bench(
    named: Annotated[
        str | None, Parameter(name="WEIGHTS", help="The same as --weights.", completer=options.names_of("weights"))
    ] = None,
    /,
    *,
    seconds: Annotated[float, options.under(options.RUNNING, "Seconds for each batch size.")] = 1.0,
    model: options.Model = None,
    weights: options.Weights = None,
    runtimes: options.Runtimes = (),
    running: Annotated[ThreadOptions, options.RUNNING] = ThreadOptions(),
    as_json: options.Json = False,
) -> None:
    from zoo.checks import bench

    def announce(name: str) -> None:
        notes.say(f"measuring {name}")

    result = bench.run(model, weights or named, runtimes or None, seconds, running.threads, announce)
    print(result.to_json()) if as_json else _print_speeds(result)


def _print_speeds(result: Speeds) -> None:
    from zoo.checks.bench import CALLS

    rows = []
    for row in sorted(result.measurements, key=lambda measurement: -measurement.best):
        rates = [f"{row.rate(call):,.0f}" for call in CALLS]
        memory = "unknown" if row.memory is None else f"{row.memory / 1e6:,.0f} MB"
        report = result.reports.get(row.runtime)
        verdict = "reference" if report is None else "same" if report.passed else "DIFFERS"
        difference = "" if report is None else f"{report.max_difference:.1e}"
        rows.append([row.runtime, *rates, f"{row.start:.1f} s", memory, difference, verdict])
    header = ["runtime", *(f"{call:,}" for call in CALLS), "start", "memory", "max |diff|", "verdict"]
    tables.print_table(header, rows, "sequences a second, by sequences a call")
    _print_skipped(result.skipped)
    best = result.recommended
    tables.print_text(f"fastest with the same numbers: {best.runtime}, {best.best:,.0f} sequences a second")
