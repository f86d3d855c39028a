"""Accounts and who they are at login providers: logging in by one, linking and unlinking."""

from collections.abc import Sequence
from typing import Final

from actors.runtime.entity import Actor
from domain.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from domain.ids import new_id
from domain.text import check_text
from services.accounts.accounts import Accounts
from services.accounts.emails import check_email
from services.accounts.logins import Opened
from services.accounts.proving import check_active
from services.accounts.store import AccountStores
from services.audit import Audit
from services.lookups import Clock
from services.oidc.errors import RefusedLoginError
from services.oidc.flows import Flows, Proof
from services.oidc.limits import OidcLimits
from services.oidc.store import IdentityStore
from services.tokens import Verified
from storage.accounts.identities import IdentityRecord, Linked
from storage.accounts.records import UserRecord, UserStatus

BY_PROVIDER: Final = ("oidc",)
_ATTEMPTS: Final = 3
"""Looking again, when somebody else was quicker: with the same identity, or the same address."""
_PASSKEY: Final = "passkey"


class Identities:
    def __init__(
        self,
        flows: Flows,
        store: IdentityStore,
        stores: AccountStores,
        accounts: Accounts,
        audit: Audit,
        clock: Clock,
        limits: OidcLimits,
    ) -> None:
        self._flows = flows
        self._store = store
        self._stores = stores
        self._accounts = accounts
        self._audit = audit
        self._clock = clock
        self._limits = limits

    async def log_in(self, code: str, verifier: str, *, device: str = "", organization_id: str = "") -> Opened:
        """By a code of `Flows`; makes an account for whoever has none.

        Raises `Unauthenticated` (`oidc_flow_unknown`, `login_failed`, `mfa_required`), `Forbidden`
        (`oidc_email_unverified`, `account_suspended`, `not_a_member`), `Conflict` (`account_exists`), `Invalid`.
        """
        check_text(device, "device", length_max=self._accounts.limits.device_characters_max)
        proof = await self._flows.redeem(code, verifier)
        user = await self._user_of(proof)
        return await self._accounts.logins.begin(
            user, device=device, organization_id=organization_id, auth_time_ms=proof.auth_time_ms, amr=BY_PROVIDER
        )

    async def link(self, verified: Verified, code: str, verifier: str) -> IdentityRecord:
        """Their own account, by a code of `Flows`. They must have logged in just now.

        Raises `Forbidden` (`reauthentication_required`, `account_required`), `Unauthenticated`
        (`oidc_flow_unknown`), `Conflict` (`identity_taken`, `identities_full`).
        """
        actor = verified.actor
        await self._accounts.step_up.check(verified)
        user = await self._stores.users.user(actor.subject)
        if user is None or user.status is not UserStatus.ACTIVE:
            raise Forbidden("Only people with an account can do this.", code="account_required")
        proof = await self._flows.redeem(code, verifier)
        mine = self._record(user.id, proof)
        linked = await self._store.add(mine, self._limits.identities_max)
        if linked is Linked.TAKEN:
            there = await self._store.identity(proof.issuer, proof.subject)
            if there is not None and there.user_id == user.id:
                return there
            raise Conflict("Somebody else logs in by this.", code="identity_taken")
        if linked is not Linked.DONE:
            raise Conflict("You have as many as there can be: remove one first.", code="identities_full")
        await self._told(user, mine)
        return mine

    async def list(self, user_id: str) -> Sequence[IdentityRecord]:
        return await self._store.identities(user_id)

    async def unlink(self, verified: Verified, identity_id: str) -> None:
        """Raises `NotFound`, `Forbidden` (`reauthentication_required`), `Conflict` (`last_login_way`)."""
        user_id = verified.actor.subject
        if identity_id not in {each.id for each in await self._store.identities(user_id)}:
            raise NotFound("There is no such identity.")
        await self._accounts.step_up.check(verified)
        other_way = _PASSKEY in await self._stores.factors.kinds(user_id)
        gone = await self._store.remove(user_id, identity_id, other_way=other_way)
        if gone is Linked.LAST:
            raise Conflict("You could not log in any more: choose a password first.", code="last_login_way")
        if gone is not Linked.DONE:
            raise NotFound("There is no such identity.")
        await self._audit.note(Actor(user_id), "identity_unlinked", "identity", identity_id)

    async def _user_of(self, proof: Proof) -> UserRecord:
        """Whose identity it is, whose it becomes by the address, or the new account that it makes."""
        for _ in range(_ATTEMPTS):
            known = await self._store.identity(proof.issuer, proof.subject)
            if known is not None:
                user = await self._stores.users.user(known.user_id)
                if user is None or user.status is UserStatus.DELETED:
                    raise Unauthenticated("This account is gone.", code="login_failed")
                active = check_active(user)
                await self._store.used(known.id, self._clock.now_ms())
                return active
            email = _address(proof)
            user = await self._stores.users.user_by_email(email)
            joined = await (self._join(user, proof) if user is not None else self._create(email, proof))
            if joined is not None:
                return joined
        raise RefusedLoginError("raced")

    async def _join(self, user: UserRecord, proof: Proof) -> UserRecord | None:
        """Link it to the account of the same address, once both sides have proved that. None: look again."""
        if user.status is UserStatus.DELETED:
            raise Unauthenticated("This account is gone.", code="login_failed")
        claimed = user.status is UserStatus.PENDING
        if claimed:  # nobody has proved the address before: now it is, and what was chosen without that goes
            if not await self._store.claim(user.id, self._clock.now_ms()):
                return None
        elif not check_active(user).verified_at_ms:
            raise Conflict("Log in with your password, and link this login then.", code="account_exists")
        identity = self._record(user.id, proof)
        linked = await self._store.add(identity, self._limits.identities_max)
        if linked is Linked.FULL:
            raise Conflict("You have as many as there can be: remove one first.", code="identities_full")
        if linked is not Linked.DONE:
            return None
        await self._told(user, identity)
        return await self._stores.users.user(user.id)

    async def _create(self, email: str, proof: Proof) -> UserRecord | None:
        now = self._clock.now_ms()
        user = UserRecord(
            id=new_id(),
            email=email,
            name=proof.name or email.partition("@")[0],
            status=UserStatus.ACTIVE,
            verified_at_ms=now,
            created_at_ms=now,
            updated_at_ms=now,
        )
        if not await self._stores.users.add_user(user):
            return None
        identity = self._record(user.id, proof)
        if await self._store.add(identity, self._limits.identities_max) is not Linked.DONE:
            return None
        await self._audit.note(Actor(user.id), "identity_linked", "identity", identity.id)
        return user

    async def _told(self, user: UserRecord, identity: IdentityRecord) -> None:
        self._accounts.post.send("identity_linked", user.email, user.locale)
        await self._audit.note(Actor(user.id), "identity_linked", "identity", identity.id)

    def _record(self, user_id: str, proof: Proof) -> IdentityRecord:
        return IdentityRecord(
            id=new_id(),
            user_id=user_id,
            provider=proof.provider,
            issuer=proof.issuer,
            subject=proof.subject,
            linked_at_ms=self._clock.now_ms(),
        )


def _address(proof: Proof) -> str:
    """The address that the provider vouches for. Raises `Forbidden`."""
    refused = Forbidden(
        "The provider does not vouch for an address of yours: register with one, and link this login then.",
        code="oidc_email_unverified",
    )
    if not proof.email:
        raise refused
    try:
        return check_email(proof.email)
    except Invalid:
        raise refused from None
