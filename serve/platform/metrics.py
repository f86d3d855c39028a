"""RED metrics per route template, in a registry of its own: several applications can live in a process."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
UNMATCHED: Final = "unmatched"


class HttpMetrics:
    """Every series carries `gateway`: behind a load balancer one path shows another replica each time."""

    def __init__(self, gateway: str, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._gateway = gateway
        self._requests = Counter(
            "atrium_http_requests",
            "Requests answered.",
            ("gateway", "method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "atrium_http_request_duration_seconds",
            "From the first byte seen here to the last one sent.",
            ("gateway", "method", "route"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "atrium_http_requests_in_flight",
            "Requests being worked on.",
            ("gateway",),
            registry=self.registry,
        ).labels(gateway)
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        children = self._children.get((method, route, status))
        if children is None:
            children = (
                self._requests.labels(self._gateway, method, route, str(status)),
                self._seconds.labels(self._gateway, method, route),
            )
            self._children[method, route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def exposition(self) -> bytes:
        """All series in the Prometheus text format."""
        return generate_latest(self.registry)
