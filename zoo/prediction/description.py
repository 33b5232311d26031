"""Descriptions of runs: entries that all have in common, and lines for the terminal.

Bundled weights imitate published ones; the description says so, and how well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import zoo
from zoo.card import Card
from zoo.errors import counted
from zoo.formats.names import listed
from zoo.system.files import file_sha256
from zoo.weights import lookup

if TYPE_CHECKING:
    from zoo.spec import ModelSpec

ONE_AND_MANY = {
    "ambiguous_letters": ("ambiguous letter", "ambiguous letters"),
    "breakend": ("breakend", "breakends"),
    "conditions": ("condition", "conditions"),
    "other_letters": ("with other letters", "with other letters"),
    "overlapping_deletion": ("overlapping deletion", "overlapping deletions"),
    "ref_mismatch": ("ref mismatch", "ref mismatches"),
    "stretches": ("stretch", "stretches"),
    "variants_without_alleles": ("variant without alleles", "variants without alleles"),
}
"""Name of a count -> its words for one and for more, where they are not the name itself."""


def of_run(runtime: str, provider: str, spec: ModelSpec) -> dict[str, Any]:
    """Release, runtime, device and weights."""
    return {"version": zoo.__version__, "runtime": runtime, "provider": provider, "weights": of_weights(spec)}


def of_weights(spec: ModelSpec) -> dict[str, Any]:
    """Identity of weights; for bundled ones, what they imitate and how well.

    frame: of an imported network, its strand rule and Frame.lines.  published: the name of published weights.
    caution: see lookup.imitation.  predicts, cite: what the targets of published weights and their imitations are, and
    whom to cite; for other weights, what their card says, or None.  unit: of the activities.
    members: weights ids of the members of an ensemble, in order.
    """
    bundled, about = lookup.bundled_as(spec.weights_id), lookup.about(spec.weights_id)
    card = spec.card or Card()
    return {
        "id": spec.weights_id,
        "architecture": ", ".join(dict.fromkeys(one.architecture for one in spec.members)) or spec.architecture,
        "members": [one.weights_id for one in spec.members],
        "source": spec.source,
        "licence": spec.licence,
        "network": spec.network_id,
        "frame": spec.frame and {"rule": spec.frame.strand.rule, **spec.frame.lines()},
        "bundled": bundled,
        "published": lookup.published_as(spec.weights_id),
        "imitates": lookup.published_instead(spec.architecture) if bundled else None,
        "caution": lookup.imitation(spec.weights_id),
        "predicts": about.predicts if about else card.predicts or None,
        "cite": about.citation if about else card.citation or None,
        "unit": spec.unit,
    }


def facts(file: Path) -> dict[str, Any]:
    """Bytes of a file, and sha256 as `sha256sum` prints it."""
    return {"bytes": file.stat().st_size, "sha256": file_sha256(file)}


def summary(description: dict[str, Any], unit: str = "sequences") -> str:
    """One line: number of records, runtime and weights. unit: plural name of a record."""
    records, *others = description["counts"].items()
    changed = "".join(f", {count:,} {_words(name, count)}" for name, count in others if count)
    return f"{counted(records[1], unit)}{changed}; {description['runtime']}; {name(description['weights'])}"


def _words(name: str, count: int) -> str:
    """The name of a count for a sentence."""
    one, many = ONE_AND_MANY.get(name, (name, name))
    return (one if count == 1 else many).replace("_", " ")


def name(weights: dict[str, Any]) -> str:
    """Which weights these are, in a few words."""
    if weights["bundled"]:
        return f"bundled weights {weights['bundled']}"
    published = weights.get("published")  # descriptions of earlier releases have no such entry
    if members := weights.get("members"):
        return f"ensemble {weights['id'][:12]} of {len(members)} members"
    return f"published weights {published}" if published else f"weights {weights['id'][:12]}"


def held_out(description: dict[str, Any]) -> str | None:
    """How many members predicted which chromosomes, in words; None for a run without --held-out."""
    if "held_out_members" not in description:
        return None
    members = counted(max(1, len(description["weights"]["members"])), "members")
    by_count: dict[int, list[str]] = {}
    for contig, count in description["held_out_members"].items():
        by_count.setdefault(count, []).append(contig)
    parts = [f"{listed(contigs)} by {count:,}" for count, contigs in sorted(by_count.items())]
    return f"held out: predicted {', '.join(parts)} of {members}"


def details(description: dict[str, Any]) -> list[str]:
    """Lines that `summary` leaves out: the device, the source of the weights and their licence."""
    weights = description["weights"]
    provider = [f"computed by {description['provider']}"] if "provider" in description else []
    return [
        *provider,
        f"weights {weights['id']}, architecture {weights['architecture']}",
        f"source of the weights: {weights['source']}",
        f"licence of the weights: {weights['licence']}",
    ]


def of_shard(description: dict[str, Any]) -> str:
    """One line about a finished shard."""
    missing = description["missing"]
    rest = f"{missing:,} are missing" if missing else "none is missing; join them with --merge"
    return f"shard {description['shard']} is done; of {counted(description['parts'], 'parts')}, {rest}"
