"""What others may keep of an answer, and for how long; and the ETag of what has no version of its own.

Everything is `no-store` unless its handler says that anybody may have it: the catalog and public keys.
"""

import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, TypeVar

from serve.platform.call import Answer, Call

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])

CATALOG_SECONDS: Final = 10
"""So long may a price be seen after it changed. What a cart takes comes from the catalog itself."""
KEYS_SECONDS: Final = 300
"""Public keys: a new one is published for longer than this before anything is signed with it."""

_CACHE: Final = "__cache_control__"
_TAG_BYTES: Final = 16


def cacheable(seconds: int) -> Callable[[Handler], Handler]:
    """Mark the handler of a public route whose answer is the same for everybody, below the route's own decorator."""

    def mark(handler: Handler) -> Handler:
        setattr(handler, _CACHE, b"public, max-age=%d" % seconds)
        return handler

    return mark


def cache_control_of(handler: Any) -> bytes:
    """What is said of this handler's good answers, b"" for nothing but `no-store`."""
    found: bytes = getattr(handler, _CACHE, b"")
    return found


def conditional(call: Call, answer: Answer) -> Answer:
    """The answer to a read with an ETag, or 304 when the client has it.

    The tag of what has no version is weak, made of the bytes: `If-Match`, which needs a strong one, never holds.
    """
    if answer.status != HTTPStatus.OK or not answer.body or any(name == b"etag" for name, _ in answer.headers):
        return answer
    tag = b'W/"%s"' % hashlib.blake2b(answer.body, digest_size=_TAG_BYTES).hexdigest().encode()
    answer.headers.append((b"etag", tag))
    if not call.has_tag(tag):
        return answer
    return Answer(status=HTTPStatus.NOT_MODIFIED, headers=answer.headers)
