"""What people say of themselves."""

import re
from typing import Final

from domain.errors import NotFound, PreconditionFailed, invalid_field
from domain.text import check_text
from services.accounts.store import UserStore
from services.locations import NAME_LENGTH_MAX, check_time_zone
from services.lookups import Clock
from storage.accounts.records import UserRecord, UserStatus

PHONE_PATTERN: Final = r"\+[1-9][0-9]{6,14}"
"""E.164: a plus, the country's code, the number; no blanks."""

_LOCALE: Final = re.compile(r"[a-z]{2}(-[A-Z]{2})?")
_PHONE: Final = re.compile(PHONE_PATTERN)


class Profiles:
    def __init__(self, users: UserStore, clock: Clock) -> None:
        self._users = users
        self._clock = clock

    async def get(self, user_id: str) -> UserRecord:
        """Raises `NotFound` for guests and for who has no account any more."""
        user = await self._users.user(user_id)
        if user is None or user.status is UserStatus.DELETED:
            raise NotFound("There is no account.")
        return user

    async def put(
        self, user_id: str, *, name: str, locale: str, time_zone: str, phone: str = "", expected: int = -1
    ) -> UserRecord:
        """`phone` "" is none; `expected` the version they must be at, -1 any.

        Raises `NotFound`, `Invalid`, `PreconditionFailed`.
        """
        await self.get(user_id)
        check_text(name, "name", length_max=NAME_LENGTH_MAX, required=True)
        check_time_zone(time_zone)
        if not _LOCALE.fullmatch(locale):
            raise invalid_field("locale", "unknown_locale", "A language, or a language and a country: de-AT.")
        if phone and not _PHONE.fullmatch(phone):
            raise invalid_field("phone", "not_a_phone", "A plus, the country's code and the number: +493012345678.")
        changes = {"name": name, "phone": phone, "locale": locale, "time_zone": time_zone}
        done = await self._users.put_profile(user_id, **changes, expected=expected, now_ms=self._clock.now_ms())
        user = await self.get(user_id)
        if not done:
            raise stale(user)
        return user


def stale(user: UserRecord) -> PreconditionFailed:
    return PreconditionFailed("This person has been changed meanwhile.", extra={"current_version": user.version})
