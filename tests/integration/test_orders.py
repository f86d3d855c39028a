"""From a cart to the door, through the whole stack."""

import asyncio

import pytest

from domain.ids import new_id
from realtime.client.errors import LiveClosedError
from tests.integration.town import ADDRESS, INSTRUCTIONS, ON_THE_STACK, Town, delivery, euro, shown

pytestmark = ON_THE_STACK


async def test_a_cart_is_filled_with_options_at_catalog_prices(town: Town):
    user = town.bearer(new_id())
    cart = await town.cart(user)
    pizza = {"product_id": town.pizza, "quantity": 2, "options": ["large"], "instructions": "well done"}
    await town.post(f"/carts/{cart['id']}/items", user, pizza)
    view = await town.add(cart["id"], user, 3)
    lines = {line["name"]: line for line in view["lines"].values()}
    assert lines["Pizza"]["total"] == euro(2 * (900 + 300))
    assert lines["Pizza"]["instructions"] == "well done"
    assert view["total"] == euro(2 * 1200 + 3 * 150)
    assert (await town.http.get(f"/carts/{cart['id']}", headers=user)).json() == view


async def test_a_guests_cart_becomes_the_users_with_the_guests_quantities(town: Town):
    guest = await town.post("/auth/guest", {})
    as_guest = {"Authorization": f"Bearer {guest['access_token']}"}
    user = town.bearer(new_id())
    theirs, mine = await town.cart(as_guest, 5), await town.cart(user, 2)
    merge = {"source_cart_id": theirs["id"], "source_token": guest["access_token"]}
    merged = await town.post(f"/carts/{mine['id']}/merge", user, merge)
    assert [line["quantity"] for line in merged["lines"].values()] == [5]
    left = (await town.http.get(f"/carts/{theirs['id']}", headers=as_guest)).json()
    assert left["merged_into"] == mine["id"]


async def test_two_devices_that_order_one_cart_at_once_get_one_order(town: Town):
    user = town.bearer(new_id())
    cart = await town.cart(user, 2)
    presses = [town.http.post("/orders/create", headers=user, json=delivery(cart["id"])) for _ in range(4)]
    answers = await asyncio.gather(*presses)
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert [answer.status_code for answer in answers].count(201) == 1
    assert len({answer.json()["id"] for answer in answers}) == 1
    after = (await town.http.get(f"/carts/{cart['id']}", headers=user)).json()
    assert (after["status"], after["order_id"]) == ("converted", answers[0].json()["id"])
    listed = (await town.http.get("/orders", headers=user)).json()["items"]
    assert [order["id"] for order in listed] == [after["order_id"]]


async def test_a_tracker_sees_an_order_go_its_way_in_order(town: Town):
    subject, courier_id = new_id(), new_id()
    user, courier = town.bearer(subject), town.bearer(courier_id, "courier")
    order = await town.order(user)
    path = f"/orders/{order['id']}"
    async with town.live(town.stack.token(subject), f"{path}/track") as client:
        tracked = await client.subscribe(f"order/{order['id']}")
        await town.move(order["id"], town.staff(), "accepted", "preparing", "ready")
        await town.post(f"{path}/courier", courier, {})
        late = await town.http.post(f"{path}/courier", headers=town.bearer(new_id(), "courier"), json={})
        assert (late.status_code, late.json()["code"]) == (409, "taken")
        await town.move(order["id"], courier, "picked_up", "out_for_delivery")
        places = [{"lat": 52.5 + step / 1e5, "lon": 13.4} for step in range(4)]
        for place in places:
            await town.post(f"{path}/location", courier, place)
        end = await town.move(order["id"], courier, "delivered")
        state = await shown(tracked, lambda state: state["status"] == "delivered")
        last = tracked.entities[f"order/{order['id']}"].signals["position"]
        assert state | {"position": last} == (await town.http.get(path, headers=user)).json() == end
        updates = []
        async for update in tracked:
            updates.append(update)
            if update.state["status"] == "delivered":
                break
    versions = [update.version for update in updates if update.what != "signal"]
    assert versions == list(range(1, end["version"] + 1))
    statuses = list(dict.fromkeys(update.state["status"] for update in updates))
    moved = ["accepted", "preparing", "ready", "picked_up", "out_for_delivery", "delivered"]
    assert statuses == ["placed", *moved]
    signals = [{"lat": one.args["lat"], "lon": one.args["lon"]} for one in updates if one.what == "signal"]
    assert signals == places
    assert list(end["timeline"]) == statuses


async def test_an_order_remembers_its_way_and_the_merchant_sees_it_in_the_figures(town: Town):
    user = town.bearer(new_id())
    order = await town.order(user, "accepted")
    history = (await town.http.get(f"/orders/{order['id']}/history", headers=user)).json()["items"]
    assert [entry["version"] for entry in history] == [1, 2]
    mine = (await town.http.get("/orders", headers=town.staff(), params={"merchant_id": town.merchant_id})).json()
    assert order["id"] in [entry["id"] for entry in mine["items"]]
    stats = await town.http.get("/orders/stats", headers=town.staff(), params={"merchant_id": town.merchant_id})
    assert stats.json()["orders_count"] >= 1


async def test_a_merchants_board_sees_orders_come_and_change(town: Town):
    async with town.live(town.staff_token()) as board, asyncio.timeout(15):
        orders = await board.subscribe(f"merchant/{town.merchant_id}/orders")
        order = await town.order(town.bearer(new_id()))
        ent = f"order/{order['id']}"
        await orders.until(lambda one: ent in one.entities)
        await town.move(order["id"], town.staff(), "accepted")
        await orders.until(lambda one: one.state(ent)["status"] == "accepted")


async def test_a_share_link_shows_its_order_without_login_and_without_personal_details(town: Town):
    user = town.bearer(new_id())
    order, other = await town.order(user, "accepted"), await town.order(user)
    shared = await town.post(f"/orders/{order['id']}/share", user)
    tracking = await town.http.get(f"/orders/{order['id']}/tracking", params={"share": shared["token"]})
    assert (tracking.status_code, tracking.json()["status"]) == (200, "accepted")
    assert ADDRESS["line1"] not in tracking.text
    assert INSTRUCTIONS not in tracking.text
    foreign = await town.http.get(f"/orders/{other['id']}/tracking", params={"share": shared["token"]})
    assert foreign.status_code == 404
    as_login = {"Authorization": f"Bearer {shared['token']}"}
    assert (await town.http.get(f"/orders/{order['id']}", headers=as_login)).status_code == 401


async def test_whoever_follows_a_share_link_over_a_socket_sees_changes_without_personal_details(town: Town):
    user = town.bearer(new_id())
    order = await town.order(user, "accepted")
    shared = await town.post(f"/orders/{order['id']}/share", user)
    async with town.live("", f"/orders/{order['id']}/track?share={shared['token']}") as client:
        tracked = await client.subscribe(f"order/{order['id']}")
        await town.move(order["id"], town.staff(), "preparing")
        state = await shown(tracked, lambda state: state["status"] == "preparing")
        assert not state.keys() & {"address", "instructions", "user_id"}
        refused = await client.command(f"order/{order['id']}", "cancel", {"reason": "because"})
        assert refused.status == "rejected"


async def test_a_share_link_opens_no_other_order_over_a_socket(town: Town):
    user = town.bearer(new_id())
    order, other = await town.order(user), await town.order(user)
    shared = await town.post(f"/orders/{order['id']}/share", user)
    async with town.live("", f"/orders/{other['id']}/track?share={shared['token']}") as client:
        with pytest.raises(LiveClosedError) as closed:
            await client.connected()
        assert closed.value.code == 4500
