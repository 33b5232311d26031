"""What a site or a window is needed for: it is replaced, and the activities before and after are compared.

Axes: N sequences, S stretches, K replacements, M members, T targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError
from zoo.experiments import drawing, inserts, instances, stretches
from zoo.experiments.files import Table
from zoo.experiments.instances import Replacements, Stretch
from zoo.experiments.measure import EFFECT
from zoo.experiments.options import ReplacementOptions, SiteOptions, WindowOptions
from zoo.experiments.stretches import Found, Sample
from zoo.options import check_kind, made
from zoo.prediction.model import Model

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = "least"


class Ablation:
    """See stretches.Edits: each stretch is replaced K times.

    effect: activity after the replacement minus that before.  least: the effect of the replacement that changes the
    activity the least.
    """

    def __init__(self, options: ReplacementOptions, by_place: bool = False) -> None:
        self.edits = options.replacements
        self._by_place = by_place
        self._replacements = Replacements(options.replacements, options.replace_by == "shuffled", options.seed)

    def edited(self, codes: np.ndarray, one: Stretch) -> np.ndarray:
        return self._replacements.edited(codes, one.start, one.end)

    def quantities(self, effects: np.ndarray) -> Mapping[str, np.ndarray]:
        return {EFFECT: effects}

    def plain(self, effects: np.ndarray) -> Mapping[str, np.ndarray]:
        least = np.abs(effects).argmin(1)
        return {LEAST: np.take_along_axis(effects, least[:, None], 1)[:, 0]}

    def draw(self, summary: Table, unit: str) -> Figure:
        measured, label = summary.interval(EFFECT), f"effect ({unit})"
        first = next(iter(summary.labels.values()))
        if not self._by_place:
            return drawing.bars([str(name) for name in first], {EFFECT: measured}, summary.targets, label)
        line = {"windows": (np.array(first), slice(None))}
        return drawing.lines(line, measured, summary.targets, "first position of the window", label)


def sample(
    codes: np.ndarray,
    names: Sequence[str],
    motif_options: SiteOptions,
    windows: WindowOptions = WindowOptions(),  # noqa: B008
) -> Sample:
    """The sites of motifs in sequences, uint8 (N, L), or their windows. Raises ZooError for both, neither, or none."""
    length = codes.shape[1]
    if windows.window is None:
        motifs = inserts.motifs(motif_options, length)
        return Sample(codes, names, instances.sites(codes, motifs, motif_options.p_value))
    if motif_options.motifs:
        raise ZooError("--motifs and --window: give one of the two")
    step = windows.step or max(1, windows.window // 2)
    return Sample(codes, names, instances.windows(len(codes), length, windows.window, step), by_place=True)


def ablate(
    model: Model,
    sequences: Sequence[str] | np.ndarray,
    motifs: str | Sequence[str] = (),
    *,
    targets: Sequence[str] = (),
    known: str | Path | None = None,
    p_value: float = SiteOptions.p_value,
    window: int | None = None,
    step: int | None = None,
    **options: Any,
) -> Found:
    """Replace each site of some motifs, or each window, and measure what that does to the activity.

    sequences: N texts or base codes, uint8 (N, L).  motifs, known, p_value, window, step: see SiteOptions and
        WindowOptions; motifs or a window.  targets: names; by default all.  options: fields of ReplacementOptions.
    Returns a table with a row for each stretch, a summary, and the effect of each replacement. Raises ZooError for
    unknown motifs and targets, and if no sequence has a site.
    """
    check_kind("model", model, Model)
    codes = model.codes(sequences)
    names = [f"sequence {number}" for number in range(1, len(codes) + 1)]
    named = (motifs,) if isinstance(motifs, str) else tuple(motifs)
    chosen = SiteOptions(named, None if known is None else Path(known), p_value)
    windows = WindowOptions(window, step)
    edits = Ablation(made(ReplacementOptions, options), window is not None)
    return stretches.found(model, sample(codes, names, chosen, windows), edits, model.spec.target_indices(targets))
