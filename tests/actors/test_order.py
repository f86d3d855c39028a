"""The order's rules, case by case: placement, courier, deadlines, who sees it."""

import msgspec
import pytest

from actors.order import OrderKind
from actors.order_commands import Address, AssignCourier, Cancel, Place, SetStatus
from actors.order_history import history_entry
from actors.order_state import PAYMENT_WITHIN_MS
from actors.order_status import Fulfilment
from actors.runtime.entity import NOTHING, SYSTEM, Actor
from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.lines import Line, Option
from tests.actors.desk import Desk

ANNA = Actor("anna", ("customer",))
STAFF = Actor("mia", ("merchant_staff",), ("m1",))
RIDER = Actor("rita", ("courier",))
SECOND = Actor("sam", ("courier",))
ADMIN = Actor("root", ("admin",))
STRANGERS = [
    Actor("bob", ("customer",)),
    Actor("max", ("merchant_staff",), ("m2",)),
    Actor("mo", ("customer",), ("m1",)),
    Actor("share:order-2"),
]
WITHIN_MS = 600_000


def placement(**fields):
    lines = (
        Line(line_id="1", product_id="soup", name="Soup", unit_price_minor=400, quantity=2),
        Line(
            line_id="2",
            product_id="cake",
            name="Cake",
            unit_price_minor=300,
            quantity=1,
            options=(Option("cream", "Cream", 50),),
        ),
    )
    place = Place(
        cart_id="cart-1",
        user_id="anna",
        merchant_id="m1",
        currency="EUR",
        lines=lines,
        subtotal_minor=1150,
        total_minor=1350,
        delivery_fee_minor=200,
        address=Address(line1="1 High St", city="Dublin", country="IE"),
        instructions="ring twice",
        accept_within_ms=WITHIN_MS,
    )
    return msgspec.structs.replace(place, **fields)


def new_order(**fields):
    desk = Desk(OrderKind(), "order-1")
    desk.do(placement(**fields), SYSTEM, device="phone")
    return desk


@pytest.fixture
def order():
    return new_order()


def advance(order, *statuses):
    """Move it on by whoever may."""
    couriers = {"picked_up", "out_for_delivery", "delivered"}
    for status in statuses:
        order.wait(1000)
        order.do(SetStatus(to=status, reason="because"), RIDER if status in couriers else STAFF)


def refused(order, command, actor, error=Conflict):
    before = order.version
    with pytest.raises(error) as caught:
        order.do(command, actor)
    assert order.version == before
    return caught.value.failure


def test_a_placed_order_shows_what_was_bought(order):
    view = order.view()
    assert (view["id"], view["status"], view["user_id"], view["cart_id"]) == ("order-1", "placed", "anna", "cart-1")
    assert (view["lines_count"], view["items_count"]) == (2, 3)
    assert view["lines"]["2"]["total"] == {"amount": 350, "currency": "EUR"}
    assert [view[key]["amount"] for key in ("subtotal", "delivery_fee", "total")] == [1150, 200, 1350]
    assert view["timeline"] == {"placed": {"at": "2026-01-01T00:00:00.000Z", "by": "anna", "device": "phone"}}
    assert view["accept_by"] == "2026-01-01T00:10:00.000Z"
    assert view["address"] == {"line1": "1 High St", "city": "Dublin", "country": "IE"}
    assert view["closed"] is False


def test_the_same_placement_again_is_a_no_op(order):
    again = order.do(placement(accept_within_ms=WITHIN_MS + 1), SYSTEM)
    assert again.events == ()
    assert again.reply == {"order_id": "order-1"}


@pytest.mark.parametrize(
    "fields", [{"cart_id": "cart-2"}, {"instructions": ""}, {"delivery_fee_minor": 0, "total_minor": 1150}]
)
def test_another_placement_under_the_same_id_is_refused(order, fields):
    failure = refused(order, placement(**fields), SYSTEM)
    assert (failure.code, failure.extra) == ("order_exists", {"current": "placed"})


def test_only_the_process_places_orders(order):
    refused(Desk(OrderKind(), "new"), placement(), ANNA, NotFound)
    refused(order, placement(), ANNA, Forbidden)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"subtotal_minor": 1149}, "subtotal_minor"),
        ({"total_minor": 1351}, "total_minor"),
        ({"delivery_fee_minor": -1}, "delivery_fee_minor"),
        ({"currency": "eur"}, "currency"),
        ({"lines": ()}, "lines"),
        ({"lines": placement().lines[:1] * 2}, "lines"),
        ({"lines": (msgspec.structs.replace(placement().lines[0], quantity=0),)}, "lines.0.quantity"),
        ({"user_id": ""}, "user_id"),
        ({"payment_method": "barter"}, "payment_method"),
        ({"accept_within_ms": 0}, "accept_within_ms"),
        ({"address": None}, "address"),
        ({"address": Address(line1="", city="Dublin", country="IE")}, "address.line1"),
        ({"address": Address(line1="1", city="Dublin", country="Ireland")}, "address.country"),
        ({"instructions": "\0"}, "instructions"),
    ],
)
def test_a_bad_placement_is_named_by_its_path(fields, path):
    failure = refused(Desk(OrderKind(), "new"), placement(**fields), SYSTEM, Invalid)
    assert [e.path for e in failure.errors] == [path]


def test_a_collection_needs_no_address():
    order = new_order(fulfilment=Fulfilment.COLLECTION, address=None)
    advance(order, "accepted", "preparing", "ready", "collected", "completed")
    assert order.view()["closed"] is True
    assert "address" not in order.view()


def test_tickets_are_fulfilled_at_once_and_wait_for_nobody():
    order = new_order(fulfilment=Fulfilment.TICKETS, address=None)
    assert order.reminders == {}
    order.do(SetStatus(to="fulfilled"), SYSTEM)
    assert order.view()["status"] == "fulfilled"


def test_who_sees_an_order(order):
    for actor in (ANNA, STAFF, ADMIN, SYSTEM, Actor("share:order-1")):
        assert order.sees(actor)
    for actor in [*STRANGERS, RIDER]:
        assert not order.sees(actor)


@pytest.mark.parametrize("stranger", [*STRANGERS, RIDER])
@pytest.mark.parametrize("command", [SetStatus(to="accepted"), SetStatus(to="nonsense"), Cancel("x"), AssignCourier()])
def test_a_stranger_does_not_learn_that_an_order_exists(order, stranger, command):
    if stranger is RIDER:
        assert refused(order, command, stranger, NotFound).code == "not_found"
    else:
        unknown = refused(Desk(OrderKind(), "none"), command, stranger, NotFound)
        assert refused(order, command, stranger, NotFound) == unknown


@pytest.mark.parametrize("reader", [ADMIN, Actor("share:order-1")])
def test_who_may_only_look_is_forbidden_to_touch(order, reader):
    refused(order, SetStatus(to="accepted"), reader, Forbidden)
    refused(order, Cancel("x"), reader, Forbidden)


def test_a_ready_delivery_without_courier_is_seen_by_couriers_until_one_has_it(order):
    advance(order, "accepted", "preparing", "ready")
    assert order.sees(RIDER)
    assert order.sees(SECOND)
    order.do(AssignCourier(), RIDER)
    assert order.sees(RIDER)
    assert not order.sees(SECOND)


def test_couriers_do_not_see_collections():
    order = new_order(fulfilment=Fulfilment.COLLECTION)
    advance(order, "accepted", "preparing", "ready")
    assert not order.sees(RIDER)
    assert refused(order, AssignCourier("rita"), STAFF).code == "not_a_delivery"


def test_the_first_claim_wins(order):
    advance(order, "accepted", "preparing", "ready")
    order.do(AssignCourier(), RIDER)
    failure = refused(order, AssignCourier("sam"), SECOND)
    assert (failure.code, failure.extra["by"]) == ("taken", "rita")
    assert order.do(AssignCourier("rita"), RIDER) == NOTHING


def test_a_courier_claims_only_for_themself_and_only_what_is_ready(order):
    refused(order, AssignCourier(), RIDER, NotFound)
    advance(order, "accepted", "preparing", "ready")
    refused(order, AssignCourier("sam"), RIDER, Forbidden)


def test_the_merchant_names_and_changes_the_courier_until_pick_up(order):
    assert refused(order, AssignCourier("rita"), STAFF).extra == {"current": "placed"}
    advance(order, "accepted")
    order.do(AssignCourier("sam"), STAFF)
    order.do(AssignCourier("rita"), STAFF)
    assert order.do(AssignCourier("rita"), STAFF) == NOTHING
    refused(order, AssignCourier(""), STAFF, Invalid)
    assert not order.sees(SECOND)
    advance(order, "preparing", "ready", "picked_up")
    assert refused(order, AssignCourier("sam"), STAFF).code == "not_assignable"


def test_owner_and_admin_assign_nobody(order):
    refused(order, AssignCourier("rita"), ANNA, Forbidden)
    refused(order, AssignCourier("rita"), ADMIN, Forbidden)


def test_an_order_that_nobody_accepts_is_rejected_at_its_deadline(order):
    order.wait(WITHIN_MS - 1)
    assert order.view()["status"] == "placed"
    order.wait(1)
    view = order.view()
    assert (view["status"], view["reason"]) == ("rejected", "acceptance_deadline")
    assert view["timeline"]["rejected"] == {"at": "2026-01-01T00:10:00.000Z", "by": "system"}
    assert "accept_by" not in view
    assert order.reminders == {}


def test_acceptance_stops_the_deadline(order):
    advance(order, "accepted")
    assert order.reminders == {}
    assert order.fire("accept") == NOTHING
    assert "accept_by" not in order.view()


def test_a_reminder_that_comes_early_is_set_again(order):
    order.wait(1000)
    assert order.fire("accept").events == ()
    assert order.reminders == {"accept": order.now_ms - 1000 + WITHIN_MS}


def test_an_unpaid_order_expires_and_a_paid_one_gets_its_deadline():
    order = new_order(payment_method="prepaid")
    assert order.view()["status"] == "pending_payment"
    assert list(order.reminders) == ["payment"]
    assert order.fire("payment").events == ()
    order.wait(PAYMENT_WITHIN_MS)
    assert order.view()["status"] == "expired"

    order = new_order(payment_method="prepaid")
    order.wait(60_000)
    order.do(SetStatus(to="placed"), SYSTEM)
    assert order.reminders == {"accept": order.now_ms + WITHIN_MS}
    assert order.view()["accept_by"] == "2026-01-01T00:11:00.000Z"
    order.wait(WITHIN_MS)
    assert order.view()["status"] == "rejected"


def test_timers_of_unknown_orders_are_ignored():
    assert Desk(OrderKind(), "none").fire("accept") == NOTHING


def test_a_rejection_names_a_reason_and_what_is_out_of_stock(order):
    assert refused(order, SetStatus(to="rejected"), STAFF, Invalid).errors[0].path == "reason"
    bad = SetStatus(to="rejected", reason="gone", out_of_stock_lines=("1", "9"))
    assert refused(order, bad, STAFF, Invalid).errors[0].path == "out_of_stock_lines.1"
    refused(order, SetStatus(to="accepted", out_of_stock_lines=("1",)), STAFF, Invalid)
    order.do(SetStatus(to="rejected", reason="gone", out_of_stock_lines=("1", "1")), STAFF)
    view = order.view()
    assert (view["reason"], view["out_of_stock_lines"], view["closed"]) == ("gone", ("1",), True)


def test_history_tells_what_happened_in_order(order):
    advance(order, "accepted")
    order.do(AssignCourier("rita"), STAFF, device="till")
    order.do(Cancel("oven broke"), STAFF, device="till")
    metas = [meta for _, meta in order.journal]
    history = [msgspec.to_builtins(history_entry(e, m)) for e, m in zip(order.events(), metas, strict=True)]
    assert [(h["type"], h["by"], h.get("status")) for h in history] == [
        ("placed", "anna", "placed"),
        ("status_changed", "mia", "accepted"),
        ("courier_assigned", "mia", None),
        ("status_changed", "mia", "cancelled"),
    ]
    assert [h["version"] for h in history] == [1, 2, 3, 4]
    assert history[3]["text"] == "Order cancelled: oven broke"
    assert history[3]["device"] == "till"
    assert history[2]["courier_id"] == "rita"


def test_index_row_and_groups_follow_the_order(order):
    kind = OrderKind()
    row = kind.index_row(order.state)
    assert row.table == "orders"
    assert row.columns == {
        "user_id": "anna",
        "merchant_id": "m1",
        "courier_id": None,
        "status": "placed",
        "currency": "EUR",
        "total_minor": 1350,
        "lines_count": 2,
        "cart_id": "cart-1",
        "placed_at": order.now_ms,
        "updated_at": order.now_ms,
    }
    assert kind.groups(order.state) == ("merchant/m1/orders", "user/anna/orders")
    advance(order, "accepted")
    order.do(AssignCourier("rita"), STAFF)
    assert kind.index_row(order.state).columns["courier_id"] == "rita"
    assert kind.groups(order.state)[2:] == ("courier/rita/orders",)
