"""Service accounts: an organization's machines. Its admins make them, give them roles and keys, and shut them out.

One has no password and no address and cannot log in; what it does, it does with an API key, within the key's scopes and
its own roles, at its one organization.
"""

from collections.abc import Sequence
from typing import Any

from actors.runtime.entity import Actor
from domain.errors import Conflict, Invalid, NotFound, invalid_field
from domain.ids import new_id
from domain.roles import SERVICE_ROLES
from domain.text import check_text
from services.access.check import require
from services.access.policy import Permission
from services.accounts.api_keys import Owner
from services.accounts.key_limits import DEFAULTS, KeyLimits
from services.accounts.key_store import KeyStore
from services.accounts.revocations import Revocations
from services.audit import Audit
from services.lookups import Clock
from storage.accounts.api_keys import ACTIVE, DELETED, SERVICE, ServiceAccountRecord

SUSPENDED = "suspended"


class ServiceAccounts:
    """Every method raises `NotFound` to all but the organization's admins and the platform's."""

    def __init__(
        self, store: KeyStore, revocations: Revocations, audit: Audit, clock: Clock, limits: KeyLimits = DEFAULTS
    ) -> None:
        self._store = store
        self._revocations = revocations
        self._audit = audit
        self._clock = clock
        self._limits = limits

    async def create(
        self, actor: Actor, organization_id: str, name: str, roles: Sequence[str], correlation: str = "", id: str = ""
    ) -> ServiceAccountRecord:
        """`id` is for a request that may be repeated: see `earlier`. Raises `Invalid`, `Conflict`
        (`too_many_service_accounts`)."""
        require(actor, Permission.MEMBERS_MANAGE, organization_id=organization_id)
        now = self._clock.now_ms()
        service = ServiceAccountRecord(
            id=id or new_id(),
            organization_id=organization_id,
            name=self._name(name),
            roles=_roles(roles),
            status=ACTIVE,
            created_by=actor.subject,
            created_at_ms=now,
            updated_at_ms=now,
        )
        count_max = self._limits.services_per_organization_max
        added = await self._store.add_service(service, count_max=count_max)
        if added is None:
            raise NotFound("There is no such organization.")
        if not added:
            raise Conflict(f"At most {count_max} service accounts.", code="too_many_service_accounts")
        await self._note(actor, "service_account_created", service, correlation)
        return service

    async def earlier(
        self, actor: Actor, organization_id: str, name: str, roles: Sequence[str], id: str
    ) -> ServiceAccountRecord | None:
        """What an earlier `create` of this id made, whose answer was lost. Raises `Invalid` (`idempotency_key_reused`)
        if that was another one."""
        require(actor, Permission.MEMBERS_MANAGE, organization_id=organization_id)
        found = await self._store.service(id)
        if found is not None and (found.name, found.roles, found.status) != (self._name(name), _roles(roles), ACTIVE):
            raise Invalid("This key was used for another service account.", code="idempotency_key_reused")
        return found

    async def list(self, actor: Actor, organization_id: str, after: str, limit: int) -> Sequence[ServiceAccountRecord]:
        """The next `limit`, by id."""
        require(actor, Permission.MEMBERS_MANAGE, organization_id=organization_id)
        return await self._store.services(organization_id, after, limit)

    async def get(self, actor: Actor, organization_id: str, service_id: str) -> ServiceAccountRecord:
        require(actor, Permission.MEMBERS_MANAGE, organization_id=organization_id)
        service = await self._store.service(service_id)
        if service is None or service.organization_id != organization_id or service.status == DELETED:
            raise _no_service()
        return service

    async def owner(self, actor: Actor, organization_id: str, service_id: str) -> Owner:
        """As whose its keys are made, rotated and revoked."""
        service = await self.get(actor, organization_id, service_id)
        return Owner(SERVICE, service.id, organization_id)

    async def change(
        self,
        actor: Actor,
        organization_id: str,
        service_id: str,
        name: str,
        roles: Sequence[str],
        correlation: str = "",
    ) -> ServiceAccountRecord:
        """Another name, other roles: its keys have them from the next request on. Raises `Invalid`."""
        changes = {"name": self._name(name), "roles": _roles(roles)}
        return await self._change(
            actor, organization_id, service_id, changes, "service_account_changed", correlation=correlation
        )

    async def suspend(
        self, actor: Actor, organization_id: str, service_id: str, reason: str, correlation: str = ""
    ) -> ServiceAccountRecord:
        """Its keys are refused until it is reinstated. A repeat changes nothing."""
        return await self._change(
            actor, organization_id, service_id, {"status": SUSPENDED}, "service_account_suspended", reason, correlation
        )

    async def reinstate(
        self, actor: Actor, organization_id: str, service_id: str, correlation: str = ""
    ) -> ServiceAccountRecord:
        """Its keys that still hold are good again."""
        return await self._change(
            actor, organization_id, service_id, {"status": ACTIVE}, "service_account_reinstated", "", correlation
        )

    async def delete(self, actor: Actor, organization_id: str, service_id: str, correlation: str = "") -> None:
        """For ever, with its keys."""
        await self._change(
            actor, organization_id, service_id, {"status": DELETED}, "service_account_deleted", "", correlation
        )

    async def _change(
        self,
        actor: Actor,
        organization_id: str,
        service_id: str,
        changes: dict[str, Any],
        action: str,
        reason: str = "",
        correlation: str = "",
    ) -> ServiceAccountRecord:
        require(actor, Permission.MEMBERS_MANAGE, organization_id=organization_id)
        before = await self._store.service(service_id)
        changed = await self._store.change_service(organization_id, service_id, changes, self._clock.now_ms())
        if changed is None:
            raise _no_service()
        await self._revocations.outdate(service_id)  # again: what was looked up while this was being written
        await self._note(actor, action, changed, correlation, reason, before)
        return changed

    def _name(self, name: str) -> str:
        return check_text(name, "name", length_max=self._limits.key_name_characters_max, required=True)

    async def _note(
        self,
        actor: Actor,
        action: str,
        service: ServiceAccountRecord,
        correlation: str,
        reason: str = "",
        before: ServiceAccountRecord | None = None,
    ) -> None:
        await self._audit.note(
            actor,
            action,
            "service_account",
            service.id,
            organization_id=service.organization_id,
            reason=reason,
            correlation=correlation,
            before=None if before is None else _state(before),
            after=_state(service),
        )


def _state(service: ServiceAccountRecord) -> dict[str, Any]:
    """What it is called and may do, and whether."""
    return {"name": service.name, "roles": list(service.roles), "status": service.status}


def _roles(roles: Sequence[str]) -> tuple[str, ...]:
    found = tuple(sorted(set(roles)))
    if not found or not SERVICE_ROLES.issuperset(found):
        raise invalid_field("roles", "unknown_role", f"One or more of {', '.join(sorted(SERVICE_ROLES))}.")
    return found


def _no_service() -> NotFound:
    return NotFound("There is no such service account.")
