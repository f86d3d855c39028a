"""The login providers of an installation, from its settings."""

from urllib.parse import urlsplit

from services.accounts.accounts import Accounts
from services.accounts.store import AccountStores
from services.audit import Audit
from services.lookups import Clock
from services.oidc.oidc import Oidc
from services.outgoing.client import Outgoing
from storage.accounts.identities import IdentityTables
from storage.crypto import KeyRing
from storage.db import Database
from storage.oidc_providers import providers_of
from storage.settings import Settings


def oidc_for(
    settings: Settings,
    outgoing: Outgoing,
    database: Database,
    keys: KeyRing,
    stores: AccountStores,
    accounts: Accounts,
    audit: Audit,
    clock: Clock,
) -> Oidc:
    """On Postgres. Without providers in the settings it knows none, and lists what people have linked before."""
    named = settings.oidc_providers
    return Oidc(
        () if named is None else providers_of(named.get_secret_value()),
        outgoing,
        keys,
        IdentityTables(database),
        stores,
        accounts,
        audit,
        clock,
        public_url=settings.public_url,
        origins=own_origins(settings),
    )


def own_origins(settings: Settings) -> tuple[str, ...]:
    """Of the application, of the API itself, and those that `cors_origins` names one by one."""
    named = [part.strip() for part in settings.cors_origins.split(",")]
    own = [settings.app_url, settings.public_url, *named]
    parts = [urlsplit(each) for each in own if each and each != "*"]
    return tuple(f"{each.scheme}://{each.netloc}".lower() for each in parts)
