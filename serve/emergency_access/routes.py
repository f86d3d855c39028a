"""Emergency access over HTTP: taken at a document, looked into by the clinic's admins (C8)."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import Query

from domain.errors import NotFound
from domain.times import to_rfc3339
from serve.documentation.parts import reader_of
from serve.emergency_access import schemas
from serve.platform.answers import replayed
from serve.platform.call import Answer, Call, json_answer
from serve.platform.pages import page, place_of
from serve.platform.routing import Id, api_router, problems
from services.access.emergency import EmergencyAccess
from storage.emergency_access import Grant

taking = api_router("/documentation", "documentation")
reviewing = api_router("/admin", "emergency access")


class _Shown(msgspec.Struct, omit_defaults=True, kw_only=True):
    id: str
    subject: str
    organization_id: str
    patient_id: str
    document_id: str
    reason: str
    granted_at: str
    expires_at: str
    active: bool
    revoked_at: str = ""
    revoked_by: str = ""
    reviewed_at: str = ""
    reviewed_by: str = ""
    note: str = ""


@taking.post(
    "/{document_id}/emergency-access",
    status_code=201,
    response_model=schemas.EmergencyAccess,
    responses=problems(
        _403="`reauthentication_required`: the proof is not of a login just now.",
        _404="Unknown, or you are not of this clinic's staff.",
        _409="`access_not_needed`: you may see it anyway.",
        _422="The request is not valid: `errors` has field paths.",
    ),
)
async def take_emergency_access(call: Call, document_id: Id, body: schemas.TakeEmergencyAccess) -> Answer:
    """Open this patient's documents here, to be read only, for a few hours (front desk). The admins are told at once.

    A repeat gives the same grant while it lasts.
    """
    emergency = _emergency(call)
    grant, repeated = await call.runtime.documents.take_emergency_access(
        emergency, reader_of(call), document_id, body.reason, body.proof
    )
    return json_answer(_shown(emergency, grant), HTTPStatus.CREATED, replayed(repeated))


@reviewing.get(
    "/emergency-access", response_model=schemas.EmergencyAccessPage, responses=problems(_404="Not an admin.")
)
async def list_emergency_access(call: Call, query: Annotated[schemas.EmergencyAccessQuery, Query()]) -> Answer:
    """Who opened whose documents at your organizations, and why, newest first."""
    emergency = _emergency(call)
    rows, last = await emergency.list(
        call.actor, unreviewed=query.unreviewed, after=place_of(query.cursor), limit=query.limit
    )
    return page([_shown(emergency, row) for row in rows], last)


@reviewing.post(
    "/emergency-access/{grant_id}/review",
    response_model=schemas.EmergencyAccess,
    responses=problems(
        _403="`own_emergency_access`: it was yours.",
        _404="Unknown, or not your organization's.",
        _409="`already_reviewed`.",
        _422="The request is not valid: `errors` has field paths.",
    ),
)
async def review_emergency_access(call: Call, grant_id: Id, body: schemas.ReviewEmergencyAccess) -> Answer:
    """Say that you have looked into it, and what you found."""
    emergency = _emergency(call)
    return json_answer(_shown(emergency, await emergency.review(reader_of(call), grant_id, body.note)))


@reviewing.post(
    "/emergency-access/{grant_id}/revoke",
    response_model=schemas.EmergencyAccess,
    responses=problems(_404="Unknown, or neither yours nor your organization's."),
)
async def revoke_emergency_access(call: Call, grant_id: Id) -> Answer:
    """End it now: its admins, and whoever took it. One that has ended stays as it is."""
    emergency = _emergency(call)
    return json_answer(_shown(emergency, await emergency.revoke(reader_of(call), grant_id)))


def _emergency(call: Call) -> EmergencyAccess:
    if call.runtime.emergency is None:
        raise NotFound("There is no emergency access here.")
    return call.runtime.emergency


def _shown(emergency: EmergencyAccess, grant: Grant) -> _Shown:
    return _Shown(
        id=grant.id,
        subject=grant.subject,
        organization_id=grant.organization_id,
        patient_id=grant.patient_id,
        document_id=grant.document_id,
        reason=grant.reason,
        granted_at=to_rfc3339(grant.granted_at_ms),
        expires_at=to_rfc3339(grant.expires_at_ms),
        active=not emergency.ended(grant),
        revoked_at=_moment(grant.revoked_at_ms),
        revoked_by=grant.revoked_by,
        reviewed_at=_moment(grant.reviewed_at_ms),
        reviewed_by=grant.reviewed_by,
        note=grant.note,
    )


def _moment(at_ms: int) -> str:
    return to_rfc3339(at_ms) if at_ms else ""
