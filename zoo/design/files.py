"""What `zoo design` leaves: the designs as FASTA, their trace as a table, a description of the run, and a picture if
asked for. All appear together or not at all.

    designs.fa            NAME dev=6.01 hk=0.2 start=random_1 edits=17 rounds=17
    designs.fa.trace.tsv  design, round, position, from, to, and every target after it; the start first, with NA
    designs.fa.json       command, weights and options
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.design import climb_figure
from zoo.design.design import Design
from zoo.design.options import DesignOptions
from zoo.errors import ZooError
from zoo.formats import table_writer
from zoo.formats.columns import COMPRESSIONS
from zoo.formats.table_writer import NOT_AVAILABLE, Layout
from zoo.prediction import description
from zoo.prediction.model import Model
from zoo.prediction.run import description_path
from zoo.spec import ALPHABET
from zoo.system.atomic import Inputs, check_target, replacing_together

COLUMNS = {"design": str, "round": int, "position": str, "from": str, "to": str}
"""Of the trace, before the targets; positions are counted from 1."""

LETTERS = np.frombuffer(f"{ALPHABET}N".encode(), np.uint8)


@dataclasses.dataclass(frozen=True)
class Outputs:
    """designs: the FASTA file.  figure: a picture of the climb.  inputs: files that are never replaced."""

    designs: Path
    figure: Path | None = None
    overwrite: bool = False
    inputs: Inputs = ()

    @property
    def paths(self) -> list[Path]:
        """In the order in which they get their names: where the FASTA file is, the run was finished."""
        pictures = [] if self.figure is None else [self.figure]
        return [*pictures, description_path(self.designs), trace_path(self.designs), self.designs]

    def check(self) -> None:
        """Raise ZooError if they could not be written, before any work is done."""
        if self.designs.suffix.lower() in COMPRESSIONS:
            raise ZooError(
                f"{self.designs}: expected the name of a FASTA file that is not compressed, such as designs.fa"
            )
        for path in self.paths:
            check_target(path, self.overwrite, self.inputs)
        if self.figure is not None:
            climb_figure.check(self.figure)
            if self.figure in self.paths[1:]:
                raise ZooError(f"{self.figure}: expected another name for the picture than for the designs")


def trace_path(designs: Path) -> Path:
    """designs.fa -> designs.fa.trace.tsv"""
    return designs.with_name(f"{designs.name}.trace.tsv")


def names(number: int, target: str, prefix: str | None) -> list[str]:
    """NAME_1 and so on, of one width, so that they sort as they are counted."""
    stem = prefix or re.sub(r"[\s>]+", "_", f"{target}_design")
    return [f"{stem}_{one:0{len(str(number))}d}" for one in range(1, number + 1)]


def write(
    outputs: Outputs,
    model: Model,
    target: str,
    options: DesignOptions,
    found: Sequence[Design],
    command: str = "",
) -> dict[str, Any]:
    """Write all files and return the description of the run. Raises ZooError as Outputs.check does."""
    outputs.check()
    called = names(len(found), target, options.prefix)
    described = {
        "command": command,
        **description.of_run(model.runtime, model.provider, model.spec),
        "rc": model.rc,
        "target": target,
        "targets": list(model.spec.targets),
        "sequence_length": model.spec.sequence_length,
        "options": dataclasses.asdict(options),
        "counts": {"records": len(found)},
    }
    with replacing_together(dict.fromkeys(outputs.paths, outputs.overwrite), outputs.inputs) as partials:
        *pictures, described_file, trace, fasta = partials
        for picture in pictures:
            climb_figure.draw(found, target, model.spec.targets, options, picture, picture.suffix.lower()[1:])
        described_file.write_text(json.dumps(described, indent=2) + "\n", "utf-8")
        _write_trace(trace, called, found, model.spec.targets)
        with fasta.open("wb") as file:
            for name, design in zip(called, found, strict=True):
                file.write(_record(name, design, model.spec.targets))
    return described


def _record(name: str, design: Design, targets: Sequence[str]) -> bytes:
    """Predictions in the fewest digits that give the same float32 back."""
    facts = [f"{target}={value!s}" for target, value in zip(targets, design.activities, strict=True)]
    rounds = max((step.round for step in design.steps), default=0)
    facts += [f"start={design.start}", f"edits={design.edits}", f"rounds={rounds}"]
    words = " ".join(re.sub(r"\s+", "_", fact) for fact in (name, *facts))
    return b">%b\n%b\n" % (words.encode("utf-8", "surrogateescape"), LETTERS[design.codes].tobytes())


def _write_trace(path: Path, called: Sequence[str], found: Sequence[Design], targets: Sequence[str]) -> None:
    nothing = (0, *[NOT_AVAILABLE] * 3)
    with path.open("wb") as content:
        file = table_writer.Digested(content)
        with table_writer.opened(path, file, Layout(targets, COLUMNS)) as table:
            for name, design in zip(called, found, strict=True):
                rows = [nothing]
                rows += [
                    (step.round, str(step.position + 1), ALPHABET[step.before], ALPHABET[step.after])
                    for step in design.steps
                ]
                activities = [design.activities_at_start, *(step.activities for step in design.steps)]
                labels = [[name] * len(rows), *map(list, zip(*rows, strict=True))]
                table.write(labels, np.stack(activities))


def findings(described: dict[str, Any], found: Sequence[Design]) -> list[str]:
    """What is worth telling of a run, a line each."""
    options, target = described["options"], described["target"]
    values = np.array([design.activities[described["targets"].index(target)] for design in found])
    missed = values[[not design.reached for design in found]]
    repaired = sum(any(not step.round for step in design.steps) for design in found)
    lines = [f"predicted {target}: {values.min():.3g} to {values.max():.3g}, median {np.median(values):.3g}"]
    if len(missed):
        furthest = missed.max() if options["lower"] else missed.min()
        lines.append(
            f"{len(missed):,} of {len(found):,} designs did not reach {options['reach']:g}; the best of each is kept, "
            f"the furthest from it {furthest:.3g}"
        )
    if repaired:
        lines.append(f"{repaired:,} starts were repaired, so that they keep to what is asked; see round 0 of the trace")
    return lines
