"""`zoo evaluate`, how well models agree with measurements, and `zoo compare`, how two tables agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from zoo.cli import notes, options, tables
from zoo.cli.parsing import command_line
from zoo.data.labelled import Layout
from zoo.data.regions import RegionOptions
from zoo.defaults import RUNTIME
from zoo.errors import ZooError, counted
from zoo.evaluation.compare import CompareOptions
from zoo.evaluation.evaluate import EvaluationOptions
from zoo.options import RunOptions, StrandOptions
from zoo.prediction.options import CalibratedOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zoo.data.labelled import Split
    from zoo.data.regions import Shape
    from zoo.evaluation.compare import Comparison
    from zoo.evaluation.evaluate import Report
    from zoo.evaluation.metrics import Interval
    from zoo.prediction.model import Model


def evaluate(
    model: Annotated[
        str | None,
        Parameter(
            name="WEIGHTS",
            help=f"As a single --weights. By default {options.DEFAULT_WEIGHTS}.",
            completer=options.names_of("weights"),
        ),
    ] = None,
    /,
    *,
    weights: Annotated[
        list[str] | None,
        options.input_(
            "Weights to measure: a name (see zoo list), a file or a run folder; repeat to compare several. A,B or a "
            "folder of run folders is an ensemble: its mean is measured, and each member.",
            name=("--weights", "--model"),
            completer=options.names_of("weights"),
        ),
    ] = None,
    against: Annotated[
        str | None, options.input_("The --weights to compare all others with; by default the first.")
    ] = None,
    data: Annotated[
        Path | None,
        options.input_("Folder of the published data, a table, or a FASTA file with a table of labels beside it."),
    ] = None,
    sequences: Annotated[Path | None, options.input_("FASTA file, measured without splits; needs --labels.")] = None,
    split: Annotated[str, options.input_("train, validation, test, or all for every row of one file.")] = "test",
    targets: Annotated[
        tuple[str, ...],
        options.input_("Targets to measure; TARGET=COLUMN if the column has another name. By default all."),
    ] = (),
    output: Annotated[Path | None, options.output("Folder for tables and figures.")] = None,
    overwrite: options.Overwrite = False,
    settings: Annotated[EvaluationOptions, options.MEASURE] = EvaluationOptions(),
    calibrated: Annotated[CalibratedOptions, options.CONFIDENCE] = CalibratedOptions(),
    layout: Annotated[Layout, options.LAYOUT] = Layout(),
    region: Annotated[RegionOptions, options.REGIONS] = RegionOptions(),
    strands: Annotated[StrandOptions, options.RUNNING] = StrandOptions(),
    runtime: options.Runtime = RUNTIME,
    running: Annotated[RunOptions, options.RUNNING] = RunOptions(),
) -> None:
    import dataclasses

    from zoo.errors import ZooError
    from zoo.evaluation import evaluate, results
    from zoo.prediction.model import load
    from zoo.weights import ensembles, lookup

    source = data or sequences
    if source is None or (data is not None and sequences is not None):
        raise ZooError("expected measured sequences: --data PATH, or --sequences FASTA --labels TABLE")
    if sequences is not None and layout.labels is None:
        raise ZooError(f"--sequences {sequences}: needs the measurements, --labels TABLE")
    given = weights or [lookup.default() if model is None else model]
    if calibrated.calibration is not None and len(given) > 1:
        raise ZooError("--calibration: belongs to one model; evaluate one at a time")
    if output is not None:
        files = [file for one in given for file in ensembles.files_of(one)]
        results.check_output(output, overwrite, [source, layout.labels, *files])
    names = evaluate.labels(given)
    reference = evaluate.reference(given, against)
    models = {
        name: load(model if weights else None, one, runtime, rc=strands.rc, **dataclasses.asdict(running))
        for name, one in zip(names, given, strict=True)
    }
    evaluate.check_different(models)
    columns = evaluate.choose(models, targets)
    if not targets and (left_out := evaluate.not_shared(models)):
        notes.say(f"compared on {', '.join(columns)}; not every model predicts {', '.join(left_out)}")
    measured = _measured(source, "all" if sequences else split, columns, models, layout, region)
    for name, one in zip(names, given, strict=True):
        if (warning := evaluate.already_seen(one, name, measured)) is not None:
            notes.say(warning)
    with notes.Bar("targets") as bar:
        report = evaluate.evaluate(models, measured, columns, settings, reference, bar.update_of)
    if calibrated.calibration is not None:
        report = evaluate.with_reliability(report, next(iter(models.values())), calibrated)
    if output is not None:
        results.save(report, output, overwrite, command_line(), str(source))
    _show(report, output)
    _print_profiles(models, measured)


def _measured(
    source: Path,
    side: str,
    columns: Mapping[str, str],
    models: Mapping[str, Model],
    layout: Layout,
    region: RegionOptions,
) -> Split:
    """The measured sequences, or regions with their signal."""
    from zoo.data import dataset, published, regions
    from zoo.evaluation import evaluate

    if regions.are_regions(source, region):
        renamed = [f"{a}={b}" for a, b in columns.items() if published.target_of(a) != published.target_of(b)]
        if renamed:
            raise ZooError(f"--targets {renamed[0]}: regions have no columns; name the target alone")
        return regions.read_split(source, region, layout, _shape(models), side)
    length = evaluate.sequence_length(models)
    with next(iter(models.values())).spec.naming_flanks():
        return dataset.read_split(source, side, tuple(columns.values()), length=length, layout=layout)


def _shape(models: Mapping[str, Model]) -> Shape:
    """The shape of what the models see and give. Raises ZooError for models that differ in it."""
    from zoo.data.regions import shape_of
    from zoo.weights.checkpoint import profiles_of

    shapes = {
        name: shape_of(one.spec.sequence_length, one.spec.targets, profiles_of(one.spec), name)
        for name, one in models.items()
    }
    (first, shape), *others = shapes.items()
    for name, other in others:
        if other != shape:
            raise ZooError(f"{name}: expected the lengths, targets and strands of {first}, {shape}, got {other}")
    return shape


def _print_profiles(models: Mapping[str, Model], measured: Split) -> None:
    """The metrics of the profiles, means over all regions; nothing for data without profiles."""
    if measured.profiles is None:
        return
    from zoo.evaluation import profile_metrics

    rows = []
    for name, one in models.items():
        if one.rc is not None:
            tables.print_text(f"{name}: profiles are of the given strand; leave out --both-strands to measure them")
            continue
        found = profile_metrics.mean_metrics(one, measured.codes, measured.profiles)
        rows += [[name, target, *(f"{value:.4f}" for value in values.values())] for target, values in found.items()]
    if rows:
        names = ["weights", "target", *next(iter(found.values()))]
        tables.print_table(names, rows, f"profiles, means over {counted(len(measured), 'regions')}")


def _show(report: Report, output: Path | None) -> None:
    from zoo.spec import MOST_SHOWN

    if len(report.targets) > MOST_SHOWN:
        _print_summary(report)
    else:
        _print_scores(report)
        if report.comparisons:
            _print_comparisons(report)
    for line in _notes(report):
        tables.print_text(line)
    if report.reliability:
        _print_reliability(report)
    for evaluation in report.evaluations:
        for target, diagnosis in zip(report.targets, evaluation.diagnoses, strict=False):
            name = f"{evaluation.label}, {target}" if len(report.evaluations) > 1 else target
            tables.print_text(f"{name}: {diagnosis.statement}")
    if output is not None:
        tables.print_text(f"{output}: metrics.json, predictions.tsv and figures")


def _notes(report: Report) -> list[str]:
    """Why metrics and intervals are not defined, with the targets."""
    from zoo.evaluation.metrics import FEWEST, METRICS
    from zoo.spec import listed

    reasons: dict[str, dict[str, list[str]]] = {}
    for evaluation in report.evaluations:
        for target, score, intervals in zip(report.targets, evaluation.scores, evaluation.intervals, strict=True):
            if score.note:
                reasons.setdefault(score.note, {}).setdefault(evaluation.label, []).append(target)
            if any(getattr(score, metric) is not None and intervals[metric] is None for metric in METRICS):
                why = f"fewer than {FEWEST} sequences, or almost all values are equal: intervals are not defined"
                reasons.setdefault(why, {}).setdefault(evaluation.label, []).append(target)
    lines = []
    for why, of_weights in reasons.items():
        alike: dict[str, list[str]] = {}
        for label, names in of_weights.items():
            alike.setdefault(listed(names), []).append(label)
        several = len(report.evaluations) > 1
        groups = (f"{names} of {' and '.join(labels)}" if several else names for names, labels in alike.items())
        lines.append(f"{'; '.join(groups)}: {why}")
    return lines


def _print_reliability(report: Report) -> None:
    rows = [
        [one.target, f"{number}", f"{part.low:.2f} to {part.high:.2f}", f"{part.rows:,}", f"{part.coverage:.1%}",
         f"{part.width:.2f}"]
        for one in report.reliability
        for number, part in enumerate(one.deciles, 1)
    ]  # fmt: skip
    title = f"intervals of {report.reliability[0].promised:.0%} coverage, by decile of the prediction"
    title += f"; without {report.left_out:,} rows that the calibration was made with" if report.left_out else ""
    tables.print_table(["target", "decile", "prediction", "n", "inside", "mean width"], rows, title)
    for one in report.reliability:
        tables.print_text(one.statement)


def _title(report: Report) -> str:
    return f"{counted(len(report.data), 'rows')}, {counted(report.sequences, 'sequences')}"


def _print_summary(report: Report) -> None:
    """Each metric over many targets, and over how many of them it is better or worse than that of the reference."""
    from zoo.evaluation.metrics import METRICS, SHOWN_AS, typical

    number, rows = f"{len(report.targets):,}", []
    for evaluation in report.evaluations:
        found = (typical(getattr(score, name) for score in evaluation.scores) for name in METRICS)
        rows.append([evaluation.label, number, *(_shown(median, low, high) for median, low, high in found)])
    for comparison in report.comparisons:
        verdicts = [comparison.verdicts(place) for place in range(len(report.targets))]
        words = [[verdict[name] for verdict in verdicts] for name in METRICS]
        cells = [f"{one.count('better'):,} better, {one.count('worse'):,} worse" for one in words]
        rows.append([f"{comparison.first} against {comparison.second}", number, *cells])
    title = f"{_title(report)}; median of {number} targets (5% to 95% of them)"
    tables.print_table(["weights", "targets", *SHOWN_AS.values()], rows, title)


def _print_scores(report: Report) -> None:
    from zoo.evaluation.metrics import METRICS, SHOWN_AS

    rows = []
    for evaluation in report.evaluations:
        for target, score, intervals in zip(report.targets, evaluation.scores, evaluation.intervals, strict=True):
            cells = [_cell(getattr(score, name), intervals[name]) for name in METRICS]
            rows.append([evaluation.label, target, f"{score.n:,}", *cells])
    tables.print_table(
        ["weights", "target", "n", *SHOWN_AS.values()], rows, f"{_title(report)}; 95% intervals over sequences"
    )


def _print_comparisons(report: Report) -> None:
    """Differences from the reference, with better or worse beside each interval that does not include 0."""
    from zoo.evaluation.metrics import METRICS, SHOWN_AS

    rows = []
    for comparison in report.comparisons:
        for place, target in enumerate(report.targets):
            intervals, verdicts = comparison.differences[place], comparison.verdicts(place)
            cells = []
            for name in METRICS:
                interval = intervals[name]
                word = verdicts[name] if verdicts[name] in ("better", "worse") else ""
                cells.append(f"{_cell(interval.value if interval else None, interval, '+')} {word:6}")
            rows.append([comparison.first, target, *cells])
    reference = report.comparisons[0].second
    title = f"differences from {reference}, paired bootstrap; better or worse if the interval does not include 0"
    tables.print_table(["weights", "target", *SHOWN_AS.values()], rows, title)


def _cell(value: float | None, interval: Interval | None, sign: str = "") -> str:
    low, high = (interval.low, interval.high) if interval is not None else (None, None)
    return _shown(value, low, high, sign)


def _shown(value: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    if value is None:
        return "not defined"
    spread = "not defined" if low is None or high is None else f"{low:{sign}.3f} to {high:{sign}.3f}"
    return f"{value:{sign}.3f} ({spread})"


def compare(
    first: Annotated[Path, Parameter(name="A", help="Table: .tsv, .csv, either compressed, or .parquet.")],
    second: Annotated[Path, Parameter(name="B", help="The other table; rows are joined by name or position.")],
    /,
    *,
    output: Annotated[
        Path | None, options.output("Table of all rows in both, with their differences, the largest first.")
    ] = None,
    figure: Annotated[Path | None, options.output("Scatter plot of each target: .png, .svg or .pdf.")] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    comparing: Annotated[CompareOptions, options.MEASURE] = CompareOptions(),
) -> None:
    import json

    from zoo.evaluation import compare

    compare.check_outputs(output, figure, overwrite, (first, second))
    found = compare.compare(first, second, comparing)
    if output is not None:
        compare.save(found, output, overwrite)
    if figure is not None:
        compare.draw(found, figure, comparing.unit)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        _show_comparison(found, comparing.number)
    for name, count in zip(found.names, (found.only_first, found.only_second), strict=True):
        if count:
            notes.say(f"only in {name}: {counted(count, 'rows')}")
    if found.left_out:
        notes.say(f"not compared, since they are not numbers in both: {', '.join(found.left_out)}")


def _show_comparison(found: Comparison, number: int) -> None:
    from zoo.formats.names import shown
    from zoo.spec import MOST_SHOWN

    first, second = found.names
    print(f"A {first}\nB {second}\n{counted(len(found), 'rows')} in both, joined by {', '.join(found.key)}")
    rows = []
    agreements = found.agreements
    if len(agreements) > MOST_SHOWN:
        notes.say(f"{len(agreements):,} targets: only the first {MOST_SHOWN} are printed; --json has all")
    for one in agreements[:MOST_SHOWN]:
        numbers = (one.score.pearson, one.score.spearman, one.slope, one.mean, one.rms)
        cells = ("not defined" if value is None else f"{value:.4g}" for value in numbers)
        rows.append([one.target, f"{one.score.n:,}", *cells])
    tables.print_table(["target", "n", "Pearson r", "Spearman r", "slope", "mean B - A", "RMS B - A"], rows)
    largest = found.largest(number)
    if largest:
        print()
        rows = []
        for row, target in largest:
            a, b = found.first[row, target], found.second[row, target]
            label = shown(" ".join(column[row] for column in found.labels))
            rows.append([label, found.targets[target], f"{a:.4g}", f"{b:.4g}", f"{b - a:+.4g}"])
        tables.print_table([" ".join(found.key), "target", "A", "B", "B - A"], rows, "the largest differences")
