"""Reads a network in a process of its own, with limits on memory and time, since a hostile file can crash a parser.

The process answers by files in a temporary folder, none of them a pickle: request.json and graph.json, graph.onnx, and
for each run N.in.npz and N.out.npz. It prints one line when an answer is complete, and lives until its input ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from zoo.errors import CheckFailed, MissingDependency, ZooError
from zoo.weights.importers.graphs import sources
from zoo.weights.importers.graphs.graph import Arrays, ForeignGraph, Tensor

MOST_MEMORY = 16 << 30
"""Bytes of address space of the process. TensorFlow and PyTorch map several times what they use."""

MOST_SECONDS = 900.0
"""Time for reading and converting a network, and for each run."""

ERRORS = {kind.__name__: kind for kind in (ZooError, MissingDependency, CheckFailed)}
"""Classes of errors that pass from one process to the other."""


@contextlib.contextmanager
def read(
    path: Path,
    graph: Path | None = None,
    shape: sources.Shape | None = None,
    memory: int = MOST_MEMORY,
    seconds: float = MOST_SECONDS,
) -> Iterator[ForeignGraph]:
    """As sources.read, in a process that ends with the block. memory: bytes.

    Raises ZooError also if the process dies, or is not ready in time.
    """
    request = {"path": str(path), "graph": graph and str(graph), "shape": shape, "memory": memory}
    with tempfile.TemporaryDirectory(prefix="zoo-import-") as name, _Child(path, Path(name), request, seconds) as child:
        yield child.graph()


class _Child:
    """The process, seen from the other side."""

    def __init__(self, path: Path, folder: Path, request: dict[str, Any], seconds: float) -> None:
        self.path, self.folder, self.seconds, self.runs = path, folder, seconds, 0
        (folder / "request.json").write_text(json.dumps(request))
        self.log = (folder / "log").open("wb")
        self.lines: queue.Queue[bytes] = queue.Queue()

    def __enter__(self) -> _Child:
        # no GPU: the driver would map more memory than the limit, and numbers of a CPU are the reference
        quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**os.environ, **quiet},
        )
        questions, answers = self.process.stdin, self.process.stdout
        if questions is None or answers is None:
            raise RuntimeError("a process without pipes")
        self.questions = questions.fileno()
        threading.Thread(target=self._listen, args=(answers,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def _listen(self, output: IO[bytes]) -> None:
        with contextlib.suppress(ValueError):  # closed at the end
            for line in output:
                self.lines.put(line)
        self.lines.put(b"")

    def graph(self) -> ForeignGraph:
        import onnx

        self._wait()
        answer = json.loads((self.folder / "graph.json").read_text())
        if "error" in answer:
            raise ERRORS[answer["class"]](answer["error"])
        model = onnx.ModelProto.FromString((self.folder / "graph.onnx").read_bytes())
        inputs, outputs = (
            tuple(Tensor(name, dtype, tuple(shape)) for name, dtype, shape in answer[key])
            for key in ("inputs", "outputs")
        )
        self.names = {"inputs": [one.name for one in inputs], "outputs": [one.name for one in outputs]}
        return ForeignGraph(answer["kind"], model, inputs, outputs, self.run, answer["versions"])

    def run(self, feeds: Arrays) -> dict[str, np.ndarray]:
        self.runs += 1
        np.savez(self.folder / f"{self.runs}.in.npz", *(feeds[name] for name in self.names["inputs"]))
        with contextlib.suppress(BrokenPipeError):  # the process ended, which the next line finds
            os.write(self.questions, b"%d\n" % self.runs)
        self._wait()
        with np.load(self.folder / f"{self.runs}.out.npz", allow_pickle=False) as arrays:
            return {name: arrays[f"arr_{place}"] for place, name in enumerate(self.names["outputs"])}

    def _wait(self) -> None:
        """Wait for the next answer."""
        try:
            line = self.lines.get(timeout=self.seconds)
        except queue.Empty:
            raise ZooError(f"{self.path}: is not read after {self.seconds:,.0f} s") from None
        if not line:
            status = self.process.wait()
            raise ZooError(
                f"{self.path}: reading it ended the framework (status {status}); it is damaged, or needs more than "
                f"{MOST_MEMORY >> 30} GiB"
            )


def _main(folder: Path) -> None:
    """The process itself: read the request, then answer runs until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print
    request = json.loads((folder / "request.json").read_text())
    _limit_memory(request["memory"])
    path = Path(request["path"])
    answer: dict[str, Any]
    try:
        shape = request["shape"] and tuple(request["shape"])
        found = sources.read(path, request["graph"] and Path(request["graph"]), shape)
        (folder / "graph.onnx").write_bytes(found.model.SerializeToString())
        answer = {"kind": found.kind, "versions": found.versions}
        for key in ("inputs", "outputs"):
            answer[key] = [dataclasses.astuple(one) for one in getattr(found, key)]
    except ZooError as error:
        answer = {"error": str(error), "class": _class(error)}
    (folder / "graph.json").write_text(json.dumps(answer))
    _ready(answers)
    if "error" in answer:
        return
    for line in sys.stdin.buffer:
        number = int(line)
        with np.load(folder / f"{number}.in.npz", allow_pickle=False) as arrays:
            feeds = {one.name: arrays[f"arr_{place}"] for place, one in enumerate(found.inputs)}
        results = found.run(feeds)
        np.savez(folder / f"{number}.out.npz", *(results[one.name] for one in found.outputs))
        _ready(answers)


def _class(error: ZooError) -> str:
    return next(one.__name__ for one in type(error).__mro__ if one.__name__ in ERRORS)


def _ready(answers: IO[bytes]) -> None:
    answers.write(b"ready\n")
    answers.flush()


def _limit_memory(size: int) -> None:
    """Limit the address space of this process, on systems that can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
