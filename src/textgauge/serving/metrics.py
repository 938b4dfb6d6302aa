"""What is counted, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "textgauge_requests",
            "Requests that were answered, by path and status.",
            ("path", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "textgauge_request_seconds",
            "From the headers of a request to the end of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.texts = Counter(
            "textgauge_texts", "Texts that were asked for at /predict.", registry=registry
        )
        self.remembered = Counter(
            "textgauge_texts_remembered",
            "Of these, texts whose answer was still there.",
            registry=registry,
        )
        self.scored_rows = Counter(
            "textgauge_scored_rows", "Rows of tables that were sent to /score.", registry=registry
        )
        self.batch = Histogram(
            "textgauge_batch_texts",
            "Distinct texts that were computed together.",
            buckets=_TEXTS,
            registry=registry,
        )
        self.loaded = Counter(
            "textgauge_model_loads",
            "Models that were to replace the one at work, by what became of it.",
            ("outcome",),
            registry=registry,
        )
        self._queue = Gauge(
            "textgauge_queue_requests", "Requests that wait for the model.", registry=registry
        )
        self._model = Gauge(
            "textgauge_model_info",
            "1 for the model at work.",
            ("address", "version"),
            registry=registry,
        )

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Take the queue's length when it is asked for."""
        self._queue.set_function(length)

    def tell_model(self, address: str, version: str | None) -> None:
        """Name the model at work, in the place of the one before."""
        self._model.clear()
        self._model.labels(address, version or "").set(1)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
