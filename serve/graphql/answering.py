"""From a request to its answer: looked through, measured, executed within its time, encoded, counted, logged."""

import asyncio
import time
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from graphql import DocumentNode, OperationDefinitionNode, OperationType, specified_rules, validate

from domain.errors import DeadlineExceeded, Unauthenticated, rebuild
from serve.graphql.context import Context
from serve.graphql.errors import NotGraphqlError, QueryRefusedError, refused, shown, too_large
from serve.graphql.measure import Size, measured, parsed
from serve.graphql.requests import GRAPHQL, Asked, media_type_of
from serve.graphql.schema import CORE, execute
from serve.platform.call import Answer, Call
from serve.platform.errors import MethodNotAllowedError
from serve.platform.graphql_metrics import OK

ERRORS_MAX: Final = 10
"""Of a query that does not fit the schema."""
NAME_CHARACTERS_MAX: Final = 64
"""Of an operation's name in the log."""

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("serve.graphql")


async def answer(call: Call, asked: Asked, *, by_url: bool = False) -> Answer:
    """The answer in the media type that the client wants. A query that is refused before it is executed has no `data`:
    400, but 200 in plain JSON, as the specification has it.

    Raises `NotGraphqlError`, `Unauthenticated`, `MethodNotAllowedError`, `TooMany`, `DeadlineExceeded`.
    """
    began, media_type = time.perf_counter(), media_type_of(call)
    size = Size()
    try:
        document, operation = _looked_through(call, asked, by_url=by_url)
        size = measured(CORE, document, operation, asked.variables or {}, call.runtime.limits)
        if size.introspection and not call.actor.subject:
            raise Unauthenticated("An access token or an API key is required for the schema.", code="token_missing")
        await _charge(call, size.reads)
        context = Context(call, document)
        body, codes = await _executed(context, asked)
    except QueryRefusedError as error:
        status = HTTPStatus.BAD_REQUEST if media_type == GRAPHQL else HTTPStatus.OK
        found = Answer(_encode({"errors": error.shown}), status, media_type=media_type)
        codes = {"": error.failure.code}
    else:
        found = Answer(body, media_type=media_type)
    for field, code in codes.items():
        call.runtime.graphql_metrics.answered(field, code)
    _log.info(
        "graphql_query",
        operation=(asked.operation_name or "")[:NAME_CHARACTERS_MAX],
        depth=size.depth,
        values=size.values,
        reads=size.reads,
        bytes=len(found.body),
        refused=sorted(set(codes.values()) - {OK}),
        ms=round((time.perf_counter() - began) * 1_000, 2),
        correlation=call.correlation,
        subject=call.actor.subject,
    )
    return found


def _looked_through(call: Call, asked: Asked, *, by_url: bool) -> tuple[DocumentNode, OperationDefinitionNode]:
    """The document, which is valid, and its operation, which is a query."""
    document = parsed(asked.query, call.runtime.limits)
    operation = _operation(document, asked.operation_name)
    if operation.operation is not OperationType.QUERY:
        if by_url:
            raise MethodNotAllowedError("By GET there are queries only.")
        kind = operation.operation.value
        raise QueryRefusedError(f"There are queries only, no {kind}: use REST.", code="operation_not_supported")
    hidden = not call.actor.subject  # who may not ask for the schema is not helped to guess it
    errors = validate(CORE, document, specified_rules, max_errors=ERRORS_MAX, hide_suggestions=hidden)
    if errors:
        raise refused(errors)
    return document, operation


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    found = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    wanted = [each for each in found if each.name is not None and each.name.value == name] if name else found
    if len(wanted) == 1:
        return wanted[0]
    detail = (
        "There is no such operation." if name else f"There are {len(found)} operations: `operationName` says which."
    )
    raise NotGraphqlError(detail, code="unknown_operation")


async def _charge(call: Call, reads: int) -> None:
    """A query that looks up much is several requests for the rate limits. Raises what they refuse with."""
    limiter = call.runtime.limiter
    if limiter is None:
        return
    for _ in range(reads // call.runtime.limits.graphql_reads_per_request):
        verdict = await limiter.admit(call.scope)
        if verdict is not None and verdict.refusal is not None:
            raise rebuild(verdict.refusal)


async def _executed(context: Context, asked: Asked) -> tuple[bytes, dict[str, str]]:
    """The encoded answer, and by root field `ok` or the first error's code."""
    limits = context.runtime.limits
    try:
        async with asyncio.timeout(limits.graphql_seconds_max):
            result = await execute(context, asked.variables or {}, asked.operation_name)
    except TimeoutError:
        raise DeadlineExceeded("The query takes too long: ask for less.") from None
    if result.data is None:
        raise refused(result.errors or [])
    errors = [shown(each, context) for each in result.errors or ()]
    document: dict[str, Any] = {"data": result.data}
    if errors:
        document["errors"] = errors
    body = _encode(document)
    if len(body) > limits.graphql_answer_bytes_max:
        raise too_large("graphql_answer_bytes_max", limits.graphql_answer_bytes_max, len(body))
    codes = dict.fromkeys(context.roots.values(), OK)
    for each in reversed(errors):
        if each.get("path"):
            codes[context.roots.get(str(each["path"][0]), "")] = each["extensions"]["code"]
    return body, codes
