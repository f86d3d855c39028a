"""API keys over HTTP and on sockets: what they open, and what no key opens."""

import pytest
from starlette.routing import Route

from domain.errors import Forbidden
from domain.ids import new_id
from realtime import codes
from serve.app import NOUNS, create_app
from serve.live.adapters import TokenAuthenticator
from services.access.scopes import SCOPES, check_request, may_on_socket
from tests.realtime.fakes import House as Sockets
from tests.realtime.fakes import settle
from tests.realtime.subscribing import subscribe
from tests.serve.clinic import CLINIC
from tests.serve.house import BREAD
from tests.serve.test_auth import AUTH, bearer, join, log_in
from tests.services.accounts.people import PASSWORD

KEYS = f"{AUTH}/api-keys"
SERVICES = f"/api/v1/organizations/{CLINIC}/service-accounts"


async def key_of(house, *scopes, **more):
    """Of Ada, who has joined and is logged in: what the answer says, and her login."""
    await join(house)
    login = await log_in(house)
    answer = await house.http.post(KEYS, json={"name": "CI", "scopes": list(scopes), **more}, headers=bearer(login))
    assert answer.status_code == 201, answer.text
    return answer.json(), login


def by(key):
    return {"Authorization": f"Bearer {key['key']}"}


async def code(house, method, path, headers, body=None):
    answer = await house.http.request(method, f"/api/v1{path}", json=body, headers=headers)
    return "" if answer.is_success else f"{answer.status_code} {answer.json()['code']}"


async def test_a_key_does_what_its_scopes_say_in_either_header(house):
    key, _ = await key_of(house, "carts:write", "carts:read")
    cart = await house.new_cart(by(key))
    assert (await house.add(cart["id"], BREAD, headers=by(key))).is_success
    assert await code(house, "GET", f"/carts/{cart['id']}", {"X-API-Key": key["key"]}) == ""
    assert await code(house, "GET", "/orders", by(key)) == "403 scope_missing"
    session = (await house.http.get(f"{AUTH}/session", headers=by(key))).json()
    assert (session["subject"], "authenticated_at" in session) == (cart["owner"], False)
    assert session["scopes"] == ["carts:read", "carts:write"]


async def test_reading_is_not_writing_and_writing_is_not_reading(house):
    key, login = await key_of(house, "carts:read")
    cart = await house.new_cart(bearer(login))
    assert await code(house, "GET", f"/carts/{cart['id']}", by(key)) == ""
    assert await code(house, "DELETE", f"/carts/{cart['id']}", by(key)) == "403 scope_missing"
    writer = await house.http.post(KEYS, json={"name": "W", "scopes": ["carts:write"]}, headers=bearer(login))
    assert await code(house, "GET", f"/carts/{cart['id']}", by(writer.json())) == "403 scope_missing"
    assert await code(house, "DELETE", f"/carts/{cart['id']}", by(writer.json())) == ""


async def test_a_key_never_reaches_further_than_its_person(house):
    key, _ = await key_of(house, *SCOPES)
    other = await house.new_cart()
    assert await code(house, "GET", f"/carts/{other['id']}", by(key)) == "404 not_found"
    assert await code(house, "GET", "/admin/audit", by(key)) == "404 not_found"


async def test_a_key_of_all_scopes_makes_no_key_and_proves_nobody(house):
    key, _ = await key_of(house, *SCOPES)
    for method, path, body in (
        ("POST", "/auth/api-keys", {"name": "More", "scopes": ["carts:read"]}),
        ("GET", "/auth/api-keys", None),
        ("DELETE", f"/auth/api-keys/{key['id']}", None),
        ("POST", f"/auth/api-keys/{key['id']}/rotate", {}),
        ("POST", "/auth/reauthenticate", {"password": PASSWORD}),
        ("POST", "/auth/change-password", {"current_password": PASSWORD, "password": "x"}),
        ("DELETE", "/auth/sessions", None),
        ("PUT", "/users/profile", {"name": "E", "locale": "en", "time_zone": "UTC"}),
        ("GET", f"/organizations/{CLINIC}/members", None),
        ("GET", SERVICES.removeprefix("/api/v1"), None),
        ("GET", "//auth/session", None),
    ):
        assert await code(house, method, path, by(key), body) in {"403 scope_missing", "404 not_found"}, path
    with pytest.raises(Forbidden):
        house.tokens.proof(key["key"], house.tokens.verify(house.tokens.issue(new_id(), ())).actor, 300)


def test_what_keys_reach_is_what_the_scopes_name(house):
    reached = set()
    for route in create_app(NOUNS, house.gateway).routes:
        for method in (route.methods or set()) if isinstance(route, Route) else ():
            try:
                check_request(SCOPES, method, route.path)
            except Forbidden:
                continue
            reached.add(route.path.split("/")[3])
    assert reached == {"treatments", "auth", "graphql", *(scope.partition(":")[0] for scope in SCOPES)}
    for scope in SCOPES:
        assert not may_on_socket(frozenset({scope}))("cart/x", "write") or scope == "carts:write"


async def test_mistyped_forged_revoked_and_expired_keys(house):
    key, login = await key_of(house, "carts:read", expires_in_days=1)
    text = key["key"]
    for wrong in (text[:-1], text + "A", text.swapcase(), "atr_live_", "atr_test_" + text[9:], "atr_live_" + "A" * 49):
        assert await code(house, "GET", "/carts", {"Authorization": f"Bearer {wrong}"}) == "401 token_invalid"
        assert await code(house, "GET", "/carts", {"X-API-Key": wrong}) == "401 token_invalid"
    assert await code(house, "GET", "/carts", {"X-API-Key": login["access_token"]}) == "401 token_invalid"
    other = await house.http.post(KEYS, json={"name": "O", "scopes": ["carts:read"]}, headers=bearer(login))
    assert await code(house, "DELETE", f"/auth/api-keys/{other.json()['id']}", bearer(login)) == ""
    assert await code(house, "GET", "/carts", by(other.json())) == "401 token_revoked"
    house.clock.advance(seconds=86_400)
    assert await code(house, "GET", "/carts", by(key)) == "401 token_expired"


async def test_the_key_is_shown_once(house):
    key, login = await key_of(house, "carts:read")
    listed = (await house.http.get(KEYS, headers=bearer(login))).json()["items"]
    assert listed == [{name: value for name, value in key.items() if name != "key"}]
    assert key["key"].startswith(key["prefix"])


async def test_a_key_is_made_by_somebody_who_has_just_proved_who_they_are(house):
    await join(house)
    login = await log_in(house)
    house.clock.advance(seconds=1_000)
    body = {"name": "CI", "scopes": ["carts:read"]}
    assert await code(house, "POST", "/auth/api-keys", bearer(login), body) == "403 reauthentication_required"
    guest = (await house.http.post(f"{AUTH}/guest")).json()
    assert (await code(house, "POST", "/auth/api-keys", bearer(guest), body)).startswith("403")


@pytest.mark.parametrize(
    "wrong", [{"scopes": []}, {"scopes": ["auth:write"]}, {"expires_in_days": 0}, {"owner_id": "x"}, {"name": ""}]
)
async def test_a_request_for_a_key_that_is_not_valid(house, wrong):
    await join(house)
    body = {"name": "CI", "scopes": ["carts:read"], **wrong}
    assert (await code(house, "POST", "/auth/api-keys", bearer(await log_in(house)), body)).startswith("422")


async def test_rotating_over_http(house):
    key, login = await key_of(house, "carts:read")
    answer = await house.http.post(f"{KEYS}/{key['id']}/rotate", json={"overlap_seconds": 60}, headers=bearer(login))
    assert answer.status_code == 201, answer.text
    house.clock.advance(seconds=0.5)
    assert await code(house, "GET", "/carts", by(key)) == await code(house, "GET", "/carts", by(answer.json())) == ""
    house.clock.advance(seconds=60)
    assert await code(house, "GET", "/carts", by(key)) == "401 token_expired"
    assert await code(house, "GET", "/carts", by(answer.json())) == ""


async def test_a_service_account_works_by_its_key_only_and_stops_when_suspended(house):
    boss = house.bearer(new_id(), "admin", orgs=(CLINIC,))
    made = await house.http.post(SERVICES, json={"name": "Lab", "roles": ["provider"]}, headers=boss)
    assert made.status_code == 201, made.text
    path = f"{SERVICES}/{made.json()['id']}"
    body = {"name": "CI", "scopes": ["documentation:read"]}
    key = (await house.http.post(f"{path}/keys", json=body, headers=boss)).json()
    assert await code(house, "GET", "/documentation", by(key)) == ""
    assert await code(house, "GET", "/rooms/" + new_id(), by(key)) == "403 scope_missing"
    stopped = await house.http.post(f"{path}/suspend", json={"reason": "leaked"}, headers=boss)
    assert stopped.json()["status"] == "suspended"
    house.clock.advance(seconds=1)
    assert await code(house, "GET", "/documentation", by(key)) == "401 token_revoked"
    assert (await house.http.post(f"{path}/reinstate", headers=boss)).json()["status"] == "active"
    house.clock.advance(seconds=1)
    assert await code(house, "GET", "/documentation", by(key)) == ""
    assert (await house.http.delete(f"{path}/keys/{key['id']}", headers=boss)).status_code == 204
    assert await code(house, "GET", "/documentation", by(key)) == "401 token_revoked"
    assert (await house.http.get(f"{path}/keys", headers=boss)).json() == {"items": []}
    assert (await house.http.delete(path, headers=boss)).status_code == 204
    assert (await house.http.get(path, headers=boss)).status_code == 404


async def test_on_a_socket_a_key_sees_and_does_what_its_scopes_say_until_it_is_revoked(house):
    key, login = await key_of(house, "orders:read")
    async with Sockets() as sockets:
        sockets.use(
            authenticator=TokenAuthenticator(house.tokens, house.accounts.key_check), revoked=house.tokens.revoked
        )
        assert await shut_with(sockets, key["key"], device_id=new_id()) == codes.TOKEN_INVALID
        assert await shut_with(sockets, key["key"][:-1]) == codes.TOKEN_INVALID
        wire = sockets.open()
        wire.feed({"t": "hello", "v": [1, 1], "token": key["key"]})
        await settle()
        for channel, code_ in (("cart/c-1", "not_found"), ("order/o-1", None)):
            sockets.entities.put(channel, {"n": 1})
            wire.take()
            wire.feed(subscribe(channel))
            await settle()
            errors = [frame["code"] for frame in wire.take("error")]
            assert errors == ([code_] if code_ else []), channel
        assert wire.closed is None
        await house.http.delete(f"{KEYS}/{key['id']}", headers=bearer(login))
        await sockets.tick(1)
        assert wire.closed == (codes.TOKEN_INVALID, "token_revoked")


async def test_a_socket_of_a_login_does_not_go_on_by_a_key_that_may_less(house):
    key, login = await key_of(house, "orders:read")
    other = await house.http.post(KEYS, json={"name": "C", "scopes": ["carts:read"]}, headers=bearer(login))
    async with Sockets() as sockets:
        sockets.use(authenticator=TokenAuthenticator(house.tokens, house.accounts.key_check))
        for first, second in ((login["access_token"], key["key"]), (key["key"], other.json()["key"])):
            wire = sockets.open()
            wire.feed({"t": "hello", "v": [1, 1], "token": first})
            wire.feed({"t": "auth", "token": first})
            await settle()
            assert wire.closed is None
            wire.feed({"t": "auth", "token": second})
            await settle()
            assert wire.closed == (codes.STATE_INVALIDATED, "the rights have changed")


async def shut_with(sockets, token, **hello):
    wire = sockets.open()
    wire.feed({"t": "hello", "v": [1, 1], "token": token, **hello})
    await settle()
    return 0 if wire.closed is None else wire.closed[0]
