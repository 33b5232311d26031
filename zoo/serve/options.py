"""ServeOptions: where the service listens, who may ask, and its limits. Needs no library."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from pathlib import Path

from zoo.errors import ZooError
from zoo.options import MOST_SEQUENCES, check_count

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
"""Unit of a duration -> seconds."""

MEGABYTE = 1_000_000

LARGEST_BODY = 4096
"""Megabytes; a body is held in memory."""

MOST_REQUESTS = 1 << 16

MOST_CONNECTIONS = 1 << 16

LOOPBACK_NAMES = ("localhost",)


@dataclasses.dataclass(frozen=True)
class ServeOptions:
    """How models are served."""

    host: str = "127.0.0.1"
    """Address to listen on. Beyond this machine it needs --token-file or --insecure."""

    port: int = 8000
    """Port to listen on; 0 takes a free one."""

    max_wait: str = "2ms"
    """How long a request may wait for others that are arriving; one that is alone never waits."""

    max_batch: int | None = None
    """Sequences computed together, of one request or several; by default the engine's batch size."""

    max_sequences: int = 4096
    """Sequences of a request."""

    max_body: int = 64
    """Megabytes of a request."""

    max_requests: int = 256
    """Requests of a model that are answered at once, those that wait included; more are told to come again."""

    max_connections: int = 512
    """Connections at once, those that ask nothing included; who comes on one more is told to come again."""

    time_limit: str = "30s"
    """From the head of a request to its answer; as long may the head itself take."""

    token_file: Path | None = None
    """File with a bearer token a line; a request has to carry one of them."""

    insecure: bool = False
    """Let whoever reaches the address ask without a token."""

    allow_origin: str | None = None
    """Origin whose pages may ask from a browser, such as https://example.org; by default none."""

    json_log: bool = False
    """Log each request as a line of JSON."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 1 << 16:
            raise ZooError(f"port: expected 0 to {(1 << 16) - 1}, got {self.port}")
        check_count("max batch", self.max_batch, MOST_SEQUENCES)
        check_count("max sequences", self.max_sequences, MOST_SEQUENCES)
        check_count("max body", self.max_body, LARGEST_BODY)
        check_count("max requests", self.max_requests, MOST_REQUESTS)
        check_count("max connections", self.max_connections, MOST_CONNECTIONS)
        if seconds("time limit", self.time_limit) == 0:
            raise ZooError("time limit: expected more than 0")
        seconds("max wait", self.max_wait)
        if self.allow_origin is not None and not re.fullmatch(r"https?://[^/\s*]+", self.allow_origin):
            raise ZooError(f"allow origin: expected one such as https://example.org, got {self.allow_origin!r}")
        if not (self.is_local or self.token_file or self.insecure):
            raise ZooError(
                f"{self.host}: whoever reaches this address could ask; give --token-file, or --insecure where that is "
                "meant"
            )

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine reach the address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host in LOOPBACK_NAMES

    @property
    def wait_seconds(self) -> float:
        return seconds("max wait", self.max_wait)

    @property
    def limit_seconds(self) -> float:
        return seconds("time limit", self.time_limit)

    @property
    def body_bytes(self) -> int:
        return self.max_body * MEGABYTE


def seconds(name: str, text: str) -> float:
    """ "2ms" -> 0.002. Raises ZooError for anything but a number with a unit of UNITS, at most an hour."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(us|ms|s)|0", text)
    value = (float(match[1]) * UNITS[match[2]] if match[1] else 0.0) if match else -1.0
    if not 0 <= value <= 3600:
        raise ZooError(f"{name}: expected a duration such as 2ms or 30s, at most 3600s, got {text!r}")
    return value


def read_tokens(path: Path | None) -> tuple[str, ...]:
    """The bearer tokens of a file, one a line. Raises ZooError for a file without any, or one that cannot be read."""
    if path is None:
        return ()
    try:
        tokens = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ZooError(f"{path}: the tokens cannot be read ({getattr(error, 'strerror', None) or 'no text'})") from None
    if not tokens:
        raise ZooError(f"{path}: expected a token a line, got an empty file")
    for number, token in enumerate(tokens, 1):
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise ZooError(f"{path}, token {number}: expected printable ASCII without blanks")
    return tokens
