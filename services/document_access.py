"""Who has seen which document, and who was refused: everything that shows one passes here (C8)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from actors.document_status import parties
from domain.errors import Forbidden, NotFound
from services.audit import LIST, SEARCH, Audit, Seen
from services.document_listings import DocumentEntry, DocumentFilter, DocumentListings
from services.entities import DOCUMENT, Sender
from services.locations import Location, LocationStore
from services.lookups import Clock, Lookups

LOCATION: Final = "location"


class _Named(msgspec.Struct):
    """Of a document's view: whose it is."""

    organization_id: str
    patient_id: str


_name = msgspec.json.Decoder(_Named).decode


class DocumentAccess:
    """Writes the trail of documents. What it raises instead of returning must not be shown."""

    def __init__(self, listings: DocumentListings, locations: LocationStore, audit: Audit, clock: Clock) -> None:
        self._entries: Lookups[DocumentEntry] = Lookups(listings.by_id, clock)
        self._locations = locations
        self._audit = audit

    async def entry(self, document_id: str) -> DocumentEntry | None:
        """The document's index row, a few seconds old at most: whose it is never changes."""
        return await self._entries.get(document_id)

    async def shown(self, sender: Sender, action: str, document_id: str, view: bytes) -> None:
        """The document goes to `sender`: its JSON view says whose it is."""
        named = _name(view)
        await self._audit.note(
            sender.actor,
            action,
            DOCUMENT,
            document_id,
            patient_id=named.patient_id,
            organization_id=named.organization_id,
            device=sender.device,
            correlation=sender.correlation,
        )

    async def watched(self, sender: Sender, action: str, document_id: str, outcome: str = "") -> None:
        """As `shown`, without a view: `sender` was let to it, or refused."""
        await self._note_entry(sender, action, document_id, outcome)

    @asynccontextmanager
    async def guarded(self, sender: Sender, action: str, document_id: str) -> AsyncIterator[None]:
        """Have a refusal within the block written down. What exists nowhere was refused to nobody."""
        try:
            yield
        except (NotFound, Forbidden) as refusal:
            if isinstance(refusal, Forbidden) or refusal.failure.code == NotFound.code:
                await self._note_entry(sender, action, document_id, refusal.failure.code)
            raise

    async def listed(self, sender: Sender, wanted: DocumentFilter, rows: Sequence[DocumentEntry]) -> None:
        """A search, in the trail of each organization that was searched, and every document that it found."""
        asked = wanted.location_id
        searched = [
            Seen(kind=LOCATION if asked else DOCUMENT, id=asked, patient_id=wanted.patient_id, organization_id=each)
            for each in wanted.organization_ids
        ]
        await self._audit.note_all(sender.actor, SEARCH, searched, device=sender.device, correlation=sender.correlation)
        found = [
            Seen(kind=DOCUMENT, id=row.id, patient_id=row.patient_id, organization_id=row.organization_id)
            for row in rows
        ]
        await self._audit.note_all(sender.actor, LIST, found, device=sender.device, correlation=sender.correlation)

    async def has_location(self, organization_id: str, location_id: str) -> bool:
        found = await self._locations.location(location_id)
        return found is not None and found.organization_id == organization_id

    async def location(self, sender: Sender, location_id: str) -> Location:
        """The location, for whoever may see its documents. To others it looks unknown."""
        found = await self._locations.location(location_id)
        if found is not None and parties(sender.actor, found.organization_id):
            return found
        refusal = NotFound("There is no such location.")
        if found is not None:
            await self._audit.note(
                sender.actor,
                SEARCH,
                LOCATION,
                location_id,
                organization_id=found.organization_id,
                outcome=refusal.failure.code,
                device=sender.device,
                correlation=sender.correlation,
            )
        raise refusal

    async def _note_entry(self, sender: Sender, action: str, document_id: str, outcome: str) -> None:
        entry = await self.entry(document_id)
        if entry is not None:
            await self._audit.note(
                sender.actor,
                action,
                DOCUMENT,
                document_id,
                patient_id=entry.patient_id,
                organization_id=entry.organization_id,
                outcome=outcome,
                device=sender.device,
                correlation=sender.correlation,
            )
