"""A service in a thread of this process, on a free port."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

import numpy as np
import uvicorn
from checkpoints import ODD, random_codes

from zoo.options import RunOptions
from zoo.prediction.session import Session
from zoo.serve import server
from zoo.serve.app import application
from zoo.serve.batching import Batcher
from zoo.serve.log import Line
from zoo.serve.metrics import Metrics
from zoo.serve.models import Models, open_models
from zoo.serve.options import ServeOptions

LENGTH = ODD.sequence_length

RUNTIME = "onnx-cpu"
"""Gives the same bits whatever is computed together."""

LOCAL = ServeOptions(port=0)


class Running(NamedTuple):
    """url: of the service.  lines: of its log.  server: ends when its `should_exit` is set."""

    url: str
    lines: list[Line]
    server: uvicorn.Server

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


def opened(*weights: Path, options: ServeOptions = LOCAL, metrics: Metrics | None = None) -> Models:
    """Models of files, as `zoo serve` opens them."""
    return open_models(
        [str(one) for one in weights], RUNTIME, RunOptions(threads=1), options, (metrics or Metrics()).batch
    )


@contextlib.contextmanager
def running(
    models: Models, options: ServeOptions = LOCAL, tokens: tuple[str, ...] = (), metrics: Metrics | None = None
) -> Iterator[Running]:
    lines: list[Line] = []
    bound = server.bind(options)
    made = server.build(
        application(models, options, metrics or Metrics(), tokens, lines.append), options, lambda _: None
    )
    thread = threading.Thread(target=made.run, kwargs={"sockets": [bound]})
    bound.listen(server.BACKLOG)  # who asks before the thread is there waits
    thread.start()
    try:
        yield Running(server.address(bound), lines, made)
    finally:
        made.should_exit = True
        thread.join()
        models.close()


class Gated:
    """A session whose batches wait until `open` is set. began: set when one has begun.  sizes: of its batches.
    threads: in which they were computed."""

    concurrent_batches = 1

    def __init__(self, session: Session) -> None:
        self._session = session
        self.spec = session.spec
        self.open, self.began = threading.Event(), threading.Event()
        self.sizes: list[int] = []
        self.threads: list[str] = []

    def submit(self, codes: np.ndarray) -> Future[np.ndarray]:
        self.began.set()
        assert self.open.wait(60)
        self.sizes.append(len(codes))
        self.threads.append(threading.current_thread().name)
        return self._session.submit(codes)


def gated(weights: Path, options: ServeOptions = LOCAL, most: int = 64, wait: float = 0.0) -> tuple[Models, Gated]:
    """The model of a file with a gate before its engine, which has to be open before the end."""
    (one,) = opened(weights, options=options)
    one.batcher.close()
    gate = Gated(one.model.session)
    batcher = Batcher(gate, most, wait, lambda _: None)  # type: ignore[arg-type]
    return Models([dataclasses.replace(one, batcher=batcher)]), gate


def letters(count: int, seed: int = 0) -> list[str]:
    return ["".join("ACGTN"[code] for code in row) for row in random_codes(count, LENGTH, seed)]


def asking(sequences: list[str], **more: object) -> dict[str, object]:
    """A request for inference, as JSON."""
    tensor = {"name": "sequence", "datatype": "BYTES", "shape": [len(sequences)], "data": sequences}
    return {"inputs": [tensor], **more}
