"""What browsers are told and asked: security headers, other origins (CORS), and where a socket was opened from.

A login may be in cookies (`cookies.py`): then only pages of our own and named ones may change anything, or open a
socket. Sockets are refused to other pages whatever they come with: a page has no business here unless it was named.
"""

from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope

from serve.platform.problems import RawHeaders

ANY: Final = "*"
DOCS_PATH: Final = "/api/v1/docs"
_MAX_AGE_SECONDS: Final = 600
_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NOTHING_RUNS: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_DOCS_RUN: Final = (
    b"content-security-policy",
    (
        b"default-src 'none'; connect-src 'self'; img-src 'self' data: https://fastapi.tiangolo.com; "
        b"script-src 'unsafe-inline' https://cdn.jsdelivr.net; style-src 'unsafe-inline' https://cdn.jsdelivr.net; "
        b"frame-ancestors 'none'"
    ),
)
_DATA: Final = (*_ALWAYS, _NOTHING_RUNS)
_PAGE: Final = (*_ALWAYS, _DOCS_RUN)
_VARY: Final = (b"vary", b"origin")
_EXPOSED: Final = (
    b"access-control-expose-headers",
    (
        b"deprecation, etag, idempotent-replayed, link, location, ratelimit, ratelimit-policy, retry-after, sunset, "
        b"x-request-id"
    ),
)
_WITH_COOKIES: Final = (b"access-control-allow-credentials", b"true")
_PREFLIGHT: Final = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
    (
        b"access-control-allow-headers",
        (
            b"authorization, content-type, idempotency-key, if-match, if-none-match, x-api-key, x-csrf-token, "
            b"x-request-id"
        ),
    ),
    (b"access-control-max-age", b"%d" % _MAX_AGE_SECONDS),
)


def origins_of(text: str) -> tuple[str, ...]:
    """Origins (`https://shop.example`), separated by commas; `*` for any. Raises `ValueError` for what is none."""
    found = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for origin in found:
        parts = urlsplit(origin)
        plain = parts.scheme in {"http", "https"} and bool(parts.netloc)
        if origin != ANY and (not plain or origin != f"{parts.scheme}://{parts.netloc}"):
            raise ValueError(f"{origin} is no origin")
    return found


class Browsers:
    """`origins`: whose pages may use the API, besides its own."""

    def __init__(self, origins: tuple[str, ...] = ()) -> None:
        self._any = ANY in origins
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, path: str, fields: dict[bytes, bytes]) -> RawHeaders:
        """For every answer."""
        headers = list(_PAGE if path == DOCS_PATH else _DATA)
        if not self._origins:
            return headers
        headers.append(_VARY)
        origin = fields.get(b"origin")
        if origin is not None and self._is_named(origin):
            headers += [(b"access-control-allow-origin", origin), _EXPOSED]
            if origin.lower() in self._origins:
                headers.append(_WITH_COOKIES)
        return headers

    def preflight(self, scope: Scope, fields: dict[bytes, bytes]) -> RawHeaders | None:
        """The answer to a browser that asks whether a page may; None for any other request."""
        if scope["method"] != "OPTIONS" or b"access-control-request-method" not in fields:
            return None
        origin = fields.get(b"origin")
        return list(_PREFLIGHT) if origin is not None and self._is_named(origin) else None

    def may_open_socket(self, fields: dict[bytes, bytes]) -> bool:
        """Whether a socket may be opened from where this was: from no page, from our own, or from a named one."""
        origin = fields.get(b"origin")
        if origin is None or self._is_named(origin):
            return True
        own = fields.get(b"host", b"").lower()
        return bool(own) and origin.lower().partition(b"://")[2] == own

    def is_trusted(self, fields: dict[bytes, bytes]) -> bool:
        """Whether the browser says that a page of our own is asking, or one named by itself: what may act by cookie."""
        origin = fields.get(b"origin")
        if origin is None:
            return fields.get(b"sec-fetch-site") == b"same-origin"
        own = fields.get(b"host", b"").lower()
        is_own = bool(own) and origin.lower().partition(b"://")[2] == own
        return is_own or origin.lower() in self._origins

    def _is_named(self, origin: bytes) -> bool:
        return self._any or origin.lower() in self._origins
