"""The service under load on loopback: latency, and sequences a second as a share of the session alone.

Each service has a process of its own, as when it serves; it shares the cores with the clients, so that the share is a
lower bound. Against it, in turns: a plain Starlette route that calls ONNX Runtime once a request and does nothing else.
FastAPI is Starlette with its own reading and checking before the same route, and so the easier opponent. ONNX Runtime
has the settings of onnx-cpu there: with its own, whose threads spin, it is slower where cores are shared.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from benchmarks.measure import in_turns, needs

needs("starlette", "uvicorn", "prometheus_client")

from zoo.options import RunOptions  # noqa: E402
from zoo.prediction.model import Model, load  # noqa: E402
from zoo.serve import server  # noqa: E402
from zoo.serve.app import application  # noqa: E402
from zoo.serve.metrics import Metrics  # noqa: E402
from zoo.serve.models import open_models  # noqa: E402
from zoo.serve.options import ServeOptions  # noqa: E402
from zoo.serve.protocol import HEADER  # noqa: E402

CONNECTIONS, SEQUENCES = (1, 8, 64), (1, 64)

IN_PROCESS = 4096
"""Sequences in a turn of the session alone."""

OPTIONS = ServeOptions(port=0)

TURNS = 5
"""Turns for each row and service; the best one counts."""


@pytest.mark.parametrize("runtime", ["kmer-cpu", "onnx-cpu"])
def test_under_load(benchmark: Any, runtime: str, budget: float) -> None:
    model = load(runtime=runtime)
    model.settle()
    rows: list[dict[str, Any]] = []

    def measure() -> None:
        seconds = budget / (2 * TURNS * len(CONNECTIONS) * len(SEQUENCES))
        with running(served, runtime) as port, running(plain, "onnx-cpu") as plain_port:
            cells = itertools.product(CONNECTIONS, SEQUENCES)
            rows.extend(row(model, port, plain_port, *cell, seconds) for cell in cells)

    benchmark.pedantic(measure, rounds=1)
    benchmark.extra_info["table"] = f"zoo serve on loopback, {runtime}; a plain route computes on onnx-cpu"
    benchmark.extra_info["rows"] = rows


def row(model: Model, port: int, plain_port: int, connections: int, sequences: int, seconds: float) -> dict[str, Any]:
    whole = in_process(model)
    best: dict[int, tuple[float, list[float]]] = {}
    for _ in range(TURNS):
        for one in (port, plain_port):
            turn = asyncio.run(load_on(one, model, connections, sequences, seconds))
            best[one] = max(best.get(one, turn), turn, key=lambda found: found[0])
    (rate, times), (plain_rate, plain_times) = best[port], best[plain_port]
    return {
        "clients": connections,
        "each": sequences,
        "a second": round(rate),
        "of in process": round(rate / whole, 2),
        "p50 ms": round(float(np.percentile(times, 50)) * 1000, 2),
        "p99 ms": round(float(np.percentile(times, 99)) * 1000, 2),
        "plain p50": round(float(np.percentile(plain_times, 50)) * 1000, 2),
        "times plain": round(rate / plain_rate, 2),
    }


def in_process(model: Model) -> float:
    """Sequences a second of the session alone, in the best of a few turns."""
    codes = drawn(model, IN_PROCESS)
    return len(codes) / in_turns({"session": lambda: model.predict_codes(codes)}, 0)["session"]


def drawn(model: Model, sequences: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (sequences, model.spec.sequence_length), np.uint8)


@contextlib.contextmanager
def running(made: Callable[[str], Any], runtime: str) -> Iterator[int]:
    """Serve the application that a function makes for a runtime, in a separate process; yields its port."""
    bound: socket.socket = server.bind(OPTIONS)
    bound.listen(server.BACKLOG)  # requests wait until the process accepts them
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(made, runtime, bound))
    process.start()
    try:
        yield bound.getsockname()[1]
    finally:
        process.terminate()
        process.join()
        bound.close()


def _serve(made: Callable[[str], Any], runtime: str, bound: socket.socket) -> None:
    server.build(made(runtime), OPTIONS, lambda _: None).run(sockets=[bound])


def served(runtime: str) -> Any:
    """The application of `zoo serve --quiet`."""
    metrics = Metrics()
    return application(open_models(["original"], runtime, RunOptions(), OPTIONS, metrics.batch), OPTIONS, metrics)


def plain(runtime: str) -> Any:
    """A minimal service: one call of the session for each request."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    session = load(runtime=runtime)
    length = session.spec.sequence_length

    async def infer(request: Request) -> Response:
        body = await request.body()
        codes = np.frombuffer(body[int(request.headers[HEADER]) :], np.uint8).reshape(-1, length)
        activities = await run_in_threadpool(session.predict_codes, codes)
        return Response(activities.tobytes())

    return Starlette(routes=[Route("/v2/models/original/infer", infer, methods=["POST"])])


async def load_on(
    port: int, model: Model, connections: int, sequences: int, seconds: float
) -> tuple[float, list[float]]:
    """Sequences a second, and the seconds of each request, of connections that send one request after another."""
    codes = drawn(model, sequences)
    size = {"binary_data_size": codes.nbytes}
    tensor = {"name": "codes", "datatype": "UINT8", "shape": list(codes.shape), "parameters": size}
    text = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    head = f"POST /v2/models/original/infer HTTP/1.1\r\nHost: localhost\r\n{HEADER}: {len(text)}\r\n"
    request = f"{head}Content-Length: {len(text) + codes.nbytes}\r\n\r\n".encode() + text + codes.tobytes()
    times: list[float] = []
    began = time.perf_counter()
    asking: Callable[[], Any] = lambda: one_connection(port, request, began + seconds, times)  # noqa: E731
    await asyncio.gather(*(asking() for _ in range(connections)))
    return len(times) * sequences / (time.perf_counter() - began), times


async def one_connection(port: int, request: bytes, until: float, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (began := time.perf_counter()) < until:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200")
        await reader.readexactly(int(head.partition(b"\r\ncontent-length: ")[2].split()[0]))
        times.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()
