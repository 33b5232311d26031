"""The published data and weights, fetched into the cache and checked: nothing unchecked ever has its final name.

A download that stops stays beside the target as NAME.part and goes on where it was, if the server can send the rest
(HTTP ranges). A server can make it neither long nor endless: no more bytes are taken than the published file has, and
it has to send some all the time. Only http and https, and from https never back to http.
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
"""To connect, and between two pieces of an answer."""

PIECE_BYTES = 1 << 14
"""Read at once at most; a connection that breaks off loses less than this."""

PROGRESS_SECONDS = 60.0
PROGRESS_BYTES = 1 << 16
"""What a server has to send in PROGRESS_SECONDS: 1 kB a second, less than any modem gives."""

REDIRECTS = 5

Report = Callable[[str, int, int | None], None]
"""Called with a file name, the bytes that are here, and those of the whole file, None if nobody says."""


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

    Raises ZooError if a file cannot be had, or is not what was published.
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
    """All files of a collection in its cache folder, each checked against its md5; those there already are kept.

    A file that the collection can do without is not missed in `origin.folder`.
    Raises ZooError for the first file that cannot be had; where it is not on this machine, with a note what to bring.
    """
    folder = cache_folder(collection.folder)
    try:
        _fetch(collection, origin, folder, report)
    except ZooError as error:
        names = [name for name in collection.md5 if name not in collection.optional and not (folder / name).is_file()]
        if names and origin.folder is None:
            error.add_note(
                f"from a machine with a network, bring a folder with {', '.join(names)} of "
                f"{(origin.mirrors or collection.mirrors)[0]}; zoo pull with --from FOLDER takes them"
            )
        raise
    return folder


def _fetch(collection: PublishedFiles, origin: Origin, folder: Path, report: Report | None) -> None:
    for name, md5 in collection.md5.items():
        if (folder / name).is_file() and file_md5(folder / name) == md5:
            continue
        if origin.folder is not None:
            if name in collection.optional and not (origin.folder / name).exists():
                continue
            _copy(origin.folder / name, folder / name, md5)
        elif origin.offline:
            raise ZooError(
                f"{folder / name}: is not there or is damaged, and --offline (ZOO_OFFLINE) forbids to download it; "
                "give a folder that holds a copy with --from"
            )
        else:
            _download(_Wanted(collection, name), folder, origin.mirrors or collection.mirrors, report or _silent)


def _silent(name: str, done: int, total: int | None) -> None:
    """A Report that tells nobody."""


def _copy(source: Path, target: Path, md5: str) -> None:
    if not source.is_file():
        raise ZooError(f"{source}: no such file; give the folder that holds {target.name} with --from")
    with replacing(target, overwrite=True) as partial:
        shutil.copyfile(source, partial)
        if (got := file_md5(partial)) != md5:
            raise ZooError(
                f"{source}: is not the published file, or is damaged: expected the md5 {md5}, got {got}; "
                "give a folder that holds the published one with --from"
            )


class _Wanted:
    """One file to download. size: its bytes, None where they are not known.  at_most: bytes that it cannot exceed."""

    def __init__(self, collection: PublishedFiles, name: str) -> None:
        self.name = name
        self.md5 = collection.md5[name]
        self.size = collection.sizes.get(name)
        self.at_most = self.size or collection.at_most

    def too_long(self, size: int) -> str | None:
        """What is wrong with a server that sends a file of `size` bytes, if it is known already."""
        if size <= self.at_most and (self.size is None or size == self.size):
            return None
        expected = f"{self.size:,} bytes" if self.size else f"at most {self.at_most:,} bytes"
        return f"offers a file of {size:,} bytes, where the published one has {expected}"


class _TooSlow(Exception):  # noqa: N818
    """A server sends less than PROGRESS_BYTES in PROGRESS_SECONDS. What it sent is kept."""


class _Refused(Exception):  # noqa: N818
    """What a server does that is not put up with; the text goes on after its address."""


def _download(wanted: _Wanted, folder: Path, mirrors: Sequence[str], report: Report) -> None:
    """Try one mirror after the other. Raises ZooError that says of each what went wrong."""
    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{wanted.name}"
        failure = _download_from(url, wanted, folder, report)
        if failure is None:
            return
        failures.append(f"{url} {failure}")
    kept = _size(folder / f"{wanted.name}.part")
    again = f"run the command again to go on after {kept:,} bytes, or " if kept else ""
    raise ZooError(
        f"{wanted.name}: could not be downloaded, {' and '.join(failures)}; "
        f"{again}give a folder that holds a copy with --from"
    )


def _download_from(url: str, wanted: _Wanted, folder: Path, report: Report) -> str | None:
    """Download and check one file, going on by itself while there is progress; what went wrong, None if nothing."""
    import requests

    part, target = folder / f"{wanted.name}.part", folder / wanted.name
    started_afresh = False
    while True:
        before = _size(part)
        try:
            resumed = _receive(url, part, wanted, report)
        except _Refused as refused:
            return str(refused)
        except _TooSlow:
            return f"sent less than {PROGRESS_BYTES:,} bytes in {PROGRESS_SECONDS:.0f} seconds"
        except requests.RequestException as error:
            # a server that sends a little and breaks off could go on so for ever
            if isinstance(error, requests.HTTPError) or _size(part) < before + PROGRESS_BYTES:
                return _reason(error)
            continue
        except OSError as error:
            raise ZooError(f"{target}: cannot be written ({error.strerror or error})") from None
        if file_md5(part) == wanted.md5:
            part.replace(target)
            return None
        part.unlink()
        # what was put together from two downloads deserves one in one piece
        if not resumed or started_afresh:
            return f"sent something else than the published file, whose md5 is {wanted.md5}"
        started_afresh = True


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _reason(error: requests.RequestException) -> str:
    """What a server did, to be read after its address."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.TooManyRedirects):
        return f"sent the request on more than {REDIRECTS} times"
    if isinstance(error, requests.Timeout):
        return "did not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "broke off the connection"
    if isinstance(error, requests.exceptions.SSLError):
        return "has no certificate that this machine trusts"
    if isinstance(error, requests.ConnectionError):
        return "could not be reached"
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.MissingSchema):
        return "is no address that begins with http:// or https://"
    return f"failed ({' '.join(str(error).split())})"


def _receive(url: str, part: Path, wanted: _Wanted, report: Report) -> bool:
    """Add to `part` what is missing. Returns whether it was put together from two downloads.

    Raises RequestException if the connection fails, _Refused for what a server must not do; then nothing of it is kept.
    """
    import requests

    if _size(part) > wanted.at_most:
        part.unlink()
    start = _size(part)
    # a compressed answer would have other offsets than the file
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.Session() as session:
        session.max_redirects = REDIRECTS
        session.hooks["response"].append(_check_redirect)
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
            if start and answer.status_code == requests.codes.requested_range_not_satisfiable:
                # nothing is left to send: it is whole, or not this file, which the md5 will tell
                return True
            answer.raise_for_status()
            resumed = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-") and start > 0
            try:
                _write(answer, part, start if resumed else 0, wanted, report)
            except _Refused:
                part.unlink(missing_ok=True)
                raise
            return resumed


def _check_redirect(answer: requests.Response, **_: Any) -> None:
    """Raises _Refused for a redirect to another protocol, or to one without encryption from one with it."""
    if not answer.is_redirect:
        return
    here, there = urlsplit(answer.url).scheme, urlsplit(urljoin(answer.url, answer.headers["location"])).scheme
    if there not in ("http", "https"):
        raise _Refused(f"sends the request on to a {there}: address; only http: and https: are followed")
    if (here, there) == ("https", "http"):
        raise _Refused("sends the request on from https: to http:, where anybody could change the file")


def _write(answer: requests.Response, part: Path, done: int, wanted: _Wanted, report: Report) -> None:
    """The body of an answer, behind `done` bytes that are in `part` already."""
    import requests
    import urllib3

    length = answer.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() else None
    if total is not None and (wrong := wanted.too_long(total)):
        raise _Refused(wrong)
    window_end, expected = time.monotonic() + PROGRESS_SECONDS, done + PROGRESS_BYTES
    with part.open("ab" if done else "wb") as file:
        while True:
            try:
                # what has come so far, up to a piece: to wait for a whole one would hide that a server drips
                piece = answer.raw.read1(PIECE_BYTES, decode_content=False)
            except urllib3.exceptions.ReadTimeoutError as error:
                raise requests.ReadTimeout(error) from None
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise requests.exceptions.ChunkedEncodingError(error) from None
            if not piece:
                break
            done += len(piece)
            if done > wanted.at_most:
                raise _Refused(f"sends more than the {wanted.at_most:,} bytes that the published file can have")
            file.write(piece)
            report(wanted.name, done, total or wanted.size)
            if (now := time.monotonic()) > window_end:
                if done < expected:
                    raise _TooSlow
                window_end, expected = now + PROGRESS_SECONDS, done + PROGRESS_BYTES
    if done < (total or 0):
        # urllib3 takes a body that is too short for a whole one, as read1 gives it
        raise requests.exceptions.ChunkedEncodingError(f"{done} of {total} bytes")
