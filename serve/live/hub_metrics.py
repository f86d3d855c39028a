"""The hub and the bus of a gateway in its metrics."""

from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from realtime.figures import live_figures
from realtime.gateway import Gateway
from storage.bus import Bus
from storage.sealed_bus import SealedBus

WENT: Final = "none"
"""The label of sockets that went by themselves."""


class HubCollector(Collector):
    """Register it with the gateway's registry. `sealed` is on top of `bus`."""

    def __init__(self, gateway: str, live: Gateway, bus: Bus, sealed: SealedBus) -> None:
        self._gateway = gateway
        self._live = live
        self._bus = bus
        self._sealed = sealed

    def collect(self) -> list[Metric]:
        return [*self._of_the_hub(), *self._of_the_bus()]

    def _of_the_hub(self) -> list[Metric]:
        found = live_figures(self._live)
        channels = GaugeMetricFamily("atrium_hub_channels", "Channels with interest.", labels=("gateway", "of"))
        channels.add_metric((self._gateway, "entity"), found.entity_channels)
        channels.add_metric((self._gateway, "group"), found.group_channels)
        closed = CounterMetricFamily("atrium_live_closed", "Sockets ended, by close code.", labels=("gateway", "code"))
        for code, count in sorted(found.closed.items()):
            closed.add_metric((self._gateway, str(code) if code else WENT), count)
        return [
            channels,
            closed,
            self._gauge("atrium_hub_subscriptions", "Subscriptions of sockets.", found.subscriptions),
            self._gauge("atrium_hub_entities", "Entities followed.", found.entities),
            self._gauge("atrium_hub_pending_changes", "Changes held while a state is read.", found.pending),
            self._gauge("atrium_live_waiting_bytes", "Frames that sockets have not taken yet.", found.waiting_bytes),
            self._gauge("atrium_live_behind", "Sockets that are too slow for every state.", found.behind),
            self._counter("atrium_hub_resyncs", "Entities read again because a version was missing.", found.resyncs),
            self._counter("atrium_hub_overflows", "Subscriptions begun anew: too much was pending.", found.overflows),
        ]

    def _of_the_bus(self) -> list[Metric]:
        health = self._bus.health()
        outcomes = {
            "published": health.published,
            "dropped": health.dropped,
            "received": health.received,
            "refused": self._sealed.refused,
            "repeated": self._sealed.repeated,
        }
        messages = CounterMetricFamily("atrium_bus_messages", "Messages over Redis.", labels=("gateway", "outcome"))
        for outcome, count in outcomes.items():
            messages.add_metric((self._gateway, outcome), count)
        return [
            messages,
            self._gauge("atrium_bus_waiting", "Messages waiting to be published.", health.buffered),
            self._counter("atrium_bus_reconnects", "Times that a subscription came back.", health.reconnects),
        ]

    def _gauge(self, name: str, meaning: str, value: float) -> Metric:
        family = GaugeMetricFamily(name, meaning, labels=("gateway",))
        family.add_metric((self._gateway,), value)
        return family

    def _counter(self, name: str, meaning: str, value: float) -> Metric:
        family = CounterMetricFamily(name, meaning, labels=("gateway",))
        family.add_metric((self._gateway,), value)
        return family
