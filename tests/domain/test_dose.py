"""Doses are exact: text to thousandths and back, and nothing else passes."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.dose import (
    DOSE_THOUSANDTHS_MAX,
    check_dose,
    check_dose_and_unit,
    check_unit,
    dose_text,
    thousandths_of,
)
from domain.errors import Invalid

THOUSANDTHS = st.integers(1, DOSE_THOUSANDTHS_MAX)


@given(THOUSANDTHS)
def test_a_dose_survives_its_text(thousandths):
    text = dose_text(thousandths)
    assert check_dose(text, "dose") == thousandths_of(text) == thousandths
    assert Decimal(text) * 1_000 == thousandths


@given(st.decimals(min_value="0.001", max_value="10000", places=3))
def test_every_spelling_of_a_dose_is_the_same_dose(value):
    assert check_dose(f"{value:.3f}", "dose") == int(value * 1_000)
    assert Decimal(dose_text(check_dose(str(value), "dose"))) == value


def test_a_dose_has_one_text() -> None:
    assert [dose_text(check_dose(text, "dose")) for text in ("2.50", "010", "0.025", "10000")] == [
        "2.5",
        "10",
        "0.025",
        "10000",
    ]
    assert check_dose_and_unit("2.50 U", "value") == "2.5 U"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "required"),
        ("0", "out_of_range"),
        ("0.000", "out_of_range"),
        ("10000.001", "out_of_range"),
        ("-5", "malformed"),
        ("+5", "malformed"),
        ("2.5000", "malformed"),
        ("2,5", "malformed"),
        (".5", "malformed"),
        ("5.", "malformed"),
        ("1e3", "malformed"),
        (" 5", "malformed"),
        ("5\n", "malformed"),
        ("NaN", "malformed"),
        ("\u0665", "malformed"),
        ("1" * 10, "malformed"),
    ],
)
def test_what_is_no_dose_above_zero_is_refused(text, code):
    with pytest.raises(Invalid) as refused:
        check_dose(text, "dose")
    assert [(error.path, error.code) for error in refused.value.failure.errors] == [("dose", code)]


@pytest.mark.parametrize(("text", "code"), [("", "required"), ("u", "unknown_unit"), ("IU", "unknown_unit")])
def test_a_unit_is_one_of_two(text, code):
    with pytest.raises(Invalid) as refused:
        check_unit(text, "unit")
    assert refused.value.failure.errors[0].code == code


@pytest.mark.parametrize("text", ["2.5", "2.5U", "2.5 U ", "U 2.5", "2.5  U", "0 U", "2.5 IU", ""])
def test_a_dose_with_its_unit_is_exactly_that(text):
    with pytest.raises(Invalid):
        check_dose_and_unit(text, "value")
