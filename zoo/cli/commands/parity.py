"""`zoo parity`: do all runtimes of this machine give the numbers of the reference?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from zoo.cli import options

if TYPE_CHECKING:
    from zoo.checks.comparison import LayerReport
    from zoo.checks.parity import Result


def command(
    npz: Annotated[Path | None, Parameter(help="With --layers: Keras layer outputs, instead of tf_keras.")] = None,
    /,
    *,
    model: options.Model = None,
    weights: options.Weights = None,
    sequences: Annotated[Path | None, Parameter(help="FASTA; by default random sequences and edge cases.")] = None,
    runtimes: options.Runtimes = (),
    reference: Annotated[
        str | None, Parameter(help="A runtime, or a table of predictions; by default keras-cpu where it can run.")
    ] = None,
    layers: Annotated[bool, Parameter(help="Compare PyTorch with Keras layer by layer.")] = False,
    relative: Annotated[float | None, Parameter(help="Relative tolerance; by default 1e-4, for layers 0.")] = None,
    tolerance: Annotated[float, Parameter(help="Absolute tolerance.")] = 1e-4,
    as_json: options.Json = False,
) -> None:
    from zoo.checks import layer_parity, parity
    from zoo.checks.comparison import Tolerance
    from zoo.errors import ZooError

    subject = parity.Subject(model, weights, sequences)
    if layers:
        if reference is not None and npz is None:
            npz = Path(reference)
        bound = Tolerance(0.0 if relative is None else relative, tolerance)
        label, reports = layer_parity.run_layers(subject, npz, bound)
        if as_json:
            print(json.dumps({"reference": label, "layers": [report.to_dict() for report in reports]}, indent=2))
        else:
            _print_layers(label, reports)
        layer_parity.check_layers(label, reports)
        return
    if npz is not None:
        raise ZooError(f"{npz}: expected layer outputs only together with --layers")
    bound = Tolerance(1e-4 if relative is None else relative, tolerance)
    result = parity.run(subject, runtimes or None, reference, bound)
    print(result.to_json()) if as_json else _print_result(result)
    result.check()


def _print_result(result: Result) -> None:
    print(f"reference {result.reference}; {result.records:,} sequences; weights {result.weights_id[:12]}")
    width = options.column_width("runtime", *result.skipped, *(row.runtime for row in result.comparisons))
    print(f"{'runtime':<{width}}{'max |diff|':>12}{'mean |diff|':>13}{'Pearson r':>13}  {'verdict':<9}worst at")
    for row in result.comparisons:
        report = row.report
        worst = (
            f"{report.worst.record} {report.worst.target}: {report.worst.expected:.9g}, got {report.worst.actual:.9g}"
        )
        print(
            f"{row.runtime:<{width}}{report.max_difference:>12.2e}{report.mean_difference:>13.2e}"
            f"{report.pearson:>13.9f}  {'same' if report.passed else 'DIFFERS':<9}{worst}"
        )
    for name, reason in result.skipped.items():
        print(f"{name:<{width}}not run here: {reason}")


def _print_layers(label: str, reports: list[LayerReport]) -> None:
    print(f"PyTorch against {label}")
    width = options.column_width("layer", *(report.name for report in reports))
    print(f"{'layer':<{width}}{'max |diff|':>12}  verdict")
    for report in reports:
        print(f"{report.name:<{width}}{report.max_difference:>12.2e}  {'same' if report.passed else 'DIFFERS'}")
