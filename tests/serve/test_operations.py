import asyncio
import json
from typing import Any

import httpx
import pytest

from domain.errors import NotFound, Unauthenticated
from domain.ids import new_id
from realtime.ports import Credentials
from serve.app import NOUNS, create_app, openapi_document
from serve.carts import schemas as cart_schemas
from serve.drain import DrainWatcher
from serve.ingress_middlewares import middlewares
from serve.live.adapters import TokenAuthenticator
from serve.orders import schemas as order_schemas
from services.health import Health
from storage.reactions import DeadLetterRecord
from tests.hearing import heard
from tests.serve.house import ADMIN, ALICE, MERCHANT, House


async def test_readiness_says_what_is_degraded(house: House) -> None:
    async def fine() -> None: ...

    async def away() -> None:
        raise ConnectionError("redis://user:secret@host")

    house.gateway.health = Health({"database": fine}, {"redis": away}, {"redis": ("presence",), "database": ("all",)})
    degraded = await house.http.get("/readyz")
    assert (degraded.status_code, degraded.json()["degraded"]) == (200, ["redis"])
    affected = {part["name"]: part.get("affects") for part in degraded.json()["parts"]}
    assert affected == {"database": None, "redis": ["presence"]}
    assert "secret" not in degraded.text
    house.gateway.health = Health({"database": away}, {"redis": fine})
    assert (await house.http.get("/readyz")).status_code == 503
    house.gateway.health = Health({}, {})
    house.gateway.health.draining = True
    assert (await house.http.get("/readyz")).json()["degraded"] == ["serving"]
    assert (await house.http.get("/livez")).json() == {"alive": True}


async def test_metrics_count_by_route_template_not_by_path(house: House) -> None:
    cart = await house.new_cart()
    await house.http.get(f"/api/v1/carts/{cart['id']}", headers=house.bearer())
    await house.http.get("/wp-admin.php")
    text = (await house.http.get("/metrics")).text
    assert 'route="/api/v1/carts/{cart_id}",status="200"} 1.0' in text
    assert 'route="unmatched",status="404"} 1.0' in text
    assert cart["id"] not in text
    assert 'gateway="gateway-1"' in text


async def test_the_access_log_has_no_personal_data(house: House) -> None:
    cart = await house.new_cart()
    with heard() as lines:
        await house.http.get(
            f"/api/v1/carts/{cart['id']}?name=Alice", headers=house.bearer() | {"User-Agent": "Alice's phone"}
        )
    (line,) = [entry for entry in lines if entry["event"] == "http_request"]
    assert set(line) == {"event", "log_level", "method", "route", "status", "ms", "correlation", "subject"}
    assert (line["route"], line["subject"]) == ("/api/v1/carts/{cart_id}", ALICE)


async def test_dead_letters_are_for_admins(house: House) -> None:
    letter = DeadLetterRecord(
        id=new_id(),
        reaction="topics",
        kind="cart",
        entity_id=new_id(),
        version=3,
        attempts=8,
        error="boom",
        failed_at_ms=house.clock.ms,
    )
    house.dead_letters.letters[letter.id] = letter
    admin, path = house.bearer(ADMIN, "admin"), "/api/v1/admin/dead-letters"
    assert (await house.http.get(path, headers=house.bearer())).status_code == 404
    assert (await house.http.post(f"{path}/{letter.id}/retry", headers=house.bearer())).status_code == 404
    shown = (await house.http.get(path, headers=admin)).json()["items"]
    assert (shown[0]["id"], shown[0]["entity"]) == (letter.id, f"cart/{letter.entity_id}")
    assert (await house.http.post(f"{path}/{letter.id}/retry", headers=admin)).status_code == 202
    assert house.dead_letters.retried == [letter.id]
    assert (await house.http.post(f"{path}/{letter.id}/retry", headers=admin)).status_code == 404


async def test_the_public_keys_are_published(house: House) -> None:
    keys = (await house.http.get("/api/v1/auth/jwks.json")).json()["keys"]
    assert [set(key) for key in keys] == [{"kty", "use", "alg", "kid", "n", "e"}]


def test_the_document_is_whole_and_needs_nothing_started() -> None:
    document = openapi_document()
    assert document["openapi"].startswith("3.1")
    refs = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                refs.add(node["$ref"].removeprefix("#/components/schemas/"))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    assert refs <= set(document["components"]["schemas"])
    assert all(path.startswith("/api/v1/") for path in set(document["paths"]) - {"/livez", "/readyz", "/metrics"})
    add = document["paths"]["/api/v1/carts/{cart_id}/items"]["post"]
    assert add["security"] == [{"bearer": []}, {"api_key": []}, {"cookie": []}]
    assert {"201", "401", "404", "409", "412", "422", "429", "503"} <= set(add["responses"])
    schemas = document["components"]["schemas"]
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]
        for path in document["paths"].values()
        for operation in path.values()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]
    shown = {one["$ref"].rpartition("/")[2] if "$ref" in one else one["title"]: one for one in bodies}
    assert all(schemas.get(name, one).get("examples") for name, one in shown.items() if name != "SetStatus")


async def test_the_document_and_its_page_are_served(house: House) -> None:
    served = await house.http.get("/api/v1/openapi.json")
    assert served.json() == json.loads(json.dumps(openapi_document()))
    assert (await house.http.get("/api/docs")).status_code == 200


async def test_the_documented_cart_and_order_are_the_real_ones(house: House) -> None:
    order = await house.new_order()
    cart = (await house.http.get(f"/api/v1/carts/{order['cart_id']}", headers=house.bearer())).json()
    tracking = await house.http.get(f"/api/v1/orders/{order['id']}/tracking", headers=house.bearer())
    history = await house.http.get(f"/api/v1/orders/{order['id']}/history", headers=house.bearer())
    stats = await house.http.get("/api/v1/orders/stats", params={"merchant_id": MERCHANT}, headers=house.staff())
    orders = await house.http.get("/api/v1/orders", headers=house.bearer())
    for model, document in (
        (cart_schemas.Cart, cart),
        (order_schemas.Order, order),
        (order_schemas.Tracking, tracking.json()),
        (order_schemas.History, history.json()),
        (order_schemas.Stats, stats.json()),
        (order_schemas.OrderPage, orders.json()),
    ):
        shown = model.model_validate_json(json.dumps(document))
        assert json.loads(shown.model_dump_json(exclude_none=True, exclude_unset=True)) == document


def test_an_unknown_noun_is_refused(house: House) -> None:
    with pytest.raises(KeyError, match="teapots"):
        create_app(["carts", "teapots"], house.gateway)


async def test_a_small_installation_mounts_only_what_it_needs(house: House) -> None:
    paths = openapi_document(["orders"])["paths"]
    assert "/api/v1/orders" in paths
    assert not any(path.startswith("/api/v1/carts") for path in paths)


async def test_without_sockets_the_endpoints_say_try_again_later(house: House) -> None:
    for path in ("/api/v1/live", "/api/live", f"/api/v1/orders/{new_id()}/track"):
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "subprotocols": []}
        await house.app(scope, receive, send)
        assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", 1013)]


async def test_sockets_are_known_by_token_or_by_a_share_link_of_that_order(house: House) -> None:
    who, order_id = TokenAuthenticator(house.tokens), new_id()
    token = house.tokens.issue(ALICE, ("customer",))
    share, _ = house.tokens.issue_share(order_id)
    assert (await who.authenticate(Credentials(token=token))).actor.subject == ALICE
    assert (await who.authenticate(Credentials(bearer=token))).actor.subject == ALICE
    shared = await who.authenticate(Credentials(share=share, order_id=order_id))
    assert shared.actor.subject == f"share:{order_id}"
    with pytest.raises(NotFound):
        await who.authenticate(Credentials(share=share, order_id=new_id()))
    for credentials in (Credentials(), Credentials(share=share), Credentials(token=share), Credentials(token="x")):
        with pytest.raises(Unauthenticated):
            await who.authenticate(credentials)


async def test_strangers_cannot_tell_serve_when_to_give_up() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["headers"]))

    (layer,) = middlewares()
    wrapped = layer.cls(app, *layer.args, **layer.kwargs)
    headers = [
        (b"x-request-timeout-seconds", b"0.1"),
        (b"x-request-disconnect-disabled", b"?0"),
        (b"x-request-id", b"no good;"),
        (b"accept", b"*/*"),
    ]
    for kind in ("http", "websocket"):
        await wrapped({"type": kind, "headers": list(headers)}, None, None)  # type: ignore[arg-type]
    assert seen == [{b"accept": b"*/*", b"x-request-disconnect-disabled": b"?1"}] * 2
    await wrapped({"type": "http", "headers": [(b"x-request-id", b"trace-123")]}, None, None)  # type: ignore[arg-type]
    assert seen[2][b"x-request-id"] == b"trace-123"


async def test_a_drain_is_noticed_once_by_asking_the_replica_itself() -> None:
    answers = [False, OSError("not yet"), False, True]
    asked: list[int] = []
    drained = asyncio.Event()

    async def probe(port: int) -> bool:
        asked.append(port)
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return bool(answer)

    async def on_drain() -> None:
        drained.set()

    async def no_wait(_: float) -> None: ...

    watcher = DrainWatcher(on_drain, poll_seconds=1, probe=probe, sleep=no_wait)
    watching = asyncio.ensure_future(watcher.watch())
    watcher.port_seen(30_001)
    watcher.port_seen(30_002)
    await asyncio.wait_for(watching, 5)
    assert drained.is_set()
    assert asked == [30_001] * 4


async def test_the_port_of_the_first_request_is_told_once(house: House) -> None:
    ports: list[int] = []
    app = create_app(NOUNS, house.gateway, port_seen=ports.append)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test:30001") as client:
        await client.get("/livez")
        await client.get("/livez")
    assert ports == [30_001]


async def test_behind_serve_the_request_id_is_sent_back_once_by_serve(house: House) -> None:
    (layer,) = middlewares()
    behind_serve = layer.cls(house.app, *layer.args, **layer.kwargs)
    transport = httpx.ASGITransport(behind_serve)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/api/v1/carts", headers={"X-Request-ID": "trace-123"})
    assert "x-request-id" not in answer.headers
    assert answer.json()["correlation_id"] == "trace-123"


async def test_head_tells_what_get_would_without_the_body(house: House) -> None:
    cart = await house.new_cart()
    for path, headers in (("/livez", {}), ("/readyz", {}), (f"/api/v1/carts/{cart['id']}", house.bearer())):
        told = await house.http.get(path, headers=headers)
        head = await house.http.head(path, headers=headers)
        assert (head.status_code, head.content) == (told.status_code, b"")
        assert head.headers.get("etag") == told.headers.get("etag")
        assert head.headers["content-length"] == told.headers["content-length"]
    assert (await house.http.head("/api/v1/carts/create", headers=house.bearer())).status_code in {404, 405}
