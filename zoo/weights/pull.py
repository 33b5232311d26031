"""The published data and weights, downloaded into the cache: a file gets its name only after its md5 was checked.

An interrupted download stays beside its target as NAME.part and is resumed if the server supports ranges. A download
ends if the server sends more bytes than the published file has, or too few for a minute. Only http and https are used,
and no redirect leads from https to http.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from zoo import registry
from zoo.errors import ZooError
from zoo.system.atomic import replacing
from zoo.system.files import cache_folder, file_md5
from zoo.weights import checkpoint, lookup
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.published import Published, PublishedFiles

if TYPE_CHECKING:
    import requests

TIMEOUT_SECONDS = (15.0, 60.0)
"""Longest wait for a connection, and for the next bytes."""

SLOW_SECONDS = 60.0
SLOW_BYTES = 1 << 16
"""A server that sends fewer bytes in SLOW_SECONDS is abandoned: 1 kB a second is slower than any modem."""

CHUNK_BYTES = 1 << 14
"""Maximum number of bytes read at once; a broken connection loses fewer."""

REDIRECTS = 5

Report = Callable[[str, int, int | None], None]
"""Called with a file name, the bytes received, and those of the whole file, None if unknown."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where to take files from.

    folder: a copy on this machine.  mirrors: base URLs instead of the known ones.  offline: use only files in the cache
    or in `folder`.
    """

    folder: Path | None = None
    mirrors: tuple[str, ...] = ()
    offline: bool = False


def data(architecture: str, origin: Origin | None = None, report: Report | None = None) -> Path:
    """Fetch the labelled sequences that the authors of a model published. Returns their folder, for zoo train --data.

    Raises ZooError if a file cannot be fetched or is not the published one.
    """
    return fetch(_published(architecture).data, origin or Origin(), report)


def weights(architecture: str, origin: Origin | None = None, report: Report | None = None) -> tuple[Path, Checkpoint]:
    """Fetch and import the weights that the authors of a model published. Returns the imported file and its content.

    Raises ZooError if a file cannot be fetched or is not the published one.
    """
    published = _published(architecture)
    folder = fetch(published.weights, origin or Origin(), report)
    imported = registry.load("models", architecture).read_published(folder)
    path = lookup.published_path(published.variant)
    checkpoint.save(imported, path, overwrite=True)
    return path, imported


def _published(architecture: str) -> Published:
    return registry.load("models", architecture).PUBLISHED


def fetch(collection: PublishedFiles, origin: Origin, report: Report | None = None) -> Path:
    """Fetch all files of a collection into its cache folder, checked against their md5. Files there are kept.

    Optional files may be missing from `origin.folder`.
    Raises ZooError for the first file that cannot be fetched, with a note on which files to copy if no folder was
    given.
    """
    folder = cache_folder(collection.folder)
    mirrors = origin.mirrors or collection.mirrors
    try:
        for name, md5 in collection.md5.items():
            target = folder / name
            if target.is_file() and file_md5(target) == md5:
                continue
            if origin.folder is not None:
                if name not in collection.optional or (origin.folder / name).exists():
                    _copy(origin.folder / name, target, md5)
            elif origin.offline:
                raise ZooError(
                    f"{target}: is missing or damaged, and --offline (ZOO_OFFLINE) forbids to download it; "
                    "give a folder with a copy by --from"
                )
            else:
                _download(_Wanted(collection, name), folder, mirrors, report or (lambda *_: None))
    except KeyboardInterrupt as stopped:
        stopped.add_note("the same command continues the download")
        raise
    except ZooError as error:
        names = [name for name in collection.md5 if name not in collection.optional and not (folder / name).is_file()]
        if names and origin.folder is None:
            error.add_note(
                f"on a machine with a network, download {', '.join(names)} from {mirrors[0]} into a folder; "
                "then run zoo pull with --from FOLDER here"
            )
        raise
    return folder


def _copy(source: Path, target: Path, md5: str) -> None:
    if not source.is_file():
        raise ZooError(f"{source}: no such file; give the folder that holds {target.name} with --from")
    with replacing(target, overwrite=True) as partial:
        shutil.copyfile(source, partial)
        if (got := file_md5(partial)) != md5:
            raise ZooError(f"{source}: is not the published file, or is damaged: expected the md5 {md5}, got {got}")


class _Wanted:
    """One file to download. size: its bytes, None if unknown.  most: bytes that it cannot exceed."""

    def __init__(self, collection: PublishedFiles, name: str) -> None:
        self.name = name
        self.md5 = collection.md5[name]
        self.size = collection.sizes.get(name)
        self.most = self.size or collection.at_most

    def check_offer(self, size: int) -> None:
        """Raise _Failed if a server offers a file of another size."""
        if size > self.most or self.size not in (None, size):
            most = f"{self.size:,}" if self.size else f"at most {self.most:,}"
            raise _Failed(f"offers a file of {size:,} bytes, expected {most}")


class _Failed(Exception):  # noqa: N818
    """A server cannot or should not be used; the text follows its URL."""


def _download(wanted: _Wanted, folder: Path, mirrors: Sequence[str], report: Report) -> None:
    """Try one mirror after the other. Raises ZooError that says what went wrong with each."""
    part, target = folder / f"{wanted.name}.part", folder / wanted.name
    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{wanted.name}"
        try:
            _download_from(url, wanted, part, report)
            part.replace(target)
            return
        except _Failed as failed:
            failures.append(f"{url} {failed}")
        except OSError as error:
            raise ZooError(f"{target}: cannot be written ({error.strerror or error})") from None
    kept = _size(part)
    again = f"run the command again to resume after {kept:,} bytes, or " if kept else ""
    raise ZooError(
        f"{wanted.name}: cannot be downloaded, {' and '.join(failures)}; {again}give a folder with a copy by --from"
    )


def _download_from(url: str, wanted: _Wanted, part: Path, report: Report) -> None:
    """Download a file to `part` and check it; resume while there is progress. Raises _Failed."""
    import requests

    restarted = False
    while True:
        before = _size(part)
        try:
            resumed = _receive(url, part, wanted, report)
        except requests.RequestException as error:
            # each attempt must make progress: a server that sends little and disconnects must not keep us here forever
            if isinstance(error, requests.HTTPError) or _size(part) < before + SLOW_BYTES:
                raise _Failed(_reason(error)) from None
            continue
        if file_md5(part) == wanted.md5:
            return
        part.unlink()
        # a file made of two downloads is downloaded once more as a whole
        if not resumed or restarted:
            raise _Failed(f"sent another file than the published one, whose md5 is {wanted.md5}")
        restarted = True


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _receive(url: str, part: Path, wanted: _Wanted, report: Report) -> bool:
    """Add the missing bytes to `part`. Returns whether it holds bytes of an earlier download.

    Raises RequestException for a failed connection, and _Failed.
    """
    import requests

    if _size(part) > wanted.most:
        part.unlink()
    start = _size(part)
    headers = {"Accept-Encoding": "identity"}  # positions in a compressed answer are not those in the file
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.Session() as session:
        session.max_redirects = REDIRECTS
        session.hooks["response"].append(_check_redirect)
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
            if start and answer.status_code == requests.codes.requested_range_not_satisfiable:
                return True  # no bytes are missing; the md5 shows whether it is the file
            answer.raise_for_status()
            resumed = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-") and start > 0
            _write(answer, part, start if resumed else 0, wanted, report)
            return resumed


def _check_redirect(answer: requests.Response, **_: Any) -> None:
    """Raise _Failed for a redirect to another protocol, or from https to http."""
    if answer.is_redirect:
        here, there = urlsplit(answer.url).scheme, urlsplit(urljoin(answer.url, answer.headers["location"])).scheme
        if there not in ("http", "https") or (here, there) == ("https", "http"):
            raise _Failed(f"redirects from {here}: to {there}:, which is not followed")


def _write(answer: requests.Response, part: Path, done: int, wanted: _Wanted, report: Report) -> None:
    """Write the body of an answer after `done` bytes of `part`; remove `part` if it becomes too large."""
    import requests
    import urllib3

    length = answer.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() else None
    if total is not None:
        wanted.check_offer(total)
    window_end, expected = time.monotonic() + SLOW_SECONDS, done + SLOW_BYTES
    with part.open("ab" if done else "wb") as file:
        while True:
            try:
                # read1 returns what has arrived; waiting for a whole chunk would hide that a server is slow
                chunk = answer.raw.read1(CHUNK_BYTES, decode_content=False)
            except urllib3.exceptions.ReadTimeoutError as error:
                raise requests.ReadTimeout(error) from None
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise requests.exceptions.ChunkedEncodingError(error) from None
            if not chunk:
                break
            done += len(chunk)
            if done > wanted.most:
                file.close()
                part.unlink()
                raise _Failed(f"sends more than {wanted.most:,} bytes, the most that the published file can have")
            file.write(chunk)
            report(wanted.name, done, total or wanted.size)
            if (now := time.monotonic()) > window_end:
                if done < expected:
                    raise _Failed(f"sent fewer than {SLOW_BYTES:,} bytes in {SLOW_SECONDS:.0f} seconds")
                window_end, expected = now + SLOW_SECONDS, done + SLOW_BYTES
    if done < (total or 0):  # read1 does not report a body that ends too early
        raise requests.exceptions.ChunkedEncodingError(f"{done} of {total} bytes")


def _reason(error: requests.RequestException) -> str:
    """What went wrong with a server, in words that follow its URL."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code} {error.response.reason}"
    wrong_address = "does not begin with http:// or https://"
    for kind, text in {
        requests.TooManyRedirects: f"redirects more than {REDIRECTS} times",
        requests.Timeout: "did not answer in time",
        requests.exceptions.ChunkedEncodingError: "broke off the connection",
        requests.exceptions.SSLError: "has no certificate that this machine trusts",
        requests.ConnectionError: "could not be reached",
        requests.exceptions.InvalidSchema: wrong_address,
        requests.exceptions.MissingSchema: wrong_address,
    }.items():
        if isinstance(error, kind):
            return text
    return f"failed ({' '.join(str(error).split())})"
