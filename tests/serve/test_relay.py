"""Figures of hosts, steward and reactor as a gateway shows them."""

from collections.abc import Sequence

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.runtime.figures import Sample, host_samples
from actors.runtime.local import LocalRuntime
from serve.platform.relay import Relay
from tests.serve.house import House

TOKEN = "a token of some length"
REVENUE = Sample("atrium_revenue_last_day_minor_units", ("EUR",), 129_900)


class Processes:
    """The hosts of a local runtime, and a reactor that says what it is told to."""

    def __init__(self, local: LocalRuntime) -> None:
        self._local = local
        self.reactor: list[Sample] = [Sample("atrium_dead_letters", ("topics",), 2), REVENUE]
        self.asked = 0
        self.gone: set[str] = set()

    async def of(self, process: str) -> Sequence[Sample]:
        self.asked += 1
        if process in self.gone:
            raise ConnectionError(process)
        if process == "reactor":
            return self.reactor
        return await host_samples(self._local.hosts[process])


@pytest.fixture
def processes(house: House) -> Processes:
    return Processes(house.local)


def relayed(house: House, processes: Processes, *, confidential: bool = False) -> None:
    registry = house.gateway.registry
    house.gateway.relay = Relay(processes, house.local.client.hosts, ("reactor",), registry, confidential=confidential)


async def shown(house: House, **headers: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = await house.http.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_a_gateway_shows_the_figures_of_hosts_and_services_beside_its_own(
    house: House, processes: Processes
) -> None:
    relayed(house, processes)
    await house.new_cart()
    found = await shown(house)
    executed = (("host", "host-1"), ("kind", "cart"), ("outcome", "executed"))
    assert found["atrium_host_commands_total", executed] == 1
    bucket = (("host", "host-1"), ("kind", "cart"), ("le", "+Inf"))
    assert found["atrium_host_commit_duration_seconds_bucket", bucket] == 1
    assert found["atrium_dead_letters", (("reaction", "topics"),)] == 2
    assert found["atrium_host_up", (("host", "host-1"),)] == 1
    assert any(name == "atrium_http_requests_total" for name, _ in found)


async def test_a_process_that_does_not_answer_is_down_and_has_no_figures(house: House, processes: Processes) -> None:
    processes.gone = {"host-1", "reactor"}
    relayed(house, processes)
    found = await shown(house)
    assert found["atrium_host_up", (("host", "host-1"),)] == 0
    assert found["atrium_service_up", (("service", "reactor"),)] == 0
    assert not any(name.startswith("atrium_host_commands") for name, _ in found)


async def test_scrapes_in_quick_succession_ask_the_processes_once(house: House, processes: Processes) -> None:
    relayed(house, processes)
    for _ in range(3):
        await shown(house)
    assert processes.asked == 2


async def test_what_a_newer_process_reports_and_this_gateway_does_not_know_is_left_out(
    house: House, processes: Processes
) -> None:
    processes.reactor = [Sample("atrium_of_tomorrow", (), 1)]
    relayed(house, processes)
    assert not any("tomorrow" in name for name, _ in await shown(house))


async def test_figures_of_the_business_are_shown_to_nobody_unless_a_token_guards_them(
    house: House, processes: Processes
) -> None:
    relayed(house, processes)
    assert not any("revenue" in name for name, _ in await shown(house))


async def test_with_a_metrics_token_only_its_bearer_sees_metrics_and_sees_the_business_too(
    house: House, processes: Processes
) -> None:
    relayed(house, processes, confidential=True)
    house.gateway.metrics_token = TOKEN
    for headers in ({}, {"Authorization": "Bearer something else"}, house.bearer()):
        refused = await house.http.get("/metrics", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "token_missing")
    found = await shown(house, Authorization=f"Bearer {TOKEN}")
    assert found["atrium_revenue_last_day_minor_units", (("currency", "EUR"),)] == 129_900
