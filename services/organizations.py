"""Organizations: merchants, clinics and organizers. Admins take them on; their own people see them.

One that is not active lets nobody act for it: tokens, keys and sockets lose it at once (`storage.organizations` writes
that with the change, `services.accounts.grants` gives nothing for it any more). Nothing of it is deleted.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from actors.parties import organizations_of
from actors.runtime.entity import Actor
from domain.errors import Conflict, NotFound
from domain.money import check_currency
from domain.text import check_text
from services.access.check import may, require
from services.access.policy import Permission
from services.audit import Audit
from services.locations import NAME_LENGTH_MAX, check_time_zone
from services.lookups import Clock
from storage.organizations import OrganizationFilter

KINDS: Final = ("merchant", "clinic", "organizer")
REASON_CHARACTERS_MAX: Final = 500
_OBJECT: Final = "organization"
_STATES: Final = {True: "active", False: "inactive"}


class Organization(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`kind` is one of `KINDS`; `currency` is what it sells in; `time_zone` is an IANA name.

    `version` rises with each change.
    """

    id: str
    kind: str
    name: str
    currency: str
    city: str = ""
    country: str = ""
    time_zone: str = "UTC"
    active: bool = True
    version: int = 1

    @property
    def status(self) -> str:
        return _STATES[self.active]


class OrganizationStore(Protocol):
    """Where organizations are kept. Each method is one transaction."""

    async def organization(self, organization_id: str) -> Organization | None: ...
    async def organizations(self, wanted: OrganizationFilter, after_id: str, limit: int) -> Sequence[Organization]:
        """By id after `after_id`."""

    async def add_organization(self, organization: Organization) -> bool:
        """False, and nothing written, when the id is taken."""

    async def change_organization(
        self, organization_id: str, changes: Mapping[str, Any], *, expected: int
    ) -> tuple[Organization, Organization] | None:
        """What it was and what it is. None: there is none.

        Raises `PreconditionFailed` unless it is at version `expected` (-1: at any), and `Conflict`
        (`organization_in_use`) for another kind or currency of what has products, locations or fees.
        """

    async def set_active(self, organization_id: str, *, active: bool, now_ms: int) -> Organization | None:
        """None: there is none, or it was so before. Access tokens for what becomes inactive are outdated with it."""


Told = Callable[[str, bool], Awaitable[None]]
"""Called with the id after an organization has changed; True: nobody acts for it any more."""


class Organizations:
    def __init__(self, store: OrganizationStore, audit: Audit, clock: Clock, told: Told) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._told = told

    async def get(self, actor: Actor, organization_id: str) -> Organization:
        """For whoever acts for it, and for admins."""
        found = await self._store.organization(organization_id)
        require(actor, Permission.ORGANIZATION_SEE, organization_id=organization_id)
        if found is None:
            raise _unknown()
        return found

    async def names(self, organization_ids: Collection[str]) -> dict[str, str]:
        """By id. Who asks vouches that the caller belongs to all of these, whatever their token is for."""
        wanted = OrganizationFilter(ids=tuple(organization_ids))
        found = await self._store.organizations(wanted, "", len(organization_ids)) if organization_ids else ()
        return {one.id: one.name for one in found}

    async def list(self, actor: Actor, wanted: OrganizationFilter, after_id: str, limit: int) -> Sequence[Organization]:
        """Those that the actor acts for; to who runs the platform all. By id."""
        check_text(wanted.text, "q", length_max=NAME_LENGTH_MAX)
        if not may(actor, Permission.PLATFORM_RUN):
            wanted = msgspec.structs.replace(wanted, ids=organizations_of(actor))
        return () if wanted.ids == () else await self._store.organizations(wanted, after_id, limit)

    async def add(self, actor: Actor, organization: Organization) -> tuple[Organization, bool]:
        """The organization, and whether this very one was there before. For the platform's admins and its own."""
        require(actor, Permission.ORGANIZATION_CREATE, organization_id=organization.id)
        _check(_settings(organization))
        if await self._store.add_organization(organization):
            await self._note(actor, "organization_created", organization.id, after=_settings(organization))
            return organization, False
        found = await self._store.organization(organization.id)
        if found is None or _settings(found) != _settings(organization):
            raise Conflict("Another organization has this id.", code="organization_exists")
        return found, True

    async def change(
        self,
        actor: Actor,
        organization_id: str,
        changes: Mapping[str, Any],
        *,
        expected: int = -1,
        correlation: str = "",
    ) -> Organization:
        """Another name, place, time zone; another kind or currency only while nothing was made there.

        By its admins and the platform's. `expected` is the version it must be at, -1 any. Raises `NotFound`,
        `Forbidden`, `Invalid`, `PreconditionFailed`, `Conflict` (`organization_in_use`).
        """
        require(actor, Permission.ORGANIZATION_SEE, organization_id=organization_id)
        require(actor, Permission.ORGANIZATION_CHANGE, organization_id=organization_id)
        _check(changes)
        done = await self._store.change_organization(organization_id, changes, expected=expected)
        if done is None:
            raise _unknown()
        was, now = (_settings(one) for one in done)
        before = {name: value for name, value in was.items() if now[name] != value}
        await self._told(organization_id, False)
        if before:
            after = {name: now[name] for name in before}
            await self._note(actor, "organization_changed", organization_id, correlation, before=before, after=after)
        return done[1]

    async def deactivate(self, actor: Actor, organization_id: str, reason: str, correlation: str = "") -> Organization:
        """Nobody acts for it from now on. By the platform's admins.

        Raises `NotFound`, `Invalid`, `Conflict` (`organization_state`).
        """
        return await self._set_active(actor, organization_id, reason, correlation, active=False)

    async def reactivate(self, actor: Actor, organization_id: str, reason: str, correlation: str = "") -> Organization:
        """As before it was deactivated, with the roles that its people have now. Raises as `deactivate`."""
        return await self._set_active(actor, organization_id, reason, correlation, active=True)

    async def _set_active(
        self, actor: Actor, organization_id: str, reason: str, correlation: str, *, active: bool
    ) -> Organization:
        require(actor, Permission.ORGANIZATION_SUSPEND, organization_id=organization_id)
        check_text(reason, "reason", length_max=REASON_CHARACTERS_MAX, required=True)
        changed = await self._store.set_active(organization_id, active=active, now_ms=self._clock.now_ms())
        if changed is None:
            found = await self.get(actor, organization_id)
            raise Conflict(f"It is {found.status}.", code="organization_state", extra={"current": found.status})
        action = "organization_reactivated" if active else "organization_deactivated"
        before, after = {"status": _STATES[not active]}, {"status": changed.status}
        try:
            await self._told(organization_id, not active)
        finally:  # it is done, whoever hears of it: nobody could do it again to have it in the trail
            await self._note(actor, action, organization_id, correlation, reason, before, after)
        return changed

    async def _note(
        self,
        actor: Actor,
        action: str,
        organization_id: str,
        correlation: str = "",
        reason: str = "",
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        await self._audit.note(
            actor,
            action,
            _OBJECT,
            organization_id,
            organization_id=organization_id,
            reason=reason,
            correlation=correlation,
            before=before,
            after=after,
        )


def _settings(organization: Organization) -> dict[str, Any]:
    """What its admins say of it."""
    fields = msgspec.structs.asdict(organization)
    return {name: value for name, value in fields.items() if name not in {"id", "active", "version"}}


def _check(settings: Mapping[str, Any]) -> None:
    if "currency" in settings:
        check_currency(settings["currency"])
    check_text(settings["name"], "name", length_max=NAME_LENGTH_MAX, required=True)
    check_text(settings["city"], "city", length_max=NAME_LENGTH_MAX)
    check_time_zone(settings["time_zone"])


def _unknown() -> NotFound:
    return NotFound("There is no such organization.")
