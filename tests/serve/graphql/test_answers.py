"""What a query shows to whom: what REST shows, nested, and nothing else."""

from typing import Any

from domain.ids import new_id
from services.audit import LIST, READ, SEARCH
from services.organizations import Organization
from tests.serve.access.people import ADA, DESK, PEOPLE, PIA, PLATFORM, QUINN
from tests.serve.access.world import World
from tests.serve.clinic import CLINIC, OTHER_CLINIC, MemoryAudit
from tests.serve.graphql.asking import data_of, post, refusals
from tests.serve.house import ALICE, BOB, BREAD, MERCHANT, House

ORDER = """
query ($id: ID!) {
  order(id: $id) {
    status
    merchant { name menu(first: 1) { edges { node { name } } pageInfo { hasNextPage } } }
    lines { quantity product { name merchant { name } } }
    timeline { status by }
    history { type }
    tracking { status }
    cart { status order { id } }
  }
}
"""
SITE = """
query ($id: ID!) {
  location(id: $id) {
    name
    organization { name }
    rooms {
      edges { node { name live { status claim { by } patientId documents { edges { node { id template } } } } } }
    }
    sessions { edges { node { subject person { name } session { quarantine { code } } } } }
    documents { edges { node { id document { contentHash } } } }
  }
}
"""


async def test_one_query_shows_an_order_with_all_that_belongs_to_it(house: House) -> None:
    world = await World(house).make("order")
    found = (await data_of(house, ORDER, variables={"id": world.ids["order_id"]}))["order"]
    assert found == {
        "status": "placed",
        "merchant": {
            "name": "Corner",
            "menu": {"edges": [{"node": {"name": "Bread"}}], "pageInfo": {"hasNextPage": True}},
        },
        "lines": [{"quantity": 2, "product": {"name": "Bread", "merchant": {"name": "Corner"}}}],
        "timeline": [{"status": "placed", "by": ALICE}],
        "history": [{"type": "placed"}],
        "tracking": {"status": "placed"},
        "cart": {"status": "converted", "order": {"id": world.ids["order_id"]}},
    }


async def test_one_query_shows_a_site_with_its_rooms_and_the_documents_of_who_is_in_them(house: House) -> None:
    world = await World(house).make("organization", "document", "room", "quarantined", "accounts", "members")
    for status in ({"status": "held"}, {"status": "roomed", "patient_id": "p-1", "visit_id": "v-1"}):
        await world.done(DESK, "POST", f"/rooms/{world.ids['room_id']}/status", status)
    chart = {"organization_id": CLINIC, "location_id": world.ids["location_id"], "patient_id": "p-2"}
    await world.done(PIA, "POST", "/documentation/face-chart", chart)
    found = (await data_of(house, SITE, PIA.headers(house), {"id": world.ids["location_id"]}))["location"]
    (room,) = found["rooms"]["edges"]
    assert room["node"]["live"] == {
        "status": "roomed",
        "claim": None,
        "patientId": "p-1",
        "documents": {"edges": [{"node": {"id": world.ids["document_id"], "template": "face_chart"}}]},
    }
    assert found["organization"] == {"name": "Clinic"}
    assert {each["node"]["subject"] for each in found["sessions"]["edges"]} == {PIA.subject, QUINN.subject}
    assert [{"code": "revoked"}] in [each["node"]["session"]["quarantine"] for each in found["sessions"]["edges"]]
    assert [len(each["node"]["document"]["contentHash"]) for each in found["documents"]["edges"]] == [64, 64]


async def test_an_empty_room_has_no_documents_and_nobody_is_asked_for_any(house: House) -> None:
    world = await World(house).make("document", "room")
    query = "query ($id: ID!) { room(id: $id) { status documents { edges { node { id } } } } }"
    found = await data_of(house, query, PIA.headers(house), {"id": world.ids["room_id"]})
    assert found["room"] == {"status": "available", "documents": None}
    assert not [each for each in trail(house) if each[0] == SEARCH]


async def test_what_is_somebody_elses_is_null_with_the_error_of_rest_at_its_path(house: House) -> None:
    world = await World(house).make("order", "room")
    order_id, room_id = world.ids["order_id"], world.ids["room_id"]
    query = f'{{ order(id: "{order_id}") {{ status cart {{ status }} }} room(id: "{room_id}") {{ id }} }}'
    assert await refusals(house, query, house.bearer(BOB)) == {("order",): "not_found", ("room",): "not_found"}
    assert await refusals(house, query, house.staff()) == {("order", "cart"): "not_found", ("room",): "not_found"}
    assert await refusals(house, query.replace(room_id, "nothing")) == {("room",): "not_found"}


async def test_a_foreign_thing_looks_as_one_that_does_not_exist(house: House) -> None:
    world = await World(house).make("order", "cart", "document", "room", "session")
    for field, name in (("order", "order_id"), ("cart", "cart_id"), ("document", "document_id"), ("room", "room_id")):
        foreign = (await post(house, f'{{ {field}(id: "{world.ids[name]}") {{ id }} }}', house.bearer(BOB))).json()
        nothing = (await post(house, f'{{ {field}(id: "{new_id()}") {{ id }} }}', house.bearer(BOB))).json()
        assert foreign == nothing, field


async def test_who_has_no_token_sees_shops_and_nothing_of_people(house: House) -> None:
    world = await World(house).make("order", "location")
    menu = f'merchant(id: "{MERCHANT}") {{ menu {{ edges {{ node {{ name }} }} }} }}'
    query = f"{{ {menu} countries {{ cities {{ city }} }} }}"
    found = await data_of(house, query, {})
    assert found["countries"] == [{"cities": [{"city": "Berlin"}]}]
    assert len(found["merchant"]["menu"]["edges"]) == 2
    way = f'tracking(orderId: "{world.ids["order_id"]}") {{ status }}'
    own = f"{{ me {{ subject }} orders {{ edges {{ cursor }} }} {way} }}"
    assert await refusals(house, own, {}) == dict.fromkeys((("me",), ("orders",), ("tracking",)), "token_missing")


async def test_a_token_that_does_not_hold_is_refused_whatever_is_asked(house: House) -> None:
    answer = await post(house, f'{{ merchant(id: "{MERCHANT}") {{ name }} }}', {"Authorization": "Bearer nonsense"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_share_link_shows_that_one_order_s_way_without_a_login(house: House) -> None:
    world = await World(house).make("order")
    order_id = world.ids["order_id"]
    share = (await house.http.post(f"/api/v1/orders/{order_id}/share", headers=house.bearer())).json()["token"]
    query = "query ($id: ID!, $share: String) { tracking(orderId: $id, share: $share) { status orderId } }"
    found = await data_of(house, query, {}, {"id": order_id, "share": share})
    assert found["tracking"] == {"status": "placed", "orderId": order_id}
    other = {"id": (await house.new_order())["id"], "share": share}
    assert await refusals(house, query, {}, other) == {("tracking",): "not_found"}
    forged = {"id": order_id, "share": share[:-8] + "AAAAAAAA"}
    assert await refusals(house, query, {}, forged) == {("tracking",): "token_invalid"}
    whole = await post(house, f'{{ order(id: "{order_id}") {{ id }} }}', {"Authorization": f"Bearer {share}"})
    assert (whole.status_code, whole.json()["code"]) == (401, "token_invalid")


async def test_a_guest_sees_their_own_cart(house: House) -> None:
    token = house.tokens.issue_guest()[0]
    headers = {"Authorization": f"Bearer {token}"}
    cart = await house.new_cart(headers)
    await house.add(cart["id"], BREAD, headers=headers)
    query = f'{{ cart(id: "{cart["id"]}") {{ lines {{ product {{ name }} }} }} me {{ profile {{ name }} }} }}'
    answer = (await post(house, query, headers)).json()
    assert answer["data"] == {"cart": {"lines": [{"product": {"name": "Bread"}}]}, "me": {"profile": None}}
    assert answer["errors"][0]["path"] == ["me", "profile"]


async def test_who_asks_sees_themselves_their_roles_and_what_they_chose(house: House) -> None:
    world = await World(house).make("accounts", "organization", "members")
    other = Organization(id=OTHER_CLINIC, kind="clinic", name="Other", currency="EUR")
    await house.gateway.organization_store.add_organization(other)
    query = """{ me { subject roles organizationIds scopes profile { name email }
        preferences { theme notifications { marketing { email } } }
        memberships { roles organization { name } } organizations { edges { node { name } } } } }"""
    found = (await post(house, query, PIA.headers(house))).json()["data"]["me"]
    profile = await world.done(PIA, "GET", "/users/profile")
    assert found["profile"] == {"name": profile["name"], "email": profile["email"]}
    assert found["preferences"] == {"theme": "system", "notifications": {"marketing": {"email": False}}}
    assert (found["subject"], found["roles"], found["organizationIds"]) == (
        PIA.subject,
        ["provider"],
        list(PIA.organizations),
    )
    assert {"roles": ["provider"], "organization": {"name": "Clinic"}} in found["memberships"]
    assert found["organizations"]["edges"] == [{"node": {"name": "Clinic"}}]
    assert found["scopes"] is None


async def test_colleagues_see_names_and_admins_how_to_reach_somebody(house: House) -> None:
    world = await World(house).make("person")
    query = f'{{ person(id: "{world.ids["user_id"]}") {{ name email memberships {{ roles }} }} }}'
    colleague = (await data_of(house, query, PIA.headers(house)))["person"]
    admin = (await data_of(house, query, ADA.headers(house)))["person"]
    assert (colleague["name"], colleague["email"]) == ("Somebody Else", None)
    assert admin["email"]
    assert colleague["memberships"] == admin["memberships"] == [{"roles": ["front_desk"]}]
    members = f'{{ organization(id: "{CLINIC}") {{ members {{ edges {{ node {{ userId email roles }} }} }} }} }}'
    await world.make("organization")
    shown = (await data_of(house, members, ADA.headers(house)))["organization"]["members"]["edges"]
    assert {"node": {"userId": world.ids["user_id"], "email": admin["email"], "roles": ["front_desk"]}} in shown
    assert await refusals(house, members, PIA.headers(house)) == {("organization", "members"): "not_found"}


async def test_a_list_goes_on_where_its_cursor_says_and_where_rest_s_would(house: House) -> None:
    ids = [(await house.new_order())["id"] for _ in range(5)]
    query = """query ($after: String) { orders(first: 2, after: $after) { edges { cursor node { id } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    seen, after = [], None
    while True:
        page = (await data_of(house, query, variables={"after": after}))["orders"]
        seen += [each["node"]["id"] for each in page["edges"]]
        assert page["pageInfo"]["endCursor"] == page["edges"][-1]["cursor"]
        assert page["pageInfo"]["startCursor"] == page["edges"][0]["cursor"]
        if after is None:
            rest = (await house.http.get("/api/v1/orders?limit=2", headers=house.bearer())).json()
            assert rest["next_cursor"] == page["pageInfo"]["endCursor"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == ids[::-1]


async def test_orders_are_found_by_merchant_status_and_time(house: House) -> None:
    world = await World(house).make("order")
    query = """query ($since: DateTime, $status: [OrderStatus!]) {
        orders(merchantId: "%s", status: $status, since: $since) { edges { node { id status order { version } } } } }"""
    query %= MERCHANT
    (found,) = (await data_of(house, query, house.staff(), {"status": ["placed", "accepted"]}))["orders"]["edges"]
    assert found["node"] == {"id": world.ids["order_id"], "status": "placed", "order": {"version": 1}}
    assert (await data_of(house, query, house.staff(), {"status": ["ready"]}))["orders"]["edges"] == []
    assert (await data_of(house, query, house.staff(), {"since": "2030-01-01T00:00:00Z"}))["orders"]["edges"] == []
    wrong = await post(house, query, house.staff(), {"since": "yesterday"})
    assert wrong.json()["errors"][0]["extensions"] == {"code": "graphql_invalid", "status": 400}


async def test_a_wrong_cursor_or_too_long_a_page_is_an_error_with_the_field_s_name(house: House) -> None:
    answer = (
        await post(house, '{ orders(after: "???") { edges { cursor } } carts(first: 101) { edges { cursor } } }')
    ).json()
    extensions = [each["extensions"] for each in answer["errors"]]
    assert [each["errors"][0]["path"] for each in extensions] == ["cursor", "first"]
    assert {each["status"] for each in extensions} == {422}


async def test_each_look_at_a_document_is_in_the_trail_and_what_was_listed_only_as_listed(house: House) -> None:
    world = await World(house).make("document")
    before = len(trail(house))
    await data_of(house, "{ documents { edges { node { id status } } } }", PIA.headers(house))
    document_id = world.ids["document_id"]
    assert trail(house)[before:] == [(SEARCH, "", "")] * 2 + [(LIST, document_id, "")]
    before = len(trail(house))
    twice = f'{{ one: document(id: "{document_id}") {{ id }} other: document(id: "{document_id}") {{ status }} }}'
    await data_of(house, twice, PIA.headers(house))
    assert trail(house)[before:] == [(READ, document_id, "")]
    before = len(trail(house))
    foreign = next(one for one in PEOPLE if (one.column, one.side) == ("provider", "foreign"))
    assert await refusals(house, twice, foreign.headers(house)) != {}
    assert trail(house)[before:] == [(READ, document_id, "not_found")]


async def test_emergency_access_opens_a_document_here_as_in_rest(house: House) -> None:
    world = await World(house).make("document")
    query = f'{{ document(id: "{world.ids["document_id"]}") {{ patientId fields {{ name }} }} }}'
    assert await refusals(house, query, DESK.headers(house)) == {("document",): "not_found"}
    await world.make("emergency")
    assert (await data_of(house, query, DESK.headers(house)))["document"]["patientId"] == "p-1"
    assert audit_of(house).kept[-1].purpose == "emergency"


async def test_an_api_key_needs_the_scope_of_every_noun_that_it_asks_for(house: House) -> None:
    world = await World(house).make("accounts", "order", "job")
    alice = next(one for one in PEOPLE if one.subject == ALICE)
    made = await world.done(alice, "POST", "/auth/api-keys", {"name": "CI", "scopes": ["orders:read"]})
    headers = {"X-API-Key": made["key"]}
    query = f"""{{ order(id: "{world.ids["order_id"]}") {{
            status lines {{ product {{ name }} }} merchant {{ name }} cart {{ status }} }}
        me {{ subject scopes profile {{ name }} }} jobs {{ edges {{ cursor }} }} }}"""
    answer = (await post(house, query, headers)).json()
    assert answer["data"]["order"]["status"] == "placed"
    assert answer["data"]["me"]["scopes"] == ["orders:read"]
    denied = {tuple(each["path"]) for each in answer["errors"] if each["extensions"]["code"] == "scope_missing"}
    below = (("lines", 0, "product"), ("merchant",), ("cart",))
    assert denied == {*(("order", *each) for each in below), ("me", "profile"), ("jobs",)}
    assert len(answer["errors"]) == len(denied)


async def test_the_platform_sees_orders_and_nothing_clinical(house: House) -> None:
    world = await World(house).make("order", "room", "document")
    query = f"""{{ order(id: "{world.ids["order_id"]}") {{ id }} room(id: "{world.ids["room_id"]}") {{ id }}
        document(id: "{world.ids["document_id"]}") {{ id }} }}"""
    assert await refusals(house, query, PLATFORM.headers(house)) == dict.fromkeys(
        (("room",), ("document",)), "not_found"
    )


async def test_staff_of_another_merchant_get_no_figures(house: House) -> None:
    await World(house).make("order")
    figures = "ordersCount sales { amount currency } byStatus { status count }"
    query = f'{{ orderStats(merchantId: "{MERCHANT}") {{ {figures} }} }}'
    found = (await data_of(house, query, house.staff()))["orderStats"]
    assert found == {
        "ordersCount": 1,
        "sales": [{"amount": 990, "currency": "EUR"}],
        "byStatus": [{"status": "placed", "count": 1}],
    }
    foreign = next(one for one in PEOPLE if (one.column, one.side) == ("merchant_staff", "foreign"))
    assert await refusals(house, query, foreign.headers(house)) == {("orderStats",): "not_found"}
    assert await refusals(house, query, house.bearer()) == {("orderStats",): "not_found"}


def audit_of(house: House) -> MemoryAudit:
    store: Any = house.gateway.audit_store
    assert isinstance(store, MemoryAudit)
    return store


def trail(house: House) -> list[tuple[str, str, str]]:
    """Action, object and refusal of each event about documents."""
    events = audit_of(house).kept
    return [(each.action, each.object_id, each.outcome) for each in events if each.kind == "document"]
