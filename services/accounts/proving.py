"""Proving by a password who somebody is; every way to try one is counted here."""

from domain.errors import Forbidden, Unauthenticated, invalid_field
from services.accounts.attempts import Attempts
from services.accounts.passwords import Passwords
from services.accounts.store import AccountStores
from storage.accounts.records import UserRecord, UserStatus


class Prover:
    def __init__(self, stores: AccountStores, passwords: Passwords, attempts: Attempts) -> None:
        self._stores = stores
        self._passwords = passwords
        self._attempts = attempts

    async def prove(self, email: str, password: str) -> UserRecord:
        """The active person with this address and password.

        Raises `Unauthenticated` (`login_failed`: one answer, after one time, for unknown addresses and wrong
        passwords), `TooMany` (`login_locked`: also for unknown ones), `Forbidden` (`email_unverified`,
        `account_suspended`: only with the right password).
        """
        await self._attempts.count(email)
        user = await self._stores.users.user_by_email(email)
        kept = "" if user is None or user.status is UserStatus.DELETED else user.password_hash
        holds, better = await self._passwords.verify(password, kept)
        if not holds or user is None:
            raise Unauthenticated("The address or the password is not right.", code="login_failed")
        await self._attempts.forget(email)
        if better:
            user = await self._upgraded(user, password, better)
        return check_active(user)

    async def _upgraded(self, user: UserRecord, password: str, better: str) -> UserRecord:
        """With the better hash; with that of another login at the same time, if it was quicker."""
        users = self._stores.users
        await users.upgrade_password(user.id, user.password_hash, better)
        kept = await users.user(user.id)
        if kept is None or not (await self._passwords.verify(password, kept.password_hash))[0]:
            raise Unauthenticated("The address or the password is not right.", code="login_failed")
        return kept

    async def prove_again(self, user_id: str, password: str, path: str) -> UserRecord:
        """Of somebody who is logged in: a wrong password is `Invalid` on the field `path`, else as `prove`.

        Raises `Forbidden` with code `account_required` for guests.
        """
        user = await self._stores.users.user(user_id)
        if user is None:
            raise Forbidden("Only people with an account can do this.", code="account_required")
        try:
            return await self.prove(user.email, password)
        except Unauthenticated:
            raise invalid_field(path, "wrong_password", "This is not your password.") from None


def check_active(user: UserRecord) -> UserRecord:
    """Of who has proved to be this person. Raises `Forbidden` (`email_unverified`, `account_suspended`)."""
    if user.status is UserStatus.PENDING:
        raise Forbidden("Confirm your address first, by the mail that was sent.", code="email_unverified")
    if user.status is not UserStatus.ACTIVE:
        raise Forbidden("This account is suspended.", code="account_suspended")
    return user
