"""Asks, and says what came of it in one word of the policy."""

from typing import Any, Final

import httpx

from domain.errors import AtriumError
from realtime.ports import Credentials
from serve.live.adapters import TokenAuthenticator
from tests.serve.access import fields, operations, routes
from tests.serve.access.people import PEOPLE, Person
from tests.serve.access.world import World
from tests.serve.house import open_house

YES: Final = "yes"
EMPTY: Final = "empty"
REFUSED: Final = frozenset({"401", "403", "404"})

Row = dict[tuple[str, str], str]
"""(column, side) → `yes`, `empty` (a list without what is foreign), or the status of the refusal."""


async def ask(section: str, name: str, world: World, person: Person) -> str:
    """The word for this person and this row of the section's table. On a socket, nobody gets past the hello."""
    if section in _ON_SOCKETS and not person.subject:
        return await _outcome(TokenAuthenticator(world.house.tokens).authenticate(Credentials()))
    return await _ASKERS[section](name, world, person)


async def _route(name: str, world: World, person: Person) -> str:
    method, _, path = name.partition(" ")
    probe = routes.PROBES[name]
    await world.make(*probe.needs)
    url = path.format(**world.ids) if path in routes.UNPREFIXED else f"/api/v1{path.format(**world.ids)}"
    body = await routes.body_of(probe, world, person)
    url = f"{url}?{probe.query.format(**world.ids)}" if probe.query else url
    sent = {"data": body} if probe.form else {"json": body}
    answer = await world.house.http.request(method, url, headers=person.headers(world.house), **sent)
    return _word(answer)


def _word(answer: httpx.Response) -> str:
    if not (answer.is_success or answer.has_redirect_location):
        return _refusal(answer.status_code, answer.text)
    if answer.content and answer.headers["content-type"] == "application/json" and answer.json() == {"items": []}:
        return EMPTY
    return YES


def _refusal(status: int, said: Any) -> str:
    """Anything else is a probe that is wrong in itself."""
    assert status in {401, 403, 404, 409}, said
    return str(status)


async def _field(name: str, world: World, person: Person) -> str:
    probe = fields.FIELDS[name]
    await world.make(*probe.needs)
    query, headers = {"query": fields.query_of(probe, world)}, person.headers(world.house)
    answer = (await world.house.http.post("/api/v1/graphql", json=query, headers=headers)).json()
    assert list(answer["data"]) == [name], answer
    if "errors" in answer:
        assert answer["data"] == {name: None}, answer
        return _refusal(answer["errors"][0]["extensions"]["status"], answer)
    return EMPTY if answer["data"][name] in ([], {"edges": []}) else YES


async def _command(name: str, world: World, person: Person) -> str:
    probe, op = operations.COMMANDS[name], name.partition(" ")[2]
    await world.make(*probe.needs)
    args = await operations.args_of(probe, world, person)
    return await _outcome(world.device(person, operations.ent_of(probe, world), op, args))


async def _signal(name: str, world: World, person: Person) -> str:
    probe, signal = operations.SIGNALS[name], name.partition(" ")[2]
    await world.make(*probe.needs)
    commands, ent = world.house.gateway.device_commands, operations.ent_of(probe, world)
    args = await operations.args_of(probe, world, person)
    return await _outcome(commands.signal(person.actor, ent, signal, args, "tablet"))


async def _channel(name: str, world: World, person: Person) -> str:
    probe = operations.CHANNELS[name]
    await world.make(*probe.needs)
    channel = operations.ent_of(probe, world)
    kind, _, entity_id = channel.partition("/")
    if "/" in entity_id:
        return await _outcome(world.house.gateway.groups.members(channel, person.actor))
    client: Any = world.house.gateway.client
    return await _outcome(client.watch(kind, entity_id, gateway="gateway-1", actor=person.actor, have=-1))


async def _outcome(asked: Any) -> str:
    try:
        answer = await asked
    except AtriumError as error:
        return _refusal(error.status, error.failure)
    return EMPTY if answer == [] else YES


async def walk(section: str, name: str, expected: Row) -> Row:
    """What everybody gets. Those who are to be refused share a world: they must not have changed anything in it."""
    found: Row = {}
    refused = [one for one in PEOPLE if expected.get((one.column, one.side)) in REFUSED]
    async with open_house() as house:
        world = World(house)
        for person in refused:
            found[person.column, person.side] = await ask(section, name, world, person)
    for person in PEOPLE:
        if person not in refused:
            async with open_house() as house:
                found[person.column, person.side] = await ask(section, name, World(house), person)
    return found


_ASKERS: Final[dict[str, Any]] = {
    "route": _route,
    "field": _field,
    "command": _command,
    "signal": _signal,
    "channel": _channel,
}
_ON_SOCKETS: Final = frozenset({"command", "signal", "channel"})
