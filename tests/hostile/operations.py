"""Every operation of the API's document, and right requests for it to be spoiled: what is new is attacked by itself."""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

from domain.ids import new_id
from serve.app import openapi_document
from tests.serve.access.people import PEOPLE, Person
from tests.serve.access.routes import PROBES, body_of
from tests.serve.access.world import World

PREFIX: Final = "/api/v1"
Path = tuple[str | int, ...]


class Operation(NamedTuple):
    """`name` is the row of the access policy. `body` is the schema's name, "" without a JSON body."""

    name: str
    method: str
    path: str
    parameters: tuple[str, ...]
    query: tuple[str, ...]
    body: str
    secured: bool

    def url(self, ids: dict[str, str]) -> str:
        filled = {name: ids.get(name, new_id()) for name in self.parameters}
        return self.path.format(**filled)


@cache
def document() -> dict[str, Any]:
    return openapi_document()


@cache
def operations() -> tuple[Operation, ...]:
    return tuple(_operations())


def _operations() -> Iterator[Operation]:
    for path, methods in document()["paths"].items():
        for method, said in methods.items():
            parameters = said.get("parameters", [])
            content = said.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            yield Operation(
                name=f"{method.upper()} {path.removeprefix(PREFIX)}",
                method=method.upper(),
                path=path,
                parameters=tuple(each["name"] for each in parameters if each["in"] == "path"),
                query=tuple(each["name"] for each in parameters if each["in"] == "query"),
                body=schema.get("$ref", "").rpartition("/")[2],
                secured=bool(said.get("security")),
            )


def with_body() -> list[Operation]:
    return [each for each in operations() if each.body]


def schema_of(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = document()["components"]["schemas"][operation.body]
    return found


async def right_body(operation: Operation, world: World, person: Person) -> Any:
    """What the access policy's walk would send, else the document's example."""
    probe = PROBES.get(operation.name)
    if probe is not None and probe.body is not None:
        return copy.deepcopy(await body_of(probe, world, person))
    if not operation.body:
        return None
    return copy.deepcopy(next(iter(schema_of(operation).get("examples", [{}]))))


async def ready(operation: Operation, world: World) -> None:
    if operation.name in PROBES:
        await world.make(*PROBES[operation.name].needs)


def person(column: str, side: str = "own") -> Person:
    return next(one for one in PEOPLE if (one.column, one.side) == (column, side))


def leaves(value: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """All that is no list or object in it, with the way there."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, (*at, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, (*at, index))
    else:
        yield at, value


def spoiled(body: Any, at: Path, value: Any) -> Any:
    """A copy of the body with `value` at that place."""
    copied = copy.deepcopy(body)
    inner = copied
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = value
    return copied
