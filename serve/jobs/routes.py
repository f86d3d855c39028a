"""Work that takes longer than a request, over HTTP: started, looked at, called off."""

from typing import Annotated

from fastapi import Query

from domain.errors import NotFound, invalid_field
from serve.auth.routes import accounts_of
from serve.jobs.schemas import Job, JobPage, StartJob
from serve.jobs.shown import job_shown, started_answer
from serve.platform.call import Answer, Call, json_answer
from serve.platform.pages import id_of, page
from serve.platform.routing import Id, api_router, problems
from serve.platform.schemas import PageQuery
from services.access.check import require
from services.access.policy import Permission
from services.privacy.service import Privacy

router = api_router("/jobs", "jobs")

_UNKNOWN = "Unknown, or somebody else's."


@router.post(
    "",
    status_code=202,
    response_model=Job,
    responses={
        200: {"model": Job, "description": "It has ended already."},
        **problems(
            _403="Not proved just now that it is oneself.",
            _404="Not an admin of the platform, or no such person.",
            _409="A legal hold is in force, or they are the last admin.",
            _422="The request is not valid.",
        ),
    },
)
async def start_job(call: Call, body: StartJob) -> Answer:
    """Start a job, or get the one that runs already. `Location` says where to look at it.

    An erasure cannot be undone: it asks for an access token of a login just now.
    """
    privacy = privacy_of(call)
    if (body.user_id is None) == (body.kind == "user_erasure"):
        raise invalid_field("user_id", "required", "Goes with `user_erasure`, and only with it.")
    if body.dry_run is not None and body.kind != "retention":
        raise invalid_field("dry_run", "not_allowed", "Only with `retention`.")
    if body.kind == "retention":
        return started_answer(await privacy.retain(call.actor, dry_run=bool(body.dry_run)))
    if body.user_id is None:
        return started_answer(await privacy.export(call.actor, call.actor.subject, call.correlation))
    require(call.actor, Permission.PERSON_MANAGE)
    accounts = accounts_of(call)
    await accounts.step_up.check(call.verified)
    await privacy.check_erasure(call.actor, body.user_id)
    await accounts.people.shut_out(call.actor, body.user_id, call.correlation)
    return started_answer(await privacy.erase(call.actor, body.user_id, call.correlation))


@router.get("", response_model=JobPage)
async def list_jobs(call: Call, query: Annotated[PageQuery, Query()]) -> Answer:
    """One's own, newest first; everybody's to the platform's admins."""
    rows = await privacy_of(call).jobs.list(call.actor, id_of(query.cursor), query.limit + 1)
    shown = rows[: query.limit]
    return page([job_shown(row) for row in shown], shown[-1].id if len(rows) > query.limit else None)


@router.get("/{job_id}", response_model=Job, responses=problems(_404=_UNKNOWN))
async def get_job(call: Call, job_id: Id) -> Answer:
    """Its status, how far it has come, and its result."""
    return json_answer(job_shown(await privacy_of(call).jobs.get(call.actor, job_id)))


@router.delete(
    "/{job_id}", response_model=Job, responses=problems(_404=_UNKNOWN, _409="It has ended, or must be finished.")
)
async def cancel_job(call: Call, job_id: Id) -> Answer:
    """Call it off: at once while it is queued; else when it next looks. An erasure that runs is finished."""
    return json_answer(job_shown(await privacy_of(call).jobs.cancel(call.actor, job_id)))


def privacy_of(call: Call) -> Privacy:
    privacy = call.runtime.privacy
    if privacy is None:
        raise NotFound("This gateway has no jobs.")
    return privacy
