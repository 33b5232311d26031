"""The service under load on loopback: sequences a second as a share of the same session in its process, and latency.

Client and service share the cores, so that the share is a lower bound. Against it: a plain Starlette route that calls
ONNX Runtime once a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from benchmarks.measure import in_turns, needs

needs("starlette", "uvicorn", "prometheus_client")

from zoo.contracts import RunOptions  # noqa: E402
from zoo.inference.predict import Model, load  # noqa: E402
from zoo.serve import server  # noqa: E402
from zoo.serve.app import application  # noqa: E402
from zoo.serve.binary import HEADER  # noqa: E402
from zoo.serve.metrics import Metrics  # noqa: E402
from zoo.serve.models import open_models  # noqa: E402
from zoo.serve.options import ServeOptions  # noqa: E402

CONNECTIONS, SEQUENCES = (1, 8, 64), (1, 64)

IN_PROCESS = 4096
"""Sequences of the turn that is the whole."""

OPTIONS = ServeOptions(port=0)


@pytest.mark.parametrize("runtime", ["kmer-cpu", "onnx-cpu"])
def test_under_load(benchmark: Any, runtime: str, budget: float) -> None:
    metrics = Metrics()
    models = open_models(["original"], runtime, RunOptions(), OPTIONS, metrics.batch)
    model = models.get("original").model
    rows: list[dict[str, Any]] = []

    def measure() -> None:
        seconds = budget / (2 * len(CONNECTIONS) * len(SEQUENCES))
        with running(application(models, OPTIONS, metrics)) as port, running(plain()) as plain_port:
            for connections in CONNECTIONS:
                for sequences in SEQUENCES:
                    whole = in_process(model)
                    rate, times = asyncio.run(load_on(port, model, connections, sequences, seconds))
                    naive, _ = asyncio.run(load_on(plain_port, model, connections, sequences, seconds))
                    rows.append(
                        {
                            "connections": connections,
                            "sequences a request": sequences,
                            "sequences a second": round(rate),
                            "share of in process": round(rate / whole, 2),
                            "p50 ms": round(float(np.percentile(times, 50)) * 1000, 1),
                            "p99 ms": round(float(np.percentile(times, 99)) * 1000, 1),
                            "faster than a plain route by": round(rate / naive, 2),
                        }
                    )

    try:
        benchmark.pedantic(measure, rounds=1)
    finally:
        models.close()
    benchmark.extra_info["table"] = f"zoo serve on loopback, {runtime}"
    benchmark.extra_info["rows"] = rows


def in_process(model: Model) -> float:
    """Sequences a second of the session itself, in the best of a few turns."""
    codes = drawn(model, IN_PROCESS)
    return len(codes) / in_turns({"session": lambda: model.predict_codes(codes)}, 0)["session"]


def drawn(model: Model, sequences: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (sequences, model.spec.sequence_length), np.uint8)


@contextlib.contextmanager
def running(app: Any) -> Iterator[int]:
    """Serve an application in a thread; its port."""
    bound: socket.socket = server.taken(OPTIONS)
    bound.listen(server.BACKLOG)
    made = server.made(app, OPTIONS, lambda _: None)
    thread = threading.Thread(target=made.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield bound.getsockname()[1]
    finally:
        made.should_exit = True
        thread.join()


def plain() -> Any:
    """What is written in ten minutes: ONNX Runtime, once a request."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    session = load(runtime="onnx-cpu")
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
    """Sequences a second, and the seconds of each request, of so many connections that ask again and again."""
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
