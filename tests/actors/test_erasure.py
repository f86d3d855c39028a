"""What carts and orders forget of a person (rule P1): state and journal agree, money and times stay."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from actors import cart_erasure, order_erasure
from actors.cart import CartKind
from actors.cart_commands import AddLine, BeginCheckout, CompleteCheckout, Create, Delete, Terms
from actors.cart_commands import Erase as EraseCart
from actors.order_commands import Address, AssignCourier, Cancel, Erase, ReportPosition, SetStatus, Whose
from actors.order_history import history_entry
from actors.runtime.entity import NOTHING, SYSTEM
from domain.errors import Conflict, Forbidden, NotFound
from tests.actors.desk import Desk
from tests.actors.test_order import ANNA, RIDER, STAFF, new_order

ADDRESS = Address(line1="1 High St", city="Dublin", country="IE")
PERSONAL = ("High St", "ring twice", "my knee", "allergic", "53.3", "-6.2")


def delivered() -> Desk[Any]:
    desk = new_order(instructions="ring twice")
    for status in ("accepted", "preparing", "ready"):
        desk.do(SetStatus(to=status), STAFF)
    desk.do(AssignCourier("rita"), STAFF)
    desk.do(SetStatus(to="picked_up"), RIDER)
    desk.do(SetStatus(to="out_for_delivery"), RIDER)
    desk.do(ReportPosition(lat=53.34, lon=-6.26), RIDER)
    desk.do(SetStatus(to="delivered"), RIDER)
    desk.do(SetStatus(to="completed"), SYSTEM)
    return desk


def ordered_cart() -> Desk[Any]:
    desk = Desk(CartKind(), "cart-1")
    desk.do(Create("EUR", "m1"), ANNA)
    line = AddLine(
        product_id="soup",
        name="Soup",
        unit_price_minor=400,
        currency="EUR",
        merchant_id="m1",
        instructions="allergic to nuts",
    )
    desk.do(line, ANNA)
    desk.do(BeginCheckout("order-1", terms=Terms(address=ADDRESS, instructions="ring twice")), ANNA)
    return desk


def rewritten(desk: Desk[Any], redact: Callable[[Any], Any]) -> Any:
    """The state that the journal gives once each event of it has been redacted."""
    state = None
    for event, meta in _events(desk):
        state = desk.kind.apply(state, redact(event), meta)
    return state


def _events(desk: Desk[Any]) -> list[tuple[Any, Any]]:
    decoder = desk._events
    return [(event, meta) for payload, meta in desk.journal for event in decoder.decode(payload)]


def test_an_erased_order_keeps_lines_money_and_times_and_nothing_personal() -> None:
    desk = delivered()
    before = desk.view()
    for whose in Whose:
        desk.do(Erase(whose), SYSTEM)
    after = desk.view()
    gone = {"address", "instructions", "position"}
    assert {name for name in before if name not in after} == gone
    kept = {name: value for name, value in before.items() if name not in {*gone, "version", "lines"}}
    assert {name: after[name] for name in kept} == kept
    assert desk.replayed() == desk.state


@pytest.mark.parametrize("whose", list(Whose))
def test_the_redacted_journal_of_an_order_gives_the_same_state(whose: Whose) -> None:
    desk = delivered()
    desk.do(Erase(whose), SYSTEM)
    assert rewritten(desk, lambda event: order_erasure.redacted(event, whose)) == desk.state


def test_nothing_personal_is_left_in_the_redacted_journals() -> None:
    desk, cart = delivered(), ordered_cart()
    texts = [
        msgspec.json.encode(order_erasure.redacted(order_erasure.redacted(event, Whose.CUSTOMER), Whose.COURIER))
        for event, _ in _events(desk)
    ]
    texts += [msgspec.json.encode(cart_erasure.redacted(event)) for event, _ in _events(cart)]
    everything = b"".join(texts).decode()
    assert not [word for word in PERSONAL if word in everything]
    assert any(word in desk.journal[0][0].decode("latin-1") for word in PERSONAL)


def test_a_second_erasure_changes_nothing() -> None:
    desk = delivered()
    for whose in Whose:
        desk.do(Erase(whose), SYSTEM)
        assert desk.do(Erase(whose), SYSTEM) == NOTHING
    cart = ordered_cart()
    cart.do(CompleteCheckout("order-1"), SYSTEM)
    cart.do(EraseCart(), SYSTEM)
    assert cart.do(EraseCart(), SYSTEM) == NOTHING


def test_a_reason_that_was_given_goes_with_the_customer() -> None:
    desk = new_order()
    desk.do(Cancel("my knee hurts"), ANNA)
    desk.do(Erase(Whose.CUSTOMER), SYSTEM)
    assert "reason" not in desk.view()
    entries = [history_entry(event, meta) for event, meta in _events(desk)]
    assert (entries[-1].type, entries[-1].by) == ("erased", "system")


def test_an_order_that_is_not_closed_is_not_erased() -> None:
    with pytest.raises(Conflict) as refused:
        new_order().do(Erase(Whose.CUSTOMER), SYSTEM)
    assert refused.value.failure.code == "order_open"


def test_only_the_system_erases() -> None:
    with pytest.raises(Forbidden):
        delivered().do(Erase(Whose.CUSTOMER), ANNA)
    with pytest.raises(Forbidden):
        ordered_cart().do(EraseCart(), ANNA)
    with pytest.raises(NotFound):
        ordered_cart().do(EraseCart(), STAFF)


def test_an_erased_cart_is_empty_and_given_up() -> None:
    desk = Desk(CartKind(), "cart-1")
    desk.do(Create("EUR", "m1"), ANNA)
    desk.do(EraseCart(), SYSTEM)
    assert not desk.sees(ANNA)
    assert desk.reminders == {}
    assert desk.replayed() == desk.state


def test_an_ordered_cart_stays_converted_and_one_being_ordered_waits() -> None:
    desk = ordered_cart()
    with pytest.raises(Conflict):
        desk.do(EraseCart(), SYSTEM)
    desk.do(CompleteCheckout("order-1"), SYSTEM)
    desk.do(EraseCart(), SYSTEM)
    assert (desk.view()["status"], desk.view()["lines"]) == ("converted", {})
    assert rewritten(desk, cart_erasure.redacted) == desk.state


def test_a_deleted_cart_that_is_erased_stays_deleted() -> None:
    desk = Desk(CartKind(), "cart-1")
    desk.do(Create("EUR", "m1"), ANNA)
    desk.do(Delete(), ANNA)
    assert desk.do(EraseCart(), SYSTEM) == NOTHING
