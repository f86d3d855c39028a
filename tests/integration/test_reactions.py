"""What follows from the journal without anybody asking: topics, and checkouts whose edge has died."""

import os
import signal

import msgspec
import pytest_asyncio
from redis.asyncio import Redis

from actors.cart_commands import BeginCheckout, Terms
from actors.order_commands import Address
from actors.runtime.entity import Actor
from actors.runtime.ray_cluster import STEWARD, add_host, connect_client, service_pid
from domain.ids import new_id
from jobs.reactor import REACTOR
from storage.journal.postgres import PostgresJournal
from tests.conditions import until
from tests.integration.town import ADDRESS, ON_THE_STACK, Town

pytestmark = ON_THE_STACK


async def _events(town: Town, topic: str, entity_id: str) -> list[str]:
    """Types of what the topic says of one entity, in order."""
    async with Redis.from_url(town.stack.run.redis_url) as redis:
        entries = await redis.xrange(topic)
    documents = [msgspec.json.decode(fields[b"data"]) for _, fields in entries]
    return [document["type"] for document in documents if document["id"] == entity_id]


async def test_what_happens_to_orders_and_carts_is_published(town: Town):
    order = await town.order(town.bearer(new_id()), "accepted")

    async def told() -> bool:
        return await _events(town, "order.events", order["id"]) == ["placed", "status_changed"]

    await until(told, "order.events has the placement and the acceptance, once each")

    async def cart_told() -> bool:
        return (await _events(town, "cart.events", order["cart_id"]))[-1:] == ["checkout_completed"]

    await until(cart_told, "cart.events has the whole way of the cart")


@pytest_asyncio.fixture(loop_scope="package")
async def joined(town: Town):
    """This process as a member of the stack's Ray."""
    await town.stack.join_ray()
    yield town.stack
    await town.stack.leave_ray()


async def test_a_checkout_whose_edge_has_died_is_carried_to_its_end(town: Town, joined):
    subject = new_id()
    user = town.bearer(subject)
    cart = await town.cart(user, 2)
    client = await connect_client(joined.config, f"dying-edge-{new_id()}")
    try:
        terms = Terms(address=Address(**ADDRESS), delivery_fee_minor=290)
        command = BeginCheckout(new_id(), -1, terms)
        await client.ask("cart", cart["id"], command, actor=Actor(subject, ("customer",)))
    finally:
        await client.close()

    async def placed() -> bool:
        return (await town.http.get(f"/orders/{command.order_id}", headers=user)).status_code == 200

    await until(placed, "the reactor has placed the order")

    async def converted() -> bool:
        return (await town.http.get(f"/carts/{cart['id']}", headers=user)).json()["status"] == "converted"

    await until(converted, "and closed the cart")
    order = (await town.http.get(f"/orders/{command.order_id}", headers=user)).json()
    assert order["total"] == {"amount": 2 * 150 + 290, "currency": "EUR"}
    again = await town.post(
        "/orders/create", user, {"cart_id": cart["id"], "fulfilment": "delivery", "address": ADDRESS}
    )
    assert again["id"] == command.order_id


async def test_a_killed_reactor_comes_back_and_goes_on_where_it_was(town: Town, joined):
    killed = await service_pid(REACTOR)
    os.kill(killed, signal.SIGKILL)
    order = await town.order(town.bearer(new_id()), "accepted")

    async def told() -> bool:
        return await _events(town, "order.events", order["id"]) == ["placed", "status_changed"]

    await until(told, "another reactor has published the order", within_s=30)
    assert await service_pid(REACTOR) != killed


async def test_a_killed_steward_comes_back_and_moves_shards_again(town: Town, joined):
    killed = await service_pid(STEWARD)
    os.kill(killed, signal.SIGKILL)
    added = await add_host(joined.config)

    async def serves() -> bool:
        async with PostgresJournal(joined.run.database_url) as journal:
            return added in (await journal.shard_map()).owners

    await until(serves, f"another steward gives {added} its share", within_s=40)
    assert await service_pid(STEWARD) != killed
    await joined.remove_host(added)
