"""What an address must look like. Only ASCII: letters of other scripts that look like ours make no address here."""

import re
from typing import Final

from domain.errors import invalid_field

EMAIL_CHARACTERS_MAX: Final = 254

_LOCAL: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL: Final = re.compile(rf"(?=.{{1,64}}@){_LOCAL}@(?:{_LABEL}\.)+{_LABEL}")


def check_email(text: str, path: str = "email") -> str:
    """The address without blanks around it. Raises `Invalid`."""
    email = text.strip(" ")
    if len(email) > EMAIL_CHARACTERS_MAX or not _EMAIL.fullmatch(email):
        raise invalid_field(path, "not_an_email", "Must be an e-mail address of ASCII characters.")
    return email
