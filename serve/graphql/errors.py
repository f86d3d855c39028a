"""What a query can be refused for, and how errors of fields are shown: the codes of REST, never a stack trace."""

from typing import Any, Final

import msgspec
import structlog
from graphql import GraphQLError

from domain.errors import AtriumError, Failure
from serve.graphql.context import Context
from serve.platform.routing import UNEXPECTED

INVALID: Final = "graphql_invalid"

_log = structlog.get_logger("serve.graphql")


class NotGraphqlError(AtriumError):
    """What came is no GraphQL request."""

    code = "graphql_request"
    status = 400


class QueryRefusedError(AtriumError):
    """The query is not executed: its syntax, the schema, or a limit. `shown` is how an answer lists it."""

    code = INVALID
    status = 400

    def __init__(self, detail: str, *, code: str | None = None, **extra: Any) -> None:
        super().__init__(detail, code=code, extra=extra)
        self.shown: list[dict[str, Any]] = [{"message": detail, "extensions": extensions_of(self.failure)}]


def too_large(limit: str, bound: float, found: int | None = None) -> QueryRefusedError:
    """`limit` is the name of a limit of the gateway."""
    asked = "" if found is None else f", not {found}"
    return QueryRefusedError(f"{limit} is {bound:g}{asked}.", code="query_too_large", limit=limit, max=bound)


def refused(errors: list[GraphQLError]) -> QueryRefusedError:
    """What the parser or the schema says."""
    found = QueryRefusedError(errors[0].message)
    found.shown = [_shown(each, found.failure) for each in errors]
    return found


def extensions_of(failure: Failure) -> dict[str, Any]:
    """`code` and `status` as in REST; what belongs to the error besides."""
    extensions: dict[str, Any] = {"code": failure.code, "status": failure.status}
    if failure.errors:
        extensions["errors"] = msgspec.to_builtins(failure.errors)
    if failure.retry_after_ms:
        extensions["retry_after_seconds"] = max(1, -(-failure.retry_after_ms // 1_000))
    return {**failure.extra, **extensions}


def shown(error: GraphQLError, context: Context) -> dict[str, Any]:
    """An error of a field. What nobody expected is logged, and told with no more than the correlation id."""
    original = error.original_error
    if isinstance(original, AtriumError):
        return _shown(error, original.failure, original.failure.detail or original.failure.code)
    by_caller = original is None if error.path is None else isinstance(original, GraphQLError) and original.nodes
    if by_caller:
        return _shown(error, Failure(INVALID, 400, error.message))
    root = context.roots.get(str(error.path[0]), "") if error.path else ""
    _log.error("graphql_field_failed", field=root, correlation=context.correlation, exc_info=original or error)
    found = _shown(error, UNEXPECTED, UNEXPECTED.detail)
    found["extensions"]["correlation_id"] = context.correlation
    return found


def _shown(error: GraphQLError, failure: Failure, message: str = "") -> dict[str, Any]:
    formatted: dict[str, Any] = {"message": message or error.message}
    if error.locations:
        formatted["locations"] = [{"line": each.line, "column": each.column} for each in error.locations]
    if error.path:
        formatted["path"] = error.path
    return {**formatted, "extensions": extensions_of(failure)}
