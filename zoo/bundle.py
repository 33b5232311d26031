"""Bundled weights: how a training run becomes the weights that a name such as "original" stands for.

For those who make a release: python -m zoo.bundle NAME RUN --teacher FILE --genome FASTA --sequences FASTA
writes NAME.safetensors, NAME.onnx and the receipts of the run into zoo/pretrained/, and the entry of catalog.toml with
how near the weights come to their teacher. docs/bundled-weights.md has the commands.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from zoo import checkpoint, genome, predict, registry, weights
from zoo.checkpoint import SUFFIX
from zoo.distill import HELD_OUT_WINDOWS
from zoo.errors import ZooError
from zoo.run_folder import RunFolder
from zoo.sequences import Reader

CATALOG_HEAD = "# What is in this folder. Written by zoo/bundle.py; a table a model.\n"
SEED = 0
"""Of the windows and the variants that fidelity is measured on."""

VARIANTS = 20
"""Single-base variants of each sequence that fidelity is measured on."""


def add(name: str, run: RunFolder, teacher: Path, genome_path: Path, sequences: Path, folder: Path) -> dict[str, Any]:
    """Bundle the best weights of a run as `name`. Returns the new entry of the catalog.

    sequences: real sequences that were not trained on, FASTA.  genome_path: windows are drawn from its test region.
    Raises ZooError if the run is not there or the weights are not of the variant `name`.
    """
    made = checkpoint.load(run.weights)
    variant = registry.load("models", made.spec.architecture).VARIANTS.get(name)
    if variant is None or (variant.filters, variant.dense_units) != (made.config.filters, made.config.dense_units):
        raise ZooError(f"{run.weights}: expected weights of the variant {name}, got {made.spec.config}")
    folder.mkdir(exist_ok=True)
    files = {suffix: folder / f"{name}{suffix}" for suffix in (SUFFIX, ".onnx")}
    shutil.copyfile(run.weights, files[SUFFIX])
    registry.load("exporters", "onnx").export(made, files[".onnx"], input="codes", overwrite=True)
    receipts = json.loads(run.receipts.read_text("utf-8"))
    shutil.copyfile(run.receipts, folder / f"{name}.run.json")
    shutil.copyfile(run.metrics, folder / f"{name}.metrics.csv")
    entry = {
        "file": name,
        "weights_id": made.spec.weights_id,
        "source": made.spec.source,
        "licence": made.spec.licence,
        "command": receipts["command"],
        "sha256": {suffix: hashlib.sha256(path.read_bytes()).hexdigest() for suffix, path in files.items()},
        "fidelity": fidelity(files[SUFFIX], teacher, genome_path, sequences),
    }
    catalog = {**weights.catalog(folder), name: entry}
    (folder / weights.CATALOG).write_text(CATALOG_HEAD + "".join(_toml(key, catalog[key]) for key in sorted(catalog)))
    return entry


def fidelity(student: Path, teacher: Path, genome_path: Path, sequences: Path) -> dict[str, float]:
    """Pearson r and root mean squared error against the teacher, for each target.

    On the sequences, on the differences that single-base variants make to them, and on windows of the genome.
    """
    models = [predict.load(weights=path, runtime="kmer-cpu") for path in (teacher, student)]
    length = models[0].spec.sequence_length
    windows = genome.read(genome_path, length)
    generator = np.random.default_rng(SEED)
    real = np.concatenate([codes for _, codes in Reader(sequences, length)])
    drawn = windows.windows(windows.test, HELD_OUT_WINDOWS, generator)
    variants = _variants(np.repeat(real, VARIANTS, 0), generator)

    def both(codes: np.ndarray) -> np.ndarray:
        return np.stack([model.predict_codes(codes).astype(np.float64) for model in models])

    sets = {sequences.stem: both(real), "windows": both(drawn)}
    sets["variants"] = both(variants) - np.repeat(sets[sequences.stem], VARIANTS, 1)
    found: dict[str, float] = {}
    for label, (expected, got) in sets.items():
        for column, target in enumerate(models[0].spec.targets):
            pair = expected[:, column], got[:, column]
            found[f"{label}_{target}_pearson"] = round(float(np.corrcoef(*pair)[0, 1]), 4)
            found[f"{label}_{target}_rmse"] = round(float(np.sqrt(np.mean((pair[0] - pair[1]) ** 2))), 4)
    return found


def _variants(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Each sequence with another base at one position."""
    changed = codes.copy()
    at = np.arange(len(codes)), generator.integers(0, codes.shape[1], len(codes))
    changed[at] = (codes[at] + generator.integers(1, 4, len(codes))) % 4
    return changed


def _toml(name: str, entry: dict[str, Any]) -> str:
    """A table of text, numbers and one level of tables; JSON's quoting of text is TOML's."""
    plain = {key: value for key, value in entry.items() if not isinstance(value, dict)}
    text = f"\n[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in plain.items())
    for key, table in entry.items():
        if isinstance(table, dict):
            text += f"\n[{name}.{key}]\n" + "".join(f"{json.dumps(k)} = {json.dumps(v)}\n" for k, v in table.items())
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name")
    parser.add_argument("run", type=Path)
    for option in ("--teacher", "--genome", "--sequences"):
        parser.add_argument(option, type=Path, required=True)
    given = parser.parse_args()
    entry = add(given.name, RunFolder(given.run), given.teacher, given.genome, given.sequences, weights.PRETRAINED)
    print(_toml(given.name, entry))


if __name__ == "__main__":
    main()
