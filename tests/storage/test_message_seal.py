"""Sealed messages: they open on their channel, once, by whoever has the data key; and in no other case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.crypto import KeyRing, KeySet, TamperedError, UnknownKeyError
from storage.message_seal import OVERHEAD_BYTES, PUBLISHERS_MAX, MessageOpener, MessageSealer, is_sealed

OLD, NEW = b"o" * 32, b"n" * 32
CHANNEL = "atrium:gateway:one"


def ring(current: int = 1, **more: bytes) -> KeyRing:
    return KeyRing(KeySet({1: OLD} | {int(name[1:]): key for name, key in more.items()}, current))


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=5))
def test_what_is_sealed_opens_once_and_in_order_on_its_channel(payloads: list[bytes]) -> None:
    sealer, opener = MessageSealer(ring()), MessageOpener(ring(), CHANNEL)
    sealed = [sealer.seal(payload, CHANNEL) for payload in payloads]
    assert [opener.open(message) for message in sealed] == payloads
    assert all(is_sealed(message) for message in sealed)
    assert [len(message) - OVERHEAD_BYTES for message in sealed] == [len(payload) for payload in payloads]


@given(st.binary(min_size=4, max_size=100))
def test_neither_the_payload_nor_a_repetition_shows(payload: bytes) -> None:
    sealer = MessageSealer(ring())
    first, second = sealer.seal(payload, CHANNEL), sealer.seal(payload, CHANNEL)
    assert payload not in first[30:]
    assert first[30:] != second[30:]


def test_two_publishers_of_one_data_key_have_keys_of_their_own() -> None:
    one, other = MessageSealer(ring()), MessageSealer(ring())
    first, second = one.seal(b"same", CHANNEL), other.seal(b"same", CHANNEL)
    assert first[-20:] != second[-20:]
    opener = MessageOpener(ring(), CHANNEL)
    assert (opener.open(first), opener.open(second)) == (b"same", b"same")


def test_on_another_channel_it_does_not_open() -> None:
    with pytest.raises(TamperedError):
        MessageOpener(ring(), "atrium:gateway:two").open(MessageSealer(ring()).seal(b"x", CHANNEL))


@given(st.data())
def test_with_any_bit_changed_or_any_byte_missing_it_does_not_open(data: st.DataObject) -> None:
    sealed = MessageSealer(ring()).seal(b"clinical", CHANNEL)
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << bit % 8
    for broken in (bytes(changed), sealed[: data.draw(st.integers(0, len(sealed) - 1))]):
        with pytest.raises((TamperedError, UnknownKeyError)):
            MessageOpener(ring(), CHANNEL).open(broken)


@given(st.binary(max_size=120))
def test_anything_else_is_no_sealed_message(garbage: bytes) -> None:
    with pytest.raises((TamperedError, UnknownKeyError)):
        MessageOpener(ring(), CHANNEL).open(garbage)


def test_a_message_that_comes_again_or_after_a_later_one_is_not_given_twice() -> None:
    sealer, opener = MessageSealer(ring()), MessageOpener(ring(), CHANNEL)
    first, second, third = (sealer.seal(text, CHANNEL) for text in (b"1", b"2", b"3"))
    assert [opener.open(one) for one in (first, third, first, second, third)] == [b"1", b"3", None, None, None]


def test_after_a_rotation_it_is_sealed_by_the_new_key_and_older_messages_still_open() -> None:
    keys = KeyRing(KeySet({1: OLD}, 1))
    sealer, opener = MessageSealer(keys), MessageOpener(ring(2, k2=NEW), CHANNEL)
    before = sealer.seal(b"before", CHANNEL)
    keys._take(KeySet({2: NEW}, 2))
    after = sealer.seal(b"after", CHANNEL)
    assert (opener.open(before), opener.open(after)) == (b"before", b"after")
    assert (before[5], after[5]) == (1, 2)
    with pytest.raises(UnknownKeyError):
        MessageOpener(ring(), CHANNEL).open(after)


def test_whoever_makes_publishers_up_pushes_none_out() -> None:
    sealer, opener = MessageSealer(ring()), MessageOpener(ring(), CHANNEL)
    first = sealer.seal(b"x", CHANNEL)
    opener.open(first)
    for number in range(PUBLISHERS_MAX + 1):
        with pytest.raises(TamperedError):
            opener.open(first[:6] + number.to_bytes(16) + first[22:])
    assert opener.open(first) is None


def test_publishers_that_were_heard_long_ago_are_forgotten() -> None:
    opener = MessageOpener(ring(), CHANNEL)
    for _ in range(PUBLISHERS_MAX + 3):
        opener.open(MessageSealer(ring()).seal(b"x", CHANNEL))
    assert len(opener._publishers) == PUBLISHERS_MAX
