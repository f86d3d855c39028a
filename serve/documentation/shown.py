"""What is documented of a treatment document's answers."""

from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from actors.document_status import DocumentStatus
from domain.times import to_rfc3339
from serve.platform.problems import ProblemField
from serve.platform.schemas import Moment
from services.document_chart import FieldOutcome
from services.document_listings import DocumentEntry


class Document(BaseModel):
    """A treatment document. What changes one by one is a map by id; what does not apply is left out."""

    model_config = ConfigDict(extra="allow")

    id: str
    version: int
    organization_id: str
    location_id: str
    patient_id: str
    visit_id: str | None = None
    template: str
    title: str | None = None
    author: str
    needs_cosign: bool
    cosigner: str | None = None
    status: DocumentStatus
    since: Moment
    created_at: Moment
    updated_at: Moment
    content_hash: str = Field(description="SHA-256 of the content as it is now: what a signature signs.")
    open_conflicts: int = Field(description="While there are any, nothing is signed.")
    fields: dict[str, Any]
    points: dict[str, Any]
    containers: dict[str, Any]
    wastage: dict[str, Any]
    notes: dict[str, Any]
    photos: dict[str, Any]
    conflicts: dict[str, Any] = Field(description="Both values of each, for ever; `status` is `open` or `resolved`.")
    late_entries: dict[str, Any] = Field(description="Facts that arrived after the signature.")
    signatures: dict[str, Any]
    addenda: dict[str, Any]
    alerts: dict[str, Any]
    participants: dict[str, Any]


class ListedDocument(BaseModel):
    """A document as it is listed."""

    id: str
    version: int
    organization_id: str
    location_id: str
    patient_id: str
    visit_id: str | None = None
    template: str
    status: DocumentStatus
    author: str
    signer: str | None = None
    cosigner: str | None = None
    conflicts_count: int = Field(description="Open ones.")
    alerts_count: int
    created_at: Moment
    updated_at: Moment


class DocumentPage(BaseModel):
    items: list[ListedDocument]
    next_cursor: str | None = None


class FieldResult(BaseModel):
    """`conflict`: another value was set meanwhile; both are kept under `conflict_id`, `current` is the one shown."""

    status: str = Field(examples=["applied", "conflict", "rejected"])
    conflict_id: str | None = None
    current: Any = None
    code: str | None = None
    detail: str | None = None
    errors: list[ProblemField] | None = None


class FieldResults(BaseModel):
    results: dict[str, FieldResult]
    document: Document


class DocumentHistoryEntry(BaseModel):
    """`at`: when it happened on the device; `recorded_at`: when it arrived."""

    version: int
    type: str
    at: Moment
    recorded_at: Moment
    by: str
    device: str | None = None
    details: dict[str, Any] | None = None


class DocumentHistory(BaseModel):
    items: list[DocumentHistoryEntry]


class Listed(msgspec.Struct, omit_defaults=True, kw_only=True):
    id: str
    version: int
    organization_id: str
    location_id: str
    patient_id: str
    visit_id: str = ""
    template: str
    status: str
    author: str
    signer: str = ""
    cosigner: str = ""
    conflicts_count: int
    alerts_count: int
    created_at: str
    updated_at: str


def listed(row: DocumentEntry) -> Listed:
    same = {name: getattr(row, name) for name in Listed.__struct_fields__ if hasattr(row, name)}
    return Listed(**same, created_at=to_rfc3339(row.created_at_ms), updated_at=to_rfc3339(row.updated_at_ms))


def result(outcome: FieldOutcome) -> dict[str, Any]:
    """An outcome as it is shown; a refusal as problem+json would have it."""
    shown: dict[str, Any] = {"status": outcome.status}
    if outcome.conflict_id:
        shown |= {"conflict_id": outcome.conflict_id, "current": outcome.current}
    if outcome.failure is not None:
        shown |= {"code": outcome.failure.code, "detail": outcome.failure.detail}
        if outcome.failure.errors:
            shown["errors"] = outcome.failure.errors
    return shown
