"""What answers show of a job."""

from http import HTTPStatus
from typing import Any, Final

import msgspec

from domain.times import to_rfc3339
from serve.platform.call import Answer, json_answer
from services.privacy import export
from storage.jobs import JobRecord

PATH: Final = "/api/v1/jobs"


class ShownProgress(msgspec.Struct, omit_defaults=True):
    done: int
    total: int
    step: str = ""


class ShownJob(msgspec.Struct, omit_defaults=True, kw_only=True):
    id: str
    kind: str
    status: str
    progress: ShownProgress
    attempts: int
    created_at: str
    due_at: str
    started_at: str = ""
    finished_at: str = ""
    cancelling: bool = False
    user_id: str = ""
    result: dict[str, Any] = {}
    error: str = ""
    download: str = ""


def job_shown(job: JobRecord) -> ShownJob:
    return ShownJob(
        id=job.id,
        kind=job.kind,
        status=job.status,
        progress=ShownProgress(job.done, job.total, job.step),
        attempts=job.attempts,
        created_at=to_rfc3339(job.created_at_ms),
        due_at=to_rfc3339(job.due_at_ms),
        started_at=to_rfc3339(job.started_at_ms) if job.started_at_ms else "",
        finished_at=to_rfc3339(job.finished_at_ms) if job.finished_at_ms else "",
        cancelling=job.live and job.cancel_wanted,
        user_id=job.person,
        result=job.result,
        error=job.error,
        download=_download(job),
    )


def started_answer(job: JobRecord) -> Answer:
    """202 with the place where it can be looked at; 200 for one that has ended already."""
    status = HTTPStatus.ACCEPTED if job.live else HTTPStatus.OK
    return json_answer(job_shown(job), status, [(b"location", f"{PATH}/{job.id}".encode())])


def _download(job: JobRecord) -> str:
    has_file = job.kind == export.KIND and job.status == "succeeded"
    return f"/api/v1/users/{job.person}/export/file" if has_file else ""
