"""Limits of requests: who may send them, their size, their time, and their number at once."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Sequence
from typing import Any, TypeVar

from starlette.types import Receive, Scope

from zoo.errors import counted
from zoo.serve.options import ServeOptions
from zoo.serve.protocol import RequestError

RETRY_SECONDS = 1
"""Value of Retry-After in a response 503."""

PATIENCE = 0.02
"""Seconds that an answer may take before the service watches whether the client is still connected."""

LINGER = 1.0
"""Seconds for which the rest of a body is read and discarded after an error response."""

T = TypeVar("T")


class Gone(Exception):  # noqa: N818
    """The client closed its connection before it was answered."""


class Admission:
    """Counts the requests of a model that are being answered; each enters this context. Used by one event loop.

    Raises RequestError, status 503, for one request too many.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most, self._now = name, most, 0

    def __enter__(self) -> None:
        if self._now >= self._most:
            message = f"{self._name}: too busy with {counted(self._most, 'requests')}; retry in {RETRY_SECONDS} s"
            raise RequestError(503, message, RETRY_SECONDS)
        self._now += 1

    def __exit__(self, *error: object) -> None:
        self._now -= 1


async def read_body(scope: Scope, receive: Receive, options: ServeOptions, until: float) -> bytes:
    """The body of a request; `scope["state"]["unread"]` becomes False. until: time of the event loop.

    Raises RequestError: status 413 for a body that is too large, before it is read if its size is given; 408 for one
    that does not arrive in time; 415 for one that is compressed. Raises Gone if the client disconnects.
    """
    headers: dict[bytes, bytes] = dict(scope["headers"])
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding != b"identity":
        name = encoding.decode("latin-1")
        raise RequestError(415, f"Content-Encoding: expected none, got {name!r:.40}; send the body uncompressed")
    too_large = RequestError(
        413, f"expected a body of at most {options.max_body:,} MB; send fewer sequences in a request"
    )
    most = options.body_bytes
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and (len(declared) > 15 or int(declared) > most):
        raise too_large
    parts, size, more = [], 0, True
    try:
        async with asyncio.timeout(None) as limit:
            # most bodies have arrived already: a timer is set only for one that has not
            late = asyncio.get_running_loop().call_soon(limit.reschedule, until)
            try:
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    part, more = message.get("body", b""), message.get("more_body", False)
                    size += len(part)
                    if size > most:
                        raise too_large
                    parts.append(part)
            finally:
                late.cancel()
    except TimeoutError:
        raise RequestError(408, f"the body of the request did not arrive within {options.time_limit}") from None
    scope["state"]["unread"] = False
    return b"".join(parts)


async def discard_body(receive: Receive, options: ServeOptions) -> None:
    """Read the rest of a body: a connection that is closed while its client sends may lose the response."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER):
            size, more = 0, True
            while more and size <= options.body_bytes:
                message = await receive()
                size += len(message.get("body", b""))
                more = message.get("more_body", False)


async def result_of(receive: Receive, future: asyncio.Future[T], options: ServeOptions, until: float) -> T:
    """The result of a future, which is cancelled when its client disconnects or the time is over. The body must have
    been read.

    Raises Gone if the client disconnects, RequestError, status 503, when the time is over.
    """
    loop = asyncio.get_running_loop()
    ends: list[asyncio.TimerHandle | asyncio.Task[None]] = []

    def late() -> None:
        _fail(future, RequestError(503, f"not answered within {options.time_limit}; retry", RETRY_SECONDS))

    def watch() -> None:
        ends.extend([loop.create_task(_gone(receive, future)), loop.call_at(until, late)])

    try:
        await asyncio.sleep(0)  # a request that is computed in place is done then
        if not future.done():
            ends.append(loop.call_at(min(until, loop.time() + PATIENCE), watch))
        return await future
    finally:
        future.cancel()
        for one in ends:
            one.cancel()


async def _gone(receive: Receive, future: asyncio.Future[Any]) -> None:
    """Fail a future when the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass
    _fail(future, Gone())


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def check_token(authorization: str, tokens: Sequence[str]) -> None:
    """Raise RequestError, status 401, unless the header holds one of the tokens."""
    scheme, _, given = authorization.partition(" ")
    # all are compared, each in constant time: the response time reveals nothing about a token
    right = [hmac.compare_digest(given.strip().encode(), token.encode()) for token in tokens]
    if scheme.lower() != "bearer" or not any(right):
        raise RequestError(401, "expected the header Authorization: Bearer TOKEN with a token of this service")
