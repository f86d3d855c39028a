import gzip
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.demo.baskets import COLUMNS, load, price_minor, read_baskets, sample_baskets
from cluster.errors import BadSettingsError

ROWS = [
    "1808,21-07-2015,tropical fruit",
    "2552,05-01-2015,whole milk",
    '1808,21-07-2015,"beer, bottled"',
    "2552,05-01-2015,whole milk",
    "1808,22-07-2015,soda",
]


def _csv(tmp_path: Path, *rows: str, head: str = ",".join(COLUMNS)) -> Path:
    path = tmp_path / "baskets.csv"
    path.write_text("\n".join((head, *rows)) + "\n", encoding="utf-8")
    return path


def test_what_a_member_bought_on_a_day_is_one_basket(tmp_path: Path) -> None:
    baskets = read_baskets(_csv(tmp_path, *ROWS))
    assert [(basket.member, basket.day) for basket in baskets] == [
        ("1808", "21-07-2015"),
        ("2552", "05-01-2015"),
        ("1808", "22-07-2015"),
    ]
    assert baskets[0].items == ("tropical fruit", "beer, bottled")
    assert [basket.number for basket in baskets] == [0, 1, 2]


def test_the_same_item_twice_is_a_quantity_of_two(tmp_path: Path) -> None:
    basket = read_baskets(_csv(tmp_path, *ROWS))[1]
    assert basket.wanted == Counter({"whole milk": 2})
    assert basket.total_minor == 2 * price_minor("whole milk")


def test_a_gzip_file_is_known_by_its_content(tmp_path: Path) -> None:
    plain = _csv(tmp_path, *ROWS)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_baskets(packed) == read_baskets(plain)


def test_columns_may_stand_in_any_order_beside_others_and_after_a_byte_order_mark(tmp_path: Path) -> None:
    path = _csv(tmp_path, "x,soda,1,01-01-2014", head="\ufeffnote,itemDescription,Member_number,Date")
    assert read_baskets(path)[0].items == ("soda",)


def test_a_limit_takes_whole_baskets_from_the_front(tmp_path: Path) -> None:
    limited = read_baskets(_csv(tmp_path, *ROWS), limit=2)
    assert limited == read_baskets(_csv(tmp_path, *ROWS))[:2]


@pytest.mark.parametrize(
    ("rows", "head", "said"),
    [
        (["1,2"], "Member_number,Date", "itemDescription"),
        (["1808,21-07-2015,"], ",".join(COLUMNS), "line 2"),
        (["1,2,rice", "1,2," + "x" * 201], ",".join(COLUMNS), "line 3"),
        (["1,2,ri\0ce"], ",".join(COLUMNS), "line 2"),
        ([], ",".join(COLUMNS), "no baskets"),
    ],
)
def test_a_file_that_is_not_of_this_shape_is_named_with_the_reason(
    tmp_path: Path, rows: list[str], head: str, said: str
) -> None:
    with pytest.raises(BadSettingsError, match=said):
        read_baskets(_csv(tmp_path, *rows, head=head))


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.csv.gz"
    damaged.write_bytes(gzip.compress(b"Member_number,Date,itemDescription\n1,2,3\n" * 100)[:-20])
    scrambled = tmp_path / "scrambled.csv.gz"
    scrambled.write_bytes(gzip.compress(b"")[:10] + b"\xff" * 30)
    for path in (tmp_path / "missing.csv", damaged, scrambled):
        with pytest.raises(BadSettingsError, match=path.name):
            read_baskets(path)


def test_the_sample_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert sample_baskets(200) == sample_baskets(200)
    assert sample_baskets(200) != sample_baskets(200, seed=7)


def test_the_sample_has_the_shape_of_the_real_data() -> None:
    baskets = sample_baskets(4_000)
    sizes = Counter(len(basket.items) for basket in baskets)
    assert len({(basket.member, basket.day) for basket in baskets}) == 4_000
    assert 0.60 < sizes[2] / 4_000 < 0.74
    assert 2.4 < sum(len(basket.items) for basket in baskets) / 4_000 < 2.8
    assert any(quantity > 1 for basket in baskets for quantity in basket.wanted.values())


def test_without_a_file_the_sample_is_replayed() -> None:
    assert load(None, None, 30) == sample_baskets(30)
    assert load(None, 5, 30) == sample_baskets(5)


@given(st.text(min_size=1, max_size=40))
def test_a_price_is_fixed_positive_and_ends_in_nine(item: str) -> None:
    assert price_minor(item) == price_minor(item)
    assert 49 <= price_minor(item) <= 1_499
    assert price_minor(item) % 10 == 9
