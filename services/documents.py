"""Treatment documents: made, charted, signed and read, every reading and every refusal in the audit trail (C8).

What may be done is the entity's to decide. Here is what it cannot know: which products and locations an organization
has, and when somebody proved who they are.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from actors.document_commands import Cosign, Create, Resolve, Sign
from actors.document_status import OPEN, DocumentStatus
from actors.document_values import REAUTH_MS, Injection
from actors.runtime.entity import Actor
from actors.runtime.wire import VIEW_JSON
from domain.errors import Conflict, NotFound, invalid_field
from domain.text import check_id
from domain.times import SECOND_MS
from services.access.check import may, refusal, require, where
from services.access.documents import DocumentAccess
from services.access.emergency import EmergencyAccess
from services.access.policy import Permission
from services.audit import EMERGENCY, READ
from services.document_history import HistoryEntry, history_entry
from services.document_listings import DocumentEntry, DocumentFilter, DocumentListings
from services.entities import DOCUMENT, Answered, Entities, Sender, send
from services.history import History
from services.listings import Place
from services.products import ProductCache
from services.proofs import Proofs
from storage.emergency_access import Grant

HISTORY: Final = "history"
FOLLOW: Final = "follow"

_OPEN: Final = tuple(sorted(OPEN))
_PENDING: Final = (DocumentStatus.PENDING_COSIGN,)


class Documents:
    def __init__(
        self,
        entities: Entities,
        history: History,
        listings: DocumentListings,
        products: ProductCache,
        proofs: Proofs,
        access: DocumentAccess,
    ) -> None:
        self._entities = entities
        self._history = history
        self._listings = listings
        self._products = products
        self._proofs = proofs
        self._access = access

    # -- reading ----------------------------------------------------------------------------------

    async def get(self, sender: Sender, document_id: str, action: str = READ) -> Answered:
        """The document as it is now, to whoever may see it."""
        reader, grant_id = await self._access.reader(sender, document_id)
        async with self._access.guarded(sender, action, document_id):
            answered = await self._entities.read(
                DOCUMENT, document_id, actor=reader, want=VIEW_JSON, correlation=sender.correlation
            )
        await self._access.shown(sender, action, document_id, answered.view, grant_id)
        return answered

    async def take_emergency_access(
        self, emergency: EmergencyAccess, sender: Sender, document_id: str, reason: str, proof: str
    ) -> tuple[Grant, bool]:
        """A grant for this document's patient, and whether the sender had it: see `EmergencyAccess.take`."""
        async with self._access.guarded(sender, EMERGENCY, document_id):
            entry = await self._access.entry(document_id)
            if entry is None:
                raise NotFound("There is no such document.")
            return await emergency.take(sender, entry, reason, proof)

    async def history(self, sender: Sender, document_id: str) -> Sequence[HistoryEntry]:
        """What happened, oldest first."""
        answered = await self.get(sender, document_id, HISTORY)
        rows = await self._history.of(DOCUMENT, document_id, upto=answered.version)
        return [history_entry(event, row.meta) for row in rows for event in row.events]

    async def followed(self, sender: Sender, document_id: str, outcome: str = "") -> None:
        """`sender` was let to follow the document over a socket, or, with the code in `outcome`, was refused: write
        that down. Raises `Unavailable` if it cannot."""
        await self._access.watched(sender, FOLLOW, document_id, outcome)

    async def list(
        self, sender: Sender, wanted: DocumentFilter, after: Place | None, limit: int
    ) -> tuple[Sequence[DocumentEntry], Place | None]:
        """A page of one's organizations' documents, newest first, and where the next one begins (None: the last).

        Of one patient, also what emergency access has opened.
        """
        return await self._found(sender, wanted, after, limit, shown=True)

    async def _found(
        self, sender: Sender, wanted: DocumentFilter, after: Place | None, limit: int, *, shown: bool
    ) -> tuple[Sequence[DocumentEntry], Place | None]:
        grants: Mapping[str, str] = {}
        if wanted.location_id:
            location = await self._access.location(sender, wanted.location_id)
            own: tuple[str, ...] = (location.organization_id,)
        else:
            own = where(sender.actor, Permission.DOCUMENT_SEE)
            if not own:
                grants = await self._access.opened(sender.actor, wanted.patient_id)
                own = tuple(sorted(grants))
            if not own:
                raise NotFound("There is no such list of documents.")
        wanted = msgspec.structs.replace(wanted, organization_ids=own)
        rows = await self._listings.documents(wanted, after, limit + 1)
        page = rows[:limit]
        if shown:
            await self._access.listed(sender, wanted, page, grants)
        last = page[-1] if len(rows) > limit else None
        return page, None if last is None else Place(last.created_at_ms, last.id)

    async def cosign_queue(
        self, sender: Sender, location_id: str, after: Place | None, limit: int
    ) -> tuple[Sequence[DocumentEntry], Place | None]:
        """What waits for a second signature that `sender` may give: named to them or to nobody."""
        wanted = DocumentFilter(location_id=location_id, statuses=_PENDING, cosigner=sender.actor.subject)
        return await self.list(sender, wanted, after, limit)

    async def members(
        self, actor: Actor, party: str, party_id: str, name: str, limit: int, *, again: bool = False
    ) -> Sequence[tuple[str, str]]:
        """(kind, id) of a group: `location/{id}/documents`, `location/{id}/cosign`, `user/{id}/documents`.

        `again`: asked only to compare, so nobody saw it and the trail has nothing of it.
        """
        sender = Sender(actor)
        if (party, name) == ("user", "documents"):
            require(actor, Permission.DOCUMENTS_OWN, person=party_id)
            if not where(actor, Permission.DOCUMENT_SEE):
                return []
            wanted = DocumentFilter(participant=party_id, statuses=_OPEN)
        else:
            wanted = DocumentFilter(location_id=party_id, statuses=_PENDING if name == "cosign" else _OPEN)
        rows, _ = await self._found(sender, wanted, None, limit, shown=not again)
        return [(DOCUMENT, row.id) for row in rows]

    # -- writing ----------------------------------------------------------------------------------

    async def create(self, sender: Sender, document_id: str, command: Create, want: int = VIEW_JSON) -> Answered:
        """Begin a document, at a location of the organization."""
        async with self._access.guarded(sender, "create", document_id):
            await self.check_created(sender.actor, command)
            return await self._send(sender, document_id, command, want)

    async def execute(self, sender: Sender, document_id: str, command: Any, want: int = VIEW_JSON) -> Answered:
        """Have the document execute anything but a creation or a signature.

        A stale value that became a conflict is an answer too: see `told`.
        """
        async with self._access.guarded(sender, _operation(command), document_id):
            await self._check_products(sender.actor, document_id, command)
            return await self._send(sender, document_id, command, want)

    async def sign(
        self, sender: Sender, document_id: str, command: Sign | Cosign, proof: str, want: int = VIEW_JSON
    ) -> Answered:
        """Sign or co-sign. `proof` is an access token of a login just now; it goes no further than this (C1)."""
        async with self._access.guarded(sender, _operation(command), document_id):
            proved_ms = await self._proofs.proved(proof, sender.actor, REAUTH_MS // SECOND_MS)
            command = msgspec.structs.replace(command, authenticated_ms=proved_ms)
            return await self._send(sender, document_id, command, want)

    async def check_created(self, actor: Actor, command: Create) -> None:
        """Whether the organization has the location. To those who are nothing to it, it looks unknown."""
        if not may(actor, Permission.DOCUMENT_SEE, organization_id=command.organization_id):
            raise refusal(Permission.ORGANIZATION_SEE)
        location_id = check_id(command.location_id, "location_id")
        if not await self._access.has_location(command.organization_id, location_id):
            raise invalid_field("location_id", "unknown_location", "The organization has no such location.")

    async def check_product(self, organization_id: str, product_id: str, path: str) -> None:
        """Whether the organization's catalog knows the product, sold no more or not."""
        product = await self._products.known(product_id)
        if product is None or product.merchant_id != organization_id:
            raise invalid_field(path, "unknown_product", "The organization has no such product.")

    async def _check_products(self, actor: Actor, document_id: str, command: Any) -> None:
        product_id, path = _product(command)
        if not product_id:
            return
        entry = await self._access.entry(document_id)
        if entry is not None and may(actor, Permission.DOCUMENT_SEE, organization_id=entry.organization_id):
            await self.check_product(entry.organization_id, product_id, path)

    async def _send(self, sender: Sender, document_id: str, command: Any, want: int) -> Answered:
        answered = await send(self._entities, DOCUMENT, document_id, sender, command, want)
        if want == VIEW_JSON:
            await self._access.shown(sender, _operation(command), document_id, answered.view)
        return answered


def told(answered: Answered) -> Answered:
    """`answered`, unless the value came too late and is kept as a conflict: then `Conflict` `conflict_recorded`."""
    reply = answered.data or {}
    if "conflict_id" in reply:
        extra: dict[str, Any] = {name: reply[name] for name in ("conflict_id", "current") if name in reply}
        raise Conflict(
            "Somebody else has set another value meanwhile; both are kept.", code="conflict_recorded", extra=extra
        )
    return answered


def _operation(command: Any) -> str:
    return str(type(command).__struct_config__.tag)


def _product(command: Any) -> tuple[str, str]:
    """The product that a command names, "" for none, and where it does."""
    if isinstance(command, Resolve):
        value = command.value
        return (value.product_id, "value.product_id") if isinstance(value, Injection) else ("", "")
    product_id = getattr(command, "product_id", "")
    return (product_id, "product_id") if isinstance(product_id, str) else ("", "")
