"""Values that a document's commands, events, state and views share, and the bounds of a document."""

from typing import Final

import msgspec

from domain.times import MINUTE_MS

VALUE_LENGTH_MAX: Final = 8_000
"""Characters of a field's text, a note or an addendum."""
NUMBER_MAX: Final = 2**53 - 1
"""The largest whole number of a field, either sign: exact also where numbers are doubles."""
TEXT_LENGTH_MAX: Final = 200_000
"""Characters of all texts of one document together."""
FIELDS_MAX: Final = 500
POINTS_MAX: Final = 500
CONTAINERS_MAX: Final = 100
WASTAGE_MAX: Final = 200
NOTES_MAX: Final = 500
PHOTOS_MAX: Final = 200
ADDENDA_MAX: Final = 100
CONFLICTS_MAX: Final = 500
"""Conflicts of one document, resolved ones too."""
LATE_ENTRIES_MAX: Final = 500
PARTICIPANTS_MAX: Final = 50
REASON_LENGTH_MAX: Final = 500
TITLE_LENGTH_MAX: Final = 200
TEMPLATE_LENGTH_MAX: Final = 100
PRINTED_NAME_LENGTH_MAX: Final = 200
MEANING_LENGTH_MAX: Final = 200
DETAIL_LENGTH_MAX: Final = 100
"""Characters of a technique, a depth or a photo's view."""
PHOTO_BYTES_MAX: Final = 100 * 1024 * 1024
"""Bytes of a photo that a document refers to."""
REAUTH_MS: Final = 5 * MINUTE_MS
"""A signer has proved who they are within this."""
INTENT_MS: Final = 2 * MINUTE_MS
"""Signing is done online: asked longer ago than this, it was an intent that has expired."""

assert VALUE_LENGTH_MAX * 4 <= TEXT_LENGTH_MAX  # noqa: S101 - a conflict's two texts fit beside others
assert INTENT_MS <= REAUTH_MS  # noqa: S101 - an intent that still counts has a proof that still counts


class Injection(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What was injected at a point. `dose` is exact decimal text; `unit` is `U` or `mL`, of this product only (C5)."""

    product_id: str
    dose: str
    unit: str
    lot: str = ""
    container_id: str = ""


Value = str | int | bool | Injection
"""What a register holds: a field or a plan's property a scalar, a performed point its injection."""


def same_value(one: Value, other: Value) -> bool:
    """Whether two values are the same: `True` and `1` are not."""
    return type(one) is type(other) and one == other


def text_length(value: Value) -> int:
    return len(value) if isinstance(value, str) else 0
