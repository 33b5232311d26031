"""ServeOptions: where the service listens, who may use it, and its limits. Needs no library."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from pathlib import Path
from typing import Annotated

from zoo.errors import ZooError
from zoo.formats.text_input import read_text
from zoo.options import MOST_SEQUENCES, Bounds, check

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
"""Unit of a duration -> seconds."""

MEGABYTE = 1_000_000

LARGEST_BODY = 4096
"""Megabytes; a body is held in memory."""

MOST_AT_ONCE = 1 << 16
"""Requests or connections."""


@dataclasses.dataclass(frozen=True)
class ServeOptions:
    """How models are served."""

    host: str = "127.0.0.1"
    """Address to listen on. An address that other machines can reach needs --token-file or --insecure."""

    port: Annotated[int, Bounds(0, (1 << 16) - 1)] = 8000
    """Port to listen on; 0 chooses a free one."""

    max_wait: str = "2ms"
    """Longest time that a request waits for others that are arriving; a single request never waits."""

    max_batch: Annotated[int | None, Bounds(1, MOST_SEQUENCES)] = None
    """Maximum number of sequences computed together, from one request or several; default: the engine's batch size."""

    max_sequences: Annotated[int, Bounds(1, MOST_SEQUENCES)] = 4096
    """Maximum number of sequences in a request."""

    max_body: Annotated[int, Bounds(1, LARGEST_BODY)] = 64
    """Maximum size of a request in megabytes."""

    max_requests: Annotated[int, Bounds(1, MOST_AT_ONCE)] = 256
    """Maximum number of requests that a model answers at once, waiting ones included; further requests get 503."""

    max_connections: Annotated[int, Bounds(1, MOST_AT_ONCE)] = 512
    """Maximum number of open connections, idle ones included; while there are more, requests get 503."""

    time_limit: str = "30s"
    """Longest time to receive the body of a request and answer it."""

    token_file: Path | None = None
    """File with one bearer token a line; a request must carry one of them."""

    insecure: bool = False
    """Accept requests without a token from other machines."""

    allow_origin: str | None = None
    """Origin of web pages that may use the service from a browser, such as https://example.org; default: none."""

    json_log: bool = False
    """Log each request as one line of JSON."""

    def __post_init__(self) -> None:
        check(self)
        if self.limit_seconds == 0:
            raise ZooError(f"time-limit: expected a duration above 0, got {self.time_limit!r}")
        seconds("max-wait", self.max_wait)
        if self.allow_origin is not None and not re.fullmatch(r"https?://[^/\s*]+", self.allow_origin):
            raise ZooError(f"allow-origin: expected one such as https://example.org, got {self.allow_origin!r}")
        if not (self.is_local or self.token_file or self.insecure):
            raise ZooError(
                f"host: other machines can reach {self.host}; give --token-file, or --insecure to serve without tokens"
            )

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine reach the address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def wait_seconds(self) -> float:
        return seconds("max-wait", self.max_wait)

    @property
    def limit_seconds(self) -> float:
        return seconds("time-limit", self.time_limit)

    @property
    def body_bytes(self) -> int:
        return self.max_body * MEGABYTE


def seconds(name: str, text: str) -> float:
    """ "2ms" -> 0.002. Raises ZooError unless the text is a number with a unit of UNITS, at most one hour."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(us|ms|s)|0", text)
    value = (float(match[1]) * UNITS[match[2]] if match[1] else 0.0) if match else -1.0
    if not 0 <= value <= 3600:
        raise ZooError(f"{name}: expected a duration such as 2ms or 30s, at most 3600s, got {text!r}")
    return value


def read_tokens(path: Path | None) -> tuple[str, ...]:
    """The bearer tokens of a file, one a line. Raises ZooError if it has none or cannot be read."""
    if path is None:
        return ()
    tokens = tuple(line.strip() for line in read_text(path).splitlines() if line.strip())
    if not tokens:
        raise ZooError(f"{path}: expected one token per line, got an empty file")
    for number, token in enumerate(tokens, 1):
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise ZooError(f"{path}, token {number}: expected printable ASCII without spaces")
    return tokens
