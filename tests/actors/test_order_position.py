"""The courier's position: a signal each time, a journaled sample now and then."""

import math

import pytest

from actors.order_commands import AssignCourier, ReportPosition, SetStatus
from actors.order_history import history_entry
from actors.order_state import CLOCK_AHEAD_MS_MAX, PositionSampled
from actors.runtime.entity import NOTHING
from domain.errors import Forbidden, Invalid, NotFound
from domain.times import to_rfc3339
from tests.actors.test_order import ANNA, RIDER, SECOND, STAFF, advance, new_order, refused

METRE = 1 / 111_195
"""Degrees of latitude."""


def here(metres=0.0, **fields):
    return ReportPosition(lat=50 + metres * METRE, lon=8.5, **fields)


@pytest.fixture
def order():
    desk = new_order()
    advance(desk, "accepted")
    desk.do(AssignCourier("rita"), STAFF)
    advance(desk, "preparing", "ready", "picked_up")
    return desk


def sampled(order):
    return [event for event in order.events() if isinstance(event, PositionSampled)]


def test_every_report_is_a_signal_and_few_are_journaled(order):
    for second in range(61):
        decision = order.do(here(second, accuracy_m=5.0, heading=90.0), RIDER)
        assert [s.name for s in decision.signals] == ["position"]
        order.wait(1000)
    assert len(sampled(order)) == 3
    assert order.view()["position"] == {
        "lat": pytest.approx(50 + 60 * METRE),
        "lon": 8.5,
        "at": to_rfc3339(order.now_ms - 1000),
        "accuracy_m": 5.0,
        "heading": 90.0,
    }


def test_a_far_position_is_journaled_at_once(order):
    order.do(here(), RIDER)
    order.wait(1000)
    order.do(here(249), RIDER)
    assert len(sampled(order)) == 1
    order.wait(1000)
    order.do(here(251), RIDER)
    assert len(sampled(order)) == 2


def test_without_its_signal_the_view_shows_the_last_sample(order):
    order.do(here(), RIDER)
    order.wait(1000)
    order.do(here(100), RIDER)
    order.signals.clear()
    assert order.view()["position"]["lat"] == 50
    assert order.replayed() == order.state


def test_a_position_out_of_order_changes_nothing(order):
    order.wait(60_000)
    order.do(here(), RIDER)
    assert order.do(here(500, at_ms=order.now_ms - 1000), RIDER) == NOTHING
    assert order.do(here(500), RIDER) == NOTHING


def test_a_clock_that_runs_ahead_is_set_right(order):
    order.do(here(at_ms=order.now_ms + CLOCK_AHEAD_MS_MAX + 1), RIDER)
    assert sampled(order)[0].at_ms == order.now_ms
    order.wait(1000)
    order.do(here(300, at_ms=order.now_ms + 500), RIDER)
    assert sampled(order)[1].at_ms == order.now_ms + 500


def test_only_the_orders_courier_reports(order):
    refused(order, here(), ANNA, Forbidden)
    refused(order, here(), STAFF, Forbidden)
    refused(order, here(), SECOND, NotFound)


def test_positions_count_only_on_the_way(order):
    advance(order, "out_for_delivery")
    order.do(here(), RIDER)
    advance(order, "delivered")
    failure = refused(order, here(100), RIDER)
    assert (failure.code, failure.extra) == ("not_on_the_way", {"current": "delivered"})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"lat": 91.0, "lon": 0.0}, "lat"),
        ({"lat": 0.0, "lon": math.nan}, "lon"),
        ({"lat": 0.0, "lon": 0.0, "accuracy_m": -1.0}, "accuracy_m"),
        ({"lat": 0.0, "lon": 0.0, "accuracy_m": math.inf}, "accuracy_m"),
        ({"lat": 0.0, "lon": 0.0, "heading": 361.0}, "heading"),
        ({"lat": 0.0, "lon": 0.0, "at_ms": -1}, "at_ms"),
    ],
)
def test_an_impossible_position_is_invalid(order, fields, path):
    assert refused(order, ReportPosition(**fields), RIDER, Invalid).errors[0].path == path


def test_a_sample_is_in_the_history_and_not_in_the_index(order):
    row = order.kind.index_row(order.state)
    order.wait(1000)
    order.do(here(), RIDER)
    assert order.kind.index_row(order.state) == row
    entry = history_entry(order.events()[-1], order.journal[-1][1])
    assert (entry.type, entry.by, entry.position.lat) == ("position_sampled", "rita", 50)


def test_status_moves_do_not_touch_the_position(order):
    order.do(here(), RIDER)
    order.do(SetStatus(to="out_for_delivery"), RIDER)
    assert order.view()["position"]["lat"] == 50
