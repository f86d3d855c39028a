"""What browsers are told: security headers, other origins, sockets from foreign pages; routes that end; 304."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve.platform.answers import versioned
from serve.platform.browsers import Browsers, origins_of
from serve.platform.call import Answer, Call, json_answer
from serve.platform.deprecation import deprecated
from serve.platform.edge import Edge
from serve.platform.routing import public_router
from storage.settings import Settings
from tests.serve.house import BREAD, House

SHOP, CLINIC_APP = "https://shop.example", "https://clinic.example:8443"
SAFE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def edge_of(house: House) -> Edge:
    stack: Any = house.app.middleware_stack or house.app.build_middleware_stack()
    house.app.middleware_stack = stack
    while not isinstance(stack, Edge):
        stack = stack.app
    return stack


@pytest.fixture
def open_to_shop(house: House) -> House:
    edge_of(house)._browsers = Browsers((SHOP, CLINIC_APP))
    return house


async def test_every_answer_has_the_security_headers_once(house: House) -> None:
    cart = await house.new_cart()
    for method, path, status in (
        ("GET", f"/api/v1/carts/{cart['id']}", 200),
        ("GET", "/api/v1/carts", 401),
        ("GET", "/nothing", 404),
        ("PATCH", "/livez", 405),
        ("GET", "/api/v1/openapi.json", 200),
        ("GET", "/metrics", 200),
    ):
        headers = {} if status == 401 else house.bearer()
        answer = await house.http.request(method, path, headers=headers)
        assert answer.status_code == status
        assert {name: answer.headers.get_list(name) for name in SAFE} == {name: [text] for name, text in SAFE.items()}


async def test_only_the_documentation_s_page_may_run_scripts(house: House) -> None:
    page = await house.http.get("/api/v1/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"


async def test_no_other_origin_may_use_the_api_unless_it_is_named(house: House, open_to_shop: House) -> None:
    asked = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    granted = await open_to_shop.http.options("/api/v1/carts/create", headers=asked)
    assert (granted.status_code, granted.headers["access-control-allow-origin"]) == (204, SHOP)
    assert "idempotency-key" in granted.headers["access-control-allow-headers"]
    assert granted.headers["access-control-allow-credentials"] == "true"
    assert "content-length" not in granted.headers
    refused = await open_to_shop.http.options(
        "/api/v1/carts/create", headers={**asked, "Origin": "https://evil.example"}
    )
    assert refused.status_code == 405
    assert "access-control-allow-origin" not in refused.headers
    answer = await open_to_shop.http.get("/api/v1/merchants", headers={"Origin": SHOP})
    assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == (SHOP, "origin")
    assert "etag" in answer.headers["access-control-expose-headers"]
    foreign = await open_to_shop.http.get("/api/v1/merchants", headers={"Origin": "null"})
    assert (foreign.headers["vary"], foreign.headers.get("access-control-allow-origin")) == ("origin", None)


async def test_a_closed_house_says_nothing_of_origins(house: House) -> None:
    answer = await house.http.get("/api/v1/merchants", headers={"Origin": SHOP})
    assert not [name for name in answer.headers if name.startswith("access-control") or name == "vary"]


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "api.example", True),
        ("https://api.example", "api.example", True),
        ("https://API.example", "api.EXAMPLE", True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        (SHOP, "api.example", True),
        (CLINIC_APP, "api.example", True),
        ("https://clinic.example", "api.example", False),
        ("https://evil.example", "api.example", False),
        ("https://shop.example.evil.example", "api.example", False),
        ("https://api.example:444", "api.example", False),
        ("null", "api.example", False),
        ("", "", False),
        ("api.example", "api.example", False),
    ],
)
async def test_a_socket_is_refused_to_foreign_pages(
    open_to_shop: House, origin: str | None, host: str, allowed: bool
) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", host.encode())] + ([] if origin is None else [(b"origin", origin.encode())])
    scope = {"type": "websocket", "path": "/api/v1/live", "headers": headers, "query_string": b"", "subprotocols": []}
    await open_to_shop.app(scope, receive, send)
    closed = [message["code"] for message in sent if message["type"] == "websocket.close"]
    assert closed == [1013 if allowed else 1008], "the house has no sockets: let in, it says to try again later"


@pytest.mark.parametrize("text", ["shop.example", "https://shop.example/", "ftp://shop.example", "https://"])
def test_what_is_no_origin_is_refused_when_the_settings_are_read(text: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        origins_of(text) if text == "https://" else Settings(cors_origins=text)


def test_any_origin_may_be_allowed() -> None:
    assert Settings(cors_origins="https://a.example, http://b.example:81").cors_origins
    open_to_all = Browsers(origins_of(Settings(cors_origins="*").cors_origins))
    assert (b"access-control-allow-origin", b"https://x.example") in open_to_all.headers(
        "/", {b"origin": b"https://x.example"}
    )


# -- routes that end --------------------------------------------------------------------------------


async def test_a_route_that_will_end_says_since_when_until_when_and_where_to_read_on(house: House) -> None:
    router = public_router("/old", "old")

    @router.get("/thing")
    @deprecated(
        since=datetime(2026, 11, 1, tzinfo=UTC),
        sunset=datetime(2027, 5, 1, tzinfo=UTC),
        link="https://docs.example/moving",
    )
    async def old_thing(call: Call) -> Answer:
        return versioned(call, 3, b'{"old":true}')

    app = FastAPI()
    app.state.runtime = house.gateway
    app.include_router(router)
    app.router.routes.extend(router.routes)
    app.add_middleware(Edge, metrics=house.gateway.metrics, requests_max=10)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        answer = await http.get("/api/v1/old/thing")
        assert answer.headers["deprecation"] == "@1793491200"
        assert answer.headers["sunset"] == "Sat, 01 May 2027 00:00:00 GMT"
        assert answer.headers["link"] == '<https://docs.example/moving>; rel="deprecation"; type="text/html"'
        same = await http.get("/api/v1/old/thing", headers={"If-None-Match": answer.headers["etag"]})
        assert (same.status_code, same.headers["deprecation"]) == (304, "@1793491200")
    assert [route.deprecated for route in router.routes if hasattr(route, "deprecated")] == [True]


def test_a_route_cannot_end_before_it_is_deprecated() -> None:
    with pytest.raises(ValueError, match="before"):
        deprecated(since=datetime(2026, 11, 1, tzinfo=UTC), sunset=datetime(2026, 1, 1, tzinfo=UTC))


async def test_routes_without_a_notice_say_nothing(house: House) -> None:
    answer = await house.http.get("/api/v1/merchants")
    assert not {"deprecation", "sunset", "link"} & set(answer.headers)
    assert json_answer({}).headers == []


# -- conditional reads ------------------------------------------------------------------------------


async def test_whoever_has_the_version_gets_304_without_a_body_or_a_length(house: House) -> None:
    cart = await house.new_cart()
    line = next(iter((await house.add(cart["id"], BREAD)).json()["lines"]))
    order = await house.new_order()
    for path in (f"/carts/{cart['id']}", f"/carts/{cart['id']}/items/{line}", f"/orders/{order['id']}"):
        first = await house.http.get(f"/api/v1{path}", headers=house.bearer())
        etag = first.headers["etag"]
        for known in (etag, f"W/{etag}", f'"0", {etag}', "*"):
            again = await house.http.get(f"/api/v1{path}", headers={**house.bearer(), "If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag), (path, known)
            assert "content-length" not in again.headers
        other = await house.http.get(f"/api/v1{path}", headers={**house.bearer(), "If-None-Match": '"0"'})
        assert other.status_code == 200


async def test_what_has_no_content_says_no_length(house: House) -> None:
    cart = await house.new_cart()
    gone = await house.http.delete(f"/api/v1/carts/{cart['id']}", headers=house.bearer())
    assert (gone.status_code, gone.content, gone.headers.get("content-length")) == (204, b"", None)
