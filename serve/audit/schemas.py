"""Queries and documentation of the audit trail."""

from typing import Any, Final

from pydantic import BaseModel, Field

from domain.text import ID_LENGTH_MAX
from serve.platform.schemas import Moment, PageQuery, Query
from services.audit import PURPOSES


class AuditQuery(PageQuery):
    """`after` follows the trail: only what was written after that position."""

    object: str = Field("", max_length=ID_LENGTH_MAX, description="Id of the document, room or location.")
    actor: str = Field("", max_length=ID_LENGTH_MAX, description="Who: the subject of their token.")
    patient: str = Field("", max_length=ID_LENGTH_MAX)
    after: int = Field(0, ge=0, le=2**63 - 1)


VERIFIED_MAX: Final = 50_000
"""Events that one request may have verified."""


class VerifyQuery(Query):
    """`after`: the position behind which to begin; the event there is taken as it is."""

    after: int = Field(0, ge=0, le=2**63 - 1)
    limit: int = Field(10_000, ge=1, le=VERIFIED_MAX)


class AuditVerification(BaseModel):
    """`last`: up to which position it is right. `broken_at` and `reason` are left out when nothing is wrong."""

    ok: bool
    checked: int
    last: int
    head_position: int
    head_hash: str = Field(description="SHA-256 in hexadecimal.")
    broken_at: int | None = None
    reason: str | None = Field(None, examples=["altered", "missing", "inserted", "other_head"])


class AuditEvent(BaseModel):
    """Who did what to which object of which patient. `outcome` is the code of a refusal; left out: it was allowed."""

    position: int
    at: Moment
    actor: str
    action: str = Field(examples=["read", "search", "list", "follow", "history", "sign"])
    kind: str
    object_id: str | None = None
    organization_id: str
    patient_id: str | None = None
    outcome: str | None = None
    reason: str | None = None
    device: str | None = None
    correlation: str | None = None
    purpose: str | None = Field(None, examples=list(PURPOSES), description="Left out: from before it was asked for.")
    grant_id: str | None = Field(None, description="The emergency access under which it was done.")
    before: dict[str, Any] | None = Field(None, description="Sensitive fields before a change; addresses are masked.")
    after: dict[str, Any] | None = None


class AuditPage(BaseModel):
    items: list[AuditEvent]
    next_cursor: str | None = None
