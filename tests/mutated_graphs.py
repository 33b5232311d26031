"""Networks that were changed at random, each read in a process of its own, which must end with a graph or one line.

`python tests/mutated_graphs.py --onnx 2500 --keras 1500 --pt2 1000` reads so many of each, and prints what happened.
Each process may map MEMORY bytes more than the frameworks, must end within SECONDS, and must not start programs, open
connections, or write outside its temporary folder.
"""

from __future__ import annotations

import argparse
import collections
import copy
import io
import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fuzz import mutated

from zoo.errors import LONGEST, ZooError
from zoo.weights.importers.graphs import sources

MEMORY = 4 << 30

SECONDS = 60

FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
"""Events of Python's audit hook that no file may cause."""

CODE = "__import__('os').system('touch canary')"

VALUES = (
    *(None, True, False, 0, -1, 1, 7, 10**6, 10**12, 2**63, -(2**63), 1e308, "", "x", [], {}, [[]], 0.5, [1, 2]),
    *(CODE, f"(lambda: {CODE})()", "os.system", "builtins.eval", "keras.utils.get_file", "torch.hub.load", "builtins"),
    *("torch.ops.aten.from_file.default", "_operator.attrgetter", "../../etc/passwd", "exec", "Dense", "float64"),
    *("Lambda", "__lambda__", "same", {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}}),
    {"class_name": "function", "module": "builtins", "config": "eval", "registered_name": "function"},
    {"as_expr": {"expr_str": CODE, "hint": None}},
    {"as_int": 10**10},
)

PIECES = (
    b"",
    b"\0",
    b"\xff" * 9,
    b"PK\x03\x04",
    b"\x80\x04cos\nsystem\n",
    b"Lambda",
    CODE.encode(),
    b"[" * 300,
    b"\x08\x01",
)


KERAS = """
import sys, keras
x = keras.Input((8, 4))
h = keras.layers.BatchNormalization()(keras.layers.Conv1D(3, 3, activation="relu")(x))
keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(h))).save(sys.argv[1])
"""


def changed_json(content: Any, generator: random.Random) -> Any:
    """A copy with one to three values replaced, removed, doubled or swapped."""
    content = copy.deepcopy(content)
    for _ in range(generator.randint(1, 3)):
        places = list(_places(content))
        if not places:
            break
        holder, key = generator.choice(places)
        other, name = generator.choice(places)
        match generator.randrange(5):
            case 0 | 1:
                holder[key] = copy.deepcopy(generator.choice(VALUES))
            case 2:
                try:
                    holder[key] = copy.deepcopy(other[name])
                except (IndexError, KeyError):
                    continue
            case 3:
                del holder[key]
            case 4 if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
    return content


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    todo = [content]
    while todo:
        one = todo.pop()
        for key, value in list(one.items() if isinstance(one, dict) else enumerate(one)):
            yield one, key
            if isinstance(value, dict | list):
                todo.append(value)


def changed_archive(content: bytes, generator: random.Random) -> bytes:
    """A zip archive with one record changed: as JSON where it is JSON; or with any bytes changed."""
    if generator.random() < 0.15:
        return mutated(content, generator, PIECES)
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(new, "w") as archive:
        names = old.namelist()
        texts = [name for name in names if name.endswith(".json")]
        target = generator.choice(texts if generator.random() < 0.75 else names)
        for name in names:
            record = old.read(name)
            if name == target and name.endswith(".json") and generator.random() < 0.9:
                record = json.dumps(changed_json(json.loads(record), generator)).encode()
            elif name == target:
                record = mutated(record, generator, PIECES)
            archive.writestr(name, record)
    return new.getvalue()


def changed_onnx(content: bytes, generator: random.Random) -> bytes:  # noqa: C901
    """An ONNX file with fields of its messages changed, or any bytes."""
    import onnx

    if generator.random() < 0.4:
        return mutated(content, generator, PIECES)
    model = onnx.ModelProto.FromString(content)
    graph = model.graph
    numbers = (0, -1, 1, 3, 7, 10**6, 2**31, 2**62)
    for _ in range(generator.randint(1, 3)):
        node = generator.choice(graph.node)
        tensor = generator.choice(graph.initializer)
        match generator.randrange(8):
            case 0:
                node.op_type = generator.choice(
                    [one.op_type for one in graph.node] + ["If", "Loop", "Scan", "EPContext"]
                )
            case 1 if node.input:
                node.input[generator.randrange(len(node.input))] = generator.choice(graph.initializer).name
            case 2 if node.attribute:
                one = generator.choice(node.attribute)
                one.i = generator.choice(numbers)
                if one.ints:
                    one.ints[generator.randrange(len(one.ints))] = generator.choice(numbers)
            case 3 if tensor.dims:
                tensor.dims[generator.randrange(len(tensor.dims))] = generator.choice(numbers)
            case 4:
                tensor.data_location = 1
                entry = tensor.external_data.add()
                entry.key, entry.value = "location", generator.choice(["/etc/passwd", "../x", "net.onnx", ""])
            case 5:
                node.domain = generator.choice(["my.company", "com.microsoft", "ai.onnx.ml"])
            case 6:
                dims = graph.input[0].type.tensor_type.shape.dim
                dims[generator.randrange(len(dims))].dim_value = generator.choice(numbers)
            case 7:
                tensor.data_type = generator.randrange(24)
    return model.SerializeToString()


CHANGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".onnx": changed_onnx,
    ".keras": changed_archive,
    ".pt2": changed_archive,
}


def read_forked(path: Path) -> str:
    """Read a file in a fork of this process: "graph", "refused: LINE", or what went wrong."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(path, writer)
    os.close(writer)
    found = b""
    end = time.monotonic() + SECONDS
    while select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
        part = os.read(reader, 65536)
        if not part:
            break
        found += part
    else:
        os.kill(child, signal.SIGKILL)
        found = b"too slow"
    os.close(reader)
    _, status = os.waitpid(child, 0)
    return found.decode() or f"died: {os.waitstatus_to_exitcode(status)}"


def _child(path: Path, writer: int) -> None:
    """Does not return."""
    answer = "no answer"
    os.chdir(path.parent)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
        sys.addaudithook(_watch)
        sources.read(path)
        answer = "graph"
    except ZooError as error:
        line = str(error)
        good = line.isprintable() and len(line) <= LONGEST and line.startswith(str(path))
        answer = f"refused: {line}" if good else f"bad line: {line!r}"
    except BaseException:  # noqa: BLE001  all of them are found
        answer = f"traceback: {traceback.format_exc()}"
    os.write(writer, answer.encode()[:60000])
    os._exit(0)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in FORBIDDEN:
        raise SystemExit(f"{event} {arguments}")
    if event == "open" and isinstance(arguments[0], str | bytes) and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
        name = os.fsdecode(arguments[0])
        if not name.startswith((tempfile.gettempdir(), "/dev/null")):
            raise SystemExit(f"writes {name}")


def bases(folder: Path, suffixes: set[str]) -> dict[str, bytes]:
    """A small network of each format. Loads the frameworks, so that the forks need not."""
    found = {}
    if suffixes & {".pt2", ".onnx"}:
        import torch

        network = torch.nn.Sequential(
            torch.nn.Conv1d(4, 3, 3),
            torch.nn.BatchNorm1d(3),
            torch.nn.SiLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(18, 2),
        ).eval()
        example, batch = torch.zeros(3, 4, 8), {0: torch.export.Dim("batch")}
        torch.export.save(torch.export.export(network, (example,), dynamic_shapes=(batch,)), folder / "net.pt2")
        found[".pt2"] = (folder / "net.pt2").read_bytes()
        found[".onnx"] = sources.read(folder / "net.pt2").model.SerializeToString()
    if ".keras" in suffixes:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        subprocess.run([sys.executable, "-c", KERAS, str(folder / "net.keras")], check=True)
        found[".keras"] = (folder / "net.keras").read_bytes()
        # imported and not used, since threads that TensorFlow starts would be missing in a fork
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
        import tf2onnx  # noqa: F401
    return found


def campaign(counts: dict[str, int], given: dict[str, bytes], seconds: float) -> dict[str, collections.Counter[str]]:
    """Read mutated files; format -> how often each kind of end occurred. Prints what must not happen."""
    results = {}
    with tempfile.TemporaryDirectory() as name:
        for suffix, count in counts.items():
            ends: collections.Counter[str] = collections.Counter()
            stop = time.monotonic() + seconds
            for seed in range(count):
                if time.monotonic() > stop:
                    break
                path = Path(name) / f"net{suffix}"
                path.write_bytes(CHANGES[suffix](given[suffix], random.Random(seed)))
                end = read_forked(path)
                kind = end.partition(":")[0]
                ends[kind] += 1
                if kind not in ("graph", "refused"):
                    print(suffix, seed, end[:100], end[-700:], flush=True)
            ends["canary"] += (Path(name) / "canary").exists()
            results[suffix] = ends
            print(suffix, dict(ends), flush=True)
    return results


def _main() -> None:
    parser = argparse.ArgumentParser()
    for suffix in CHANGES:
        parser.add_argument(f"--{suffix[1:]}", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9)
    arguments = vars(parser.parse_args())
    counts = {suffix: arguments[suffix[1:]] for suffix in CHANGES if arguments[suffix[1:]]}
    with tempfile.TemporaryDirectory() as name:
        given = bases(Path(name), set(counts))
    campaign(counts, given, arguments["seconds"])


if __name__ == "__main__":
    _main()
