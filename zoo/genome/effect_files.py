"""Effects of alleles in files: a table, or INFO fields of a VCF and its index. Axes: A alleles, T targets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.formats import table_writer, vcf
from zoo.formats.columns import is_missing
from zoo.formats.table_writer import Digested, Layout
from zoo.formats.vcf import MISSING, InfoField
from zoo.genome.effects import AFTER, KINDS, LABELS, MISMATCH, PARTLY, REASONS, SCORED, Add, Effects
from zoo.genome.options import VariantOptions
from zoo.spec import ModelSpec
from zoo.system.atomic import replacing


def info_fields(spec: ModelSpec, options: VariantOptions, beside: Mapping[str, str]) -> Iterator[InfoField]:
    """The INFO fields of a VCF, whose names begin with the prefix. beside: name of a further column -> what it is."""
    prefix = options.prefix
    yield InfoField(_flag(prefix), "0", "Flag", "The genome has other bases than REF; the record is not scored")
    yield InfoField(_status(prefix), "A", "String", f"{SCORED}, or why not; {PARTLY}: a window holds a part of it")
    for target in spec.targets:
        for kind, text in {**KINDS, **beside}.items():
            described = f"{text}: {target}, model {spec.architecture}, weights {spec.weights_id[:12]}"
            described += f"; the {options.flank} flank of an indel keeps its place" if kind != "ref" else ""
            yield InfoField(_field(prefix, kind, target), "1" if kind == "ref" else "A", "Float", described)


def _statuses(effects: Effects) -> list[str]:
    """The status of each allele: one of REASONS, or MISMATCH."""
    refs = effects.columns[list(LABELS).index("ref")]
    return [
        REASONS[reason] if match or is_missing(ref) else MISMATCH
        for ref, match, reason in zip(refs, effects.match, effects.reasons, strict=True)
    ]


@contextlib.contextmanager
def table(output: Path, targets: Sequence[str], file: Path, beside: Sequence[str] = ()) -> Iterator[Add]:
    """An open table of effects. beside: names of the further columns."""
    layout = Layout(number_columns(targets, beside), LABELS, AFTER, missing=True)
    with file.open("wb") as content, table_writer.opened(output, Digested(content), layout) as writer:

        def add(effects: Effects) -> None:
            if len(effects.match):
                writer.write(*rows(effects))

        yield add


def number_columns(targets: Sequence[str], beside: Sequence[str] = ()) -> list[str]:
    """ref_dev, alt_dev, delta_dev and further ones such as dev_p, for each target."""
    names = ((f"{kind}_{target}" for kind in KINDS) for target in targets)
    more = ([f"{target}_{name}" for name in beside] for target in targets)
    return [name for of_target in zip(names, more, strict=True) for some in of_target for name in some]


def rows(effects: Effects) -> tuple[list[list[Any]], np.ndarray, list[list[str]]]:
    """Columns of LABELS, numbers as in `number_columns`, float32 (A, columns), and columns of AFTER."""
    values = np.stack([effects.ref, effects.alt, effects.delta, *effects.beside.values()], axis=2)
    matches = ["yes" if match else "no" for match in effects.match]
    return effects.columns, values.reshape(len(matches), -1), [matches, _statuses(effects)]


def check_fields(output: Path, targets: Sequence[str], prefix: str) -> None:
    """Raise ZooError if two INFO fields would have the same name."""
    fields = {_flag(prefix): "the flag of a different REF"}
    for target in targets:
        field = _field(prefix, "ref", target)
        if field in fields:
            raise ZooError(
                f"{output}: {fields[field]} and the target {target!r} would both be the INFO field {field}; give an "
                "output such as .tsv"
            )
        fields[field] = f"the target {target!r}"


def _flag(prefix: str) -> str:
    return f"{prefix}_REF_MISMATCH"


def _status(prefix: str) -> str:
    return f"{prefix}_STATUS"


def _field(prefix: str, kind: str, target: str) -> str:
    return vcf.info_name(f"{prefix}_{kind.upper()}_{target}")


def fields_of_records(effects: Effects, targets: Sequence[str], prefix: str) -> Iterator[str]:
    """INFO fields of each record: one value for the reference, the others for each allele, "." if it is not scored; and
    the status of the alleles, unless all are scored."""
    statuses = _statuses(effects)
    done = 0
    for count in effects.kept:
        here = slice(done, done + count)
        done += count
        fields = [_flag(prefix)] if count and not effects.match[here.start] else []
        if set(statuses[here]) - {SCORED}:
            fields.append(f"{_status(prefix)}={','.join(statuses[here])}")
        scored = here.start + np.flatnonzero(~np.isnan(effects.alt[here, 0]))
        for column, target in enumerate(targets if len(scored) else ()):
            fields.append(f"{_field(prefix, 'ref', target)}={_number(effects.ref[scored[0], column])}")
            for kind, values in (("alt", effects.alt), ("delta", effects.delta), *effects.beside.items()):
                fields.append(f"{_field(prefix, kind, target)}={','.join(map(_number, values[here, column]))}")
        yield ";".join(fields)


def _number(value: np.float32) -> str:
    """The fewest digits that give the same float32 back; "." for NaN."""
    return MISSING if np.isnan(value) else np.format_float_positional(value, trim="-")


def indices(output: Path) -> list[Path]:
    return [output.with_name(f"{output.name}{suffix}") for suffix in vcf.INDICES]


def put_index(output: Path, index: Path | None) -> None:
    """Give the new index, made beside a temporary file, its name; remove an old one."""
    for target in indices(output):
        if index is not None and index.suffix == target.suffix:
            with replacing(target, overwrite=True) as partial:
                index.replace(partial)
        else:
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
