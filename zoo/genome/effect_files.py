"""Effects of variants as files: a table with a row an allele, or the VCF itself with further INFO fields, and an index.

Written from the parts of a run and its variants, which are read once more, in order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.errors import ZooError
from zoo.formats import annotated_vcf, table_writer, vcf
from zoo.formats.annotated_vcf import Header
from zoo.formats.table_writer import Column, Digested, Layout
from zoo.formats.vcf import Variant
from zoo.genome.genome_job import Outputs
from zoo.genome.haplotypes import REASONS, SCORED
from zoo.genome.shards import Arrays, Parts
from zoo.prediction import description
from zoo.prediction.job import description_path
from zoo.spec import ModelSpec
from zoo.system.atomic import check_target, replacing, replacing_together

if TYPE_CHECKING:
    from zoo.genome.variants import Job

LABELS = {"chrom": str, "pos": int, "id": str, "ref": str, "alt": str}

MATCH = {"ref_match": str}
"""The last column: yes, or no where the genome has other bases than REF."""

KINDS = ("ref", "alt", "delta")
"""Columns a target: ref_dev, alt_dev, delta_dev. What the model predicts are logarithms: delta is alt - ref."""

MISMATCH = "ref_mismatch"

FLAG = "ZOO_REF_MISMATCH"

RECORDS = 8192
"""That are written together."""

MOST_NAMED = 1000
"""Alleles of a kind that are not scored which the description names; the others are counted."""


def outputs(output: Path, variants: Path, targets: Sequence[str]) -> list[Path]:
    """The description, and the table or VCF. Raises ZooError for a name whose suffix is neither's, and for targets that
    VCF cannot tell apart."""
    if output.suffix.lower() == ".bcf":
        raise ZooError(f"{output}: expected an output in VCF, such as {output.with_suffix('.vcf.gz')}, or a table")
    if annotated_vcf.is_vcf(output):
        if not vcf.is_vcf(variants):
            raise ZooError(f"{output}: a table of variants has no header for VCF; give an output such as .tsv")
        for index in _indices(output):
            if index.is_dir():
                check_target(index)
        _check_fields(output, targets)
    else:
        table_writer.check_name(output)
    return [description_path(output), output]


def join(job: Job, spec: ModelSpec, parts: Parts, outputs: Outputs, longest: int) -> dict[str, Any]:
    """Write the effects and their description, all or none. Returns the description.

    longest: bases of the longest contig.
    Raises ZooError if the genome has the REF of no allele: it is another one.
    """
    report = _Report()
    for part in range(parts.count):
        report.count(parts.read(part))
    if report.alleles and report.mismatches == report.alleles:
        raise ZooError(
            f"{job.variants}: the genome {job.genome} has the REF of none of its {report.alleles:,} alleles; is it "
            "another assembly?"
        )
    with replacing_together(outputs, job.inputs) as (beside, effects):
        if annotated_vcf.is_vcf(job.output):
            index = _write_vcf(job, spec, parts, report, effects, longest)
        else:
            index = None
            _write_table(job, spec, parts, report, effects)
        described = {
            **job.described(spec, parts),
            "variants": {"file": str(job.variants), "sha256": parts.identity["variants sha256"]},
            "rc": job.loading.rc,
            **dataclasses.asdict(job.options),
            "sequence_length": spec.sequence_length,
            "targets": list(spec.targets),
            "counts": report.counts(),
            "not_scored": report.named,
            "index": index.suffix if index else None,
            "table": description.facts(effects),
        }
        beside.write_text(json.dumps(described, indent=2) + "\n")
        _put_index(job.output, index)
    return described


class _Report:
    """What came of the alleles."""

    def __init__(self) -> None:
        self.alleles = self.mismatches = 0
        self.without_alleles = 0
        self.not_scored = dict.fromkeys(REASONS[1:], 0)
        self.named: dict[str, list[str]] = {}

    def count(self, arrays: Arrays) -> None:
        self.alleles += len(arrays["match"])
        self.mismatches += int((arrays["match"] == 0).sum())
        for number, reason in enumerate(REASONS[1:], 1):
            self.not_scored[reason] += int((arrays["reasons"] == number).sum())

    def name(self, alleles: _Alleles) -> None:
        """Note what has no numbers, and why."""
        for place in np.flatnonzero((alleles.match == 0) | (alleles.reasons > 0)):
            variant, alt = alleles.variants[place], alleles.alts[place]
            reason = REASONS[alleles.reasons[place]]
            kinds = [*([] if alleles.match[place] else [MISMATCH]), *([] if reason == SCORED else [reason])]
            for kind in kinds:
                names = self.named.setdefault(kind, [])
                if len(names) < MOST_NAMED:
                    names.append(variant.shown(alt))

    def counts(self) -> dict[str, int]:
        counts = {"records": self.alleles, MISMATCH: self.mismatches, **self.not_scored}
        return counts | {"variants_without_alleles": self.without_alleles}


@dataclasses.dataclass(frozen=True)
class _Alleles:
    """Some alleles in order, each with its variant, and their effects.

    counts: of the alleles of each record.  ref, alt: float32 (A, T), NaN where not scored.  match, reasons: uint8 (A,).
    """

    counts: list[int]
    variants: list[Variant]
    alts: list[str]
    ref: np.ndarray
    alt: np.ndarray
    match: np.ndarray
    reasons: np.ndarray


def _alleles(job: Job, parts: Parts, report: _Report) -> Iterator[_Alleles]:
    """Those of some records at a time. Raises ZooError if the parts are not those of the variants."""
    variants = vcf.read(job.variants)
    for part in range(parts.count):
        arrays = parts.read(part)
        done = 0
        rest = itertools.islice(variants, job.sharing.part_size)
        while records := list(itertools.islice(rest, RECORDS)):
            counts = [len(record.alts) for record in records]
            stop = done + sum(counts)
            chosen = {name: arrays[name][done:stop] for name in ("ref", "alt", "match", "reasons")}
            if len(chosen["match"]) < stop - done:
                raise ZooError(f"{parts.path(part)}: is damaged, remove it (too few alleles)")
            each = [record for record in records for _ in record.alts]
            alleles = _Alleles(counts, each, [alt for record in records for alt in record.alts], **chosen)
            report.without_alleles += counts.count(0)
            report.name(alleles)
            yield alleles
            done = stop
        if done != len(arrays["match"]):
            raise ZooError(f"{parts.path(part)}: is damaged, remove it (too many alleles)")


def _write_table(job: Job, spec: ModelSpec, parts: Parts, report: _Report, effects: Path) -> None:
    numbers = [f"{kind}_{target}" for target in spec.targets for kind in KINDS]
    layout = Layout(numbers, LABELS, MATCH, missing=True)
    with effects.open("wb") as file, table_writer.opened(job.output, Digested(file), layout) as table:
        for alleles in _alleles(job, parts, report):
            if not alleles.alts:
                continue
            columns = ([one.contig for one in alleles.variants], [one.position + 1 for one in alleles.variants])
            names, refs = ([getattr(one, field) for one in alleles.variants] for field in ("name", "ref"))
            values = np.stack([alleles.ref, alleles.alt, alleles.alt - alleles.ref], axis=2)
            matches = ["yes" if match else "no" for match in alleles.match]
            labels: list[Column] = [*columns, names, refs, alleles.alts]
            table.write(labels, values.reshape(len(matches), len(numbers)), [matches])


def _write_vcf(job: Job, spec: ModelSpec, parts: Parts, report: _Report, effects: Path, longest: int) -> Path | None:
    headers = [Header(FLAG, "0", "Flag", "The genome has other bases than REF; the record is not scored")]
    texts = {"ref": "Prediction of the genome", "alt": "Prediction of the allele", "delta": "Prediction, ALT less REF"}
    for target in spec.targets:
        for kind in KINDS:
            number = "1" if kind == "ref" else "A"
            text = f"{texts[kind]}: {target}, model {spec.architecture}, weights {spec.weights_id[:12]}"
            headers.append(Header(_field(kind, target), number, "Float", text))
    fields = (text for alleles in _alleles(job, parts, report) for text in _fields_of_records(alleles, spec.targets))
    compress = annotated_vcf.is_compressed(job.output)
    return annotated_vcf.write(job.variants, effects, compress, headers, fields, longest)


def _check_fields(output: Path, targets: Sequence[str]) -> None:
    """Raise ZooError unless every INFO field would have a name of its own."""
    fields = {FLAG: "the flag for another REF"}
    for target in targets:
        field = _field(KINDS[0], target)
        if field in fields:
            raise ZooError(
                f"{output}: {fields[field]} and the target {target!r} would both be the INFO field {field}; give an "
                "output such as .tsv"
            )
        fields[field] = f"the target {target!r}"


def _field(kind: str, target: str) -> str:
    return annotated_vcf.info_name(f"ZOO_{kind.upper()}_{target}")


def _fields_of_records(alleles: _Alleles, targets: Sequence[str]) -> Iterator[str]:
    """INFO fields of each record: those of the reference once, the others an allele, "." where it is not scored."""
    delta = alleles.alt - alleles.ref
    done = 0
    for count in alleles.counts:
        here = slice(done, done + count)
        done += count
        fields = [FLAG] if count and not alleles.match[here.start] else []
        scored = here.start + np.flatnonzero(~np.isnan(alleles.alt[here, 0]))
        for column, target in enumerate(targets if len(scored) else ()):
            fields.append(f"{_field('ref', target)}={_number(alleles.ref[scored[0], column])}")
            for kind, values in (("alt", alleles.alt), ("delta", delta)):
                fields.append(f"{_field(kind, target)}={','.join(map(_number, values[here, column]))}")
        yield ";".join(fields)


def _number(value: np.float32) -> str:
    """A float32 in digits that give it back, "." for NaN."""
    return vcf.MISSING if np.isnan(value) else np.format_float_positional(value, trim="-")


def _indices(output: Path) -> list[Path]:
    return [output.with_name(f"{output.name}{suffix}") for suffix in annotated_vcf.INDICES]


def _put_index(output: Path, index: Path | None) -> None:
    """Give an index, which was made beside a file that is yet to get its name, its own; an old one goes."""
    for target in _indices(output):
        if index is not None and index.suffix == target.suffix:
            with replacing(target, overwrite=True) as partial:
                index.replace(partial)
        else:
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
