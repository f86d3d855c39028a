"""Checks of text from outside. Each returns the text, or raises `Invalid` with the field's path."""

import re
from typing import Final

from domain.errors import invalid_field

ID_LENGTH_MAX: Final = 80
"""Characters of an identifier: a UUID, `guest:` and a UUID, an organization's own key."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def check_text(text: str, path: str, *, length_max: int, required: bool = False) -> str:
    """Text for people: line breaks and tabs are fine; NUL, other control characters, surrogates are not."""
    if len(text) > length_max:
        raise invalid_field(path, "too_long", f"Must have at most {length_max} characters.")
    if required and not text.strip():
        raise invalid_field(path, "required", "Must not be empty.")
    if not text.isprintable() and _CONTROL.search(text):
        raise invalid_field(path, "control_character", "Must not contain control characters.")
    return text


def check_id(text: str, path: str, *, required: bool = True) -> str:
    """An identifier: one printable word of at most `ID_LENGTH_MAX` characters."""
    if not text:
        if required:
            raise invalid_field(path, "required", "Must not be empty.")
        return text
    if len(text) > ID_LENGTH_MAX:
        raise invalid_field(path, "too_long", f"Must have at most {ID_LENGTH_MAX} characters.")
    if not text.isprintable() or " " in text:
        raise invalid_field(path, "malformed", "Must be one printable word.")
    return text
