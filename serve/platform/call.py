"""One request as a route sees it, and what it answers."""

import asyncio
import hashlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from actors.runtime.entity import Actor
from domain.errors import FieldError, Invalid, PreconditionFailed, invalid_field
from domain.ids import derived_command_id
from serve.platform.cookies import changes, check_csrf
from serve.platform.credentials import by_cookie, verified_by
from serve.platform.edge import CORRELATION, FIELDS, INSTANCE, SUBJECT, VERIFIED
from serve.platform.errors import PayloadTooLargeError, RequestTimeoutError, UnsupportedMediaTypeError
from serve.platform.problems import RawHeaders
from services.access.scopes import check_request
from services.tokens import Verified

if TYPE_CHECKING:
    from serve.gateway import GatewayRuntime

_HASH_BYTES: Final = 16
_FORM_FIELDS_MAX: Final = 64
_ESCAPED_NUL: Final = b"\\u0000"
_ANY_VERSION: Final = -1
_WITHOUT_CONTENT: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
"""RFC 9110: these say no length."""
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.decode


class Answer:
    """A response whose body is already encoded."""

    __slots__ = ("body", "cache_control", "headers", "media_type", "status")

    def __init__(
        self,
        body: bytes = b"",
        status: int = HTTPStatus.OK,
        headers: RawHeaders | None = None,
        media_type: bytes = b"application/json",
    ) -> None:
        self.body = body
        self.status = status
        self.headers: RawHeaders = [] if headers is None else headers
        self.media_type = media_type
        self.cache_control = b"no-store"

    async def send(self, send: Send) -> None:
        headers = [(b"cache-control", self.cache_control), *self.headers]
        if self.body:
            headers.append((b"content-type", self.media_type))
        if self.status not in _WITHOUT_CONTENT:
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": int(self.status), "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def json_answer(document: Any, status: int = HTTPStatus.OK, headers: RawHeaders | None = None) -> Answer:
    """Encode structs, dataclasses and plain values; nothing here may contain a null that means "absent"."""
    return Answer(_encode(document), status, headers)


class Call(Request):
    """The request of a route of ours. FastAPI knows it for a `Request` and leaves it out of the document."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self.runtime: GatewayRuntime = scope["app"].state.runtime
        self.correlation: str = scope[CORRELATION]
        self.fields: dict[bytes, bytes] = scope[FIELDS]
        self.instance: str = scope[INSTANCE]
        self.actor: Actor = _NOBODY
        self.verified: Verified = _UNVERIFIED
        self.raw_body = b""

    async def authenticate(self) -> None:
        """Whose token, key or cookie it is, into `verified` and `actor`; and whether that may be used for this.

        Raises `Unauthenticated`, `Forbidden` (`scope_missing`, `csrf_failed`).
        """
        verified = self.scope.get(VERIFIED)
        if verified is None:
            accounts = self.runtime.accounts
            verified = await verified_by(
                self.fields, self.runtime.tokens, None if accounts is None else accounts.key_check
            )
        self.verified = verified
        self.actor = verified.actor
        self.scope[SUBJECT] = verified.actor.subject
        if verified.scopes is not None:
            check_request(verified.scopes, self.method, self.scope["path"])
        if by_cookie(self.fields) and changes(self.method):
            check_csrf(self.runtime.tokens.csrf, self.runtime.browsers, self.fields, verified.login)

    async def read_body(self) -> bytes:
        """The JSON body. Raises `PayloadTooLargeError`, `RequestTimeoutError`, `UnsupportedMediaTypeError`."""
        body, kind = await self._bounded_body()
        if body and kind != b"application/json" and not kind.endswith(b"+json"):
            raise UnsupportedMediaTypeError("The body must be application/json.")
        if _ESCAPED_NUL in body:
            _refuse_nul(body)
        self.raw_body = body
        return body

    async def read_form(self) -> dict[str, str]:
        """The fields of a form; of repeated ones the last. Raises like `read_body`, and `Invalid`."""
        body, kind = await self._bounded_body()
        if body and kind != b"application/x-www-form-urlencoded":
            raise UnsupportedMediaTypeError("The body must be application/x-www-form-urlencoded.")
        try:
            text = body.decode("ascii", "replace")
            fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_FORM_FIELDS_MAX))
        except ValueError:
            raise Invalid("The form has too many fields.") from None
        if "\x00" in "".join(fields.values()):
            raise Invalid("Text may not contain the character U+0000.")
        return fields

    async def _bounded_body(self) -> tuple[bytes, bytes]:
        """The body, bounded in size and in time, and its media type."""
        bound = self.runtime.limits.body_bytes_max
        announced = self.fields.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > bound:
            raise _too_large(bound)
        try:
            async with asyncio.timeout(self.runtime.limits.body_seconds_max):
                body = await self._received(bound)
        except TimeoutError:
            raise RequestTimeoutError("The body did not come in time.") from None
        if len(body) > bound:
            raise _too_large(bound)
        return body, self.fields.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()

    async def _received(self, bound: int) -> bytes:
        """The body as it comes, or more than `bound` bytes of it."""
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return body
        parts, size = [body], len(body)
        while message.get("more_body", False) and size <= bound:
            message = await self._receive()
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def idempotency_key(self) -> str | None:
        """The `Idempotency-Key` header. Raises `Invalid` when it is empty, too long or not plain."""
        raw = self.fields.get(b"idempotency-key")
        if raw is None:
            return None
        key = raw.decode("latin-1")
        bound = self.runtime.limits.idempotency_key_characters_max
        if not 1 <= len(key) <= bound or not key.isascii() or not key.isprintable():
            message = f"1 to {bound} printable ASCII characters."
            raise invalid_field("Idempotency-Key", "idempotency_key_invalid", message)
        return key

    def command_id(self) -> bytes | None:
        """Rule M9: the id that this key, of this subject, on this route and path, always gives."""
        key = self.idempotency_key()
        if key is None:
            return None
        return derived_command_id("idempotency-key", self.actor.subject, self.method, self.scope["path"], key)

    def body_hash(self, leave_out: str = "") -> bytes | None:
        """With a key: 16 bytes of the SHA-256 of the canonical body (keys sorted, no white space).

        `leave_out`: a field that may differ in a repeat.
        """
        if b"idempotency-key" not in self.fields:
            return None
        document = _decode(self.raw_body) if self.raw_body else None
        if leave_out and isinstance(document, dict):
            document.pop(leave_out, None)
        canonical = _encode_sorted(document) if self.raw_body else b""
        return hashlib.sha256(canonical).digest()[:_HASH_BYTES]

    def expected_version(self) -> int:
        """`If-Match` as an entity version, -1 without one. What is no version of ours can only be stale."""
        raw = self.fields.get(b"if-match")
        if raw is None or raw == b"*":
            return _ANY_VERSION
        digits = raw.strip().removeprefix(b'"').removesuffix(b'"')
        if not digits.isdigit() or len(digits) > 15 or raw.strip() != b'"' + digits + b'"':
            raise PreconditionFailed("If-Match must be one strong ETag of this resource.")
        return int(digits)

    def has_version(self, version: int) -> bool:
        """Whether `If-None-Match` names this version, so that 304 will do."""
        return self.has_tag(etag(version))

    def has_tag(self, tag: bytes) -> bool:
        """Whether `If-None-Match` names this ETag; weak and strong ones are the same here (RFC 9110, 13.1.2)."""
        raw = self.fields.get(b"if-none-match")
        if raw is None:
            return False
        opaque = tag.removeprefix(b"W/")
        return raw.strip() == b"*" or opaque in (each.strip().removeprefix(b"W/") for each in raw.split(b","))


def etag(version: int) -> bytes:
    return b'"%d"' % version


_NOBODY: Final = Actor("")
_UNVERIFIED: Final = Verified(_NOBODY, 0)


def _too_large(bound: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(f"The body may have {bound} bytes.", extra={"limit_bytes": bound})


def _refuse_nul(body: bytes) -> None:
    """Postgres text cannot hold U+0000, so no field may. (After an escaped backslash, `u0000` is plain text.)"""
    try:
        paths = list(nul_paths(_decode(body)))
    except (msgspec.DecodeError, RecursionError):
        return  # the schema's own parser says what is wrong
    if paths:
        raise Invalid(
            "Text may not contain the character U+0000.",
            errors=[FieldError(path, "nul_character", "U+0000 is not allowed.") for path in paths],
        )


def nul_paths(value: Any, path: str = "") -> Iterator[str]:
    """Where in a JSON value there is U+0000, in a text or in a name."""
    if isinstance(value, str):
        if "\x00" in value:
            yield path
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from nul_paths(each, f"{path}.{index}".lstrip("."))
    elif isinstance(value, dict):
        for name, each in value.items():
            clean = name.replace("\x00", "�")
            if clean != name:
                yield f"{path}.{clean}".lstrip(".")
            yield from nul_paths(each, f"{path}.{clean}".lstrip("."))
