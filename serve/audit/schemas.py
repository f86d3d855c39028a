"""Queries and documentation of the audit trail."""

from pydantic import BaseModel, Field

from domain.text import ID_LENGTH_MAX
from serve.platform.schemas import Moment, PageQuery


class AuditQuery(PageQuery):
    """`after` follows the trail: only what was written after that position."""

    object: str = Field("", max_length=ID_LENGTH_MAX, description="Id of the document, room or location.")
    actor: str = Field("", max_length=ID_LENGTH_MAX, description="Who: the subject of their token.")
    patient: str = Field("", max_length=ID_LENGTH_MAX)
    after: int = Field(0, ge=0, le=2**63 - 1)


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


class AuditPage(BaseModel):
    items: list[AuditEvent]
    next_cursor: str | None = None
