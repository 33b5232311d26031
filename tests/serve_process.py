"""`zoo serve` in a process of its own, and what is said to it byte by byte."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from command_line import environment

HOST = "127.0.0.1"

RUNTIME = "kmer-cpu"
"""Starts without PyTorch and without an export."""


class Serving(NamedTuple):
    """port: where it answers.  log: all that it wrote to standard error, when it has ended."""

    process: subprocess.Popen[str]
    port: int
    log: Future[str]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def end(self) -> str:
        """Its log, after a SIGTERM that it has to follow with the exit status 0."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended(0)

    def ended(self, status: int) -> str:
        assert self.process.wait(60) == status
        return self.log.result(60)


def started(*arguments: object) -> tuple[subprocess.Popen[str], int]:
    """`zoo serve` with these words, when it answers, and its port. Nobody reads what it says from then on."""
    words = [sys.executable, "-m", "zoo", "serve", *map(str, arguments), "--port", "0", "--runtime", RUNTIME]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment())
    assert process.stderr is not None
    for line in iter(process.stderr.readline, ""):
        if found := re.search(r"serving at \S+:(\d+);", line):
            return process, int(found[1])
    raise AssertionError(f"it ended with the status {process.wait()}")


@contextlib.contextmanager
def serving(*arguments: object) -> Iterator[Serving]:
    """`zoo serve` with these words, when it answers; ended by force if it has not ended."""
    process, port = started(*arguments)
    assert process.stderr is not None
    with ThreadPoolExecutor(1) as reader:
        try:
            yield Serving(process, port, reader.submit(process.stderr.read))
        finally:
            process.kill()
            process.wait()


def connected(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=60)


def request(body: bytes, more: str = "", length: int | None = None) -> bytes:
    """A request for inference of "mine". length: said of the body, its own where it is None."""
    size = len(body) if length is None else length
    head = f"POST /v2/models/mine/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n{more}\r\n"
    return head.encode() + body


END = b"\r\n\r\n"


class Answer(NamedTuple):
    """headers: in small letters, "name: value"."""

    status: int
    headers: list[str]
    body: bytes


def answer(connection: socket.socket) -> Answer | None:
    """The next answer, whole; None where the connection ends before its first byte. Raises for a part of one."""
    head = b""
    while not head.endswith(END):
        try:
            came = connection.recv(1 << 16, socket.MSG_PEEK)
        except ConnectionError:
            came = b""
        if not came and not head:
            return None
        assert came, f"only a part of an answer: {head!r}"
        # not more than the head: the body is read below, and another answer may follow
        ends = (head + came).find(END)
        head += connection.recv(len(came) if ends < 0 else ends + len(END) - len(head))
    first, *headers = head.decode().lower().splitlines()
    size = next(int(line.partition(":")[2]) for line in headers if line.startswith("content-length:"))
    body = bytearray()
    while len(body) < size:
        part = connection.recv(size - len(body))
        assert part, f"only {len(body)} of {size} bytes of an answer"
        body += part
    return Answer(int(first.split()[1]), headers, bytes(body))
