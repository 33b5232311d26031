"""Every setting of a training in a frozen record: TrainConfig says how, JobOptions where and from what.

The command line, the table [train] of a TOML file and the receipts are made of them. Needs no PyTorch.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args

from zoo.errors import ZooError
from zoo.options import MOST_SEQUENCES, ThreadOptions, check, check_names, names

Augmentation = Literal["reverse-complement", "shift", "mutate"]
AUGMENTATIONS: tuple[str, ...] = get_args(Augmentation)

Schedule = Literal["constant", "one-cycle"]
SCHEDULES: tuple[str, ...] = get_args(Schedule)

TrainPrecision = Literal["fp32", "bf16", "fp64"]
PRECISIONS: tuple[str, ...] = get_args(TrainPrecision)

Device = Literal["auto", "cpu", "cuda"]
DEVICES: tuple[str, ...] = get_args(Device)

Tracker = Literal["tensorboard", "wandb"]
TRACKERS: tuple[str, ...] = get_args(Tracker)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Defaults are the recipe of de Almeida et al. (Nature Genetics 2022); all else is off."""

    learning_rate: float = 0.002
    """Of Adam; with one-cycle, its peak."""

    epsilon: float = 1e-7
    """Of Adam."""

    batch_size: int = 128
    """Sequences a step, over all processes together."""

    epochs: int = 100
    """Epochs at most."""

    patience: int = 10
    """Epochs without a lower validation loss before the run stops, 0 for no early stop; the best weights win."""

    schedule: Schedule = "constant"
    """Learning rate over the run; one-cycle goes up over the first tenth, then down to 1/1000 along a cosine."""

    weight_average: float = 0.0
    """Decay of an exponential moving average of the weights, which is then what is validated and kept; 0 for none."""

    precision: TrainPrecision = "fp32"
    """Arithmetic: bf16 for the operands of matrix products, fp64 for everything, to compare frameworks."""

    rescale_start: bool = False
    """First make weights that are followed by a batch norm as large as fresh ones."""

    freeze_batch_norm: bool = False
    """Batch norms use and keep the running statistics of the weights given, also while training."""

    augment: tuple[Augmentation, ...] = ()
    """Changes to training sequences that keep their labels."""

    seed: int = 0
    """Of everything that is drawn."""

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "augment", tuple(self.augment))
        self._require(
            "batch_size",
            lambda v: type(v) is int and 1 <= v <= MOST_SEQUENCES,
            f"a whole number from 1 to {MOST_SEQUENCES:,}",
        )
        self._require("epochs", lambda v: type(v) is int and v >= 1, "a whole number of at least 1")
        for name in ("patience", "seed"):
            self._require(name, lambda v: type(v) is int and v >= 0, "a whole number of at least 0")
        for name in ("learning_rate", "epsilon"):
            self._require(name, lambda v: math.isfinite(v) and v > 0, "a number above 0")
        self._require("weight_average", lambda v: 0 <= v < 1, "a number of at least 0 and under 1")
        self._require("schedule", lambda v: v in SCHEDULES, f"one of {', '.join(SCHEDULES)}")
        self._require("precision", lambda v: v in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        for name in ("rescale_start", "freeze_batch_norm"):
            self._require(name, lambda v: type(v) is bool, "true or false")
        self._require("augment", lambda v: set(v) <= set(AUGMENTATIONS), f"some of {', '.join(AUGMENTATIONS)}")

    def _require(self, name: str, fits: Any, expected: str) -> None:
        value = getattr(self, name)
        try:
            good = fits(value)
        except TypeError:
            good = False
        if not good:
            raise ZooError(f"{name}: expected {expected}, got {value!r}")

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {**dataclasses.asdict(self), "augment": list(self.augment)}


@dataclasses.dataclass(frozen=True)
class StudentConfig(TrainConfig):
    """How a student is trained: a teacher labels without noise, so that it is worth going on to the last epoch."""

    epochs: int = 50
    patience: int = 0
    schedule: Schedule = "one-cycle"
    weight_average: float = 0.999


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobOptions(ThreadOptions):
    """Where a training goes, on what device, and with what weights it begins."""

    output: Path
    """Folder of the run, made anew."""

    resume: bool = False
    """Go on with the run in --output."""

    start: str | None = None
    """Weights to begin with: a name, see zoo list, a file or a run folder; a head for other targets starts fresh."""

    device: Device = "auto"
    """What trains; auto takes CUDA where it works."""

    compile: bool = False
    """Compile the network with torch.compile."""

    track: Tracker | None = None
    """Log the epochs there too."""

    licence: str = "unknown"
    """Of the weights to come."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.device not in DEVICES:
            raise ZooError(f"device: expected {', '.join(DEVICES[:-1])} or {DEVICES[-1]}, got {self.device!r}")
        if self.track is not None and self.track not in TRACKERS:
            raise ZooError(f"track: expected one of {', '.join(TRACKERS)}, got {self.track!r}")


def make(cls: Any, settings: dict[str, Any], where: str) -> Any:
    """A frozen dataclass from a table of settings. Raises ZooError that names an unknown field and lists the known."""
    check_names(settings, names(cls), f"{where}: no setting")
    return cls(**settings)


def read_document(path: Path) -> dict[str, Any]:
    """A TOML file. Raises ZooError if it is none."""
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ZooError(f"{path}: expected a TOML file ({error})") from None


def read_toml(path: Path) -> dict[str, dict[str, Any]]:
    """The tables [model] and [train] of a TOML file, each empty if absent. Raises ZooError if it is no such file."""
    document = read_document(path)
    unknown = sorted(set(document) - {"model", "train"})
    if unknown:
        raise ZooError(f"{path}: no table is called {unknown[0]!r}; there are [model] and [train]")
    for name, table in document.items():
        if not isinstance(table, dict):
            raise ZooError(f"{path}: expected a table [{name}], got {name} = {table!r}")
    return {"model": document.get("model", {}), "train": document.get("train", {})}
