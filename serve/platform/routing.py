"""Routes that are declared like FastAPI's and run without its dependency machinery.

A handler's signature is the contract: `call: Call`, path parameters, at most one pydantic model called
`body` and one called `query`. FastAPI reads the same signature for the OpenAPI document. The route itself
checks the token, the ids in the path (no UUID: 404), the query and the body (422 with field paths), and turns
every error into problem+json. This takes about a sixth of the time of FastAPI's own handler, which counts
because adding to a cart is the hottest path of the house.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl

import structlog
from fastapi import APIRouter, Path, Security
from fastapi.datastructures import DefaultPlaceholder
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from domain.errors import AtriumError, Failure, FieldError, Invalid, NotFound, PreconditionFailed
from domain.ids import is_uuid
from serve.platform.caching import cache_control_of, conditional
from serve.platform.call import Answer, Call
from serve.platform.cookies import ACCESS
from serve.platform.deprecation import notice_of
from serve.platform.problems import Problem, problem

Id = Annotated[str, Path(json_schema_extra={"format": "uuid"}, examples=["0192f0c1-7d6e-7c3a-9a55-0c7a4f1b2d3e"])]
"""A UUID in the path; anything else is an unknown id (404)."""

Handler = Callable[..., Awaitable[Answer]]

M = TypeVar("M", bound=BaseModel)
H = TypeVar("H", bound=Handler)

_CODES: Final = {"missing": "missing", "extra_forbidden": "unknown_field"}
_QUERY_PAIRS_MAX: Final = 64
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_ONCE: Final = "__once_by_key__"
_VERSIONED: Final = "__if_match__"
_log = structlog.get_logger("serve")


def once_by_key(handler: H) -> H:
    """Mark the handler of a public route that takes an `Idempotency-Key`, below the route's own decorator."""
    setattr(handler, _ONCE, True)
    return handler


def looks_at_if_match(handler: H) -> H:
    """Mark the handler of plain tables that have a version, below the route's own decorator: it checks it itself."""
    setattr(handler, _VERSIONED, True)
    return handler


class ApiRoute(APIRoute):
    """A route that needs an access token. What it changes is in plain tables: a key is remembered beside them."""

    authenticated = True
    of_entities = False

    def __init__(self, path: str, endpoint: Handler, **options: Any) -> None:
        if isinstance(options.get("response_model"), DefaultPlaceholder):
            options["response_model"] = None  # the annotation says `Answer`, which is no model
        if notice_of(endpoint):
            options["deprecated"] = True
        super().__init__(path, endpoint, **options)
        parameters = inspect.signature(endpoint).parameters
        self._handler = endpoint
        self._notice = notice_of(endpoint)
        self._cache_control = cache_control_of(endpoint)
        self._reads = (self.methods or set()) <= _READS
        by_itself = self.authenticated and not self.of_entities and not self._reads
        self._once = by_itself or hasattr(endpoint, _ONCE)
        self._versioned = hasattr(endpoint, _VERSIONED)
        self._literal = path.partition("{")[0]
        self._body = _model(parameters, "body")
        self._query = _model(parameters, "query")
        declared = {name: parameters[name].annotation for name in self.param_convertors}
        self._ids = tuple(name for name, annotation in declared.items() if annotation is Id)
        self._words = tuple(name for name in declared if name not in self._ids)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if not scope.get("path", "").startswith(self._literal):
            return Match.NONE, {}
        return super().matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.methods is None or scope["method"] not in self.methods:
            raise HTTPException(405)
        call = Call(scope, receive, send)
        try:
            answer = await self._answer(call)
        except AtriumError as error:
            await send_problem(error.failure, call, send)
        except Exception:
            _log.exception("request_failed", route=self.path, correlation=call.correlation)
            await send_problem(UNEXPECTED, call, send)
        else:
            if self._notice:
                answer.headers = [*answer.headers, *self._notice]
            if self._cache_control:
                answer.cache_control = self._cache_control
            await answer.send(send)

    async def _answer(self, call: Call) -> Answer:
        arguments: dict[str, Any] = {}
        if self.authenticated:
            await call.authenticate()
        path_params = call.scope["path_params"]
        for name in self._ids:
            value = path_params[name]
            if not is_uuid(value):
                raise NotFound("No such resource.")
            arguments[name] = value.lower()
        for name in self._words:
            arguments[name] = path_params[name]
        if self._query is not None:
            arguments["query"] = _parse_query(self._query, call.scope["query_string"])
        if self._body is not None:
            arguments["body"] = parse_body(self._body, await call.read_body())
        if self._reads:
            return conditional(call, await self._handler(call, **arguments))
        if self._once:
            return await self._answer_once(call, arguments)
        return await self._handler(call, **arguments)

    async def _answer_once(self, call: Call, arguments: dict[str, Any]) -> Answer:
        """A change of plain tables: at most once by a key, and never on a condition that is not looked at."""
        if not self._versioned and call.fields.get(b"if-match", b"*").strip() != b"*":
            raise PreconditionFailed("This resource has no version: If-Match does not hold.")
        if b"idempotency-key" not in call.fields or call.runtime.once is None:
            return await self._handler(call, **arguments)
        return await call.runtime.once.run(call, lambda: self._handler(call, **arguments))


class EntityRoute(ApiRoute):
    """A route whose changes are commands of entities: `sender_of` gives them the key and `If-Match`."""

    of_entities = True


class PublicRoute(ApiRoute):
    """A route that anybody may call."""

    authenticated = False


def api_router(prefix: str, tag: str, route_class: type[ApiRoute] = ApiRoute) -> APIRouter:
    """A router under /api/v1 whose routes need an access token."""
    return APIRouter(
        prefix=f"/api/v1{prefix}",
        tags=[tag],
        route_class=route_class,
        dependencies=[Security(_BEARER), Security(_KEY), Security(_COOKIE)],
        responses={
            401: _documented("No access token or API key, or one that does not hold."),
            403: _documented("Not yours to do; not in the API key's scopes; by cookie, and not from a page of ours."),
            429: _documented("Too much at once: see `Retry-After`."),
            503: _documented("Not possible at the moment: see `Retry-After`."),
        },
    )


def entity_router(prefix: str, tag: str) -> APIRouter:
    """An `api_router` whose changes are commands of entities."""
    return api_router(prefix, tag, EntityRoute)


def public_router(prefix: str, tag: str) -> APIRouter:
    return APIRouter(prefix=f"/api/v1{prefix}", tags=[tag], route_class=PublicRoute)


def problems(**meanings: str) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: `problems(_404="Unknown, or not yours.")`."""
    return {int(status.removeprefix("_")): _documented(meaning) for status, meaning in meanings.items()}


def parse_body(model: type[M], body: bytes) -> M:
    """The body as `model`. Raises `Invalid` with a field path for every offence."""
    try:
        return model.model_validate_json(body or b"null", strict=True)
    except ValidationError as error:
        raise _invalid(error.errors(include_url=False, include_input=False, include_context=False)) from None


async def send_problem(failure: Failure, call: Call, send: Send) -> None:
    status, headers, body = problem(failure, call.instance, call.correlation)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


UNEXPECTED: Final = Failure("internal", 500, "Something went wrong here. Quote the correlation id.")

_BEARER: Final = HTTPBearer(
    auto_error=False, bearerFormat="JWT", scheme_name="bearer", description="An RS256 access token, or an API key."
)
_KEY: Final = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="api_key", description="An API key.")
_COOKIE: Final = APIKeyCookie(
    name=ACCESS.decode(),
    auto_error=False,
    scheme_name="cookie",
    description="A login by `cookie`; what changes something needs `X-CSRF-Token` too.",
)


def _documented(meaning: str) -> dict[str, Any]:
    return {
        "description": meaning,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _model(parameters: Mapping[str, inspect.Parameter], name: str) -> type[BaseModel] | None:
    parameter = parameters.get(name)
    if parameter is None:
        return None
    annotation = parameter.annotation
    model = getattr(annotation, "__origin__", annotation)  # Annotated[Model, Query()]
    if not (inspect.isclass(model) and issubclass(model, BaseModel)):
        raise TypeError(f"`{name}` of a route must be a pydantic model")
    return model


def _parse_query(model: type[BaseModel], raw: bytes) -> BaseModel:
    try:
        pairs = parse_qsl(raw.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=_QUERY_PAIRS_MAX)
        values = dict(pairs)
        if "\x00" in "".join(values.values()):
            raise Invalid("Text may not contain the character U+0000.")
        return model.model_validate_strings(values)
    except ValidationError as error:
        raise _invalid(error.errors(include_url=False, include_input=False, include_context=False)) from None
    except ValueError:
        raise Invalid("The query has too many fields.") from None


def _invalid(details: list[ErrorDetails]) -> Invalid:
    errors = [
        FieldError(
            ".".join(str(part) for part in detail["loc"]),
            _CODES.get(detail["type"], detail["type"]),
            detail["msg"],
        )
        for detail in details
    ]
    return Invalid("The request is not valid.", errors=errors)


DOCUMENTED_MODELS: Final = (Problem,)
"""Models that answers refer to by name and no route declares."""
