"""Lists of treatment documents, from their index rows."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from actors.document_status import DocumentStatus
from services.listings import Place


class DocumentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Documents of these organizations; "" for any patient, location or participant.

    `cosigner`: to be co-signed by them or by whoever comes first, and not signed by themselves.
    """

    organization_ids: tuple[str, ...] = ()
    patient_id: str = ""
    location_id: str = ""
    participant: str = ""
    cosigner: str = ""
    statuses: tuple[DocumentStatus, ...] = ()


class DocumentEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One document as it is listed, without anything that was charted. Times in ms."""

    id: str
    version: int
    organization_id: str
    location_id: str
    patient_id: str
    template: str
    status: str
    author: str
    conflicts_count: int
    alerts_count: int
    created_at_ms: int
    updated_at_ms: int
    visit_id: str = ""
    signer: str = ""
    cosigner: str = ""


class DocumentListings(Protocol):
    """Both read their own writes: index rows are written in the document's commit."""

    async def by_id(self, ids: Sequence[str]) -> dict[str, DocumentEntry]:
        """Those that exist."""

    async def documents(self, wanted: DocumentFilter, after: Place | None, limit: int) -> Sequence[DocumentEntry]:
        """Newest first."""
