"""TrainConfig: every setting of a training, in one frozen record; from the command line, a TOML file, or Python."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from pathlib import Path
from typing import Any

from zoo.errors import ZooError

AUGMENTATIONS = ("reverse-complement", "shift", "mutate")
SCHEDULES = ("constant", "one-cycle")
PRECISIONS = ("fp32", "bf16", "fp64")
TRACKERS = ("tensorboard", "wandb")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Defaults are the recipe of DeepSTARR (de Almeida et al. 2022); all else is off.

    learning_rate, epsilon: of Adam.  batch_size: sequences a step, over all processes together.
    epochs: at most.  patience: epochs without a lower validation loss before the run stops; the best weights win.
    schedule: "constant", or "one-cycle": up to learning_rate over the first tenth, then down to 1/1000 along a cosine.
    weight_average: decay of an exponential moving average of the weights, which is then what is validated and kept;
        0 for none.
    precision: "fp32"; "bf16" for the operands of matrix products; "fp64" for everything, to compare frameworks.
    rescale_start: first make weights that are followed by a batch norm as large as fresh ones, see network.rescale.
    augment: any of AUGMENTATIONS, see augment.py.  seed: of initialisation, order, dropout and augmentation.
    """

    learning_rate: float = 0.002
    epsilon: float = 1e-7
    batch_size: int = 128
    epochs: int = 100
    patience: int = 10
    schedule: str = "constant"
    weight_average: float = 0.0
    precision: str = "fp32"
    rescale_start: bool = False
    augment: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "augment", tuple(self.augment))
        for name in ("batch_size", "epochs", "patience"):
            self._require(name, lambda v: type(v) is int and v >= 1, "a whole number of at least 1")
        self._require("seed", lambda v: type(v) is int and v >= 0, "a whole number of at least 0")
        for name in ("learning_rate", "epsilon"):
            self._require(name, lambda v: math.isfinite(v) and v > 0, "a number above 0")
        self._require("weight_average", lambda v: 0 <= v < 1, "a number of at least 0 and under 1")
        self._require("schedule", lambda v: v in SCHEDULES, f"one of {', '.join(SCHEDULES)}")
        self._require("precision", lambda v: v in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        self._require("rescale_start", lambda v: type(v) is bool, "true or false")
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


def make(cls: Any, settings: dict[str, Any], where: str) -> Any:
    """A frozen dataclass from a table of settings. Raises ZooError that names an unknown field and lists the known."""
    known = [field.name for field in dataclasses.fields(cls)]
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ZooError(f"{where}: no setting is called {unknown[0]!r}; there are {', '.join(known)}")
    return cls(**settings)


def read_toml(path: Path) -> dict[str, dict[str, Any]]:
    """The tables [model] and [train] of a TOML file, each empty if absent. Raises ZooError if it is no such file."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ZooError(f"{path}: expected a TOML file ({error})") from None
    unknown = sorted(set(document) - {"model", "train"})
    if unknown:
        raise ZooError(f"{path}: no table is called {unknown[0]!r}; there are [model] and [train]")
    return {"model": document.get("model", {}), "train": document.get("train", {})}
