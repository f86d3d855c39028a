"""Profiles with their versions, preferences, and positions that are coarse and run out."""

import msgspec
import pytest

from domain.errors import Invalid, NotFound, PreconditionFailed
from domain.ids import new_id
from services.accounts.limits import DEFAULTS
from services.accounts.preferences import Channels, Notifications, Preferences


async def test_a_profile_has_a_telephone_number_that_can_be_taken_away_again(people):
    user_id = await people.join("ada@example.test")
    profiles = people.accounts.profiles
    user = await profiles.put(user_id, name="Ada", locale="de-AT", time_zone="Europe/Vienna", phone="+436641234567")
    assert ((await profiles.get(user_id)).phone, user.locale) == ("+436641234567", "de-AT")
    assert (await profiles.put(user_id, name="Ada", locale="en", time_zone="UTC")).phone == ""


@pytest.mark.parametrize("phone", ["0664 1234567", "+0664123456", "+43664", "+4366412345678901", "+43 664 1234567"])
async def test_a_number_that_nobody_could_call_is_refused(people, phone):
    user_id = await people.join("ada@example.test")
    with pytest.raises(Invalid, match="country"):
        await people.accounts.profiles.put(user_id, name="Ada", locale="en", time_zone="UTC", phone=phone)


async def test_a_profile_that_was_changed_meanwhile_stays(people):
    user_id = await people.join("ada@example.test")
    profiles = people.accounts.profiles
    seen = await profiles.get(user_id)
    first = await profiles.put(user_id, name="First", locale="en", time_zone="UTC", expected=seen.version)
    assert first.version == seen.version + 1
    with pytest.raises(PreconditionFailed):
        await profiles.put(user_id, name="Second", locale="en", time_zone="UTC", expected=seen.version)
    assert (await profiles.get(user_id)).name == "First"


async def test_preferences_are_as_by_default_until_they_are_chosen_and_advertising_is_not_assumed(people):
    user_id = await people.join("ada@example.test")
    personal = people.accounts.personal
    default = await personal.preferences(user_id)
    assert (default, default.notifications.marketing) == (Preferences(), Channels(email=False, push=False))
    chosen = Preferences(theme="dark", units="imperial", notifications=Notifications(orders=Channels(push=False)))
    await personal.put_preferences(user_id, chosen)
    assert await personal.preferences(user_id) == chosen


async def test_what_an_older_release_chose_less_of_is_filled_with_defaults(people):
    user_id = await people.join("ada@example.test")
    await people.stores.people.put_preferences(user_id, {"theme": "dark"}, 1)
    assert await people.accounts.personal.preferences(user_id) == msgspec.structs.replace(Preferences(), theme="dark")


async def test_a_position_is_kept_to_a_kilometre_and_for_a_day(people):
    user_id = await people.join("ada@example.test")
    personal = people.accounts.personal
    kept = await personal.put_position(user_id, 52.516275, -13.377704)
    assert (kept.lat_hundredths, kept.lon_hundredths) == (5252, -1338)
    assert await personal.position(user_id) == kept
    moved = await personal.put_position(user_id, 48.2, 16.37)
    assert await personal.position(user_id) == moved
    people.clock.advance(seconds=DEFAULTS.position_ttl_seconds)
    assert await personal.position(user_id) is None


async def test_a_position_is_forgotten_when_consent_is_withdrawn(people):
    user_id = await people.join("ada@example.test")
    await people.accounts.personal.put_position(user_id, 48.2, 16.37)
    await people.accounts.personal.forget_position(user_id)
    assert await people.accounts.personal.position(user_id) is None
    await people.accounts.personal.forget_position(user_id)


@pytest.mark.parametrize(("lat", "lon"), [(90.1, 0), (0, -180.1), (float("nan"), 0)])
async def test_a_place_that_is_nowhere_is_refused(people, lat, lon):
    user_id = await people.join("ada@example.test")
    with pytest.raises(Invalid):
        await people.accounts.personal.put_position(user_id, lat, lon)


async def test_guests_have_nothing_of_this(people):
    guest = f"guest:{new_id()}"
    personal = people.accounts.personal
    for attempt in (
        personal.preferences(guest),
        personal.put_preferences(guest, Preferences()),
        personal.position(guest),
        personal.put_position(guest, 1, 1),
        personal.forget_position(guest),
    ):
        with pytest.raises(NotFound):
            await attempt
