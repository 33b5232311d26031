"""A background: what a model predicts for many sequences, which says how unusual another prediction is.

The file is a NumPy archive (.npz) without pickles. It holds every value, sorted, so that ranks are exact. It belongs to
weights, targets and the rule for strands, on any runtime. Axes: N sequences of the background, M values, T targets.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.prediction import model_files
from zoo.spec import ModelSpec
from zoo.system.files import file_sha256

KIND, VERSION, COMMAND = "background", 1, "zoo background"

PERCENTILE = "percentile"

KINDS = "kinds"
"""Entry of `about`: kind of random variant -> their number, in the order of the effects."""


@dataclasses.dataclass(frozen=True, eq=False)
class Background:
    """An open background.

    about: what it is of, JSON types.  values: activities, sorted, float32 (T, N).
    effects: sizes of the effects of random variants, float32 (T, E), sorted within each kind.
    """

    path: Path
    about: Mapping[str, Any]
    values: np.ndarray
    effects: np.ndarray

    def percentiles(self, values: np.ndarray, columns: Sequence[int] | None = None) -> np.ndarray:
        """Percentile of each value: the share of the background below it, and half of the share equal to it, times 100.

        values: float32 (M, T) -> float32 (M, T), NaN for NaN.  columns: the targets of the values; None for all.
        """
        return self.ranked(values, columns)[0]

    def ranked(self, values: np.ndarray, columns: Sequence[int] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """`percentiles`, and how many values of the background are at least as high, int64 (M, T), 0 for NaN."""
        found, at_least = np.empty(values.shape, np.float32), np.empty(values.shape, np.int64)
        for place, target in enumerate(range(len(self.values)) if columns is None else columns):
            low, high = ranks(self.values[target], values[:, place])
            found[:, place] = (low + high) * (50 / self.size)
            at_least[:, place] = self.size - low
        found[np.isnan(values)] = np.nan
        return found, at_least

    @property
    def size(self) -> int:
        """N, the sequences of the background."""
        return int(self.values.shape[1])

    def check(self, spec: ModelSpec, rc: str | None) -> None:
        """Raise ZooError unless the background is of this model: weights, network, targets and strands."""
        model_files.check(self.path, self.about, COMMAND, spec, rc)


def ranks(sorted_values: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many of some sorted values are below each value, and how many are not above it: int64 (M,) each."""
    order = np.argsort(values)  # a search for sorted values stays in the processor's cache
    wanted = np.ascontiguousarray(values[order])
    below = np.searchsorted(sorted_values, wanted, "left")
    up_to = below.copy()
    tied = sorted_values[np.minimum(below, len(sorted_values) - 1)] == wanted
    up_to[tied] = np.searchsorted(sorted_values, wanted[tied], "right")
    low, high = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    low[order], high[order] = below, up_to
    return low, high


def entry(background: Background | None) -> dict[str, Any]:
    """What the description of a run says about its background; nothing without one."""
    if background is None:
        return {}
    path = background.path
    return {"background": {"file": str(path), "sha256": file_sha256(path), **background.about}}


def opened(path: str | Path | None, spec: ModelSpec, rc: str | None) -> Background | None:
    """The background in a file, for this model; None for None. Raises ZooError as `read` and `Background.check` do."""
    if path is None:
        return None
    found = read(Path(path))
    found.check(spec, rc)
    return found


def read(path: Path) -> Background:
    """Raises ZooError unless the file is a whole background."""
    about, arrays = model_files.read(path, KIND, VERSION, COMMAND)
    values, effects = arrays.get("values", _ABSENT), arrays.get("effects", _ABSENT)
    kinds = about.get(KINDS, {})
    sizes = list(kinds.values()) if isinstance(kinds, dict) else [None]
    known = all(isinstance(size, int) and size > 0 for size in sizes) and isinstance(about.get("targets"), list)
    bounds = np.cumsum([0, *sizes]) if known else np.zeros(1, int)
    whole = (
        known
        and values.dtype == effects.dtype == np.float32
        and values.ndim == effects.ndim == 2
        and values.shape[1] > 0
        and len(values) == len(effects) == len(about["targets"])
        and effects.shape[1] == bounds[-1]
        and _is_sorted(values)
        and all(_is_sorted(effects[:, start:stop]) for start, stop in itertools.pairwise(bounds))
    )
    if not whole:
        raise ZooError(f"{path}: is damaged: its values are not sorted numbers of its targets; make it again")
    return Background(path, about, values, effects)


def write(file: Path, about: Mapping[str, Any], values: np.ndarray, effects: np.ndarray) -> None:
    """Write a file, whose bytes depend only on the arguments; see Background."""
    model_files.write(file, KIND, VERSION, about, {"values": values, "effects": effects})


_ABSENT = np.empty(0)


def _is_sorted(values: np.ndarray) -> bool:
    """Whether rows of finite numbers never fall."""
    return bool(np.isfinite(values).all() and (values[:, 1:] >= values[:, :-1]).all())
