from hypothesis import given
from hypothesis import strategies as st

from loadtests.customer import reconcile

_COUNTS = st.integers(0, 50)


def test_what_was_acknowledged_and_is_missing_is_lost_although_another_cart_has_more():
    found = reconcile([10, 10], [0, 0], [9, 11])
    assert (found.acknowledged, found.lost, found.duplicated) == (20, 1, 1)


@given(st.lists(st.tuples(_COUNTS, _COUNTS, st.booleans()), min_size=1))
def test_an_unanswered_request_is_neither_lost_nor_duplicated_whether_it_happened_or_not(carts):
    acknowledged = [acked for acked, _, _ in carts]
    unresolved = [unknown for _, unknown, _ in carts]
    present = [acked + (unknown if happened else 0) for acked, unknown, happened in carts]
    found = reconcile(acknowledged, unresolved, present)
    assert (found.lost, found.duplicated) == (0, 0)


@given(_COUNTS, _COUNTS, _COUNTS)
def test_a_cart_is_never_both_short_and_over(acked, unknown, there):
    found = reconcile([acked], [unknown], [there])
    assert found.lost == 0 or found.duplicated == 0
    assert (found.lost > 0) == (there < acked)
