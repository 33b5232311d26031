"""What keeps a service that anybody may ask alive: how many at once, how large, how long, and who."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from starlette.types import Receive

from zoo.serve.options import ServeOptions
from zoo.serve.refused import Refused

RETRY_SECONDS = 1
"""When one who was told to come again may do so."""

PATIENCE = 0.02
"""Seconds that an answer may take before it is watched whether its client is still there."""

T = TypeVar("T")


class Gone(Exception):  # noqa: N818
    """The client went away: nobody reads an answer."""


class Admission:
    """How many requests of a model are answered at once: while it is entered, one more. Used by one event loop.

    Raises Refused, status 503, for one too many.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most, self._now = name, most, 0

    def __enter__(self) -> None:
        if self._now >= self._most:
            message = f"{self._name}: {self._most:,} requests are being answered; come again in {RETRY_SECONDS} s"
            raise Refused(503, message, RETRY_SECONDS)
        self._now += 1

    def __exit__(self, *error: object) -> None:
        self._now -= 1


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, options: ServeOptions, until: float) -> bytes:
    """The body of a request. until: time of the event loop.

    Raises Refused: status 413 for one that is too large, before it is read where its size is given, 408 for one that
    does not come in time, 415 for one that is compressed; Gone where the client went away.
    """
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding != b"identity":
        name = encoding.decode("latin-1")
        raise Refused(415, f"Content-Encoding: expected none, got {name!r:.40}; a body is taken as it is")
    most = options.body_bytes
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and (len(declared) > 15 or int(declared) > most):
        raise _too_large(options)
    parts, size, more = [], 0, True
    try:
        async with asyncio.timeout(None) as limit:
            # most bodies are there: a timer is set when one is not
            late = asyncio.get_running_loop().call_soon(limit.reschedule, until)
            try:
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    part, more = message.get("body", b""), message.get("more_body", False)
                    size += len(part)
                    if size > most:
                        raise _too_large(options)
                    parts.append(part)
            finally:
                late.cancel()
    except TimeoutError:
        raise Refused(408, f"the request did not come within {options.time_limit}") from None
    return b"".join(parts)


async def result_of(receive: Receive, future: asyncio.Future[T], options: ServeOptions, until: float) -> T:
    """What a future gives. It is cancelled where nobody waits for it: raises Gone where the client goes away, Refused,
    status 503, where the time is over. The body must have been read."""
    loop = asyncio.get_running_loop()
    ends: list[asyncio.TimerHandle | asyncio.Task[None]] = []

    def late() -> None:
        _fail(future, Refused(503, f"not answered within {options.time_limit}; come again", RETRY_SECONDS))

    def watch() -> None:
        ends.extend([loop.create_task(_gone(receive, future)), loop.call_at(until, late)])

    try:
        await asyncio.sleep(0)  # what is computed in place is there then
        if not future.done():
            ends.append(loop.call_at(min(until, loop.time() + PATIENCE), watch))
        return await future
    finally:
        future.cancel()
        for one in ends:
            one.cancel()


async def _gone(receive: Receive, future: asyncio.Future[Any]) -> None:
    """Fails a future when the client goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass
    _fail(future, Gone())


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def check_token(authorization: str | None, tokens: Sequence[str]) -> None:
    """Raise Refused, status 401, unless the header holds one of the tokens, or none is needed."""
    if not tokens:
        return
    scheme, _, given = (authorization or "").partition(" ")
    # each is compared, in a time that does not tell how much of it was right
    right = [hmac.compare_digest(given.strip().encode(), token.encode()) for token in tokens]
    if scheme.lower() != "bearer" or not any(right):
        raise Refused(401, "expected the header Authorization: Bearer TOKEN with a token of this service")


def _too_large(options: ServeOptions) -> Refused:
    return Refused(413, f"expected a body of at most {options.max_body:,} MB; send fewer sequences a request")
