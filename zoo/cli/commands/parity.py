"""`zoo parity`: do all runtimes of this machine give the numbers of the reference?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.defaults import MODEL

if TYPE_CHECKING:
    from zoo.checks.comparison import LayerReport
    from zoo.checks.parity import Result


def command(
    outputs: Annotated[
        Path | None, typer.Argument(metavar="[NPZ]", help="With --layers: Keras layer outputs, instead of tf_keras.")
    ] = None,
    model: Annotated[str, typer.Option(help="A model by name, for its bundled weights; see zoo list.")] = MODEL,
    weights: Annotated[str | None, typer.Option(help="A weights file instead.")] = None,
    sequences: Annotated[Path | None, typer.Option(help="FASTA; by default random sequences and edge cases.")] = None,
    runtimes: Annotated[str | None, typer.Option(help="Comma-separated; by default all that can run here.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="A runtime, or a table of predictions; by default keras-cpu where it can run.")
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="Compare PyTorch with Keras layer by layer.")] = False,
    relative: Annotated[float | None, typer.Option(help="Relative tolerance; default 1e-4, for layers 0.")] = None,
    tolerance: Annotated[float, typer.Option(help="Absolute tolerance.")] = 1e-4,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare runtimes, starting from FASTA text. Exit status 1 if one departs from the reference."""
    from zoo.checks import layer_parity, parity
    from zoo.checks.comparison import Tolerance
    from zoo.errors import ZooError

    subject = parity.Subject(model, weights, sequences)
    if layers:
        if reference is not None and outputs is None:
            outputs = Path(reference)
        bound = Tolerance(0.0 if relative is None else relative, tolerance)
        label, reports = layer_parity.run_layers(subject, outputs, bound)
        if as_json:
            print(json.dumps({"reference": label, "layers": [report.to_dict() for report in reports]}, indent=2))
        else:
            _print_layers(label, reports)
        layer_parity.check_layers(label, reports)
        return
    if outputs is not None:
        raise ZooError(f"{outputs}: expected layer outputs only together with --layers")
    bound = Tolerance(1e-4 if relative is None else relative, tolerance)
    chosen = [name.strip() for name in runtimes.split(",")] if runtimes else None
    result = parity.run(subject, chosen, reference, bound)
    print(result.to_json()) if as_json else _print_result(result)
    result.check()


def _print_result(result: Result) -> None:
    print(f"reference {result.reference}; {result.records:,} sequences; weights {result.weights_id[:12]}")
    print(f"{'runtime':<12}{'max |diff|':>12}{'mean |diff|':>13}{'Pearson r':>13}  {'verdict':<9}worst at")
    for row in result.comparisons:
        report = row.report
        worst = (
            f"{report.worst.record} {report.worst.target}: {report.worst.expected:.9g}, got {report.worst.actual:.9g}"
        )
        print(
            f"{row.runtime:<12}{report.max_difference:>12.2e}{report.mean_difference:>13.2e}{report.pearson:>13.9f}  "
            f"{'same' if report.passed else 'DIFFERS':<9}{worst}"
        )
    for name, reason in result.skipped.items():
        print(f"{name:<12}not run here: {reason}")


def _print_layers(label: str, reports: list[LayerReport]) -> None:
    print(f"PyTorch against {label}")
    print(f"{'layer':<26}{'max |diff|':>12}  verdict")
    for report in reports:
        print(f"{report.name:<26}{report.max_difference:>12.2e}  {'same' if report.passed else 'DIFFERS'}")
