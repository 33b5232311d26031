"""A connection to the service: uvicorn's, with bounds on all that comes before a request is the application's.

A head that does not come in time or has no end, and what is no HTTP, is answered with {"error": one line} and ends the
connection; so does one connection too many. An answer to a request that is still being sent reaches its client: the
connection is read on for a while, since closing it at once would take the answer away. When the service ends, what has
begun to arrive is still answered, with `Connection: close`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from zoo.serve import limits, protocol
from zoo.serve.options import ServeOptions

LARGEST_HEAD = 1 << 16
"""Bytes that come one after another and are no body: a head, or what stands between and behind chunks."""

LINGER = 2.0
"""Seconds for which what a client sends is read, and thrown away, after an answer that did not wait for it and ends the
connection. Never is more thrown away than a body may have."""

LAST_REQUEST = 0.3
"""Seconds in which an idle connection may still ask when the service ends: its client may just be sending."""


class Connection(HttpToolsProtocol):
    """What uvicorn's server makes of each connection. is_ending: whether the service does."""

    def __init__(self, *given: Any, options: ServeOptions, is_ending: Callable[[], bool], **more: Any) -> None:
        super().__init__(*given, **more)
        self._options, self._is_ending = options, is_ending
        self._in_head, self._is_refused, self._came_on = False, False, False
        self._no_body_bytes, self._thrown_away = 0, 0
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._lingering = _Lingering(transport, self)
        super().connection_made(self._lingering)  # type: ignore[arg-type]
        if len(self.connections) > self._options.max_connections:
            self.app = _one_too_many(self._options)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_wait()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused or self.transport.is_closing():
            self._throw_away(data)
            return
        is_answered = self.cycle is not None and self.cycle.response_complete and self.cycle.more_body
        self._came_on = False
        super().data_received(data)
        self._no_body_bytes = 0 if self._came_on else self._no_body_bytes + len(data)
        if self._no_body_bytes > LARGEST_HEAD:
            self._refuse(431, f"expected at most {LARGEST_HEAD:,} bytes that are no body")
        elif self._in_head or self.is_idle:
            self._wait_for_head()
        if is_answered:
            self._throw_away(data)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._came_on, self._thrown_away = False, True, 0
        self._end_wait()
        super().on_headers_complete()
        if self._is_ending():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._came_on = True
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, f"the request is not HTTP: {msg}")

    def shutdown(self) -> None:
        """The service ends: close when what has begun to arrive is answered."""
        if not self.is_idle:
            super().shutdown()
        elif not self._in_head:
            self.loop.call_later(LAST_REQUEST, self._close_unless_asked)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_sending(self) -> bool:
        """Whether more of a request is to come than has come."""
        return self._in_head or self._is_refused or (self.cycle is not None and self.cycle.more_body)

    def _throw_away(self, data: bytes) -> None:
        self._thrown_away += len(data)
        if self._thrown_away > self._options.body_bytes:
            self._lingering.end()

    def _close_unless_asked(self) -> None:
        if self.is_idle and not self._in_head:
            self.transport.close()

    def _wait_for_head(self) -> None:
        if self._waiting is None and not self.transport.is_closing():
            self._waiting = self.loop.call_later(self._options.limit_seconds, self._head_is_late)

    def _end_wait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _head_is_late(self) -> None:
        self._waiting = None
        if self._in_head:
            self._refuse(408, f"the head of the request did not come within {self._options.time_limit}")
        else:
            super().shutdown()

    def _refuse(self, status: int, message: str) -> None:
        """Answer what is being read, and close; where a request before it is being answered, do that only."""
        if self.transport.is_closing():
            return
        self._is_refused = True
        cycle = self.cycle
        if not self.is_idle and (self.pipeline or cycle.response_started or not cycle.more_body):
            cycle.keep_alive = False
            return
        if not self.is_idle:
            # nothing of it comes any more, and nothing of its answer goes
            cycle.disconnected = True
            cycle.message_event.set()
        body = protocol.error_body(message)
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {protocol.JSON_TYPE}\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        self.transport.close()


class _Lingering:
    """A transport whose `close` leaves a client that is still sending the time to read the answer."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self._transport, self._connection, self._ends = transport, connection, False
        self.get_extra_info = transport.get_extra_info
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading

    def write(self, data: bytes) -> None:
        if not self._ends:
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._ends or self._transport.is_closing()

    def close(self) -> None:
        if self.is_closing():
            return
        if not self._connection.is_sending:
            self._transport.close()
            return
        self._ends = True
        try:
            self._transport.write_eof()
        except OSError:  # the client has gone
            self.end()
            return
        self._connection.flow.resume_reading()
        self._connection.loop.call_later(LINGER, self.end)

    def end(self) -> None:
        self._transport.close()


def _one_too_many(options: ServeOptions) -> Response:
    seconds = limits.RETRY_SECONDS
    message = f"{options.max_connections:,} connections are open; come again in {seconds} s"
    headers = {"content-type": protocol.JSON_TYPE, "retry-after": str(seconds), "connection": "close"}
    return Response(protocol.error_body(message), 503, headers)
