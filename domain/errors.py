"""Errors that own their code, status and fields.

AtriumError
├── Rejected             the command was understood and refused; nothing changed
│   ├── NotFound         404   unknown, or not yours
│   ├── Forbidden        403   yours to see, not yours to do
│   ├── Conflict         409   wrong state; `current` says which
│   ├── PreconditionFailed 412 a stale version was expected
│   └── Invalid          422   the payload; `errors` holds field paths
├── Unauthenticated      401
├── Temporary                  safe to retry with the same command id
│   ├── TooMany          429
│   ├── Unavailable      503
│   └── DeadlineExceeded 504   the outcome may be unknown
└── Internal             500   a handler raised; nothing changed
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One offending field: its path (`items.0.quantity`), a stable code and a sentence."""

    path: str
    code: str
    message: str


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as data: what crosses the wire between host and gateway, and becomes problem+json."""

    code: str
    status: int
    detail: str
    errors: tuple[FieldError, ...] = ()
    extra: dict[str, Any] = {}
    retry_after_ms: int = 0


class AtriumError(Exception):
    """Base of all expected errors. `code` is stable for clients; `status` is the HTTP status."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        retry_after_ms: int = 0,
    ) -> None:
        kind = type(self)
        self.failure = Failure(
            code=code or kind.code,
            status=kind.status,
            detail=detail,
            errors=tuple(errors),
            extra=dict(extra or {}),
            retry_after_ms=retry_after_ms,
        )
        super().__init__(f"{self.failure.code}: {detail}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (rebuild, (self.failure,))


class Rejected(AtriumError):
    code = "rejected"
    status = 400


class NotFound(Rejected):
    code = "not_found"
    status = 404


class Forbidden(Rejected):
    code = "forbidden"
    status = 403


class Conflict(Rejected):
    """The command does not fit the current state. Put that state in `extra={"current": ...}`."""

    code = "conflict"
    status = 409


class PreconditionFailed(Rejected):
    code = "precondition_failed"
    status = 412


class Invalid(Rejected):
    code = "invalid"
    status = 422


class Unauthenticated(AtriumError):
    code = "unauthenticated"
    status = 401


class Temporary(AtriumError):
    code = "unavailable"
    status = 503


class TooMany(Temporary):
    code = "too_many"
    status = 429


class Unavailable(Temporary):
    pass


class DeadlineExceeded(Temporary):
    code = "deadline_exceeded"
    status = 504


class Internal(AtriumError):
    code = "internal"
    status = 500


_BY_STATUS: dict[int, type[AtriumError]] = {
    kind.status: kind
    for kind in (
        Rejected,
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        PreconditionFailed,
        Invalid,
        TooMany,
        Internal,
        Unavailable,
        DeadlineExceeded,
    )
}


def rebuild(failure: Failure) -> AtriumError:
    """Rebuild the exception that a `Failure` describes: the class by status, the code as it was sent."""
    kind = _BY_STATUS.get(failure.status, AtriumError)
    return kind(
        failure.detail,
        code=failure.code,
        errors=failure.errors,
        extra=failure.extra,
        retry_after_ms=failure.retry_after_ms,
    )


def invalid_field(path: str, code: str, message: str) -> Invalid:
    return Invalid(message, errors=[FieldError(path, code, message)])
