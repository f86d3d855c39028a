"""Who has seen which document, and who was refused: everything that shows one passes here (C8)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final

import msgspec

from actors.runtime.entity import SYSTEM, Actor
from domain.errors import Forbidden, NotFound
from services.access.check import may, refusal, where
from services.access.emergency import EmergencyAccess
from services.access.policy import Permission
from services.audit import EMERGENCY, LIST, OPERATIONS, SEARCH, TREATMENT, Audit, Seen
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

    def __init__(
        self,
        listings: DocumentListings,
        locations: LocationStore,
        audit: Audit,
        clock: Clock,
        emergency: EmergencyAccess | None = None,
    ) -> None:
        self._entries: Lookups[DocumentEntry] = Lookups(listings.by_id, clock)
        self._locations = locations
        self._audit = audit
        self._emergency = emergency

    async def reader(self, sender: Sender, document_id: str) -> tuple[Actor, str]:
        """As whom the document is to be read for `sender`, and the emergency access that this is under ("": none)."""
        if self._emergency is None or not may_need(sender.actor):
            return sender.actor, ""
        entry = await self.entry(document_id)
        if entry is None:
            return sender.actor, ""
        grant_id = (await self.opened(sender.actor, entry.patient_id)).get(entry.organization_id, "")
        return (SYSTEM, grant_id) if grant_id else (sender.actor, "")

    async def opened(self, actor: Actor, patient_id: str) -> Mapping[str, str]:
        """Organizations whose documents of this patient `actor` may read by emergency access, and the grants."""
        if self._emergency is None or not may_need(actor):
            return {}
        return await self._emergency.opened(actor, patient_id)

    async def entry(self, document_id: str) -> DocumentEntry | None:
        """The document's index row, a few seconds old at most: whose it is never changes."""
        return await self._entries.get(document_id)

    async def shown(self, sender: Sender, action: str, document_id: str, view: bytes, grant_id: str = "") -> None:
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
            purpose=EMERGENCY if grant_id else purpose_of(sender.actor),
            grant_id=grant_id,
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

    async def listed(
        self,
        sender: Sender,
        wanted: DocumentFilter,
        rows: Sequence[DocumentEntry],
        grants: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """A search, in the trail of each organization that was searched, and every document that it found.

        `grants`: by organization, the emergency access under which it was searched.
        """
        asked = wanted.location_id
        searched = [
            Seen(kind=LOCATION if asked else DOCUMENT, id=asked, patient_id=wanted.patient_id, organization_id=each)
            for each in wanted.organization_ids
        ]
        await self._note_each(sender, SEARCH, searched, grants)
        found = [
            Seen(kind=DOCUMENT, id=row.id, patient_id=row.patient_id, organization_id=row.organization_id)
            for row in rows
        ]
        await self._note_each(sender, LIST, found, grants)

    async def has_location(self, organization_id: str, location_id: str) -> bool:
        found = await self._locations.location(location_id)
        return found is not None and found.organization_id == organization_id

    async def location(self, sender: Sender, location_id: str) -> Location:
        """The location, for whoever may see its documents. To others it looks unknown."""
        found = await self._locations.location(location_id)
        if found is not None and may(sender.actor, Permission.DOCUMENT_SEE, organization_id=found.organization_id):
            return found
        hidden = refusal(Permission.LOCATION_SEE)
        if found is not None:
            await self._audit.note(
                sender.actor,
                SEARCH,
                LOCATION,
                location_id,
                organization_id=found.organization_id,
                outcome=hidden.failure.code,
                device=sender.device,
                correlation=sender.correlation,
                purpose=purpose_of(sender.actor),
            )
        raise hidden

    async def _note_each(self, sender: Sender, action: str, objects: Sequence[Seen], grants: Mapping[str, str]) -> None:
        for grant_id in sorted({grants.get(each.organization_id, "") for each in objects}):
            await self._audit.note_all(
                sender.actor,
                action,
                [each for each in objects if grants.get(each.organization_id, "") == grant_id],
                device=sender.device,
                correlation=sender.correlation,
                purpose=EMERGENCY if grant_id else purpose_of(sender.actor),
                grant_id=grant_id,
            )

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
                purpose=purpose_of(sender.actor),
            )


def may_need(actor: Actor) -> bool:
    """Whether emergency access could give this actor anything: providers and admins see what their clinic has."""
    return bool(where(actor, Permission.EMERGENCY_TAKE)) and not where(actor, Permission.DOCUMENT_SEE)


def purpose_of(actor: Actor) -> str:
    """What somebody reads documents for, who may."""
    return TREATMENT if where(actor, Permission.DOCUMENT_WRITE) else OPERATIONS
