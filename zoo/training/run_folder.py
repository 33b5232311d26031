"""The folder of a training: checkpoints to resume from, the best weights, metrics, receipts and curves.

    weights.safetensors     the best weights so far, a weights file like any other
    metrics.csv             one row per epoch, from 0 if the run began with given weights; curves.png shows them
    run.json                the receipts: settings, data, versions, device, time
    seen.safetensors        the sequences of training and validation, see zoo/data/trained_sequences.py
    checkpoints/*.safetensors   the newest two states of the training; if one is damaged, the other is used

Every file is replaced whole. Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data import trained_sequences
from zoo.data.dataset import Source
from zoo.errors import ZooError
from zoo.evaluation.metrics import typical
from zoo.spec import MOST_SHOWN
from zoo.system import figures
from zoo.system.atomic import clear_left_over, replacing
from zoo.weights.lookup import RUN_RECEIPTS, RUN_WEIGHTS, run_of, run_status

KEPT_CHECKPOINTS = 2


@dataclasses.dataclass
class State:
    """A training at a certain step: arrays by name, and facts as JSON types."""

    tensors: dict[str, np.ndarray]
    facts: dict[str, Any]


class RunFolder:
    """The paths of a run; reads and writes its files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.weights = path / RUN_WEIGHTS
        self.receipts = path / RUN_RECEIPTS
        self.metrics = path / "metrics.csv"
        self.curves = path / "curves.png"
        self.checkpoints = path / "checkpoints"

    def create(self) -> None:
        """Make the folder. Raises ZooError if it exists, so that no run is lost by mistake."""
        if run_status(self.path) == "failed":
            raise ZooError(
                f"{self.path}: exists already, and its training failed; --resume would repeat a loss that diverged; "
                "give another --output or remove the folder, and try a lower --learning-rate"
            )
        if self.path.exists():
            raise ZooError(f"{self.path}: exists already; give another --output, or continue the run with --resume")
        try:
            self.checkpoints.mkdir(parents=True)
        except OSError as error:
            raise ZooError(f"{self.path}: cannot be made ({error.strerror})") from None

    def save_state(self, state: State) -> None:
        """Write a checkpoint, then drop all but the newest KEPT_CHECKPOINTS."""
        from safetensors.numpy import save

        facts = json.dumps(state.facts, sort_keys=True)
        blob = save(state.tensors, {"facts": facts, "digest": _digest(state.tensors, facts)})
        name = f"{state.facts['epoch']:04d}-{state.facts['step']:07d}.safetensors"
        with replacing(self.checkpoints / name, overwrite=True) as partial:
            partial.write_bytes(blob)
        for old in self._checkpoint_files()[KEPT_CHECKPOINTS:]:
            old.unlink()

    def discard(self) -> None:
        """Remove the folder of a run that ended before its first checkpoint. Other files stay."""
        if not self._checkpoint_files():
            for path in (self.receipts, self.path / trained_sequences.FILE):
                path.unlink(missing_ok=True)
            for folder in (self.checkpoints, self.path):
                with contextlib.suppress(OSError):  # it holds something else
                    folder.rmdir()

    def load_state(self) -> State | None:
        """The newest undamaged checkpoint; None if there is no checkpoint yet. Raises ZooError if all are damaged."""
        damaged = []
        for path in self._checkpoint_files():
            state = _read_state(path)
            if state is not None:
                return state
            damaged.append(path.name)
        if damaged:
            raise ZooError(f"{self.path}: all its checkpoints are damaged ({', '.join(damaged)}); start a new run")
        return None

    def write_metrics(self, history: list[dict[str, Any]]) -> None:
        """Write metrics.csv, one row per epoch; a metric that is not defined is an empty field."""
        with replacing(self.metrics, overwrite=True) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(history[0]))
            writer.writeheader()
            writer.writerows(history)

    def read_metrics(self) -> list[dict[str, Any]]:
        """Rows of metrics.csv, None for an empty field; no rows if the file does not exist yet."""
        if not self.metrics.is_file():
            return []
        with self.metrics.open(newline="") as file:
            rows = [{name: float(text) if text else None for name, text in row.items()} for row in csv.DictReader(file)]
        return [{**row, "epoch": int(row["epoch"] or 0)} for row in rows]

    def write_receipts(self, receipts: dict[str, Any]) -> None:
        with replacing(self.receipts, overwrite=True) as partial:
            partial.write_text(json.dumps(receipts, indent=2) + "\n")

    def write_seen(self, source: Source, start: str | Path | None = None) -> None:
        """Record the validation sequences, the training sequences unless every epoch has new ones, and those of the
        run that gave the initial weights.  start: these weights, a name or a path."""
        sides = {"train": source.train, "validation": source.validation}
        codes = {side: split.codes for side, split in sides.items() if split is not None}
        trained_sequences.save(self.path, codes, run_of(start) if start else None)

    def read_receipts(self) -> dict[str, Any]:
        """The receipts; {} if the run was killed before it wrote any. Raises ZooError if the folder is not a run."""
        if self._is_new():
            self.checkpoints.mkdir(exist_ok=True)
            return {}
        try:
            return json.loads(self.receipts.read_text())
        except (OSError, json.JSONDecodeError):
            raise ZooError(f"{self.path}: is not a run folder, its run.json is missing or damaged") from None

    def draw_curves(self, history: list[dict[str, Any]], targets: tuple[str, ...], best_epoch: int) -> None:
        """Draw curves.png: loss and Pearson r of each target, training and validation, by epoch.

        For more than MOST_SHOWN targets, one panel has the median of Pearson r and the band of 90% of the targets.
        """
        from matplotlib.ticker import MaxNLocator

        drawn = {"loss": ["loss"], **{f"{target}: Pearson r": [f"pearson_{target}"] for target in targets}}
        if len(targets) > MOST_SHOWN:
            title = f"{len(targets):,} targets: Pearson r, median and 90%"
            drawn = {"loss": ["loss"], title: [f"pearson_{target}" for target in targets]}
        figure, (panels,) = figures.new(4 * len(drawn), 3.7, columns=len(drawn))
        epochs = [row["epoch"] for row in history]
        for panel, (title, columns) in zip(panels, drawn.items(), strict=True):
            for split, colour in (("train", "0.5"), ("validation", figures.COLOURS[0])):
                found = [typical(row[f"{split}_{column}"] for column in columns) for row in history]
                values, low, high = np.array(found, np.float64).T  # None becomes NaN
                marker = "o" if np.isfinite(values).sum() == 1 else None  # a line needs two points
                if len(columns) > 1:
                    panel.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)
                panel.plot(epochs, values, color=colour, label=split, marker=marker)
            panel.axvline(
                best_epoch, color=figures.COLOURS[1], linestyle="--", label=f"best epoch: {best_epoch}", zorder=1
            )
            panel.set(title=title, xlabel="epoch (0: before training)" if epochs[0] == 0 else "epoch")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        # below the panels, where it hides no curve
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
        figures.save(figure, self.curves)

    def _is_new(self) -> bool:
        """Whether the folder was made for a run that was killed before it wrote anything."""
        if not self.path.is_dir():
            return False
        clear_left_over(self.path)
        return all(one == self.checkpoints and not self._checkpoint_files() for one in self.path.iterdir())

    def _checkpoint_files(self) -> list[Path]:
        return sorted((p for p in self.checkpoints.glob("*.safetensors") if p.name[0] != "."), reverse=True)


def _digest(tensors: dict[str, np.ndarray], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()


def _read_state(path: Path) -> State | None:
    """The state in a checkpoint file; None if the file is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        return None
    facts = metadata.get("facts", "")
    if metadata.get("digest") != _digest(tensors, facts):
        return None
    return State(tensors, json.loads(facts))
