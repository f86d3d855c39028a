"""GraphQL over HTTP: one query for what a screen needs many requests for. For reading only."""

from typing import Any, Final

from serve.graphql.answering import answer
from serve.graphql.requests import GRAPHQL, asked_by_body, asked_by_url
from serve.graphql.schema import SDL
from serve.graphql.schemas import GraphqlAnswer, GraphqlRequest
from serve.platform.call import Answer, Call
from serve.platform.cookies import ACCESS, check_origin, cookie
from serve.platform.credentials import by_cookie
from serve.platform.routing import PublicRoute, api_router, problems

router = api_router("/graphql", "graphql")
public = api_router("/graphql", "graphql", PublicRoute)

_SCHEMA: Final = {"$ref": "#/components/schemas/GraphqlAnswer"}
_ANSWER: Final = {"content": {GRAPHQL.decode(): {"schema": _SCHEMA}}}
_REQUEST: Final = {
    "required": True,
    "content": {"application/json": {"schema": GraphqlRequest.model_json_schema()}},
}
_NOT_EXECUTED: Final = problems(
    _400="No GraphQL request; or, as GraphQL's own answer where that is accepted, a query that is not executed.",
    _413="The request is too large.",
    _504="The query takes too long.",
)
_NOT_EXECUTED[400]["content"] |= _ANSWER["content"]


def _parameter(name: str, meaning: str, *, required: bool = False) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": meaning}


@public.post(
    "",
    response_model=GraphqlAnswer,
    responses={200: _ANSWER, **_NOT_EXECUTED, **problems(_408="The body did not come.", _415="Not JSON.")},
    openapi_extra={"requestBody": _REQUEST},
)
async def post_graphql(call: Call) -> Answer:
    """Execute a query. What one may not see is null, with an error in `errors`; anybody may ask for merchants and
    products, and follow an order by its share link."""
    await _authenticate(call)
    return await answer(call, await asked_by_body(call))


@public.get(
    "",
    response_model=GraphqlAnswer,
    responses={
        200: _ANSWER,
        **_NOT_EXECUTED,
        **problems(_403="By cookie, and not from a page of ours.", _405="Not a query."),
    },
    openapi_extra={
        "parameters": [
            _parameter("query", "The query.", required=True),
            _parameter("variables", "As JSON."),
            _parameter("operationName", "Which, when the query has several."),
            _parameter("extensions", "As JSON. None are known."),
        ]
    },
)
async def get_graphql(call: Call) -> Answer:
    """As `POST`, by the URL. By cookie only from a page of ours: whatever a link asks, its visitor would have read, and
    the trail would say so."""
    await _authenticate(call)
    if call.actor.subject and by_cookie(call.fields):
        check_origin(call.runtime.browsers, call.fields)
    return await answer(call, asked_by_url(call), by_url=True)


@router.get("/schema", responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
async def get_schema(_call: Call) -> Answer:
    """The schema in GraphQL's own language."""
    return Answer(SDL.encode(), media_type=b"text/plain; charset=utf-8")


async def _authenticate(call: Call) -> None:
    """Whoever says who they are has to be that; nobody has to say it."""
    fields = call.fields
    if b"authorization" in fields or b"x-api-key" in fields or cookie(fields, ACCESS):
        await call.authenticate()
