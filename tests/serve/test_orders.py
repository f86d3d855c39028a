import asyncio
import base64

import msgspec

from domain.ids import new_id
from tests.serve.house import ADMIN, ALICE, BOB, BREAD, COURIER, MERCHANT, OTHER_MERCHANT, STAFF, House


async def test_ordering_a_cart_answers_with_the_order_and_closes_the_cart(house: House) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"], quantity=2)
    answer = await house.order(cart["id"], instructions="ring twice")
    order = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/orders/{order['id']}"
    assert (order["status"], order["user_id"], order["merchant_id"]) == ("placed", ALICE, MERCHANT)
    assert (order["subtotal"]["amount"], order["delivery_fee"]["amount"], order["total"]["amount"]) == (700, 290, 990)
    closed = await house.http.get(f"/api/v1/carts/{cart['id']}", headers=house.bearer())
    assert (closed.json()["status"], closed.json()["order_id"]) == ("converted", order["id"])


async def test_ordering_again_gives_the_same_order(house: House) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"])
    first = await house.order(cart["id"])
    again = await house.order(cart["id"], fulfilment="collection", address=None)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json() == first.json()


async def test_two_devices_pressing_order_together_give_one_order(house: House) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"])
    answers = await asyncio.gather(*(house.order(cart["id"], instructions=f"device {n}") for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(house.store.index["orders"]) == 1


async def test_a_repeated_key_gives_the_first_answer_and_another_body_is_refused(house: House) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"])
    key = house.bearer() | {"Idempotency-Key": "press-1"}
    first = await house.order(cart["id"], key)
    again = await house.order(cart["id"], key)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    other = await house.order(cart["id"], key, instructions="another body")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_key_that_ordered_one_cart_orders_no_other(house: House) -> None:
    one, two = await house.new_cart(), await house.new_cart()
    for cart in (one, two):
        await house.add(cart["id"])
    key = house.bearer() | {"Idempotency-Key": "press-1"}
    first = await house.order(one["id"], key)
    other = await house.order(two["id"], key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await house.order(one["id"], key)).json()["id"] == first.json()["id"]
    bobs = await house.new_cart(house.bearer(BOB))
    await house.add(bobs["id"], headers=house.bearer(BOB))
    assert (await house.order(bobs["id"], house.bearer(BOB) | {"Idempotency-Key": "press-1"})).status_code == 201
    assert (await house.order(two["id"])).status_code == 201


async def test_ordering_takes_the_carts_version(house: House) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"])
    stale = await house.order(cart["id"], house.bearer() | {"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    house.clock.advance(seconds=4_000)  # prices are renewed on the way: that change is our own
    current = house.bearer() | {"If-Match": '"2"', "Idempotency-Key": "press-1"}
    assert (await house.order(cart["id"], current)).status_code == 201
    assert (await house.order(cart["id"], current)).status_code == 200


async def test_what_cannot_be_ordered_says_why(house: House) -> None:
    cart = await house.new_cart()
    empty = await house.order(cart["id"])
    assert (empty.status_code, empty.json()["code"], empty.json()["current"]) == (409, "cart_empty", "open")
    await house.add(cart["id"])
    homeless = await house.order(cart["id"], address=None)
    assert homeless.status_code == 422
    nowhere = await house.order(cart["id"], address={"line1": " ", "city": "Berlin", "country": "Germany"})
    assert {each["path"] for each in nowhere.json()["errors"]} == {"address.line1", "address.country"}
    priced = await house.order(cart["id"], total=1)
    assert priced.json()["errors"][0]["code"] == "unknown_field"
    paid = await house.order(cart["id"], payment_method="bitcoin")
    assert paid.json()["errors"][0]["path"] == "payment_method"
    wrong = await house.order(cart["id"], expected_total={"amount": 1, "currency": "EUR"})
    assert (wrong.json()["code"], wrong.json()["total"]) == ("total_changed", {"amount": 640, "currency": "EUR"})
    right = await house.order(cart["id"], expected_total={"amount": 640, "currency": "EUR"})
    assert right.status_code == 201


async def test_expired_prices_are_confirmed_silently_when_they_are_the_same(house: House) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"])
    house.clock.advance(seconds=4_000)
    assert (await house.order(cart["id"])).status_code == 201


async def test_expired_prices_that_changed_are_shown_before_the_order(house: House) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"])
    house.clock.advance(seconds=4_000)
    body = {"merchant_id": MERCHANT, "name": "Bread", "sku": "B1", "price": {"amount": 500, "currency": "EUR"}}
    await house.http.put(f"/api/v1/products/{BREAD}", json=body, headers=house.staff())
    refused = await house.order(cart["id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "prices_changed")
    shown = await house.http.get(f"/api/v1/carts/{cart['id']}", headers=house.bearer())
    assert "repriced:1" in shown.json()["notices"]
    assert (await house.order(cart["id"])).json()["subtotal"]["amount"] == 500


async def test_a_product_that_is_gone_cannot_be_ordered(house: House) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"])
    house.clock.advance(seconds=4_000)
    body = {
        "merchant_id": MERCHANT,
        "name": "Bread",
        "sku": "B1",
        "price": {"amount": 350, "currency": "EUR"},
        "active": False,
    }
    await house.http.put(f"/api/v1/products/{BREAD}", json=body, headers=house.staff())
    assert (await house.order(cart["id"])).status_code == 409
    again = await house.order(cart["id"])
    assert (again.json()["code"], again.json()["line_ids"]) == ("lines_unavailable", ["1"])


async def test_an_order_is_unknown_to_strangers_whatever_is_asked_of_it(house: House) -> None:
    order = await house.new_order()
    path = f"/api/v1/orders/{order['id']}"
    for headers in (house.bearer(BOB), house.staff(OTHER_MERCHANT), house.courier()):
        for answer in (
            await house.http.get(path, headers=headers),
            await house.http.get(f"{path}/history", headers=headers),
            await house.http.get(f"{path}/tracking", headers=headers),
            await house.http.put(f"{path}/status", json={"status": "accepted"}, headers=headers),
            await house.http.put(f"{path}/status", json={"status": "accepted"}, headers=headers | {"If-Match": '"7"'}),
            await house.http.post(f"{path}/cancel", json={}, headers=headers),
            await house.http.post(f"{path}/courier", json={}, headers=headers),
            await house.http.post(f"{path}/location", json={"lat": 1, "lon": 1}, headers=headers),
            await house.http.post(f"{path}/share", headers=headers),
        ):
            assert answer.status_code == 404, answer.text


async def test_an_order_goes_its_way_from_merchant_to_courier_to_customer(house: House) -> None:
    order = await house.new_order()
    path = f"/api/v1/orders/{order['id']}"
    early = await house.http.put(f"{path}/status", json={"status": "ready"}, headers=house.staff())
    assert (early.status_code, early.json()["current"]) == (409, "placed")
    mine = await house.http.put(f"{path}/status", json={"status": "accepted"}, headers=house.bearer())
    assert mine.status_code == 403
    stale = await house.http.put(f"{path}/status", json={"status": "accepted", "from": "ready"}, headers=house.staff())
    assert stale.status_code == 409
    await house.move(order["id"], house.staff(), "accepted", "preparing", "ready")
    claimed = await house.http.post(f"{path}/courier", json={}, headers=house.courier())
    assert claimed.json()["courier_id"] == COURIER
    late = await house.http.post(f"{path}/courier", json={}, headers=house.courier(new_id()))
    assert (late.status_code, late.json()["code"], late.json()["by"]) == (409, "taken", COURIER)
    await house.move(order["id"], house.courier(), "picked_up", "out_for_delivery")
    for step in range(3):
        house.clock.advance(seconds=40)
        position = {"lat": 52.5 + step / 100, "lon": 13.4, "accuracy_m": 5.0}
        told = await house.http.post(f"{path}/location", json=position, headers=house.courier())
        assert told.status_code == 200
    tracking = (await house.http.get(f"{path}/tracking", headers=house.bearer())).json()
    assert tracking["position"]["lat"] == 52.52
    assert [point["lat"] for point in tracking["trail"]] == [52.5, 52.51, 52.52]
    await house.move(order["id"], house.courier(), "delivered")
    await house.move(order["id"], house.bearer(), "completed")
    history = (await house.http.get(f"{path}/history", headers=house.bearer())).json()["items"]
    assert [entry["status"] for entry in history if entry["type"] == "status_changed"] == [
        *("accepted", "preparing", "ready", "picked_up", "out_for_delivery", "delivered", "completed")
    ]
    assert history[1]["by"] == STAFF


async def test_positions_outside_the_globe_name_the_field(house: House) -> None:
    order = await house.new_order()
    path = f"/api/v1/orders/{order['id']}/location"
    for body, field in (
        ({"lat": 91, "lon": 0}, "lat"),
        ({"lat": 0, "lon": -181}, "lon"),
        ({"lat": 0, "lon": 0, "heading": 361}, "heading"),
        ({"lat": 0, "lon": 0, "at": "yesterday"}, "at"),
        ({"lat": 0, "lon": 0, "at": "2026-03-01T09:30:00"}, "at"),
    ):
        answer = await house.http.post(path, json=body, headers=house.courier())
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, field)
    for raw in (b'{"lat": NaN, "lon": 0}', b'{"lat": 1e999, "lon": 0}'):
        headers = house.courier() | {"Content-Type": "application/json"}
        assert (await house.http.post(path, content=raw, headers=headers)).status_code == 422


async def test_the_customer_cancels_before_acceptance_and_not_after(house: House) -> None:
    order = await house.new_order()
    path = f"/api/v1/orders/{order['id']}/cancel"
    cancelled = await house.http.post(path, json={"reason": "oops"}, headers=house.bearer())
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    other = await house.new_order()
    await house.move(other["id"], house.staff(), "accepted")
    late = await house.http.post(f"/api/v1/orders/{other['id']}/cancel", json={}, headers=house.bearer())
    assert (late.status_code, late.json()["code"], late.json()["current"]) == (409, "invalid_transition", "accepted")


async def test_lists_are_for_the_parties_and_go_page_by_page(house: House) -> None:
    orders = []
    for _ in range(3):
        house.clock.advance(seconds=1)
        orders.append((await house.new_order())["id"])
    await house.move(orders[0], house.staff(), "accepted")
    path = "/api/v1/orders"

    async def ids(headers: dict[str, str], **params: object) -> list[str]:
        answer = await house.http.get(path, params={k: str(v) for k, v in params.items()}, headers=headers)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    assert await ids(house.bearer()) == orders[::-1]
    assert await ids(house.bearer(BOB)) == []
    assert await ids(house.staff(), merchant_id=MERCHANT) == orders[::-1]
    assert await ids(house.staff(), merchant_id=MERCHANT, status="accepted,preparing") == orders[:1]
    assert await ids(house.bearer(ADMIN, "admin"), user_id=ALICE) == orders[::-1]
    first = await house.http.get(path, params={"limit": 2}, headers=house.bearer())
    second = await house.http.get(
        path, params={"limit": 2, "cursor": first.json()["next_cursor"]}, headers=house.bearer()
    )
    assert [item["id"] for item in second.json()["items"]] == orders[:1]
    assert "next_cursor" not in second.json()
    same = await house.http.get(f"{path}/user/{ALICE}", headers=house.bearer())
    assert len(same.json()["items"]) == 3
    for headers, params in (
        (house.bearer(BOB), {"user_id": ALICE}),
        (house.bearer(BOB), {"merchant_id": MERCHANT}),
        (house.staff(OTHER_MERCHANT), {"merchant_id": MERCHANT}),
        (house.courier(), {"courier_id": BOB}),
    ):
        assert (await house.http.get(path, params=params, headers=headers)).status_code == 404
    assert (await house.http.get(f"{path}/user/{ALICE}", headers=house.bearer(BOB))).status_code == 404


async def test_times_at_the_ends_of_the_calendar_are_times_too(house: House) -> None:
    await house.new_order()
    for params, found in (
        ({"since": "0001-01-01T00:00:00+14:00"}, 1),
        ({"since": "9999-12-31T23:59:59-14:00"}, 0),
        ({"until": "9999-12-31T23:59:59-14:00"}, 1),
        ({"until": "1970-01-01T00:00:00Z"}, 0),
        ({"until": "0001-01-01T00:00:00+14:00"}, 0),
    ):
        answer = await house.http.get("/api/v1/orders", params=params, headers=house.bearer())
        assert (answer.status_code, len(answer.json()["items"])) == (200, found), params


async def test_a_forged_cursor_is_no_cursor(house: House) -> None:
    def forged(place: object) -> str:
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).rstrip(b"=").decode()

    cases: list[tuple[str, object]] = [(path, "\0") for path in ("merchants", f"merchants/{MERCHANT}/menu")]
    for path in ("carts", "orders"):
        cases += [(path, place) for place in ((2**64 - 1, "x"), (-1, "x"), (10**17, "x"), (0, "\0"))]
    for path, place in cases:
        params = {"cursor": forged(place)}
        answer = await house.http.get(f"/api/v1/{path}", params=params, headers=house.bearer())
        assert answer.json()["errors"][0]["code"] == "invalid_cursor", (path, place)


async def test_a_users_id_that_is_no_text_is_unknown(house: House) -> None:
    path = "/api/v1/orders/user/%00"
    assert (await house.http.get(path, headers=house.bearer(ADMIN, "admin"))).status_code == 404


async def test_a_wrong_filter_names_the_field(house: House) -> None:
    for params, field in (
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"status": "flying"}, "status.0"),
        ({"merchant_id": "x"}, "merchant_id"),
        ({"colour": "red"}, "colour"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until"),
        ({"cursor": "!"}, "cursor"),
    ):
        answer = await house.http.get("/api/v1/orders", params=params, headers=house.bearer())
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, field), answer.text


async def test_a_merchants_figures_are_for_its_staff(house: House) -> None:
    await house.new_order()
    cancelled = await house.new_order()
    await house.http.post(f"/api/v1/orders/{cancelled['id']}/cancel", json={}, headers=house.bearer())
    params = {"merchant_id": MERCHANT}
    stats = (await house.http.get("/api/v1/orders/stats", params=params, headers=house.staff())).json()
    assert (stats["orders_count"], stats["open_count"]) == (2, 1)
    assert stats["sales"] == [{"amount": 990, "currency": "EUR"}]
    assert (await house.http.get("/api/v1/orders/stats", params=params, headers=house.bearer())).status_code == 404


async def test_a_share_link_shows_one_order_to_whoever_holds_it(house: House) -> None:
    order, other = await house.new_order(), await house.new_order()
    shared = (await house.http.post(f"/api/v1/orders/{order['id']}/share", headers=house.bearer())).json()
    tracking = await house.http.get(shared["tracking_url"])
    assert (tracking.status_code, tracking.json()["order_id"]) == (200, order["id"])
    wrong = await house.http.get(f"/api/v1/orders/{other['id']}/tracking", params={"share": shared["token"]})
    assert wrong.status_code == 404
    as_access = {"Authorization": f"Bearer {shared['token']}"}
    assert (await house.http.get(f"/api/v1/orders/{order['id']}", headers=as_access)).status_code == 401
    as_share = await house.http.get(
        f"/api/v1/orders/{order['id']}/tracking", params={"share": house.tokens.issue(ALICE, ("customer",))}
    )
    assert as_share.status_code == 401
    assert (await house.http.get(f"/api/v1/orders/{order['id']}/tracking")).status_code == 401
    house.clock.advance(seconds=24 * 3_600 + 60)
    assert (await house.http.get(shared["tracking_url"])).json()["code"] == "token_expired"
