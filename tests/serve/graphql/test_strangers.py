"""One query for everything there is, by everybody who is nothing to it: by whichever link, nothing of it shows."""

from typing import Any

from tests.serve.access.people import PEOPLE
from tests.serve.access.world import World
from tests.serve.graphql.asking import post
from tests.serve.house import House

STEPS = (
    "order_away",
    "room_claimed",
    "quarantined",
    "offered",
    "conflict",
    "person",
    "job",
    "organization",
    "emergency",
)
EVERYTHING = """{
  order(id: "%(order_id)s") { id cart { id } history { text } tracking { status } }
  cart(id: "%(cart_id)s") { id order { id } }
  room(id: "%(room_id)s") { id history { edges { cursor } } documents { edges { cursor } } location { id } }
  session(id: "%(session_id)s") { id quarantine { id } documents { document { id } } person { id } room { id } }
  document(id: "%(document_id)s") { id patientId history { at } participants { person { id } } }
  location(id: "%(location_id)s") { id organization { id members { edges { cursor } } } rooms { edges { cursor } }
    documents { edges { cursor } } sessions { edges { cursor } } }
  organization(id: "%(organization_id)s") { id locations { edges { cursor } } members { edges { cursor } } }
  person(id: "%(user_id)s") { id email } job(id: "%(job_id)s") { id result }
  documents { edges { cursor } } ofPatient: documents(patientId: "p-1") { edges { node { document { id } } } }
  sessions { edges { cursor } } orders { edges { cursor } } carts { edges { cursor } } locations { edges { cursor } }
  organizations { edges { cursor } } jobs { edges { cursor } } people(q: "somebody") { edges { cursor } }
}"""


def left(value: Any) -> Any:
    """Of an answer, what is not empty."""
    if isinstance(value, dict):
        return {name: kept for name, each in value.items() if (kept := left(each))}
    return [kept for each in value if (kept := left(each))] if isinstance(value, list) else value


async def test_strangers_see_nothing_of_anything_by_any_link(house: House) -> None:
    world = await World(house).make(*STEPS)
    strangers = {f"{one.column} {one.side}": one.headers(house) for one in PEOPLE if one.side == "foreign"}
    assert len(strangers) >= 8
    for who, headers in {**strangers, "nobody": {}}.items():
        answer = (await post(house, EVERYTHING % world.ids, headers)).json()
        assert left(answer["data"]) == {}, who


async def test_a_grant_for_an_emergency_opens_the_patient_s_documents_and_nothing_beside_them(house: House) -> None:
    world = await World(house).make(*STEPS)
    desk = next(one for one in PEOPLE if (one.column, one.side) == ("front_desk", "own"))
    seen = left((await post(house, EVERYTHING % world.ids, desk.headers(house))).json()["data"])
    assert seen["document"]["patientId"] == "p-1"
    assert [each["node"]["document"]["id"] for each in seen["ofPatient"]["edges"]] == [world.ids["document_id"]]
    assert "documents" not in seen
    assert "documents" not in seen["location"]
    assert "documents" not in seen["room"]
    assert "members" not in seen["organization"]
    assert {"order", "cart", "job"}.isdisjoint(seen)


async def test_whoever_is_looked_at_is_in_the_trail_as_of_that_request(house: House) -> None:
    world = await World(house).make(*STEPS)
    store: Any = house.gateway.audit_store
    admin = next(one for one in PEOPLE if (one.column, one.side) == ("admin", "own"))
    before = len(store.kept)
    query = f'{{ person(id: "{world.ids["user_id"]}") {{ name }} }}'
    answer = await post(house, query, admin.headers(house))
    assert answer.json()["data"]["person"]
    [seen] = [(one.kind, one.actor, one.correlation) for one in store.kept[before:]]
    assert seen == ("user", admin.subject, answer.headers["x-request-id"])
