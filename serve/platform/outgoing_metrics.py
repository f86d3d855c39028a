"""Calls to others in the gateway's metrics: by host what came of them, and how its circuit stands."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.outgoing.breaker import Breakers, State

_FIGURES: Final = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


class OutgoingCollector(Collector):
    """Register it with the gateway's registry. The circuits themselves are bounded."""

    def __init__(self, gateway: str, breakers: Breakers) -> None:
        self._gateway = gateway
        self._breakers = breakers

    def collect(self) -> Iterator[Metric]:
        calls = CounterMetricFamily(
            "atrium_outgoing_calls", "Calls to others, by what came of them.", labels=("gateway", "host", "outcome")
        )
        circuits = GaugeMetricFamily(
            "atrium_outgoing_circuit", "0 closed, 1 half-open, 2 open (not asked).", labels=("gateway", "host")
        )
        for each in self._breakers.all():
            circuits.add_metric((self._gateway, each.host), _FIGURES[each.state])
            for outcome, count in sorted(each.calls.items()):
                calls.add_metric((self._gateway, each.host, outcome), count)
        yield calls
        yield circuits
