"""The log: a log that nobody reads does not stop the service, and says how many lines are missing."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from serve_process import connected, started

from zoo.serve import log

ASKED = 5000
"""Their lines are more than a pipe holds, which is 64 KB."""


def test_a_log_that_nobody_reads_does_not_stop_the_service(weights: Path) -> None:
    process, port = started(weights)
    try:
        connection = connected(port)
        came = b""
        for sent in range(0, ASKED, 50):
            connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
            while came.count(b"\r\n\r\n{}") < 50:
                part = connection.recv(1 << 16)
                assert part, f"no answer after {sent} requests"
                came += part
            assert came.count(b"HTTP/1.1 200 OK\r\n") == 50
            came = b""
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr is not None
        written = process.stderr.read()
        assert 0 < written.count(" 200 ") < ASKED
    finally:
        process.kill()
        process.wait()


class Full:
    """A pipe that is full."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.writer, False)
        self.before = 0
        while True:
            try:
                self.before += os.write(self.writer, bytes(4096))
            except BlockingIOError:
                break
        os.set_blocking(self.writer, True)

    def read_to_end(self) -> list[str]:
        """The lines behind the bytes that filled the pipe."""
        found = bytearray()
        while part := os.read(self.reader, 1 << 16):
            found.extend(part)
        os.close(self.reader)
        return found[self.before :].decode().splitlines()


def test_lines_beyond_the_queue_are_dropped_and_counted() -> None:
    full = Full()
    with ThreadPoolExecutor(1) as reader:
        with log.writing(full.writer) as write:
            for number in range(3 * log.MOST_LINES):
                write(f"line {number}")
            lines = reader.submit(full.read_to_end)
        os.close(full.writer)
        kept = [line for line in lines.result(60) if line.startswith("line ")]
        (note,) = (line for line in lines.result() if not line.startswith("line "))
    assert f"{3 * log.MOST_LINES - len(kept):,} lines" in note
    assert log.MOST_LINES <= len(kept) <= 2 * log.MOST_LINES
    numbers = [int(line.removeprefix("line ")) for line in kept]
    assert numbers == sorted(set(numbers))


def test_at_the_end_a_log_that_nobody_reads_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LAST_LINES", 0.01)
    full = Full()
    with log.writing(full.writer) as write:
        write("line")
    os.read(full.reader, full.before)
    assert os.read(full.reader, 100) == b"line\n"
    os.close(full.reader)
    os.close(full.writer)


def test_lines_come_in_order_and_what_a_client_sent_is_printable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w+") as file:
        monkeypatch.setattr(sys, "stderr", file)
        with log.writing() as write:
            write(log.as_text(log.Line("::1", "GET", "/v2\n", 200, 0.001)))
            write("100% of %s")
        file.seek(0)
        first, second = file.read().splitlines()
    assert first.endswith(" ::1 GET /v2 200 1.0 ms")
    assert second == "100% of %s"
