"""Downloads from a server in a thread: after any failure a file is as published or absent."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from command_line import Zoo, one_line
from refusals import refuses

from zoo.models import deepstarr
from zoo.models.deepstarr import PUBLISHED
from zoo.system.files import cache_folder
from zoo.weights import checkpoint, lookup, pull
from zoo.weights.importers import importer
from zoo.weights.published import PublishedFiles
from zoo.weights.pull import Origin

BODY = np.random.default_rng(0).bytes(700_000)
MD5 = hashlib.md5(BODY).hexdigest()
KEPT = 300_000


class Server(ThreadingHTTPServer):
    """Serves `files`; `cut` gives, for each request, the number of bytes after which the connection breaks."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"one.bin": BODY}
        self.ranges = True
        self.cut: list[int] = []
        self.asked: list[tuple[str, str | None]] = []
        self.redirects: dict[str, str] = {}
        self.endless = False
        self.drip = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, wanted = self.path.lstrip("/"), self.headers["Range"]
        self.server.asked.append((name, wanted))
        if name in self.server.redirects:
            self.send_response(302)
            self.send_header("Location", self.server.redirects[name])
            self.end_headers()
            return
        if self.server.endless or self.server.drip:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):  # until the other side has had enough
                while True:
                    self.wfile.write(b"x" * (self.server.drip or 100_000))
            return
        if name not in self.server.files:
            self.send_error(404)
            return
        body, start = self.server.files[name], 0
        if wanted and self.server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        answer = body[start:]
        self.wfile.write(answer[: self.server.cut.pop(0)] if self.server.cut else answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, and no proxy between the test and its server."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return cache_folder("pulled/one")


ONE = PublishedFiles("pulled/one", {"one.bin": MD5}, ())


def refused(server: Server, *facts: object, collection: PublishedFiles = ONE, **origin) -> None:
    with refuses("one.bin", *facts, "--from"):
        pull.fetch(collection, Origin(**({"mirrors": (server.url,)} | origin)))


def test_a_file_arrives_whole_and_is_not_fetched_twice(server: Server, cache: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    origin = Origin(mirrors=(f"{server.url}/",))
    assert pull.fetch(ONE, origin, lambda *report: seen.append(report)) == cache
    assert (cache / "one.bin").read_bytes() == BODY
    assert seen[-1] == ("one.bin", len(BODY), len(BODY))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    pull.fetch(ONE, origin)
    pull.fetch(ONE, Origin(offline=True))
    assert server.asked == [("one.bin", None)]
    assert [path.name for path in cache.iterdir()] == ["one.bin"]


def test_a_file_that_was_damaged_in_the_cache_is_fetched_again(server: Server, cache: Path) -> None:
    (cache / "one.bin").write_bytes(BODY[:-1])
    pull.fetch(ONE, Origin(mirrors=(server.url,)))
    assert (cache / "one.bin").read_bytes() == BODY


def test_other_content_is_refused_and_leaves_nothing(server: Server, cache: Path) -> None:
    server.files["one.bin"] = BODY[:-1] + b"?"
    refused(server, f"{server.url}/one.bin", MD5)
    assert list(cache.iterdir()) == []


def test_a_broken_download_is_resumed(server: Server, cache: Path) -> None:
    server.cut = [300_000, 100_000]
    pull.fetch(ONE, Origin(mirrors=(server.url,)))
    assert (cache / "one.bin").read_bytes() == BODY
    assert [wanted for _, wanted in server.asked] == [None, f"bytes={KEPT}-", "bytes=400000-"]


def test_the_part_of_a_stopped_run_is_kept_for_the_next(server: Server, cache: Path) -> None:
    server.cut = [300_000, 0]
    refused(server, f"{server.url}/one.bin", "300,000 bytes")
    assert (cache / "one.bin.part").read_bytes() == BODY[:KEPT]
    assert not (cache / "one.bin").exists()
    pull.fetch(ONE, Origin(mirrors=(server.url,)))
    assert server.asked[-1] == ("one.bin", f"bytes={KEPT}-")
    assert (cache / "one.bin").read_bytes() == BODY
    assert not (cache / "one.bin.part").exists()


def test_a_server_without_ranges_sends_it_all_again(server: Server, cache: Path) -> None:
    server.ranges = False
    (cache / "one.bin.part").write_bytes(BODY[:1000])
    pull.fetch(ONE, Origin(mirrors=(server.url,)))
    assert server.asked == [("one.bin", "bytes=1000-")]
    assert (cache / "one.bin").read_bytes() == BODY


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * len(BODY)], ids=["start", "whole"])
def test_a_leftover_of_another_file_is_dropped(server: Server, cache: Path, left: bytes) -> None:
    (cache / "one.bin.part").write_bytes(left)
    pull.fetch(ONE, Origin(mirrors=(server.url,)))
    assert [wanted for _, wanted in server.asked] == [f"bytes={len(left)}-", None]
    assert (cache / "one.bin").read_bytes() == BODY


def test_a_complete_leftover_is_only_renamed(server: Server, cache: Path) -> None:
    (cache / "one.bin.part").write_bytes(BODY)
    pull.fetch(ONE, Origin(mirrors=(server.url,)))
    assert (cache / "one.bin").read_bytes() == BODY
    assert server.asked == [("one.bin", f"bytes={len(BODY)}-")]


def test_every_mirror_is_tried_and_its_answer_is_reported(server: Server, cache: Path) -> None:
    mirrors = (f"{server.url}/nowhere", "http://127.0.0.1:1")
    refused(server, f"{mirrors[0]}/one.bin", "404 Not Found", f"{mirrors[1]}/one.bin", mirrors=mirrors)
    pull.fetch(ONE, Origin(mirrors=(*mirrors, server.url)))
    assert (cache / "one.bin").read_bytes() == BODY


def test_offline_makes_no_requests(server: Server, cache: Path) -> None:
    refused(server, cache / "one.bin", "--offline", "ZOO_OFFLINE", offline=True)
    assert server.asked == []


def test_a_copy_on_this_machine_is_checked_like_a_download(server: Server, cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / "one.bin"
    refused(server, copy, folder=tmp_path)
    copy.write_bytes(b"other")
    with refuses(copy, MD5, hashlib.md5(b"other").hexdigest()):
        pull.fetch(ONE, Origin(folder=tmp_path))
    assert list(cache.iterdir()) == []
    copy.write_bytes(BODY)
    pull.fetch(ONE, Origin(folder=tmp_path, offline=True))
    assert (cache / "one.bin").read_bytes() == BODY
    assert server.asked == []


def sized(**fields: object) -> PublishedFiles:
    return dataclasses.replace(ONE, **fields)  # type: ignore[arg-type]


def test_a_server_that_offers_another_size_is_refused(server: Server, cache: Path) -> None:
    refused(server, f"{server.url}/one.bin", "700,000 bytes", "123", collection=sized(sizes={"one.bin": 123}))
    refused(server, "at most 1,000", collection=sized(at_most=1000))
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "most"), [({"sizes": {"one.bin": len(BODY)}}, "700,000"), ({"at_most": 1_000_000}, "1,000,000")]
)
def test_a_server_without_an_end_is_stopped_and_leaves_nothing(
    server: Server, cache: Path, fields: dict[str, object], most: str
) -> None:
    server.endless = True
    refused(server, f"{server.url}/one.bin", f"{most} bytes", collection=sized(**fields))
    assert list(cache.iterdir()) == []


def test_a_leftover_that_is_too_long_is_dropped(server: Server, cache: Path) -> None:
    (cache / "one.bin.part").write_bytes(BODY + b"more")
    pull.fetch(sized(sizes={"one.bin": len(BODY)}), Origin(mirrors=(server.url,)))
    assert server.asked == [("one.bin", None)]
    assert (cache / "one.bin").read_bytes() == BODY


def test_a_slow_server_is_given_up(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reading of the clock is a second later than the last."""
    server.drip = 1000
    seconds = itertools.count()
    monkeypatch.setattr(pull.time, "monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr(pull, "CHUNK_BYTES", 1000)
    refused(server, f"{server.url}/one.bin", "65,536 bytes", "60 seconds")
    assert (cache / "one.bin.part").stat().st_size <= 61_000


def test_a_server_that_always_breaks_off_is_given_up(server: Server, cache: Path) -> None:
    server.cut = [70_000, 10, 70_000]
    refused(server, f"{server.url}/one.bin", "70,010 bytes")
    assert len(server.asked) == 2
    assert (cache / "one.bin.part").read_bytes() == BODY[:70_010]


def test_a_redirect_is_followed_only_to_http(server: Server, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(BODY)
    server.redirects = {"one.bin": f"file://{tmp_path}/secret"}
    refused(server, f"{server.url}/one.bin", "file:")
    server.redirects = {"one.bin": f"{server.url}/one.bin"}
    refused(server, f"{server.url}/one.bin", "5 times")
    server.redirects = {"one.bin": "/two.bin"}
    server.files["two.bin"] = BODY
    pull.fetch(ONE, Origin(mirrors=(server.url,)))
    assert (cache / "one.bin").read_bytes() == BODY


def test_a_redirect_never_leaves_encryption() -> None:
    import requests

    def answer(here: str, there: str) -> requests.Response:
        made = requests.Response()
        made.status_code, made.url, made.headers["location"] = 302, here, there
        return made

    for here, there in (
        ("https://a", "https://b"),
        ("http://a", "https://b"),
        ("http://a", "//b"),
        ("https://a", "/b"),
    ):
        pull._check_redirect(answer(here, there))
    with refuses("https:", "http:", kind=pull._Failed):
        pull._check_redirect(answer("https://a", "http://b"))


def test_an_invalid_address_is_refused(server: Server) -> None:
    for mirror in ("ftp://nowhere", "nowhere"):
        refused(server, f"{mirror}/one.bin", "http://", "https://", mirrors=(mirror,))


def test_the_weights_are_pulled_from_a_folder_without_the_graph(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "DeepSTARR.model.h5").symlink_to(data / "DeepSTARR.model.h5")
    _, imported = pull.weights("deepstarr", Origin(folder=copy, offline=True))
    assert imported.spec == pull.weights("deepstarr", Origin(folder=data, offline=True))[1].spec


def test_the_known_sizes_are_those_of_the_files(data: Path) -> None:
    for name, size in PUBLISHED.weights.sizes.items():
        assert (data / name).stat().st_size == size
    assert PUBLISHED.weights.sizes.keys() == PUBLISHED.weights.md5.keys()


def test_the_published_weights_are_imported_at_once(server: Server, data: Path) -> None:
    for name in PUBLISHED.weights.md5:
        server.files[name] = (data / name).read_bytes()
    path, imported = pull.weights("deepstarr", Origin(mirrors=(server.url,)))
    assert imported.spec.weights_id == importer.read(data / "DeepSTARR.model.h5").spec.weights_id
    assert imported.spec.source.startswith("de Almeida et al.")
    assert imported.spec.licence == "MIT"
    assert checkpoint.load(path).spec == imported.spec
    found = lookup.resolve("original:published")
    assert found.spec == imported.spec


def test_the_importer_knows_the_weights_that_are_pulled() -> None:
    assert set(PUBLISHED.weights.md5.values()) & set(PUBLISHED.citations)


def test_the_command_takes_a_copy_and_prints_its_place(zoo: Zoo, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    status, out, _ = zoo("pull", "original", "--from", data)
    assert status == 0
    assert out.startswith(f"{lookup.published_path('original')}: weights id ")
    assert "licence: MIT" in out
    assert "--offline (ZOO_OFFLINE)" in zoo("pull", "data")[2]
    one_line(zoo, ["data", "original", "'genome'"], "pull", "genome")


def test_without_a_network_the_command_names_the_files_to_bring(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    status, out, err = zoo("pull", "data")
    first, *more = err.splitlines()
    assert (status, out) == (2, "")
    assert "Sequences_Train.fa" in first
    assert len(more) == 1
    assert all(fact in more[0] for fact in (*PUBLISHED.data.md5, PUBLISHED.data.mirrors[0], "--from FOLDER"))
    assert zoo("-q", "pull", "data") == (2, "", f"{first}\n")


def test_the_command_pulls_all_files_of_the_data(zoo: Zoo, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {name: name.encode() * 100 for name in PUBLISHED.data.md5}
    server.files = contents
    files = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    data = dataclasses.replace(PUBLISHED.data, md5=files, mirrors=(server.url,))
    monkeypatch.setattr(deepstarr, "PUBLISHED", dataclasses.replace(PUBLISHED, data=data))
    monkeypatch.setenv("ZOO_MIRROR", server.url)
    # a variable that is empty says nothing
    monkeypatch.setenv("ZOO_OFFLINE", "")
    status, out, _ = zoo("pull", "data")
    assert status == 0
    there = cache_folder("pulled/data")
    assert out.startswith(f"{there}: 6 files")
    assert out.endswith(f" zoo train original --data {there}\n")
    assert out.count("\n") == 1
    assert {path.name: path.read_bytes() for path in there.iterdir()} == contents
