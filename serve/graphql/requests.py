"""What is asked, out of a request (GraphQL over HTTP): the query, its variables, which operation, which media type."""

from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from domain.errors import Invalid
from serve.graphql.errors import NotGraphqlError
from serve.platform.call import Call, nul_paths
from serve.platform.errors import PayloadTooLargeError

JSON: Final = b"application/json"
GRAPHQL: Final = b"application/graphql-response+json"

_FIELDS_MAX: Final = 16
_NAMES: Final = ("query", "variables", "operationName", "extensions")


class Asked(msgspec.Struct, frozen=True, rename={"operation_name": "operationName"}):
    """`operation_name` may be left out of a document with one operation. `extensions` are none that are known here."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(Asked).decode


async def asked_by_body(call: Call) -> Asked:
    """Raises `NotGraphqlError`, `PayloadTooLargeError`, and what reading a body raises."""
    try:
        body = await call.read_body()
    except Invalid as error:
        raise NotGraphqlError(error.failure.detail, errors=error.failure.errors) from None
    _check_size(call, len(body))
    return _checked(body)


def asked_by_url(call: Call) -> Asked:
    """Raises `NotGraphqlError`, `PayloadTooLargeError`."""
    raw: bytes = call.scope["query_string"]
    _check_size(call, len(raw))
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS_MAX, errors="strict")
    except ValueError:
        raise NotGraphqlError("The parameters are no text, or too many.") from None
    given = dict(pairs)
    if len(given) < len(pairs):
        raise NotGraphqlError("A parameter is there twice.")
    document: dict[str, Any] = {name: given[name] for name in _NAMES if given.get(name)}
    for name in ("variables", "extensions"):
        if name in document:
            document[name] = msgspec.Raw(document[name].encode())
    return _checked(msgspec.json.encode(document))


def media_type_of(call: Call) -> bytes:
    """`application/graphql-response+json` when the client accepts it by name, and not less than plain JSON."""
    wanted: dict[bytes, float] = {}
    for part in call.fields.get(b"accept", b"").lower().split(b","):
        name, _, parameters = part.partition(b";")
        wanted[name.strip()] = _quality(parameters)
    return GRAPHQL if 0 < wanted.get(GRAPHQL, 0) >= wanted.get(JSON, 0) else JSON


def _check_size(call: Call, size: int) -> None:
    bound = call.runtime.limits.graphql_body_bytes_max
    if size > bound:
        raise PayloadTooLargeError(f"A GraphQL request may have {bound} bytes.", extra={"limit_bytes": bound})


def _checked(document: bytes) -> Asked:
    try:
        asked = _decode(document)
        has_nul = "\x00" in asked.query or next(nul_paths(asked.variables), None) is not None
    except msgspec.ValidationError as error:
        raise NotGraphqlError(f"No GraphQL request: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotGraphqlError("The body is no JSON object, or nested too deep.") from None
    if has_nul:
        raise NotGraphqlError("Text may not contain the character U+0000.")
    return asked


def _quality(parameters: bytes) -> float:
    for each in parameters.split(b";"):
        name, _, value = each.strip().partition(b"=")
        if name == b"q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
