"""The figures of the server for Prometheus, see docs/serve.md."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: Seconds. The limit that we want to keep is 0.05 for /forecast.
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Figures:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "luigi_traffic_requests", "Requests by resource and status", ["resource", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "luigi_traffic_request_seconds", "Time until an answer was complete", ["resource"],
            buckets=_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._made = Counter(
            "luigi_traffic_answers_made", "Answers that were not in memory", registry=self._registry
        )
        self._newest = Gauge(
            "luigi_traffic_newest_timestamp", "Newest time, local, as seconds of an epoch in UTC",
            ["dataset", "what"], registry=self._registry,
        )  # fmt: skip

    def request(self, resource: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(resource, status).inc()
        self._seconds.labels(resource).observe(seconds)

    def made(self) -> None:
        """Count an answer that the warehouse was asked for."""
        self._made.inc()

    def newest(self, dataset: str, what: str, seconds: float) -> None:
        """Note how new the speeds or the forecast of a dataset are."""
        self._newest.labels(dataset, what).set(seconds)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them (text format 0.0.4)."""
        return generate_latest(self._registry)
