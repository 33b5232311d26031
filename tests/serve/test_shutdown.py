"""A service that ends: it answers every request whose headers it has read, refuses later ones, and does end."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from checkpoints import ODD
from serve_process import Answer, Serving, answer, connected, request, serving
from served import asking, gated, letters, running

from zoo.serve.options import ServeOptions

BODY = json.dumps(asking(letters(64))).encode()

CLIENTS = 8

SAID = "zoo: ended by SIGTERM: "


def values(found: Answer) -> int:
    return len(json.loads(found.body)["outputs"][0]["data"])


def test_sigterm_under_load_loses_no_request_that_was_read(weights: Path) -> None:
    many, answered, not_taken = threading.Semaphore(0), [], []

    def ask() -> None:
        with connected(service.port) as connection:
            while True:
                try:
                    connection.sendall(request(BODY))
                except ConnectionError:
                    return  # closed while it was idle
                found = answer(connection)
                if found is None:
                    # closed while the request was on its way; whether it was read, the log says
                    not_taken.append(connection)
                    return
                answered.append((found.status, values(found)))
                many.release()

    with serving(weights, "--threads", 1) as service:
        clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(10 * CLIENTS):
            assert many.acquire(timeout=60)
        log = service.end()
        for client in clients:
            client.join(60)
    assert SAID in log
    assert "Traceback" not in log
    assert set(answered) == {(200, 64 * len(ODD.targets))}
    # a line for each request of which the service read the head, whatever became of it
    assert re.findall(r"POST \S+ (\d+) ", log) == ["200"] * len(answered)


def until_refused(port: int) -> None:
    """Connect until that is refused."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            connected(port).close()
        except ConnectionRefusedError:
            return
        except ConnectionError:
            continue
    pytest.fail("new connections are taken, or not answered")


def test_a_request_whose_body_arrives_after_sigterm_is_answered_and_idle_connections_are_closed(weights: Path) -> None:
    whole = request(BODY)
    head = len(whole) - len(BODY)
    cuts = [head, head + len(BODY) // 2, len(whole) - 1]
    with serving(weights) as service:
        begun = [connected(service.port) for _ in cuts]
        for connection, cut in zip(begun, cuts, strict=True):
            connection.sendall(whole[:cut])
        half_a_head, idle = connected(service.port), connected(service.port)
        half_a_head.sendall(whole[: head // 2])
        idle.sendall(whole)
        # what was sent before is read before this is answered
        first = answer(idle)
        assert first is not None
        assert "connection: close" not in first.headers
        service.process.send_signal(signal.SIGTERM)
        until_refused(service.port)
        assert answer(idle) is None
        assert answer(half_a_head) is None
        for connection, cut in zip(begun, cuts, strict=True):
            connection.sendall(whole[cut:])
            found = answer(connection)
            assert found is not None
            assert (found.status, values(found)) == (200, 64 * len(ODD.targets))
            assert found.body == first.body
            assert "connection: close" in found.headers
            assert answer(connection) is None
            connection.close()
        log = service.ended(0)
    for connection in (idle, half_a_head):
        connection.close()
    assert log.count(" 200 ") == 1 + len(cuts)


def test_all_that_wait_for_the_engine_are_answered(weights: Path) -> None:
    options = ServeOptions(port=0, max_requests=CLIENTS)
    models, gate = gated(weights, options, most=128)
    with running(models, options) as service, ThreadPoolExecutor(CLIENTS) as readers:
        asked = [connected(service.port) for _ in range(CLIENTS)]
        for connection in asked:
            connection.sendall(request(BODY))
        answers = [readers.submit(answer, connection) for connection in asked]
        while not any(line.status == 503 for line in service.lines):
            with connected(service.port) as one_more:
                one_more.sendall(request(b"{"))
                assert answer(one_more) is not None
        service.server.should_exit = True
        until_refused(service.port)
        assert not any(one.done() for one in answers)
        gate.open.set()
        for one in answers:
            found = one.result(60)
            assert found is not None
            assert (found.status, values(found)) == (200, 64 * len(ODD.targets))
            assert "connection: close" in found.headers
        for connection in asked:
            connection.close()
    assert sum(gate.sizes) == CLIENTS * 64


def half_sent(service: Serving) -> socket.socket:
    """A request of which the service has read half of the body."""
    connection = connected(service.port)
    connection.sendall(request(b"{", length=9))
    with connected(service.port) as other:
        other.sendall(request(BODY))
        assert answer(other) is not None
    return connection


def test_slow_senders_hold_up_the_end_for_the_time_limit_only(weights: Path) -> None:
    with serving(weights, "--time-limit", "1s") as service, half_sent(service) as sender:
        service.process.send_signal(signal.SIGTERM)
        found = answer(sender)
        log = service.ended(0)
    assert found is not None
    assert found.status == 408
    assert "1s" in json.loads(found.body)["error"]
    assert re.findall(r"POST \S+ (\d+) ", log) == ["200", "408"]


def test_a_second_sigterm_ends_it_at_once(weights: Path) -> None:
    with serving(weights, "--time-limit", "3600s") as service, half_sent(service):
        service.process.send_signal(signal.SIGTERM)
        until_refused(service.port)
        service.process.send_signal(signal.SIGTERM)
        log = service.ended(128 + signal.SIGTERM)
    assert SAID in log
    assert log.endswith("\nzoo: ended by SIGTERM\n")
