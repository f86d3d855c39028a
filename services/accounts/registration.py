"""New accounts, and the proof that an address is somebody's."""

import msgspec

from actors.runtime.entity import SYSTEM, Actor
from domain.errors import Invalid, invalid_field
from domain.ids import new_id
from domain.text import check_text
from services.accounts.emails import check_email
from services.accounts.invitations import Invitations
from services.accounts.mailed import MailedTokens
from services.accounts.passwords import Passwords
from services.accounts.proving import Prover
from services.accounts.store import UserStore
from services.audit import Audit, masked_email
from services.locations import NAME_LENGTH_MAX, check_time_zone
from services.lookups import Clock
from services.mail.post import Post
from storage.accounts.records import UserRecord, UserStatus
from storage.accounts.secret_tokens import token_hash


class _Registration(msgspec.Struct, frozen=True):
    """What one registration asked for. It is kept with its token: whoever registers with another's address first
    does not choose that person's password."""

    password_hash: str
    name: str
    locale: str
    time_zone: str


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    email: str
    password: str
    name: str
    locale: str = "en"
    time_zone: str = "UTC"


class Registration:
    def __init__(
        self,
        users: UserStore,
        prover: Prover,
        passwords: Passwords,
        mailed: MailedTokens,
        post: Post,
        clock: Clock,
        audit: Audit,
        invitations: Invitations,
    ) -> None:
        self._users = users
        self._prover = prover
        self._passwords = passwords
        self._mailed = mailed
        self._post = post
        self._clock = clock
        self._audit = audit
        self._invitations = invitations

    async def register(self, wanted: NewUser, invitation: str = "") -> None:
        """The same answer after the same time, whether or not the address has an account: only the mail differs.

        `invitation` is a token that was mailed to this very address, which proves it: a new account is active at once,
        and a member. One that there is already stays as it is, and the invitation too.
        Raises `Invalid` for what is wrong in itself, and for a token that does not hold.
        """
        email = await self._check(wanted)
        if invitation:
            await self._invitations.check(invitation, email)
        hashed = await self._passwords.hash(wanted.password)
        if invitation and await self._invitations.register(invitation, self._new(wanted, email, hashed)):
            return
        user = await self._users.user_by_email(email)
        if user is None:
            user = self._new(wanted, email, hashed)
            if not await self._users.add_user(user):
                user = await self._users.user_by_email(email) or user  # somebody registered with it just now
        if user.status is UserStatus.PENDING:
            chosen = _Registration(hashed, wanted.name, wanted.locale, wanted.time_zone)
            payload = msgspec.json.encode(chosen)
            await self._mailed.send(user, "verify", message="verify", payload=payload, locale=wanted.locale)
        elif user.status is UserStatus.ACTIVE:
            await self._mailed.send(user, "reset", message="exists")

    async def create(self, wanted: NewUser, roles: tuple[str, ...]) -> UserRecord | None:
        """An active account without a mail (the command line); None when the address is taken. Raises `Invalid`.

        The trail has it before it is there: there is no such account without its event.
        """
        email = await self._check(wanted)
        if await self._users.user_by_email(email) is not None:
            return None
        fresh = self._new(wanted, email, await self._passwords.hash(wanted.password))
        now = self._clock.now_ms()
        user = msgspec.structs.replace(fresh, status=UserStatus.ACTIVE, verified_at_ms=now, roles=roles)
        given = {"email": masked_email(email), "roles": sorted(roles)}
        await self._audit.note(SYSTEM, "account_created", "user", user.id, after=given)
        if await self._users.add_user(user):
            return user
        await self._audit.note(SYSTEM, "account_created", "user", user.id, outcome="email_taken")
        return None

    async def verify(self, token: str) -> UserRecord:
        """Open the account, or take over the new address, that this token was mailed for. Raises `Invalid`.

        When an address changes, the old one is told.
        """
        now = self._clock.now_ms()
        found = await self._users.token(token_hash(token), ("verify", "email"), now)
        user = None if found is None else await self._users.user(found.user_id)
        if found is None or user is None:
            raise spent_token()
        if found.purpose == "verify":
            chosen = msgspec.json.decode(found.payload, type=_Registration)
            done = await self._users.activate(found, **msgspec.structs.asdict(chosen), now_ms=now)
        else:
            done = await self._users.change_email(found, found.payload.decode(), now)
            if done:
                self._post.send("email_changed", user.email, user.locale)
                await self._audit.note(
                    Actor(user.id),
                    "email_changed",
                    "user",
                    user.id,
                    before={"email": masked_email(user.email)},
                    after={"email": masked_email(found.payload.decode())},
                )
        if not done:
            raise spent_token()
        changed = await self._users.user(user.id)
        if changed is None:
            raise spent_token()
        return changed

    async def change_email(self, user_id: str, password: str, email: str) -> None:
        """Mail a token to the new address; the same answer when that is somebody else's.

        Raises like `Prover.prove_again`, and `Invalid`.
        """
        email = check_email(email)
        user = await self._prover.prove_again(user_id, password, "password")
        if await self._users.user_by_email(email) is None:
            await self._mailed.send(user, "email", message="email", payload=email.encode(), to=email)

    def _new(self, wanted: NewUser, email: str, hashed: str) -> UserRecord:
        now = self._clock.now_ms()
        return UserRecord(
            id=new_id(),
            email=email,
            name=wanted.name,
            status=UserStatus.PENDING,
            password_hash=hashed,
            locale=wanted.locale,
            time_zone=wanted.time_zone,
            created_at_ms=now,
            updated_at_ms=now,
        )

    async def _check(self, wanted: NewUser) -> str:
        email = check_email(wanted.email)
        check_text(wanted.name, "name", length_max=NAME_LENGTH_MAX, required=True)
        check_time_zone(wanted.time_zone)
        await self._passwords.check(wanted.password, "password", (email, wanted.name))
        return email


def spent_token() -> Invalid:
    """One answer for a token that never was, has run out, or was used."""
    return invalid_field("token", "token_spent", "This was used already, or has run out: ask for a new one.")
