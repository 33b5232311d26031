"""Make bundled weights, such as "original", from training runs. For maintainers, from the root of a clone:

python -m zoo.training.release NAME RUN... --teacher FILE --genome FASTA --sequences FASTA

It writes NAME.safetensors, NAME.onnx and an entry in catalog.toml, with the agreement with the teacher, to
zoo/weights/pretrained/, which is installed, and the receipts of the runs to docs/bundled-weights/, which is not.
Each of several runs must have begun with the weights of the run before it (--start). docs/bundled-weights.md has the
commands.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry
from zoo.dna.shuffle import dinucleotide_shuffle
from zoo.errors import ZooError
from zoo.formats import genome
from zoo.formats.fasta import Reader
from zoo.prediction.model import load
from zoo.training.distill import HELD_OUT_WINDOWS
from zoo.training.run_folder import RunFolder
from zoo.weights import checkpoint, lookup, model_arrays
from zoo.weights.checkpoint import SUFFIX, Checkpoint

RECEIPTS = Path("docs", "bundled-weights")
"""Folder in a clone with the receipts of the Nth run, NAME.run-N.json and NAME.metrics-N.csv."""

CATALOG_HEAD = "# Content of this folder, written by zoo/training/release.py: one table for each model.\n"

SEED = 0
"""Random seed of the windows and variants on which fidelity is measured."""

VARIANTS = 20
"""Single-base variants per sequence on which fidelity is measured."""


def add(
    name: str,
    runs: Sequence[RunFolder],
    teacher: Path,
    genome_path: Path,
    sequences: Path,
    folder: Path,
    receipts_folder: Path,
) -> dict[str, Any]:
    """Bundle the best weights of the last run as `name`. Returns the new entry of the catalog.

    runs: in the order of training, each begun with the weights of the run before it.
    sequences: FASTA of strong enhancers that were not used in training.  genome_path: FASTA for windows.
    folder: for the weights and catalog.toml.  receipts_folder: for the receipts. Files of earlier weights of this name
        are removed from both.

    Raises ZooError for a missing run, a run that did not begin with the weights of the run before it, and weights of
    another variant than `name`.
    """
    receipts = _chain(runs)
    made = checkpoint.load(runs[-1].weights)
    if not _is_variant(made, name):
        raise ZooError(f"{runs[-1].weights}: expected weights of the variant {name}, got {made.spec.config}")
    near = fidelity(runs[-1].weights, teacher, genome_path, sequences)
    made = dataclasses.replace(made, spec=dataclasses.replace(made.spec, source=_source(made, teacher, near)))
    for made_into in (folder, receipts_folder):
        made_into.mkdir(exist_ok=True)
    files = {suffix: folder / f"{name}{suffix}" for suffix in (SUFFIX, ".onnx")}
    checkpoint.save(made, files[SUFFIX], overwrite=True)
    registry.load("exporters", "onnx").export(made, files[".onnx"], input="codes", overwrite=True)
    written = list(files.values())
    for number, run in enumerate(runs, 1):
        written.append(shutil.copyfile(run.receipts, receipts_folder / f"{name}.run-{number}.json"))
        written.append(shutil.copyfile(run.metrics, receipts_folder / f"{name}.metrics-{number}.csv"))
    for stale in {*folder.glob(f"{name}.*"), *receipts_folder.glob(f"{name}.*")}.difference(written):
        stale.unlink()
    entry = {
        "file": name,
        "weights_id": made.spec.weights_id,
        "source": made.spec.source,
        "licence": made.spec.licence,
        "commands": [receipt["command"] for receipt in receipts],
        "sha256": {suffix: hashlib.sha256(path.read_bytes()).hexdigest() for suffix, path in files.items()},
        "fidelity": near,
    }
    catalog = {**lookup.catalog(folder), name: entry}
    (folder / lookup.CATALOG).write_text(CATALOG_HEAD + "".join(_toml(key, catalog[key]) for key in sorted(catalog)))
    return entry


def _chain(runs: Sequence[RunFolder]) -> list[dict[str, Any]]:
    """Receipts of the runs. Each must have begun with the weights of the one before, the first with random ones."""
    found = []
    before: dict[str, str] = {}
    for run in runs:
        made = checkpoint.load(run.weights)
        receipts = run.read_receipts()
        if receipts["start"] != before:
            began = receipts["start"].get("weights_id", "random ones")[:12]
            raise ZooError(f"{run.path}: began with weights {began}, expected the weights of the run before it")
        found.append(receipts)
        before = {"weights_id": made.spec.weights_id}
    return found


def _is_variant(made: Checkpoint, name: str) -> bool:
    """Whether weights belong to the variant of this name: same arrays, sequence length and targets."""
    plugin = registry.load("models", made.spec.architecture)

    def network_of(config: Any) -> tuple[Any, ...]:
        shapes = model_arrays.shapes(made.spec.architecture, config)
        return shapes, config.sequence_length, config.targets

    variant = plugin.VARIANTS.get(name)
    return variant is not None and network_of(variant) == network_of(made.config)


def _source(made: Checkpoint, teacher: Path, near: dict[str, float]) -> str:
    """Where the weights come from, which every file made from them carries."""
    taught = checkpoint.load(teacher).spec
    return (
        f"distilled by deepstarr-zoo to imitate the weights {taught.weights_id[:12]}, "
        f"{lookup.error(near, made.spec.targets)} ({taught.source})"
    )


def fidelity(student: Path, teacher: Path, genome_path: Path, sequences: Path) -> dict[str, float]:
    """Pearson r, root mean squared error and largest error against the teacher, for each target.

    Measured on the sequences, on the effects of single-base variants of them, and on windows of the genome's test
    region. Windows of its training region, and the same windows shuffled, show how much was memorised: shuffled windows
    were in the training too, but never twice.
    """
    models = [load(weights=path) for path in (teacher, student)]
    length = models[0].spec.sequence_length
    windows = genome.read(genome_path, length)
    generator = np.random.default_rng(SEED)
    real = np.concatenate([codes for _, codes in Reader(sequences, length)])
    drawn = windows.windows(windows.test, HELD_OUT_WINDOWS, generator)
    variants = _variants(np.repeat(real, VARIANTS, 0), generator)

    def both(codes: np.ndarray) -> np.ndarray:
        return np.stack([model.predict_codes(codes).astype(np.float64) for model in models])

    sets = {lookup.ENHANCERS: both(real), "windows": both(drawn)}
    sets["variants"] = both(variants) - np.repeat(sets[lookup.ENHANCERS], VARIANTS, 1)
    trained = windows.windows(windows.train, HELD_OUT_WINDOWS, generator)
    sets["training_windows"] = both(trained)
    sets["shuffled_windows"] = both(dinucleotide_shuffle(trained, generator))
    found: dict[str, float] = {}
    for label, (expected, got) in sets.items():
        for column, target in enumerate(models[0].spec.targets):
            pair = expected[:, column], got[:, column]
            found[f"{label}_{target}_pearson"] = round(float(np.corrcoef(*pair)[0, 1]), 4)
            error = np.abs(pair[0] - pair[1])
            found[f"{label}_{target}_rmse"] = round(float(np.sqrt(np.mean(error**2))), 4)
            found[f"{label}_{target}_largest"] = round(float(error.max()), 4)
    return found


def _variants(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Each sequence with one base substituted."""
    changed = codes.copy()
    at = np.arange(len(codes)), generator.integers(0, codes.shape[1], len(codes))
    changed[at] = (codes[at] + generator.integers(1, 4, len(codes))) % 4
    return changed


def _toml(name: str, entry: dict[str, Any]) -> str:
    """A TOML table of texts, numbers and one level of tables; JSON quotes texts as TOML does."""
    plain = {key: value for key, value in entry.items() if not isinstance(value, dict)}
    text = f"\n[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in plain.items())
    for key, table in entry.items():
        if isinstance(table, dict):
            text += f"\n[{name}.{key}]\n" + "".join(f"{json.dumps(k)} = {json.dumps(v)}\n" for k, v in table.items())
    return text


def main() -> None:
    parser = argparse.ArgumentParser("python -m zoo.training.release", description=__doc__.partition("\n")[0])
    parser.add_argument("name")
    parser.add_argument("runs", type=Path, nargs="+")
    for option in ("--teacher", "--genome", "--sequences"):
        parser.add_argument(option, type=Path, required=True)
    parser.add_argument("--receipts", type=Path, default=RECEIPTS, help="folder of the receipts (default: %(default)s)")
    given = parser.parse_args()
    runs = [RunFolder(run) for run in given.runs]
    try:
        if not given.receipts.is_dir():
            raise ZooError(f"{given.receipts}: no such folder; run this from the root of a clone, or give --receipts")
        files = given.teacher, given.genome, given.sequences
        entry = add(given.name, runs, *files, lookup.PRETRAINED, given.receipts)
    except ZooError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    print(_toml(given.name, entry))


if __name__ == "__main__":
    main()
