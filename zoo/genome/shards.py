"""Long work in parts: each is done once, by one machine or by many, and the parts are joined in order.

What decides the numbers of a run is its identity. The folder OUTPUT.parts holds it in `run.json`, and a file for each
part, `0000012.safetensors`, with the digest of the identity. The parts depend on the run alone, not on how it is shared
out: the result has the same bytes on one machine, in shards, and after a kill. A run of one part needs no folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from zoo.errors import ZooError
from zoo.formats.names import listed
from zoo.system import atomic

Arrays = dict[str, np.ndarray]

Progress = Callable[[int], None]
"""Called with the number of windows or variants that were just done."""

RUN = "run.json"
SUFFIX = ".safetensors"
FOLDER_SUFFIX = ".parts"

RUN_KEY = "zoo_run"
PART_KEY = "part"
RUNTIME_KEY = "runtime"
"""Header of a part: the digest of its run, its number, and what computed it."""


Compute = Callable[[int, Progress], tuple[Arrays, str]]
"""Does a part, regardless of what was done before: returns its numbers, and what computed them."""


class Task(Protocol):
    """Work in parts before it begins; can be pickled."""

    def start(self, threads: int | None = None) -> Compute:
        """Open the inputs and load the model. threads: number for the model, unless the task has its own."""

    def absolute(self) -> Task:
        """The same task, whatever the current folder is."""


Workers = Callable[[Task, Sequence[int], Progress], Iterator[tuple[int, Arrays, str]]]
"""Does parts of a task, in any order: yields each part, its numbers, and what computed them."""


def alone(task: Task, wanted: Sequence[int], on_progress: Progress) -> Iterator[tuple[int, Arrays, str]]:
    """Workers: this process."""
    if wanted:
        compute = task.start()
        for part in wanted:
            yield part, *compute(part, on_progress)


class Parts:
    """The folder with the parts of one run.

    identity: JSON types; all that decides the numbers, and nothing else.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], count: int) -> None:
        self.folder, self.identity, self.count = folder, identity, count
        self._digest = digest(identity)

    def path(self, part: int) -> Path:
        return self.folder / f"{part:07}{SUFFIX}"

    def exists(self) -> bool:
        """Whether something has the name of the folder."""
        return self.folder.exists() or self.folder.is_symlink()

    def begin(self, resume: bool, overwrite: bool) -> None:
        """Make the folder, or find it. resume: it may hold parts of this run.  overwrite: remove what it holds.

        Raises ZooError if it exists and neither is given, or is another run's, or something else.
        """
        if self.exists():
            self._check_ours()
            if resume:
                self.check_run()
                return
            if not overwrite:
                raise ZooError(
                    f"{self.folder}: holds parts of an unfinished run; --resume continues it, --overwrite starts again"
                )
            self.remove()
        with contextlib.suppress(FileExistsError):  # another shard has made it
            self.folder.mkdir()
        with contextlib.suppress(FileNotFoundError):
            atomic.clear_left_over(self.folder)
        with atomic.replacing(self.folder / RUN, overwrite=True) as partial:
            partial.write_text(json.dumps(self.identity, indent=2) + "\n")

    def check_run(self) -> None:
        """Raise ZooError unless the folder exists and its parts are of this run."""
        if not self.folder.is_dir():
            raise ZooError(f"{self.folder}: no parts found; run the shards with --shard first")
        try:
            found = json.loads((self.folder / RUN).read_text("utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise ZooError(f"{self.folder / RUN}: cannot be read ({error})") from None
        if found != self.identity:
            raise ZooError(f"{self.folder}: holds parts of another run: {_difference(found, self.identity)}")

    def has(self, part: int) -> bool:
        """Whether a part is done. Raises ZooError if it is another run's, or damaged."""
        if not self.path(part).is_file():
            return False
        with self._opened(part):
            return True

    def write(self, part: int, arrays: Arrays, runtime: str) -> None:
        """Raises ZooError if it cannot be written."""
        from safetensors.numpy import save

        content = save(arrays, metadata={RUN_KEY: self._digest, PART_KEY: str(part), RUNTIME_KEY: runtime})
        with atomic.replacing(self.path(part), overwrite=True) as partial:
            partial.write_bytes(content)

    def read(self, part: int) -> Arrays:
        """Raises ZooError if the part is missing, another run's, or damaged."""
        with self._opened(part) as found:
            return {name: found.get_tensor(name) for name in found.keys()}  # noqa: SIM118 - not a dict

    def __iter__(self) -> Iterator[Arrays]:
        """All parts in order."""
        return map(self.read, range(self.count))

    def runtimes(self) -> list[str]:
        """Names of what computed the parts, sorted. Raises ZooError as `read` does."""
        found = set()
        for part in range(self.count):
            with self._opened(part) as opened:
                found.add(opened.metadata()[RUNTIME_KEY])
        return sorted(found)

    def missing(self) -> list[int]:
        return [part for part in range(self.count) if not self.path(part).is_file()]

    def check_complete(self) -> None:
        """Raise ZooError, which lists them, if parts are missing."""
        missing = self.missing()
        if missing:
            numbers = listed([str(part + 1) for part in missing])
            raise ZooError(
                f"{self.folder}: {len(missing):,} of {self.count:,} parts are missing ({numbers}); run their shards, "
                "or the whole command with --resume"
            )

    def remove(self) -> None:
        """Remove the folder. Raises ZooError if it holds anything else than parts."""
        self._check_ours()
        shutil.rmtree(self.folder)

    def _check_ours(self) -> None:
        if self.folder.is_symlink() or not self.folder.is_dir():
            raise ZooError(f"{self.folder}: expected a folder of parts, this is something else; give another name")
        atomic.clear_left_over(self.folder)
        for one in self.folder.iterdir():
            hidden = atomic.PARTIAL.fullmatch(one.name)  # another shard is writing it
            if not hidden and one.name != RUN and one.suffix != SUFFIX:
                raise ZooError(f"{self.folder}: holds {one.name}, which is not a part of a run; give another name")

    @contextlib.contextmanager
    def _opened(self, part: int) -> Iterator[Any]:
        from safetensors import SafetensorError, safe_open

        path = self.path(part)
        try:
            with safe_open(str(path), framework="numpy") as found:
                header = found.metadata() or {}
                if header.get(RUN_KEY) != self._digest or header.get(PART_KEY) != str(part):
                    raise ZooError(f"{path}: is a part of another run; remove it")
                yield found
        except FileNotFoundError:
            raise ZooError(f"{path}: the part is missing") from None
        except (SafetensorError, OSError) as error:
            raise ZooError(f"{path}: is damaged; remove it ({' '.join(str(error).split())})") from None


def folder_of(output: Path) -> Path:
    """tracks/dm6 -> tracks/dm6.parts"""
    return output.with_name(output.name + FOLDER_SUFFIX)


def digest(value: Any) -> str:
    """sha256 (hex) of JSON types."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def pack(value: Any) -> np.ndarray:
    """JSON types as an array for a part, uint8: a line of JSON."""
    return np.frombuffer(f"{json.dumps(value)}\n".encode(), np.uint8)


def unpack(lines: np.ndarray) -> Iterator[Any]:
    """The values of concatenated arrays that `pack` made, one at a time."""
    return map(json.loads, lines.tobytes().splitlines())


def _difference(found: Any, expected: dict[str, Any]) -> str:
    """The first difference between two identities."""
    if not isinstance(found, dict):
        return f"{RUN} is invalid"
    for name, value in expected.items():
        if found.get(name) != value:
            there, here = (json.dumps(one, sort_keys=True) for one in (found.get(name), value))
            return f"{name} is {there:.24} there and {here:.24} here"
    return f"{RUN} has further entries"
