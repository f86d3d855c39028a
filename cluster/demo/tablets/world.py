"""The clinic of the play and its people. Made over the API: the clinic once per data folder, a location per run."""

from typing import Any, Final

import msgspec

from domain.ids import derived_id
from realtime.client.http import HttpClient
from services.tokens import Tokens

ROOMS: Final = ("Room 1", "Room 2", "Room 3")
_ORGANIZATION: Final = derived_id("demo", "clinic")
_ADMIN: Final = derived_id("demo", "clinic", "admin")
_ADDRESS: Final = {"line1": "Hauptstraße 1", "city": "Berlin", "country": "DE", "postal_code": "10827"}


class Person(msgspec.Struct, frozen=True):
    """`printed_name` is how they sign."""

    name: str
    subject: str
    role: str
    printed_name: str = ""


class Clinic(msgspec.Struct, frozen=True, kw_only=True):
    """One location with its rooms (name → id), one product, and the people there: another run has other people."""

    organization_id: str
    product_id: str
    location_id: str
    rooms: dict[str, str]
    pia: Person
    quinn: Person
    olga: Person
    tokens: Tokens

    def token(self, person: Person, logged_in: int | None = None) -> str:
        """A new access token. `logged_in`: when they proved who they are, in seconds; by default just now."""
        return self.tokens.issue(person.subject, (person.role,), (self.organization_id,), auth_time=logged_in)

    def name_of(self, subject: str) -> str:
        people = (self.pia, self.quinn, self.olga)
        return next((one.name for one in people if one.subject == subject), "somebody")


class _Created(msgspec.Struct):
    id: str


_created = msgspec.json.Decoder(_Created).decode


async def open_clinic(client: HttpClient, tokens: Tokens, run: str) -> Clinic:
    """Raises `HttpError`."""
    admin = tokens.issue(_ADMIN, ("admin",), (_ORGANIZATION,))

    async def create(path: str, key: str, body: dict[str, Any]) -> str:
        answer = await client.send("POST", f"/api/v1{path}", token=admin, key=f"demo {key}", body=body)
        return _created(answer.expect().body).id

    zone = "Europe/Berlin"
    clinic = {"id": _ORGANIZATION, "name": "Skin Studio", "kind": "clinic", "country": "DE", "time_zone": zone}
    await create("/organizations", "clinic", clinic)
    product = {"merchant_id": _ORGANIZATION, "name": "Neurotoxin", "sku": "demo-neurotoxin"}
    product_id = await create("/products", "neurotoxin", product | {"price": {"amount": 1_200, "currency": "EUR"}})
    place = {"organization_id": _ORGANIZATION, "name": f"Mitte {run}", "address": _ADDRESS, "time_zone": zone}
    location_id = await create("/locations", f"location {run}", place)
    path = f"/locations/{location_id}/rooms"
    rooms = {name: await create(path, f"{run} {name}", {"name": name}) for name in ROOMS}
    return Clinic(
        organization_id=_ORGANIZATION,
        product_id=product_id,
        location_id=location_id,
        rooms=rooms,
        pia=_person(run, "Pia", "provider", "Pia Brandt, RN"),
        quinn=_person(run, "Quinn", "provider", "Dr. Quinn Albers"),
        olga=_person(run, "Olga", "front_desk"),
        tokens=tokens,
    )


def _person(run: str, name: str, role: str, printed_name: str = "") -> Person:
    return Person(name, derived_id("demo", run, name), role, printed_name)
