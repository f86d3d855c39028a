"""People over HTTP: own profile, preferences and position; others found, given roles, shut out, deleted."""

import msgspec

from domain.ids import new_id
from storage.accounts.records import UserRecord, UserStatus
from tests.serve.clinic import CLINIC
from tests.serve.house import House

PLATFORM, ITS_ADMIN = new_id(), new_id()
USERS = "/api/v1/users"


async def person(house: House, name: str, *roles: str) -> str:
    """Somebody with an account, and these roles at the clinic; their id."""
    user_id, now = new_id(), house.clock.now_ms()
    user = UserRecord(
        id=user_id,
        email=f"{user_id}@example.test",
        name=name,
        status=UserStatus.ACTIVE,
        verified_at_ms=now,
        created_at_ms=now,
        updated_at_ms=now,
    )
    assert await house.account_stores.users.add_user(user)
    for role in roles:
        body = {"user_id": user_id, "role": role}
        path = f"/api/v1/organizations/{CLINIC}/members"
        assert (await house.http.post(path, json=body, headers=platform(house))).status_code == 201
    return user_id


def platform(house: House) -> dict[str, str]:
    return house.bearer(PLATFORM, "admin")


def its_admin(house: House) -> dict[str, str]:
    return house.bearer(ITS_ADMIN, "admin", orgs=(CLINIC,))


async def test_a_profile_is_changed_only_as_it_was_seen(house: House) -> None:
    mine = house.bearer(await person(house, "Ada One"))
    seen = await house.http.get(f"{USERS}/profile", headers=mine)
    assert (seen.json()["name"], "phone" in seen.json(), seen.headers["etag"]) == ("Ada One", False, '"1"')
    body = {"name": "Ada Two", "locale": "de-AT", "time_zone": "Europe/Vienna", "phone": "+436641234567"}
    changed = await house.http.put(f"{USERS}/profile", json=body, headers={**mine, "If-Match": seen.headers["etag"]})
    assert changed.status_code == 200, changed.text
    assert (changed.status_code, changed.json()["phone"], changed.headers["etag"]) == (200, "+436641234567", '"2"')
    late = await house.http.put(f"{USERS}/profile", json=body, headers={**mine, "If-Match": seen.headers["etag"]})
    assert (late.status_code, late.json()["current_version"]) == (412, 2)
    same = await house.http.get(f"{USERS}/profile", headers={**mine, "If-None-Match": '"2"'})
    assert same.status_code == 304


async def test_nobody_gives_themselves_anything_by_their_profile(house: House) -> None:
    mine = house.bearer(await person(house, "Ada One"))
    body = {"name": "Ada", "locale": "en", "time_zone": "UTC"}
    for extra in ({"roles": ["admin"]}, {"status": "active"}, {"email": "x@example.test"}, {"phone": "110"}):
        answer = await house.http.put(f"{USERS}/profile", json={**body, **extra}, headers=mine)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, next(iter(extra)))


async def test_preferences_are_typed_and_replaced(house: House) -> None:
    mine = house.bearer(await person(house, "Ada One"))
    before = (await house.http.get(f"{USERS}/preferences", headers=mine)).json()
    assert before["notifications"]["marketing"] == {"email": False, "push": False}
    wanted = {"theme": "dark", "notifications": {"marketing": {"email": True}}}
    after = await house.http.put(f"{USERS}/preferences", json=wanted, headers=mine)
    assert after.json() == {
        **before,
        "theme": "dark",
        "notifications": {**before["notifications"], "marketing": {"email": True, "push": False}},
    }
    assert (await house.http.get(f"{USERS}/preferences", headers=mine)).json() == after.json()
    for wrong in ({"theme": "pink"}, {"theme": None}, {"units": 1}, {"font": "serif"}):
        assert (await house.http.put(f"{USERS}/preferences", json=wrong, headers=mine)).status_code == 422


async def test_a_position_needs_consent_and_is_shown_coarse(house: House) -> None:
    mine = house.bearer(await person(house, "Ada One"))
    place = {"lat": 52.516275, "lon": 13.377704}
    for consent in ({}, {"consent": False}):
        assert (await house.http.post(f"{USERS}/location", json={**place, **consent}, headers=mine)).status_code == 422
    assert (await house.http.get(f"{USERS}/location", headers=mine)).json() == {}
    kept = await house.http.post(f"{USERS}/location", json={**place, "consent": True}, headers=mine)
    assert (kept.json()["lat"], kept.json()["lon"]) == (52.52, 13.38)
    assert (await house.http.get(f"{USERS}/location", headers=mine)).json() == kept.json()
    assert (await house.http.delete(f"{USERS}/location", headers=mine)).status_code == 204
    assert (await house.http.get(f"{USERS}/location", headers=mine)).json() == {}


async def test_a_search_goes_on_where_the_page_before_ended(house: House) -> None:
    names = {f"Person{number} Same" for number in range(3)}
    for name in names:
        await person(house, name, "provider")
    query, seen = {"q": "same", "limit": "2"}, []
    while True:
        answer = await house.http.get(f"{USERS}/search", params=query, headers=its_admin(house))
        assert answer.status_code == 200, answer.text
        seen += [one["name"] for one in answer.json()["items"]]
        if "next_cursor" not in answer.json():
            break
        query["cursor"] = answer.json()["next_cursor"]
    assert (len(seen), set(seen)) == (3, names)
    for wrong in ({}, {"q": ""}, {"q": "!!"}, {"q": "same", "cursor": "x"}, {"q": "same", "sort": "name"}):
        assert (await house.http.get(f"{USERS}/search", params=wrong, headers=its_admin(house))).status_code == 422


async def test_colleagues_see_a_name_and_admins_how_to_reach_it(house: House) -> None:
    user_id = await person(house, "Ada One", "provider")
    colleague = house.bearer(new_id(), "front_desk", orgs=(CLINIC,))
    seen = await house.http.get(f"{USERS}/{user_id}", headers=colleague)
    held = [{"organization_id": CLINIC, "roles": ["provider"]}]
    assert seen.json() == {"id": user_id, "name": "Ada One", "memberships": held}
    whole = (await house.http.get(f"{USERS}/{user_id}", headers=its_admin(house))).json()
    assert (whole["email"], whole["status"], whole["memberships"]) == (f"{user_id}@example.test", "active", held)
    for nobody in (house.bearer(), house.bearer(new_id(), "admin", orgs=(new_id(),))):
        assert (await house.http.get(f"{USERS}/{user_id}", headers=nobody)).status_code == 404


async def test_roles_are_set_as_they_were_seen_and_end_older_tokens(house: House) -> None:
    user_id = await person(house, "Ada One", "provider")
    theirs = house.bearer(user_id, "provider", orgs=(CLINIC,))
    path, admin = f"{USERS}/{user_id}/role", its_admin(house)
    tag = (await house.http.get(f"{USERS}/{user_id}", headers=admin)).headers["etag"]
    body = {"organization_id": CLINIC, "roles": ["billing"]}
    done = await house.http.put(path, json=body, headers={**admin, "If-Match": tag})
    assert done.json()["memberships"] == [{"organization_id": CLINIC, "roles": ["billing"]}]
    assert (await house.http.put(path, json=body, headers={**admin, "If-Match": tag})).status_code == 412
    assert (await house.http.get(f"{USERS}/profile", headers=theirs)).status_code == 401
    wrongs: tuple[dict[str, list[str]], ...] = (
        {"roles": []},
        {"roles": ["owner"]},
        {"roles": ["customer"]},
        {"roles": ["provider"] * 9},
    )
    for wrong in wrongs:
        refused = await house.http.put(path, json={**body, **wrong}, headers=admin)
        assert refused.status_code == 422, wrong


async def test_nobody_raises_themselves_by_either_way(house: House) -> None:
    user_id = await person(house, "Ada One", "admin")
    mine = house.bearer(user_id, "admin", orgs=(CLINIC,))
    body = {"organization_id": CLINIC, "roles": ["admin", "provider"]}
    answer = await house.http.put(f"{USERS}/{user_id}/role", json=body, headers=mine)
    assert (answer.status_code, answer.json()["code"]) == (403, "own_roles")
    members = f"/api/v1/organizations/{CLINIC}/members"
    answer = await house.http.post(members, json={"user_id": user_id, "role": "provider"}, headers=mine)
    assert (answer.status_code, answer.json()["code"]) == (403, "own_roles")


async def test_who_is_suspended_is_out_at_once(house: House) -> None:
    user_id = await person(house, "Ada One")
    theirs, why = house.bearer(user_id), {"reason": "chargebacks"}
    shut = await house.http.post(f"{USERS}/{user_id}/suspend", json=why, headers=platform(house))
    assert (shut.status_code, shut.json()["status"]) == (200, "suspended")
    assert (await house.http.get(f"{USERS}/profile", headers=theirs)).status_code == 401
    again = await house.http.post(f"{USERS}/{user_id}/suspend", json=why, headers=platform(house))
    assert (again.status_code, again.json()["code"], again.json()["current"]) == (409, "account_state", "suspended")
    back = await house.http.post(f"{USERS}/{user_id}/reinstate", json=why, headers=platform(house))
    assert back.json()["status"] == "active"
    house.clock.advance(seconds=1)
    assert (await house.http.get(f"{USERS}/profile", headers=house.bearer(user_id))).status_code == 200
    for body in ({}, {"reason": " "}, {"reason": "x" * 501}):
        wrong = await house.http.post(f"{USERS}/{user_id}/suspend", json=body, headers=platform(house))
        assert wrong.status_code == 422


async def test_one_deletes_ones_account_only_right_after_proving_who_one_is(house: House) -> None:
    user_id = await person(house, "Ada One")
    old = {"Authorization": f"Bearer {house.tokens.issue(user_id, ('customer',), auth_time=1)}"}
    refused = await house.http.delete(f"{USERS}/{user_id}", headers=old)
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")
    done = await house.http.delete(f"{USERS}/{user_id}", headers=house.bearer(user_id))
    assert (done.status_code, done.json()["status"]) == (202, "deleted")
    assert done.json()["erased_after"] == "2026-03-31T09:30:00.000Z"
    assert (await house.http.get(f"{USERS}/profile", headers=old)).status_code == 401
    again = await house.http.delete(f"{USERS}/{user_id}", headers=platform(house))
    assert (again.status_code, again.json()["code"]) == (409, "account_state")


async def test_what_is_shown_of_people_follows_the_document(house: House) -> None:
    """A list of people has no field that its schema does not have."""
    await person(house, "Ada One", "provider")
    answer = await house.http.get(f"{USERS}/search", params={"q": "ada"}, headers=platform(house))
    document = (await house.http.get("/api/v1/openapi.json")).json()
    fields = set(document["components"]["schemas"]["Person"]["properties"])
    assert set(msgspec.json.decode(answer.content)["items"][0]) <= fields
