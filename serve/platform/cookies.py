"""Logins of browsers: tokens in cookies that no script can read, and what keeps other sites from using them (CSRF).

A change that comes with a cookie needs two things that another site does not have: an origin that is ours or named in
`ATRIUM_CORS_ORIGINS` (`Origin`, or else `Sec-Fetch-Site`, as the browser itself says it), and the login's CSRF token in
`X-CSRF-Token`, which a page of ours reads from a cookie of its own.
"""

from typing import Final

from domain.errors import Forbidden
from serve.platform.browsers import Browsers
from serve.platform.problems import RawHeaders
from services.csrf import Csrf

ACCESS: Final = b"__Host-atrium_access"
REFRESH: Final = b"__Host-atrium_refresh"
CSRF: Final = b"__Host-atrium_csrf"
CSRF_HEADER: Final = b"x-csrf-token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def cookie(fields: dict[bytes, bytes], name: bytes) -> str:
    """Its value; "" without it, and when there are two: one of them is somebody else's."""
    raw = fields.get(b"cookie")
    if raw is None:
        return ""
    found = [value for each in raw.split(b";") for key, _, value in (each.strip().partition(b"="),) if key == name]
    return found[0].decode("latin-1") if len(found) == 1 else ""


def set_cookies(access: str, access_seconds: int, refresh: str, refresh_seconds: int, csrf: str) -> RawHeaders:
    """`__Host-`: of this host only, for all its paths, over TLS."""
    return [
        set_access(access, access_seconds),
        _set(REFRESH, refresh, refresh_seconds, hidden=True),
        _set(CSRF, csrf, refresh_seconds, hidden=False),
    ]


def set_access(access: str, seconds: int) -> tuple[bytes, bytes]:
    return _set(ACCESS, access, seconds, hidden=True)


def clear_cookies() -> RawHeaders:
    return [_set(name, "", 0, hidden=name != CSRF) for name in (ACCESS, REFRESH, CSRF)]


def check_origin(browsers: Browsers, fields: dict[bytes, bytes]) -> None:
    """Whether a page of ours is asking, or a named one. Raises `Forbidden` (`csrf_failed`)."""
    if not browsers.is_trusted(fields):
        raise _refused("It does not come from a page of ours.")


def check_csrf(csrf: Csrf, browsers: Browsers, fields: dict[bytes, bytes], login: str) -> None:
    """As `check_origin`, and whether the page knows the login's CSRF token."""
    check_origin(browsers, fields)
    if not csrf.holds(login, fields.get(CSRF_HEADER, b"").decode("latin-1")):
        raise _refused("Send the value of the cookie `__Host-atrium_csrf` in `X-CSRF-Token`.")


def changes(method: str) -> bool:
    return method not in _SAFE


def _set(name: bytes, value: str, seconds: int, *, hidden: bool) -> tuple[bytes, bytes]:
    flags = b"; HttpOnly" if hidden else b""
    return b"set-cookie", b"%s=%s; Path=/; Max-Age=%d; Secure; SameSite=Lax%s" % (name, value.encode(), seconds, flags)


def _refused(detail: str) -> Forbidden:
    return Forbidden(detail, code="csrf_failed")
