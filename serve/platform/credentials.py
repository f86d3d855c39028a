"""What a request comes with to say who is asking: an access token, an API key, or a browser's cookie.

`Authorization: Bearer` has either of the first two, `X-API-Key` a key. A cookie counts only without both, so that a
page cannot mix what it has with what its visitor has.
"""

from typing import Final, Protocol

from domain.errors import Unauthenticated
from serve.platform.cookies import ACCESS, cookie
from services.accounts.key_format import looks_like_key
from services.tokens import Tokens, Verified

BEARER: Final = b"bearer "
_KEY_HEADER: Final = b"x-api-key"
_NO_KEY: Final = "-"
"""What is in that header and is no key is no token either."""

Fields = dict[bytes, bytes]


class Keys(Protocol):
    """`services.accounts.api_keys.KeyCheck`."""

    def known(self, key: str) -> Verified | None: ...
    async def verify(self, key: str) -> Verified: ...


def by_cookie(fields: Fields) -> bool:
    """Whether it is the browser, and not the page, that says who is asking."""
    return b"cookie" in fields and b"authorization" not in fields and _KEY_HEADER not in fields


def presented(fields: Fields) -> str:
    """The token, key or cookie; "" without any."""
    field = fields.get(b"authorization")
    if field is not None:
        return field[7:].strip().decode("latin-1") if field[:7].lower() == BEARER else ""
    key = fields.get(_KEY_HEADER)
    if key is not None:
        text = key.strip().decode("latin-1")
        return text if looks_like_key(text) else _NO_KEY
    return cookie(fields, ACCESS)


def at_hand(fields: Fields, tokens: Tokens, keys: Keys | None) -> tuple[Verified | None, bool]:
    """Who is asking as far as that is known without asking anybody, and whether it is a key that has to be looked up.

    Never raises: the route says what is wrong.
    """
    text = presented(fields)
    if not text:
        return None, False
    if looks_like_key(text):
        known = None if keys is None else keys.known(text)
        return known, known is None
    try:
        return tokens.verify(text), False
    except Unauthenticated:
        return None, False


async def verified_by(fields: Fields, tokens: Tokens, keys: Keys | None) -> Verified:
    """Raises `Unauthenticated` with a code that says what to do, and `Unavailable`."""
    text = presented(fields)
    if not text:
        raise Unauthenticated(
            "An access token or an API key is required: `Authorization: Bearer …`.", code="token_missing"
        )
    if looks_like_key(text) and keys is not None:
        return await keys.verify(text)
    return tokens.verify(text)
