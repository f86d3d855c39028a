"""What the HTTP side promises about repeats, bad input and operations, behind the real ingress."""

import asyncio

import pytest

from domain.ids import new_id
from tests.integration.town import ON_THE_STACK, Headers, Town, delivery

pytestmark = ON_THE_STACK

MEGABYTE = 1_048_576


async def test_a_repeated_key_gives_the_first_answer_and_says_so(town: Town):
    user = town.bearer(new_id())
    cart = await town.cart(user)
    headers = user | {"Idempotency-Key": "add-bread"}
    body = {"product_id": town.bread, "quantity": 2}
    first = await town.http.post(f"/carts/{cart['id']}/items", headers=headers, json=body)
    await town.add(cart["id"], user)
    again = await town.http.post(f"/carts/{cart['id']}/items", headers=headers, json=body)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    other = await town.http.post(f"/carts/{cart['id']}/items", headers=headers, json=body | {"quantity": 3})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_key_sent_many_times_at_once_is_executed_once(town: Town):
    user = town.bearer(new_id())
    cart = await town.cart(user)
    headers = user | {"Idempotency-Key": new_id()}
    items, body = f"/carts/{cart['id']}/items", {"product_id": town.bread}
    answers = await asyncio.gather(*(town.http.post(items, headers=headers, json=body) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert (await town.http.get(f"/carts/{cart['id']}", headers=user)).json()["items_count"] == 1


@pytest.fixture
def user(town: Town) -> Headers:
    return town.bearer(new_id())


async def test_unknown_and_foreign_things_look_the_same(town: Town, user: Headers):
    cart = await town.cart(user, 1)
    stranger = town.bearer(new_id())
    order = await town.order(user)
    for path in (f"/carts/{cart['id']}", f"/orders/{order['id']}", f"/carts/{new_id()}", "/carts/nonsense"):
        answer = await town.http.get(path, headers=stranger)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["correlation_id"] == answer.headers["x-request-id"]


async def test_a_stale_version_is_refused_with_412(town: Town, user: Headers):
    cart = await town.cart(user, 1)
    path, stale = f"/carts/{cart['id']}/items/1", {"If-Match": f'"{cart["version"] - 1}"'}
    refused = await town.http.put(path, headers=user | stale, json={"quantity": 4})
    assert refused.status_code == 412
    fresh = await town.http.put(path, headers=user | {"If-Match": f'"{cart["version"]}"'}, json={"quantity": 4})
    assert fresh.status_code == 200


async def test_bad_fields_are_named_with_their_paths(town: Town, user: Headers):
    cart = await town.cart(user)
    items = f"/carts/{cart['id']}/items"
    cases = [
        (items, {"product_id": town.bread, "quantity": 0}, "quantity"),
        (items, {"product_id": town.bread, "quantity": "many"}, "quantity"),
        (items, {"product_id": town.pizza, "options": ["huge"]}, "options.0"),
        (items, {"product_id": new_id()}, "product_id"),
        (items, {"product_id": town.bread, "price": 1}, "price"),
        ("/carts/create", {"currency": "XXX"}, "currency"),
        ("/orders/create", delivery(cart["id"]) | {"address": {"line1": "x", "city": "y"}}, "address.country"),
    ]
    for path, body, field in cases:
        answer = await town.http.post(path, headers=user, json=body)
        assert answer.status_code == 422, (path, body)
        assert field in [error["path"] for error in answer.json()["errors"]]


async def test_the_wrong_state_is_a_conflict_that_says_the_current_one(town: Town, user: Headers):
    order = await town.order(user)
    early = await town.http.put(f"/orders/{order['id']}/status", headers=town.staff(), json={"status": "ready"})
    assert (early.status_code, early.json()["current"]) == (409, "placed")
    late = await town.http.post(
        f"/carts/{order['cart_id']}/items", headers=user, json={"product_id": town.bread, "quantity": 1}
    )
    assert (late.status_code, late.json()["current"]) == (409, "converted")
    empty = await town.cart(user)
    nothing = await town.http.post("/orders/create", headers=user, json=delivery(empty["id"]))
    assert nothing.status_code == 409


async def test_requests_that_are_none_are_answered_with_what_is_wrong(town: Town, user: Headers):
    cart = await town.cart(user)
    items = f"/carts/{cart['id']}/items"
    huge = await town.http.post(items, headers=user, json={"instructions": "x" * MEGABYTE})
    assert (huge.status_code, huge.json()["code"]) == (413, "payload_too_large")
    no_json = await town.http.post(items, headers=user | {"Content-Type": "application/json"}, content=b"{")
    assert no_json.status_code == 422
    as_form = await town.http.post(items, headers=user, data={"product_id": town.bread})
    assert as_form.status_code == 415
    wrong = await town.http.put("/carts/create", headers=user, json={})
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["allow"]
    nowhere = await town.http.get("/nothing/here", headers=user)
    assert nowhere.status_code == 404


async def test_tokens_that_do_not_hold_are_refused(town: Town):
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eHg6eHg="}):
        answer = await town.http.get("/orders", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_client_cannot_make_the_ingress_give_up_on_it(town: Town, user: Headers):
    answer = await town.http.get("/orders", headers=user | {"X-Request-Timeout-Seconds": "0.000001"})
    assert answer.status_code == 200


async def test_the_short_prefix_is_the_same_api(town: Town, user: Headers):
    cart = await town.cart(user, 1)
    short = await town.http.get(f"{town.stack.base_url}/api/carts/{cart['id']}", headers=user)
    assert short.json() == cart


async def test_operations_answer_without_a_token(town: Town):
    base = town.stack.base_url
    alive = await town.http.get(f"{base}/livez")
    assert (alive.status_code, alive.json()) == (200, {"alive": True})
    ready = await town.http.get(f"{base}/readyz")
    assert (ready.status_code, ready.json()["ready"], ready.json()["degraded"]) == (200, True, [])
    metrics = await town.http.get(f"{base}/metrics")
    assert metrics.status_code == 200
    assert "# TYPE atrium_live_sockets gauge" in metrics.text
    document = (await town.http.get(f"{base}/api/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/orders/create" in document["paths"]
    assert (await town.http.get(f"{base}/api/v1/docs")).status_code == 200
