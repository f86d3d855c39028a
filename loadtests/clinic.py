"""A clinic in a running Atrium: its organization, locations and rooms, made as an operator would, and its people."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import httpx
import msgspec

from domain.ids import new_id
from loadtests.customer import PREFIX
from loadtests.ground import CURRENCY, LINE_QUANTITY_MAX
from loadtests.tablets.fleet import Device
from loadtests.wire import Op
from storage.db import Database
from storage.models.catalog import Organization, Product

_AT_ONCE: Final = 16
_ADDRESS: Final = {"line1": "Hauptstraße 1", "city": "Berlin", "country": "DE", "postal_code": "10827"}

FIELDS: Final = 12
POINTS: Final = 16
NOTES: Final = 13
"""Of a document that was charted offline."""

IssueToken = Callable[..., str]
"""`(subject, *roles, organizations=(…))` → an access token: `Stack.token` fits."""


class Site(msgspec.Struct, frozen=True):
    """A location and its rooms, which are new: available, at version 1."""

    location_id: str
    rooms: list[str]


class Clinic:
    """`sites` are its locations; it has one product."""

    def __init__(self, organization_id: str, product_id: str, sites: list[Site], issue_token: IssueToken) -> None:
        self.organization_id = organization_id
        self.product_id = product_id
        self.sites = sites
        self._issue_token = issue_token

    @property
    def rooms(self) -> list[str]:
        return [room for site in self.sites for room in site.rooms]

    def token(self, subject: str, *roles: str) -> str:
        """Of somebody who works here."""
        return self._issue_token(subject, *roles, organizations=(self.organization_id,))

    def tablet(self, *channels: str) -> Device:
        """A provider's tablet, both new."""
        subject = new_id()
        return Device(subject, self.token(subject, "provider"), new_id(), list(channels))


async def open_clinic(
    base_url: str, database_url: str, issue_token: IssueToken, *, locations: int, rooms_each: int
) -> Clinic:
    """A new clinic. Raises `httpx.HTTPStatusError`."""
    organization_id, product_id = new_id(), new_id()
    await _settle(database_url, organization_id, product_id)
    clinic = Clinic(organization_id, product_id, [], issue_token)
    headers = {"authorization": f"Bearer {clinic.token(new_id(), 'admin')}"}
    gate = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(base_url=base_url + PREFIX, headers=headers, timeout=30.0, trust_env=False) as http:

        async def post(path: str, body: dict[str, Any]) -> str:
            async with gate:
                answer = await http.post(path, json=body)
            return str(answer.raise_for_status().json()["id"])

        async def site(number: int) -> Site:
            body = {"organization_id": organization_id, "name": f"Site {number}", "address": _ADDRESS}
            location_id = await post("/locations", {**body, "time_zone": "Europe/Berlin"})
            names = [f"Room {room}" for room in range(rooms_each)]
            rooms = await asyncio.gather(*(post(f"/locations/{location_id}/rooms", {"name": name}) for name in names))
            return Site(location_id, rooms)

        clinic.sites = await asyncio.gather(*(site(number) for number in range(locations)))
    return clinic


async def _settle(database_url: str, organization_id: str, product_id: str) -> None:
    """What an operator does without the API: the organization, and a product."""
    product = {"merchant_id": organization_id, "name": "Neurotoxin", "sku": "load-neurotoxin", "price_minor": 1_200}
    database = Database(database_url)
    try:
        async with database.session() as session:
            session.add(Organization(id=organization_id, kind="clinic", name="Load clinic", currency=CURRENCY))
            await session.flush()
            session.add(Product(id=product_id, currency=CURRENCY, max_quantity=LINE_QUANTITY_MAX, **product))
    finally:
        await database.close()


def day_offline(clinic: Clinic, site: Site, room: str, document: str) -> list[Op]:
    """What a provider does with one patient while the tablet has no network: 50 commands, on a room and a document
    that nobody else works on, so that each applies and changes its entity's version by one."""
    chart = f"document/{document}"
    create = {"organization_id": clinic.organization_id, "location_id": site.location_id}
    fields = [Op(chart, "set_field", {"name": f"history.item_{n}", "value": "none known"}) for n in range(FIELDS)]
    dose = {"view": "front", "y": 250, "product_id": clinic.product_id, "dose": "2.5", "unit": "U"}
    points = [Op(chart, "add_point", {"point_id": new_id(), "x": 400 + 10 * n, **dose}) for n in range(POINTS)]
    notes = [Op(chart, "append_note", {"note_id": new_id(), "text": "Tolerated well."}) for _ in range(NOTES)]
    rooming, leaving = round_of(room)[:3], round_of(room)[3:]
    begin = Op(chart, "create", {**create, "patient_id": new_id(), "template": "neurotoxin"})
    return [*rooming, begin, *fields, *points, *notes, *leaving]


def round_of(room: str, treatments: int = 1) -> list[Op]:
    """A patient's way through an available room and the room's way back: each step applies after the one before,
    and changes the room's version by one. Between two treatments the patient waits for the numbing."""
    patient = {"patient_id": new_id(), "visit_id": new_id()}
    waiting = [
        ("in_treatment", "waiting", {"waiting_for": "numbing"}),
        ("waiting", "in_treatment", {}),
    ]
    steps: list[tuple[str, str, dict[str, str]]] = [
        ("available", "held", {}),
        ("held", "roomed", patient),
        ("roomed", "in_treatment", {}),
        *waiting * treatments,
        ("in_treatment", "turnover", {}),
        ("turnover", "cleaning", {}),
        ("cleaning", "available", {}),
    ]
    return [Op(f"room/{room}", "set_status", {"from": start, "to": to, **more}) for start, to, more in steps]
