"""Parity: the runtimes of this machine against a reference, on the same FASTA text; and PyTorch against Keras, layer by
layer.

agreement.py says when numbers are the same. Memory holds one runtime at a time and the predictions of all records.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zoo import registry
from zoo.checks import agreement
from zoo.checks.agreement import LayerReport, TableReport, Tolerance
from zoo.dna.encoding import one_hot
from zoo.errors import CheckFailed, MissingDependency, ZooError, require
from zoo.formats import columns
from zoo.formats.fasta import Reader
from zoo.formats.names import shown
from zoo.layers import keras_layers
from zoo.prediction import automatic, session
from zoo.prediction.model import Model, load
from zoo.spec import ALPHABET, ModelSpec
from zoo.weights import lookup, network, spread
from zoo.weights.checkpoint import Checkpoint

RANDOM_RECORDS = 64
"""Random sequences among the generated records."""

SEED = 1

LAYER_RECORDS = 8
"""Records for comparing layers: enough to excite every filter, few enough to keep every output in memory."""

LAYER_REFERENCE = "keras-cpu"


@dataclasses.dataclass(frozen=True)
class Subject:
    """What to check. model, weights: see zoo.load.  sequences: a FASTA file; None generates records (example_fasta)."""

    model: str | None = None
    weights: str | Path | None = None
    sequences: Path | None = None

    def open(self, runtime: str) -> Model:
        return load(self.model, self.weights, runtime)

    def records(self, length: int, limit: int | None = None) -> tuple[list[str], np.ndarray]:
        """Names and base codes, uint8 (N, L), of the first `limit` records, read from FASTA text."""
        if self.sequences is None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "generated.fa"
                path.write_bytes(example_fasta(length))
                return _read(path, length, limit)
        return _read(self.sequences, length, limit)


@dataclasses.dataclass(frozen=True)
class RuntimeReport:
    """How one runtime differs from the reference. provider: what computed, as the engine reports it."""

    runtime: str
    provider: str
    report: TableReport


@dataclasses.dataclass(frozen=True)
class Result:
    """skipped: runtime -> why it cannot run here."""

    reference: str
    weights_id: str
    records: int
    comparisons: list[RuntimeReport]
    skipped: dict[str, str]

    @property
    def failed(self) -> list[RuntimeReport]:
        return [row for row in self.comparisons if not row.report.passed]

    def to_json(self) -> str:
        rows = [{"runtime": row.runtime, "provider": row.provider, **row.report.to_dict()} for row in self.comparisons]
        return json.dumps({**dataclasses.asdict(self), "comparisons": rows, "passed": not self.failed}, indent=2)

    def check(self) -> None:
        """Raise CheckFailed that names the runtimes which differ from the reference, if there are any."""
        if self.failed:
            rows = [
                f"{row.runtime} ({row.report.failures} of {row.report.records * row.report.targets} values)"
                for row in self.failed
            ]
            raise CheckFailed(f"parity: differs from {self.reference} by more than the tolerance: {', '.join(rows)}")


def run(
    subject: Subject,
    runtimes: Sequence[str] | None = None,
    reference: str | None = None,
    tolerance: Tolerance | None = None,
) -> Result:
    """Predict with every runtime and compare.

    runtimes: names; None takes all that can run here and lists the others as skipped.  reference: a runtime, or a
    tab-separated table of predictions for `sequences` (name and the targets); None takes the most trusted runtime that
    can run here and accepts the model.
    Raises ZooError for bad input, MissingDependency for a runtime that is named in `runtimes` and cannot run.
    """
    for name in runtimes or ():
        session.split_name(name)
    table = _as_table(subject, reference)
    if reference is None or table is not None:
        opened = first_usable(subject, (runtimes or session.runtime_names()) if table else session.references())
    else:
        opened = subject.open(reference)
    first = opened.runtime
    spec = opened.spec
    names, codes = subject.records(spec.sequence_length)
    predicted = _numbers(opened, codes)
    expected = predicted if table is None else read_table(table, names, spec.targets)
    members = [f"{target} of member {number}" for number, _ in enumerate(spec.members, 1) for target in spec.targets]

    def compare(running: Model, actual: np.ndarray) -> RuntimeReport:
        compared = [*spec.targets, *members][: expected.shape[1]]  # a table has the mean alone
        report = agreement.compare(expected, actual[:, : len(compared)], names, compared, tolerance)
        return RuntimeReport(running.runtime, running.provider, report)

    comparisons = [compare(opened, predicted)] if table else []
    label = str(table) if table else f"{first} ({opened.provider})"
    del opened
    skipped: dict[str, str] = {}
    for name in runtimes or session.runtime_names():
        if name == first:
            continue
        try:
            running = subject.open(name)
        except ZooError as error:
            if runtimes is not None or isinstance(error, CheckFailed):
                raise
            skipped[name] = automatic.reason(error, name)
            continue
        if running.spec.weights_id != spec.weights_id:
            mine, its = spec.weights_id[:12], running.spec.weights_id[:12]
            raise CheckFailed(f"parity: {first} runs the weights {mine}, {name} runs the weights {its}")
        comparisons.append(compare(running, _numbers(running, codes)))
    if not comparisons:
        raise _nothing_to_compare(label, spec, skipped)
    return Result(label, spec.weights_id, len(names), comparisons, skipped)


def _numbers(model: Model, codes: np.ndarray) -> np.ndarray:
    """Predictions, float32 (N, T); of an ensemble the mean and those of each member, (N, T + M * T)."""
    numbers = model.each.predict(codes)
    return np.concatenate([spread.mean(numbers, model.spec), numbers], 1) if model.spec.members else numbers


def _nothing_to_compare(label: str, spec: ModelSpec, skipped: Mapping[str, str]) -> ZooError:
    """The error if no runtime but the one that `label` names can run here."""
    if spec.frame is not None:
        return ZooError(
            f"parity: only {label} runs this imported network here; zoo test compares it with the predictions of its "
            "own program, --reference with a table of predictions"
        )
    reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
    return ZooError(f"parity: nothing to compare {label} with; {reasons or 'name other runtimes'}")


def _as_table(subject: Subject, reference: str | None) -> Path | None:
    """The path of a reference that is a table; None for a runtime."""
    if reference is None or reference in session.runtime_names():
        return None
    if not Path(reference).is_file():
        known = ", ".join(session.runtime_names())
        raise ZooError(f"{reference}: expected a table of predictions or a runtime ({known})")
    if subject.sequences is None:
        raise ZooError(f"{reference}: a table needs its FASTA file; give it with --sequences")
    return Path(reference)


def read_table(path: Path, names: Sequence[str], targets: Sequence[str]) -> np.ndarray:
    """Predictions in a table, float64 (N, T). Raises ZooError unless its rows are those of `names`, in that order."""
    table = columns.read(path, targets, ("name",))
    if len(table) != len(names):
        raise ZooError(f"{path}: expected {len(names):,} rows, one for each sequence, got {len(table):,}")
    for row, (name, given) in enumerate(zip(names, table.text["name"], strict=True), 1):
        if given != name:
            raise ZooError(f"{path}: row {row}: expected the sequence {shown(name)!r}, got {shown(given)!r}")
    if np.isnan(table.numbers).any():
        row, column = (int(place) for place in np.argwhere(np.isnan(table.numbers))[0])
        raise ZooError(f"{path}: column {shown(targets[column])}, row {row + 1}: expected a number, it is missing")
    return table.numbers


def example_fasta(length: int) -> bytes:
    """FASTA text, always the same: random sequences of `length` bases, and edge cases that ports often get wrong."""
    letters = np.frombuffer(ALPHABET.encode(), np.uint8)
    random = np.random.default_rng(SEED)
    sequences = letters[random.integers(len(letters), size=(RANDOM_RECORDS, length))]
    sequences[RANDOM_RECORDS // 2 :][random.random((RANDOM_RECORDS // 2, length)) < 0.02] = ord("N")
    records = {f"random_{number}": row.tobytes() for number, row in enumerate(sequences, 1)}
    whole = records["random_1"]
    edge, middle = max(1, length // 25), length // 2
    records |= {
        "lower_case": whole.lower(),
        "one_N": whole[:middle] + b"N" + whole[middle + 1 :],
        "N_at_both_ends": b"N" * edge + whole[edge:-edge] + b"N" * edge,
        "N_run": whole[: middle - edge] + b"N" * (2 * edge) + whole[middle + edge :],
        "all_N": b"N" * length,
        **{f"poly_{base}": base.encode() * length for base in ALPHABET},
    }
    return b"".join(b">%b\n%b\n" % (name.encode(), sequence) for name, sequence in records.items())


def first_usable(subject: Subject, names: Sequence[str]) -> Model:
    """Start the first of these runtimes that can run here and accepts the model. Raises ZooError if none does."""
    reasons = {}
    for name in names:
        try:
            return subject.open(name)
        except ZooError as error:
            reasons[name] = error
    raise automatic.refusal("parity: none of these can run here", reasons)


def _read(path: Path, length: int, limit: int | None) -> tuple[list[str], np.ndarray]:
    names: list[str] = []
    parts: list[np.ndarray] = []
    for batch, codes in Reader(path, length):
        names += batch
        parts.append(codes)
        if limit is not None and len(names) >= limit:
            break
    return names[:limit], np.concatenate(parts)[:limit]


def run_layers(
    subject: Subject, outputs: Path | None = None, tolerance: Tolerance | None = None
) -> tuple[str, list[LayerReport]]:
    """Compare PyTorch with Keras layer by layer. Returns the name of the reference, and a report for each layer in
    order.

    outputs: a .npz of Keras layer outputs for the first records, by layer name, channels last; None runs tf_keras.
    Raises ZooError for bad input, MissingDependency if PyTorch, or without `outputs` tf_keras, is not installed.
    """
    require("torch", "train", "--layers")
    weights = lookup.load(subject.model, subject.weights)
    length = weights.spec.sequence_length
    if outputs is not None:
        expected = read_layers(outputs, weights)
        count = len(next(iter(expected.values())))
        codes = subject.records(length, count)[1]
        if len(codes) != count:
            raise ZooError(f"{outputs}: holds outputs for {count} records, expected at most {len(codes)} sequences")
        label = str(outputs)
    else:
        label = LAYER_REFERENCE
        if reason := session.missing(label):
            raise MissingDependency(f"{label} cannot run here: {reason}; or give a .npz of Keras layer outputs")
        codes = subject.records(length, LAYER_RECORDS)[1]
        expected = registry.load("runtimes", "keras").layer_outputs(weights, codes)
    return label, agreement.compare_layers(expected, torch_layers(weights, codes), tolerance)


def check_layers(label: str, reports: Sequence[LayerReport]) -> None:
    """Raise CheckFailed that names the first layer that differs, and where."""
    for report in reports:
        if not report.passed:
            raise CheckFailed(
                f"parity: {report.name} is the first layer that differs from {label}, by {report.max_difference:.3g} "
                f"at {list(report.index)}: expected {report.expected:.9g}, got {report.actual:.9g}"
            )


def torch_layers(weights: Checkpoint, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Base codes, uint8 (N, L) -> output of each PyTorch module, with the name and in the layout of its Keras layer."""
    import torch

    module = network.from_checkpoint(weights)
    given: dict[str, np.ndarray] = {}
    for name, child in module.named_children():
        child.register_forward_hook(lambda _, __, output, name=name: given.update({name: output.numpy().copy()}))
    with torch.inference_mode():
        module(torch.from_numpy(one_hot(codes).transpose(0, 2, 1).copy()))
    layers = keras_layers.of(weights.spec).layers
    return {layer.name: keras_layers.layer_output(given[layer.module], layer) for layer in layers}


def read_layers(path: Path, weights: Checkpoint) -> dict[str, np.ndarray]:
    """Keras layer outputs in a .npz, with the names and in the order of the model's Keras layers.

    Another Keras session may have numbered the layers differently; then the order in the file counts, if the number of
    layers is the same.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise ZooError(f"{path}: cannot be read as a .npz of layer outputs ({error})") from None
    names = [layer.name for layer in keras_layers.of(weights.spec).layers]
    absent = [name for name in names if name not in arrays]
    if not absent:
        return {name: arrays[name] for name in names}
    if len(arrays) != len(names):
        raise ZooError(f"{path}: expected outputs of {len(names)} layers, got {len(arrays)}; {absent[0]} is missing")
    return dict(zip(names, arrays.values(), strict=True))
