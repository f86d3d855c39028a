"""RFC 9457: every error leaves as `application/problem+json` with a stable `code`."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from domain.errors import Failure

PROBLEM_TYPE_PREFIX: Final = "urn:atrium:problem:"
_RETRY_STATUSES: Final = frozenset({429, 503, 504})
_encode = msgspec.json.Encoder().encode

RawHeaders = list[tuple[bytes, bytes]]


def problem(failure: Failure, instance: str, correlation: str) -> tuple[int, RawHeaders, bytes]:
    """Status, headers and body of the answer to `failure`. `instance` is the request's path."""
    document: dict[str, Any] = {
        "type": PROBLEM_TYPE_PREFIX + failure.code,
        "title": title_of(failure.status),
        "status": failure.status,
        "detail": failure.detail or title_of(failure.status),
        "code": failure.code,
        "instance": instance,
        "correlation_id": correlation,
    }
    if failure.errors:
        document["errors"] = failure.errors
    for name, value in failure.extra.items():
        document.setdefault(name, value)
    body = _encode(document)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if failure.retry_after_ms or failure.status in _RETRY_STATUSES:
        headers.append((b"retry-after", str(max(1, -(-failure.retry_after_ms // 1_000))).encode()))
    if failure.status == HTTPStatus.REQUEST_TIMEOUT:
        headers.append((b"connection", b"close"))
    if failure.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b'Bearer realm="atrium"'))
    return failure.status, headers, body


def title_of(status: int) -> str:
    return HTTPStatus(status).phrase if status in _KNOWN_STATUSES else "Error"


_KNOWN_STATUSES: Final = frozenset(int(status) for status in HTTPStatus)


class ProblemField(BaseModel):
    """One offending field of the payload."""

    path: str = Field(description="Where in the payload: `items.0.quantity`.")
    code: str
    message: str


class Problem(BaseModel):
    """What every error looks like (documentation only: `problem` writes it)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:atrium:problem:invalid",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "The request is not valid.",
                    "code": "invalid",
                    "instance": "/api/v1/carts/0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3e/items",
                    "correlation_id": "0192f0c1-7d6e-7c3a-9a55-1f2e3d4c5b6a",
                    "errors": [
                        {
                            "path": "quantity",
                            "code": "greater_than_equal",
                            "message": "Input should be greater than or equal to 1",
                        }
                    ],
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    correlation_id: str
    errors: list[ProblemField] | None = None
    current: str | None = Field(default=None, description="With 409: the state that the command did not fit.")
