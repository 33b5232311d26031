"""Connections: too many of them, bodies without end, requests that are not HTTP. No trace is left, and no memory taken.

What a proxy in front of the service adds is in test_proxy.py.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from serve_process import Answer, answer, connected, request, serving
from served import Running, asking, gated, letters, running

from zoo.serve.options import ServeOptions

BODY = json.dumps(asking(letters(1))).encode()

LARGE = 2_000_000_000


def good(connection: socket.socket) -> bool:
    """Whether a connection gets an answer."""
    connection.sendall(request(BODY))
    found = answer(connection)
    return found is not None and found.status == 200


def refused(found: Answer | None, status: int) -> str:
    """The error message of a response that ends its connection."""
    assert found is not None
    assert found.status == status
    assert "content-type: application/json" in found.headers
    assert "connection: close" in found.headers
    ((name, message),) = json.loads(found.body).items()
    assert name == "error"
    return message


def test_a_slow_body_after_its_answer_holds_a_connection_only_briefly(service: Running) -> None:
    with connected(service.port) as slow:
        slow.sendall(request(b"{", length=100).replace(b"mine", b"none"))
        refused(answer(slow), 404)
        slow.sendall(b" ")
        assert answer(slow) is None


@pytest.mark.parametrize(
    "text", [b"\0\0\0\0\r\n\r\n", b"\x16\x03\x01\x02\0\x01", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n"]
)
def test_text_that_is_not_http_is_400_and_ends_its_connection(service: Running, text: bytes) -> None:
    with connected(service.port) as connection:
        connection.sendall(text)
        found = answer(connection)
        assert found is not None
        assert found.status == 400
        assert answer(connection) is None


def test_requests_sent_without_waiting_are_answered_in_turn(service: Running) -> None:
    with connected(service.port) as connection:
        connection.sendall(request(BODY) + request(b"{") + request(BODY))
        found = [answer(connection) for _ in range(3)]
    assert [one and one.status for one in found] == [200, 400, 200]


def test_200_connections_over_the_limit_get_503_and_none_hangs(weights: Path) -> None:
    options = ServeOptions(port=0, max_connections=8)
    models, gate = gated(weights, options)
    with running(models, options) as service, ThreadPoolExecutor(8) as readers, contextlib.ExitStack() as open_:
        first = [open_.enter_context(connected(service.port)) for _ in range(8)]
        for connection in first:
            connection.sendall(request(BODY))
        waiting = [readers.submit(answer, connection) for connection in first]
        more = [open_.enter_context(connected(service.port)) for _ in range(200)]
        for connection in more:
            connection.sendall(request(BODY))
        for connection in more:
            found = answer(connection)
            assert found is not None
            assert found.status == 503
            assert "connection: close" in found.headers
            assert answer(connection) is None
        gate.open.set()
        statuses = [one.result(60).status for one in waiting]
        for connection in more:
            connection.close()
        assert good(first[0])
    assert statuses == [200] * 8


def peak(process: int) -> int:
    """Largest memory of a process so far, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
def test_2_gb_are_refused_early_and_take_no_memory(weights: Path) -> None:
    megabyte = bytes(1_000_000)
    head = b"POST /v2/models/mine/infer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

    def sent_of(first: bytes, part: bytes) -> tuple[int, Answer | None]:
        """The number of bytes of LARGE that a client can send before the connection ends, and the response."""
        sent = 0
        with connected(service.port) as connection:
            connection.sendall(first)
            with contextlib.suppress(ConnectionError):
                while sent < LARGE:
                    connection.sendall(part)
                    sent += len(megabyte)
            return sent, answer(connection)

    with serving(weights, "--max-body", 4, "--threads", 1) as service:
        with connected(service.port) as connection:
            # as large as allowed: what a body takes is not what is measured
            connection.sendall(request(b"[" + bytes(3_900_000)))
            assert answer(connection) is not None
        before = peak(service.process.pid)
        chunk = b"%x\r\n" % len(megabyte) + megabyte + b"\r\n"
        for first, part in ((head, chunk), (request(b"", length=LARGE), megabyte)):
            sent, found = sent_of(first, part)
            assert "4 MB" in refused(found, 413)
            assert sent < 100_000_000
        sent, found = sent_of(request(b"", length=LARGE).replace(b"mine", b"none"), megabyte)
        refused(found, 404)
        assert sent < 100_000_000
        grown = peak(service.process.pid) - before
        log = service.end()
    assert log.count(" 413 ") == 2
    assert grown < 8_000_000


CHUNKED = (
    b"POST /v2/models/mine/infer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
)

UPGRADE = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"

WHOLE = [
    *(request(BODY), request(b"{"), request(BODY, "Expect: 100-continue\r\n"), request(BODY, length=LARGE), CHUNKED),
    *(UPGRADE % b"h2c", UPGRADE % b"websocket", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"),
    *(b"%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % one for one in (b"CONNECT a:80", b"OPTIONS *", b"HEAD /v2")),
]

PIECES = [
    b"\r\n",
    b"\0",
    b"\xff",
    b" ",
    b":",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"a" * 70_000,
]


def spoiled(generator: random.Random) -> bytes:
    """A request with changed, added or missing bytes."""
    text = bytearray(generator.choice(WHOLE))
    for _ in range(generator.choice([0, 0, 1, 2, 5])):
        at = generator.randrange(min(len(text), 200))
        end = at + generator.randrange(9)
        text[at:end] = generator.choice([generator.randbytes(end - at), generator.choice(PIECES), b""])
    return bytes(text)


def test_a_thousand_invalid_connections_leave_no_trace(weights: Path) -> None:
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    generator = random.Random(0)
    with serving(weights) as service:
        with connected(service.port) as connection:
            assert good(connection)
        opened_before = psutil.Process(service.process.pid).num_fds()
        for _ in range(1000):
            text = b"".join(spoiled(generator) for _ in range(generator.choice([1, 1, 2, 4])))
            cut = generator.choice([0, 1, 20, 100, len(text)])
            with connected(service.port) as connection, contextlib.suppress(ConnectionError):
                connection.sendall(text[:cut])
                connection.sendall(text[cut:])
                if generator.random() < 0.5:
                    with contextlib.suppress(OSError):  # the service may have closed the connection already
                        connection.shutdown(socket.SHUT_WR)
                    connection.recv(1 << 16)
        with connected(service.port) as connection:
            assert good(connection)
        until = time.monotonic() + 60
        while psutil.Process(service.process.pid).num_fds() > opened_before:
            assert time.monotonic() < until, "connections stay open whose clients have left"
        log = service.end()
    (said,) = (line for line in log.splitlines() if not re.match(r"\d{4}-", line))
    assert said.startswith("zoo: ")
    assert "SIGTERM" in said
    statuses = set(map(int, re.findall(r" (\d{3}) (?:\d+ sequences )?[\d.]+ ms", log)))
    assert {200, 400} < statuses <= {200, 400, 404, 405, 413, 421, 499}
