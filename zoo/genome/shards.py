"""Long work in parts: whole or absent, done once, by one machine or by many, and joined in order.

A run is described by what decides its numbers, its identity; the folder OUTPUT.parts holds that, `run.json`, and a file
a part, `0000012.safetensors`, that carries the digest of the identity. Which parts there are follows from the run
alone, never from how it is shared out: so the result is the same to the byte on one machine, in shards, and after a
kill.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from zoo.errors import ZooError
from zoo.formats.names import listed
from zoo.genome.options import ShardOptions
from zoo.system import atomic

Arrays = dict[str, np.ndarray]

Progress = Callable[[int], None]
"""Called with windows or variants that were done now."""

Shown = Callable[[int, int], None]
"""Called with windows or variants done so far, and those there are to do."""

RUN = "run.json"
SUFFIX = ".safetensors"
FOLDER_SUFFIX = ".parts"

RUN_KEY = "zoo_run"
PART_KEY = "part"
RUNTIME_KEY = "runtime"
"""In the header of a part: the run that it belongs to, its number, and what computed it."""


class Work(Protocol):
    """What can be done in parts, ready to begin. runtime: what computes."""

    @property
    def runtime(self) -> str: ...

    def compute(self, part: int, on_progress: Progress) -> Arrays:
        """A part's numbers; the same whatever was done before."""


class Task(Protocol):
    """What can be done in parts, and can be pickled."""

    def start(self, threads: int | None = None) -> Work:
        """Open what is read and load the model. threads: for the model, unless the task says how many.

        Raises ZooError if that cannot be done.
        """

    def absolute(self) -> Task:
        """The same wherever the current folder is."""


Done = tuple[int, Arrays, str]
"""A part, its numbers, and what computed them."""

Workers = Callable[[Task, Sequence[int], Progress], Iterator[Done]]
"""Who does the parts of a task, in whatever order."""


def silent(_done: int, _total: int) -> None:
    """Progress that nobody wants to see."""


def alone(task: Task, wanted: Sequence[int], on_progress: Progress) -> Iterator[Done]:
    """Workers: this process."""
    if wanted:
        work = task.start()
        for part in wanted:
            yield part, work.compute(part, on_progress), work.runtime


@dataclasses.dataclass(frozen=True)
class Parts:
    """The folder of the parts of one run. identity: JSON types only; what decides the numbers, and nothing else."""

    folder: Path
    identity: dict[str, Any]
    count: int

    @property
    def run(self) -> str:
        """sha256 (hex) of the identity."""
        return digest(self.identity)

    def path(self, part: int) -> Path:
        return self.folder / f"{part:07}{SUFFIX}"

    def begin(self, resume: bool, overwrite: bool) -> None:
        """Make the folder, or find it. resume: it may hold parts of this run.  overwrite: what it holds is removed.

        Raises ZooError if it is there and neither is given, or is another run's, or something else.
        """
        if self.folder.exists() or self.folder.is_symlink():
            self._check_ours()
            if overwrite and not resume:
                self.remove()
            elif not resume:
                raise ZooError(
                    f"{self.folder}: holds parts of a run that did not end; --resume goes on, --overwrite begins anew"
                )
            else:
                self.check_run()
                return
        with contextlib.suppress(FileExistsError):  # another shard was faster
            self.folder.mkdir()
        with contextlib.suppress(FileNotFoundError):
            atomic.clear_left_over(self.folder)
        with atomic.replacing(self.folder / RUN, overwrite=True) as partial:
            partial.write_text(json.dumps(self.identity, indent=2) + "\n")

    def check_run(self) -> None:
        """Raise ZooError unless the folder is there and its parts are of this run."""
        if not self.folder.is_dir():
            raise ZooError(f"{self.folder}: there are no parts; run the shards with --shard first")
        try:
            found = json.loads((self.folder / RUN).read_text("utf-8"))
        except FileNotFoundError:
            found = None
        except (OSError, ValueError) as error:
            raise ZooError(f"{self.folder / RUN}: cannot be read ({error})") from None
        if found is not None and found != self.identity:
            raise ZooError(f"{self.folder}: holds parts of another run: {_difference(found, self.identity)}")

    def has(self, part: int) -> bool:
        """Whether a part is there. Raises ZooError if it is another run's, or damaged."""
        if not self.path(part).is_file():
            return False
        with self._opened(part):
            return True

    def write(self, part: int, arrays: Arrays, runtime: str) -> None:
        """Raises ZooError if it cannot be written."""
        from safetensors.numpy import save

        content = save(arrays, metadata={RUN_KEY: self.run, PART_KEY: str(part), RUNTIME_KEY: runtime})
        with atomic.replacing(self.path(part), overwrite=True) as partial:
            partial.write_bytes(content)

    def read(self, part: int) -> Arrays:
        """Raises ZooError if the part is missing, another run's, or damaged."""
        with self._opened(part) as found:
            return {name: found.get_tensor(name) for name in found.keys()}  # noqa: SIM118 - not a dict

    def runtimes(self) -> list[str]:
        """What computed the parts, sorted. Raises ZooError as `read` does."""
        found = set()
        for part in range(self.count):
            with self._opened(part) as opened:
                found.add(opened.metadata()[RUNTIME_KEY])
        return sorted(found)

    def missing(self) -> list[int]:
        return [part for part in range(self.count) if not self.path(part).is_file()]

    def check_complete(self) -> None:
        """Raise ZooError, which names them, if parts are missing."""
        missing = self.missing()
        if missing:
            numbers = listed([str(part + 1) for part in missing])
            raise ZooError(
                f"{self.folder}: {len(missing):,} of {self.count:,} parts are missing ({numbers}); run their shards, "
                "or the whole command with --resume"
            )

    def remove(self) -> None:
        """Remove the folder, which holds nothing but what is ours."""
        self._check_ours()
        shutil.rmtree(self.folder)

    def _check_ours(self) -> None:
        if self.folder.is_symlink() or not self.folder.is_dir():
            raise ZooError(f"{self.folder}: expected a folder of parts, this is something else; give another name")
        atomic.clear_left_over(self.folder)
        for one in self.folder.iterdir():
            hidden = atomic.PARTIAL.fullmatch(one.name)  # of another shard that is at work
            if not hidden and one.name != RUN and one.suffix != SUFFIX:
                raise ZooError(f"{self.folder}: holds {one.name}, which is no part of a run; give another name")

    @contextlib.contextmanager
    def _opened(self, part: int) -> Iterator[Any]:
        from safetensors import SafetensorError, safe_open

        path = self.path(part)
        try:
            with safe_open(str(path), framework="numpy") as found:
                header = found.metadata() or {}
                if header.get(RUN_KEY) != self.run or header.get(PART_KEY) != str(part):
                    raise ZooError(f"{path}: is a part of another run; remove it")
                yield found
        except FileNotFoundError:
            raise ZooError(f"{path}: the part is missing") from None
        except (SafetensorError, OSError) as error:
            raise ZooError(f"{path}: is damaged, remove it ({' '.join(str(error).split())})") from None


def folder_of(output: Path) -> Path:
    """tracks/dm6 -> tracks/dm6.parts"""
    return output.with_name(output.name + FOLDER_SUFFIX)


def share(count: int, number: int, shards: int) -> range:
    """The parts of shard `number`, from 0, of `shards`: every one of `count` is in one shard."""
    return range(number, count, shards)


def done(
    task: Task,
    parts: Parts,
    sizes: Sequence[int],
    options: ShardOptions,
    overwrite: bool,
    workers: Workers,
    on_progress: Shown,
) -> bool:
    """Do the parts of the shard, or all, that are not there yet. Whether the whole run is to be joined now.

    sizes: windows or variants of each part.
    Raises ZooError if there are parts of another run, if a part cannot be done, or if one is missing at the end.
    """
    if options.merge:
        parts.check_run()
    else:
        parts.begin(options.resume or options.shard is not None, overwrite)
        try:
            _do(task, parts, sizes, options, workers, on_progress)
        except ZooError:
            if options.shard is None and len(parts.missing()) == parts.count:  # nothing to go on with
                parts.remove()
            raise
    if options.shard is None:
        parts.check_complete()
    return options.shard is None


def _do(
    task: Task, parts: Parts, sizes: Sequence[int], options: ShardOptions, workers: Workers, on_progress: Shown
) -> None:
    wanted = [part for part in share(parts.count, *options.share()) if not parts.has(part)]
    total, done = sum(sizes[part] for part in wanted), 0

    def on_done(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done, total)

    for part, arrays, runtime in workers(task, wanted, on_done):
        parts.write(part, arrays, runtime)


def digest(value: Any) -> str:
    """sha256 (hex) of JSON types."""
    return hashlib.sha256(_json(value).encode()).hexdigest()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _difference(found: Any, expected: dict[str, Any]) -> str:
    """The first thing in which two identities differ."""
    if not isinstance(found, dict):
        return "its description is none"
    for name, value in expected.items():
        if found.get(name) != value:
            return f"{name} is {_short(found.get(name))} there and {_short(value)} here"
    return "its description has more in it"


def _short(value: Any) -> str:
    text = _json(value)
    return text if len(text) <= 24 else f"{text[:24]}..."
