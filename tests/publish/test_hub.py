"""Packs of a hub: a server on loopback answers what huggingface_hub asks; the cache has a whole pack or what it had."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import Zoo, one_line
from refusals import refuses

import zoo as library
from zoo.card import Card
from zoo.errors import CheckFailed, ZooError, ZooWarning
from zoo.publish import hub, pack
from zoo.publish.options import PackOptions
from zoo.weights import checkpoint, ensembles, lookup, packs

pytest.importorskip("huggingface_hub")

NAME = "hf:lab/odd"


class Server(ThreadingHTTPServer):
    """A hub with the model lab/odd. revisions: branch, tag or commit -> (commit, file -> content)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.revisions: dict[str, tuple[str, dict[str, bytes]]] = {}
        self.sizes: dict[str, int] = {}
        self.broken: int | None = None
        self.asked: list[str] = []

    def publish(self, folder: Path, *revisions: str) -> None:
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        files[".gitattributes"] = b"*.onnx filter=lfs\n"
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        for revision in (*revisions, commit):
            self.revisions[revision] = (commit, files)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        if self.server.broken:
            self._answer(self.server.broken, b"{}")
        elif path.startswith("/api/models/lab/odd/revision/"):
            self._about(path.removeprefix("/api/models/lab/odd/revision/"))
        elif path.startswith("/lab/odd/resolve/"):
            revision, _, name = path.removeprefix("/lab/odd/resolve/").partition("/")
            commit, files = self.server.revisions[revision]
            etag = hashlib.sha256(files[name]).hexdigest()
            self._answer(200, files[name], ETag=f'"{etag}"', **{"X-Repo-Commit": commit})
        else:
            self._answer(404, b'{"error": "Repository not found"}', **{"X-Error-Code": "RepoNotFound"})

    def _about(self, revision: str) -> None:
        if revision not in self.server.revisions:
            self._answer(404, b"{}", **{"X-Error-Code": "RevisionNotFound"})
            return
        commit, files = self.server.revisions[revision]
        sizes = {name: self.server.sizes.get(name, len(content)) for name, content in files.items()}
        siblings = [{"rfilename": name, "size": size, "blobId": "0"} for name, size in sizes.items()]
        answer = {
            "id": "lab/odd",
            "modelId": "lab/odd",
            "sha": commit,
            "siblings": siblings,
            "tags": [],
            "private": False,
        }
        self._answer(200, json.dumps(answer).encode())

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{running.server_address[1]}")
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        monkeypatch.setenv("ZOO_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield running
        running.shutdown()
        thread.join()


def make(folder: Path, seed: int) -> Path:
    """A pack without .onnx, whose export would need seconds."""
    weights = random_checkpoint(ODD, seed)
    checkpoint.save(weights, folder / f"{seed}.safetensors")
    options = PackOptions(runtime="kmer-cpu", formats=("safetensors",), licence="MIT", repository="lab/odd")
    spec = dataclasses.replace(weights.spec, licence="MIT")
    checkpoint.save(dataclasses.replace(weights, spec=spec), folder / f"{seed}.safetensors", overwrite=True)
    pack.pack(folder / f"{seed}.safetensors", folder / f"pack{seed}", Card(species="fly", assay="MPRA"), options)
    return folder / f"pack{seed}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("packs")
    return make(folder, 0), make(folder, 1)


def expected(folder: Path) -> np.ndarray:
    return packs.read_tests(folder).expected


def predicted(name: str, folder: Path) -> np.ndarray:
    return library.load(weights=name, runtime="kmer-cpu").predict_codes(packs.read_tests(folder).codes)


def test_a_pack_is_fetched_tested_and_has_a_name(server: Server, made: tuple[Path, Path], zoo: Zoo) -> None:
    server.publish(made[0], "main")
    one_line(zoo, [NAME, "zoo pull"], "info", NAME)
    status, out, err = zoo("pull", NAME)
    assert (status, err) == (0, "")
    assert f"--weights {NAME}" in out
    assert np.allclose(predicted(NAME, made[0]), expected(made[0]), atol=1e-5)
    folder = packs.hub_folder(NAME)
    assert {path.name for path in folder.iterdir()} == {path.name for path in made[0].iterdir()} | {packs.COMMIT}
    assert list(packs.pulled()) == [f"{NAME}@main"]
    assert ensembles.by_name([f"{NAME}@main", "tuned"]) == {"odd@main": f"{NAME}@main", "tuned": "tuned"}
    assert f"{NAME}@main" in lookup.names()
    status, out, _ = zoo("info", f"{NAME}@main")
    assert "Drosophila" in out
    status, out, _ = zoo("test", NAME, "--runtimes", "kmer-cpu")
    assert (status, "same" in out) == (0, True)


def test_a_branch_is_followed_and_a_tag_is_kept(server: Server, made: tuple[Path, Path]) -> None:
    server.publish(made[0], "main", "v1")
    assert library.from_pretrained("lab/odd", runtime="kmer-cpu").spec.card == Card(species="fly", assay="MPRA")
    fetched = len(server.asked)
    library.from_pretrained("lab/odd", runtime="kmer-cpu")
    assert len(server.asked) == fetched + 1  # the commit is the same: nothing is downloaded
    server.publish(made[1], "main")
    old, new = (library.from_pretrained("lab/odd", revision=one, runtime="kmer-cpu") for one in ("v1", "main"))
    assert old.spec.weights_id == lookup.read_spec(lookup.path_of(made[0])).weights_id
    assert new.spec.weights_id == lookup.read_spec(lookup.path_of(made[1])).weights_id
    commit = server.revisions["v1"][0]
    assert library.from_pretrained(f"{NAME}@{commit}", runtime="kmer-cpu").spec.weights_id == old.spec.weights_id
    with refuses("v2", "v1"):
        library.from_pretrained(f"{NAME}@v1", revision="v2")


def test_without_the_hub_the_cache_is_used(
    server: Server, made: tuple[Path, Path], zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_line(zoo, [NAME, "cache"], "pull", NAME, "--offline")
    server.publish(made[0], "main")
    hub.fetch(NAME)
    asked = len(server.asked)
    assert zoo("pull", NAME, "--offline")[0] == 0
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert library.from_pretrained("lab/odd", runtime="kmer-cpu").spec.targets == ODD.targets
    assert len(server.asked) == asked
    monkeypatch.delenv("HF_HUB_OFFLINE")
    server.broken = 503
    with pytest.warns(ZooWarning, match="503"):
        hub.fetch(NAME)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    with pytest.warns(ZooWarning, match="not reached"):
        hub.fetch(NAME)
    one_line(zoo, [f"{NAME}@v9", "127.0.0.1:9", "not reached"], "pull", f"{NAME}@v9")


def test_what_the_hub_has_not_is_one_line(server: Server, made: tuple[Path, Path], zoo: Zoo, tmp_path: Path) -> None:
    server.publish(made[0], "main")
    one_line(zoo, [f"{NAME}@v2", "revision"], "pull", f"{NAME}@v2")
    one_line(zoo, ["lab/other"], "pull", "hf:lab/other")
    one_line(zoo, ["OWNER/NAME", "lab"], "pull", "hf:lab")
    one_line(zoo, ["OWNER/NAME"], "predict", "x.fa", "--weights", "hf:../../x")
    one_line(zoo, ["--mirror", "HF_ENDPOINT"], "pull", NAME, "--mirror", "http://127.0.0.1:9")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.safetensors").write_bytes(b"x")
    server.publish(tmp_path / "other", "v3")
    one_line(zoo, [f"{NAME}@v3", "pack", "model.safetensors"], "pull", f"{NAME}@v3")
    server.sizes["weights.safetensors"] = 3_000_000_000
    one_line(zoo, ["weights.safetensors", "3,000,000,000"], "pull", NAME)


@pytest.mark.parametrize("name", ["weights.safetensors", packs.TESTS, packs.LICENCE])
def test_a_changed_file_is_not_kept(name: str, server: Server, made: tuple[Path, Path], tmp_path: Path) -> None:
    server.publish(made[0], "main")
    hub.fetch(NAME)
    changed = Path(shutil.copytree(made[1], tmp_path / "changed"))
    content = bytearray((changed / name).read_bytes())
    content[-5] ^= 1
    (changed / name).write_bytes(content)
    server.publish(changed, "main")
    with refuses(NAME, name, "changed", kind=CheckFailed):
        hub.fetch(NAME)
    assert np.allclose(predicted(NAME, made[0]), expected(made[0]), atol=1e-5)


def test_other_numbers_than_the_stored_ones_are_not_kept(
    server: Server, made: tuple[Path, Path], tmp_path: Path
) -> None:
    wrong = Path(shutil.copytree(made[0], tmp_path / "wrong"))
    tests = packs.read_tests(wrong)
    (wrong / packs.TESTS).write_bytes(dataclasses.replace(tests, expected=tests.expected + np.float32(0.1)).to_bytes())
    (wrong / packs.SUMS).write_text(packs.sums(wrong))
    server.publish(wrong, "main")
    with refuses(NAME, "192 of 192", kind=CheckFailed):
        hub.fetch(NAME)
    assert not packs.hub_folder(NAME).exists()


def test_a_damaged_copy_in_the_cache_is_fetched_again(server: Server, made: tuple[Path, Path]) -> None:
    server.publish(made[0], "main")
    file = hub.fetch(NAME) / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with refuses(f"zoo pull {NAME}"):
        library.load(weights=NAME, runtime="kmer-cpu")
    hub.fetch(NAME)
    assert np.allclose(predicted(NAME, made[0]), expected(made[0]), atol=1e-5)


def test_names_that_are_none() -> None:
    for name in ("hf:", "hf:a", "hf:a/b/c", "hf:a/b@", "hf:a/b@../c", "hf:a/..", "hf:/b", "hf:a/b@x y", "hf:a\n/b"):
        with pytest.raises(ZooError):
            packs.split_name(name)
    assert packs.split_name("hf:a-b/c.d@refs/pr/1") == ("a-b/c.d", "refs/pr/1")
    assert packs.hub_folder("hf:a/b@refs/pr/1").name == "b@refs%2Fpr%2F1"
