"""The service as an ASGI application, for uvicorn or another ASGI server: routes, errors, headers.

`application` makes one from loaded models. Each request passes `_Guard`, which checks its token, answers errors with
{"error": one line}, and times and logs it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zoo.errors import ZooError, one_line
from zoo.prediction import strands
from zoo.serve import limits, log, openapi, page, page_api, protocol
from zoo.serve.log import Line, Log
from zoo.serve.metrics import CONTENT_TYPE, Metrics
from zoo.serve.models import Models, Served
from zoo.serve.options import ServeOptions
from zoo.serve.protocol import RequestError

LARGE = 1 << 18
"""Bytes of a body that a thread reads instead of the event loop, which answers other requests meanwhile."""

OPEN_PATHS = ("/v2/health/live", "/v2/health/ready", "/")
"""Addresses that need no token: health checks, and the page, which asks its reader for the token."""

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""Values of Host for this machine. They refuse the pages of a site that lets its own name point to this machine."""

REASONS = {404: "no such address; see /openapi.json", 405: "wrong method for this address; see the header Allow"}

CLIENT_GONE = 499
"""Status in the log if the client disconnected, as in nginx."""

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}
"""Headers of every response that does not set them itself."""


@dataclasses.dataclass(frozen=True)
class Service:
    """State that the routes share."""

    models: Models
    options: ServeOptions
    metrics: Metrics


def application(
    models: Models, options: ServeOptions, metrics: Metrics, tokens: Sequence[str] = (), say: Log = log.silent
) -> Starlette:
    """The service. tokens: if there are any, a request must carry one of them.  say: called with every request."""
    service = Service(models, options, metrics)
    inference = _Inference(service)
    routes = [
        # the first match counts, and this is the most frequent request
        Route("/v2/models/{model}/infer", inference, methods=["POST"]),
        Route("/v2", _server),
        Route("/v2/health/live", _healthy),
        Route("/v2/health/ready", _healthy),
        Route("/v2/models/{model}", _model),
        Route("/v2/models/{model}/ready", _model_ready),
        Route("/v2/models/{model}/versions/{version}", _model),
        Route("/v2/models/{model}/versions/{version}/ready", _model_ready),
        Route("/v2/models/{model}/versions/{version}/infer", inference, methods=["POST"]),
        Route("/v2/models", _names),
        Route("/page/models/{model}/{action}", _page_request, methods=["POST"]),
        Route("/", _page),
        Route("/metrics", _metrics),
        Route("/openapi.json", _openapi),
    ]
    middleware = [Middleware(_Guard, service=service, tokens=tokens, say=say)]
    if options.allow_origin:
        origins, methods = [options.allow_origin], ["GET", "POST"]
        middleware.insert(
            0, Middleware(CORSMiddleware, allow_origins=origins, allow_methods=methods, allow_headers=["*"])
        )
    made = Starlette(routes=routes, middleware=middleware, exception_handlers={HTTPException: _raise})
    made.router.redirect_slashes = False
    made.state.service = service
    return made


async def _raise(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Leave the error to _Guard."""
    raise error


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type=protocol.JSON_TYPE)


def _service(request: Request) -> Service:
    return request.app.state.service


def _served(service: Service, scope: Scope) -> Served:
    """The model of the path. Raises RequestError, status 404."""
    parameters: dict[str, str] = scope["path_params"]
    served = service.models.get(parameters["model"])
    scope["state"]["line"]["model"] = served.name
    version = parameters.get("version", protocol.VERSION)
    if version != protocol.VERSION:
        raise RequestError(404, f"{served.name}: expected version {protocol.VERSION}, got {version!r:.40}")
    return served


async def _server(request: Request) -> Response:  # noqa: ARG001
    return _json(protocol.server_metadata())


async def _healthy(request: Request) -> Response:  # noqa: ARG001
    # models are loaded before the service listens
    return _json({})


async def _names(request: Request) -> Response:
    return _json({"models": [one.name for one in _service(request).models]})


async def _model(request: Request) -> Response:
    served = _served(_service(request), request.scope)
    return _json(protocol.model_metadata(served.name, served.model))


async def _model_ready(request: Request) -> Response:
    return _json({"name": _served(_service(request), request.scope).name, "ready": True})


async def _metrics(request: Request) -> Response:
    return Response(_service(request).metrics.text(), headers={"content-type": CONTENT_TYPE})


async def _openapi(request: Request) -> Response:
    service = _service(request)
    return _json(openapi.description([one.name for one in service.models], service.options))


class _Inference:
    """Answers requests for predictions, as plain ASGI, which is faster than Starlette's requests and responses."""

    def __init__(self, service: Service) -> None:
        self._service, self._limit = service, service.options.limit_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, options = self._service, self._service.options
        served = _served(service, scope)
        headers: dict[bytes, bytes] = dict(scope["headers"])
        until = asyncio.get_running_loop().time() + self._limit
        with served.admission:
            with served.batcher.arriving():
                body = await limits.read_body(scope, receive, options, until)

                def read() -> tuple[protocol.InferenceRequest, np.ndarray]:
                    request = protocol.read(body, headers)
                    spec, most = served.model.spec, options.max_sequences
                    return request, protocol.codes(request, spec, most)

                request, codes = await run_in_threadpool(read) if len(body) > LARGE else read()
                future = served.batcher.submit(strands.both(codes) if request.rc else codes)
            activities = await limits.result_of(receive, future, options, until)
            if request.rc:
                activities = strands.mean(activities)
            content, own = protocol.response(served.name, request, served.model.spec, activities)
        scope["state"]["line"]["sequences"] = len(codes)
        service.metrics.sequences(served.name, len(codes))
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body", "body": content})


async def _page(request: Request) -> Response:  # noqa: ARG001
    return Response(page.of_service(), headers=page.HEADERS)


async def _page_request(request: Request) -> Response:
    service, action = _service(request), request.path_params["action"]
    served = _served(service, request.scope)
    if action not in page_api.FIELDS:
        raise HTTPException(404)
    until = asyncio.get_running_loop().time() + service.options.limit_seconds
    with served.admission:
        body = await limits.read_body(request.scope, request.receive, service.options, until)
        fields = protocol.json_object(body)
        future = served.batcher.alone(lambda: page_api.answer(served.model, action, fields))
        answer = await limits.result_of(request.receive, future, service.options, until)
    request.state.line["sequences"] = 1
    return _json(answer)


class _Guard:
    """Checks every request once, and gives every response its headers, its error message, its metrics and its line in
    the log."""

    def __init__(self, app: ASGIApp, service: Service, tokens: Sequence[str], say: Log) -> None:
        self._app, self._service, self._tokens, self._say = app, service, tokens, say
        self._by_local_names = service.options.is_local and not tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        line: dict[str, Any] = {}
        headers: dict[bytes, bytes] = dict(scope["headers"])
        has_body = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
        state: dict[str, Any] = scope.setdefault("state", {})
        state.update(line=line, unread=has_body)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {b"connection": b"close"} if state["unread"] else {}
                message["headers"] = list((HEADERS | dict(message["headers"]) | own).items())
            elif state["unread"]:
                message["more_body"] = True  # the server closes the connection when this is False
            await send(message)

        try:
            self._check(scope["path"], headers)
            await self._app(scope, receive, sending)
        except limits.Gone:
            self._service.metrics.gone(line.get("model", ""))
            status = CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - every error is a line for the client and for the log
            line["error"], response = _error(error)
            await response(scope, receive, sending)
        seconds = time.perf_counter() - began
        self._service.metrics.request(line.get("model", ""), status, seconds)
        client = scope["client"][0] if scope.get("client") else "-"
        self._say(Line(client, scope["method"], scope["path"], status, seconds, **line))
        if state["unread"]:
            await limits.discard_body(receive, self._service.options)
            await send({"type": "http.response.body"})

    def _check(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Raise RequestError if a token is missing, or Host names another machine where only this one is served."""
        if self._tokens and path not in OPEN_PATHS:
            limits.check_token(headers.get(b"authorization", b"").decode("latin-1"), self._tokens)
        if self._by_local_names:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            name = host if host.endswith("]") else host.rpartition(":")[0] or host
            if name not in LOCAL_HOSTS:
                raise RequestError(421, f"Host: expected {', '.join(LOCAL_HOSTS)}, got {host!r:.60}")


def _error(error: Exception) -> tuple[str, Response]:
    """The message of an error, and its response."""
    headers = {}
    if isinstance(error, RequestError):
        status, message = error.status, str(error)
        if error.retry_after is not None:
            headers["retry-after"] = str(error.retry_after)
        if status == 401:
            headers["www-authenticate"] = "Bearer"
    elif isinstance(error, HTTPException):
        status, message = error.status_code, REASONS.get(error.status_code, error.detail)
        headers |= error.headers or {}
    elif isinstance(error, ZooError):
        # an engine that could not compute, for example because it ran out of memory
        status, message = 503, str(error)
        headers["retry-after"] = str(limits.RETRY_SECONDS)
    else:
        status, message = 500, one_line(f"this is a bug: {type(error).__name__}: {error}")
    response = _json({"error": message})
    response.status_code = status
    response.headers.update(headers)
    return message, response
