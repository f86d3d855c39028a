"""Emergency access (C8): somebody of a clinic's staff opens a patient's documents that they may not see, and says why.

It opens all documents of that patient at that organization, to be read only, for `EMERGENCY_ACCESS_MS`. The admins are
told at once, every reading is in the audit trail under the grant, and somebody else has to look into it afterwards.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from actors.document_values import REAUTH_MS
from actors.parties import is_oneself
from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, TooMany, invalid_field
from domain.ids import new_id
from domain.text import check_text
from domain.times import DAY_MS, HOUR_MS, SECOND_MS
from services.access.check import may, refusal, require, require_somewhere, where
from services.access.policy import Permission
from services.audit import EMERGENCY, OPERATIONS, Audit
from services.document_listings import DocumentEntry
from services.entities import Sender
from services.listings import Place
from services.lookups import Clock
from services.proofs import Proofs
from storage.emergency_access import Grant

EMERGENCY_ACCESS_MS: Final = 4 * HOUR_MS
"""So long a grant lasts."""
GRANTS_PER_DAY_MAX: Final = 20
"""Grants to one person within 24 hours: more is no emergency."""
REASON_CHARACTERS_MIN: Final = 20
REASON_CHARACTERS_MAX: Final = 1_000
"""A word is no reason that anybody could look into."""
NOTE_CHARACTERS_MAX: Final = 2_000

KIND: Final = "emergency_access"
GRANTED: Final = "emergency_access_granted"

_log = structlog.get_logger("services.access.emergency")

Alert = Callable[[str], Awaitable[None]]
"""Tells the admins of an organization, without waiting for the mail to arrive."""


class EmergencyStore(Protocol):
    """Where grants are kept. Each method is one transaction."""

    async def add(self, grant: Grant, *, since_ms: int, count_max: int) -> Grant | None:
        """Keep it, and return it; if the person has one for this already, that. None, and nothing kept, when they were
        given `count_max` since."""

    async def active(self, subject: str, patient_id: str, now_ms: int) -> Sequence[Grant]: ...
    async def grant(self, grant_id: str) -> Grant | None: ...
    async def grants(
        self, organization_ids: Sequence[str], *, unreviewed: bool, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Grant]:
        """Newest first."""

    async def revoke(self, grant_id: str, by: str, now_ms: int) -> bool:
        """False when it had ended before."""

    async def review(self, grant_id: str, by: str, note: str, now_ms: int) -> bool:
        """False when somebody did before."""


class EmergencyAccess:
    def __init__(self, store: EmergencyStore, audit: Audit, proofs: Proofs, clock: Clock, alert: Alert) -> None:
        self._store = store
        self._audit = audit
        self._proofs = proofs
        self._clock = clock
        self._alert = alert

    async def take(self, sender: Sender, entry: DocumentEntry, reason: str, proof: str) -> tuple[Grant, bool]:
        """A grant for the patient of this document, and whether the sender had it already.

        `proof` is an access token of a login just now. Raises `NotFound` (not of this clinic's staff), `Conflict`
        (`access_not_needed`), `Invalid`, `Forbidden` (`reauthentication_required`), `TooMany`
        (`emergency_access_exhausted`).
        """
        actor, now = sender.actor, self._clock.now_ms()
        if may(actor, Permission.DOCUMENT_SEE, organization_id=entry.organization_id):
            raise Conflict("You may see this document without that.", code="access_not_needed")
        require(actor, Permission.EMERGENCY_TAKE, organization_id=entry.organization_id)
        check_text(reason, "reason", length_max=REASON_CHARACTERS_MAX)
        if len(reason.strip()) < REASON_CHARACTERS_MIN:
            raise invalid_field("reason", "too_short", f"Must have at least {REASON_CHARACTERS_MIN} characters.")
        await self._proofs.proved(proof, actor, REAUTH_MS // SECOND_MS)
        wanted = Grant(
            id=new_id(),
            subject=actor.subject,
            organization_id=entry.organization_id,
            patient_id=entry.patient_id,
            document_id=entry.id,
            reason=reason,
            granted_at_ms=now,
            expires_at_ms=now + EMERGENCY_ACCESS_MS,
        )
        grant = await self._store.add(wanted, since_ms=now - DAY_MS, count_max=GRANTS_PER_DAY_MAX)
        if grant is None:
            raise TooMany(
                "Too many emergencies in a day: ask an admin.",
                code="emergency_access_exhausted",
                retry_after_ms=HOUR_MS,
            )
        if grant.id == wanted.id:
            await self._alert(grant.organization_id)
            _log.warning(GRANTED, grant=grant.id, subject=grant.subject, organization=grant.organization_id)
        await self._note(sender, GRANTED, grant, purpose=EMERGENCY)
        return grant, grant.id != wanted.id

    async def opened(self, actor: Actor, patient_id: str) -> dict[str, str]:
        """Organizations at which the actor may read this patient's documents by emergency access, and the grants."""
        own = where(actor, Permission.EMERGENCY_TAKE)
        if not patient_id or not own:
            return {}
        found = await self._store.active(actor.subject, patient_id, self._clock.now_ms())
        return {each.organization_id: each.id for each in found if each.organization_id in own}

    async def list(
        self, actor: Actor, *, unreviewed: bool, after: Place | None, limit: int
    ) -> tuple[Sequence[Grant], Place | None]:
        """Grants at the actor's organizations, newest first, and where the next page begins. Admins only."""
        own = require_somewhere(actor, Permission.AUDIT_READ)
        place = None if after is None else (after.at_ms, after.id)
        rows = await self._store.grants(own, unreviewed=unreviewed, after=place, limit=limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        return rows[:limit], None if last is None else Place(last.granted_at_ms, last.id)

    async def review(self, sender: Sender, grant_id: str, note: str) -> Grant:
        """Say that one has looked into it. Raises `NotFound`, `Forbidden` (`own_emergency_access`), `Conflict`
        (`already_reviewed`), `Invalid`."""
        grant = await self._grant(sender.actor, grant_id, Permission.EMERGENCY_REVIEW)
        if is_oneself(sender.actor, grant.subject):
            raise Forbidden("Somebody else has to look into your own.", code="own_emergency_access")
        check_text(note, "note", length_max=NOTE_CHARACTERS_MAX)
        if not await self._store.review(grant_id, sender.actor.subject, note, self._clock.now_ms()):
            raise Conflict("Somebody has looked into it already.", code="already_reviewed")
        return await self._changed(sender, "emergency_access_reviewed", grant)

    async def revoke(self, sender: Sender, grant_id: str) -> Grant:
        """End it now: the organization's admins, and whoever has it. One that has ended stays as it is.

        Raises `NotFound`.
        """
        grant = await self._grant(sender.actor, grant_id, Permission.EMERGENCY_REVOKE)
        if not await self._store.revoke(grant_id, sender.actor.subject, self._clock.now_ms()):
            return grant
        return await self._changed(sender, "emergency_access_revoked", grant)

    def ended(self, grant: Grant) -> bool:
        """Whether nothing can be read under it any more."""
        return bool(grant.revoked_at_ms) or grant.expires_at_ms <= self._clock.now_ms()

    async def _grant(self, actor: Actor, grant_id: str, permission: Permission) -> Grant:
        grant = await self._store.grant(grant_id)
        if grant is None:
            raise refusal(permission)
        require(actor, permission, organization_id=grant.organization_id, person=grant.subject)
        return grant

    async def _changed(self, sender: Sender, action: str, before: Grant) -> Grant:
        after = await self._store.grant(before.id) or before
        await self._note(sender, action, after, before=before)
        return after

    async def _note(
        self, sender: Sender, action: str, grant: Grant, *, purpose: str = OPERATIONS, before: Grant | None = None
    ) -> None:
        await self._audit.note(
            sender.actor,
            action,
            KIND,
            grant.id,
            patient_id=grant.patient_id,
            organization_id=grant.organization_id,
            device=sender.device,
            correlation=sender.correlation,
            purpose=purpose,
            grant_id=grant.id,
            before=None if before is None else _state(before),
            after=_state(grant),
        )


def _state(grant: Grant) -> dict[str, str | int]:
    """What a change of it is about."""
    return {
        "subject": grant.subject,
        "reason": grant.reason,
        "expires_at_ms": grant.expires_at_ms,
        "revoked_at_ms": grant.revoked_at_ms,
        "reviewed_by": grant.reviewed_by,
    }
