"""Work that takes longer than a request, and how far it has come."""

from typing import Final

import strawberry
from strawberry.scalars import JSON

from domain.errors import NotFound
from serve.graphql.connections import FIRST, connection, first_of
from serve.graphql.context import Context, Info, known_id
from serve.graphql.derive import Long, Moment, Shown, described, shape
from serve.platform.pages import id_of
from services.jobs.service import Jobs
from services.privacy import export
from storage.jobs import JobRecord

_SHOWN: Final = ("id", "kind", "status", "attempts", "error", "result")


@described
class JobProgress:
    """`step` names what is being done."""

    done: Long
    total: Long
    step: str | None


@described
class Job:
    """`result` is there once it succeeded, `error` (the name of an error) when it failed or is tried again."""

    id: strawberry.ID
    kind: str
    status: str
    progress: JobProgress
    attempts: Long
    created_at: Moment
    due_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    cancelling: bool | None
    user_id: strawberry.ID | None
    result: JSON | None
    error: str | None
    download: str | None


async def read_job(context: Context, job_id: str) -> Shown:
    return _shown(await _jobs(context).get(context.actor, job_id))


async def job(info: Info, id: strawberry.ID) -> Shown:
    """A job that you have started."""
    return await info.context.load(read_job, known_id(id))


async def jobs(info: Info, first: int = FIRST, after: str | None = None) -> Shown:
    """Your own, newest first; everybody's to the platform's admins."""
    context, limit = info.context, first_of(info, first)
    rows = await _jobs(context).list(context.actor, id_of(after), limit + 1)
    shown = rows[:limit]
    return connection([_shown(row) for row in shown], [row.id for row in shown], more=len(rows) > limit)


def _jobs(context: Context) -> Jobs:
    if context.runtime.privacy is None:
        raise NotFound("This gateway has no jobs.")
    return context.runtime.privacy.jobs


def _shown(record: JobRecord) -> Shown:
    whole = shape(record, whole=True)
    progress = {"done": record.done, "total": record.total, "step": record.step or None}
    moments = {name: value for name, value in whole.items() if name.endswith("_at")}
    shown: Shown = {**{name: whole[name] for name in _SHOWN if whole[name] or name == "attempts"}, **moments}
    shown |= {"progress": progress, "user_id": record.person or None}
    if record.live and record.cancel_wanted:
        shown["cancelling"] = True
    if record.kind == export.KIND and record.status == "succeeded":
        shown["download"] = f"/api/v1/users/{record.person}/export/file"
    return shown
