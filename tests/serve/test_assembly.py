"""A gateway on the real Postgres and Redis, with the entities' hosts in this process."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from actors.kinds import KINDS
from actors.runtime.host_actor import RuntimeConfig
from actors.runtime.local import LocalRuntime
from actors.runtime.publishing import gateway_channel
from actors.runtime.wire import Change
from domain.errors import Conflict, NotFound, Unavailable
from domain.ids import new_id
from realtime.frames import Present
from realtime.presence_table import Told
from serve.app import NOUNS, create_app
from serve.assembly import GatewayConfig, open_gateway
from serve.gateway import GatewayRuntime
from services.accounts.revocations import CHANNEL
from services.merchants import Merchant
from services.outgoing.limits import DEFAULTS as OUTGOING
from services.products import Product
from services.stores import CatalogStore
from storage.accounts.revocations import Ending, up_to
from storage.db import Database
from storage.journal.postgres import PostgresJournal
from storage.message_seal import is_sealed
from storage.settings import Settings
from tests.conditions import until
from tests.realtime.presences import ROOM, Tablet

pytestmark = pytest.mark.stack

ADMIN, ALICE = new_id(), new_id()
FORGED = Change("cart", new_id(), 1, b"\x80", (), "", b"", 0)


@pytest.fixture
async def gateway(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[GatewayRuntime]:
    runtime = RuntimeConfig(database_url, redis_url, keys_dir=str(tmp_path / "keys"))
    config = GatewayConfig(runtime=runtime, settings=Settings(data_dir=tmp_path))
    journal = await PostgresJournal(database_url).open()
    try:
        async with (
            LocalRuntime(journal, journal, KINDS, keys=await runtime.open_keys()) as local,
            open_gateway(config, "gateway-1", local.client) as gateway,
        ):
            yield gateway
    finally:
        await journal.close()


@pytest.fixture
async def http(gateway: GatewayRuntime) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(NOUNS, gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_everything_is_there_and_a_cart_becomes_an_order(
    gateway: GatewayRuntime, http: httpx.AsyncClient
) -> None:
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["degraded"]) == (200, [])
    admin = {"Authorization": f"Bearer {gateway.tokens.issue(ADMIN, ('admin',))}"}
    alice = {"Authorization": f"Bearer {gateway.tokens.issue(ALICE, ('customer',))}"}

    async def post(path: str, headers: dict[str, str], **body: Any) -> dict[str, Any]:
        answer = await http.post(f"/api/v1{path}", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    merchant = (await post("/merchants", admin, name="Corner", currency="EUR", city="Berlin"))["id"]
    size = {"id": "large", "name": "Large", "price": {"amount": 50, "currency": "EUR"}}
    bread = await post(
        "/products",
        admin,
        merchant_id=merchant,
        name="Bread",
        sku="B",
        price={"amount": 350, "currency": "EUR"},
        options=[{"id": "size", "name": "Size", "options": [size]}],
    )
    menu = await http.get(f"/api/v1/merchants/{merchant}/menu")
    assert menu.json()["items"] == [bread]
    cart = (await post("/carts/create", alice, merchant_id=merchant))["id"]
    await post(f"/carts/{cart}/items", alice, product_id=bread["id"], quantity=2, options=["large"])
    order = await post("/orders/create", alice, cart_id=cart, fulfilment="collection")
    assert order["total"]["amount"] == 800
    listed = (await http.get("/api/v1/orders", params={"status": "placed"}, headers=alice)).json()["items"]
    assert [(item["id"], item["total"]) for item in listed] == [(order["id"], order["total"])]
    carts = await http.get("/api/v1/carts", params={"status": "converted"}, headers=alice)
    assert [item["id"] for item in carts.json()["items"]] == [cart]
    stats = await http.get("/api/v1/orders/stats", params={"merchant_id": merchant}, headers=admin)
    assert stats.json()["sales"] == [{"amount": 800, "currency": "EUR"}]
    history = await http.get(f"/api/v1/orders/{order['id']}/history", headers=alice)
    assert [entry["type"] for entry in history.json()["items"]] == ["placed"]
    letters = await http.get("/api/v1/admin/dead-letters", headers=admin)
    assert letters.json()["items"] == []


async def test_the_catalog_keeps_skus_apart_and_knows_its_merchants(gateway: GatewayRuntime) -> None:
    store, ghost = gateway.catalog_store, new_id()
    soup = Product(id=new_id(), merchant_id=ghost, name="Soup", price_minor=1, currency="EUR", sku="S")
    with pytest.raises(NotFound):
        await store.add_product(soup)
    merchant, _ = await gateway.catalog.add_merchant(
        gateway.tokens.verify(gateway.tokens.issue(ADMIN, ("admin",))).actor, _merchant()
    )
    one, two = (
        Product(id=new_id(), merchant_id=merchant.id, name="Soup", price_minor=1, currency="EUR", sku="S")
        for _ in range(2)
    )
    assert await store.add_product(one)
    assert not await store.add_product(one)
    with pytest.raises(Conflict):
        await store.add_product(two)


async def test_a_database_that_is_away_is_unavailable(tmp_path: Path) -> None:
    database = Database("postgresql://nobody@127.0.0.1:9/none", Settings(data_dir=tmp_path))
    try:
        with pytest.raises(Unavailable):
            await CatalogStore(database).merchant(new_id())
    finally:
        await database.close()


def _merchant() -> Merchant:
    return Merchant(id=new_id(), name="Corner", currency="EUR")


async def test_readiness_tells_when_nobody_runs_the_reactions_and_what_that_means(
    gateway: GatewayRuntime, http: httpx.AsyncClient, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "INSERT INTO reaction_cursors (name, holder, held_until) VALUES ('topics', 'x', now() - interval '1 hour')"
        )
    finally:
        await connection.close()
    ready = (await http.get("/readyz")).json()
    assert (ready["ready"], ready["degraded"]) == (True, ["reactions"])
    (part,) = [part for part in ready["parts"] if not part["ok"]]
    assert part["problem"] == "ReactionsNotRunningError"
    assert "topics" in part["affects"]


async def test_a_host_that_is_not_asked_any_more_is_seen(gateway: GatewayRuntime, http: httpx.AsyncClient) -> None:
    assert gateway.outgoing is not None
    breaker = gateway.outgoing.breakers.of("mail.test:587")
    for _ in range(OUTGOING.failures_to_open):
        breaker.failed(breaker.admit())
    ready = await http.get("/readyz")
    assert (ready.status_code, ready.json()["degraded"]) == (200, ["outgoing"])
    metrics = await http.get("/metrics")
    assert 'atrium_outgoing_circuit{gateway="gateway-1",host="mail.test:587"} 2.0' in metrics.text


async def test_without_providers_in_the_settings_there_are_none(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/v1/auth/oidc")).json() == {"items": []}
    assert (await http.get(f"/api/v1/auth/oidc/any/start?challenge={'x' * 43}")).status_code == 404


async def test_what_a_gateway_says_on_redis_is_sealed(
    gateway: GatewayRuntime, http: httpx.AsyncClient, redis_url: str
) -> None:
    assert gateway.accounts is not None
    assert gateway.live is not None
    person = new_id()
    async with Redis.from_url(redis_url) as redis, redis.pubsub() as spy:
        await spy.psubscribe("*")
        assert (await spy.get_message(timeout=5.0))["type"] == "psubscribe"
        await gateway.accounts.revocations.outdate(person)
        message = await spy.get_message(timeout=5.0)
        assert message["channel"] == CHANNEL.encode()
        assert is_sealed(message["data"])
        await redis.publish(gateway_channel(gateway.gateway_id), msgspec.msgpack.encode([FORGED]))
        await until(lambda: gateway.live.services.hub._bus.refused == 1, "changes in clear are not taken")
        keys = [key async for key in redis.scan_iter("*")]
    assert not [key for key in keys if b"127.0.0.1" in key]


async def test_of_presence_and_revocations_a_gateway_says_and_takes_nothing_in_clear(
    gateway: GatewayRuntime, http: httpx.AsyncClient, redis_url: str
) -> None:
    assert gateway.live is not None
    presence, ann = gateway.live.services.presence, Tablet("ann")
    async with Redis.from_url(redis_url) as redis, redis.pubsub() as spy:
        await spy.psubscribe("atrium:presence:*")
        assert (await spy.get_message(timeout=5.0))["type"] == "psubscribe"
        presence.enter(ann, ROOM)
        assert presence.show(ann, ROOM, {"typing": "lidocaine"}, conn_id="ann", device_id="d") is None
        message = await spy.get_message(timeout=5.0)
        assert is_sealed(message["data"])
        ghost = Told("gateway-2", ROOM, [Present("ben", "user-ben", "d", "2026-01-01T00:00:00.000Z", {})], whole=True)
        await redis.publish(message["channel"], msgspec.msgpack.encode(ghost))
        await until(lambda: presence._bus.refused == 1, "nobody is there because somebody says so")
        token = gateway.tokens.issue(ALICE, ("customer",))
        forged = up_to(ALICE, Ending.ENDED, gateway.clock.now_ms() + 60_000)
        await redis.publish(CHANNEL, msgspec.msgpack.encode([forged]))
        await until(lambda: presence._bus.refused == 2, "nobody is shut out because somebody says so")
    assert set(ann.people) <= {"ann"}
    assert gateway.tokens.verify(token).subject == ALICE
