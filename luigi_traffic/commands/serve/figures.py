"""The figures of the server for Prometheus, see docs/serve.md."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from luigi_traffic.commands.serve.live_ticks import LiveTicks

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
        self._due = self._of_target("tick_timestamp", "When the newest tick was due (Unix time)")
        self._forecast = self._of_target(
            "live_forecast_timestamp", "When the newest live forecast was stored (Unix time)"
        )
        self._missed = self._of_target(
            "ticks_missed", "Ticks without a runner within the day before the newest tick"
        )
        self._feed = self._of_target("feed_up", "1 if the source reports, 0 if it is down")
        self._by_profile = self._of_target(
            "forecast_by_profile_ratio", "Share of links whose profile stands in for the model"
        )
        self._attempts = Gauge(
            "luigi_traffic_attempts", "Attempts of a stage that began within 24 hours",
            ["dataset", "stage", "outcome"], registry=self._registry,
        )  # fmt: skip
        self._partitions = Gauge(
            "luigi_traffic_partitions", "Partitions of the warehouse that count",
            ["dataset", "stage"], registry=self._registry,
        )  # fmt: skip

    def _of_target(self, name: str, said: str) -> Gauge:
        labels = ["dataset", "target"]
        return Gauge(f"luigi_traffic_{name}", said, labels, registry=self._registry)

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

    def live(self, dataset: str, ticks: LiveTicks) -> None:
        """Note how the live runner of a dataset and target does."""
        values: dict[Gauge, float | None] = {
            self._due: ticks.due_at.timestamp() if ticks.due_at else None,
            self._forecast: ticks.forecast_at.timestamp() if ticks.forecast_at else None,
            self._missed: ticks.missed,
            self._feed: ticks.feed_up,
            self._by_profile: ticks.by_profile,
        }
        for gauge, value in values.items():
            if value is not None:
                gauge.labels(dataset, ticks.target).set(value)

    def forget_stages(self) -> None:
        """Before they are counted anew: what is not counted then is there no more."""
        self._attempts.clear()
        self._partitions.clear()

    def stages(
        self, dataset: str, attempts: list[tuple[str, str, int]], partitions: list[tuple[str, int]]
    ) -> None:
        """Note what runs did of late, and what there is."""
        for stage, outcome, count in attempts:
            self._attempts.labels(dataset, stage, outcome).set(count)
        for stage, count in partitions:
            self._partitions.labels(dataset, stage).set(count)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them (text format 0.0.4)."""
        return generate_latest(self._registry)
