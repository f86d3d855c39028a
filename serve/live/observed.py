"""Socket commands counted, timed and traced, where they enter the use-cases."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.runtime.entity import EntityKind
from actors.runtime.tallies import Latency
from domain.errors import AtriumError, Conflict, Temporary
from realtime.ports import CommandPort
from serve.platform.relay import bound_text
from services.device_commands import RESOLVED
from services.entities import Answered, Sender
from storage.tracing.context import within

if TYPE_CHECKING:
    from storage.tracing.tracer import Tracer

OTHER: Final = "other"
"""The label of kinds and operations that do not exist: devices may say anything."""

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
_EDGE_OPERATIONS: Final = RESOLVED | {"resolve", "sign", "cosign"}
"""What devices may ask for that is no command of a kind."""


class SocketMetrics(Collector):
    """RED per kind and operation: `outcome` is `applied`, `duplicate`, `conflict`, `rejected`, `retry` or `failed`.

    Counted in plain integers, which takes half of the time of the client library's counters.
    """

    def __init__(self, gateway: str, kinds: Mapping[str, EntityKind[Any]], registry: CollectorRegistry) -> None:
        self._gateway = gateway
        self._known = {
            (name, op)
            for name, kind in kinds.items()
            for op in {str(command.__struct_config__.tag) for command in kind.commands} | _EDGE_OPERATIONS  # type: ignore[attr-defined]
        }
        self._counts: dict[tuple[str, str, str], int] = {}
        self._seconds: dict[str, Latency] = {}
        registry.register(self)

    def knows(self, kind: str, op: str) -> bool:
        return (kind, op) in self._known

    def observe(self, kind: str, op: str, outcome: str, seconds: float) -> None:
        key = (kind, op, outcome)
        if key not in self._counts:
            if (kind, op) not in self._known:
                kind, key = OTHER, (OTHER, OTHER, outcome)
            self._counts.setdefault(key, 0)
            self._seconds.setdefault(kind, Latency(_BUCKETS))
        self._counts[key] += 1
        self._seconds[kind].observe(seconds)

    def collect(self) -> Iterator[Metric]:
        commands = CounterMetricFamily(
            "atrium_socket_commands", "Commands that came over sockets.", labels=("gateway", "kind", "op", "outcome")
        )
        for labels, count in self._counts.items():
            commands.add_metric((self._gateway, *labels), count)
        seconds = HistogramMetricFamily(
            "atrium_socket_command_duration_seconds",
            "From a command's turn in its queue to its result.",
            labels=("gateway", "kind"),
        )
        for kind, latency in self._seconds.items():
            buckets = [(bound_text(bound), count) for bound, count in latency.cumulative()]
            seconds.add_metric((self._gateway, kind), buckets, latency.total)
        yield commands
        yield seconds


class ObservedPort:
    """`realtime.ports.CommandPort` around another one."""

    def __init__(self, port: CommandPort, metrics: SocketMetrics, tracer: "Tracer | None" = None) -> None:
        self._port = port
        self._metrics = metrics
        self._tracer = tracer
        self.clinical = port.clinical
        self.signal = port.signal

    async def execute(
        self, sender: Sender, ent: str, op: str, args: dict[str, Any], base_fver: int | None = None
    ) -> Answered:
        began = time.perf_counter()
        outcome = "failed"
        try:
            if self._tracer is None or (span := self._tracer.root("socket command")) is None:
                answer = await self._port.execute(sender, ent, op, args, base_fver)
            else:
                kind, _, entity_id = ent.partition("/")
                span.rename(f"command {kind}.{op}" if self._metrics.knows(kind, op) else "command")
                span.note({"atrium.kind": kind, "atrium.id": entity_id, "atrium.command": op})
                with within(span):
                    answer = await self._port.execute(sender, ent, op, args, base_fver)
            outcome = "duplicate" if answer.duplicate else "applied"
            return answer
        except Temporary:
            outcome = "retry"
            raise
        except Conflict:
            outcome = "conflict"
            raise
        except AtriumError as error:
            outcome = "rejected" if error.failure.status < _SERVER_ERROR else "failed"
            raise
        finally:
            self._metrics.observe(ent.partition("/")[0], op, outcome, time.perf_counter() - began)


_SERVER_ERROR: Final = 500
