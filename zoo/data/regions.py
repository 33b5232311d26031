"""Regions of a genome with measured signal, for networks of profiles: sequences around summits, and the reads there.

A signal is a bigWig file of read ends, one for each strand of each target. Where it has no value, it is 0. Training
regions are shifted at random, and flipped with their strands, anew in each epoch (Avsec et al. 2021; Pampari et al.
2024). Regions are divided by chromosome, since neighbours share bases.
Axes: N regions, L bases, T targets, S strands of all targets, P positions.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from zoo.card import Card
from zoo.data import splits
from zoo.data.labelled import Layout, Split
from zoo.dna import windows
from zoo.dna.encoding import reverse_complement
from zoo.dna.read_options import COMMAND_LINE
from zoo.errors import ZooError, counted
from zoo.formats import bed, columns, tracks
from zoo.formats.bed import BadInterval
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.names import shown
from zoo.frame import Profile
from zoo.options import Bounds, check

MOST_JITTER = 1 << 20

APPLICABLE = ("split_by", "validation_chromosomes", "test_chromosomes")
"""Fields of Layout that apply to regions."""

CARD = Card(unit="natural log of counts")


@dataclasses.dataclass(frozen=True)
class RegionOptions:
    """Regions of a genome with measured signal, in place of labelled sequences: --data is then a BED file of peaks."""

    genome: Path | None = None
    """Genome of the regions: FASTA, plain or compressed with bgzip."""

    signal: tuple[Path, ...] = ()
    """bigWig files of read ends: one for each strand of each target, plus.bw,minus.bw, or one for both strands."""

    background: Path | None = None
    """BED file of regions outside the peaks, some of which are in each epoch."""

    background_share: Annotated[float, Bounds(0, 100)] = 0.1
    """Regions of --background in an epoch, for each peak."""

    match_gc: bool = False
    """Take the regions of --background whose shares of G and C are those of the peaks."""

    most_counts: Annotated[float | None, Bounds(above=0)] = None
    """Leave out regions with more reads, to train the network of an enzyme's bias outside peaks."""

    jitter: Annotated[int, Bounds(0, MOST_JITTER)] = 500
    """Largest random shift of a training region, in bases."""

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "signal", tuple(self.signal))

    @property
    def given(self) -> bool:
        return self != RegionOptions()


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a network sees and gives. length: L.  positions: P, in the middle.  targets: names.  strands: of each."""

    length: int
    positions: int
    targets: tuple[str, ...]
    strands: int


def shape_of(length: int, targets: tuple[str, ...], profiles: Sequence[Profile], name: str) -> Shape:
    """The Shape of a network with these profiles. name: of the network. Raises ZooError for one without."""
    if not profiles:
        raise ZooError(f"{name}: has no profiles; --genome and --signal are for networks with profiles")
    return Shape(length, profiles[0].positions or 0, targets, len(profiles[0].columns) // len(targets))


@dataclasses.dataclass(frozen=True)
class Regions:
    """codes: base codes with the bases of all shifts, uint8 (N, L + 2 jitter).  signal: float32 (N, S, P + 2 jitter).
    gc: share of G and C of each, float64 (N,)."""

    codes: np.ndarray
    signal: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def rows(self, chosen: np.ndarray) -> Regions:
        return Regions(self.codes[chosen], self.signal[chosen])

    def some(self, number: int, random: np.random.Generator) -> Regions:
        """Up to `number` of the regions, chosen at random, in their order."""
        return self.rows(np.sort(random.permutation(len(self))[:number]))

    @property
    def gc(self) -> np.ndarray:
        return np.isin(self.codes, (1, 2)).mean(1)

    def split(self, shape: Shape, shifts: np.ndarray, flips: np.ndarray) -> Split:
        """The regions at these shifts, int (N,) from 0 to 2 jitter, on the other strand where `flips`, bool (N,)."""
        codes = np.empty((len(self), shape.length), np.uint8)
        signal = np.empty((len(self), self.signal.shape[1], shape.positions), np.float32)
        for row, (shift, flip) in enumerate(zip(shifts.tolist(), flips.tolist(), strict=True)):
            part = self.codes[row, shift : shift + shape.length]
            reads = self.signal[row, :, shift : shift + shape.positions]
            codes[row] = reverse_complement(part[None])[0] if flip else part
            signal[row] = flipped(reads, shape.strands) if flip else reads
        totals = signal.reshape(len(self), len(shape.targets), shape.strands * shape.positions).sum(2)
        return Split(codes, np.log1p(totals), profiles=signal)


@dataclasses.dataclass(frozen=True)
class RegionSource:
    """A source of training data (zoo.data.dataset.Source). train_regions, background: of the epochs.  flip: whether
    half of them are on the other strand.  notes: lines for the user."""

    shape: Shape
    train_regions: Regions
    background: Regions
    validation: Split
    test: Split | None
    card: Card
    facts: dict[str, Any]
    jitter: int
    per_epoch: int
    flip: bool
    seed: int
    notes: tuple[str, ...] = ()
    train: None = None
    """Each epoch has its own sequences."""

    @property
    def targets(self) -> tuple[str, ...]:
        return self.shape.targets

    @property
    def sequence_length(self) -> int:
        return self.shape.length

    def epoch(self, number: int) -> Split:
        """All training regions and some of the background, shifted and flipped at random."""
        random = np.random.default_rng((self.seed, number, 1))
        background = self.background.some(self.per_epoch, random)
        parts = [
            one.split(
                self.shape, random.integers(0, 2 * self.jitter + 1, len(one)), random.random(len(one)) < self.flip / 2
            )
            for one in (self.train_regions, background)
        ]
        return joined(parts)

    def identity(self) -> dict[str, Any]:
        return self.facts


def are_regions(path: Path, options: RegionOptions) -> bool:
    """Whether the data are regions of a genome: by the suffix of the file, or by options for them."""
    return options.given or columns.suffix(path) in (".bed", ".narrowpeak")


def flipped(signal: np.ndarray, strands: int) -> np.ndarray:
    """Signal (S, P) as seen from the other strand: positions in reverse order, and the strands of a target swapped."""
    return signal.reshape(-1, strands, signal.shape[-1])[:, ::-1, ::-1].reshape(signal.shape)


def joined(parts: Sequence[Split]) -> Split:
    """The rows of several splits, one after the other."""
    codes, targets = (np.concatenate([getattr(one, name) for one in parts]) for name in ("codes", "targets"))
    return Split(codes, targets, profiles=np.concatenate([one.profiles for one in parts if one.profiles is not None]))


def read(
    path: Path, options: RegionOptions, layout: Layout, shape: Shape, *, seed: int = 0, flip: bool = True
) -> RegionSource:
    """Read the regions of a BED file and of the background, their bases and their signal.

    layout: the chromosomes of validation and test; any other of its options is refused.
    Raises ZooError for files that are missing or do not fit each other, regions on no chromosome of the genome, and
    counts below 0.
    """
    _check(path, options, layout, shape)
    assert options.genome is not None
    sides = {name: set(getattr(layout, f"{name}_chromosomes")) for name in ("validation", "test")}
    with IndexedFasta(options.genome) as genome, tracks.Signals(options.signal) as signals:
        files = [path] + ([options.background] if options.background else [])
        read_files = [_read(file, genome, signals, options, shape, sides) for file in files]
    found, notes = read_files[0][0], [note for _, lines in read_files for note in lines]
    others = read_files[1][0] if options.background else {}
    for side in ("train", "validation", *(["test"] if sides["test"] else [])):
        if not len(found[side]):
            known = _known(_chromosomes(path))
            raise ZooError(f"{path}: no region for {side}; {known}{''.join(f'; {note}' for note in notes)}")
    if options.match_gc:
        others = {side: one.rows(_matched(one.gc, found[side].gc, seed)) for side, one in others.items()}
    held_out, random = {}, np.random.default_rng((seed, 0, 1))  # epochs count from 1
    for side in ("validation", "test"):
        number = round(len(found[side]) * options.background_share)
        more = [others[side].some(number, random)] if others else []
        middle = [one.split(shape, np.full(len(one), 0), np.zeros(len(one), bool)) for one in (found[side], *more)]
        held_out[side] = joined(middle)
    train, background = found["train"], others.get("train", found["train"].rows(np.arange(0)))
    per_epoch = min(len(background), round(len(train) * options.background_share))
    digest = hashlib.sha256()
    for one in (train, background):
        digest.update(np.ascontiguousarray(one.codes).data)
        digest.update(np.ascontiguousarray(one.signal).data)
    for split in held_out.values():
        digest.update(np.ascontiguousarray(split.codes).data)
        digest.update(np.ascontiguousarray(split.targets).data)
    facts = {
        "source": str(path), "sha256": digest.hexdigest(), "train": len(train),
        "validation": len(held_out["validation"]), "background": per_epoch, "jitter": options.jitter, "flip": flip,
    }  # fmt: skip
    notes.append(
        f"{path}: {counted(len(train), 'regions')} for training"
        + (f" and {per_epoch:,} of {counted(len(background), 'background regions')} in each epoch" if others else "")
        + f", {len(held_out['validation']):,} for validation, {len(held_out['test']):,} for the test"
    )
    chromosomes = (*layout.validation_chromosomes, *layout.test_chromosomes)
    card = CARD.filled(Card(training_data=path.name if path.name.isprintable() else "", held_out=chromosomes))
    test = held_out["test"] if len(held_out["test"]) else None
    return RegionSource(
        shape, train, background, held_out["validation"], test, card, facts, options.jitter, per_epoch, flip, seed,
        tuple(notes),
    )  # fmt: skip


def read_split(path: Path, options: RegionOptions, layout: Layout, shape: Shape, side: str) -> Split:
    """The regions of a BED file on one side, not shifted. side: train, validation, test, or "all" for every region.

    Raises ZooError as `read` does, and if there are none.
    """
    chosen = None if side == "all" else splits.side(side)
    _check(path, options, layout, shape, divided=chosen is not None)
    sides = {name: set(getattr(layout, f"{name}_chromosomes")) for name in ("validation", "test")}
    assert options.genome is not None
    still = dataclasses.replace(options, jitter=0)
    with IndexedFasta(options.genome) as genome, tracks.Signals(options.signal) as signals:
        found, _ = _read(path, genome, signals, still, shape, sides if chosen else {})
    regions = found[chosen or "train"]
    if not len(regions):
        raise ZooError(f"{path}: the split {side} is empty; --{side}-chromosomes names its chromosomes")
    return regions.split(shape, np.full(len(regions), 0), np.zeros(len(regions), bool))


def _check(path: Path, options: RegionOptions, layout: Layout, shape: Shape, divided: bool = True) -> None:
    """Raise ZooError for options that are missing or do not fit. divided: whether chromosomes of validation are needed,
    or, with those of the test, enough."""
    tracks_wanted = len(shape.targets) * shape.strands
    if options.genome is None or not options.signal:
        absent = (
            "--genome, the FASTA of the genome" if options.genome is None else "--signal, bigWig files of read ends"
        )
        raise ZooError(f"--data {path}: regions also need {absent}")
    if len(options.signal) != tracks_wanted:
        strands = " for each strand, plus.bw,minus.bw" if shape.strands > 1 else ""
        raise ZooError(
            f"--signal: expected {counted(tracks_wanted, 'files')}, one{strands} of each of the targets "
            f"{', '.join(shape.targets)}, got {len(options.signal)}"
        )
    if options.background is None and (options.match_gc or options.background_share != RegionOptions.background_share):
        raise ZooError("--match-gc, --background-share: also need --background, the regions outside the peaks")
    _check_division(path, layout, divided)


def _check_division(path: Path, layout: Layout, divided: bool) -> None:
    """The part of `_check` that is about the division."""
    if layout.split_by == "fraction":
        raise ZooError("--split-by fraction: regions overlap, so that they are divided by chromosome alone")
    for field in dataclasses.fields(Layout):
        if field.name not in APPLICABLE and getattr(layout, field.name) != field.default:
            raise refused(getattr(COMMAND_LINE, field.name, f"--{field.name.replace('_', '-')}"))
    if not divided:
        return
    counts = _chromosomes(path)
    if not (layout.validation_chromosomes or layout.test_chromosomes):
        raise ZooError(f"{path}: regions need --validation-chromosomes NAME; {_known(counts)}")
    for side in ("validation", "test"):
        for name in getattr(layout, f"{side}_chromosomes"):
            if name not in counts:
                raise ZooError(f"{path}: no region is on --{side}-chromosomes {shown(name)}; {_known(counts)}")


def refused(option: str) -> ZooError:
    """The error for an option of labelled sequences."""
    return ZooError(f"{option}: does not apply to regions of a genome; leave it out")


def _known(counts: Counter[str]) -> str:
    return "known chromosomes: " + ", ".join(f"{name} ({count:,})" for name, count in counts.most_common(30))


def _chromosomes(path: Path) -> Counter[str]:
    return Counter(one.contig for one in bed.read(path) if not isinstance(one, BadInterval))


def _read(
    path: Path,
    genome: IndexedFasta,
    signals: tracks.Signals,
    options: RegionOptions,
    shape: Shape,
    sides: dict[str, set[str]],
) -> tuple[dict[str, Regions], list[str]]:
    """Side -> its regions, those of the held-out sides without bases for shifts; and notes on regions left out."""
    jitters = {"train": options.jitter, "validation": 0, "test": 0}
    codes: dict[str, list[np.ndarray]] = {side: [] for side in jitters}
    signal: dict[str, list[np.ndarray]] = {side: [] for side in jitters}
    outside = deep = 0
    for one in bed.read(path):
        if isinstance(one, BadInterval):
            raise ZooError(f"{one.where}: {one.reason}")
        if one.contig not in genome.contigs:
            raise ZooError(f"{one.where}: the genome {genome.path} has no contig {one.contig}")
        side = next((name for name, names in sides.items() if one.contig in names), "train")
        jitter = jitters[side]
        start = windows.window_start(one.centre, shape.length) - jitter
        stop = start + shape.length + 2 * jitter
        if start < 0 or stop > genome.contigs[one.contig]:
            outside += 1
            continue
        around = (shape.length - shape.positions) // 2
        reads = signals.read(one.contig, start + around, stop - around)
        if (reads < 0).any():
            raise ZooError(f"--signal: expected counts of at least 0, got {reads.min():g} near {one.where}")
        middle = reads[:, jitter : jitter + shape.positions]
        if options.most_counts is not None and middle.sum() > options.most_counts:
            deep += 1
            continue
        codes[side].append(genome.codes(one.contig, start, stop))
        signal[side].append(reads)
    sizes = {side: (shape.length + 2 * jitter, shape.positions + 2 * jitter) for side, jitter in jitters.items()}
    strands = len(shape.targets) * shape.strands
    found = {
        side: Regions(
            np.array(codes[side], np.uint8).reshape(-1, bases),
            np.array(signal[side], np.float32).reshape(-1, strands, positions),
        )
        for side, (bases, positions) in sizes.items()
    }
    left_out = ((outside, "too near the end of a contig"), (deep, "with more reads than --most-counts"))
    return found, [f"{path}: {counted(number, 'regions')} left out, {why}" for number, why in left_out if number]


def _matched(candidates: np.ndarray, wanted: np.ndarray, seed: int) -> np.ndarray:
    """For each of `wanted`, in random order, the nearest number of `candidates` that is left: indices into these."""
    order = list(np.argsort(candidates, kind="stable"))
    values = candidates[order].tolist()
    chosen = []
    for value in np.random.default_rng(seed).permutation(wanted)[: len(values)].tolist():
        place = int(np.searchsorted(values, value))
        if place == len(values) or (place and value - values[place - 1] < values[place] - value):
            place -= 1
        values.pop(place)
        chosen.append(order.pop(place))
    return np.array(chosen, np.intp)
