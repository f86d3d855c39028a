"""Routes that are going to end say so: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and where to read on."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final, TypeVar

from serve.platform.problems import RawHeaders

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])

_NOTICE: Final = "__deprecation__"


def deprecated(*, since: datetime, sunset: datetime | None = None, link: str = "") -> Callable[[Handler], Handler]:
    """Mark a route's handler, below the route's own decorator. `sunset`: when it may end, not before `since`.

    `link`: a page that says what to use instead. Times are aware. Raises `ValueError` for a sunset before `since`.
    """
    if sunset is not None and sunset < since:
        raise ValueError("a route cannot end before it is deprecated")
    headers: RawHeaders = [(b"deprecation", b"@%d" % int(since.timestamp()))]
    if sunset is not None:
        headers.append((b"sunset", format_datetime(sunset.astimezone(UTC), usegmt=True).encode()))
    if link:
        headers.append((b"link", f'<{link}>; rel="deprecation"; type="text/html"'.encode()))

    def mark(handler: Handler) -> Handler:
        setattr(handler, _NOTICE, headers)
        return handler

    return mark


def notice_of(handler: Any) -> RawHeaders:
    """The headers of a deprecated handler's answers, none of any other's."""
    found: RawHeaders = getattr(handler, _NOTICE, [])
    return found
