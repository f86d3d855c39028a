"""The status table, whole: from every status to every other by everyone, against rules said in another way."""

import itertools

import msgspec
import pytest

from actors.order_commands import Cancel, SetStatus
from actors.order_state import StatusChanged
from actors.order_status import MOVERS, TERMINAL, TRANSITIONS, Fulfilment, OrderStatus
from actors.runtime.entity import SYSTEM, Actor
from domain.errors import Conflict, Forbidden, Invalid, Rejected
from tests.actors.test_order import ANNA, RIDER, STAFF, new_order, refused

SENDERS = {"owner": ANNA, "merchant": STAFF, "courier": RIDER, "system": SYSTEM}

EVERY = """
    pending_payment  placed           system
    pending_payment  expired          system
    pending_payment  cancelled        owner system
    placed           cancelled        owner system
"""
GOODS = """
    placed           accepted         merchant
    placed           rejected         merchant system
    accepted         preparing        merchant
    accepted         cancelled        merchant system
    preparing        ready            merchant
    preparing        cancelled        merchant system
    ready            cancelled        merchant system
"""
ALLOWED = {
    "delivery": EVERY
    + GOODS
    + """
    ready            picked_up        courier
    picked_up        out_for_delivery courier
    out_for_delivery delivered        courier
    delivered        completed        owner merchant system
    """,
    "collection": EVERY
    + GOODS
    + """
    ready            collected        merchant
    collected        completed        owner merchant system
    """,
    "tickets": EVERY
    + """
    placed           fulfilled        system
    """,
}


def table(fulfilment):
    lines = (line.split() for line in ALLOWED[fulfilment].splitlines() if line.strip())
    return {(source, to): set(who) for source, to, *who in lines}


def order_in(status, fulfilment="delivery"):
    """An order with its courier, put into a status as its journal would."""
    desk = new_order(fulfilment=Fulfilment(fulfilment))
    desk.state = msgspec.structs.replace(desk.state, status=OrderStatus(status), courier_id="rita")
    return desk


CASES = [
    (fulfilment, status.value, to.value, who)
    for fulfilment in ("delivery", "collection", "tickets")
    for status, to, who in itertools.product(OrderStatus, OrderStatus, SENDERS)
]


def outcome(fulfilment, status, to, who):
    desk = order_in(status, fulfilment)
    try:
        decision = desk.do(SetStatus(to=to, reason="because"), SENDERS[who])
    except Rejected as error:
        return type(error)
    if not decision.events:
        return "no-op"
    assert desk.state.status.value == to
    return "moved"


def test_every_transition_is_made_only_by_those_permitted():
    wrong = []
    for fulfilment, status, to, who in CASES:
        allowed = table(fulfilment)
        ever = set().union(
            *(parties for name in ALLOWED for (_, target), parties in table(name).items() if target == to)
        )
        if who not in ever:
            expected = Forbidden
        elif status == to:
            expected = "no-op"
        elif (status, to) not in allowed:
            expected = Conflict
        else:
            expected = "moved" if who in allowed[status, to] else Conflict
        got = outcome(fulfilment, status, to, who)
        if got != expected:
            wrong.append((fulfilment, status, to, who, got, expected))
    assert wrong == []


def test_no_path_leaves_a_terminal_status_or_comes_back():
    assert not [source for source, _ in TRANSITIONS if source in TERMINAL]
    order = list(OrderStatus)
    reachable = {status: {to for source, to in TRANSITIONS if source is status} for status in order}

    def visit(status, path):
        assert status not in path
        for to in reachable[status]:
            visit(to, (*path, status))

    visit(OrderStatus.PENDING_PAYMENT, ())
    assert {to for _, to in TRANSITIONS} | {OrderStatus.PENDING_PAYMENT} == set(order)
    assert {s for s in order if not reachable[s]} == TERMINAL
    assert MOVERS[OrderStatus.PENDING_PAYMENT] == frozenset()


def test_the_whole_way_of_a_delivery_is_stamped():
    order = order_in("placed")
    way = ["accepted", "preparing", "ready", "picked_up", "out_for_delivery", "delivered", "completed"]
    for status in way:
        who = RIDER if status in {"picked_up", "out_for_delivery", "delivered"} else STAFF
        order.wait(1000)
        order.do(SetStatus(to=status, from_=order.state.status.value), who, device=f"of-{who.subject}")
    timeline = order.view()["timeline"]
    assert list(timeline) == ["placed", *way]
    assert timeline["picked_up"] == {"at": "2026-01-01T00:00:04.000Z", "by": "rita", "device": "of-rita"}


def test_a_stale_from_is_a_conflict_that_says_the_current_status():
    order = order_in("preparing")
    failure = refused(order, SetStatus(to="ready", from_="accepted"), STAFF)
    assert (failure.code, failure.extra) == ("conflict", {"current": "preparing"})


def test_being_there_already_is_a_no_op_whatever_from_says():
    order = order_in("ready")
    assert order.do(SetStatus(to="ready", from_="preparing"), STAFF).events == ()


def test_an_impossible_step_says_the_current_status():
    failure = refused(order_in("accepted"), SetStatus(to="ready"), STAFF)
    assert (failure.code, failure.extra) == ("invalid_transition", {"current": "accepted"})


@pytest.mark.parametrize("to", ["", "ACCEPTED", "lost"])
def test_an_unknown_status_is_invalid(to):
    assert refused(order_in("placed"), SetStatus(to=to), STAFF, Invalid).errors[0].path == "to"


@pytest.mark.parametrize("status", ["pending_payment", "placed"])
def test_the_owner_cancels_before_acceptance_without_saying_why(status):
    order = order_in(status)
    order.do(Cancel(), ANNA)
    assert order.view()["status"] == "cancelled"
    assert order.do(Cancel(), ANNA).events == ()


@pytest.mark.parametrize("status", ["accepted", "preparing", "ready"])
def test_after_acceptance_only_the_merchant_cancels_and_says_why(status):
    order = order_in(status)
    assert refused(order, Cancel("changed my mind"), ANNA, Conflict).extra == {"current": status}
    refused(order, Cancel(), STAFF, Invalid)
    assert order.do(Cancel("oven broke"), STAFF).events == (
        StatusChanged(from_=OrderStatus(status), to=OrderStatus.CANCELLED, reason="oven broke"),
    )


@pytest.mark.parametrize("status", ["picked_up", "out_for_delivery", "delivered", "collected", "completed"])
@pytest.mark.parametrize("who", ["owner", "merchant", "system"])
def test_nobody_cancels_after_pick_up(status, who):
    assert refused(order_in(status), Cancel("x"), SENDERS[who]).extra == {"current": status}


def test_a_courier_of_another_order_moves_nothing():
    order = order_in("ready")
    order.state = msgspec.structs.replace(order.state, courier_id="")
    refused(order, SetStatus(to="picked_up"), RIDER, Forbidden)


def test_who_is_owner_and_staff_at_once_may_do_what_either_may():
    both = Actor("anna", ("customer", "merchant_staff"), ("m1",))
    order = order_in("placed")
    order.do(Cancel(), both)
    assert order.view()["status"] == "cancelled"
    order = order_in("placed")
    order.do(SetStatus(to="accepted"), both)
