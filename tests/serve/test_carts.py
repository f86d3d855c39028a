from domain.ids import new_id
from tests.serve.house import BOB, BREAD, MERCHANT, OTHER_MERCHANT, PIZZA, YEN_TEA, House


async def test_adding_an_item_answers_with_the_cart_and_the_location_of_its_line(house: House) -> None:
    cart = await house.new_cart()
    answer = await house.add(cart["id"], PIZZA, 2, options=["large", "cheese"], instructions="no onions")
    assert answer.status_code == 201
    view = answer.json()
    line = view["lines"]["1"]
    assert answer.headers["location"] == f"/api/v1/carts/{cart['id']}/items/1"
    assert answer.headers["etag"] == f'"{view["version"]}"'
    assert line["total"] == {"amount": 2 * (900 + 300 + 120), "currency": "EUR"}
    assert line["instructions"] == "no onions"
    got = await house.http.get(answer.headers["location"], headers=house.bearer())
    assert got.json() == line


async def test_the_short_prefix_is_the_same_api(house: House) -> None:
    cart = await house.new_cart()
    answer = await house.http.get(f"/api/carts/{cart['id']}", headers=house.bearer())
    assert answer.status_code == 200
    assert answer.json() == cart


async def test_prices_never_come_from_the_client(house: House) -> None:
    cart = await house.new_cart()
    answer = await house.add(cart["id"], unit_price={"amount": 1, "currency": "EUR"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0] == {
        "path": "unit_price",
        "code": "unknown_field",
        "message": "Extra inputs are not permitted",
    }


async def test_a_foreign_cart_looks_unknown_whatever_is_asked_of_it(house: House) -> None:
    cart = await house.new_cart()
    bob, path = house.bearer(BOB), f"/api/v1/carts/{cart['id']}"
    item = {"product_id": BREAD}
    for answer in (
        await house.http.get(path, headers=bob),
        await house.http.delete(path, headers=bob),
        await house.http.post(f"{path}/items", json=item, headers=bob),
        await house.http.post(f"{path}/items", json=item, headers=bob | {"If-Match": '"99"'}),
        await house.http.put(f"{path}/items/1", json={"quantity": 2}, headers=bob),
        await house.http.put(f"{path}/items/1", json={"options": ["large"]}, headers=bob),
        await house.http.delete(f"{path}/items/1", headers=bob),
        await house.http.post(f"{path}/clear", headers=bob),
        await house.order(cart["id"], bob),
        await house.http.get(f"/api/v1/carts/{new_id()}", headers=bob),
        await house.http.get("/api/v1/carts/not-a-uuid", headers=bob),
        await house.http.get("/api/v1/carts/%00", headers=bob),
    ):
        assert answer.status_code == 404, answer.text
        assert answer.json()["code"] == "not_found"


async def test_a_stale_if_match_is_refused_and_a_current_one_is_not(house: House) -> None:
    cart = await house.new_cart()
    first = await house.add(cart["id"])
    stale = await house.add(cart["id"], headers={"If-Match": f'"{cart["version"]}"'})
    assert stale.status_code == 412
    assert stale.json()["code"] == "precondition_failed"
    fresh = await house.add(cart["id"], headers={"If-Match": first.headers["etag"]})
    assert fresh.status_code == 201
    any_version = await house.add(cart["id"], headers={"If-Match": "*"})
    assert any_version.status_code == 201
    for nonsense in ("7", '"x"', 'W/"3"', '"1", "2"', '"', ""):
        assert (await house.add(cart["id"], headers={"If-Match": nonsense})).status_code == 412


async def test_an_unchanged_cart_is_not_sent_again(house: House) -> None:
    cart = await house.new_cart()
    path = f"/api/v1/carts/{cart['id']}"
    first = await house.http.get(path, headers=house.bearer())
    again = await house.http.get(path, headers=house.bearer() | {"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


async def test_options_are_checked_against_the_catalog(house: House) -> None:
    cart = await house.new_cart()
    cases = {
        ("huge",): ("options.0", "unknown_option"),
        (): ("options", "option_count"),
        ("small", "large"): ("options", "option_count"),
        ("large", "large"): ("options", "duplicate"),
    }
    for options, (path, code) in cases.items():
        answer = await house.add(cart["id"], PIZZA, options=list(options))
        assert answer.status_code == 422
        assert [(each["path"], each["code"]) for each in answer.json()["errors"]] == [(path, code)]


async def test_quantities_outside_their_range_name_the_field(house: House) -> None:
    cart = await house.new_cart()
    for quantity in (0, -1, 1.5, "2", True, None, 10**30):
        answer = await house.add(cart["id"], quantity=quantity)  # type: ignore[arg-type]
        assert answer.status_code == 422, quantity
        assert answer.json()["errors"][0]["path"] == "quantity"
    too_many = await house.add(cart["id"], PIZZA, 6, options=["small"])
    assert too_many.json()["errors"][0]["path"] == "quantity"
    unknown = await house.add(cart["id"], new_id())
    assert unknown.json()["errors"][0] == {
        "path": "product_id",
        "code": "unknown_product",
        "message": "There is no such product to buy.",
    }
    malformed = await house.add(cart["id"], "nonsense")
    assert malformed.json()["errors"][0]["path"] == "product_id"


async def test_currencies_and_merchants_do_not_mix(house: House) -> None:
    bad = await house.http.post("/api/v1/carts/create", json={"currency": "XXX"}, headers=house.bearer())
    assert (bad.status_code, bad.json()["errors"][0]["path"]) == (422, "currency")
    nothing = await house.http.post("/api/v1/carts/create", json={}, headers=house.bearer())
    assert nothing.status_code == 422
    cart = await house.new_cart()
    await house.add(cart["id"])
    other = await house.add(cart["id"], YEN_TEA)
    assert (other.status_code, other.json()["current"]) == (409, "open")
    foreign = await house.http.post("/api/v1/carts/create", json={"merchant_id": new_id()}, headers=house.bearer())
    assert foreign.status_code == 404
    assert (await house.new_cart(merchant_id=OTHER_MERCHANT))["currency"] == "JPY"


async def test_lines_are_changed_removed_and_cleared(house: House) -> None:
    cart = await house.new_cart()
    path = f"/api/v1/carts/{cart['id']}"
    await house.add(cart["id"], PIZZA, options=["small"])
    await house.add(cart["id"])
    changed = await house.http.put(
        f"{path}/items/1", json={"options": ["large", "ham"], "quantity": 3}, headers=house.bearer()
    )
    assert changed.json()["lines"]["1"]["total"]["amount"] == 3 * (900 + 300 + 180)
    more = await house.http.put(f"{path}/items/2", json={"quantity": 4}, headers=house.bearer())
    assert more.json()["lines"]["2"]["quantity"] == 4
    nothing = await house.http.put(f"{path}/items/2", json={}, headers=house.bearer())
    assert nothing.status_code == 422
    unknown = await house.http.put(f"{path}/items/9", json={"quantity": 4}, headers=house.bearer())
    assert (unknown.status_code, unknown.json()["code"]) == (404, "line_not_found")
    removed = await house.http.delete(f"{path}/items/2", headers=house.bearer())
    assert list(removed.json()["lines"]) == ["1"]
    cleared = await house.http.post(f"{path}/clear", headers=house.bearer())
    assert cleared.json()["lines"] == {}
    assert (await house.http.delete(path, headers=house.bearer())).status_code == 204
    assert (await house.http.get(path, headers=house.bearer())).status_code == 404


async def test_prices_are_kept_for_an_hour_then_renewed_with_a_notice(house: House) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"])
    await house.http.put(f"/api/v1/products/{BREAD}", json=_bread(400), headers=house.staff())
    path = f"/api/v1/carts/{cart['id']}"
    kept = (await house.http.get(path, headers=house.bearer())).json()
    assert kept["total"]["amount"] == 350
    house.clock.advance(seconds=3_600)
    renewed = (await house.http.get(path, headers=house.bearer())).json()
    assert renewed["total"]["amount"] == 400
    assert renewed["notices"]["repriced:1"]["old_unit_price"]["amount"] == 350
    seen = await house.http.post(f"{path}/notices/dismiss", headers=house.bearer())
    assert seen.json()["notices"] == {}


async def test_own_carts_are_listed_page_by_page_newest_first(house: House) -> None:
    made = []
    for _ in range(5):
        house.clock.advance(seconds=1)
        made.append((await house.new_cart())["id"])
    await house.new_cart(house.bearer(BOB))
    seen: list[str] = []
    cursor = {}
    while True:
        answer = await house.http.get("/api/v1/carts", params={"limit": 2, **cursor}, headers=house.bearer())
        seen += [item["id"] for item in answer.json()["items"]]
        if "next_cursor" not in answer.json():
            break
        cursor = {"cursor": answer.json()["next_cursor"]}
    assert seen == made[::-1]
    for cursor_text in ("garbage!", "AAAA", "%00"):
        bad = await house.http.get("/api/v1/carts", params={"cursor": cursor_text}, headers=house.bearer())
        assert bad.status_code == 422


async def test_a_guests_cart_is_merged_with_the_guests_token_as_proof(house: House) -> None:
    guest = (await house.http.post("/api/v1/auth/guest")).json()
    as_guest = {"Authorization": f"Bearer {guest['access_token']}"}
    source = await house.new_cart(as_guest)
    await house.add(source["id"], quantity=3, headers=as_guest)
    await house.add(source["id"], PIZZA, options=["small"], headers=as_guest)
    cart = await house.new_cart()
    await house.add(cart["id"], quantity=1)
    path = f"/api/v1/carts/{cart['id']}/merge"
    forged = {"source_cart_id": source["id"], "source_token": house.tokens.issue(BOB, ("customer",))}
    assert (await house.http.post(path, json=forged, headers=house.bearer())).status_code == 404
    garbage = {"source_cart_id": source["id"], "source_token": "garbage"}
    refused = await house.http.post(path, json=garbage, headers=house.bearer())
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "source_token")
    body = {"source_cart_id": source["id"], "source_token": guest["access_token"]}
    merged = (await house.http.post(path, json=body, headers=house.bearer())).json()
    assert {line["product_id"]: line["quantity"] for line in merged["lines"].values()} == {BREAD: 3, PIZZA: 1}
    again = await house.http.post(path, json=body, headers=house.bearer())
    assert again.json()["lines"] == merged["lines"]
    closed = await house.http.get(f"/api/v1/carts/{source['id']}", headers=as_guest)
    assert (closed.json()["status"], closed.json()["merged_into"]) == ("merged", cart["id"])


def _bread(price: int) -> dict[str, object]:
    return {"merchant_id": MERCHANT, "name": "Bread", "sku": "B1", "price": {"amount": price, "currency": "EUR"}}
