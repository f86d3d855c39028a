"""Tokens that are mailed: made, written down and sent off; what a person gets too many of is not sent."""

from typing import Final, Literal

from services.accounts.limits import AccountLimits
from services.accounts.store import UserStore
from services.lookups import Clock
from services.mail.post import Post
from storage.accounts.records import TokenRecord, UserRecord
from storage.accounts.secret_tokens import new_token, token_hash

Purpose = Literal["verify", "reset", "email"]

_HOUR_MS: Final = 3_600_000
_PAGES: Final = {"verify": "verify-email", "email": "verify-email", "reset": "reset-password"}


class MailedTokens:
    def __init__(self, users: UserStore, post: Post, clock: Clock, limits: AccountLimits) -> None:
        self._users = users
        self._post = post
        self._clock = clock
        self._limits = limits

    async def send(
        self, user: UserRecord, purpose: Purpose, *, message: str, payload: bytes = b"", to: str = "", locale: str = ""
    ) -> None:
        """To the person's address, or to `to`. The mail goes after the commit of its token."""
        now = self._clock.now_ms()
        seconds = self._limits.reset_ttl_seconds if purpose == "reset" else self._limits.verify_ttl_seconds
        token = new_token()
        record = TokenRecord(
            hash=token_hash(token),
            purpose=purpose,
            user_id=user.id,
            payload=payload,
            issued_at_ms=now,
            expires_at_ms=now + seconds * 1_000,
        )
        if await self._users.add_token(record, since_ms=now - _HOUR_MS, count_max=self._limits.mails_per_hour_max):
            self._post.send(message, to or user.email, locale or user.locale, token=token, page=_PAGES[purpose])
