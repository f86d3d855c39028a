"""Times, positions, texts and lines."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.geo import check_position, distance_m
from domain.lines import Line, Option, line_total, same_choice, subtotal, unit_total
from domain.text import ID_LENGTH_MAX, check_id, check_text
from domain.times import from_datetime, from_rfc3339, to_datetime, to_rfc3339

MOMENTS = st.integers(-62_135_596_800_000, 253_402_300_799_999)
LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)


@given(MOMENTS)
def test_a_time_survives_its_text_to_the_millisecond(ms):
    assert from_rfc3339(to_rfc3339(ms)) == ms
    assert from_datetime(to_datetime(ms)) == ms


@given(MOMENTS, MOMENTS)
def test_texts_of_times_sort_like_times(a, b):
    assert (to_rfc3339(a) < to_rfc3339(b)) == (a < b)


def test_an_offset_is_understood():
    assert from_rfc3339("2026-03-01T10:30:00.250+01:00") == from_rfc3339("2026-03-01T09:30:00.250Z")
    assert to_rfc3339(0) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-01T10:30:00", "20260301T103000Z", "", "soon", "x" * 20])
def test_what_names_no_moment_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the parser of the standard library words some of them
        from_rfc3339(text)


def test_a_naive_datetime_is_refused():
    with pytest.raises(ValueError, match="offset"):
        from_datetime(datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))


@pytest.mark.parametrize(
    ("lat", "lon", "path"),
    [(90.1, 0, "lat"), (-91, 0, "lat"), (0, 180.5, "lon"), (math.nan, 0, "lat"), (0, math.inf, "lon")],
)
def test_a_position_off_the_earth_is_invalid(lat, lon, path):
    with pytest.raises(Invalid) as caught:
        check_position(lat, lon)
    assert caught.value.failure.errors[0].path == path


def test_known_distances():
    assert distance_m(52.5200, 13.4050, 48.1372, 11.5756) == pytest.approx(504_000, rel=0.005)
    assert distance_m(0, 179.999, 0, -179.999) == pytest.approx(222, rel=0.01)
    assert distance_m(0, 0, 0, 180) == pytest.approx(math.pi * 6_371_008.8)


@given(LATITUDES, LONGITUDES, LATITUDES, LONGITUDES)
def test_distance_is_symmetric_and_bounded(lat_a, lon_a, lat_b, lon_b):
    there = distance_m(lat_a, lon_a, lat_b, lon_b)
    assert there == pytest.approx(distance_m(lat_b, lon_b, lat_a, lon_a), abs=1e-6)
    assert 0 <= there <= 20_015_200


@pytest.mark.parametrize("text", ["a\x00b", "\x1b[31m", "\x7f", "\x85", "\ud800"])
def test_control_characters_and_surrogates_are_refused(text):
    with pytest.raises(Invalid) as caught:
        check_text(text, "name", length_max=10)
    assert caught.value.failure.errors[0].code == "control_character"


@pytest.mark.parametrize("text", ["", "two\nlines\tand a tab", "no\u00a0break", "日本語 🍜", "👩‍🍳"])
def test_text_for_people_passes(text):
    assert check_text(text, "name", length_max=30) == text


def test_too_long_and_empty_texts_are_refused():
    with pytest.raises(Invalid):
        check_text("abc", "name", length_max=2)
    with pytest.raises(Invalid):
        check_text("  ", "name", length_max=2, required=True)


@pytest.mark.parametrize("text", ["", "a b", "a\nb", "x" * (ID_LENGTH_MAX + 1), "\u00a0"])
def test_an_id_is_one_printable_word(text):
    with pytest.raises(Invalid):
        check_id(text, "id")


def test_an_optional_id_may_be_empty():
    assert check_id("", "id", required=False) == ""
    assert check_id("guest:0190", "id") == "guest:0190"


def test_options_count_for_every_unit_of_a_line():
    options = (Option("l", "Large", 150), Option("x", "Extra", 50))
    line = Line(line_id="1", product_id="p", name="Soup", unit_price_minor=400, quantity=3, options=options)
    plain = Line(line_id="2", product_id="p", name="Soup", unit_price_minor=400, quantity=1)
    assert unit_total(line) == 600
    assert line_total(line) == 1800
    assert subtotal([line, plain]) == 2200


def test_the_same_choice_disregards_the_order_and_the_prices_of_options():
    line = Line(
        line_id="1",
        product_id="p",
        name="Soup",
        unit_price_minor=400,
        quantity=3,
        options=(Option("a", "A", 1), Option("b", "B", 2)),
        instructions="hot",
    )
    other = (Option("b", "B", 9), Option("a", "A", 9))
    assert same_choice(line, "p", other, "hot")
    assert not same_choice(line, "p", other, "")
    assert not same_choice(line, "q", other, "hot")
    assert not same_choice(line, "p", other[:1], "hot")
