"""Kill `zoo predict -o` and `zoo train` at random moments, run them again, and see that nothing is lost or left.

    python tests/system/kill_runs.py --predictions 20 --trainings 10 --seed 0

Prints what it did; the first thing that is not as it should be ends it. test_kill_runs.py does a few of the same.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

RECORDS = 20_000

PREDICT = ("predict", "seqs.fa", "--model", "tuned", "--runtime", "kmer-cpu", "--threads", "1", "-o", "out.tsv")
TRAIN = ("train", "small.toml", "--data", "data.tsv", "--split-by", "fraction", "--threads", "1", "-o", "run")

SMALL = """
[model]
architecture = "deepstarr"
filters = [8, 6]
kernel_sizes = [5, 4]
dense_units = [8]
sequence_length = 40
[train]
epochs = 100
batch_size = 16
patience = 0
"""


class Wrong(Exception):  # noqa: N818
    """What is not as it should be after a kill."""


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    def heed() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-m", "zoo", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=heed,
    )


def finish(folder: Path, *words: str) -> float:
    """Run a command to its end. Returns its seconds."""
    began = time.perf_counter()
    with start(folder, *words) as process:
        assert process.stderr is not None
        message = process.stderr.read().decode()
        if process.wait() != 0:
            raise Wrong(f"{words[0]}: blocked, exit status {process.returncode}: {message}")
    return time.perf_counter() - began


def kill(folder: Path, generator: random.Random, seconds: float, *words: str) -> str | None:
    """Run a command and send it a signal at a moment within its `seconds`. What happened; None if it came too late."""
    number, moment = generator.choice(SIGNALS), generator.uniform(0, seconds)
    with start(folder, *words) as process:
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        assert process.stderr is not None
        message = process.stderr.read().decode()
        status = process.wait()
    if status == 0:
        return None
    if "Traceback" in message and process.returncode != -number:
        raise Wrong(f"{number.name} after {moment:.2f} s: {message}")
    return f"{number.name:<8} after {moment:.2f} s, exit status {status}"


def predictions(folder: Path, count: int, generator: random.Random, say: Callable[[str], None]) -> None:
    """Kill `count` runs of zoo predict, each followed by one that is left alone. Raises Wrong."""
    letters = np.random.default_rng(0).integers(0, 4, (RECORDS, 249))
    rows = np.frombuffer(b"ACGT", np.uint8)[letters]
    (folder / "seqs.fa").write_bytes(b"".join(b">s%d\n%s\n" % (n, row.tobytes()) for n, row in enumerate(rows)))
    seconds = finish(folder, *PREDICT)
    table, description = folder / "out.tsv", folder / "out.tsv.json"
    whole = table.read_bytes()
    table.unlink()
    description.unlink()
    number = 0
    while number < count:
        what = kill(folder, generator, seconds, *PREDICT)
        left = sorted(path.name for path in folder.iterdir() if path.name != "seqs.fa")
        if table.exists():
            if hashlib.sha256(table.read_bytes()).hexdigest() != json.loads(description.read_text())["table"]["sha256"]:
                raise Wrong(f"{what}: a table that is not the one of its description")
        else:
            finish(folder, *PREDICT)
        if table.read_bytes() != whole:
            raise Wrong(f"{what}: another table than an undisturbed run's")
        after = sorted(path.name for path in folder.iterdir())
        if after != ["out.tsv", "out.tsv.json", "seqs.fa"]:
            raise Wrong(f"{what}: left behind {after}")
        if what:
            number += 1
            say(f"predict {number:>2}: {what}; left {left or 'nothing'}")
        table.unlink()
        description.unlink()


def trainings(folder: Path, count: int, generator: random.Random, say: Callable[[str], None]) -> None:
    """Kill `count` runs of zoo train and resume each of them. Raises Wrong."""
    from zoo.weights import checkpoint

    rows = ["".join(row) for row in np.random.default_rng(0).choice(list("ACGT"), (400, 40))]
    table = "".join(f"{row}\t{row.count('G') / 10}\t{row.count('A') / 10}\n" for row in rows)
    (folder / "data.tsv").write_text(f"sequence\tdev\thk\n{table}")
    (folder / "small.toml").write_text(SMALL)
    seconds = finish(folder, *TRAIN)
    run = folder / "run"
    whole = checkpoint.load(run / "weights.safetensors").spec.weights_id
    run.rename(folder / "undisturbed")
    number = 0
    while number < count:
        what = kill(folder, generator, seconds, *TRAIN)
        left = len(list((run / "checkpoints").glob("*"))) if run.exists() else 0
        finish(folder, *TRAIN, *(["--resume"] if run.exists() else []))
        if checkpoint.load(run / "weights.safetensors").spec.weights_id != whole:
            raise Wrong(f"{what}: other weights than an undisturbed run's")
        hidden = [path.name for path in run.rglob(".*")]
        if hidden or json.loads((run / "run.json").read_text())["status"] != "finished":
            raise Wrong(f"{what}: left behind {hidden}, or is not finished")
        if what:
            number += 1
            say(f"train   {number:>2}: {what}; left {left} checkpoints, resumed to the same weights")
        shutil.rmtree(run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--predictions", type=int, default=20)
    parser.add_argument("--trainings", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    generator = random.Random(given.seed)
    said: collections.Counter[str] = collections.Counter()

    def say(line: str) -> None:
        said[line.split()[0]] += 1
        print(line, flush=True)

    for kills, count in ((predictions, given.predictions), (trainings, given.trainings)):
        with tempfile.TemporaryDirectory() as folder:
            kills(Path(folder), count, generator, say)
    print(", ".join(f"{count} kills of {name}" for name, count in said.items()), "- nothing partial, nothing blocked")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
