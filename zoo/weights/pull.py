"""The published data and weights, fetched into the cache and checked: nothing unchecked ever has its final name.

pooch checks and names; the download itself is done here, because pooch throws away what it has when a download stops.
A stopped one stays beside the target as NAME.part and goes on where it was, if the server can send the rest (HTTP
ranges). Needs pooch, imported inside.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import registry
from zoo.contracts import Published, PublishedFiles
from zoo.errors import MissingDependency, ZooError
from zoo.system import cache
from zoo.system.atomic import replacing
from zoo.weights import checkpoint, named
from zoo.weights.checkpoint import Checkpoint

if TYPE_CHECKING:
    import requests

TIMEOUT_SECONDS = (15.0, 60.0)
"""To connect, and between two pieces of an answer."""

PIECE_BYTES = 1 << 14
"""Written at once; a connection that breaks off loses less than this."""

Report = Callable[[str, int, int | None], None]
"""Called with a file name, the bytes that are here, and those of the whole file, None if the server does not say."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where to take files from.

    folder: a copy that is on this machine already.  mirrors: base addresses instead of the known ones.
    offline: what is in the cache already or nothing.
    """

    folder: Path | None = None
    mirrors: tuple[str, ...] = ()
    offline: bool = False


def data(architecture: str, origin: Origin | None = None, report: Report | None = None) -> Path:
    """The labelled sequences that the authors of a model published: the folder of the files, for `zoo train --data`.

    Raises ZooError if a file cannot be had, or is not what was published.
    """
    return fetch(_published(architecture).data, origin or Origin(), report)


def weights(architecture: str, origin: Origin | None = None, report: Report | None = None) -> tuple[Path, Checkpoint]:
    """The weights that the authors of a model published, imported: their file, and what is in it.

    Raises ZooError if a file cannot be had, or is not what was published; MissingDependency without what reads them.
    """
    published = _published(architecture)
    folder = fetch(published.weights, origin or Origin(), report)
    imported = registry.load("models", architecture).read_published(folder)
    path = named.published_path(published.variant)
    checkpoint.save(imported, path, overwrite=True)
    return path, imported


def _published(architecture: str) -> Published:
    return registry.load("models", architecture).PUBLISHED


def fetch(collection: PublishedFiles, origin: Origin, report: Report | None = None) -> Path:
    """All files of a collection in its cache folder, each checked against its md5; those there already are kept.

    Raises ZooError for the first file that cannot be had.
    """
    folder = cache.folder(collection.folder)
    for name, md5 in collection.md5.items():
        if (folder / name).is_file() and _md5(folder / name) == md5:
            continue
        if origin.folder is not None:
            _copy(origin.folder / name, folder / name, md5)
        elif origin.offline:
            raise ZooError(
                f"{folder / name}: is not there or damaged, and --offline (ZOO_OFFLINE) forbids to download it; "
                "--from DIR takes a copy from a folder"
            )
        else:
            _download(name, md5, folder, origin.mirrors or collection.mirrors, report or _silent)
    return folder


def _silent(name: str, done: int, total: int | None) -> None:
    """A Report that tells nobody."""


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _copy(source: Path, target: Path, md5: str) -> None:
    if not source.is_file():
        raise ZooError(f"{source}: no such file; --from expects the folder that holds {target.name}")
    with replacing(target, overwrite=True) as partial:
        shutil.copyfile(source, partial)
        if (got := _md5(partial)) != md5:
            raise ZooError(f"{source}: expected the published file, md5 {md5}, got md5 {got}; damaged or another file")


def _download(name: str, md5: str, folder: Path, mirrors: Sequence[str], report: Report) -> None:
    """Try one mirror after the other. Raises ZooError that says of each what went wrong."""
    if importlib.util.find_spec("pooch") is None:
        raise MissingDependency("pooch (downloads) is not installed; pip install 'deepstarr-zoo[train]' brings it")
    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{name}"
        failure = _download_from(url, name, md5, folder, report)
        if failure is None:
            return
        failures.append(f"{url}: {failure}")
    kept = _size(folder / f"{name}.part")
    advice = f"; run it again to go on after {kept:,} bytes" if kept else ""
    raise ZooError(f"{name}: cannot be downloaded ({'; '.join(failures)}){advice}, or --from DIR takes a copy")


def _download_from(url: str, name: str, md5: str, folder: Path, report: Report) -> str | None:
    """Download and check one file, going on by itself while there is progress; what went wrong, None if nothing."""
    import pooch
    import requests

    # pooch announces every download; what the user should see is the caller's business
    pooch.get_logger().setLevel(logging.WARNING)
    part = folder / f"{name}.part"
    started_afresh = False
    while True:
        before = _size(part)
        downloader = Resumable(part, lambda done, total: report(name, done, total))
        try:
            pooch.retrieve(url, f"md5:{md5}", name, folder, downloader=downloader)
            return None
        except requests.RequestException as error:
            if isinstance(error, requests.HTTPError) or _size(part) <= before:
                return _reason(error)
        except ValueError:
            # pooch found another md5; what was put together from two downloads deserves one in one piece
            if not downloader.resumed or started_afresh:
                return f"what arrived is not the published file, md5 {md5}"
            started_afresh = True
        except OSError as error:
            raise ZooError(f"{folder / name}: cannot be written ({error.strerror or error})") from None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _reason(error: requests.RequestException) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return " ".join(str(error).split())


class Resumable:
    """A pooch downloader that adds to `part` what is missing, and gives it away only when it is whole."""

    def __init__(self, part: Path, report: Callable[[int, int | None], None]) -> None:
        self._part = part
        self._report = report
        self.resumed = False
        """Whether the file was put together from two downloads."""

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        import requests

        start = _size(self._part)
        # a compressed answer would have other offsets than the file
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
            if start and answer.status_code == requests.codes.requested_range_not_satisfiable:
                # nothing is left to send: it is whole, or not this file, which the md5 will tell
                self.resumed = True
            else:
                self._receive(answer, start)
        self._part.replace(output_file)

    def _receive(self, answer: requests.Response, start: int) -> None:
        import requests

        answer.raise_for_status()
        self.resumed = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-") and start > 0
        done = start if self.resumed else 0
        size = answer.headers.get("Content-Length")
        total = done + int(size) if size else None
        with self._part.open("ab" if self.resumed else "wb") as file:
            for piece in answer.iter_content(PIECE_BYTES):
                file.write(piece)
                done += len(piece)
                self._report(done, total)
        if total is not None and done != total:
            # urllib3 before 2.0 takes a body that is too short for a whole one
            raise requests.exceptions.ChunkedEncodingError(f"{done} of {total} bytes")
