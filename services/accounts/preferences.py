"""What people chose: how things look, in which units, and what they want to be told. And where they say they are."""

from typing import Final, Literal

import msgspec

from domain.geo import check_position
from domain.times import SECOND_MS
from services.accounts.limits import AccountLimits
from services.accounts.people_store import PeopleStore
from services.accounts.profiles import Profiles
from services.lookups import Clock
from storage.accounts.records import PositionRecord

_HUNDREDTHS: Final = 100
"""Positions are kept to a hundredth of a degree: about a kilometre."""


class Channels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By which ways one subject may reach a person."""

    email: bool = True
    push: bool = True


_NEVER: Final = Channels(email=False, push=False)


class Notifications(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Advertising is asked for, never assumed."""

    orders: Channels = Channels()
    appointments: Channels = Channels()
    marketing: Channels = _NEVER


class Preferences(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    theme: Literal["system", "light", "dark"] = "system"
    units: Literal["metric", "imperial"] = "metric"
    first_weekday: Literal["monday", "sunday", "saturday"] = "monday"
    reduced_motion: bool = False
    notifications: Notifications = Notifications()


class PersonalSettings:
    def __init__(self, people: PeopleStore, profiles: Profiles, clock: Clock, limits: AccountLimits) -> None:
        self._people = people
        self._profiles = profiles
        self._clock = clock
        self._limits = limits

    async def preferences(self, user_id: str) -> Preferences:
        """What was never chosen is as by default. Raises `NotFound` for guests."""
        await self._profiles.get(user_id)
        return msgspec.convert(await self._people.preferences(user_id), Preferences)

    async def put_preferences(self, user_id: str, preferences: Preferences) -> Preferences:
        """In the place of all that was chosen. Raises `NotFound` for guests."""
        await self._profiles.get(user_id)
        await self._people.put_preferences(user_id, msgspec.to_builtins(preferences), self._clock.now_ms())
        return preferences

    async def position(self, user_id: str) -> PositionRecord | None:
        """Raises `NotFound` for guests."""
        await self._profiles.get(user_id)
        return await self._people.position(user_id, self._clock.now_ms())

    async def put_position(self, user_id: str, lat: float, lon: float) -> PositionRecord:
        """Who calls this has their consent. Raises `NotFound` for guests, `Invalid`."""
        check_position(lat, lon)
        await self._profiles.get(user_id)
        now = self._clock.now_ms()
        position = PositionRecord(
            lat_hundredths=round(lat * _HUNDREDTHS),
            lon_hundredths=round(lon * _HUNDREDTHS),
            consented_at_ms=now,
            expires_at_ms=now + self._limits.position_ttl_seconds * SECOND_MS,
        )
        await self._people.put_position(user_id, position)
        return position

    async def forget_position(self, user_id: str) -> None:
        """Consent withdrawn. Nothing for who has given none; raises `NotFound` for guests."""
        await self._profiles.get(user_id)
        await self._people.forget_position(user_id)
