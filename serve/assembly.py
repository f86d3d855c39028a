"""A gateway from its real parts: Postgres, Redis, the entities' client, tokens, sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import Gauge

from actors.runtime.client import EntityClient
from actors.runtime.clock import SystemClock
from actors.runtime.host_actor import RuntimeConfig
from realtime.gateway import Gateway
from realtime.hub import Hub
from realtime.presence import Presence
from realtime.services import Services
from serve.app import NOUNS
from serve.gateway import GatewayRuntime
from serve.limits import DEFAULTS, GatewayLimits
from serve.live.adapters import AuditWitness, TokenAuthenticator
from serve.live.hub_metrics import HubCollector
from serve.live.ledger import SessionLedger
from serve.live.observed import ObservedPort, SocketMetrics
from serve.platform.browsers import Browsers, origins_of
from serve.platform.idempotency import prune_forever
from serve.platform.outgoing_metrics import OutgoingCollector
from serve.platform.rate_limits import RateLimiter, rate_limits_of
from serve.platform.relay import Processes, Relay
from serve.readiness import health_of
from services.access.emergency_store import EmergencyStore
from services.accounts.accounts import Accounts, postgres_stores
from services.accounts.relying_party import relying_party_of
from services.accounts.revocations import CHANNEL
from services.clinic_stores import AuditStore, DocumentListings, OrganizationStore, SessionListings
from services.jobs.service import Jobs
from services.mail.guarded import guarded_mailer
from services.oidc.opening import oidc_for
from services.outgoing.addresses import networks_of
from services.outgoing.client import Outgoing
from services.privacy.export import EXPORTS_FOLDER
from services.privacy.service import Privacy
from services.signing_keys import load_or_create_signing_key
from services.stores import CatalogStore, DeadLetters, Listings, LocationStore
from services.tokens import Tokens, rules_of
from storage.accounts.lookup import Vault
from storage.bus import Bus
from storage.db import Database
from storage.idempotency import IdempotencyTable
from storage.jobs import JobTables
from storage.journal.postgres import PostgresJournal
from storage.key_refresh import refresh_forever
from storage.privacy.records import PrivacyTables
from storage.rate_limits import RedisCounters
from storage.sealed_bus import SealedBus
from storage.settings import Settings

if TYPE_CHECKING:
    from storage.tracing.tracer import Tracer

KEYS_FOLDER = "keys"
SERVICES = ("steward", "reactor")
"""The runtime's single processes, by the names of their actors."""


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway process is told when it starts."""

    runtime: RuntimeConfig
    settings: Settings
    nouns: tuple[str, ...] = tuple(NOUNS)
    limits: GatewayLimits = DEFAULTS


@asynccontextmanager
async def open_gateway(
    config: GatewayConfig,
    gateway_id: str,
    client: EntityClient,
    tracer: "Tracer | None" = None,
    processes: Processes | None = None,
) -> AsyncIterator[GatewayRuntime]:
    """A gateway that runs until the block ends. The client is closed with it; the tracer is the caller's to close."""
    settings, clock = config.settings, SystemClock()
    outgoing = Outgoing(private=networks_of(settings.outgoing_private_networks))
    keys = await config.runtime.open_keys(outgoing.breakers.guard)
    database = Database(config.runtime.database_url, settings)
    bus = await Bus.connect(config.runtime.redis_url)
    journal = await PostgresJournal(config.runtime.database_url, read_timeout_s=settings.read_timeout_s).open()
    tokens = Tokens(
        clock,
        signing=load_or_create_signing_key(settings.data_dir.absolute() / KEYS_FOLDER),
        rules=rules_of(settings),
    )

    sealed = SealedBus(bus, keys)
    keyed_answers = IdempotencyTable(database, keys)
    runtime = GatewayRuntime(
        gateway_id=gateway_id,
        client=client,
        catalog_store=CatalogStore(database),
        location_store=LocationStore(database),
        organization_store=OrganizationStore(database),
        listings=Listings(database),
        session_listings=SessionListings(database),
        document_listings=DocumentListings(database),
        audit_store=AuditStore(database, keys),
        emergency_store=EmergencyStore(database, keys),
        journal=journal,
        keyed_answers=keyed_answers,
        dead_letters=DeadLetters(database),
        tokens=tokens,
        clock=clock,
        keys=keys,
        health=health_of(database, client, bus, outgoing.breakers.check),
        outgoing=outgoing,
        limits=config.limits,
        tracer=tracer,
    )
    stores = postgres_stores(database, keys)
    accounts = runtime.accounts = Accounts(
        stores,
        tokens,
        guarded_mailer(settings, clock, outgoing.breakers),
        runtime.audit,
        clock,
        sender=settings.mail_from,
        app_url=settings.app_url,
        party=relying_party_of(settings),
        publisher=sealed,
    )
    live = Gateway(
        Services(
            hub=Hub(gateway_id, client, sealed, runtime.groups),
            port=ObservedPort(
                runtime.device_commands, SocketMetrics(gateway_id, runtime.kinds, runtime.registry), tracer
            ),
            authenticator=TokenAuthenticator(tokens, accounts.key_check),
            ledger=SessionLedger(runtime.sessions),
            witness=AuditWitness(runtime.documents),
            presence=Presence(gateway_id, sealed),
            revoked=tokens.revoked,
        )
    )
    runtime.live = live
    counters = RedisCounters(config.runtime.redis_url)
    runtime.browsers = Browsers(origins_of(settings.cors_origins))
    if settings.rate_limits:
        runtime.limiter = RateLimiter(
            counters,
            tokens,
            rate_limits_of(settings),
            runtime.registry,
            keys=accounts.key_check,
            address_key=await Vault(database, keys).address_key(),
        )
    runtime.oidc = oidc_for(settings, outgoing, database, keys, stores, accounts, runtime.audit, clock)
    runtime.privacy = Privacy(
        Jobs(JobTables(database), clock),
        PrivacyTables(database, keys),
        settings.data_dir.absolute() / EXPORTS_FOLDER,
        runtime.audit,
        clock,
    )
    revocations = accounts.revocations
    await sealed.subscribe(CHANNEL, revocations.heard, revocations.missed)
    await revocations.load()
    accounts.background.start("seal_names", accounts.people.seal_names())
    _expose(runtime, live, client)
    runtime.registry.register(HubCollector(gateway_id, live, bus, sealed))
    _relay(runtime, client, settings, processes)
    await live.start()
    beside = [
        asyncio.create_task(work)
        for work in (
            refresh_forever(keys, config.runtime.keys_refresh_s),
            revocations.look_forever(),
            accounts.key_check.flush_forever(),
            prune_forever(keyed_answers, clock),
        )
    ]
    try:
        yield runtime
    finally:
        for task in beside:
            task.cancel()
        await live.stop()
        await accounts.key_check.flush()
        await accounts.close()
        await outgoing.close()
        await runtime.audit.close()
        await client.close()
        await counters.close()
        await sealed.close()
        await bus.close()
        await journal.close()
        await database.close()


def _relay(runtime: GatewayRuntime, client: EntityClient, settings: Settings, processes: Processes | None) -> None:
    """What the runtime's other processes count; of the business only behind a token."""
    if settings.metrics_token is not None:
        runtime.metrics_token = settings.metrics_token.get_secret_value()
    if processes is not None:
        confidential = runtime.metrics_token != ""
        runtime.relay = Relay(processes, client.hosts, SERVICES, runtime.registry, confidential=confidential)


def _expose(runtime: GatewayRuntime, live: Gateway, client: EntityClient) -> None:
    """Figures of what the parts count themselves."""
    if runtime.outgoing is not None:
        runtime.registry.register(OutgoingCollector(runtime.gateway_id, runtime.outgoing.breakers))
    figures = {
        "atrium_live_sockets": ("WebSockets open.", lambda: float(len(live))),
        "atrium_entity_requests_pending": ("Commands and reads without an answer yet.", lambda: float(client.pending)),
        "atrium_entity_retries": ("Times a command was sent again.", lambda: float(client.retries)),
    }
    for name, (meaning, figure) in figures.items():
        gauge = Gauge(name, meaning, ("gateway",), registry=runtime.registry)
        gauge.labels(runtime.gateway_id).set_function(figure)
