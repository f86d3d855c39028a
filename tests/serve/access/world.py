"""One of each thing that can be asked for, made the way it comes to be, as far as a probe needs it."""

from typing import Any

import httpx

from domain.ids import derived_id, device_command_id, new_id
from services.entities import Sender
from services.locations import Address, Location
from services.organizations import Organization
from services.products import Product
from services.sessions import SessionEntry
from storage.reactions import DeadLetterRecord
from tests.serve.access.accounts import NEWCOMER, address_of, give_account, give_accounts, give_roles, logged_in, mailed
from tests.serve.access.factors import give_factors
from tests.serve.access.oidc import begun, linked
from tests.serve.access.people import ADA, DESK, PEOPLE, PIA, PLATFORM, QUINN, STAFF, Person
from tests.serve.clinic import CLINIC
from tests.serve.house import ALICE, BOB, BREAD, COURIER, MERCHANT, House
from tests.serve.privacy import put_export
from tests.services.accounts.people import PASSWORD

SITE: dict[str, Any] = {
    "name": "Centre",
    "address": {"line1": "Hauptstraße 1", "city": "Berlin", "country": "DE"},
    "time_zone": "Europe/Berlin",
}
EMERGENCY_REASON = "Unconscious in the waiting room; allergies must be known."
TABLET = new_id()
DOSE = {"dose": "2.5", "unit": "U", "lot": "C1234"}


class World:
    """`ids` fill the path of a request; `made` keeps what was made once. Steps are named by what there is after."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.ids: dict[str, str] = {"merchant_id": MERCHANT, "organization_id": CLINIC, "country": "DE"}
        self.tokens: dict[str, int] = {}
        self._made: set[str] = set()

    async def make(self, *steps: str) -> "World":
        for step in steps:
            if step not in self._made:
                self._made.add(step)
                await getattr(self, f"_{step}")()
        return self

    async def send(self, person: Person, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = person.headers(self.house)
        return await self.house.http.request(method, f"/api/v1{path}", json=body, headers=headers)

    async def done(self, person: Person, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = await self.send(person, method, path, body)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return dict(answer.json()) if answer.content else {}

    # -- shopping ---------------------------------------------------------------------------------

    async def _cart(self) -> None:
        self.ids["cart_id"] = (await self.house.new_cart())["id"]
        added = await self.house.add(self.ids["cart_id"], BREAD)
        self.ids["item_id"] = next(iter(added.json()["lines"]))

    async def _guest_cart(self) -> None:
        token = self.house.tokens.issue_guest()[0]
        headers = {"Authorization": f"Bearer {token}"}
        cart = await self.house.new_cart(headers)
        await self.house.add(cart["id"], BREAD, headers=headers)
        self.ids |= {"source_token": token, "source_cart_id": cart["id"]}

    async def _order(self) -> None:
        order = await self.house.new_order()
        self.ids |= {"order_id": order["id"], "user_id": order["user_id"], "cart_id": order["cart_id"]}

    async def _order_ready(self) -> None:
        await self.make("order")
        for status in ("accepted", "preparing", "ready"):
            await self.done(STAFF, "PUT", f"/orders/{self.ids['order_id']}/status", {"status": status})

    async def _order_assigned(self) -> None:
        await self.make("order_ready")
        await self.done(STAFF, "POST", f"/orders/{self.ids['order_id']}/courier", {"courier_id": COURIER})

    async def _order_away(self) -> None:
        await self.make("order_assigned")
        await self.house.move(self.ids["order_id"], self.house.courier(), "picked_up", "out_for_delivery")

    async def _order_delivered(self) -> None:
        await self.make("order_away")
        await self.house.move(self.ids["order_id"], self.house.courier(), "delivered")

    async def _product(self) -> None:
        self.ids["product_id"] = BREAD

    async def _toxin(self) -> None:
        self.ids["toxin"] = new_id()
        self.house.catalog.products_by_id[self.ids["toxin"]] = Product(
            id=self.ids["toxin"], merchant_id=CLINIC, name="Toxin", price_minor=1_200, currency="EUR"
        )

    # -- a clinic ---------------------------------------------------------------------------------

    async def _organization(self) -> None:
        clinic = Organization(id=CLINIC, kind="clinic", name="Clinic", currency="EUR")
        await self.house.gateway.organization_store.add_organization(clinic)

    async def _inactive_organization(self) -> None:
        await self.make("organization")
        await self.done(PLATFORM, "POST", f"/organizations/{CLINIC}/deactivate", {"reason": "left us"})
        self.house.clock.advance(seconds=1)  # so that tokens of its people are not those of before

    async def _location(self) -> None:
        self.ids["location_id"] = new_id()
        site = Location(
            id=self.ids["location_id"],
            organization_id=CLINIC,
            name="Centre",
            address=Address(line1="Hauptstraße 1", city="Berlin", country="DE"),
            time_zone="Europe/Berlin",
            categories=("injectables",),
        )
        assert await self.house.gateway.location_store.add_location(site)

    async def _room(self) -> None:
        await self.make("location")
        made = await self.done(ADA, "POST", f"/locations/{self.ids['location_id']}/rooms", {"name": "Room 1"})
        self.ids["room_id"] = made["id"]

    async def _room_held(self) -> None:
        await self.make("room")
        held = await self.done(DESK, "POST", f"/rooms/{self.ids['room_id']}/status", {"status": "held"})
        self.tokens["undo_version"] = held["undo_version"]

    async def _room_claimed(self) -> None:
        await self.make("room")
        claimed = await self.done(PIA, "POST", f"/rooms/{self.ids['room_id']}/claim")
        self.tokens["claim"] = claimed["claim"]["token"]

    # -- people at tablets ------------------------------------------------------------------------

    async def _session(self) -> None:
        await self.make("location")
        open_ = self.house.gateway.sessions.open
        place = self.ids["location_id"]
        mine = await open_(PIA.actor, TABLET, 1, 1, "c-1", place)
        other = await open_(QUINN.actor, new_id(), 1, 1, "c-2", place)
        self.ids |= {"session_id": mine.session_id, "other_session": other.session_id}

    async def _quarantined(self) -> None:
        await self.make("session", "room")
        hashed = b"%016d" % 1
        self.ids["item_id"] = derived_id("quarantine", self.ids["session_id"], "1", "1", hashed)
        command = {"ent": f"room/{self.ids['room_id']}", "op": "set_status", "args": {"to": "held"}, "schema": 1}
        result = {"status": "rejected", "code": "revoked", "detail": "Not now."}
        entry = SessionEntry(epoch=1, seq=1, hash=hashed, result=result, command=command, item_id=self.ids["item_id"])
        await self.house.gateway.sessions.record(PIA.actor, self.ids["session_id"], 1, [entry])

    async def _offered(self) -> None:
        await self.make("session", "room")
        await self.device(PIA, f"session/{self.ids['session_id']}", "enter", {"room_id": self.ids["room_id"]})
        path = f"/sessions/{self.ids['session_id']}/hand-off"
        offered = await self.done(PIA, "POST", path, {"to": QUINN.subject})
        self.ids["offer_id"] = next(iter(offered["hand_offs"]))

    async def _revoked(self) -> None:
        await self.make("session")
        path = f"/sessions/{self.ids['session_id']}/revoke"
        await self.done(ADA, "POST", path, {"what": "person", "reason": "left us"})

    # -- accounts ---------------------------------------------------------------------------------

    async def _accounts(self) -> None:
        await give_accounts(self.house)

    async def _members(self) -> None:
        await self.make("accounts")
        await give_roles(self.house)

    async def _login(self) -> None:
        await self.make("accounts")
        self.ids |= await logged_in(self.house)

    async def _factors(self) -> None:
        await self.make("accounts")
        await give_factors(self.house)
        self.ids["factor_id"] = ALICE

    async def _provider(self) -> None:
        self.ids["provider"] = "test"

    async def _come_back(self) -> None:
        await self.make("provider")
        self.ids |= await begun(self.house)

    async def _identity(self) -> None:
        await self.make("accounts")
        self.ids["identity_id"] = await linked(self.house)

    async def _registered(self) -> None:
        body = {"password": PASSWORD, "name": "Newcomer"}
        self.ids["mailed"] = await mailed(self.house, "register", NEWCOMER, **body)

    async def _forgotten(self) -> None:
        await self.make("accounts")
        self.ids["mailed"] = await mailed(self.house, "forgot-password", address_of(ALICE))

    async def _person(self) -> None:
        """Somebody of the clinic who does not ask in the walk."""
        await self.make("accounts")
        self.ids["user_id"] = await give_account(self.house, "Somebody Else")
        there = {"email": address_of(self.ids["user_id"]), "role": "front_desk"}
        await self.done(ADA, "POST", f"/organizations/{CLINIC}/members", there)

    async def _suspended_person(self) -> None:
        await self.make("person")
        path = f"/users/{self.ids['user_id']}/suspend"
        await self.done(PLATFORM, "POST", path, {"reason": "chargebacks"})

    async def _member(self) -> None:
        await self.make("accounts")
        self.ids["user_id"] = BOB
        await self.done(ADA, "POST", f"/organizations/{CLINIC}/members", {"email": address_of(BOB), "role": "provider"})

    async def _invited(self) -> None:
        body = {"email": NEWCOMER, "roles": ["provider"]}
        made = await self.done(ADA, "POST", f"/organizations/{CLINIC}/invitations", body)
        self.ids["invitation_id"] = made["id"]

    async def _api_key(self) -> None:
        await self.make("accounts")
        alice = next(one for one in PEOPLE if one.subject == ALICE)
        made = await self.done(alice, "POST", "/auth/api-keys", {"name": "CI", "scopes": ["orders:read"]})
        self.ids["key_id"] = made["id"]

    async def _service(self) -> None:
        path = f"/organizations/{CLINIC}/service-accounts"
        made = await self.done(ADA, "POST", path, {"name": "Lab", "roles": ["provider"]})
        self.ids["service_id"] = made["id"]

    async def _service_key(self) -> None:
        await self.make("service")
        path = f"/organizations/{CLINIC}/service-accounts/{self.ids['service_id']}/keys"
        made = await self.done(ADA, "POST", path, {"name": "CI", "scopes": ["rooms:read"]})
        self.ids["key_id"] = made["id"]

    async def _oneself(self) -> None:
        self.ids["user_id"] = ALICE

    async def _job(self) -> None:
        privacy = self.house.gateway.privacy
        assert privacy is not None
        self.ids["job_id"] = (await privacy.jobs.start("user_export", ALICE, owner=ALICE, person=ALICE)).id

    async def _exported(self) -> None:
        await self.make("oneself")
        put_export(self.house, ALICE)

    # -- charting ---------------------------------------------------------------------------------

    async def _document(self, **changes: Any) -> None:
        await self.make("location", "toxin")
        chart = {"organization_id": CLINIC, "location_id": self.ids["location_id"], "patient_id": "p-1", **changes}
        made = await self.done(PIA, "POST", "/documentation/face-chart", chart)
        self.ids["document_id"] = self.ids["treatment_id"] = made["id"]

    async def _point(self) -> None:
        await self.make("document")
        self.ids["point_id"] = new_id()
        plan = {"point_id": self.ids["point_id"], "view": "front", "x": 500, "y": 300, "planned": True}
        await self.chart("/points", plan)

    async def _container(self) -> None:
        await self.make("document")
        vial = {"container_id": "v-1", "product_id": self.ids["toxin"], "amount": "100", "unit": "U"}
        await self.chart("/containers", vial)

    async def _conflict(self) -> None:
        """The second has not seen what the first wrote."""
        await self.make("document")
        path = f"/documentation/{self.ids['document_id']}/fields"
        await self.done(PIA, "PATCH", path, {"fields": {"skin.type": {"value": "II"}, "skin.dry": {"value": True}}})
        second = await self.done(QUINN, "PATCH", path, {"fields": {"skin.type": {"value": "IV"}}})
        self.ids["conflict_id"] = second["results"]["skin.type"]["conflict_id"]

    async def _ready(self) -> None:
        await self.make("document")
        await self.chart("/status", {"status": "ready"})

    async def _signed(self) -> None:
        await self.make("ready")
        await self.chart("/sign", await self.signature(PIA))

    async def _cosignable(self) -> None:
        self._made.add("document")
        await self._document(needs_cosign=True)
        await self.make("signed")

    async def chart(self, path: str, body: Any) -> dict[str, Any]:
        return await self.done(PIA, "POST", f"/documentation/{self.ids['document_id']}{path}", body)

    async def signature(self, person: Person) -> dict[str, str]:
        """What `person` would sign with: the content as it is, and a proof of their own."""
        shown = await self.done(PIA, "GET", f"/documentation/{self.ids['document_id']}")
        words = {"printed_name": "Pia Provider, RN", "meaning": "I performed this."}
        return {**words, "content_hash": shown["content_hash"], "proof": self.proof(person)}

    def proof(self, person: Person) -> str:
        """A token of a login just now."""
        return self.house.tokens.issue(person.subject, person.roles, person.organizations) if person.subject else ""

    async def _emergency(self) -> None:
        await self.make("document")
        path = f"/documentation/{self.ids['document_id']}/emergency-access"
        body = {"reason": EMERGENCY_REASON, "proof": self.proof(DESK)}
        self.ids["grant_id"] = (await self.done(DESK, "POST", path, body))["id"]

    # -- operations -------------------------------------------------------------------------------

    async def _letter(self) -> None:
        self.ids["letter_id"] = new_id()
        self.house.dead_letters.letters[self.ids["letter_id"]] = DeadLetterRecord(
            id=self.ids["letter_id"],
            reaction="notify",
            kind="order",
            entity_id=new_id(),
            version=1,
            attempts=10,
            error="no answer",
            failed_at_ms=self.house.clock.now_ms(),
        )

    async def device(
        self, person: Person, ent: str, op: str, args: dict[str, Any], base_fver: int | None = None
    ) -> Any:
        """`op` as a socket sends it."""
        number = device_command_id(person.subject, TABLET, 1, int(new_id()[-6:], 16))
        sender = Sender(person.actor, "c-1.1", number, b"h" * 16, device=TABLET)
        return await self.house.gateway.device_commands.execute(sender, ent, op, args, base_fver)
