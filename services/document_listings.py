"""Lists of treatment documents, from their index rows."""

from collections.abc import Sequence
from typing import Protocol

from services.listings import Place
from storage.documents import DocumentEntry, DocumentFilter

__all__ = ["DocumentEntry", "DocumentFilter", "DocumentListings"]


class DocumentListings(Protocol):
    """Both read their own writes: index rows are written in the document's commit."""

    async def by_id(self, ids: Sequence[str]) -> dict[str, DocumentEntry]:
        """Those that exist."""

    async def documents(self, wanted: DocumentFilter, after: Place | None, limit: int) -> Sequence[DocumentEntry]:
        """Newest first."""
