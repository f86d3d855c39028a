"""Forgotten and changed passwords."""

from actors.runtime.entity import Actor
from services.accounts.emails import check_email
from services.accounts.mailed import MailedTokens
from services.accounts.passwords import Passwords
from services.accounts.proving import Prover
from services.accounts.registration import spent_token
from services.accounts.revocations import Revocations
from services.accounts.store import AccountStores
from services.audit import Audit
from services.background import Background
from services.lookups import Clock
from services.mail.post import Post
from storage.accounts.records import UserStatus
from storage.accounts.secret_tokens import token_hash


class Recovery:
    def __init__(
        self,
        stores: AccountStores,
        prover: Prover,
        passwords: Passwords,
        mailed: MailedTokens,
        post: Post,
        background: Background,
        revocations: Revocations,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._users = stores.users
        self._logins = stores.logins
        self._prover = prover
        self._passwords = passwords
        self._mailed = mailed
        self._post = post
        self._background = background
        self._revocations = revocations
        self._audit = audit
        self._clock = clock

    async def forgot(self, email: str) -> None:
        """Mail a token if the address has an account. The looking up happens after the answer: its time tells nothing.

        Raises `Invalid` for what is no address.
        """
        self._background.start("forgot_password", self._forgot(check_email(email)))

    async def reset(self, token: str, password: str) -> None:
        """Set the password that the mailed token allows to, and end all logins. Raises `Invalid`."""
        now, hashed_token = self._clock.now_ms(), token_hash(token)
        found = await self._users.token(hashed_token, ("reset",), now)
        user = None if found is None else await self._users.user(found.user_id)
        if found is None or user is None or user.status is UserStatus.DELETED:
            raise spent_token()
        await self._passwords.check(password, "password", (user.email, user.name))
        if not await self._users.reset_password(found, await self._passwords.hash(password), now):
            raise spent_token()
        await self._revocations.spread()
        await self._logins.forget_attempts(user.email)
        self._post.send("password_changed", user.email, user.locale)
        await self._audit.note(Actor(user.id), "password_reset", "user", user.id)

    async def change(self, user_id: str, current: str, password: str) -> None:
        """Set a new password and end all logins: this device logs in again, and all others. Raises like
        `Prover.prove_again`, and `Invalid`."""
        user = await self._prover.prove_again(user_id, current, "current_password")
        await self._passwords.check(password, "password", (user.email, user.name))
        now = self._clock.now_ms()
        await self._users.change_password(user.id, await self._passwords.hash(password), now)
        await self._revocations.spread()
        self._post.send("password_changed", user.email, user.locale)
        await self._audit.note(Actor(user.id), "password_changed", "user", user.id)

    async def _forgot(self, email: str) -> None:
        user = await self._users.user_by_email(email)
        if user is not None and user.status in {UserStatus.ACTIVE, UserStatus.PENDING}:
            await self._mailed.send(user, "reset", message="reset")
