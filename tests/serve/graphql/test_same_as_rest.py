"""Whatever is selected of a thing, its values are those that REST shows the same person."""

import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from graphql import GraphQLEnumType, GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLScalarType, get_named_type

from domain.times import to_rfc3339
from serve.graphql.measure import reads_of
from serve.graphql.schema import CORE
from tests.serve.access.people import ADA, DESK, PEOPLE, PIA, QUINN, Person
from tests.serve.access.world import World
from tests.serve.graphql.asking import data_of
from tests.serve.house import ALICE, BREAD, MERCHANT, PIZZA, House

ALICE_HERSELF = next(one for one in PEOPLE if one.subject == ALICE)
SELECTIONS = 25
"""Of each thing, besides the one of everything."""
ONLY_HERE = {("Organization", "version"), ("Profile", "version")}
KEYS = ("status", "name", "subject", "id")
"""Under which of these an entry of a list has the key that it has in REST's map: the first that is not its own."""


class Pair(NamedTuple):
    """The same in REST and in GraphQL; `$name` is the world's id of that name. `inner`: the part of REST's answer."""

    path: str
    field: str
    person: Person = PIA
    inner: str = ""


ONE = {
    "order": Pair("/orders/$order_id", "order(id: $order_id)", ALICE_HERSELF),
    "tracking": Pair("/orders/$order_id/tracking", "tracking(orderId: $order_id)", ALICE_HERSELF),
    "order history": Pair("/orders/$order_id/history", "order(id: $order_id) history", ALICE_HERSELF, "items"),
    "cart": Pair("/carts/$own_cart", "cart(id: $own_cart)", ALICE_HERSELF),
    "figures": Pair(f"/orders/stats?merchant_id={MERCHANT}", f'orderStats(merchantId: "{MERCHANT}")', ADA),
    "merchant": Pair(f"/merchants/{MERCHANT}", f'merchant(id: "{MERCHANT}")'),
    "product": Pair(f"/products/{PIZZA}", f'product(id: "{PIZZA}")'),
    "room": Pair("/rooms/$room_id", "room(id: $room_id)"),
    "session": Pair("/sessions/$session_id", "session(id: $session_id)"),
    "document": Pair("/documentation/$document_id", "document(id: $document_id)"),
    "document history": Pair("/documentation/$document_id/history", "document(id: $document_id) history", PIA, "items"),
    "location": Pair("/locations/$location_id", "location(id: $location_id)"),
    "organization": Pair("/organizations/$organization_id", "organization(id: $organization_id)"),
    "profile": Pair("/users/profile", "me profile"),
    "preferences": Pair("/users/preferences", "me preferences"),
    "colleague": Pair("/users/$user_id", "person(id: $user_id)"),
    "member": Pair("/users/$user_id", "person(id: $user_id)", ADA),
    "job": Pair("/jobs/$job_id", "job(id: $job_id)", ALICE_HERSELF),
    "countries": Pair("/locations/countries", "countries", ALICE_HERSELF, "items"),
}
MANY = {
    "orders": Pair("/orders", "orders", ALICE_HERSELF),
    "carts": Pair("/carts", "carts", ALICE_HERSELF),
    "menu": Pair(f"/merchants/{MERCHANT}/menu", f'merchant(id: "{MERCHANT}") menu'),
    "products": Pair(f"/products?merchant_id={MERCHANT}", f'products(merchantId: "{MERCHANT}")'),
    "merchants": Pair("/merchants?city=Berlin", 'merchants(city: "Berlin")'),
    "documents": Pair("/documentation?patient=p-1", 'documents(patientId: "p-1")'),
    "sessions": Pair("/sessions?location=$location_id", "location(id: $location_id) sessions"),
    "locations": Pair("/locations", "locations"),
    "rooms": Pair("/locations/$location_id/rooms", "location(id: $location_id) rooms"),
    "room history": Pair("/rooms/$room_id/history", "room(id: $room_id) history"),
    "members": Pair("/organizations/$organization_id/members", "organization(id: $organization_id) members", ADA),
    "organizations": Pair("/organizations", "organizations"),
    "people": Pair("/users/search?q=somebody", 'people(q: "somebody")', DESK),
    "jobs": Pair("/jobs", "jobs", ALICE_HERSELF),
}


@pytest.fixture
async def world(house: House) -> World:
    """One of everything, in states in which there is much to show."""
    world = await World(house).make("order_away", "room_claimed", "quarantined", "offered", "conflict", "person", "job")
    await world.make("organization")
    position = {"lat": 52.5, "lon": 13.4, "accuracy_m": 8.5}
    await world.house.http.post(
        f"/api/v1/orders/{world.ids['order_id']}/location", json=position, headers=house.courier()
    )
    cart = await house.new_cart()
    world.ids["own_cart"] = cart["id"]
    await house.add(cart["id"], PIZZA, options=["large", "cheese"], instructions="no onions")
    await house.add(cart["id"], BREAD)
    await _chart(world)
    return world


async def _chart(world: World) -> None:
    vial = {"container_id": "v-1", "product_id": world.ids["toxin"], "amount": "100", "unit": "U", "lot": "C1234"}
    await world.chart("/containers", vial)
    place = {"view": "front", "x": 500, "y": 300}
    dose = {"product_id": world.ids["toxin"], "dose": "2.5", "unit": "U", "container_id": "v-1"}
    for more in ({"planned": True}, dose):
        chart = await world.chart("/points", {**place, **more, "technique": "bolus"})
    performed = next(each for each, point in chart["points"].items() if "injection" in point)
    await world.chart(f"/points/{performed}/strike", {"reason": "wrong side"})
    await world.chart("/wastage", {"container_id": "v-1", "amount": "5", "unit": "U", "reason": "end of the day"})
    await world.chart("/notes", {"text": "Ice applied.", "section": "aftercare"})
    taken = to_rfc3339(world.house.clock.ms)
    photo = {"view": "front", "sha256": "9f" * 32, "media_type": "image/jpeg", "bytes": 7, "taken_at": taken}
    await world.chart("/photos", photo)
    path = f"/documentation/{world.ids['document_id']}/conflicts/{world.ids['conflict_id']}/resolve"
    shown = await world.done(QUINN, "GET", f"/documentation/{world.ids['document_id']}")
    fver = shown["fields"]["skin.type"]["fver"]
    await world.done(QUINN, "POST", path, {"value": "III", "reason": "looked again", "base_version": fver})


@pytest.mark.parametrize("pair", ONE.values(), ids=ONE)
async def test_a_thing_has_rest_s_values(world: World, pair: Pair) -> None:
    found = await world.done(pair.person, "GET", _filled(pair.path, world))
    found = found[pair.inner] if pair.inner else found
    names = _names(pair.field)
    field: Any = CORE.query_type
    for name in names:
        field = field.fields[name]
        kind, field = field.type, get_named_type(field.type)
    for selection in selections(field):
        query = f"{{ {' { '.join(_parts(pair.field, world))} {selection} {'}' * len(names)}"
        shown = await data_of(world.house, query, pair.person.headers(world.house))
        for name in names:
            shown = shown[name]
        assert shown == as_graphql(found, kind, selection_of(selection)), query


@pytest.mark.parametrize("pair", MANY.values(), ids=MANY)
async def test_a_list_has_rest_s_entries_and_its_cursor(world: World, pair: Pair) -> None:
    page = await world.done(pair.person, "GET", _filled(pair.path, world))
    names = _names(pair.field)
    field: Any = CORE.query_type
    for name in [*names, "edges", "node"]:
        field = get_named_type(field.fields[name].type)
    assert page["items"]
    for selection in selections(field):
        inner = f"{{ edges {{ node {selection} }} pageInfo {{ hasNextPage endCursor }} }}"
        query = f"{{ {' { '.join(_parts(pair.field, world))} {inner} {'}' * len(names)}"
        shown = await data_of(world.house, query, pair.person.headers(world.house))
        for name in names:
            shown = shown[name]
        chosen = selection_of(selection)
        assert [each["node"] for each in shown["edges"]] == [as_graphql(each, field, chosen) for each in page["items"]]
        assert shown["pageInfo"]["hasNextPage"] == ("next_cursor" in page)


def test_every_type_of_a_thing_is_compared() -> None:
    """Types that are reached from the root without looking anything else up."""
    compared: set[str] = set()
    for pair in (*ONE.values(), *MANY.values()):
        field: Any = CORE.query_type
        for name in _names(pair.field):
            field = get_named_type(field.fields[name].type)
        _reached(field, compared)
    known = {name for name, kind in CORE.type_map.items() if isinstance(kind, GraphQLObjectType) and name[:2] != "__"}
    assert known - compared == {"Query", "Me", "CityCount"}


Chosen = dict[str, Any]
"""Fields by name, with what is chosen of each; None for values."""


def selections(kind: GraphQLObjectType) -> Iterator[str]:
    """Everything, and some of it by chance: a seed for each."""
    yield _text(_everything(kind))
    for seed in range(SELECTIONS):
        yield _text(_some(kind, random.Random(f"{kind.name} {seed}")))


def as_graphql(value: Any, kind: Any, chosen: Any) -> Any:
    """What REST shows, in GraphQL's names, as far as it is chosen; what is left out is null."""
    required = isinstance(kind, GraphQLNonNull)
    kind = kind.of_type if required else kind
    if value is None:
        return [] if required else None  # a map that is left out is an empty list
    if isinstance(kind, GraphQLList):
        inner = kind.of_type.of_type if isinstance(kind.of_type, GraphQLNonNull) else kind.of_type
        return [as_graphql(each, inner, chosen) for each in _entries(value, inner)]
    if isinstance(kind, GraphQLScalarType | GraphQLEnumType):
        return value
    return {name: as_graphql(value.get(snake(name)), kind.fields[name].type, inner) for name, inner in chosen.items()}


def _entries(value: Any, kind: Any) -> list[Any]:
    if not isinstance(value, dict):
        return list(value)
    if isinstance(kind, GraphQLScalarType) and kind.name == "ID":
        return list(value)
    if isinstance(kind, GraphQLScalarType):
        return [{"id": key, **each} for key, each in value.items()]
    return [{**_key(key, each, kind), **each} for key, each in value.items()]


def _key(key: str, entry: dict[str, Any], kind: Any) -> dict[str, str]:
    return next(({name: key} for name in KEYS if name in kind.fields and name not in entry), {})


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda found: f"_{found[0]}", name).lower()


def _own(kind: Any) -> dict[str, Any]:
    """Fields that are made of the thing itself."""
    own = {name: field for name, field in kind.fields.items() if reads_of(field) is None}
    return {name: get_named_type(field.type) for name, field in own.items() if (kind.name, name) not in ONLY_HERE}


def _everything(kind: Any) -> Chosen | None:
    if not isinstance(kind, GraphQLObjectType):
        return None
    return {name: _everything(inner) for name, inner in _own(kind).items()}


def _some(kind: Any, chance: random.Random) -> Chosen | None:
    if not isinstance(kind, GraphQLObjectType):
        return None
    own = _own(kind)
    names = chance.sample(sorted(own), chance.randint(1, len(own)))
    return {name: _some(own[name], chance) for name in names}


def _text(chosen: Chosen | None) -> str:
    if chosen is None:
        return ""
    return "{ " + " ".join(f"{name} {_text(inner)}" for name, inner in chosen.items()) + " }"


def selection_of(text: str) -> Chosen:
    """The fields in a text that `_text` wrote."""
    stack: list[Chosen] = [{}]
    last = ""
    for word in text.split():
        if word == "{":
            inner: Chosen = {}
            if last:
                stack[-1][last] = inner
            stack.append(inner)
        elif word == "}":
            found = stack.pop()
        else:
            stack[-1][word], last = None, word
    return found


def _reached(kind: Any, found: set[str]) -> None:
    if isinstance(kind, GraphQLObjectType) and kind.name not in found:
        found.add(kind.name)
        for field in kind.fields.values():
            if reads_of(field) is None:
                _reached(get_named_type(field.type), found)


def _filled(text: str, world: World) -> str:
    return re.sub(r"\$(\w+)", lambda found: world.ids[found[1]], text)


def _parts(field: str, world: World) -> list[str]:
    """The fields on the way, with their arguments."""
    return [_filled(re.sub(r"(\$\w+)", r'"\1"', each), world) for each in re.findall(r"\w+(?:\([^)]*\))?", field)]


def _names(field: str) -> list[str]:
    return re.findall(r"\w+", re.sub(r"\([^)]*\)", "", field))
