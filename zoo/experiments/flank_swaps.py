"""What a site owes to the bases around it: the site stays, and the bases around it are exchanged.

The necessity of a site is the activity with it minus the activity with its bases in another order. It is measured
between the bases that are around the site, and between others. Axes: N sequences, S sites, K exchanges, M members, T
targets.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zoo.dna.encoding import reverse_complement
from zoo.errors import ZooError
from zoo.experiments import ablation, drawing, stretches
from zoo.experiments.files import Table
from zoo.experiments.instances import Replacements, Stretch
from zoo.experiments.measure import EFFECT
from zoo.experiments.options import FlankOptions, ReplacementOptions, SiteOptions
from zoo.experiments.stretches import Found, Sample
from zoo.options import check_kind, made
from zoo.prediction.model import Model
from zoo.spec import ALPHABET

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NECESSITY, EXCHANGED = "necessity", "necessity_exchanged"


class FlankSwaps:
    """See stretches.Edits. Of each site there are K edited sequences with other bases around it, K with other bases
    around its replacement, and K with its replacement alone.

    effect: activity after the exchange minus that before.  necessity: of the site where it is.  necessity_exchanged: of
    the site between exchanged bases.
    """

    def __init__(self, sample: Sample, flanks: FlankOptions, options: ReplacementOptions) -> None:
        self.edits = 3 * options.replacements
        self._count, self._seed, self._width = options.replacements, options.seed, flanks.width
        self._replacements = Replacements(options.replacements, options.replace_by == "shuffled", options.seed)
        self._donors = _donors(sample, flanks.width) if flanks.donors == "sites" else None

    def edited(self, codes: np.ndarray, one: Stretch) -> np.ndarray:
        left, right = max(0, one.start - self._width), min(len(codes), one.end + self._width)
        without = self._replacements.edited(codes, one.start, one.end)
        others = np.repeat(codes[None], self._count, axis=0)
        others[:, left:right] = self._flanks(codes, one)[:, self._width - (one.start - left) :][:, : right - left]
        exchanged, both = others.copy(), others
        exchanged[:, one.start : one.end] = codes[one.start : one.end]
        both[:, one.start : one.end] = without[:, one.start : one.end]
        return np.concatenate([exchanged, both, without])

    def _flanks(self, codes: np.ndarray, one: Stretch) -> np.ndarray:
        """Bases around a site and in its place, uint8 (K, width + site + width)."""
        size = one.end - one.start + 2 * self._width
        generator = np.random.default_rng([self._seed, zlib.crc32(codes.tobytes()), one.start, one.end, 1])
        if self._donors is None:
            return generator.integers(0, len(ALPHABET), (self._count, size)).astype(np.uint8)
        numbers, bases = self._donors[one.name]
        first, last = np.searchsorted(numbers, [one.row, one.row + 1])  # not those of this sequence
        drawn = generator.integers(0, len(numbers) - (last - first), self._count)
        chosen = bases[drawn + (drawn >= first) * (last - first)]
        return chosen if one.strand == "+" else reverse_complement(chosen)

    def quantities(self, effects: np.ndarray) -> Mapping[str, np.ndarray]:
        exchanged, both, without = np.split(effects, 3, axis=1)
        return {EFFECT: exchanged, NECESSITY: -without, EXCHANGED: exchanged - both}

    def plain(self, effects: np.ndarray) -> Mapping[str, np.ndarray]:  # noqa: ARG002
        return {}

    def draw(self, summary: Table, unit: str) -> Figure:
        shown = {
            "as it is": summary.interval(NECESSITY),
            "between other bases": summary.interval(EXCHANGED),
        }
        names = [str(name) for name in summary.labels["motif"]]
        return drawing.bars(names, shown, summary.targets, f"necessity of the site ({unit})")


def _donors(sample: Sample, width: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Motif -> its D sites with `width` bases on both sides: the sequence of each, int (D,), sorted, and its bases as
    the motif reads, uint8 (D, width + site + width). Raises ZooError unless they are in two sequences or more."""
    length = sample.codes.shape[1]
    found: dict[str, tuple[list[int], list[np.ndarray]]] = {}
    for one in sample.stretches:
        rows, bases = found.setdefault(one.name, ([], []))
        if one.start >= width and one.end + width <= length:
            around = sample.codes[one.row, one.start - width : one.end + width]
            rows.append(one.row)
            bases.append(around if one.strand == "+" else reverse_complement(around[None])[0])
    for name, (rows, _) in found.items():
        if len(set(rows)) < 2:
            raise ZooError(
                f"--donors sites: expected sites of {name} with {width} bases on each side in at least 2 sequences, "
                f"found them in {len(set(rows))}; use --donors random"
            )
    return {name: (np.array(rows), np.stack(bases)) for name, (rows, bases) in found.items()}


def flanks(
    model: Model,
    sequences: Sequence[str] | np.ndarray,
    motifs: str | Sequence[str],
    *,
    targets: Sequence[str] = (),
    known: str | Path | None = None,
    p_value: float = SiteOptions.p_value,
    width: int = FlankOptions.width,
    donors: Literal["random", "sites"] = FlankOptions.donors,
    **options: Any,
) -> Found:
    """Exchange the bases around each site of some motifs, and measure what that does to the activity and to the
    necessity of the site.

    sequences: N texts or base codes, uint8 (N, L).  motifs, known, p_value: see SiteOptions.  width, donors: see
        FlankOptions.  targets: names; by default all.  options: fields of ReplacementOptions.
    Returns a table with a row for each site, a summary by motif, and the effects of all edits: exchanged, exchanged
    with the site replaced, and only replaced, K each. Raises ZooError for unknown motifs and targets, and if no
    sequence has a site.
    """
    check_kind("model", model, Model)
    codes = model.codes(sequences)
    names = [f"sequence {number}" for number in range(1, len(codes) + 1)]
    named = (motifs,) if isinstance(motifs, str) else tuple(motifs)
    chosen = ablation.sample(codes, names, SiteOptions(named, None if known is None else Path(known), p_value))
    edits = FlankSwaps(chosen, FlankOptions(width, donors), made(ReplacementOptions, options))
    return stretches.found(model, chosen, edits, model.spec.target_indices(targets))
