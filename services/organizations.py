"""Organizations: merchants, clinics and organizers. Admins take them on; their own people see them."""

from typing import Final, Protocol

import msgspec

from actors.runtime.entity import Actor
from domain.errors import Conflict, NotFound
from domain.money import check_currency
from domain.text import check_text
from services.audit import Audit
from services.locations import NAME_LENGTH_MAX, check_time_zone

KINDS: Final = ("merchant", "clinic", "organizer")


class Organization(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`kind` is one of `KINDS`; `currency` is what it sells in; `time_zone` is an IANA name."""

    id: str
    kind: str
    name: str
    currency: str
    city: str = ""
    country: str = ""
    time_zone: str = "UTC"


class OrganizationStore(Protocol):
    """Where organizations are kept. Each method is one transaction."""

    async def organization(self, organization_id: str) -> Organization | None: ...
    async def add_organization(self, organization: Organization) -> bool:
        """False, and nothing written, when the id is taken."""


class Organizations:
    def __init__(self, store: OrganizationStore, audit: Audit) -> None:
        self._store = store
        self._audit = audit

    async def get(self, actor: Actor, organization_id: str) -> Organization:
        """For whoever acts for it, and for admins."""
        found = await self._store.organization(organization_id)
        if found is None or not (actor.acts_for(organization_id) or actor.runs_platform()):
            raise NotFound("There is no such organization.")
        return found

    async def add(self, actor: Actor, organization: Organization) -> tuple[Organization, bool]:
        """The organization, and whether this very one was there before. For the platform's admins and its own."""
        its_own = actor.has_role("admin") and actor.acts_for(organization.id)
        if not its_own and not actor.runs_platform():
            raise NotFound("There is no such resource.")
        check_currency(organization.currency)
        check_text(organization.name, "name", length_max=NAME_LENGTH_MAX, required=True)
        check_text(organization.city, "city", length_max=NAME_LENGTH_MAX)
        check_time_zone(organization.time_zone)
        if await self._store.add_organization(organization):
            settings = {name: value for name, value in msgspec.structs.asdict(organization).items() if name != "id"}
            await self._audit.note(
                actor,
                "organization_created",
                "organization",
                organization.id,
                organization_id=organization.id,
                after=settings,
            )
            return organization, False
        if await self._store.organization(organization.id) != organization:
            raise Conflict("Another organization has this id.", code="organization_exists")
        return organization, True
