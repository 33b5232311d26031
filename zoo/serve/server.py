"""`zoo serve`: load models, listen, and run uvicorn until a signal ends it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from zoo.errors import ZooError, require
from zoo.options import RunOptions
from zoo.serve.options import ServeOptions, read_tokens
from zoo.system import signals

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from zoo.serve.models import Models

BACKLOG = 1024
"""Connections that the system holds until the service accepts them."""

KEEP_ALIVE = 75
"""Seconds that a connection may be idle after a response; longer than the usual setting of a proxy."""


def serve(
    weights: Sequence[str],
    runtime: str,
    running: RunOptions,
    options: ServeOptions,
    say: Callable[[str], None],
    quiet: bool = False,
) -> None:
    """Serve models, by name or from files, until a signal ends the service.

    say: prints a note, or nothing for --quiet; called with the models and the address before the first request.
    quiet: log no requests.
    Raises ZooError if a model cannot be loaded or the address cannot be used.
    """
    for library in ("starlette", "uvicorn", "httptools", "prometheus_client"):
        require(library, "serve")
    from zoo.serve import log
    from zoo.serve.app import application
    from zoo.serve.metrics import Metrics
    from zoo.serve.models import open_models

    tokens = read_tokens(options.token_file)
    line = log.as_json if options.json_log else log.as_text
    with contextlib.closing(bind(options)) as listening:
        metrics = Metrics()
        models = open_models(weights, runtime, running, options, metrics.batch)
        try:
            listening.listen(BACKLOG)  # a client that connects as soon as the address is printed waits for its answer
            for text in _greeting(models, options, address(listening), bool(tokens)):
                say(text)
            with log.writing() as write:
                logged: log.Log = log.silent if quiet else lambda request: write(line(request))
                app = application(models, options, metrics, tokens, logged)
                note: Callable[[str], None] = say if quiet else lambda text: write(f"zoo: {text}")
                build(app, options, note).run(sockets=[listening])
        finally:
            models.close()


def bind(options: ServeOptions) -> socket.socket:
    """A socket that is bound to the address and does not listen yet. Raises ZooError if the address cannot be used."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(where)
        except OSError:
            bound.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ZooError(
            f"{options.host}, port {options.port}: cannot listen there ({reason}); see --host, --port"
        ) from None
    return bound


def address(bound: socket.socket) -> str:
    """ "http://127.0.0.1:8000" """
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def build(application: ASGIApp, options: ServeOptions, note: Callable[[str], None]) -> uvicorn.Server:
    """A server whose `run(sockets=[...])` answers until a signal comes, or `should_exit` is set, and then finishes the
    requests that have begun; a second signal ends it at once. note: called with the signal."""
    import uvicorn

    from zoo.serve.limits import LINGER

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            def end(signal: signals.Stopped) -> None:
                note(f"{signal}: finishing open requests; signal again to stop now")
                self.should_exit = True

            with signals.noted(end):
                yield

    config = uvicorn.Config(
        application,
        http="httptools",
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=options.max_connections + 1,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=round(options.limit_seconds + LINGER) + 1,
    )
    return Server(config)


def _greeting(models: Models, options: ServeOptions, where: str, with_token: bool) -> list[str]:
    lines = []
    for one in models:
        weights = one.model.spec.weights_id[:12]
        lines.append(f"{one.name}: {one.model.runtime} ({one.model.provider}), weights {weights}")
    if not (options.is_local or with_token):
        lines.append(f"{options.host}: other machines can use this service without a token")
    return [*lines, f"serving at {where}; Ctrl-C stops it"]
