"""The nginx configuration of docs/serving.md, run in front of a service: what it adds."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from serve_process import END, HOST, request
from served import Running, asking, letters

pytestmark = [
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]

DOCS = Path(__file__).parents[2] / "docs/serving.md"

SECONDS = 1
"""Timeout of a slow client in these tests, instead of that of the page."""

AT_ONCE = 2
"""Requests of one address at a time, instead of those of the page."""


def configuration(folder: Path, port: int, service: Running) -> str:
    """The configuration of the page, with the ports, paths and numbers of this test."""
    (text,) = re.findall(r"```nginx\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    changes = {
        "listen 8443": f"listen {HOST}:{port}",
        "127.0.0.1:8765": f"127.0.0.1:{service.port}",
        "/etc/ssl/zoo.pem": str(folder / "zoo.pem"),
        "/etc/ssl/zoo.key": str(folder / "zoo.key"),
        "timeout 10s": f"timeout {SECONDS}s",
        "clients 32;": f"clients {AT_ONCE};",
        "http {": f"http {{ client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; "
        f"fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; "
        "access_log off;",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return f"pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off;\n{text}"


@pytest.fixture(scope="module")
def proxy(service: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of nginx."""
    folder = tmp_path_factory.mktemp("nginx")
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    certificate = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    files = ["-keyout", str(folder / "zoo.key"), "-out", str(folder / "zoo.pem")]
    subprocess.run(["openssl", "req", *certificate, *files], check=True, capture_output=True)
    (folder / "nginx.conf").write_text(configuration(folder, port, service))
    process = subprocess.Popen(["nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"])
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection((HOST, port)).close()
                break
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < until, "nginx does not listen"
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def connected(port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection((HOST, port), timeout=60))


def to_the_end(connection: ssl.SSLSocket) -> bytes:
    """All that arrives until the connection is closed."""
    came = b""
    with contextlib.suppress(OSError):
        while part := connection.recv(1 << 16):
            came += part
    return came


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_tls_ends_at_the_proxy_and_answers_are_those_of_the_service(service: Running, proxy: int) -> None:
    path, sequences = "/v2/models/mine/infer", asking(letters(64))
    through = requests.post(f"https://{HOST}:{proxy}{path}", json=sequences, verify=False, timeout=60)
    assert through.status_code == 200
    assert through.content == requests.post(service.url + path, json=sequences, timeout=60).content
    wrong = requests.post(f"https://{HOST}:{proxy}{path}", json={}, verify=False, timeout=60)
    assert (wrong.status_code, list(wrong.json())) == (400, ["error"])


def test_slow_headers_and_slow_bodies_end_their_connection_and_do_not_reach_the_service(
    service: Running, proxy: int
) -> None:
    lines = len(service.lines)
    whole = request(json.dumps(asking(letters(1))).encode())
    for cut in (10, whole.index(END) + 9):
        with connected(proxy) as slow:
            slow.sendall(whole[:cut])
            began = time.monotonic()
            assert b" 200 " not in to_the_end(slow)
            assert time.monotonic() - began < 30
    assert len(service.lines) == lines


def test_headers_without_end_are_refused(service: Running, proxy: int) -> None:
    lines = len(service.lines)
    for begun in (b"GET /", b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nx: "):
        with connected(proxy) as endless:
            endless.sendall(begun + b"a" * 20_000)
            assert re.match(rb"HTTP/1.1 4\d\d ", to_the_end(endless))
    assert len(service.lines) == lines


def test_a_large_body_is_refused_before_it_reaches_the_service(service: Running, proxy: int) -> None:
    lines = len(service.lines)
    with connected(proxy) as large:
        large.sendall(request(b"{", length=2_000_000_000))
        assert to_the_end(large).startswith(b"HTTP/1.1 413 ")
    assert len(service.lines) == lines


def test_requests_of_one_address_at_a_time_are_limited(proxy: int) -> None:
    whole = request(json.dumps(asking(letters(1))).encode())
    with contextlib.ExitStack() as open_:
        for _ in range(AT_ONCE):
            open_.enter_context(connected(proxy)).sendall(whole[:-1])
        with connected(proxy) as more:
            more.sendall(whole)
            assert more.recv(100).startswith(b"HTTP/1.1 503 ")
    with connected(proxy) as later:
        later.sendall(whole)
        assert later.recv(100).startswith(b"HTTP/1.1 200 ")
