"""What is needed several times is looked up once, side by side, and not more at a time than a limit says."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.errors import Failure, Unavailable
from domain.ids import new_id
from serve.limits import GatewayLimits
from serve.platform.edge import Verdict
from services.products import Product
from tests.serve.graphql.asking import data_of, post, refusals
from tests.serve.house import MERCHANT, PIZZA, House, open_house

ORDERS = """
{ orders(first: 50) { edges { node { merchant { name } order { merchant { name } lines { product { name } } } } } } }
"""


class CountingClient:
    """Entities that count who reads what, and how much at a time. `away`: ids that cannot be reached."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.reads: Counter[str] = Counter()
        self.at_once = self.most = 0
        self.away: set[str] = set()
        self.broken: set[str] = set()
        self.hanging: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read(self, kind: str, id: str, **more: Any) -> Any:
        self.reads[f"{kind}/{id}"] += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            if id in self.away:
                raise Unavailable("Its host is gone.", retry_after_ms=1_500)
            if id in self.broken:
                raise ZeroDivisionError("secret: 42")
            if id in self.hanging:
                await asyncio.Event().wait()
            return await self._inner.read(kind, id, **more)
        finally:
            self.at_once -= 1


class Counted:
    def __init__(self, house: House, client: CountingClient) -> None:
        self.house, self.client = house, client

    async def orders(self, count: int) -> list[str]:
        made = [(await self.house.new_order())["id"] for _ in range(count)]
        self.client.reads.clear()
        self.client.most = self.house.catalog.queries = 0
        return made


@pytest.fixture
async def counted() -> AsyncIterator[Counted]:
    clients: list[CountingClient] = []

    def wrap(client: Any) -> CountingClient:
        clients.append(CountingClient(client))
        return clients[0]

    limits = GatewayLimits(graphql_reads_at_once_max=8, graphql_seconds_max=0.5)
    async with open_house(limits, wrap=wrap) as house:
        yield Counted(house, clients[0])


async def test_fifty_orders_of_one_merchant_ask_for_the_merchant_and_for_their_products_once(counted: Counted) -> None:
    house = counted.house
    orders = await counted.orders(50)
    asked: Counter[str] = Counter()
    catalog = house.gateway.catalog
    once = catalog.merchant

    async def merchant(merchant_id: str) -> Any:
        asked[merchant_id] += 1
        return await once(merchant_id)

    catalog.merchant = merchant  # type: ignore[method-assign]
    edges = (await data_of(house, ORDERS))["orders"]["edges"]
    assert len(edges) == 50
    assert {edge["node"]["order"]["merchant"]["name"] for edge in edges} == {"Corner"}
    assert asked == {MERCHANT: 1}
    assert house.catalog.queries == 1
    assert counted.client.reads == {f"order/{each}": 1 for each in orders}


async def test_a_list_that_needs_no_whole_thing_reads_none(counted: Counted) -> None:
    await counted.orders(3)
    await data_of(counted.house, "{ orders { edges { node { id status total { amount } linesCount } } } }")
    assert counted.client.reads == {}


async def test_not_more_is_read_at_a_time_than_the_limit_says(counted: Counted) -> None:
    await counted.orders(30)
    await data_of(counted.house, ORDERS)
    assert counted.client.most == 8


async def test_the_same_thing_under_other_names_is_read_once(counted: Counted) -> None:
    (order_id,) = await counted.orders(1)
    aliases = " ".join(
        f'a{at}: order(id: "{order_id.upper() if at % 2 else order_id}") {{ status }}' for at in range(20)
    )
    await data_of(counted.house, f"{{ {aliases} }}")
    assert counted.client.reads == {f"order/{order_id}": 1}


async def test_products_of_several_lines_are_one_query(counted: Counted) -> None:
    house = counted.house
    cart = await house.new_cart()
    for at in range(4):
        product = Product(id=new_id(), merchant_id=MERCHANT, name=f"P{at}", price_minor=1, currency="EUR", sku=f"S{at}")
        house.catalog.products_by_id[product.id] = product
        await house.add(cart["id"], product.id)
    await house.add(cart["id"], PIZZA, options=["small"])
    house.catalog.queries = 0
    found = await data_of(house, f'{{ cart(id: "{cart["id"]}") {{ lines {{ product {{ name }} }} }} }}')
    assert len({each["product"]["name"] for each in found["cart"]["lines"]}) == 5
    assert house.catalog.queries == 1


async def test_one_thing_that_cannot_be_reached_leaves_the_others(counted: Counted) -> None:
    orders = await counted.orders(3)
    counted.client.away.add(orders[1])
    answer = (await post(counted.house, "{ orders { edges { node { id order { status } } } } }")).json()
    shown = {edge["node"]["id"]: edge["node"]["order"] for edge in answer["data"]["orders"]["edges"]}
    assert shown == {orders[0]: {"status": "placed"}, orders[1]: None, orders[2]: {"status": "placed"}}
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "unavailable", "status": 503, "retry_after_seconds": 2}


async def test_what_nobody_expected_is_told_with_the_correlation_id_alone(counted: Counted) -> None:
    (order_id,) = await counted.orders(1)
    counted.client.broken.add(order_id)
    headers = {**counted.house.bearer(), "X-Request-ID": "request-0001"}
    answer = await post(counted.house, f'{{ order(id: "{order_id}") {{ status }} }}', headers)
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "internal", "status": 500, "correlation_id": "request-0001"}
    assert "secret" not in answer.text
    assert "ZeroDivision" not in answer.text
    metrics = counted.house.gateway.metrics.exposition().decode()
    assert 'atrium_graphql_fields_total{code="internal",field="order",gateway="gateway-1"} 1.0' in metrics


async def test_a_query_that_takes_too_long_is_ended_with_all_that_it_looks_up(counted: Counted) -> None:
    orders = await counted.orders(20)
    counted.client.hanging |= set(orders)
    answer = await post(counted.house, ORDERS)
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")
    await asyncio.sleep(0)
    assert counted.client.at_once == 0
    assert len(counted.client.reads) == 8
    assert await refusals(counted.house, "{ me { subject } }") == {}


class CountingLimiter:
    """Lets `quota` requests through."""

    def __init__(self, quota: int) -> None:
        self.asked = 0
        self._quota = quota

    async def admit(self, _scope: Any) -> Verdict:
        self.asked += 1
        refusal = Failure("rate_limited", 429, "Too many.", retry_after_ms=2_000) if self.asked > self._quota else None
        return Verdict([], refusal)


async def test_a_query_that_looks_up_much_counts_as_several_requests(counted: Counted) -> None:
    """1 + 50 * (1 + 1 + 1 + 5) look-ups are sixteen requests more than the one that the edge has counted."""
    await counted.orders(1)
    limiter = counted.house.gateway.limiter = CountingLimiter(16)
    await data_of(counted.house, "{ me { subject } }")
    assert limiter.asked == 0
    await data_of(counted.house, ORDERS)
    assert limiter.asked == 16
    counted.client.reads.clear()
    answer = await post(counted.house, ORDERS)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "rate_limited", "2")
    assert counted.client.reads == {}
