"""Cursor pagination: a cursor is where the page before ended, opaque to clients."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from domain.errors import Invalid, invalid_field
from domain.times import MOMENT_MS_MAX
from serve.platform.call import Answer, json_answer
from services.listings import Place

_VERSION_DIGITS_MAX: Final = 18

_encode = msgspec.msgpack.Encoder().encode
_decode_place = msgspec.msgpack.Decoder(Place).decode
_decode_id = msgspec.msgpack.Decoder(str).decode
_decode_position = msgspec.msgpack.Decoder(int).decode
_POSITION_MAX = 2**63 - 1


class PageOf(msgspec.Struct, omit_defaults=True):
    items: Sequence[Any]
    next_cursor: str = ""


Cursor = Place | str | int
"""Where a page ended, before it is a text: a place in time, an id, a position."""


def page(items: Sequence[Any], after: Cursor | None) -> Answer:
    """An answer with the items and, unless `after` is None, the cursor to go on from."""
    return json_answer(PageOf(items, "" if after is None else cursor_of(after)))


def cursor_of(after: Cursor) -> str:
    """The cursor that a list goes on from."""
    return _text(_encode(after))


def place_of(cursor: str | None) -> Place | None:
    """Where a time-ordered list goes on. `Invalid` for what is no cursor of ours."""
    if not cursor:
        return None
    place: Place = _read(cursor, _decode_place)
    if not (0 <= place.at_ms <= MOMENT_MS_MAX and place.id.isprintable()):
        raise _no_cursor()
    return place


def id_of(cursor: str | None) -> str:
    """Where an id-ordered list goes on ("" from the beginning)."""
    after = "" if not cursor else str(_read(cursor, _decode_id))
    if not after.isprintable():
        raise _no_cursor()
    return after


def position_of(cursor: str | None) -> int:
    """Where a list by positions goes on, 0 from the beginning."""
    position = 0 if not cursor else int(_read(cursor, _decode_position))
    if not 0 <= position <= _POSITION_MAX:
        raise _no_cursor()
    return position


def version_of(cursor: str | None) -> int:
    """Before which version a history goes on (0: from its end)."""
    text = id_of(cursor)
    if text and not (text.isascii() and text.isdigit() and len(text) <= _VERSION_DIGITS_MAX):
        raise _no_cursor()
    return int(text or 0)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _read(cursor: str, decode: Any) -> Any:
    try:
        return decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise _no_cursor() from None


def _no_cursor() -> Invalid:
    return invalid_field("cursor", "invalid_cursor", "Not a cursor of this list.")
