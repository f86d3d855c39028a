"""A clinic that charts: a location, a product, and its people by their headers."""

from typing import Any

import httpx

from domain.ids import new_id
from services.locations import Address, Location
from services.products import Product
from tests.serve.clinic import CLINIC, OTHER_CLINIC
from tests.serve.house import House

ADA, PIA, QUINN, FRED, OLGA = (new_id() for _ in range(5))
PATIENT = new_id()
TOXIN = new_id()
FOREIGN_TOXIN = new_id()
HERE = {"view": "front", "x": 500, "y": 300}
DOSE = {"product_id": TOXIN, "dose": "2.5", "unit": "U", "lot": "C1234"}


class Charting:
    """Everything goes over HTTP; `document` is a draft that Pia has begun."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.admin = house.bearer(ADA, "admin", orgs=(CLINIC,))
        self.pia = house.bearer(PIA, "provider", orgs=(CLINIC,))
        self.quinn = house.bearer(QUINN, "provider", orgs=(CLINIC,))
        self.desk = house.bearer(FRED, "front_desk", orgs=(CLINIC,))
        self.stranger = house.bearer(OLGA, "provider", "admin", orgs=(OTHER_CLINIC,))
        self.location = new_id()
        self.elsewhere = new_id()
        self.document = ""

    async def open(self) -> "Charting":
        for location_id, organization_id in ((self.location, CLINIC), (self.elsewhere, OTHER_CLINIC)):
            site = Location(
                id=location_id,
                organization_id=organization_id,
                name="Centre",
                address=Address(line1="Hauptstraße 1", city="Berlin", country="DE"),
                time_zone="Europe/Berlin",
            )
            assert await self.house.gateway.location_store.add_location(site)
        for product_id, organization_id in ((TOXIN, CLINIC), (FOREIGN_TOXIN, OTHER_CLINIC)):
            self.house.catalog.products_by_id[product_id] = Product(
                id=product_id, merchant_id=organization_id, name="Toxin", price_minor=1_200, currency="EUR"
            )
        self.document = (await self.made())["id"]
        return self

    async def send(
        self, method: str, path: str, headers: dict[str, str], body: Any = None, **more: str
    ) -> httpx.Response:
        return await self.house.http.request(method, f"/api/v1{path}", json=body, headers={**headers, **more})

    def chart(self, **changes: Any) -> dict[str, Any]:
        return {"organization_id": CLINIC, "location_id": self.location, "patient_id": PATIENT, **changes}

    async def made(self, **changes: Any) -> dict[str, Any]:
        answer = await self.send("POST", "/documentation/face-chart", self.pia, self.chart(**changes))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def post(self, path: str, body: Any = None, by: dict[str, str] | None = None, **more: str) -> httpx.Response:
        return await self.send("POST", f"/documentation/{self.document}{path}", by or self.pia, body, **more)

    async def patch(self, fields: dict[str, Any], by: dict[str, str] | None = None, **more: str) -> httpx.Response:
        path = f"/documentation/{self.document}/fields"
        return await self.send("PATCH", path, by or self.pia, {"fields": fields}, **more)

    async def shown(self, by: dict[str, str] | None = None) -> dict[str, Any]:
        answer = await self.send("GET", f"/documentation/{self.document}", by or self.pia)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def signature(self, subject: str = PIA, **changes: Any) -> dict[str, Any]:
        """The body of a signature of what is there now, with a fresh proof."""
        proof = self.house.tokens.issue(subject, ("provider",), (CLINIC,))
        content_hash = (await self.shown())["content_hash"]
        words = {"printed_name": "Pia Provider, RN", "meaning": "I performed this."}
        return {**words, "content_hash": content_hash, "proof": proof, **changes}

    async def signed(self) -> dict[str, Any]:
        assert (await self.post("/status", {"status": "ready"})).status_code == 200
        answer = await self.post("/sign", await self.signature())
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def trail(self, query: str = "", by: dict[str, str] | None = None) -> list[dict[str, Any]]:
        answer = await self.send("GET", f"/admin/audit{query}", by or self.admin)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])
