"""What people say of themselves."""

import re
from typing import Final

from domain.errors import NotFound, invalid_field
from domain.text import check_text
from services.accounts.store import UserStore
from services.locations import NAME_LENGTH_MAX, check_time_zone
from services.lookups import Clock
from storage.accounts.records import UserRecord, UserStatus

_LOCALE: Final = re.compile(r"[a-z]{2}(-[A-Z]{2})?")


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

    async def put(self, user_id: str, *, name: str, locale: str, time_zone: str) -> UserRecord:
        """Raises `NotFound`, `Invalid`."""
        await self.get(user_id)
        check_text(name, "name", length_max=NAME_LENGTH_MAX, required=True)
        check_time_zone(time_zone)
        if not _LOCALE.fullmatch(locale):
            raise invalid_field("locale", "unknown_locale", "A language, or a language and a country: de-AT.")
        await self._users.put_profile(
            user_id, name=name, locale=locale, time_zone=time_zone, now_ms=self._clock.now_ms()
        )
        return await self.get(user_id)
