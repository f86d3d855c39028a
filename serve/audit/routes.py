"""The audit trail over HTTP, for admins of the organization that it is of."""

from typing import Annotated, Any

import msgspec
from fastapi import Query

from domain.times import to_rfc3339
from serve.audit.schemas import AuditPage, AuditQuery, AuditVerification, VerifyQuery
from serve.platform.call import Answer, Call, json_answer
from serve.platform.pages import page, position_of
from serve.platform.routing import api_router, problems
from storage.audit import Event, EventFilter

router = api_router("/admin", "audit")


class _Shown(msgspec.Struct, omit_defaults=True, kw_only=True):
    position: int
    at: str
    actor: str
    action: str
    kind: str
    object_id: str = ""
    organization_id: str
    patient_id: str = ""
    outcome: str = ""
    reason: str = ""
    device: str = ""
    correlation: str = ""
    purpose: str = ""
    grant_id: str = ""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}


@router.get("/audit", response_model=AuditPage, responses=problems(_404="Not an admin."))
async def list_audit(call: Call, query: Annotated[AuditQuery, Query()]) -> Answer:
    """Who read, searched, changed or was refused what, newest first."""
    wanted = EventFilter(
        object_id=query.object,
        actor=query.actor,
        patient_id=query.patient,
        after=query.after,
        before=position_of(query.cursor),
    )
    rows = await call.runtime.audit.list(call.actor, wanted, query.limit + 1)
    shown = rows[: query.limit]
    last = shown[-1] if len(rows) > query.limit else None
    return page([_shown(row) for row in shown], None if last is None else last.position)


@router.get("/audit/verify", response_model=AuditVerification, responses=problems(_404="Not an admin of the platform."))
async def verify_audit(call: Call, query: Annotated[VerifyQuery, Query()]) -> Answer:
    """Whether events of the trail are what was written. For all of it, go on after `last` until it is the head's."""
    return json_answer(await call.runtime.audit.verify(call.actor, query.after, query.limit))


def _shown(event: Event) -> _Shown:
    same = {name: getattr(event, name) for name in _Shown.__struct_fields__ if name != "at"}
    return _Shown(**same, at=to_rfc3339(event.at_ms))
