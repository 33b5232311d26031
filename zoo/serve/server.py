"""`zoo serve`: models loaded, the address taken, uvicorn until a signal ends it and what was begun is finished."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import MissingDependency, ZooError
from zoo.options import RunOptions
from zoo.serve.options import ServeOptions, read_tokens
from zoo.system import signals

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from zoo.serve.log import Log
    from zoo.serve.models import Models

BACKLOG = 1024
"""Connections that the system keeps until they are taken."""

KEEP_ALIVE = 75
"""Seconds that a connection may be idle, more than what proxies take as their own."""


def serve(
    weights: Sequence[str],
    runtime: str,
    running: RunOptions,
    options: ServeOptions,
    say: Callable[[str], None],
    quiet: bool = False,
) -> None:
    """Serve models, by name or from files, until a signal ends it.

    say: told where they are, when they are there.  quiet: no line a request.
    Raises ZooError for models that cannot be loaded or an address that cannot be taken.
    """
    require()
    from zoo.serve import log
    from zoo.serve.app import application
    from zoo.serve.metrics import Metrics
    from zoo.serve.models import open_models

    tokens = read_tokens(options.token_file)
    with contextlib.closing(taken(options)) as listening:
        metrics = Metrics()
        models = open_models(weights, runtime, running, options, metrics.batch)
        try:
            logged: Log = log.silent if quiet else log.as_json if options.json_log else log.as_text
            listening.listen(BACKLOG)  # who comes as soon as the address is said waits until it is answered
            for line in _greeting(models, options, address(listening), bool(tokens)):
                say(line)
            with log.behind():
                made(application(models, options, metrics, tokens, logged), options, say).run(sockets=[listening])
        finally:
            models.close()


def require() -> None:
    """Raise MissingDependency unless the extra `serve` is installed."""
    import importlib.util

    for library in ("starlette", "uvicorn", "httptools", "prometheus_client"):
        if importlib.util.find_spec(library) is None:
            raise MissingDependency(f"{library} is not installed; pip install 'deepstarr-zoo[serve]'")


def taken(options: ServeOptions) -> socket.socket:
    """A socket that is bound to the address, and does not listen yet. Raises ZooError where that cannot be."""
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
        raise ZooError(f"{options.host}, port {options.port}: cannot be taken ({reason}); see --host, --port") from None
    return bound


def address(bound: socket.socket) -> str:
    """ "http://127.0.0.1:8000" """
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def made(application: ASGIApp, options: ServeOptions, say: Callable[[str], None]) -> uvicorn.Server:
    """A server whose `run(sockets=[...])` answers until a signal comes, or `should_exit` is set, and then finishes what
    is under way; a second signal ends it at once. say: told of the signal."""
    import uvicorn

    from zoo.serve.connection import Connection

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            def end(signal: signals.Stopped) -> None:
                say(f"{signal}: what is under way is finished first; once more ends it at once")
                self.should_exit = True

            with signals.noted(end):
                yield

    def connection(**given: Any) -> Connection:
        return Connection(options=options, is_ending=lambda: server.should_exit, **given)

    config = uvicorn.Config(
        application,
        http=connection,  # type: ignore[arg-type]
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=round(options.limit_seconds) + 1,
    )
    server = Server(config)
    return server


def _greeting(models: Models, options: ServeOptions, where: str, with_token: bool) -> list[str]:
    lines = []
    for one in models:
        weights = one.model.spec.weights_id[:12]
        lines.append(f"{one.name}: {one.model.runtime} ({one.model.provider}), weights {weights}")
    if not (options.is_local or with_token):
        lines.append(f"{options.host} is reached from other machines, and no token is asked for")
    return [*lines, f"serving at {where}; Ctrl-C ends it"]
