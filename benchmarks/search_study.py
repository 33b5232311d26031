"""Search the space of the original model on the data of the comparison, and confirm the best trials.

    python -m benchmarks.search_study --folder runs/comparison

The folder is that of comparison.py. Trials train on every third training block, so that 40 of them take an hour on two
cores; validation and test use all blocks. `zoo search` runs at low priority, and the same command resumes it. Its
tables and pictures, and the confirmation with intervals over blocks, are copied to benchmarks/results/search.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import comparison, comparison_data
from benchmarks.conftest import machine_facts
from benchmarks.measure import ROOT, zoo
from zoo.training.run_folder import RunFolder

RESULTS = ROOT / "benchmarks" / "results" / "search"

SPACE = "deepstarr"
AGAINST = ("original", "tuned")
THINNED, STUDY = "search.tsv", "study"
EVERY = 3
"""Every third training block is used."""

STORED = ("trials.tsv", "best.toml", "pareto.tsv", "confirm.tsv")
WIDEST = 1400
"""Width of a stored picture in pixels."""

TARGETS, LENGTH = ("dev", "hk"), 249


def main(options: argparse.Namespace) -> None:
    thin(options.folder / comparison.DATA, options.folder / THINNED)
    command = search(options)
    if not options.as_they_are:
        subprocess.run(
            [*command, *(["--resume"] if (options.folder / STUDY).is_dir() else [])],
            cwd=options.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
            preexec_fn=comparison.lower_priority,
        )
    study = options.folder / STUDY
    test = comparison_data.read_test(options.folder / THINNED, TARGETS, LENGTH)
    found = {
        "command": f"python -m benchmarks.search_study {shlex.join(sys.argv[1:])}",
        "search": f"zoo {shlex.join(command[3:])}",
        **machine_facts(),
        **comparison.measure(confirmed(study), test, TARGETS, AGAINST, options.seconds),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in STORED:
        shutil.copyfile(study / name, RESULTS / name)
    for path in study.glob("*.png"):
        shrink(path, RESULTS / path.name)
    (RESULTS / "confirm.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")


def thin(whole: Path, path: Path) -> None:
    """Leave out the training sequences that are not in every third block."""
    header, *lines = whole.read_text("utf-8").splitlines()
    names = header.split("\t")
    split, block = names.index("split"), names.index("block")
    cells = (line.split("\t") for line in lines)
    kept = ["\t".join(row) for row in cells if row[split] != "train" or int(row[block]) % EVERY == 0]
    path.write_text("\n".join([header, *kept, ""]), "utf-8")


def shrink(picture: Path, to: Path) -> None:
    """A picture for the repository: not wider than WIDEST, of 256 colours."""
    from PIL import Image

    with Image.open(picture) as image:
        image.thumbnail((WIDEST, image.height), Image.Resampling.LANCZOS)
        image.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(to, optimize=True)


def search(options: argparse.Namespace) -> list[str]:
    """The command line of the search."""
    fixed = [word for setting in options.fix for word in ("--fix", setting)]
    confirmed = ("--confirm", options.confirm, "--against", ",".join(AGAINST))
    counts = ("--trials", options.trials, "--keep", options.keep)
    return zoo("search", SPACE, "--data", THINNED, *fixed, *counts, *confirmed, "--threads", 1, "-o", STUDY)


def confirmed(study: Path) -> dict[str, list[RunFolder]]:
    """Label -> the trainings of the confirmation; first the models that the trials are compared with."""
    found: dict[str, list[RunFolder]] = {label: [] for label in AGAINST}
    for path in sorted((study / "confirm").iterdir()):
        label, _, _ = path.name.partition("-seed-")
        found.setdefault(label.replace("trial-", "trial "), []).append(RunFolder(path))
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="folder of comparison.py")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--keep", type=int, default=3)
    parser.add_argument("--confirm", type=int, default=5)
    parser.add_argument("--fix", nargs="*", default=["epochs=6", "precision=bf16"], help="fixed settings, not searched")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds to measure the speed of each runtime")
    parser.add_argument("--as-they-are", action="store_true", help="do not search")
    return parser.parse_args()


if __name__ == "__main__":
    main(arguments())
