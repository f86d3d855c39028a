"""Organizations over HTTP after they were taken on: listed, changed, deactivated and brought back."""

from typing import Any

import pytest

from actors.runtime.entity import Actor
from domain.errors import Unavailable
from domain.ids import new_id
from realtime import codes
from serve.live.adapters import TokenAuthenticator
from services.organizations import Organization, Organizations
from tests.realtime.fakes import House as Sockets
from tests.realtime.fakes import settle
from tests.serve.access.accounts import address_of, give_account
from tests.serve.clinic import CLINIC
from tests.serve.house import ADMIN, MERCHANT, OTHER_MERCHANT, House
from tests.services.accounts.people import PASSWORD

PATH = "/api/v1/organizations"
WHY = {"reason": "The contract has ended."}


@pytest.fixture
async def house(house: House) -> House:
    """With the organizations that its people belong to."""
    for id_, kind, name in (
        (CLINIC, "clinic", "Skin Studio"),
        (MERCHANT, "merchant", "Corner"),
        (OTHER_MERCHANT, "merchant", "Other"),
    ):
        organization = Organization(id=id_, kind=kind, name=name, currency="EUR", city="Berlin")
        await house.gateway.organization_store.add_organization(organization)
    return house


def admin(house: House, *organizations: str) -> dict[str, str]:
    return house.bearer(ADMIN, "admin", orgs=organizations)


async def listed(house: House, headers: dict[str, str], **query: Any) -> list[str]:
    answer = await house.http.get(PATH, params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


async def put(house: House, headers: dict[str, str], id_: str = CLINIC, **body: Any):
    body = {"name": "Skin Studio", **body}
    return await house.http.put(f"{PATH}/{id_}", json=body, headers=headers)


async def turn(house: House, what: str, id_: str = CLINIC, headers: dict[str, str] | None = None, **body: Any):
    return await house.http.post(f"{PATH}/{id_}/{what}", json=body or WHY, headers=headers or admin(house))


async def test_its_people_see_their_own_in_a_list_and_the_platform_all(house: House) -> None:
    assert await listed(house, house.bearer(new_id(), "front_desk", orgs=(CLINIC, MERCHANT))) == sorted(
        [CLINIC, MERCHANT]
    )
    assert await listed(house, house.bearer()) == []
    assert await listed(house, admin(house)) == sorted([CLINIC, MERCHANT, OTHER_MERCHANT])
    assert await listed(house, admin(house), kind="clinic") == [CLINIC]
    assert await listed(house, admin(house), q="cORN") == [MERCHANT]
    await turn(house, "deactivate", MERCHANT)
    assert await listed(house, admin(house), status="inactive") == [MERCHANT]
    assert await listed(house, admin(house), status="active", kind="merchant") == [OTHER_MERCHANT]


async def test_a_list_goes_on_by_its_cursor(house: House) -> None:
    found, cursor = [], None
    for _ in range(3):
        query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        answer = await house.http.get(PATH, params=query, headers=admin(house))
        found += [one["id"] for one in answer.json()["items"]]
        cursor = answer.json().get("next_cursor")
    assert (found, cursor) == (sorted([CLINIC, MERCHANT, OTHER_MERCHANT]), None)


async def test_its_admins_change_it_and_a_stale_change_is_refused(house: House) -> None:
    own = admin(house, CLINIC)
    seen = await house.http.get(f"{PATH}/{CLINIC}", headers=own)
    changed = await put(house, own | {"If-Match": seen.headers["etag"]}, name="Studio", city="Bern", country="CH")
    assert (changed.status_code, changed.json()["name"], changed.json()["country"]) == (200, "Studio", "CH")
    assert changed.headers["etag"] != seen.headers["etag"]
    stale = await put(house, own | {"If-Match": seen.headers["etag"]}, name="Other")
    assert (stale.status_code, stale.json()["current_version"]) == (412, 2)
    same = await house.http.get(f"{PATH}/{CLINIC}", headers=own | {"If-None-Match": changed.headers["etag"]})
    assert same.status_code == 304
    [noted] = [each for each in house.gateway.audit_store.kept if each.action == "organization_changed"]
    assert (noted.before, noted.after) == (
        {"name": "Skin Studio", "city": "Berlin", "country": ""},
        {"name": "Studio", "city": "Bern", "country": "CH"},
    )
    assert noted.organization_id == CLINIC


async def test_a_change_that_changes_nothing_is_not_in_the_trail(house: House) -> None:
    assert (await put(house, admin(house, CLINIC), city="Berlin")).status_code == 200
    assert [each.action for each in house.gateway.audit_store.kept] == []


async def test_staff_may_see_it_and_not_change_it_and_strangers_neither(house: House) -> None:
    assert (await put(house, house.bearer(new_id(), "provider", orgs=(CLINIC,)))).status_code == 403
    assert (await put(house, admin(house, MERCHANT))).status_code == 404
    assert (await put(house, house.bearer())).status_code == 404
    assert (await put(house, admin(house), new_id())).status_code == 404


async def test_kind_and_currency_change_only_before_anything_was_made_there(house: House) -> None:
    own = admin(house, CLINIC)
    assert (await put(house, own, currency="CHF", kind="organizer")).json()["currency"] == "CHF"
    store: Any = house.gateway.organization_store
    store.used.add(CLINIC)
    refused = await put(house, own, currency="EUR")
    assert (refused.status_code, refused.json()["code"]) == (409, "organization_in_use")
    assert (await put(house, own, name="Studio")).json()["kind"] == "organizer"


async def test_what_it_cannot_be_is_refused_with_its_field(house: House) -> None:
    for change, path in (
        ({"name": " "}, "name"),
        ({"city": "a\u0007b"}, "city"),
        ({"currency": "ABC"}, "currency"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"status": "inactive"}, "status"),
        ({"active": False}, "active"),
    ):
        answer = await put(house, admin(house, CLINIC), **change)
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, path), change


async def test_deactivated_by_the_platform_only_with_a_reason_once_and_brought_back(house: House) -> None:
    assert (await turn(house, "deactivate", headers=admin(house, CLINIC))).status_code == 404
    assert (await turn(house, "deactivate", reason=" ")).status_code == 422
    assert (await turn(house, "reactivate")).json()["current"] == "active"
    done = await turn(house, "deactivate")
    assert (done.status_code, done.json()["status"]) == (200, "inactive")
    again = await turn(house, "deactivate")
    assert (again.status_code, again.json()["code"], again.json()["current"]) == (409, "organization_state", "inactive")
    assert (await turn(house, "deactivate", new_id())).status_code == 404
    assert (await turn(house, "reactivate")).json()["status"] == "active"
    kept = [each for each in house.gateway.audit_store.kept if each.kind == "organization"]
    assert [(each.action, each.reason, each.organization_id) for each in kept] == [
        ("organization_deactivated", WHY["reason"], CLINIC),
        ("organization_reactivated", WHY["reason"], CLINIC),
    ]
    assert (kept[0].before, kept[0].after) == ({"status": "active"}, {"status": "inactive"})


async def test_what_was_done_is_in_the_trail_also_when_the_others_cannot_be_told(house: House) -> None:
    """They find it in the database by themselves."""

    async def away(_id: str, _lost: bool) -> None:
        raise Unavailable("away")

    gateway = house.gateway
    organizations = Organizations(gateway.organization_store, gateway.audit, house.clock, away)
    with pytest.raises(Unavailable):
        await organizations.deactivate(Actor(ADMIN, ("admin",)), CLINIC, "The contract has ended.")
    assert house.gateway.audit_store.kept[-1].action == "organization_deactivated"


async def employee(house: House) -> dict[str, Any]:
    """Logged in for the clinic."""
    user_id = await give_account(house, "Ada")
    hashed = await house.accounts.passwords.hash(PASSWORD)
    await house.account_stores.users.change_password(user_id, hashed, house.clock.now_ms())
    added = await house.accounts.members.add(Actor(ADMIN, ("admin",)), CLINIC, "provider", user_id=user_id)
    assert not added[1]
    body = {"email": address_of(user_id), "password": PASSWORD, "organization_id": CLINIC}
    answer = await house.http.post("/api/v1/auth/login", json=body)
    assert answer.json()["organizations"] == [CLINIC], answer.text
    return dict(answer.json())


async def test_its_people_lose_it_at_the_next_request(house: House) -> None:
    login = await employee(house)
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    assert await listed(house, headers) == [CLINIC]
    session = await house.http.get("/api/v1/auth/session", headers=headers)
    assert session.json()["memberships"] == [{"organization_id": CLINIC, "roles": ["provider"], "name": "Skin Studio"}]
    await turn(house, "deactivate")
    refused = await house.http.get(PATH, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "token_outdated")
    house.clock.advance(seconds=1)
    body = {"refresh_token": login["refresh_token"]}
    again = (await house.http.post("/api/v1/auth/refresh", json=body)).json()
    assert again["organizations"] == []
    headers = {"Authorization": f"Bearer {again['access_token']}"}
    assert await listed(house, headers) == []
    session = await house.http.get("/api/v1/auth/session", headers=headers)
    assert session.json()["memberships"] == []
    query = f"""{{ me {{ memberships {{ organizationId }} organizations {{ edges {{ cursor }} }} }}
        organization(id: "{CLINIC}") {{ name }} locations {{ edges {{ cursor }} }} }}"""
    asked = await house.http.post("/api/v1/graphql", json={"query": query}, headers=headers)
    assert asked.json()["data"] == {
        "me": {"memberships": [], "organizations": {"edges": []}},
        "organization": None,
        "locations": {"edges": []},
    }


async def test_sockets_of_its_people_are_closed_and_come_back_without_it(house: House) -> None:
    login = await employee(house)
    async with Sockets() as sockets:
        sockets.use(
            authenticator=TokenAuthenticator(house.tokens, house.accounts.key_check), revoked=house.tokens.revoked
        )
        wire = sockets.open()
        wire.feed({"t": "hello", "v": [1, 1], "token": login["access_token"]})
        await settle()
        assert wire.closed is None
        await turn(house, "deactivate")
        await sockets.tick(1)
        assert wire.closed == (codes.STATE_INVALIDATED, "the rights have changed")


async def test_a_merchant_is_not_listed_and_sells_nothing_until_it_is_back(house: House) -> None:
    cart = await house.new_cart()
    await house.add(cart["id"])
    await turn(house, "deactivate", MERCHANT)
    answer = await house.http.get("/api/v1/merchants")
    assert [one["id"] for one in answer.json()["items"]] == [OTHER_MERCHANT]
    for path in (f"/merchants/{MERCHANT}", f"/merchants/{MERCHANT}/menu", f"/products?merchant_id={MERCHANT}"):
        assert (await house.http.get(f"/api/v1{path}")).status_code == 404, path
    refused = await house.order(cart["id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "merchant_closed")
    await turn(house, "reactivate", MERCHANT)
    assert (await house.order(cart["id"])).status_code == 201
