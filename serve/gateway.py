"""Everything a gateway needs, put together once per process and handed to the application."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from actors.kinds import KINDS
from actors.runtime.entity import EntityKind
from realtime.gateway import Gateway
from serve.limits import DEFAULTS, GatewayLimits
from serve.platform.browsers import Browsers
from serve.platform.edge import Limiter
from serve.platform.graphql_metrics import GraphqlMetrics
from serve.platform.idempotency import KeyedAnswers, Once
from serve.platform.metrics import HttpMetrics
from serve.platform.relay import Relay
from services.access.documents import DocumentAccess
from services.access.emergency import EmergencyAccess, EmergencyStore
from services.accounts.accounts import Accounts
from services.audit import Audit, AuditStore
from services.carts import Carts
from services.catalog import Catalog, CatalogStore
from services.device_commands import DeviceCommands
from services.document_chart import DocumentCharts
from services.document_listings import DocumentListings
from services.document_operations import DocumentOperations
from services.documents import Documents
from services.entities import DOCUMENT, Answered, Entities, Sender
from services.groups import Groups
from services.hand_offs import HandOffs
from services.health import DeadLetters, Health
from services.history import History, JournalRows
from services.listings import Listings
from services.locations import Locations, LocationStore
from services.lookups import Clock
from services.merchants import MerchantCache
from services.oidc.oidc import Oidc
from services.orders import Orders
from services.organizations import Organizations, OrganizationStore
from services.outgoing.client import Outgoing
from services.placement import Placements
from services.privacy.service import Privacy
from services.products import ProductCache
from services.proofs import Proofs
from services.quarantine import Quarantine
from services.rooms import Rooms
from services.session_listings import SessionListings
from services.sessions import Sessions
from services.tokens import Tokens
from services.visit_places import OneRoomPerVisit
from storage.crypto import KeyRing

if TYPE_CHECKING:
    from storage.tracing.tracer import Tracer


@dataclass(slots=True, kw_only=True)
class GatewayRuntime:
    """The parts come from outside, so that tests run on the local runtime and on memory; the use-cases are
    made here from them. `live` None: this gateway takes no sockets; `accounts` None: it has no logins; `limiter`
    None: anybody asks as often as they like; `keyed_answers` None: only entities know Idempotency-Keys; `tracer`
    None: nothing is traced. `keys` open the journal of sensitive kinds."""

    gateway_id: str
    client: Entities
    catalog_store: CatalogStore
    location_store: LocationStore
    organization_store: OrganizationStore
    listings: Listings
    session_listings: SessionListings
    document_listings: DocumentListings
    audit_store: AuditStore
    journal: JournalRows
    dead_letters: DeadLetters
    tokens: Tokens
    clock: Clock
    health: Health
    emergency_store: EmergencyStore | None = None
    live: Gateway | None = None
    accounts: Accounts | None = None
    privacy: Privacy | None = None
    keys: KeyRing | None = None
    kinds: Mapping[str, EntityKind[Any]] = field(default_factory=lambda: KINDS)
    limits: GatewayLimits = DEFAULTS
    limiter: Limiter | None = None
    keyed_answers: KeyedAnswers | None = None
    tracer: "Tracer | None" = None
    relay: Relay | None = None
    metrics_token: str = ""
    outgoing: Outgoing | None = None
    oidc: Oidc | None = None
    browsers: Browsers = field(default_factory=Browsers)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    metrics: HttpMetrics = field(init=False)
    graphql_metrics: GraphqlMetrics = field(init=False)
    once: Once | None = field(init=False, default=None)
    history: History = field(init=False)
    products: ProductCache = field(init=False)
    catalog: Catalog = field(init=False)
    carts: Carts = field(init=False)
    placements: Placements = field(init=False)
    orders: Orders = field(init=False)
    locations: Locations = field(init=False)
    organizations: Organizations = field(init=False)
    rooms: Rooms = field(init=False)
    audit: Audit = field(init=False)
    emergency: EmergencyAccess | None = field(init=False, default=None)
    documents: Documents = field(init=False)
    charts: DocumentCharts = field(init=False)
    sessions: Sessions = field(init=False)
    hand_offs: HandOffs = field(init=False)
    quarantine: Quarantine = field(init=False)
    device_commands: DeviceCommands = field(init=False)
    groups: Groups = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = HttpMetrics(self.gateway_id, self.registry)
        self.graphql_metrics = GraphqlMetrics(self.gateway_id, self.registry)
        if self.keyed_answers is not None:
            self.once = Once(self.keyed_answers, self.clock, self.limits)
        self.history = History(self.journal, self.kinds, self.keys)
        self.products = ProductCache(self.catalog_store, self.clock)
        merchants = MerchantCache(self.catalog_store, self.clock)
        self.catalog = Catalog(self.catalog_store, self.products, merchants)
        self.carts = Carts(self.client, self.products, self.clock)
        self.placements = Placements(self.client, self.carts, merchants, self.history)
        self.orders = Orders(self.client, self.history, self.listings, self.tokens)
        self.locations = Locations(self.location_store)
        rooms = OneRoomPerVisit(self.client, self.location_store)
        self.rooms = Rooms(rooms, self.location_store, self.locations, self.history)
        self.audit = Audit(self.audit_store, self.clock)
        self.organizations = Organizations(self.organization_store, self.audit, self.clock, self._organization_changed)
        proofs = Proofs(self.tokens, self._has_factors)
        if self.emergency_store is not None:
            self.emergency = EmergencyAccess(
                self.emergency_store, self.audit, proofs, self.clock, self._emergency_access_taken
            )
        access = DocumentAccess(self.document_listings, self.location_store, self.audit, self.clock, self.emergency)
        self.documents = Documents(self.client, self.history, self.document_listings, self.products, proofs, access)
        self.charts = DocumentCharts(self.documents, self.kinds[DOCUMENT], self.clock)
        self.sessions = Sessions(self.client, self.location_store, self.session_listings, self.clock)
        self.hand_offs = HandOffs(self.client)
        self.quarantine = Quarantine(self.client, self._again, self.audit)
        self.device_commands = DeviceCommands(
            rooms,
            self.carts,
            self.catalog,
            self.kinds,
            DocumentOperations(self.documents, self.kinds[DOCUMENT]),
            self.quarantine,
            self.rooms,
            self.audit,
        )
        self.groups = Groups(self.listings, self.rooms, self.documents, self.sessions)

    async def _emergency_access_taken(self, organization_id: str) -> None:
        if self.accounts is not None:
            await self.accounts.alerts.emergency_access(organization_id)

    async def _organization_changed(self, organization_id: str, lost: bool) -> None:
        self.catalog.forget_merchant(organization_id)
        if lost and self.accounts is not None:
            await self.accounts.revocations.outdate(organization_id)

    async def _has_factors(self, user_id: str) -> bool:
        return self.accounts is not None and bool(await self.accounts.factors.kinds(user_id))

    async def _again(
        self, sender: Sender, ent: str, op: str, args: dict[str, Any], base_fver: int | None = None
    ) -> Answered:
        """A quarantined command goes the way of all commands."""
        return await self.device_commands.execute(sender, ent, op, args, base_fver)
