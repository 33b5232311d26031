"""Output files of `zoo design`, which appear together or not at all.

designs.fa            >NAME dev=6.01 hk=0.2 start=random_1 edits=17 rounds=17
designs.fa.trace.tsv  design, round, position, from, to, and the predictions after it; first the start, with NA
designs.fa.json       command, weights and options
climb.png             with --figure: predictions of each design by round, one panel for each target
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.design.design import Design
from zoo.design.options import DesignOptions
from zoo.errors import ZooError, counted
from zoo.formats import table_writer
from zoo.formats.columns import COMPRESSIONS
from zoo.formats.table_writer import NOT_AVAILABLE, Layout
from zoo.prediction import description
from zoo.prediction.model import Model
from zoo.prediction.run import description_path
from zoo.spec import ALPHABET, SPREAD, UNIT
from zoo.system import figures
from zoo.system.atomic import Inputs, check_target, replacing_together

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = {"design": str, "round": int, "position": str, "from": str, "to": str}
"""Columns of the trace before the targets; positions are counted from 1."""

LETTERS = np.frombuffer(f"{ALPHABET}N".encode(), np.uint8)

PANEL_INCHES = (4.2, 3.2)

MOST_LINES = 200
"""Designs to draw one by one; the median is of all designs."""

LINE, MEDIAN, BOUND = "0.65", *figures.COLOURS[:2]

WIDEST = 24
"""Letters of a target's name that fit into a panel."""


@dataclasses.dataclass(frozen=True)
class Outputs:
    """designs: the FASTA file.  figure: the picture, if any.  inputs: files that are never replaced."""

    designs: Path
    figure: Path | None = None
    overwrite: bool = False
    inputs: Inputs = ()

    @property
    def paths(self) -> list[Path]:
        """All files. They are renamed in this order, so a FASTA file shows that a run has finished."""
        pictures = [] if self.figure is None else [self.figure]
        return [*pictures, description_path(self.designs), trace_path(self.designs), self.designs]

    def check(self) -> None:
        """Raise ZooError or MissingDependency, before any work, if the files cannot be written."""
        if self.designs.suffix.lower() in COMPRESSIONS:
            raise ZooError(f"{self.designs}: compressed FASTA cannot be written; expected a name such as designs.fa")
        for path in self.paths:
            check_target(path, self.overwrite, self.inputs)
        if self.figure is not None:
            figures.check_name(self.figure, extra="explain")
            if self.figure in self.paths[1:]:
                raise ZooError(f"{self.figure}: expected different names for the picture and the designs")


def trace_path(designs: Path) -> Path:
    """designs.fa -> designs.fa.trace.tsv"""
    return designs.with_name(f"{designs.name}.trace.tsv")


def names(number: int, target: str, prefix: str | None) -> list[str]:
    """PREFIX_1, PREFIX_2 and so on, padded with zeros to one width."""
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
    targets = model.spec.targets
    design_names = names(len(found), target, options.prefix)
    described = {
        "command": command,
        **description.of_run(model.runtime, model.provider, model.spec),
        "rc": model.rc,
        "target": target,
        "targets": list(targets),
        "sequence_length": model.spec.sequence_length,
        "options": dataclasses.asdict(options),
        "counts": {"records": len(found)},
    }
    with replacing_together(dict.fromkeys(outputs.paths, outputs.overwrite), outputs.inputs) as partials:
        *pictures, described_file, trace, fasta = partials
        for picture in pictures:
            draw(found, target, targets, options, picture, model.spec.unit)
        described_file.write_text(json.dumps(described, indent=2) + "\n", "utf-8")
        _write_trace(trace, design_names, found, targets)
        with fasta.open("wb") as file:
            for name, design in zip(design_names, found, strict=True):
                file.write(_record(name, design, targets))
    return described


def _record(name: str, design: Design, targets: Sequence[str]) -> bytes:
    """A FASTA record. Predictions have the fewest digits that give the same float32 again."""
    facts = [f"{target}={value!s}" for target, value in zip(targets, design.activities, strict=True)]
    if design.spread is not None:
        facts += [f"{target}{SPREAD}={value!s}" for target, value in zip(targets, design.spread, strict=True)]
    rounds = max((step.round for step in design.steps), default=0)
    facts += [f"start={design.start}", f"edits={design.edits}", f"rounds={rounds}"]
    words = " ".join(re.sub(r"\s+", "_", fact) for fact in (name, *facts))
    return b">%b\n%b\n" % (words.encode("utf-8", "surrogateescape"), LETTERS[design.codes].tobytes())


def _write_trace(path: Path, design_names: Sequence[str], found: Sequence[Design], targets: Sequence[str]) -> None:
    start_row = (0, *[NOT_AVAILABLE] * 3)
    with path.open("wb") as content:
        file = table_writer.Digested(content)
        with table_writer.opened(path, file, Layout(targets, COLUMNS)) as table:
            for name, design in zip(design_names, found, strict=True):
                rows = [start_row] + [
                    (step.round, str(step.position + 1), ALPHABET[step.before], ALPHABET[step.after])
                    for step in design.steps
                ]
                activities = [design.activities_at_start, *(step.activities for step in design.steps)]
                labels = [[name] * len(rows), *map(list, zip(*rows, strict=True))]
                table.write(labels, np.stack(activities))


def findings(described: dict[str, Any], found: Sequence[Design]) -> list[str]:
    """Notable results of a run, one line each."""
    options, target = described["options"], described["target"]
    values = np.array([design.activities[described["targets"].index(target)] for design in found])
    missed = values[[not design.reached for design in found]]
    repaired = sum(any(not step.round for step in design.steps) for design in found)
    lines = [f"predicted {target}: {values.min():.3g} to {values.max():.3g}, median {np.median(values):.3g}"]
    if len(missed):
        worst = missed.max() if options["lower"] else missed.min()
        lines.append(
            f"{len(missed):,} of {counted(len(found), 'designs')} did not reach {options['reach']:g} and have their "
            f"best sequence, the worst with {worst:.3g}"
        )
    if repaired:
        lines.append(f"{counted(repaired, 'starts')} repaired to meet the constraints; see round 0 of the trace")
    return lines


def by_round(found: Sequence[Design]) -> np.ndarray:
    """Predictions of each design after each round, float32 (N, rounds + 1, T). Round 0 is the start after its repair;
    a design that has stopped keeps its last value."""
    rounds = max((step.round for design in found for step in design.steps), default=0)
    values = np.empty((len(found), rounds + 1, len(found[0].activities)), np.float32)
    for row, design in enumerate(found):
        values[row] = design.activities_at_start
        for step in design.steps:
            values[row, step.round :] = step.activities
    return values


def draw(
    found: Sequence[Design],
    target: str,
    targets: Sequence[str],
    options: DesignOptions,
    path: Path,
    unit: str = UNIT,
) -> None:
    """Draw the predictions of each design by round, one panel for each target. The suffix of `path` is the format."""
    values = by_round(found)
    order = sorted(range(len(targets)), key=lambda number: targets[number] != target)  # the designed target first
    figure, (panels,) = figures.new(PANEL_INCHES[0] * len(order), PANEL_INCHES[1], columns=len(order))
    for panel, number in zip(panels, order, strict=True):
        _draw_panel(panel, values[..., number], targets[number], options, unit, designed=targets[number] == target)
    figures.write(figure, path)


def _draw_panel(panel: Axes, values: np.ndarray, name: str, options: DesignOptions, unit: str, designed: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    rounds = np.arange(values.shape[1])
    short = name if len(name) <= WIDEST else f"{name[: WIDEST - 3]}..."
    panel.plot(rounds, values[:MOST_LINES].T, color=LINE, linewidth=0.8)
    panel.plot([], [], color=LINE, linewidth=0.8, label="a design")
    panel.plot(rounds, np.median(values, 0), color=MEDIAN, linewidth=2, label=f"median of {len(values):,}")
    limits = [(options.reach, "reach")] if designed and options.reach is not None else []
    limits += [(keep.bound, f"keep {'>' if keep.above else '<'}") for keep in options.bounds if keep.target == name]
    for bound, what in limits:
        panel.axhline(bound, color=BOUND, linewidth=1, linestyle="--", label=f"{what} {bound:g}")
    panel.set(xlabel="round", title=f"{short}, the target" if designed else short)
    panel.set_ylabel(f"predicted {short} ({unit})", parse_math=False)
    panel.title.set_fontsize(10)
    panel.margins(x=0.02)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.legend(frameon=False, fontsize=8)
