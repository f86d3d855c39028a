"""The audit trail's chain: whatever single thing is changed in it is found, and where."""

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from storage.audit_chain import MORE, NO_MORE, START, TEXTS, ChainWalk, Head, Link, More, hash_after, parse_head

EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2**50),
        st.tuples(*[st.text(max_size=6)] * len(TEXTS)),
        st.integers(1, 3),
        st.builds(More, st.sampled_from(("", "treatment")), st.sampled_from(("", "g1")), st.binary(max_size=3)),
    ),
    min_size=2,
    max_size=12,
)


def chain(events):
    head, links = START, []
    for at_us, texts, step, more in events:
        position = head.position + step
        head = Head(position, hash_after(head.hash, position, at_us, texts, more))
        links.append(Link(position, at_us, texts, head.hash, more))
    return links


def first_wrong(links, head):
    """The index of the first link that is found wrong; their number, if it is the end that is not `head`."""
    walk = ChainWalk()
    wrong = walk.take(links)
    if wrong is not None:
        assert walk.checked == links.index(wrong)
        return walk.checked
    return None if walk.head == head else len(links)


def end(links):
    return Head(links[-1].position, links[-1].hash)


@given(EVENTS)
def test_an_untouched_chain_is_right(events):
    links = chain(events)
    assert first_wrong(links, end(links)) is None


@given(EVENTS, st.data())
def test_an_altered_event_is_found_where_it_is(events, data):
    links = chain(events)
    at = data.draw(st.integers(0, len(links) - 1))
    was = links[at]
    field = data.draw(st.sampled_from(("at_us", "texts", "hash", "position", *MORE)))
    if field == "at_us":
        new = msgspec.structs.replace(was, at_us=was.at_us + 1)
    elif field == "position":
        new = msgspec.structs.replace(was, position=was.position + data.draw(st.sampled_from((-1, 1))))
    elif field in MORE:
        other = data.draw(st.sampled_from((b"", b"x", b"y") if field == "changes" else ("", "emergency", "g2")))
        assume(other != getattr(was.more, field))
        new = msgspec.structs.replace(was, more=was.more._replace(**{field: other}))
    elif field == "hash":
        new = msgspec.structs.replace(was, hash=was.hash[:-1] + bytes([was.hash[-1] ^ 1]))
    else:
        column = data.draw(st.integers(0, len(TEXTS) - 1))
        texts = list(was.texts)
        texts[column] = data.draw(st.text(max_size=6).filter(lambda text: text != texts[column]))
        new = msgspec.structs.replace(was, texts=tuple(texts))
    changed = [*links[:at], new, *links[at + 1 :]]
    assert first_wrong(changed, end(links)) == at


@given(EVENTS, st.data())
def test_a_removed_event_is_found_at_the_next_one_or_at_the_head(events, data):
    links = chain(events)
    at = data.draw(st.integers(0, len(links) - 1))
    assert first_wrong(links[:at] + links[at + 1 :], end(links)) == at


@given(EVENTS, st.data())
def test_two_exchanged_events_are_found_at_the_first(events, data):
    links = chain(events)
    at = data.draw(st.integers(0, len(links) - 2))
    to = data.draw(st.integers(at + 1, len(links) - 1))
    swapped = list(links)
    # Their places only, and their places with their positions.
    if data.draw(st.booleans()):
        swapped[at], swapped[to] = links[to], links[at]
    else:
        swapped[at] = msgspec.structs.replace(links[to], position=links[at].position)
        swapped[to] = msgspec.structs.replace(links[at], position=links[to].position)
    assert first_wrong(swapped, end(links)) == at


@given(EVENTS, st.data())
def test_an_event_put_in_is_found_there_or_right_behind_it(events, data):
    links = chain(events)
    at = data.draw(st.integers(0, len(links)))
    before = links[at - 1] if at else Link(0, 0, (), START.hash)
    # The best forgery: it follows from the one before.
    position = before.position + 1
    texts = tuple("x" for _ in TEXTS)
    forged = Link(position, 0, texts, hash_after(before.hash, position, 0, texts))
    changed = [*links[:at], forged, *links[at:]]
    if forged in links:
        return
    assert first_wrong(changed, end(links)) in (at, at + 1)


def test_what_an_event_of_before_never_had_cannot_be_put_into_it():
    (link,) = chain([(0, ("x",) * len(TEXTS), 1, NO_MORE)])
    for more in (More("emergency"), More(grant_id="g1"), More(changes=b"x")):
        assert ChainWalk().take([msgspec.structs.replace(link, more=more)]) is not None
    assert ChainWalk().take([link]) is None


def test_texts_are_not_run_together():
    assert hash_after(START.hash, 1, 0, ("ab", "c")) != hash_after(START.hash, 1, 0, ("a", "bc"))


def test_the_form_of_what_is_hashed_stays():
    texts = ("u1", "read", "document", "d1", "o1", "p1", "", "", "", "c1")
    assert hash_after(START.hash, 1, 1_772_357_400_123_000, texts).hex() == (
        "f15b96aac95058ba92d03aab5a46810532bc3e85ea512b515e4f2dd65d34f125"
    )
    more = More("emergency", "g1", b"sealed")
    assert hash_after(START.hash, 1, 1_772_357_400_123_000, texts, more).hex() == (
        "c6b667efc1891eefbac167e00039c5c8db3567062ca08a9cbc71d0c789327ff3"
    )


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_head_is_read_as_it_was_shown(position, digest):
    assert parse_head(f" {Head(position, digest)}\n") == Head(position, digest)


@pytest.mark.parametrize("text", ["", "5", "x:00", "5:00", f"-1:{'00' * 32}", f"5:{'zz' * 32}"])
def test_what_is_no_head_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - of no other call
        parse_head(text)
