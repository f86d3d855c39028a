"""The port that counts and traces socket commands hands each on unchanged."""

from contextlib import suppress

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from actors.kinds import KINDS
from actors.runtime.entity import Actor
from domain.errors import AtriumError, Conflict, Forbidden, Internal, Unavailable
from serve.live.observed import ObservedPort, SocketMetrics
from services.entities import Sender
from tests.realtime.entities import Answer
from tests.realtime.fakes import CART, Port
from tests.serve.spans import Recorded

PHONE = Sender(Actor("alice"), "c-1.1", b"i" * 16, b"h" * 16, device="phone", hlc="now", hlc_raw="then", generation=3)


@pytest.mark.parametrize("traced", [True, False])
async def test_a_counted_command_arrives_as_its_device_sent_it(traced: bool) -> None:
    port, registry = Port(), CollectorRegistry()
    observed = ObservedPort(port, SocketMetrics("g-1", KINDS, registry), Recorded().tracer if traced else None)
    args = {"line_id": "1", "quantity": 2}
    assert await observed.execute(PHONE, CART, "set_quantity", args, 7) == Answer(1)
    sent = {"ent": CART, "op": "set_quantity", "args": args, "base_fver": 7}
    assert port.calls == [sent | msgspec.structs.asdict(PHONE)]


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (Answer(1, duplicate=True), "duplicate"),
        (Unavailable("away"), "retry"),
        (Conflict("taken"), "conflict"),
        (Forbidden("no"), "rejected"),
        (Internal("broken"), "failed"),
        (ZeroDivisionError(), "failed"),
    ],
)
async def test_a_command_is_counted_by_what_came_of_it(outcome: Answer | Exception, counted: str) -> None:
    port, registry = Port(), CollectorRegistry()
    port.outcome = lambda _: outcome  # type: ignore[assignment,return-value]
    observed = ObservedPort(port, SocketMetrics("g-1", KINDS, registry))
    with suppress(AtriumError, ZeroDivisionError):
        await observed.execute(PHONE, CART, "clear", {})
    labels = {"gateway": "g-1", "kind": "cart", "op": "clear", "outcome": counted}
    assert registry.get_sample_value("atrium_socket_commands_total", labels) == 1
