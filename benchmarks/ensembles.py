"""Time of an ensemble of five networks over that of five single runs: python -m benchmarks.ensembles.

Both predict the same sequences in one process, side by side; the fastest of several repeats counts. First the mean is
compared with that of the runs. On two shared cores: 0.93 with onnx-cpu, 1.04 with kmer-cpu.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np

import zoo
from zoo.weights import checkpoint, lookup
from zoo.weights.checkpoint import Checkpoint

MEMBERS, SEQUENCES, REPEATS = 5, 1024, 5


def members(folder: Path) -> list[Path]:
    """Files of weights like the bundled ones, each with other noise."""
    base = lookup.load("original")
    paths = [folder / f"member{seed}.safetensors" for seed in range(MEMBERS)]
    for seed, path in enumerate(paths):
        noise = np.random.default_rng(seed)
        arrays = {
            name: (array * (1 + 0.05 * noise.standard_normal(array.shape))).astype(np.float32)
            for name, array in base.arrays.items()
        }
        spec = dataclasses.replace(base.spec, weights_id=checkpoint.weights_id(arrays))
        checkpoint.save(Checkpoint(spec, arrays), path)
    return paths


def ratio(files: list[Path], runtime: str) -> float:
    """Time of the ensemble over that of its members, one after the other."""
    single, ensemble = [zoo.load(file, runtime=runtime) for file in files], zoo.load(files, runtime=runtime)
    length = ensemble.spec.sequence_length
    codes = np.random.default_rng(0).integers(0, 4, (SEQUENCES, length), np.uint8)
    runs = np.stack([model.predict_codes(codes) for model in single])
    np.testing.assert_array_equal(ensemble.predict_codes(codes), runs.mean(0, dtype=np.float64).astype(np.float32))
    times: list[list[float]] = [[], []]
    for _ in range(REPEATS):
        for models, taken in zip((single, [ensemble]), times, strict=True):
            began = time.perf_counter()
            for model in models:
                model.predict_codes(codes)
            taken.append(time.perf_counter() - began)
    return min(times[1]) / min(times[0])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as room:
        made = members(Path(room))
        for name in ("onnx-cpu", "kmer-cpu"):
            print(f"{name}: {ratio(made, name):.2f}")
