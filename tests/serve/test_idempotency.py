import asyncio

import httpx

from tests.serve.house import BOB, BREAD, PIZZA, House


async def test_a_repeat_has_the_first_status_and_body_also_after_later_changes(house: House) -> None:
    cart = await house.new_cart()
    key = {"Idempotency-Key": "add-1"}
    first = await house.add(cart["id"], headers=key)
    await house.add(cart["id"], PIZZA, options=["small"])
    again = await house.add(cart["id"], headers=key)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert (again.headers["etag"], again.headers["location"]) == (first.headers["etag"], first.headers["location"])


async def test_two_at_once_with_the_same_key_are_executed_once(house: House) -> None:
    cart = await house.new_cart()
    answers = await asyncio.gather(*(house.add(cart["id"], headers={"Idempotency-Key": "k"}) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["lines"]["1"]["quantity"] for answer in answers} == {1}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


async def test_the_same_key_with_another_body_is_refused_and_another_spelling_is_not(house: House) -> None:
    cart = await house.new_cart()
    path, headers = f"/api/v1/carts/{cart['id']}/items", house.bearer() | {"Idempotency-Key": "k"}
    await house.http.post(path, json={"product_id": BREAD, "quantity": 2}, headers=headers)
    other = await house.http.post(path, json={"product_id": BREAD, "quantity": 3}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    spelled = f'{{ "quantity":2 , "product_id": "{BREAD}"}}'
    same = await house.http.post(path, content=spelled, headers=headers | {"Content-Type": "application/json"})
    assert same.headers["idempotent-replayed"] == "true"


async def test_a_refusal_is_not_remembered(house: House) -> None:
    cart = await house.new_cart()
    path, headers = f"/api/v1/carts/{cart['id']}/items/1", house.bearer() | {"Idempotency-Key": "k"}
    early = await house.http.put(path, json={"quantity": 2}, headers=headers)
    assert early.status_code == 404
    await house.add(cart["id"])
    assert (await house.http.put(path, json={"quantity": 2}, headers=headers)).status_code == 200


async def test_a_key_belongs_to_its_subject_and_its_path(house: House) -> None:
    key = {"Idempotency-Key": "shared"}
    mine = await house.new_cart(house.bearer() | key)
    again = await house.new_cart(house.bearer() | key)
    bobs = await house.new_cart(house.bearer(BOB) | key)
    assert mine["id"] == again["id"] != bobs["id"]
    one, two = await house.new_cart(), await house.new_cart()
    for cart in (one, two):
        assert (await house.add(cart["id"], headers=key)).headers.get("idempotent-replayed") is None


async def test_creating_a_cart_twice_at_once_with_one_key_makes_one(house: House) -> None:
    headers = house.bearer() | {"Idempotency-Key": "once"}
    made = await asyncio.gather(*(house.new_cart(headers) for _ in range(6)))
    assert len({cart["id"] for cart in made}) == 1
    reused = await house.http.post("/api/v1/carts/create", json={"currency": "USD"}, headers=headers)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_key_that_merged_one_cart_merges_no_other(house: House) -> None:
    guest = (await house.http.post("/api/v1/auth/guest")).json()
    as_guest = {"Authorization": f"Bearer {guest['access_token']}"}
    one, two, cart = await house.new_cart(as_guest), await house.new_cart(as_guest), await house.new_cart()
    for source in (one, two):
        await house.add(source["id"], quantity=3, headers=as_guest)

    async def merge(source: str) -> httpx.Response:
        return await house.http.post(
            f"/api/v1/carts/{cart['id']}/merge",
            json={"source_cart_id": source, "source_token": guest["access_token"]},
            headers=house.bearer() | {"Idempotency-Key": "k"},
        )

    first = await merge(one["id"])
    assert (first.status_code, first.json()["items_count"]) == (200, 3)
    other = await merge(two["id"])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await house.http.get(f"/api/v1/carts/{two['id']}", headers=as_guest)).json()["status"] == "open"
    assert (await merge(one["id"])).json() == first.json()


async def test_the_short_prefix_shares_its_keys_with_the_long_one(house: House) -> None:
    cart = await house.new_cart()
    headers = house.bearer() | {"Idempotency-Key": "k"}
    body = {"product_id": BREAD}
    await house.http.post(f"/api/v1/carts/{cart['id']}/items", json=body, headers=headers)
    again = await house.http.post(f"/api/carts/{cart['id']}/items", json=body, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
