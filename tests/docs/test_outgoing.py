"""Calls to others: limits and metrics are documented as they are."""

import msgspec

from serve.platform.outgoing_metrics import OutgoingCollector
from services.outgoing.breaker import Breakers
from services.outgoing.limits import DEFAULTS
from tests.docs.pages import rows, section


def test_every_limit_is_documented_with_its_default() -> None:
    documented = {name: cells[0] for name, cells in rows(section("docs/operations.md", "## Calls to others")).items()}
    assert documented == {name: f"{value:,g}" if value < 1e6 else f"{value:,}" for name, value in _limits().items()}


def test_every_metric_is_documented_with_its_labels() -> None:
    breakers = Breakers()
    breakers.of("mail.test:587").calls["done"] += 1
    documented = rows(section("docs/observability.md", "## Metrics"))
    families = list(OutgoingCollector("gateway-1", breakers).collect())
    assert {each.name for each in families} == {"atrium_outgoing_calls", "atrium_outgoing_circuit"}
    for family in families:
        (sample,) = family.samples
        kind, labels = documented[sample.name]
        assert kind == family.type
        assert labels == ", ".join(f"`{label}`" for label in sample.labels)


def _limits() -> dict[str, float]:
    return msgspec.structs.asdict(DEFAULTS)
