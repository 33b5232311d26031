"""Limits: what is too large, too slow, too much or not allowed gets an error, and other requests are answered."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from refusals import refuses
from served import LOCAL, Running, asking, gated, letters, opened, running

from zoo.serve.metrics import Metrics
from zoo.serve.options import ServeOptions, read_tokens

REQUEST = json.dumps(asking(letters(1))).encode()


def post(service: Running, body: bytes = REQUEST, **headers: str) -> requests.Response:
    return requests.post(f"{service.url}/v2/models/mine/infer", data=body, headers=headers, timeout=60)


def facts(answer: requests.Response, *expected: object) -> bool:
    """Whether the error message of a response is one line that holds all facts."""
    (message,) = (value for name, value in answer.json().items() if name == "error")
    return "\n" not in message and all(str(one) in message for one in expected)


@contextlib.contextmanager
def connection(service: Running, length: int, body: bytes = b"", more: str = "") -> Iterator[socket.socket]:
    """A connection that has sent the headers of a request, and some of its body."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as made:
        head = f"POST /v2/models/mine/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{more}\r\n"
        made.sendall(head.encode() + body)
        yield made


def status(connected: socket.socket) -> int:
    """The status of the answer; raises if there is none."""
    with connected.makefile("rb") as answered:
        found = answered.readline()
    assert found, "no answer"
    return int(found.split()[1])


def test_more_sequences_than_allowed_are_413(weights: Path) -> None:
    options = ServeOptions(port=0, max_sequences=2)
    with running(opened(weights, options=options), options) as service:
        answer = post(service, json.dumps(asking(letters(3))).encode())
        assert answer.status_code == 413
        assert facts(answer, "sequence", 2, 3)
        assert post(service, json.dumps(asking(letters(2))).encode()).status_code == 200


def test_a_body_that_says_it_is_too_large_is_413_before_it_is_sent(service: Running) -> None:
    with connection(service, 2_000_000_000) as sending:
        assert status(sending) == 413
    assert post(service).status_code == 200


def test_a_body_that_grows_too_large_is_413(weights: Path) -> None:
    options = ServeOptions(port=0, max_body=1)
    with running(opened(weights, options=options), options) as service:
        with contextlib.closing(socket.create_connection(("127.0.0.1", service.port), timeout=60)) as sending:
            head = b"POST /v2/models/mine/infer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            sending.sendall(head)
            for _ in range(17):
                sending.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            assert status(sending) == 413
        assert post(service).status_code == 200


def test_a_slow_sender_is_408_and_holds_up_nobody(weights: Path) -> None:
    options = ServeOptions(port=0, time_limit="300ms")
    with running(opened(weights, options=options), options) as service, connection(service, 100, b"{") as slow:
        assert post(service).status_code == 200
        assert status(slow) == 408
    assert [line.status for line in service.lines] == [200, 408]


def test_an_answer_that_takes_too_long_is_503(weights: Path) -> None:
    options = ServeOptions(port=0, time_limit="300ms")
    models, gate = gated(weights, options)
    with running(models, options) as service:
        answer = post(service)
        assert answer.status_code == 503
        assert facts(answer, "300ms")
        gate.open.set()


def test_one_request_too_many_is_503_and_may_be_sent_again(weights: Path) -> None:
    options = ServeOptions(port=0, max_requests=2)
    models, gate = gated(weights, options)
    with running(models, options) as service, ThreadPoolExecutor(2) as clients:
        first = clients.submit(post, service)
        assert gate.began.wait(60)
        with connection(service, len(REQUEST), REQUEST[:-1]) as second:
            waiting = post_until(service, 503)
            assert waiting.headers["retry-after"] == "1"
            assert facts(waiting, "mine", 2)
            gate.open.set()
            second.sendall(REQUEST[-1:])
            assert status(second) == 200
        assert first.result(60).status_code == 200
        assert post(service).status_code == 200


def post_until(service: Running, wanted: int) -> requests.Response:
    """Ask with what is refused at once, until another request has been counted."""
    while True:
        answer = post(service, b"{")
        if answer.status_code == wanted:
            return answer
        assert answer.status_code == 400


def test_200_requests_over_the_limit_get_503_and_none_that_was_accepted_is_lost(weights: Path) -> None:
    options = ServeOptions(port=0, max_requests=8)
    models, gate = gated(weights, options, most=4)
    with running(models, options) as service, ThreadPoolExecutor(208) as clients:
        asked = [clients.submit(post, service) for _ in range(208)]
        while sum(line.status == 503 for line in service.lines) < 200:
            assert gate.began.wait(60)
        gate.open.set()
        statuses = sorted(one.result(60).status_code for one in asked)
    assert statuses == [200] * 8 + [503] * 200


def test_a_client_that_leaves_frees_its_work(weights: Path) -> None:
    models, gate = gated(weights)
    with running(models) as service, ThreadPoolExecutor(1) as clients:
        first = clients.submit(post, service)
        assert gate.began.wait(60)
        with connection(service, len(REQUEST), REQUEST):
            pass
        while 499 not in [line.status for line in service.lines]:
            assert requests.get(f"{service.url}/v2/health/live", timeout=60).status_code == 200
        gate.open.set()
        assert first.result(60).status_code == 200
    assert gate.sizes == [1]


def test_clients_that_leave_before_and_while_their_batch_is_computed_take_nothing_from_others(weights: Path) -> None:
    def is_read() -> None:
        """What was sent before has been read, when this returns."""
        assert requests.get(f"{service.url}/v2/health/live", timeout=60).status_code == 200

    models, gate = gated(weights, wait=3600.0)
    both_strands = json.dumps(asking(letters(1), parameters={"rc": "average"})).encode()
    with running(models) as service, connection(service, len(REQUEST), REQUEST[:-1]) as leaves:
        is_read()
        # it waits for the one that is arriving, and is computed with it
        with connection(service, len(REQUEST), REQUEST) as stays:
            is_read()
            leaves.sendall(REQUEST[-1:])
            assert gate.began.wait(60)
            with connection(service, len(both_strands), both_strands):
                is_read()
            leaves.close()
            while [line.status for line in service.lines].count(499) < 2:
                is_read()
            gate.open.set()
            assert status(stays) == 200
    assert gate.sizes == [2]


def test_a_compressed_body_is_refused(service: Running) -> None:
    answer = post(service, b"\x1f\x8b", **{"Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert facts(answer, "Content-Encoding", "gzip")


def test_a_name_of_another_host_that_points_here_is_refused(service: Running) -> None:
    answer = requests.get(f"{service.url}/v2", headers={"Host": "evil.example"}, timeout=60)
    assert answer.status_code == 421
    assert requests.get(f"http://localhost:{service.port}/v2", timeout=60).status_code == 200


def test_with_tokens_only_those_who_have_one_are_answered(weights: Path) -> None:
    with running(opened(weights), LOCAL, ("one", "two")) as service:
        for header in ({}, {"Authorization": "Bearer three"}, {"Authorization": "Basic one"}, {"Authorization": "one"}):
            answer = post(service, **header)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        assert post(service, Authorization="Bearer one").status_code == 200
        assert post(service, Authorization="bearer two").status_code == 200
        assert requests.get(f"{service.url}/metrics", timeout=60).status_code == 401
        assert requests.get(f"{service.url}/v2/health/live", timeout=60).status_code == 200


def test_other_sites_may_ask_only_where_they_are_named(weights: Path, service: Running) -> None:
    asked = {"Origin": "https://lab.example", "Access-Control-Request-Method": "POST"}
    options = ServeOptions(port=0, allow_origin="https://lab.example")
    assert "access-control-allow-origin" not in requests.options(f"{service.url}/v2", headers=asked, timeout=60).headers
    with running(opened(weights, options=options), options) as allowing:
        headers = requests.options(f"{allowing.url}/v2", headers=asked, timeout=60).headers
        assert headers["access-control-allow-origin"] == "https://lab.example"
        other = {**asked, "Origin": "https://evil.example"}
        found = requests.options(f"{allowing.url}/v2", headers=other, timeout=60).headers
        assert "access-control-allow-origin" not in found


def test_metrics_count_requests_sequences_batches_and_errors(weights: Path) -> None:
    metrics = Metrics()
    with running(opened(weights, metrics=metrics), metrics=metrics) as service:
        post(service, json.dumps(asking(letters(5))).encode())
        post(service, b"{")
        requests.get(f"{service.url}/v2/models/nobody", timeout=60)
        text = requests.get(f"{service.url}/metrics", timeout=60).text
    lines = text.splitlines()
    assert 'zoo_requests_total{model="mine",status="200"} 1.0' in lines
    assert 'zoo_errors_total{model="mine",status="400"} 1.0' in lines
    assert 'zoo_errors_total{model="",status="404"} 1.0' in lines
    assert 'zoo_sequences_total{model="mine"} 5.0' in lines
    assert 'zoo_batch_sequences_bucket{le="8.0",model="mine"} 1.0' in lines
    assert 'zoo_request_seconds_count{model="mine"} 2.0' in lines
    assert "nobody" not in text


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        ({"host": "0.0.0.0"}, ["host", "0.0.0.0", "--token-file", "--insecure"]),
        ({"host": "example.org"}, ["host", "example.org", "--token-file"]),
        ({"port": 1 << 16}, ["port", 65535, 65536]),
        ({"max_wait": "2"}, ["max-wait", "2ms", "3600s", "'2'"]),
        ({"time_limit": "0"}, ["time-limit", "'0'"]),
        ({"time_limit": "2h"}, ["time-limit", "'2h'"]),
        ({"max_requests": 0}, ["max-requests", "at least 1", "got 0"]),
        ({"max_connections": 0}, ["max-connections", "at least 1", "got 0"]),
        ({"max_body": 1 << 20}, ["max-body", "at most 4096", 1 << 20]),
        ({"allow_origin": "*"}, ["allow-origin", "https://example.org", "'*'"]),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(options: dict[str, object], facts: list[object]) -> None:
    with refuses(*facts):
        ServeOptions(**options)  # type: ignore[arg-type]


def test_addresses_of_this_machine_are_local() -> None:
    assert all(ServeOptions(host=host).is_local for host in ("127.0.0.1", "127.8.0.1", "::1", "localhost"))
    assert not ServeOptions(host="0.0.0.0", insecure=True).is_local


def test_tokens_are_read_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("one\n\n  two \n")
    assert read_tokens(path) == ("one", "two")
    path.write_text("\n")
    with refuses(path, "empty"):
        read_tokens(path)
    path.write_text("with blank\n")
    with refuses(path, "token 1"):
        read_tokens(path)
    with refuses(tmp_path / "none", "no such file"):
        read_tokens(tmp_path / "none")
