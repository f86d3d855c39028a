from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.money import (
    EXPONENTS,
    Money,
    allocate,
    check_currency,
    check_price,
    exponent,
    from_provider,
    round_half_up,
    scale,
    to_provider,
)

AMOUNTS = st.integers(-(10**12), 10**12)
WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30)


@given(AMOUNTS, WEIGHTS)
def test_allocated_parts_always_sum_to_the_whole(total, weights):
    assert sum(allocate(total, weights)) == total


@given(AMOUNTS, WEIGHTS.filter(any))
def test_each_part_is_within_one_unit_of_its_exact_share(total, weights):
    for part, weight in zip(allocate(total, weights), weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1


@given(AMOUNTS, WEIGHTS)
def test_a_refund_is_allocated_like_its_charge(total, weights):
    assert allocate(-total, weights) == [-part for part in allocate(total, weights)]


def test_ties_go_to_the_earlier_part():
    assert allocate(100, [1, 1, 1]) == [34, 33, 33]
    assert allocate(5, [0, 0]) == [3, 2]


@pytest.mark.parametrize("weights", [[], [1, -1]])
def test_nothing_is_allocated_over_impossible_weights(weights):
    with pytest.raises(ValueError, match="weights"):
        allocate(1, weights)


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**6))
def test_rounding_is_to_the_nearest_and_halves_go_away_from_zero(numerator, denominator):
    exact = Fraction(numerator, denominator)
    rounded = round_half_up(numerator, denominator)
    assert abs(rounded - exact) <= Fraction(1, 2)
    if abs(rounded - exact) == Fraction(1, 2):
        assert abs(rounded) > abs(exact)


def test_a_negative_denominator_only_turns_the_sign():
    assert round_half_up(5, -2) == -3


def test_a_line_of_weighed_goods_is_rounded_once():
    assert scale(1999, Decimal("0.350")) == 700
    assert Money(333, "EUR").times(Fraction(1, 2)) == Money(167, "EUR")


def test_amounts_of_one_currency_add_up():
    assert Money(100, "EUR") + Money(50, "EUR") - Money(200, "EUR") == -Money(50, "EUR")
    assert Money(100, "EUR").split([2, 1]) == [Money(67, "EUR"), Money(33, "EUR")]


def test_amounts_of_two_currencies_do_not_add_up():
    with pytest.raises(ValueError, match="EUR and USD"):
        Money(1, "EUR") + Money(1, "USD")


def test_every_currency_is_three_capitals_and_has_up_to_three_digits():
    assert all(len(code) == 3 and code.isupper() for code in EXPONENTS)
    assert set(EXPONENTS.values()) == {0, 2, 3}
    assert (exponent("EUR"), exponent("JPY"), exponent("KWD")) == (2, 0, 3)


def test_a_provider_gets_its_own_exponent():
    assert to_provider(Money(500, "ISK"), "stripe") == 50_000
    assert from_provider(50_000, "ISK", "stripe") == Money(500, "ISK")
    assert to_provider(Money(1250, "EUR"), "stripe") == 1250
    assert to_provider(Money(300, "MGA"), "stripe") == 3
    assert from_provider(3, "MGA", "stripe") == Money(300, "MGA")


def test_an_amount_that_a_provider_cannot_express_is_refused():
    with pytest.raises(ValueError, match="stripe"):
        to_provider(Money(301, "MGA"), "stripe")
    with pytest.raises(ValueError, match="ISK"):
        from_provider(50_001, "ISK", "stripe")


@given(AMOUNTS, st.sampled_from(sorted(EXPONENTS)))
def test_what_goes_to_a_provider_comes_back_the_same(amount, currency):
    whole = Money(amount * 100, currency)
    assert from_provider(to_provider(whole, "stripe"), currency, "stripe") == whole


@pytest.mark.parametrize("code", ["", "eur", "EURO", "XXX"])
def test_an_unknown_currency_is_invalid_by_its_path(code):
    with pytest.raises(Invalid) as caught:
        check_currency(code, "lines.0.currency")
    assert caught.value.failure.errors[0].path == "lines.0.currency"
    assert caught.value.failure.errors[0].code == "unknown_currency"


@pytest.mark.parametrize("amount", [-1, 10**15 + 1])
def test_a_price_out_of_range_is_invalid(amount):
    with pytest.raises(Invalid):
        check_price(amount, "price")
