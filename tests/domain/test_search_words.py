"""Words of names, and what finds them."""

from hypothesis import given
from hypothesis import strategies as st

from domain.search_words import PREFIX_MAX, PREFIX_MIN, beginnings_of, words_of


def test_words_have_no_case_accents_or_punctuation():
    assert words_of("Dr. Zoë GROß-Nuñez, zoe") == ["dr", "zoe", "gross", "nunez"]
    assert words_of("Ｆｕｌｌ ｗｉｄｔｈ İstanbul") == ["full", "width", "istanbul"]  # noqa: RUF001 - compatibility forms
    assert words_of("王小明") == ["王小明"]
    assert words_of(" ,.-_") == []


def test_long_words_are_found_by_three_characters_and_more_short_ones_whole():
    assert beginnings_of("Bo Ada Marie") == ["bo", "ada", "mar", "mari", "marie"]


@given(st.text(max_size=60))
def test_every_beginning_of_a_words_own_search_is_found(name):
    kept = set(beginnings_of(name))
    for word in words_of(name):
        for length in range(min(PREFIX_MIN, len(word)), len(word) + 1):
            assert set(words_of(word[:length])) <= kept or len(word[:length]) < PREFIX_MIN


@given(st.text(max_size=200))
def test_the_index_of_a_name_is_bounded(name):
    assert all(1 <= len(each) <= PREFIX_MAX for each in beginnings_of(name))
    assert words_of(" ".join(words_of(name))) == words_of(name)
