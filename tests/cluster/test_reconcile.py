"""The demo's verdict must catch whatever a broken backend could do to a basket."""

from collections import Counter
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cluster.demo.baskets import Basket, sample_baskets
from cluster.demo.ledger import Bought, Ledger, Timings
from cluster.demo.reconcile import Found, Verdict, reconcile

BASKETS = sample_baskets(12)


def _ledger(baskets: Sequence[Basket] = BASKETS) -> Ledger:
    ledger = Ledger()
    for basket in baskets:
        ledger.bought[basket.number] = Bought(f"cart-{basket.number}")
        for item in basket.items:
            ledger.line(basket.number, item)
        ledger.order(basket.number, f"order-{basket.number}", basket.total_minor)
    return ledger


def _orders(baskets: Sequence[Basket] = BASKETS) -> list[Found]:
    return [
        Found(f"order-{basket.number}", f"cart-{basket.number}", dict(basket.wanted), basket.total_minor, "placed")
        for basket in baskets
    ]


def _changed(order: Found, **fields: object) -> Found:
    return msgspec.structs.replace(order, **fields)


def _verdict(api: list[Found], journal: list[Found] | None = None, ledger: Ledger | None = None) -> Verdict:
    return reconcile(BASKETS, ledger or _ledger(), api, _orders() if journal is None else journal)


def test_three_counts_that_agree_with_the_file_are_clean() -> None:
    verdict = _verdict(_orders())
    assert verdict.clean
    assert (verdict.lost, verdict.duplicated, verdict.problems) == (0, 0, ())
    assert {count.orders for count in verdict.counts} == {12}
    assert {count.total_minor for count in (verdict.expected, *verdict.counts)} == {verdict.expected.total_minor}


def test_an_order_that_the_api_does_not_return_is_lost() -> None:
    verdict = _verdict(_orders()[1:])
    assert not verdict.clean
    assert verdict.lost == 1
    assert "api: basket 0" in verdict.problems[0]


def test_an_order_that_the_journal_does_not_hold_is_lost() -> None:
    verdict = _verdict(_orders(), journal=_orders()[:-1])
    assert (verdict.clean, verdict.lost) == (False, 1)


def test_a_basket_never_acknowledged_is_lost() -> None:
    ledger = _ledger(BASKETS[:-1])
    ledger.bought[11] = Bought("cart-11")
    assert _verdict(_orders(), ledger=ledger).lost == 1


def test_a_second_order_of_one_cart_is_a_duplicate() -> None:
    twice = [*_orders(), _changed(_orders()[3], order_id="order-again")]
    verdict = _verdict(twice)
    assert (verdict.clean, verdict.lost, verdict.duplicated) == (False, 0, 1)


def test_the_same_order_placed_twice_in_the_journal_is_a_duplicate() -> None:
    verdict = _verdict(_orders(), journal=[*_orders(), _orders()[5]])
    assert (verdict.clean, verdict.duplicated) == (False, 1)


def test_an_order_of_an_unknown_cart_is_a_duplicate() -> None:
    verdict = _verdict([*_orders(), _changed(_orders()[0], order_id="o", cart_id="another cart")])
    assert (verdict.clean, verdict.duplicated) == (False, 1)


def test_a_line_counted_twice_is_wrong() -> None:
    orders = _orders()
    item = next(iter(orders[2].items))
    orders[2] = _changed(orders[2], items=orders[2].items | {item: orders[2].items[item] + 1})
    verdict = _verdict(orders)
    assert not verdict.clean
    assert verdict.counts[1].wrong == 1
    assert item in verdict.problems[0]


def test_a_line_that_is_missing_or_not_from_the_file_is_wrong() -> None:
    orders = _orders()
    orders[0] = _changed(orders[0], items=dict(list(orders[0].items.items())[1:]))
    orders[1] = _changed(orders[1], items=orders[1].items | {"caviar": 1})
    assert _verdict(orders).counts[1].wrong == 2


def test_a_total_that_is_not_the_sum_of_the_prices_is_wrong() -> None:
    orders = _orders()
    orders[4] = _changed(orders[4], total_minor=orders[4].total_minor + 1)
    verdict = _verdict(_orders(), journal=orders)
    assert (verdict.clean, verdict.counts[2].wrong) == (False, 1)


def test_a_delivery_that_was_acknowledged_must_still_be_one() -> None:
    ledger = _ledger()
    ledger.delivered["order-3"] = 9
    assert not _verdict(_orders(), ledger=ledger).clean
    orders = _orders()
    orders[3] = _changed(orders[3], status="delivered")
    assert _verdict(orders, ledger=ledger).clean


def test_requests_without_an_answer_spoil_the_verdict() -> None:
    assert not reconcile(BASKETS, _ledger(), _orders(), _orders(), unfinished=1).clean


@given(st.data())
def test_any_single_change_to_any_count_is_caught(data: st.DataObject) -> None:
    orders = _orders()
    at = data.draw(st.integers(0, len(orders) - 1))
    order = orders[at]
    changes = {
        "drop": [],
        "double": [order, order],
        "more": [_changed(order, items=dict(Counter(order.items) + Counter([next(iter(order.items))])))],
        "dearer": [_changed(order, total_minor=order.total_minor + 10)],
    }
    orders[at : at + 1] = changes[data.draw(st.sampled_from(sorted(changes)))]
    in_journal = data.draw(st.booleans())
    assert not (_verdict(_orders(), journal=orders) if in_journal else _verdict(orders)).clean


def test_the_longest_pause_counts_requests_that_were_under_way_at_the_moment() -> None:
    timings = Timings()
    timings.add(0.0, 0.9)
    timings.add(1.0, 3.0)
    timings.add(2.5, 2.6)
    timings.add(9.0, 20.0)
    assert timings.longest_ms(2.0, 5.0) == 2_000.0
    assert timings.percentiles_ms(0.5) == [2_000.0]
    assert timings.between(0.0, 3.0) == 2
