"""A person's own data over HTTP (rule P1)."""

from http import HTTPStatus
from pathlib import Path

from fastapi import Response
from starlette.types import Send

from actors.parties import is_oneself
from serve.auth.routes import accounts_of
from serve.jobs.routes import privacy_of
from serve.jobs.schemas import Job
from serve.jobs.shown import started_answer
from serve.platform.call import Answer, Call
from serve.platform.routing import Id, api_router, problems
from services.privacy.service import content_of
from storage.privacy.records import ExportRecord

router = api_router("/users", "users")


class FileAnswer(Answer):
    """A sealed file, opened as it is sent: a chunk of it is in memory at a time."""

    __slots__ = ("_found", "_path")

    def __init__(self, found: ExportRecord, path: Path) -> None:
        name = f'attachment; filename="personal-data-{found.id}.zip"'.encode()
        super().__init__(headers=[(b"content-disposition", name)], media_type=b"application/zip")
        self._found = found
        self._path = path

    async def send(self, send: Send) -> None:
        headers = [(b"cache-control", b"no-store"), *self.headers, (b"content-type", self.media_type)]
        headers.append((b"content-length", str(self._found.size_bytes).encode()))
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        async for piece in content_of(self._found, self._path):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@router.get(
    "/{user_id}/export",
    status_code=202,
    response_model=Job,
    responses={
        200: {"model": Job, "description": "It can be downloaded."},
        **problems(_404="Unknown, or not oneself."),
    },
)
async def export_person(call: Call, user_id: Id) -> Answer:
    """Everything about oneself as JSON files in a zip: starts the job, or says how far it is.

    Once it has succeeded, its file can be had at `download` until it expires. The platform's admins may start it too,
    and not download it.
    """
    return started_answer(await privacy_of(call).export(call.actor, user_id, call.correlation))


@router.get(
    "/{user_id}/export/file",
    response_class=Response,
    responses={
        200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
        **problems(_403="Not proved just now that it is oneself.", _404="Not oneself, none yet, or it has expired."),
    },
)
async def download_export(call: Call, user_id: Id) -> Answer:
    """The zip, for the person only, with an access token of a login just now (`POST /auth/reauthenticate`)."""
    if is_oneself(call.actor, user_id):
        await accounts_of(call).step_up.check(call.verified)
    return FileAnswer(*await privacy_of(call).download(call.actor, user_id, call.correlation))
