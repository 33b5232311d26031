"""`zoo explain --clusters`: sequences grouped by what their predictions rest on. All results appear together.

clusters.tsv        one row for each sequence: predictions, cluster (from 1; NA without any contribution), distances to
                    its centre and to the nearest other one, and the two largest components
cluster_motifs.tsv  one row for each cluster and motif or word, see comparison.Difference
clusters.npz        features, float32 (N, F), and their targets, names and kinds; labels, int (N,), components, centres
clusters.png        the figure; also .svg and .pdf
clusters.html       a page of all clusters
clusters.json       description of the run, with all numbers

Axes: N sequences, F features.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from zoo.dna.encoding import from_one_hot
from zoo.errors import counted, require
from zoo.explain import files
from zoo.explain.files import CLUSTER_FILES, Explained
from zoo.formats import meme
from zoo.formats.table_writer import NOT_AVAILABLE
from zoo.motifs import clustering, clusters_figure, clusters_page, comparison, features, known_motifs, results
from zoo.motifs.clustering import Clusters
from zoo.motifs.comparison import Difference
from zoo.motifs.features import Features
from zoo.spec import UNIT
from zoo.system import figures
from zoo.system.atomic import check_folder_target, replacing_folder
from zoo.weights import lookup

FOLDER = files.CLUSTERS
"""Default folder of the results, in the folder of zoo explain."""

DESCRIPTION, PAGE_FILE, TABLE, MOTIFS_TABLE = "clusters.json", "clusters.html", "clusters.tsv", "cluster_motifs.tsv"

ARRAYS = "clusters.npz"

FIGURE = "clusters.{}"
"""Name of the figure in each format."""

TYPICAL = 3
"""Sequences of each cluster that are named: the nearest to its centre."""

LISTED = 4
"""Maximum number of motifs in a line on the terminal."""

MOTIF_COLUMNS = (
    *("cluster", "target", "kind", "name", "present", "present_elsewhere", "used", "used_elsewhere"),
    *("contribution", "contribution_elsewhere", "difference", "low", "high", "p", "q"),
    "distinguishes",
)


def check(output: Path | None, known: Path | None, overwrite: bool, inputs: Sequence[Path] = ()) -> None:
    """Raise ZooError, before any work, if a library is missing, known motifs cannot be read, or `output` exists."""
    require("sklearn", "explain", "--clusters")
    require("matplotlib", "explain", "--clusters")
    if known is not None:
        meme.read(known)
    if output is not None:
        check_folder_target(output, overwrite, CLUSTER_FILES, [*inputs, known])


def find(
    folder: Path,
    output: Path,
    wanted: int = 0,
    known: Path | None = known_motifs.FILE,
    targets: Sequence[str] = (),
    seed: int = 1234,
    overwrite: bool = False,
    command: str = "",
    on_progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Cluster the sequences of an output folder of `zoo explain`, and return the description of the run.

    wanted: number of clusters, 0 to choose it.  known: a MEME file; contributions outside of its motifs are summed for
    words. None is only words.  targets: explained targets whose contributions count, by default all.
    on_progress: called with what is done next.
    Warns of bundled weights.
    Raises ZooError for another folder, a target that was not explained, files that cannot be used, and for fewer
    different sequences than clusters.
    """
    explained = files.read(folder)
    lookup.warn_of_imitation(explained.description["weights"]["id"])
    chosen_targets = explained.targets(targets)
    motifs, known_described = results.read_known(known)
    on_progress(f"motifs in {counted(len(explained.names), 'sequences')}")
    made = features.of(*_arrays(explained, chosen_targets), motifs)
    on_progress("clusters")
    found = clustering.find(made.values, wanted, seed)
    rows = comparison.differences(made, found.labels, found.number)
    predictions = {target: explained.activities[target] for target in chosen_targets}
    described: dict[str, Any] = {
        "command": command,
        "version": zoo.__version__,
        "explanation": explained.description,
        "options": {"clusters": wanted, "targets": list(chosen_targets), "seed": seed},
        "known": known_described,
        "sequences": len(explained.names),
        "without_contributions": int((found.labels < 0).sum()),
        "chosen": found.chosen and _division(found.chosen),
        "tried": [_division(one) for one in found.tried],
        "variance_explained": {
            target: comparison.variance_explained(values, found.labels) for target, values in predictions.items()
        },
        "clusters": [
            _cluster(number, explained.names, predictions, found, [row for row in rows if row.cluster == number])
            for number in range(found.number)
        ],
    }
    unit = explained.description["weights"].get("unit", UNIT)  # descriptions of earlier releases have no unit
    content = clusters_figure.Content(found, made.features, rows, predictions, unit)
    with replacing_folder(output, overwrite, CLUSTER_FILES, [known]) as partial:
        _write_tables(partial, explained.names, predictions, found, rows)
        _write_arrays(partial / ARRAYS, made, found)
        figure = clusters_figure.draw(content)
        for kind in figures.WITHOUT_DATE:
            figures.write(figure, partial / FIGURE.format(kind))
        clusters_page.write(partial / PAGE_FILE, described, (partial / FIGURE.format(figures.SVG)).read_bytes(), unit)
        (partial / DESCRIPTION).write_text(json.dumps(described, indent=2, allow_nan=False) + "\n")
    return described


def _arrays(explained: Explained, targets: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Base codes, uint8 (N, L), and target -> hypothetical contributions, float32 (N, L, 4)."""
    length = explained.description["sequence_length"]
    hypothetical = {}
    for target in targets:
        _, one_hot, scores = explained.arrays(target, None)
        hypothetical[target] = scores[:, :, :length].transpose(0, 2, 1)
    return from_one_hot(one_hot[:, :, :length]), hypothetical


def _division(one: clustering.Division) -> dict[str, Any]:
    return dataclasses.asdict(one) | {"accepted": one.accepted}


def _cluster(
    number: int, names: Sequence[str], predictions: dict[str, np.ndarray], found: Clusters, rows: Sequence[Difference]
) -> dict[str, Any]:
    """The description of a cluster."""
    members = np.flatnonzero(found.labels == number)
    nearest = members[np.argsort(found.distances[members, number], kind="stable")[:TYPICAL]]
    return {
        "cluster": number + 1,
        "sequences": len(members),
        "predictions": {
            target: dataclasses.asdict(comparison.mean(values[members])) for target, values in predictions.items()
        },
        "typical": [names[row] for row in nearest],
        "motifs": [_motif(row) for row in rows],
    }


def _motif(row: Difference) -> dict[str, Any]:
    """The numbers of MOTIF_COLUMNS."""
    kind = "motif" if row.feature.known else "word"
    named = {"cluster": row.cluster + 1, "target": row.feature.target, "kind": kind, "name": row.feature.name}
    return named | {name: getattr(row, name) for name in MOTIF_COLUMNS[len(named) :]}


def _write_tables(
    folder: Path, names: Sequence[str], predictions: dict[str, np.ndarray], found: Clusters, rows: Sequence[Difference]
) -> None:
    """Write one row for each sequence, and one for each cluster and feature."""
    lines = []
    for row, (name, label) in enumerate(zip(names, found.labels.tolist(), strict=True)):
        before = [_text(float(values[row])) for values in predictions.values()]
        own = float(found.distances[row, label]) if label >= 0 else None
        others = np.delete(found.distances[row], label) if label >= 0 else found.distances[row]
        nearest = float(others.min()) if len(others) else None
        cluster = label + 1 if label >= 0 else None
        components = found.components[row, :2].tolist()
        lines.append([name, *before, *map(_text, (cluster, own, nearest, *components))])
    axes = [f"component_{number + 1}" for number in range(min(2, found.components.shape[1]))]
    header = ["name", *predictions, "cluster", "distance", "next_distance", *axes]
    results.write_table(folder / TABLE, header, lines)
    cells = [[_text(one) for one in _motif(row).values()] for row in rows]
    results.write_table(folder / MOTIFS_TABLE, MOTIF_COLUMNS, cells)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    return NOT_AVAILABLE if value is None else str(value)


def _write_arrays(path: Path, made: Features, found: Clusters) -> None:
    np.savez_compressed(
        path,
        features=made.values.astype(np.float32),
        targets=np.array([one.target for one in made.features], np.str_),
        names=np.array([one.name for one in made.features], np.str_),
        known=np.array([one.known for one in made.features], bool),
        labels=np.where(found.labels >= 0, found.labels + 1, 0),
        components=found.components.astype(np.float32),
        axes=found.axes.astype(np.float32),
        distances=found.distances.astype(np.float32),
    )


def findings(described: dict[str, Any]) -> list[str]:
    """Describe the clusters of a run for the terminal."""
    lines = [clusters_page.headline(described)]
    for one in described["clusters"] if len(described["clusters"]) > 1 else ():
        means = ", ".join(f"{target} {mean['mean']:.2f}" for target, mean in one["predictions"].items())
        names = dict.fromkeys(row["name"] for row in one["motifs"] if row["distinguishes"])
        motifs = ", ".join(list(names)[:LISTED]) or "no motif of its own"
        lines.append(f"cluster {one['cluster']}: {counted(one['sequences'], 'sequences')}, {means}; {motifs}")
    if described["without_contributions"]:
        without = counted(described["without_contributions"], "sequences")
        lines.append(f"no cluster: {without} without contributions of motifs or of words")
    return lines
