"""The log: whoever does not read it holds up nobody, and learns how much is missing."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from serve_process import connected, started

from zoo.serve import log

ASKED = 5000
"""Their lines are more than a pipe holds, which is 64 KB."""


def test_a_log_that_nobody_reads_holds_up_nobody(weights: Path) -> None:
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
    """A pipe that is full, and a stream behind a thread that writes to it."""

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
        self.stream = log.Behind(self.writer)


def test_lines_that_nobody_takes_are_left_out_and_counted() -> None:
    full = Full()
    for number in range(3 * log.MOST_LINES):
        full.stream.write(f"line {number}\n")
    found = bytearray()

    def read() -> None:
        while part := os.read(full.reader, 1 << 16):
            found.extend(part)

    reader = threading.Thread(target=read)
    reader.start()
    full.stream.close()
    os.close(full.writer)
    reader.join(60)
    os.close(full.reader)
    lines = found[full.before :].decode().splitlines()
    kept = [line for line in lines if line.startswith("line ")]
    (said,) = (line for line in lines if not line.startswith("line "))
    assert said == f"zoo: {3 * log.MOST_LINES - len(kept):,} lines were not written"
    assert log.MOST_LINES <= len(kept) <= 2 * log.MOST_LINES
    numbers = [int(line.removeprefix("line ")) for line in kept]
    assert numbers == sorted(set(numbers))


def test_at_the_end_a_log_that_nobody_reads_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LAST_LINES", 0.01)
    full = Full()
    full.stream.write("line\n")
    full.stream.close()
    assert full.stream.closed
    os.read(full.reader, full.before)
    assert os.read(full.reader, 100) == b"line\n"
    os.close(full.reader)
    os.close(full.writer)


def test_what_is_printed_meanwhile_is_written_whole_lines_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w+") as file:
        monkeypatch.setattr(sys, "stderr", file)
        with log.behind():
            log.as_text(log.Line("::1", "GET", "/v2\n", 200, 0.001))
            print("one", "two", file=sys.stderr)
            print("no end", end="", file=sys.stderr)
        assert sys.stderr is file
        file.seek(0)
        first, second, *others = file.read().splitlines()
    assert first.endswith(" ::1 GET /v2 200 1.0 ms")
    assert second == "one two"
    assert others == ["no end"]
