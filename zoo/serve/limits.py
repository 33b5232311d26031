"""What keeps a service that anybody may ask alive: how many at once, how large, how long, and who."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from zoo.serve.options import ServeOptions
from zoo.serve.refused import Refused

RETRY_SECONDS = 1
"""When one who was told to come again may do so."""

T = TypeVar("T")


class Gone(Exception):  # noqa: N818
    """The client went away: nobody reads an answer."""


class Admission:
    """How many requests of a model are answered at once. Used by one thread, that of the event loop."""

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most, self._now = name, most, 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """While it holds, a request is answered. Raises Refused, status 503, for one too many."""
        if self._now >= self._most:
            message = f"{self._name}: {self._most:,} requests are being answered; come again in {RETRY_SECONDS} s"
            raise Refused(503, message, RETRY_SECONDS)
        self._now += 1
        try:
            yield
        finally:
            self._now -= 1


async def read_body(request: Request, options: ServeOptions, until: float) -> bytes:
    """The body of a request. until: time of the event loop.

    Raises Refused: status 413 for one that is too large, before it is read where its size is given, 408 for one that
    does not come in time, 415 for one that is compressed; Gone where the client went away.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise Refused(415, f"Content-Encoding: expected none, got {encoding!r:.40}; a body is taken as it is")
    most = options.body_bytes
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 15 or int(declared) > most):
        raise _too_large(options)
    parts, size = [], 0
    try:
        async with asyncio.timeout_at(until):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _too_large(options)
                parts.append(part)
    except TimeoutError:
        raise Refused(408, f"the request did not come within {options.time_limit}") from None
    except ClientDisconnect:
        raise Gone from None
    return b"".join(parts)


async def result_of(request: Request, future: Future[T], options: ServeOptions, until: float) -> T:
    """What a Future gives. It is cancelled where nobody waits for it: raises Gone where the client goes away, Refused,
    status 503, where the time is over. The body must have been read."""
    result = asyncio.wrap_future(future)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        left = until - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait((result, gone), timeout=max(0, left), return_when=asyncio.FIRST_COMPLETED)
        if result in done:
            return result.result()
        if gone in done:
            raise Gone
        raise Refused(503, f"not answered within {options.time_limit}; come again", RETRY_SECONDS)
    finally:
        gone.cancel()
        result.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


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
