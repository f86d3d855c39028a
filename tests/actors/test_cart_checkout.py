"""Checkout, price age and abandonment of carts: what time and processes do."""

import pytest

from actors.cart import CartKind
from actors.cart_commands import (
    AddLine,
    BeginCheckout,
    CancelCheckout,
    Clear,
    CompleteCheckout,
    Create,
    Delete,
    DismissNotices,
    MarkMerged,
    Price,
    RemoveLine,
    Reprice,
    SetQuantity,
)
from actors.cart_state import ABANDON_AFTER_MS, PRICE_TTL_MS, CheckoutBegan, Revived
from actors.runtime.entity import NOTHING, SYSTEM, Actor
from domain.errors import Conflict, Forbidden, Invalid
from domain.lines import Line, Option
from tests.actors.desk import START_MS, Desk

ANNA = Actor("anna", ("customer",))


def add(product="soup", price=400, quantity=1, **fields):
    return AddLine(
        product_id=product,
        name=product.title(),
        unit_price_minor=price,
        currency="EUR",
        merchant_id="m1",
        quantity=quantity,
        **fields,
    )


@pytest.fixture
def cart():
    desk = Desk(CartKind(), "cart-1")
    desk.do(Create("EUR", "m1"), ANNA)
    desk.do(add(quantity=2), ANNA)
    return desk


def refused(cart, command, actor=ANNA, error=Conflict):
    before = cart.version
    with pytest.raises(error) as caught:
        cart.do(command, actor)
    assert cart.version == before
    return caught.value.failure


def test_a_checkout_freezes_the_lines_into_its_event(cart):
    began = cart.do(BeginCheckout("order-1", 800), ANNA).events[-1]
    line = Line(line_id="1", product_id="soup", name="Soup", unit_price_minor=400, quantity=2)
    assert began == CheckoutBegan("order-1", "anna", "m1", "EUR", (line,), 800, 800)
    assert cart.view()["status"] == "checking_out"


@pytest.mark.parametrize("finished", [False, True])
def test_two_devices_pressing_order_get_one_order(cart, finished):
    first = cart.do(BeginCheckout(), ANNA, device="phone").reply
    if finished:
        cart.do(CompleteCheckout(first["order_id"]), SYSTEM)
    second = cart.do(BeginCheckout("another"), ANNA, device="tablet")
    assert second.events == ()
    assert second.reply == first


@pytest.mark.parametrize("command", [add(), SetQuantity("1", 3), RemoveLine("1"), Clear(), Delete(), MarkMerged("x")])
def test_nothing_changes_while_the_cart_is_being_ordered(cart, command):
    cart.do(BeginCheckout("order-1"), ANNA)
    assert refused(cart, command).extra["current"] == "checking_out"
    assert cart.do(Reprice((Price(line_id="1", unit_price_minor=1),)), SYSTEM) == NOTHING


def test_what_cannot_be_ordered(cart):
    failure = refused(cart, BeginCheckout("order-1", 799))
    assert failure.code == "total_changed"
    assert failure.extra["total"] == {"amount": 800, "currency": "EUR"}
    refused(cart, BeginCheckout("not an id"), error=Invalid)
    cart.do(Reprice((Price(line_id="1", available=False),)), SYSTEM)
    failure = refused(cart, BeginCheckout("order-1"))
    assert (failure.code, failure.extra["line_ids"]) == ("lines_unavailable", ["1"])
    cart.do(Clear(), ANNA)
    assert refused(cart, BeginCheckout("order-1")).code == "cart_empty"


def test_only_the_process_ends_a_checkout(cart):
    cart.do(BeginCheckout("order-1"), ANNA)
    for command in (CompleteCheckout("order-1"), CancelCheckout("order-1"), Reprice(())):
        refused(cart, command, error=Forbidden)
    for command in (CompleteCheckout("order-2"), CancelCheckout("order-2")):
        assert refused(cart, command, SYSTEM).code == "not_checking_out"


def test_a_cancelled_checkout_opens_the_cart_again(cart):
    cart.do(BeginCheckout("order-1"), ANNA)
    cart.do(CancelCheckout("order-1", "merchant closed"), SYSTEM)
    assert cart.do(CancelCheckout("order-1"), SYSTEM) == NOTHING
    view = cart.view()
    assert view["status"] == "open"
    assert "order_id" not in view
    assert cart.do(BeginCheckout("order-2"), ANNA).reply == {"order_id": "order-2"}


def test_a_converted_cart_keeps_its_lines_and_stays_closed(cart):
    cart.do(BeginCheckout("order-1"), ANNA)
    cart.do(CompleteCheckout("order-1"), SYSTEM)
    assert cart.do(CompleteCheckout("order-1"), SYSTEM) == NOTHING
    view = cart.view()
    assert (view["status"], view["order_id"], view["total"]["amount"]) == ("converted", "order-1", 800)
    assert cart.reminders == {}
    for command in (add(), Clear(), Delete(), MarkMerged("x"), DismissNotices()):
        assert refused(cart, command).code == "cart_closed"
    assert refused(cart, CancelCheckout("order-1"), SYSTEM).code == "not_checking_out"


def test_a_merged_cart_is_not_ordered(cart):
    cart.do(MarkMerged("cart-2"), ANNA)
    assert refused(cart, BeginCheckout("order-1")).code == "cart_closed"


def test_prices_hold_for_their_time_and_not_longer(cart):
    assert cart.view()["prices_expire_at"] == "2026-01-01T01:00:00.000Z"
    cart.wait(PRICE_TTL_MS - 1)
    assert cart.do(Reprice((Price(line_id="1", unit_price_minor=500),)), SYSTEM).events == ()
    cart.wait(1)
    assert refused(cart, BeginCheckout("order-1")).code == "prices_expired"
    cart.do(Reprice((Price(line_id="1", unit_price_minor=500),)), SYSTEM)
    view = cart.view()
    assert view["notices"]["repriced:1"] == {
        "code": "repriced",
        "line_id": "1",
        "old_unit_price": {"amount": 400, "currency": "EUR"},
        "new_unit_price": {"amount": 500, "currency": "EUR"},
    }
    assert view["total"]["amount"] == 1000
    cart.do(BeginCheckout("order-1", 1000), ANNA)


def test_a_confirmed_price_is_fresh_without_a_notice(cart):
    cart.wait(PRICE_TTL_MS)
    cart.do(Reprice((Price(line_id="1", unit_price_minor=400),)), SYSTEM)
    assert cart.view()["notices"] == {}
    assert cart.view()["prices_expire_at"] == "2026-01-01T02:00:00.000Z"


def test_a_notice_shows_the_price_last_known_to_the_customer(cart):
    for price in (500, 600):
        cart.wait(PRICE_TTL_MS)
        cart.do(Reprice((Price(line_id="1", unit_price_minor=price),)), SYSTEM)
    assert cart.view()["notices"]["repriced:1"]["old_unit_price"]["amount"] == 400
    cart.wait(PRICE_TTL_MS)
    cart.do(Reprice((Price(line_id="1", unit_price_minor=400),)), SYSTEM)
    assert cart.view()["notices"] == {}


def test_a_notice_goes_when_the_customer_has_seen_it(cart):
    cart.wait(PRICE_TTL_MS)
    cart.do(Reprice((Price(line_id="1", unit_price_minor=500),)), SYSTEM)
    cart.do(DismissNotices(), ANNA)
    assert cart.view()["notices"] == {}
    assert cart.do(DismissNotices(), ANNA) == NOTHING


def test_prices_of_options_are_renewed_too(cart):
    cart.do(add("cake", 300, options=(Option("cream", "Cream", 50),)), ANNA)
    cart.wait(PRICE_TTL_MS)
    fresh = Price(line_id="2", unit_price_minor=300, options=(Option("cream", "Cream", 80),))
    cart.do(Reprice((fresh, Price(line_id="9", unit_price_minor=1))), SYSTEM)
    notice = cart.view()["notices"]["repriced:2"]
    assert (notice["old_unit_price"]["amount"], notice["new_unit_price"]["amount"]) == (350, 380)


def test_products_come_and_go_at_any_time(cart):
    cart.do(Reprice((Price(line_id="1", available=False),)), SYSTEM)
    view = cart.view()
    assert view["lines"]["1"]["unavailable"] is True
    assert view["notices"]["unavailable:1"] == {"code": "unavailable", "line_id": "1"}
    cart.do(Reprice((Price(line_id="1", unit_price_minor=400),)), SYSTEM)
    assert cart.view()["notices"] == {}


def test_adding_a_product_again_shows_that_it_is_available(cart):
    cart.do(Reprice((Price(line_id="1", available=False),)), SYSTEM)
    cart.do(add(), ANNA)
    assert cart.view()["notices"] == {}


def test_adding_to_a_line_keeps_its_price_until_that_is_too_old(cart):
    cart.do(add(price=450), ANNA)
    assert cart.view()["total"]["amount"] == 1200
    cart.wait(PRICE_TTL_MS)
    cart.do(add(price=450), ANNA)
    view = cart.view()
    assert view["total"]["amount"] == 1800
    assert "repriced:1" in view["notices"]


def test_an_idle_cart_is_abandoned_and_any_command_revives_it(cart):
    cart.wait(ABANDON_AFTER_MS)
    assert cart.view()["status"] == "abandoned"
    assert cart.reminders == {}
    decision = cart.do(SetQuantity("1", 2), ANNA)
    assert decision.events == (Revived(),)
    assert cart.view()["status"] == "open"
    assert cart.reminders == {"abandon": cart.now_ms + ABANDON_AFTER_MS}
    cart.wait(ABANDON_AFTER_MS)
    cart.do(add("tea"), ANNA)
    assert cart.view()["lines_count"] == 2


def test_the_abandonment_timer_is_not_written_by_every_command(cart):
    armed = dict(cart.reminders)
    cart.wait(ABANDON_AFTER_MS // 2)
    decision = cart.do(add(), ANNA)
    assert decision.reminders == ()
    assert cart.reminders == armed
    cart.wait(ABANDON_AFTER_MS // 2)
    assert cart.view()["status"] == "open"
    assert cart.reminders == {"abandon": START_MS + ABANDON_AFTER_MS * 3 // 2}
    cart.wait(ABANDON_AFTER_MS // 2)
    assert cart.view()["status"] == "abandoned"


def test_a_timer_that_comes_again_is_ignored(cart):
    cart.wait(ABANDON_AFTER_MS)
    assert cart.fire("abandon") == NOTHING
    assert cart.fire("unknown") == NOTHING
    assert Desk(CartKind(), "never-created").fire("abandon") == NOTHING


def test_a_cart_being_ordered_is_not_abandoned(cart):
    cart.do(BeginCheckout("order-1"), ANNA)
    cart.wait(3 * ABANDON_AFTER_MS)
    assert cart.view()["status"] == "checking_out"
    cart.do(CancelCheckout("order-1"), SYSTEM)
    cart.wait(2 * ABANDON_AFTER_MS)
    assert cart.view()["status"] == "abandoned"


def test_an_abandoned_cart_may_be_ordered_at_prices_of_now(cart):
    cart.wait(ABANDON_AFTER_MS)
    assert refused(cart, BeginCheckout("order-1")).code == "prices_expired"
    cart.do(Reprice((Price(line_id="1", unit_price_minor=410),)), SYSTEM)
    assert cart.view()["status"] == "abandoned"
    cart.do(BeginCheckout("order-1"), ANNA)
    assert cart.view()["status"] == "checking_out"
