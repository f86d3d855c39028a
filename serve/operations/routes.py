"""Health, metrics and dead letters. `/livez`, `/readyz` and `/metrics` have no prefix."""

import hmac
from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse

from domain.errors import NotFound, Unauthenticated
from domain.times import to_rfc3339
from serve.operations.schemas import DeadLetterPage, Readiness
from serve.platform.call import Answer, Call, json_answer
from serve.platform.pages import id_of, page
from serve.platform.routing import Id, PublicRoute, api_router, problems
from serve.platform.schemas import PageQuery
from services.access.check import require
from services.access.policy import Permission

router = api_router("/admin", "operations")
health = APIRouter(tags=["operations"], route_class=PublicRoute)

_EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"


class _Letter(msgspec.Struct):
    id: str
    reaction: str
    entity: str
    version: int
    attempts: int
    error: str
    failed_at: str


@health.get("/livez", response_model=dict[str, bool])
async def livez(call: Call) -> Answer:  # noqa: ARG001 - the route's contract
    """This process answers."""
    return Answer(b'{"alive":true}')


@health.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness, "description": "Not ready."}})
async def readyz(call: Call) -> Answer:
    """Whether this process can serve, and what is degraded."""
    readiness = await call.runtime.health.readiness()
    return json_answer(readiness, HTTPStatus.OK if readiness.ready else HTTPStatus.SERVICE_UNAVAILABLE)


@health.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses=problems(_401="Not the metrics token, where one is set."),
)
async def metrics(call: Call) -> Answer:
    """Prometheus text format. Series with `gateway` are this replica's; those of hosts are the same at each."""
    runtime = call.runtime
    if runtime.metrics_token:
        offered = call.fields.get(b"authorization", b"")
        if not hmac.compare_digest(offered, b"Bearer " + runtime.metrics_token.encode()):
            raise Unauthenticated("The metrics token is required.", code="token_missing")
    if runtime.relay is not None:
        await runtime.relay.refresh()
    return Answer(call.runtime.metrics.exposition(), media_type=_EXPOSITION)


@router.get("/dead-letters", response_model=DeadLetterPage, responses=problems(_404="Not an admin."))
async def list_dead_letters(call: Call, query: Annotated[PageQuery, Query()]) -> Answer:
    """What reactions gave up on, oldest first."""
    require(call.actor, Permission.PLATFORM_RUN)
    rows = await call.runtime.dead_letters.list(id_of(query.cursor), query.limit + 1)
    items = [
        _Letter(
            row.id,
            row.reaction,
            f"{row.kind}/{row.entity_id}",
            row.version,
            row.attempts,
            row.error,
            to_rfc3339(row.failed_at_ms),
        )
        for row in rows[: query.limit]
    ]
    return page(items, items[-1].id if len(rows) > query.limit else None)


@router.post(
    "/dead-letters/{letter_id}/retry", status_code=202, responses=problems(_404="No such letter, or not an admin.")
)
async def retry_dead_letter(call: Call, letter_id: Id) -> Answer:
    """Have it tried again."""
    require(call.actor, Permission.PLATFORM_RUN)
    if not await call.runtime.dead_letters.retry(letter_id):
        raise NotFound("There is no such dead letter.")
    return Answer(b'{"accepted":true}', HTTPStatus.ACCEPTED)
