"""What bad input gets, whatever the route."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.cart import CartKind
from actors.cart_commands import AddLine
from actors.kinds import KINDS
from actors.runtime.entity import Context, Decision
from domain.errors import TooMany, Unavailable
from serve.limits import GatewayLimits
from tests.serve.house import BREAD, House, open_house

JSON = {"Content-Type": "application/json"}


async def post_raw(house: House, path: str, content: Any, **headers: str) -> Any:
    return await house.http.post(path, content=content, headers={**house.bearer(), **JSON, **headers})


async def test_every_error_is_a_problem_with_code_instance_and_correlation(house: House) -> None:
    answer = await house.http.get("/api/carts/nonsense", headers=house.bearer() | {"X-Request-ID": "trace-123"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "trace-123"
    assert answer.json() == {
        "type": "urn:atrium:problem:not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "No such resource.",
        "code": "not_found",
        "instance": "/api/carts/nonsense",
        "correlation_id": "trace-123",
    }


async def test_unknown_paths_and_methods_are_problems_too(house: House) -> None:
    missing = await house.http.get("/api/v1/nothing/here")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    wrong = await house.http.patch("/api/v1/orders/create")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (405, "method_not_allowed", "GET, POST")
    for answer in (missing, wrong):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"] == answer.json()["correlation_id"]


async def test_a_request_id_that_is_not_well_formed_is_replaced(house: House) -> None:
    for offered in ("short", "x" * 129, "with space 123", "semi;colon;123"):
        answer = await house.http.get("/livez", headers={"X-Request-ID": offered})
        assert answer.headers["x-request-id"] != offered
    assert (await house.http.get("/livez")).headers["x-request-id"]


async def test_a_request_without_a_token_is_told_how_to_bring_one(house: House) -> None:
    for headers in ({}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer"}, {"Authorization": "Bearer x.y.z"}):
        answer = await house.http.get("/api/v1/carts", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("content", "path", "code"),
    [
        (b"", "", "model_type"),
        (b"{", "", "json_invalid"),
        (b"null", "", "model_type"),
        (b"[]", "", "model_type"),
        (b'"text"', "", "model_type"),
        (b"\xff\xfe", "", "json_invalid"),
        (b"{}", "product_id", "missing"),
        (b'{"product_id": 7}', "product_id", "string_type"),
        (b'{"product_id": "7"}', "product_id", "value_error"),
        (b'{"product_id": "%s", "options": "large"}', "options", "list_type"),
        (b'{"product_id": "%s", "options": [1]}', "options.0", "string_type"),
        (b'{"product_id": "%s", "extra": {"a": 1}}', "extra", "unknown_field"),
        (b'{"product_id": "%s", "quantity": 1.0}', "quantity", "int_type"),
        (b'{"product_id": "%s", "instructions": "a\\u0000b"}', "instructions", "nul_character"),
        (b'{"product_id": "%s", "options": ["x", "\\u0000"]}', "options.1", "nul_character"),
        (b'{"product_id": "%s", "instructions": "\\u0007"}', "instructions", "control_character"),
        (b'{"product_id": "%s", "instructions": "' + b"x" * 501 + b'"}', "instructions", "string_too_long"),
    ],
)
async def test_a_bad_body_names_the_field_and_a_code(house: House, content: bytes, path: str, code: str) -> None:
    cart = await house.new_cart()
    answer = await post_raw(house, f"/api/v1/carts/{cart['id']}/items", content.replace(b"%s", BREAD.encode()))
    assert answer.status_code == 422, answer.text
    assert {"path": path, "code": code}.items() <= answer.json()["errors"][0].items()


async def test_a_nul_after_an_escaped_backslash_is_plain_text(house: House) -> None:
    cart = await house.new_cart()
    body = json.dumps({"product_id": BREAD, "instructions": "C:\\u0000"}).encode()
    assert b"\\\\u0000" in body
    assert (await post_raw(house, f"/api/v1/carts/{cart['id']}/items", body)).status_code == 201


async def test_deep_nesting_is_refused_not_followed(house: House) -> None:
    cart = await house.new_cart()
    path = f"/api/v1/carts/{cart['id']}/items"
    for content in (b"[" * 50_000, b'{"a":' * 50_000, b'{"\\u0000":' + b"[" * 50_000):
        assert (await post_raw(house, path, content)).status_code == 422


async def test_values_are_not_echoed(house: House) -> None:
    cart = await house.new_cart()
    secret = "4111111111111111"
    answer = await post_raw(house, f"/api/v1/carts/{cart['id']}/items", json.dumps({"product_id": secret}).encode())
    assert secret not in answer.text


async def test_a_body_over_the_limit_is_413_announced_or_not(house: House) -> None:
    cart = await house.new_cart()
    path = f"/api/v1/carts/{cart['id']}/items"
    announced = await post_raw(house, path, b" " * (1_048_576 + 1))
    assert (announced.status_code, announced.json()["code"]) == (413, "payload_too_large")
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(200):
            read += 1
            yield b" " * 65_536

    chunked = await post_raw(house, path, endless())
    assert chunked.status_code == 413
    padded = json.dumps({"product_id": BREAD}).encode() + b" " * 1_000_000
    assert (await post_raw(house, path, padded)).status_code == 201


async def test_only_json_is_taken(house: House) -> None:
    cart = await house.new_cart()
    path, body = f"/api/v1/carts/{cart['id']}/items", json.dumps({"product_id": BREAD}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = await post_raw(house, path, body, **{"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    for kind in ("application/json; charset=utf-8", "application/merge-patch+json"):
        assert (await post_raw(house, path, body, **{"Content-Type": kind})).status_code == 201


async def test_an_idempotency_key_that_is_no_key_is_refused(house: House) -> None:
    cart = await house.new_cart()
    for key in ("", "x" * 256):
        answer = await house.add(cart["id"], headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "Idempotency-Key")
    assert (await house.add(cart["id"], headers={"Idempotency-Key": "x" * 255})).status_code == 201


async def test_too_much_comes_with_a_time_to_come_back() -> None:
    class Full:
        def __init__(self, client: Any) -> None:
            self.read = client.read
            self.error: Exception = TooMany("the cart has too many commands waiting", retry_after_ms=1_200)

        async def ask(self, *_: Any, **__: Any) -> Any:
            raise self.error

    async with open_house(wrap=Full) as house:
        body = {"currency": "EUR"}
        full = await house.http.post("/api/v1/carts/create", json=body, headers=house.bearer())
        assert (full.status_code, full.json()["code"], full.headers["retry-after"]) == (429, "too_many", "2")
        house.gateway.client.error = Unavailable("no host")  # type: ignore[attr-defined]
        away = await house.http.post("/api/v1/carts/create", json=body, headers=house.bearer())
        assert (away.status_code, away.headers["retry-after"]) == (503, "1")


async def test_a_gateway_that_is_full_refuses_before_any_work() -> None:
    async with open_house(GatewayLimits(requests_in_flight_max=0)) as house:
        answer = await house.http.get("/livez")
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "overloaded", "1")


class PoisonableCart(CartKind):
    def decide(self, state: Any, command: Any, ctx: Context) -> Decision:
        if isinstance(command, AddLine) and command.instructions == "poison":
            raise ZeroDivisionError
        return super().decide(state, command, ctx)


async def test_a_poisoned_command_is_500_changes_nothing_and_the_cart_goes_on() -> None:
    async with open_house(kinds={**KINDS, "cart": PoisonableCart()}) as house:
        cart = await house.new_cart()
        bad = await house.add(cart["id"], instructions="poison", headers={"X-Request-ID": "trace-poison"})
        assert (bad.status_code, bad.json()["correlation_id"]) == (500, "trace-poison")
        good = await house.add(cart["id"])
        assert (good.status_code, good.json()["version"]) == (201, 2)


async def test_a_handler_that_raises_answers_500_and_says_nothing_of_why() -> None:
    class Broken:
        async def ask(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("postgresql://user:password@host")

        read = ask

    async with open_house(wrap=lambda _: Broken()) as house:
        answer = await house.http.get(f"/api/v1/carts/{BREAD}", headers=house.bearer())
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert "password" not in answer.text


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["product_id", "quantity", "options", "instructions"]) | st.text(), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
async def test_no_body_whatever_makes_an_internal_error(house: House, body: Any) -> None:
    cart_id = "0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3e"
    answer = await post_raw(house, f"/api/v1/carts/{cart_id}/items", json.dumps(body).encode())
    assert answer.status_code in {404, 422}
    assert answer.json()["status"] == answer.status_code
