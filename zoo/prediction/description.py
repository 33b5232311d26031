"""What a prediction was made of and by what: the description beside its table, and one line about it.

Bundled weights imitate published ones; both say so, and how near they come.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import zoo
from zoo.system.files import file_sha256
from zoo.weights import lookup

if TYPE_CHECKING:
    from zoo.spec import ModelSpec

LINE = 150
"""Letters of a line at a terminal; what does not fit is left to the long form."""


def of_run(runtime: str, provider: str, spec: ModelSpec) -> dict[str, Any]:
    """What computes: release, runtime, device and weights."""
    return {"version": zoo.__version__, "runtime": runtime, "provider": provider, "weights": of_weights(spec)}


def of_weights(spec: ModelSpec) -> dict[str, Any]:
    """Which weights they are, and for bundled ones what they imitate and how well."""
    bundled = lookup.bundled_as(spec.weights_id)
    return {
        "id": spec.weights_id,
        "architecture": spec.architecture,
        "source": spec.source,
        "licence": spec.licence,
        "bundled": bundled,
        "imitates": lookup.published_instead(spec.architecture) if bundled else None,
        "fidelity": lookup.fidelity(bundled, spec.targets) if bundled else {},
    }


def facts(file: Path) -> dict[str, Any]:
    """Of a file: bytes, and sha256 as `sha256sum` prints it."""
    return {"bytes": file.stat().st_size, "sha256": file_sha256(file)}


def summary(description: dict[str, Any], unit: str = "sequences") -> str:
    """One line of at most LINE letters: how many records, what computed, and which weights; see `details`.

    unit: what a record is called.
    """
    weights = description["weights"]
    counts = description["counts"]
    changed = "".join(
        f", {counts[name]:,} {name.replace('_', ' ')}" for name in counts if name != "records" and counts[name]
    )
    line = f"{counts['records']:,} {unit}{changed}; {description['runtime']}"
    for more in _about(weights):
        if len(line) + len(more) <= LINE:
            line += more
    return line


def _about(weights: dict[str, Any]) -> list[str]:
    """What to say of weights, the most important first."""
    if not weights["bundled"]:
        return [f"; weights {weights['id'][:12]}"]
    r = ", ".join(f"{value:.2f} {target}" for target, value in weights["fidelity"].items())
    spelled = f" (r {r})" if r else ""
    if weights["imitates"] is None:
        return [f"; bundled weights {weights['bundled']}{spelled}"]
    return [
        f"; bundled weights, which imitate the published model{spelled}",
        f"; zoo pull {weights['imitates']} brings that",
    ]


def details(description: dict[str, Any]) -> list[str]:
    """What `summary` leaves out, a line each: the device, the origin of the weights and their licence."""
    weights = description["weights"]
    provider = [f"computed by {description['provider']}"] if "provider" in description else []
    return [
        *provider,
        f"weights {weights['id']}, of the model {weights['architecture']}",
        f"their source: {weights['source']}",
        f"their licence: {weights['licence']}",
    ]


def of_shard(description: dict[str, Any]) -> str:
    """One line about a shard that is done."""
    missing = f"{description['missing']:,} missing" if description["missing"] else "all there; join them with --merge"
    return f"shard {description['shard']} is done; of {description['parts']:,} parts {missing}"
