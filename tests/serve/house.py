"""A whole gateway in one process: the local runtime on the memory journal, and a catalog and lists in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from actors.kinds import KINDS
from actors.runtime.local import LOCAL_KEYS, LocalRuntime
from domain.errors import Conflict
from domain.ids import new_id
from domain.lines import Option
from domain.money import Money
from serve.app import NOUNS, create_app
from serve.gateway import GatewayRuntime
from serve.limits import GatewayLimits
from services.accounts.accounts import Accounts
from services.accounts.store import AccountStores
from services.health import Health
from services.listings import CartEntry, OrderEntry, OrderFilter, Place, StatusCount
from services.merchants import Merchant
from services.oidc.oidc import Oidc
from services.outgoing.client import Outgoing
from services.products import OptionGroup, Product
from services.signing_keys import SigningKey, thumbprint
from services.tokens import Tokens
from storage.journal.memory import MemoryJournal, MemoryStore
from storage.reactions import DeadLetterRecord
from tests.serve.clinic import (
    CLINIC,
    OTHER_CLINIC,
    MemoryAudit,
    MemoryDocuments,
    MemoryLocations,
    MemoryOrganizations,
    MemorySessions,
)
from tests.serve.emergencies import MemoryEmergencies
from tests.serve.keyed_answers import MemoryKeyedAnswers
from tests.serve.privacy import MemoryPrivacy, make_privacy
from tests.services.accounts.memory import memory_stores
from tests.services.accounts.people import Mailbox, make_accounts
from tests.services.jobs.memory import MemoryJobs
from tests.services.oidc.memory import MemoryIdentities
from tests.services.oidc.scripted import SETTINGS as LOGIN_PROVIDER
from tests.services.oidc.scripted import ScriptedProvider

ALICE = new_id()
BOB = new_id()
STAFF = new_id()
COURIER = new_id()
ADMIN = new_id()
MERCHANT = new_id()
OTHER_MERCHANT = new_id()
BREAD = new_id()
PIZZA = new_id()
YEN_TEA = new_id()

ADDRESS = {"line1": "Hauptstraße 1", "city": "Berlin", "country": "DE"}

_PRIVATE = generate_private_key(public_exponent=65_537, key_size=2048)
SIGNING_KEY = SigningKey(thumbprint(_PRIVATE.public_key()), _PRIVATE)


class ManualClock:
    def __init__(self) -> None:
        self.ms = 1_772_357_400_000

    def now_ms(self) -> int:
        return self.ms

    def advance(self, *, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class MemoryCatalog:
    """`services.catalog.CatalogStore`; counts product queries. Nobody sells at what is `inactive`."""

    def __init__(self, inactive: set[str] | None = None) -> None:
        self._inactive = set() if inactive is None else inactive
        self.merchants_by_id = {
            MERCHANT: Merchant(
                id=MERCHANT, name="Corner", currency="EUR", city="Berlin", country="DE", delivery_fee_minor=290
            ),
            OTHER_MERCHANT: Merchant(id=OTHER_MERCHANT, name="Other", currency="JPY"),
        }
        size = OptionGroup(
            id="size", name="Size", min=1, max=1, options=(Option("small", "Small"), Option("large", "Large", 300))
        )
        extra = OptionGroup(
            id="extra", name="Extra", max=2, options=(Option("cheese", "Cheese", 120), Option("ham", "Ham", 180))
        )
        self.products_by_id = {
            BREAD: Product(id=BREAD, merchant_id=MERCHANT, name="Bread", price_minor=350, currency="EUR", sku="B1"),
            PIZZA: Product(
                id=PIZZA,
                merchant_id=MERCHANT,
                name="Pizza",
                price_minor=900,
                currency="EUR",
                sku="P1",
                options=(size, extra),
                max_quantity=5,
            ),
            YEN_TEA: Product(
                id=YEN_TEA, merchant_id=OTHER_MERCHANT, name="Tea", price_minor=500, currency="JPY", sku="T1"
            ),
        }
        self.queries = 0

    async def products(self, ids: Sequence[str]) -> dict[str, Product]:
        self.queries += 1
        return {each: self.products_by_id[each] for each in ids if each in self.products_by_id}

    async def merchant(self, merchant_id: str) -> Merchant | None:
        found = self.merchants_by_id.get(merchant_id)
        return None if found is None else msgspec.structs.replace(found, active=merchant_id not in self._inactive)

    async def currency(self, organization_id: str) -> str:
        if organization_id == CLINIC:
            return "EUR"
        merchant = self.merchants_by_id.get(organization_id)
        return "" if merchant is None else merchant.currency

    async def merchants(self, city: str, country: str, after_id: str, limit: int) -> Sequence[Merchant]:
        open_ = [one for one in self.merchants_by_id.values() if one.id not in self._inactive]
        found = sorted(open_, key=lambda one: one.id)
        matching = [one for one in found if city in {"", one.city} and country in {"", one.country}]
        return [one for one in matching if one.id > after_id][:limit]

    async def menu(self, merchant_id: str, after_id: str, limit: int) -> Sequence[Product]:
        found = sorted(self.products_by_id.values(), key=lambda one: one.id)
        return [one for one in found if one.merchant_id == merchant_id and one.active and one.id > after_id][:limit]

    async def add_merchant(self, merchant: Merchant) -> bool:
        if merchant.id in self.merchants_by_id:
            return False
        self.merchants_by_id[merchant.id] = merchant
        return True

    async def add_product(self, product: Product) -> bool:
        if product.id in self.products_by_id:
            return False
        if any(one.sku == product.sku and one.merchant_id == product.merchant_id for one in self._others(product)):
            raise Conflict("The SKU is taken.", code="sku_taken")
        self.products_by_id[product.id] = product
        return True

    async def put_product(self, product: Product) -> None:
        self.products_by_id[product.id] = product

    def _others(self, product: Product) -> list[Product]:
        return [one for one in self.products_by_id.values() if one.id != product.id]


class MemoryListings:
    """`services.listings.Listings` over the index rows of a `MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def orders(self, wanted: OrderFilter, after: Place | None, limit: int) -> Sequence[OrderEntry]:
        rows = [row for row in self._store.index["orders"].values() if _matches(row, wanted)]
        return [_order(row) for row in _newest(rows, "placed_at", after)[:limit]]

    async def carts(self, owner: str, statuses: Sequence[str], after: Place | None, limit: int) -> Sequence[CartEntry]:
        rows = [
            row for row in self._store.index["carts"].values() if row["owner"] == owner and row["status"] in statuses
        ]
        return [
            CartEntry(
                id=row["id"],
                status=row["status"],
                created_at_ms=row["created_at"],
                updated_at_ms=row["updated_at"],
                merchant_id=row["merchant_id"] or "",
            )
            for row in _newest(rows, "created_at", after)[:limit]
        ]

    async def order_counts(self, wanted: OrderFilter) -> Sequence[StatusCount]:
        sums: dict[tuple[str, str], list[int]] = {}
        for row in self._store.index["orders"].values():
            if _matches(row, wanted):
                sums.setdefault((row["status"], row["currency"]), []).append(row["total_minor"])
        return [
            StatusCount(status, len(totals), Money(sum(totals), currency))
            for (status, currency), totals in sorted(sums.items())
        ]


def _matches(row: dict[str, Any], wanted: OrderFilter) -> bool:
    named = (
        (wanted.user_id, "user_id"),
        (wanted.merchant_id, "merchant_id"),
        (wanted.courier_id, "courier_id"),
    )
    if any(value and row[name] != value for value, name in named):
        return False
    if wanted.statuses and row["status"] not in wanted.statuses:
        return False
    return row["placed_at"] >= wanted.since_ms and not (wanted.until_ms and row["placed_at"] >= wanted.until_ms)


def _newest(rows: list[dict[str, Any]], name: str, after: Place | None) -> list[dict[str, Any]]:
    rows = sorted(rows, key=lambda row: (row[name], row["id"]), reverse=True)
    return [row for row in rows if after is None or (row[name], row["id"]) < (after.at_ms, after.id)]


def _order(row: dict[str, Any]) -> OrderEntry:
    return OrderEntry(
        id=row["id"],
        version=row["version"],
        user_id=row["user_id"],
        merchant_id=row["merchant_id"],
        status=row["status"],
        currency=row["currency"],
        total_minor=row["total_minor"],
        lines_count=row["lines_count"],
        placed_at_ms=row["placed_at"],
        updated_at_ms=row["updated_at"],
        courier_id=row["courier_id"] or "",
        cart_id=row["cart_id"] or "",
    )


class MemoryDeadLetters:
    def __init__(self) -> None:
        self.letters: dict[str, DeadLetterRecord] = {}
        self.retried: list[str] = []

    async def list(self, after_id: str, limit: int) -> Sequence[DeadLetterRecord]:
        found = sorted(self.letters.values(), key=lambda one: one.id)
        return [one for one in found if one.id > after_id][:limit]

    async def retry(self, letter_id: str) -> bool:
        if self.letters.pop(letter_id, None) is None:
            return False
        self.retried.append(letter_id)
        return True


@dataclass
class House:
    """`http` speaks to the application in-process; `client` is the entities' client underneath."""

    clock: ManualClock
    store: MemoryStore
    local: LocalRuntime
    gateway: GatewayRuntime
    catalog: MemoryCatalog
    dead_letters: MemoryDeadLetters
    mail: Mailbox
    account_stores: AccountStores
    http: httpx.AsyncClient
    app: Any
    provider: ScriptedProvider
    identities: MemoryIdentities
    jobs: MemoryJobs
    privacy_store: MemoryPrivacy

    @property
    def accounts(self) -> Accounts:
        assert self.gateway.accounts is not None
        return self.gateway.accounts

    @property
    def tokens(self) -> Tokens:
        return self.gateway.tokens

    def bearer(self, subject: str = ALICE, *roles: str, orgs: tuple[str, ...] = ()) -> dict[str, str]:
        """Of a login just now, with all factors."""
        token = self.tokens.issue(subject, roles or ("customer",), orgs, amr=("pwd", "otp", "mfa"))
        return {"Authorization": f"Bearer {token}"}

    def staff(self, merchant: str = MERCHANT) -> dict[str, str]:
        return self.bearer(STAFF, "merchant_staff", orgs=(merchant,))

    def courier(self, subject: str = COURIER) -> dict[str, str]:
        return self.bearer(subject, "courier")

    async def new_cart(self, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(
            "/api/v1/carts/create", json=body or {"merchant_id": MERCHANT}, headers=headers or self.bearer()
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def add(self, cart_id: str, product_id: str = BREAD, quantity: int = 1, **more: Any) -> httpx.Response:
        headers = {**self.bearer(), **more.pop("headers", {})}
        body = {"product_id": product_id, "quantity": quantity, **more}
        return await self.http.post(f"/api/v1/carts/{cart_id}/items", json=body, headers=headers)

    async def order(self, cart_id: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        document = {"cart_id": cart_id, "fulfilment": "delivery", "address": ADDRESS, **body}
        return await self.http.post("/api/v1/orders/create", json=document, headers=headers or self.bearer())

    async def new_order(self, quantity: int = 2) -> dict[str, Any]:
        cart = await self.new_cart()
        await self.add(cart["id"], quantity=quantity)
        answer = await self.order(cart["id"])
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def move(self, order_id: str, headers: dict[str, str], *statuses: str) -> httpx.Response:
        answer = None
        for status in statuses:
            answer = await self.http.put(f"/api/v1/orders/{order_id}/status", json={"status": status}, headers=headers)
            assert answer.status_code == 200, answer.text
        assert answer is not None
        return answer


@asynccontextmanager
async def open_house(
    limits: GatewayLimits | None = None,
    wrap: Any = lambda client: client,
    kinds: Any = KINDS,
    tracer: Any = None,
) -> AsyncIterator[House]:
    """`wrap` may put something between the use-cases and the entities' client."""
    clock, store = ManualClock(), MemoryStore()
    journal = MemoryJournal(store)
    async with LocalRuntime(journal, journal, kinds, clock=clock, tracer=tracer) as local:
        inactive: set[str] = set()
        catalog, dead_letters, locations = MemoryCatalog(inactive), MemoryDeadLetters(), MemoryLocations(store)
        gateway = GatewayRuntime(
            gateway_id="gateway-1",
            client=wrap(local.client),
            catalog_store=catalog,
            location_store=locations,
            organization_store=MemoryOrganizations(locations.organizations, inactive),
            listings=MemoryListings(store),
            session_listings=MemorySessions(store),
            document_listings=MemoryDocuments(store),
            audit_store=MemoryAudit(),
            emergency_store=MemoryEmergencies(),
            journal=journal,
            keyed_answers=MemoryKeyedAnswers(),
            dead_letters=dead_letters,
            tokens=Tokens(clock, signing=SIGNING_KEY),
            clock=clock,
            keys=LOCAL_KEYS,
            health=Health({}, {}),
            limits=limits or GatewayLimits(),
            tracer=tracer,
        )
        mail = Mailbox()
        stores = memory_stores({CLINIC, OTHER_CLINIC, MERCHANT, OTHER_MERCHANT}, inactive)
        accounts = gateway.accounts = make_accounts(stores, gateway.tokens, clock, gateway.audit, mail)
        provider, identities = ScriptedProvider(clock), MemoryIdentities(stores)
        outgoing = Outgoing(transport=httpx.MockTransport(provider.handle))
        gateway.oidc = Oidc(
            (LOGIN_PROVIDER,),
            outgoing,
            LOCAL_KEYS,
            identities,
            stores,
            accounts,
            gateway.audit,
            clock,
            public_url="http://test",
            origins=("https://shop.example",),
        )
        gateway.privacy, jobs, privacy_store = make_privacy(stores, gateway.audit, clock)
        app = create_app(NOUNS, gateway)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield House(
                *(clock, store, local, gateway, catalog, dead_letters, mail, stores, http, app, provider, identities),
                jobs,
                privacy_store,
            )
        await outgoing.close()
        await accounts.close()
