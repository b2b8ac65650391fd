"""What Prometheus reads at /metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from avt_memocmt.service.store import JobStore

_SECONDS = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class ServiceMetrics:
    """Counts what the service does; jobs and queue are looked up when they are asked for.

    Args:
        store: of the jobs.
    """

    def __init__(self, store: JobStore) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Jobs(store))
        self._media = Counter(
            "avt_memocmt_media_seconds",
            "Seconds of media that were predicted.",
            registry=self._registry,
        )
        self._durations = Histogram(
            "avt_memocmt_job_duration_seconds",
            "Seconds that a worker took for a job.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.live_sessions = Gauge(
            "avt_memocmt_live_sessions", "Live sessions that are open.", registry=self._registry
        )
        self._done, self._taken = 0, 0.0

    def count(self, media: float, taken: float) -> None:
        """Count a job that is done.

        Args:
            media: seconds of it.
            taken: seconds that it took.
        """
        self._media.inc(media)
        self._durations.observe(taken)
        self._done, self._taken = self._done + 1, self._taken + taken

    @property
    def mean_duration(self) -> float | None:
        """Mean seconds that a job took; None before there was one."""
        return self._taken / self._done if self._done else None

    def text(self) -> bytes:
        """In the format of Prometheus."""
        return generate_latest(self._registry)


class _Jobs(Collector):
    def __init__(self, store: JobStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """See `Collector.collect`."""
        jobs = GaugeMetricFamily("avt_memocmt_jobs", "Jobs by state.", labels=["state"])
        for state, count in self._store.counts().items():
            jobs.add_metric([str(state)], count)
        yield jobs
        waiting = self._store.waiting()
        yield GaugeMetricFamily("avt_memocmt_queue_length", "Tasks that wait.", value=waiting)
