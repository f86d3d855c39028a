"""Everything a gateway needs, put together once per process and handed to the application."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from actors.kinds import KINDS
from actors.runtime.entity import EntityKind
from realtime.gateway import Gateway
from serve.limits import DEFAULTS, GatewayLimits
from serve.platform.metrics import HttpMetrics
from services.carts import Carts
from services.catalog import Catalog, CatalogStore
from services.device_commands import DeviceCommands
from services.entities import Entities
from services.groups import Groups
from services.health import DeadLetters, Health
from services.history import History, JournalRows
from services.listings import Listings
from services.locations import Locations, LocationStore
from services.lookups import Clock
from services.merchants import MerchantCache
from services.orders import Orders
from services.placement import Placements
from services.products import ProductCache
from services.rooms import Rooms
from services.tokens import Tokens
from storage.crypto import KeyRing


@dataclass(slots=True, kw_only=True)
class GatewayRuntime:
    """The parts come from outside, so that tests run on the local runtime and on memory; the use-cases are
    made here from them. `live` None: this gateway takes no sockets. `keys` open the journal of sensitive kinds."""

    gateway_id: str
    client: Entities
    catalog_store: CatalogStore
    location_store: LocationStore
    listings: Listings
    journal: JournalRows
    dead_letters: DeadLetters
    tokens: Tokens
    clock: Clock
    health: Health
    live: Gateway | None = None
    keys: KeyRing | None = None
    kinds: Mapping[str, EntityKind[Any]] = field(default_factory=lambda: KINDS)
    limits: GatewayLimits = DEFAULTS
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    metrics: HttpMetrics = field(init=False)
    history: History = field(init=False)
    products: ProductCache = field(init=False)
    catalog: Catalog = field(init=False)
    carts: Carts = field(init=False)
    placements: Placements = field(init=False)
    orders: Orders = field(init=False)
    locations: Locations = field(init=False)
    rooms: Rooms = field(init=False)
    device_commands: DeviceCommands = field(init=False)
    groups: Groups = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = HttpMetrics(self.gateway_id, self.registry)
        self.history = History(self.journal, self.kinds, self.keys)
        self.products = ProductCache(self.catalog_store, self.clock)
        merchants = MerchantCache(self.catalog_store, self.clock)
        self.catalog = Catalog(self.catalog_store, self.products, merchants)
        self.carts = Carts(self.client, self.products, self.clock)
        self.placements = Placements(self.client, self.carts, merchants, self.history)
        self.orders = Orders(self.client, self.history, self.listings, self.tokens)
        self.locations = Locations(self.location_store)
        self.rooms = Rooms(self.client, self.location_store, self.locations)
        self.device_commands = DeviceCommands(self.client, self.carts, self.catalog, self.kinds)
        self.groups = Groups(self.listings, self.rooms)
