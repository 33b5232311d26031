"""Random variants of each kind, and the sizes of their effects: the null distribution for p-values.

A variant stands at a random place of the genome without an N around it, drawn with replacement. A substitution keeps
its base and its two neighbours: A[C>T]G stands at a random ACG. An insertion has the bases of another random place. The
effects are computed as those of any other variant. Axes: T targets.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from zoo.confidence.places import CONTEXTS, Draw, Places
from zoo.formats import vcf
from zoo.formats.indexed_fasta import IndexedFasta
from zoo.formats.vcf import BadVariant, Variant
from zoo.genome import alleles, pvalues
from zoo.genome.effects import NUMBERED, Effects
from zoo.genome.options import MOST_PART_SIZE, AlleleOptions, ShardOptions, VariantOptions
from zoo.genome.shards import Progress
from zoo.genome.variants import Scoring, VariantsJob
from zoo.prediction.model import Model
from zoo.spec import ALPHABET

NUMBERS = re.compile(
    r"(?:deletion of (?P<d>\d+)|insertion of (?P<i>\d+)|(?P<deleted>\d+) replaced by (?P<inserted>\d+))"
)


class Lengths(NamedTuple):
    """A kind that is no substitution: how many bases it deletes and inserts."""

    deleted: int
    inserted: int


def kinds_in(path: Path, genome: IndexedFasta, length: int) -> list[Lengths]:
    """The kinds of the alleles in a file of variants, other than substitutions, that windows of `length` bases show.

    Raises ZooError if it cannot be read. Records that are not valid have no kind.
    """
    found: set[Lengths] = set()
    for variant in vcf.Records(path, skip_bad=True):
        if isinstance(variant, BadVariant) or variant.contig not in genome.contigs:
            continue
        for alt in variant.alts:
            if alleles.reason_of(alt, variant.ref, length) in NUMBERED:
                kind = pvalues.kind_of(genome, variant.contig, variant.position, variant.ref, alt)
                if numbers := NUMBERS.fullmatch(kind):
                    deleted, inserted = numbers["d"] or numbers["deleted"], numbers["i"] or numbers["inserted"]
                    found.add(Lengths(int(deleted or 0), int(inserted or 0)))
    return sorted(found)


@dataclasses.dataclass(frozen=True)
class RandomVariants:
    """The random variants of a genome: `number` of each substitution in its context, and of each further kind.

    contexts: of the substitutions.
    """

    genome: IndexedFasta
    number: int
    others: Sequence[Lengths]
    seed: int
    contexts: Sequence[str] = tuple(CONTEXTS)

    def sizes(self, model: Model, options: AlleleOptions, on_progress: Progress) -> dict[str, np.ndarray]:
        """Kind -> sizes of the effects, float32 (T, number), sorted. A context that the genome lacks has no kinds.

        Raises ZooError for a shift or a kind that does not fit the model's windows.
        """
        length = model.spec.sequence_length
        options.check(length)
        longest = max((max(one) for one in self.others), default=1)
        reach = longest + max(map(abs, options.shifts))
        places = Places(self.genome, length // 2 + reach, length - length // 2 + reach + 1)
        comparing = VariantOptions(shifts=options.shifts, flank=options.flank)
        sharing = ShardOptions(part_size=MOST_PART_SIZE)
        job = VariantsJob(self.genome.path, Path("effects"), comparing, variants=Path("variants"), sharing=sharing)
        work = Scoring(job, self.genome, model.spec)
        work.model = model
        found: dict[str, list[np.ndarray]] = {}

        def add(effects: Effects) -> None:
            sizes = np.abs(effects.delta)
            rows: dict[str, list[int]] = {}
            for row, kind in enumerate(pvalues.kinds_of(self.genome, effects, range(len(sizes)))):
                rows.setdefault(kind, []).append(row)
            for kind, those in rows.items():
                found.setdefault(kind, []).append(sizes[those])

        work.score(self._variants(places), on_progress, add)
        return {kind: np.sort(np.concatenate(parts).T, axis=1) for kind, parts in sorted(found.items())}

    def count(self) -> int:
        """Number of variants, at most; the three substitutions of a base are one."""
        return self.number * (len(self.contexts) + len(self.others))

    def _variants(self, places: Places) -> Iterator[Variant]:
        contexts = [number for number in map(CONTEXTS.index, self.contexts) if places.count(number)]
        draws = [Draw(self.number, number) for number in contexts]
        draws += [Draw(self.number) for _ in self.others for _ in ("place", "bases")]
        drawn: list[list[tuple[str, int]]] = [[] for _ in draws]
        for found in places.draw(draws, self.seed):
            drawn[found.draw] += [(found.contig, position) for position in found.positions.tolist()]
        for number, there in zip(contexts, drawn, strict=False):
            base = CONTEXTS[number][1]
            alts = tuple(other for other in ALPHABET if other != base)
            yield from (Variant(contig, position, vcf.MISSING, base, alts) for contig, position in there)
        generator = np.random.default_rng([self.seed, len(draws)])
        rest = drawn[len(contexts) :]
        for kind, there, others in zip(self.others, rest[::2], rest[1::2], strict=True):
            # both are in the order of the genome, and the bases must not come from nearby
            for (contig, position), other in zip(there, generator.permutation(len(others)).tolist(), strict=True):
                yield self._other(kind, contig, position, *others[other])

    def _other(self, kind: Lengths, contig: str, position: int, source: str, start: int) -> Variant:
        """A variant of a kind; the bases that it inserts begin at `start` of another contig."""
        letters = self.genome.letters(contig, position, position + 1 + kind.deleted)
        inserted = self.genome.letters(source, start, start + kind.inserted)
        if not kind.deleted or not kind.inserted:  # VCF writes the base before an indel
            return Variant(contig, position, vcf.MISSING, letters, (letters[0] + inserted,))
        deleted = letters[: kind.deleted]
        # neither the first nor the last base may stay, else the variant is of another kind
        last = _other_than(inserted[-1], deleted[-1] + (deleted[0] if kind.inserted == 1 else ""))
        first = _other_than(inserted[0], deleted[0]) if kind.inserted > 1 else ""
        return Variant(contig, position, vcf.MISSING, deleted, (first + inserted[1:-1] + last,))


def _other_than(base: str, avoided: str) -> str:
    """The base, or the next one by the alphabet that is not to be avoided."""
    order = ALPHABET[ALPHABET.index(base) :] + ALPHABET
    return next(one for one in order if one not in avoided)
