"""A merchant and a clinic in a running Atrium, with people for both: what the Locust users work in.

`python -m loadtests.world [DATA_FOLDER] [PEOPLE]` makes them and prints one `World` as JSON. A process of its own,
because Locust's has no place for another event loop.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cluster.commands.token import issuer
from cluster.datadir import DataDir
from domain.ids import new_id
from loadtests.clinic import open_clinic
from loadtests.ground import Catalog, make_catalog, seed_catalog
from storage.settings import Settings

ROOMS_OF_LOCATION = 10


class Person(msgspec.Struct, frozen=True):
    subject: str
    token: str


class Post(msgspec.Struct, frozen=True):
    """A room of its own for one tablet."""

    location_id: str
    room_id: str


class World(msgspec.Struct, frozen=True, kw_only=True):
    """As many `posts`, `providers` and `customers` as people were asked for; `staff` is of the merchant."""

    base_url: str
    catalog: Catalog
    organization_id: str
    posts: list[Post]
    providers: list[Person]
    customers: list[Person]
    staff: Person


class NotRunningError(RuntimeError):
    """No `atrium up` on this data folder."""


async def make_world(folder: Path, people: int) -> World:
    """Raises `NotRunningError`."""
    run = DataDir(folder).running()
    if run is None:
        raise NotRunningError(f"Atrium does not run on {folder}: start it with `atrium up`")
    tokens = issuer(Settings(data_dir=folder))

    def issue(subject: str, *roles: str, organizations: tuple[str, ...] = ()) -> str:
        return tokens.issue(subject, roles, organizations)

    def person(role: str, *organizations: str) -> Person:
        subject = new_id()
        return Person(subject, issue(subject, role, organizations=organizations))

    catalog = make_catalog()
    await seed_catalog(run.database_url, catalog)
    locations = max(1, people // ROOMS_OF_LOCATION)
    clinic = await open_clinic(
        run.base_url, run.database_url, issue, locations=locations, rooms_each=-(-people // locations)
    )
    return World(
        base_url=run.base_url,
        catalog=catalog,
        organization_id=clinic.organization_id,
        posts=[Post(site.location_id, room) for site in clinic.sites for room in site.rooms],
        providers=[person("provider", clinic.organization_id) for _ in range(people)],
        customers=[person("customer") for _ in range(people)],
        staff=person("merchant_staff", catalog.merchant_id),
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.world", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Settings().data_dir, help="data folder of atrium up")
    parser.add_argument("people", nargs="?", type=int, default=200, help="of each sort")
    arguments = parser.parse_args(argv)
    world = asyncio.run(make_world(arguments.folder, arguments.people))
    print(msgspec.json.encode(world).decode(), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
