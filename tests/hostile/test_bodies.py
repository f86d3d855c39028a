"""Bodies made to hurt, for every operation of the document that takes one."""

import json
from typing import Any, Final

import pytest

from domain.money import AMOUNT_MINOR_MAX
from tests.hostile.operations import (
    Operation,
    document,
    leaves,
    person,
    ready,
    right_body,
    schema_of,
    spoiled,
    with_body,
)
from tests.serve.access.world import World
from tests.serve.house import BREAD, House

PRIVILEGED: Final = (
    *("id", "user_id", "owner", "owner_id", "subject", "actor", "role", "roles", "is_admin", "admin", "permissions"),
    *("organization_id", "organizations", "orgs", "scopes", "status", "version", "state", "verified_at", "created_at"),
    *("email_verified", "password_hash", "unit_price", "total", "amount", "price_minor", "tax", "discount", "currency"),
    *("__proto__", "constructor", "_method", "$where", "model_config"),
)
TEXTS: Final = (
    "'; DROP TABLE users; --",
    '" OR ""="',
    "1) UNION SELECT password_hash FROM users --",
    "a\r\nSet-Cookie: session=evil\r\n\r\n<script>",
    "{{65536*65537}}${65536*65537}<%= 65536*65537 %>",
    "%s%n%x\u202e\ufeff\ud7ff\uffff",
    "../../../../etc/passwd\\..\\..",
    "x" * 100_000,
)
NUMBERS: Final = ("NaN", "Infinity", "-Infinity", "1e400", "-0.0", "-1", str(10**30), str(2**63), "0.1", "true", '"7"')
BODIES: Final = with_body()
JSON: Final = {"Content-Type": "application/json"}


def names(operation: Operation) -> str:
    return operation.name


async def send(house: House, operation: Operation, body: Any, url: str = "", **headers: str) -> Any:
    """`body`: text as it is, or a document."""
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    bearer = person("platform", "").headers(house)
    return await house.http.request(
        operation.method, url or operation.url({}), content=content, headers={**bearer, **JSON, **headers}
    )


@pytest.mark.parametrize("operation", BODIES, ids=names)
async def test_fields_that_nobody_may_set_are_refused_not_ignored(house: House, operation: Operation) -> None:
    """Mass assignment."""
    offered = {name: "1" for name in PRIVILEGED if name not in schema_of(operation).get("properties", {})}
    answer = await send(house, operation, offered)
    assert answer.status_code == 422, answer.text
    refused = {error["path"] for error in answer.json()["errors"] if error["code"] == "unknown_field"}
    assert refused == set(offered)


def test_no_object_in_any_body_takes_fields_that_are_not_documented() -> None:
    schemas: dict[str, Any] = document()["components"]["schemas"]
    waiting, seen = {each.body for each in BODIES}, set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        text = json.dumps(schemas[name])
        waiting |= {other for other in schemas if f'#/components/schemas/{other}"' in text} - seen
        if schemas[name].get("type") == "object":
            assert schemas[name].get("additionalProperties") is False, name


@pytest.mark.parametrize("operation", BODIES, ids=names)
async def test_text_made_for_somebody_elses_parser_is_only_text(house: House, operation: Operation) -> None:
    world, asking = World(house), person("admin")
    await ready(operation, world)
    body = await right_body(operation, world, asking)
    url = operation.url(world.ids)
    for at, value in leaves(body):
        for text in TEXTS if isinstance(value, str) else ():
            answer = await house.http.request(
                operation.method, url, json=spoiled(body, at, text), headers=asking.headers(house)
            )
            assert answer.status_code < 500, (at, text[:40], answer.text)
            assert "set-cookie" not in answer.headers
            assert "root:" not in answer.text
            assert "4295032832" not in answer.text, "a template was filled in"


@pytest.mark.parametrize("operation", BODIES, ids=names)
async def test_numbers_that_are_none_are_refused_and_never_crash(house: House, operation: Operation) -> None:
    world, asking = World(house), person("admin")
    await ready(operation, world)
    body = await right_body(operation, world, asking)
    url = operation.url(world.ids)
    for at, value in leaves(body):
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        for number in NUMBERS:
            text = json.dumps(spoiled(body, at, "@@@")).replace('"@@@"', number)
            answer = await house.http.request(
                operation.method, url, content=text, headers={**asking.headers(house), **JSON}
            )
            assert answer.status_code < 500, (at, number, answer.text)
            if number in {"NaN", "Infinity", "-Infinity", "1e400", '"7"', "true", str(10**30)}:
                assert answer.status_code == 422, (at, number, answer.text)


@pytest.mark.parametrize("operation", BODIES, ids=names)
async def test_shapes_that_are_not_a_body_are_refused(house: House, operation: Operation) -> None:
    for body in (
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"{" + b'"a":1,' * 50_000 + b'"b":2}',
        b"\xff\xfe{}",
        b"null",
        b"[]",
    ):
        answer = await send(house, operation, body)
        assert answer.status_code == 422, body[:20]
        assert len(answer.content) < 20_000_000
    assert (await send(house, operation, b" " * (house.gateway.limits.body_bytes_max + 1))).status_code == 413


@pytest.mark.parametrize("operation", BODIES, ids=names)
async def test_what_a_form_of_another_site_can_send_without_asking_is_415(house: House, operation: Operation) -> None:
    """The three media types of a CORS "simple request", and what is close to JSON."""
    for kind in (
        *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
        *("text/json", "application/jsonp", "application/xml", "application/json+evil", "*/*", "a"),
    ):
        answer = await send(house, operation, b"{}", **{"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), kind


async def test_of_a_field_said_twice_the_last_counts_for_everybody_who_looks(house: House) -> None:
    """Also for the idempotency key's idea of the body: there is no second reading to hide behind."""
    cart = await house.new_cart()
    path = f"/api/v1/carts/{cart['id']}/items"
    head = {**house.bearer(), **JSON, "Idempotency-Key": "k"}
    twice = f'{{"product_id": "{BREAD}", "quantity": 1, "quantity": 2}}'
    first = await house.http.post(path, content=twice, headers=head)
    assert next(iter(first.json()["lines"].values()))["quantity"] == 2
    same = await house.http.post(path, json={"product_id": BREAD, "quantity": 2}, headers=head)
    assert same.headers["idempotent-replayed"] == "true"
    other = await house.http.post(path, json={"product_id": BREAD, "quantity": 1}, headers=head)
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    "amount", ["1.5", "1e2", "-1", "-0.0", str(AMOUNT_MINOR_MAX + 1), str(2**64), '"100"', "true", "null", "[1]"]
)
async def test_an_amount_of_money_is_a_whole_number_within_bounds(house: House, amount: str) -> None:
    body = f'{{"merchant_id": "{BREAD}", "name": "n", "sku": "s", "price": {{"amount": {amount}, "currency": "EUR"}}}}'
    answer = await house.http.post("/api/v1/products", content=body, headers={**house.staff(), **JSON})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["path"] == "price.amount"
