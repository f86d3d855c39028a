from typing import Any

from domain.ids import new_id
from tests.serve.house import ADMIN, BREAD, MERCHANT, OTHER_MERCHANT, PIZZA, House


def product(**changes: Any) -> dict[str, Any]:
    return {
        "merchant_id": MERCHANT,
        "name": "Soup",
        "sku": "S1",
        "price": {"amount": 450, "currency": "EUR"},
        **changes,
    }


async def test_anybody_sees_merchants_and_their_menus(house: House) -> None:
    listed = (await house.http.get("/api/v1/merchants", params={"city": "Berlin"})).json()["items"]
    assert [merchant["id"] for merchant in listed] == [MERCHANT]
    shown = (await house.http.get(f"/api/v1/merchants/{MERCHANT}")).json()
    assert shown["delivery_fee"] == {"amount": 290, "currency": "EUR"}
    menu = (await house.http.get(f"/api/v1/merchants/{MERCHANT}/menu", params={"limit": 1})).json()
    rest = await house.http.get(f"/api/v1/merchants/{MERCHANT}/menu", params={"cursor": menu["next_cursor"]})
    assert {menu["items"][0]["id"], rest.json()["items"][0]["id"]} == {BREAD, PIZZA}
    assert (await house.http.get(f"/api/v1/merchants/{new_id()}/menu")).status_code == 404
    assert (await house.http.get(f"/api/v1/products/{PIZZA}")).json()["options"][0]["id"] == "size"


async def test_admins_take_merchants_on_and_a_repeat_gives_the_same_one(house: House) -> None:
    body = {"name": "New", "currency": "EUR", "minimum_order": {"amount": 1_000, "currency": "EUR"}}
    headers = house.bearer(ADMIN, "admin") | {"Idempotency-Key": "m-1"}
    first = await house.http.post("/api/v1/merchants", json=body, headers=headers)
    again = await house.http.post("/api/v1/merchants", json=body, headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    other = await house.http.post("/api/v1/merchants", json=body | {"name": "Else"}, headers=headers)
    assert other.json()["code"] == "idempotency_key_reused"
    assert (await house.http.post("/api/v1/merchants", json=body, headers=house.staff())).status_code == 404
    mixed = body | {"minimum_order": {"amount": 1, "currency": "USD"}}
    wrong = await house.http.post("/api/v1/merchants", json=mixed, headers=house.bearer(ADMIN, "admin"))
    assert wrong.json()["errors"][0]["path"] == "minimum_order.currency"


async def test_a_minimum_order_is_kept(house: House) -> None:
    body = {"name": "New", "currency": "EUR", "minimum_order": {"amount": 1_000, "currency": "EUR"}}
    admin = house.bearer(ADMIN, "admin")
    merchant = (await house.http.post("/api/v1/merchants", json=body, headers=admin)).json()["id"]
    soup = (await house.http.post("/api/v1/products", json=product(merchant_id=merchant), headers=admin)).json()["id"]
    cart = await house.new_cart(merchant_id=merchant)
    await house.add(cart["id"], soup, 2)
    refused = await house.order(cart["id"])
    assert (refused.json()["code"], refused.json()["minimum"]["amount"]) == ("below_minimum_order", 1_000)
    await house.add(cart["id"], soup, 1)
    assert (await house.order(cart["id"])).status_code == 201


async def test_staff_keep_their_own_menu_only(house: House) -> None:
    made = await house.http.post("/api/v1/products", json=product(), headers=house.staff())
    assert made.status_code == 201
    path = made.headers["location"]
    changed = await house.http.put(path, json=product(name="Stew"), headers=house.staff())
    assert changed.json()["name"] == "Stew"
    for headers in (house.staff(OTHER_MERCHANT), house.bearer()):
        assert (await house.http.put(path, json=product(), headers=headers)).status_code == 404
        assert (await house.http.post("/api/v1/products", json=product(), headers=headers)).status_code == 404
    taken = await house.http.post("/api/v1/products", json=product(), headers=house.staff())
    assert (taken.status_code, taken.json()["code"]) == (409, "sku_taken")


async def test_a_product_that_makes_no_sense_names_the_field(house: House) -> None:
    option = {"id": "a", "name": "A"}
    group = {"id": "g", "name": "G", "options": [option]}
    for changes, path in (
        ({"price": {"amount": -1, "currency": "EUR"}}, "price.amount"),
        ({"price": {"amount": 4.5, "currency": "EUR"}}, "price.amount"),
        ({"price": {"amount": 450, "currency": "USD"}}, "price.currency"),
        ({"price": {"amount": 450, "currency": "euro"}}, "price.currency"),
        ({"name": "  "}, "name"),
        ({"options": [{**group, "min": 2}]}, "options.0"),
        ({"options": [group, {**group, "id": "h"}]}, "options.1.options.0.id"),
        ({"options": [{**group, "options": [{**option, "price": {"amount": 1, "currency": "USD"}}]}]}, None),
        ({"max_quantity": 0}, "max_quantity"),
    ):
        answer = await house.http.post("/api/v1/products", json=product(**changes), headers=house.staff())
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["path"] == (path or "options.0.options.0.price.currency")
