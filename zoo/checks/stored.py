"""`zoo test`: the test tensors that weights carry, run on every runtime of this machine.

A pack has them in a file (zoo/weights/packs.py), an imported network in its own .onnx file. Files are checked first
against the digests that they carry, and those of a pack against its SHA256SUMS.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from zoo import registry
from zoo.errors import CheckFailed, ZooError
from zoo.prediction import automatic, session
from zoo.spec import ModelSpec
from zoo.weights import lookup, packs
from zoo.weights.checkpoint import SUFFIX
from zoo.weights.test_tensors import TestTensors


@dataclasses.dataclass(frozen=True)
class RuntimeTest:
    """What a runtime gave for the test tensors.

    provider: what computed, as the engine reports it.  file: the weights file that it ran.  difference: how its numbers
    differ, None if they are the same.
    """

    runtime: str
    provider: str
    file: str
    difference: str | None


@dataclasses.dataclass(frozen=True)
class Result:
    """made_by: the programs that made the expected numbers.  skipped: runtime -> why it cannot run here."""

    weights: str
    weights_id: str
    sequences: int
    made_by: str
    tests: list[RuntimeTest]
    skipped: dict[str, str]

    @property
    def failed(self) -> list[RuntimeTest]:
        return [test for test in self.tests if test.difference]

    def to_json(self) -> str:
        return json.dumps({**dataclasses.asdict(self), "passed": not self.failed}, indent=2)

    def check(self) -> None:
        """Raise CheckFailed with the first difference if a runtime gives other numbers."""
        if self.failed:
            first, names = self.failed[0], ", ".join(test.runtime for test in self.failed)
            raise CheckFailed(f"{self.weights}: {names} and the stored predictions differ: {first.difference}")


def run(weights: str | Path, runtimes: Sequence[str] | None = None) -> Result:
    """Compare every runtime with the stored predictions, to within test_tensors.SHARE of the largest of each target.

    weights: a pack, its name on a hub, one of its weights files, or an imported .onnx file.  runtimes: names; None
    takes all that can run here and lists the others as skipped.
    Raises ZooError if the weights are not there or carry no test tensors, and if no runtime can run them; CheckFailed
    for a damaged or changed file; MissingDependency for a runtime that is named and cannot run.
    """
    for name in runtimes or ():
        session.split_name(name)
    files, tensors = find(weights)
    specs = [_read_spec(file) for file in files]
    if len(ids := sorted({spec.weights_id[:12] for spec in specs})) > 1:
        raise CheckFailed(f"{weights}: its files hold different weights: {', '.join(ids)}")
    if tensors.codes.shape[1] != specs[0].sequence_length:
        raise CheckFailed(
            f"{weights}: expected test sequences of {specs[0].sequence_length} bases, got {tensors.codes.shape[1]}"
        )
    tests: list[RuntimeTest] = []
    reasons: dict[str, ZooError] = {}
    for name in runtimes or session.runtime_names():
        try:
            found = lookup.resolve(None, weights, session.files(name))
            running = session.open_session(found, name)
            difference = tensors.difference(running.predict(tensors.codes), running.spec.targets)
        except ZooError as error:
            if runtimes is not None or isinstance(error, CheckFailed):
                raise
            reasons[name] = error
            continue
        ran = found.name if isinstance(found, Path) else next(file.name for file in files if file.suffix == SUFFIX)
        tests.append(RuntimeTest(name, running.provider, ran, difference))
    if not tests:
        raise automatic.refusal(f"{weights}: no runtime can run these weights here", reasons)
    skipped = {name: automatic.reason(error, name) for name, error in reasons.items()}
    return Result(str(weights), specs[0].weights_id, len(tensors.codes), tensors.made_by, tests, skipped)


def find(weights: str | Path) -> tuple[list[Path], TestTensors]:
    """The weights files to test, and their test tensors. Raises as `run` does."""
    file = lookup.path_of(weights)
    folder = packs.pack_of(file) or file
    if packs.is_pack(folder):
        packs.check(folder)
        every = [folder / name for name in packs.WEIGHTS if (folder / name).is_file()]
        return [file] if Path(weights) == file else every, packs.read_tests(folder)
    _read_spec(file)
    stored = stored_in(file)
    if stored is None:
        raise ZooError(
            f"{weights}: carries no test tensors; packs (zoo pack) and imported .onnx files have them, and zoo parity "
            "compares runtimes without any"
        )
    return [file], stored


def stored_in(file: Path) -> TestTensors | None:
    """The test tensors in a file that an exporter wrote; None if it has none. Raises ZooError for damaged ones."""
    for exporter in registry.working("exporters").values():
        if file.suffix == exporter.SUFFIX and hasattr(exporter, "read_tests"):
            stored: TestTensors | None = exporter.read_tests(file)
            return stored
    return None


def _read_spec(file: Path) -> ModelSpec:
    """The spec of weights to test. Raises CheckFailed if they are damaged, ZooError if they are not there."""
    try:
        return lookup.read_spec(file)
    except ZooError as error:
        if file.is_file() and file.suffix in packs.SUFFIXES:
            raise CheckFailed(str(error)) from None
        raise
