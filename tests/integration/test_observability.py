"""What an installation tells of itself, across its processes."""

import json
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from domain.ids import new_id
from tests.conditions import until
from tests.integration.town import ON_THE_STACK, Town, delivery

pytestmark = ON_THE_STACK

PATIENCE_SECONDS = 60.0
"""Spans leave their processes every five seconds, figures are asked for as often."""


async def shown(town: Town) -> dict[tuple[str, ...], float]:
    """The value of each series, by its name and the values of its labels."""
    answer = await town.http.get(f"{town.stack.base_url}/metrics")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_a_gateway_shows_what_hosts_steward_and_reactor_count(town: Town):
    await town.cart(town.bearer(new_id()), 1)

    async def complete() -> dict[tuple[str, ...], float] | None:
        found = await shown(town)
        executed = sum(
            value for name, value in found.items() if name[0] == "atrium_host_commands_total" and "executed" in name
        )
        up = [found.get(("atrium_service_up", service)) for service in ("steward", "reactor")]
        leads = found.get(("atrium_reaction_running", "checkout"))
        return found if executed and leads and up == [1, 1] else None

    found = await until(complete, "hosts, steward and reactor have figures", within_s=PATIENCE_SECONDS)
    assert {value for name, value in found.items() if name[0] == "atrium_host_up"} == {1}
    assert sum(value for name, value in found.items() if name[0] == "atrium_host_shards") == 256
    assert not any("revenue" in name[0] for name in found)


async def test_an_order_is_one_trace_from_its_caller_to_the_reaction(town: Town):
    user, trace, above = town.bearer(new_id()), new_id().replace("-", ""), "00f067aa0ba902b7"
    cart = await town.cart(user, 1)
    sampled = {"traceparent": f"00-{trace}-{above}-01"}
    await town.post("/orders/create", user | sampled, delivery(cart["id"]))

    def whole() -> list[dict[str, Any]] | None:
        file = town.stack.folder / "traces.jsonl"
        written = file.read_text().rpartition("\n")[0] if file.exists() else ""  # not a line that is half written
        spans = [span for span in map(json.loads, written.splitlines()) if span["trace_id"] == trace]
        known = {span["span_id"] for span in spans} | {above}
        names = {span["name"] for span in spans}
        complete = {"commit", "react checkout"} <= names and all(span["parent_id"] in known for span in spans)
        return spans if complete else None

    spans = await until(whole, "the whole trace is in the file", within_s=PATIENCE_SECONDS)
    (root,) = [span for span in spans if span["parent_id"] == above]
    assert (root["name"], root["service"]) == ("POST /api/v1/orders/create", "gateway")
    services = {span["service"].partition(":")[0] for span in spans}
    assert services == {"gateway", "host", "reactor"}
