"""API keys: made, rotated and revoked by their owners; checked at every request that comes with one."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog

from actors.runtime.entity import Actor
from domain.errors import AtriumError, Conflict, Forbidden, NotFound, Unauthenticated, invalid_field
from domain.ids import new_id
from domain.text import check_text
from domain.times import SECOND_MS
from services.access.scopes import check_scopes
from services.accounts.alerts import AdminAlerts
from services.accounts.grants import Grant, grant_for
from services.accounts.key_format import SHOWN_CHARACTERS, is_key, key_hash, new_key
from services.accounts.key_limits import DEFAULTS, KeyLimits
from services.accounts.key_store import KeyStore
from services.accounts.revocations import Revocations
from services.accounts.store import AccountStores
from services.audit import Audit
from services.lookups import Clock
from services.mail.post import Post
from services.tokens import Verified, taken_back
from storage.accounts.api_keys import ACTIVE, PERSON, SERVICE, ApiKeyRecord
from storage.accounts.records import UserStatus
from storage.accounts.revocations import Ending

DAY_MS: Final = 86_400_000
FLUSH_SECONDS: Final = 60.0
"""How often a gateway writes down which keys were used."""
_MOMENT_SECONDS: Final = 0.002
_ORGANIZATIONS_PER_KEY: Final = 1
_log = structlog.get_logger("services.api_keys")


class Owner(msgspec.Struct, frozen=True):
    """Whose keys: a person's own, for themselves or at an organization, or a service account's."""

    kind: str
    id: str
    organization_id: str = ""


class NewKey(msgspec.Struct, frozen=True):
    """`key` is the secret: shown once, kept nowhere."""

    record: ApiKeyRecord
    key: str


class ApiKeys:
    """Managing keys. Who may manage the keys of which owner is the caller's to check."""

    def __init__(
        self,
        store: KeyStore,
        accounts: AccountStores,
        revocations: Revocations,
        post: Post,
        alerts: AdminAlerts,
        audit: Audit,
        clock: Clock,
        limits: KeyLimits = DEFAULTS,
    ) -> None:
        self.limits = limits
        self._store = store
        self._accounts = accounts
        self._revocations = revocations
        self._post = post
        self._alerts = alerts
        self._audit = audit
        self._clock = clock

    async def own(self, actor: Actor, organization_id: str) -> Owner:
        """The person themselves as the owner of a new key that acts for `organization_id`, or "" for themselves.

        Raises `Forbidden` (`account_required`, `not_a_member`).
        """
        user = await self._accounts.users.user(actor.subject)
        if user is None:
            raise Forbidden("Only people with an account can do this.", code="account_required")
        held = await self._accounts.members.memberships(user.id) if organization_id else ()
        grant_for(user, held, organization_id, _ORGANIZATIONS_PER_KEY)
        return Owner(PERSON, user.id, organization_id)

    async def create(
        self, actor: Actor, owner: Owner, *, name: str, scopes: Iterable[str], days: int | None = None
    ) -> NewKey:
        """It is told by mail: to the person, or to the admins of the service account's organization.

        Raises `Invalid`, `Conflict` (`too_many_keys`).
        """
        days = self.limits.key_days_default if days is None else days
        if not 1 <= days <= self.limits.key_days_max:
            raise invalid_field("expires_in_days", "out_of_range", f"1 to {self.limits.key_days_max}.")
        check_text(name, "name", length_max=self.limits.key_name_characters_max, required=True)
        new = self._made(actor, owner, name, check_scopes(scopes, "scopes"), self._clock.now_ms() + days * DAY_MS)
        if not await self._store.add_key(
            new.record, key_hash(new.key), live_max=self.limits.keys_per_owner_max, now_ms=new.record.created_at_ms
        ):
            raise self._too_many()
        await self._note(actor, "api_key_created", owner, new.record.id, after=_state(new.record))
        await self._tell(owner)
        return new

    async def rotate(self, actor: Actor, owner: Owner, key_id: str, overlap_seconds: int | None = None) -> NewKey:
        """Another key for the same, for as many days as the old one was made for; that one goes on for the overlap.
        Told as in `create`.

        Raises `NotFound`, `Invalid`, `Conflict` (`too_many_keys`).
        """
        overlap = self.limits.key_overlap_seconds if overlap_seconds is None else overlap_seconds
        if not 0 <= overlap <= self.limits.key_overlap_seconds_max:
            longest = self.limits.key_overlap_seconds_max
            raise invalid_field("overlap_seconds", "out_of_range", f"0 to {longest}.")
        old = await self._store.key(owner.id, key_id)
        now = self._clock.now_ms()
        if old is None or old.revoked_at_ms or old.expires_at_ms <= now:
            raise _no_key()
        held_for = old.expires_at_ms - old.created_at_ms
        owner = Owner(old.owner_kind, old.owner_id, old.organization_id)
        new = self._made(actor, owner, old.name, old.scopes, now + held_for)
        rotated = await self._store.rotate_key(
            key_id,
            new.record,
            key_hash(new.key),
            until_ms=now + overlap * SECOND_MS,
            live_max=self.limits.keys_per_owner_max,
            now_ms=now,
        )
        if rotated is None:
            raise _no_key()
        if not rotated:
            raise self._too_many()
        await self._revocations.spread()
        await self._note(actor, "api_key_rotated", owner, key_id, _state(old), _state(new.record))
        await self._tell(owner)
        return new

    async def list(self, owner_id: str) -> Sequence[ApiKeyRecord]:
        """Those that hold, the newest first."""
        return await self._store.keys(owner_id, self._clock.now_ms())

    async def revoke(self, actor: Actor, owner: Owner, key_id: str) -> None:
        """It is refused from now on, by every gateway. Raises `NotFound`."""
        if not await self._store.revoke_key(owner.id, key_id, "revoked", self._clock.now_ms()):
            raise _no_key()
        await self._revocations.spread()
        await self._note(actor, "api_key_revoked", owner, key_id, after={"revoked": True})

    def _made(self, actor: Actor, owner: Owner, name: str, scopes: tuple[str, ...], expires_ms: int) -> NewKey:
        key = new_key()
        record = ApiKeyRecord(
            id=new_id(),
            prefix=key[:SHOWN_CHARACTERS],
            owner_kind=owner.kind,
            owner_id=owner.id,
            organization_id=owner.organization_id,
            name=name,
            scopes=scopes,
            created_by=actor.subject,
            created_at_ms=self._clock.now_ms(),
            expires_at_ms=expires_ms,
        )
        return NewKey(record, key)

    async def _tell(self, owner: Owner) -> None:
        """Whoever did not make it hears that somebody has."""
        if owner.kind == SERVICE:
            self._alerts.service_key(owner.organization_id)
            return
        user = await self._accounts.users.user(owner.id)
        if user is not None:
            self._post.send("api_key_added", user.email, user.locale)

    def _too_many(self) -> Conflict:
        return Conflict(f"At most {self.limits.keys_per_owner_max} keys: revoke one first.", code="too_many_keys")

    async def _note(
        self,
        actor: Actor,
        action: str,
        owner: Owner,
        key_id: str,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        await self._audit.note(
            actor, action, "api_key", key_id, organization_id=owner.organization_id, before=before, after=after
        )


def _state(key: ApiKeyRecord) -> dict[str, Any]:
    """Of a key, what it may and for how long."""
    return {"id": key.id, "scopes": list(key.scopes), "expires_at_ms": key.expires_at_ms}


class KeyCheck:
    """Whom a key speaks for. What was looked up is believed for `key_known_seconds`, unless something is taken back."""

    def __init__(
        self,
        store: KeyStore,
        accounts: AccountStores,
        revocations: Revocations,
        clock: Clock,
        limits: KeyLimits = DEFAULTS,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._revoked = revocations.revoked
        self._clock = clock
        self._limits = limits
        self._known: dict[bytes, tuple[Verified | None, int]] = {}
        self._asking: dict[bytes, asyncio.Task[Verified | None]] = {}
        self._used_ms: dict[str, int] = {}

    def known(self, key: str) -> Verified | None:
        """What is known of it without asking anybody; None: it has to be asked for (or does not hold)."""
        hashed = key_hash(key)
        verified, until = self._known.get(hashed, (None, 0))
        now = self._clock.now_ms()
        if verified is None or until <= now or verified.expires * SECOND_MS <= now:
            return None
        if self._revoked.ending(verified) is not None:
            return None
        self._used_ms[verified.login] = now
        return verified

    async def verify(self, key: str) -> Verified:
        """Raises `Unauthenticated` (`token_invalid`, `token_expired`, `token_revoked`), `Unavailable`."""
        if not is_key(key):
            raise _invalid()
        now, hashed = self._clock.now_ms(), key_hash(key)
        verified, until = self._known.get(hashed, (None, 0))
        if until <= now or (verified is not None and self._revoked.ending(verified) is not None):
            verified = await self._asked(hashed)
            if verified is not None and self._revoked.ending(verified) is Ending.OUTDATED:
                await asyncio.sleep(_MOMENT_SECONDS)  # looked up in the very millisecond of a change
                verified = await self._asked(hashed)
        if verified is None:
            raise _invalid()
        if verified.expires * SECOND_MS <= now:
            raise Unauthenticated("The key has expired.", code="token_expired")
        ending = self._revoked.ending(verified)
        if ending is not None:
            raise taken_back(ending)
        self._used_ms[verified.login] = now
        return verified

    async def flush(self) -> None:
        """Write down which keys were used since the last time."""
        used, self._used_ms = self._used_ms, {}
        try:
            await self._store.used_keys(used)
        except AtriumError:
            _log.warning("key_use_not_recorded", count=len(used))

    async def flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def _asked(self, hashed: bytes) -> Verified | None:
        """Of many requests that come with a key at once, one looks it up."""
        task = self._asking.get(hashed)
        if task is None:
            task = self._asking[hashed] = asyncio.get_running_loop().create_task(self._look_up(hashed))
            task.add_done_callback(lambda _: self._asking.pop(hashed, None))
        return await asyncio.shield(task)

    async def _look_up(self, hashed: bytes) -> Verified | None:
        began = self._clock.now_ms()
        found = await self._store.key_by_hash(hashed)
        verified = None if found is None else await self._verified(found, began)
        while len(self._known) >= self._limits.keys_known_max:
            del self._known[next(iter(self._known))]
        self._known.pop(hashed, None)
        self._known[hashed] = (verified, began + self._limits.key_known_seconds * SECOND_MS)
        return verified

    async def _verified(self, key: ApiKeyRecord, began_ms: int) -> Verified:
        """With the roles that its owner has now. Raises `Unauthenticated` when there is no such owner any more."""
        if key.revoked_at_ms:
            raise taken_back(Ending.ENDED)
        grant = await (self._service(key) if key.owner_kind == SERVICE else self._person(key))
        return Verified(
            Actor(key.owner_id, grant.roles, grant.organizations),
            key.expires_at_ms // SECOND_MS,
            login=key.id,
            issued_ms=began_ms,
            scopes=frozenset(key.scopes),
        )

    async def _person(self, key: ApiKeyRecord) -> Grant:
        user = await self._accounts.users.user(key.owner_id)
        if user is None or user.status is not UserStatus.ACTIVE:
            raise taken_back(Ending.ENDED)
        held = await self._accounts.members.memberships(user.id) if key.organization_id else ()
        try:
            return grant_for(user, held, key.organization_id, _ORGANIZATIONS_PER_KEY)
        except Forbidden:
            raise taken_back(Ending.ENDED) from None

    async def _service(self, key: ApiKeyRecord) -> Grant:
        service = await self._store.service(key.owner_id)
        if service is None or service.status != ACTIVE:
            raise taken_back(Ending.ENDED)
        if not await self._store.organization_active(service.organization_id):
            raise taken_back(Ending.ENDED)
        return Grant(service.roles, (service.organization_id,))


class NoKeys:
    """Of a gateway without accounts: nothing is a key."""

    def known(self, key: str) -> Verified | None:  # noqa: ARG002
        return None

    async def verify(self, key: str) -> Verified:  # noqa: ARG002
        raise _invalid()


def _no_key() -> NotFound:
    return NotFound("There is no such key.")


def _invalid() -> Unauthenticated:
    return Unauthenticated("This is no API key of ours.", code="token_invalid")
