"""Metrics for Prometheus, at /metrics. Each service has a registry of its own, so that a process can have several.

Labels are names of served models and statuses, never text of a client, so that their number is bounded.
"""

from __future__ import annotations

import functools

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
"""Bounds of the histogram of batch sizes."""

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Counters and histograms of a service."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        by_model, by_status = ("model",), ("model", "status")
        requests = Counter("zoo_requests", "Requests, by model and HTTP status", by_status, registry=registry)
        errors = Counter("zoo_errors", "Requests with a status of 400 or above", by_status, registry=registry)
        gone = Counter("zoo_clients_gone", "Clients that disconnected before the response", by_model, registry=registry)
        sequences = Counter("zoo_sequences", "Sequences in responses", by_model, registry=registry)
        batches = Histogram("zoo_batch_sequences", "Sequences in a batch", by_model, registry=registry, buckets=BATCHES)
        seconds = Histogram(
            "zoo_request_seconds",
            "Seconds from the headers of a request to its response",
            by_model,
            registry=registry,
            buckets=SECONDS,
        )
        # the lookup of a label takes longer than the count itself
        self._requests, self._errors = functools.cache(requests.labels), functools.cache(errors.labels)
        self._gone, self._sequences = functools.cache(gone.labels), functools.cache(sequences.labels)
        self._batches, self._seconds = functools.cache(batches.labels), functools.cache(seconds.labels)

    def request(self, model: str, status: int, seconds: float) -> None:
        """Count a response. model: "" for a request that names none."""
        self._requests(model, status).inc()
        self._seconds(model).observe(seconds)
        if status >= 400:
            self._errors(model, status).inc()

    def gone(self, model: str) -> None:
        self._gone(model).inc()

    def sequences(self, model: str, number: int) -> None:
        self._sequences(model).inc(number)

    def batch(self, model: str, sequences: int) -> None:
        self._batches(model).observe(sequences)

    def text(self) -> bytes:
        return generate_latest(self._registry)
