"""Sealed bytes: they open where they belong, with the right key, unharmed; and in no other case."""

from collections.abc import Container

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.crypto import OVERHEAD_BYTES, KeyRing, KeySet, TamperedError, UnknownKeyError, key_id_of

OLD, NEW = b"o" * 32, b"n" * 32
RING = KeyRing(KeySet({7: OLD}, 7))


class Kept:
    """A key source of a dict."""

    def __init__(self) -> None:
        self.stored, self.current, self.reads = {7: OLD}, 7, 0

    async def keys(self, known: Container[int]) -> KeySet:
        self.reads += 1
        return KeySet({key_id: key for key_id, key in self.stored.items() if key_id not in known}, self.current)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_what_was_sealed_opens_at_its_place_and_names_its_key(plain: bytes, place: bytes) -> None:
    sealed = RING.seal(plain, place)
    assert RING.open(sealed, place) == plain
    assert len(sealed) == len(plain) + OVERHEAD_BYTES
    assert key_id_of(sealed) == 7
    assert len(plain) < 4 or plain not in sealed


@given(st.binary(max_size=40), st.binary(max_size=20), st.binary(max_size=20))
def test_at_another_place_it_does_not_open(plain: bytes, place: bytes, other: bytes) -> None:
    sealed = RING.seal(plain, place)
    if place != other:
        with pytest.raises(TamperedError):
            RING.open(sealed, other)


@given(st.binary(max_size=40), st.data())
def test_with_any_bit_changed_or_any_byte_missing_it_does_not_open(plain: bytes, data: st.DataObject) -> None:
    sealed = RING.seal(plain, b"here")
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    changed = bytearray(sealed)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((TamperedError, UnknownKeyError)):
        RING.open(bytes(changed), b"here")
    with pytest.raises(TamperedError):
        RING.open(sealed[: data.draw(st.integers(0, len(sealed) - 1))], b"here")


@given(st.binary(max_size=80))
def test_anything_else_is_no_sealed_bytes(garbage: bytes) -> None:
    with pytest.raises((TamperedError, UnknownKeyError)):
        RING.open(garbage, b"")


def test_the_same_bytes_never_seal_the_same_way_twice() -> None:
    assert len({RING.seal(b"the same", b"here") for _ in range(100)}) == 100


def test_a_key_that_is_under_another_id_does_not_open() -> None:
    swapped = KeyRing(KeySet({7: NEW, 8: OLD}, 8))
    with pytest.raises(TamperedError):
        swapped.open(RING.seal(b"plain", b""), b"")


async def test_a_key_that_another_process_made_is_learned_and_what_is_sealed_next_is_sealed_by_it() -> None:
    kept = Kept()
    ring = KeyRing(await kept.keys(()), kept)
    kept.stored[8], kept.current = NEW, 8
    elsewhere = KeyRing(KeySet({8: NEW}, 8))
    sealed = elsewhere.seal(b"plain", b"here")
    assert (ring.lacks(sealed), ring.lacks(RING.seal(b"", b"")), ring.lacks(b"garbage")) == (True, False, False)
    with pytest.raises(UnknownKeyError):
        ring.open(sealed, b"here")
    await ring.refresh()
    assert ring.open(sealed, b"here") == b"plain"
    assert key_id_of(ring.seal(b"", b"")) == 8
    assert ring.open(RING.seal(b"older", b"here"), b"here") == b"older"


def test_a_ring_has_its_current_key() -> None:
    with pytest.raises(ValueError, match="missing"):
        KeyRing(KeySet({7: OLD}, 8))
