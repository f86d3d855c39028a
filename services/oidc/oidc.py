"""Logins by other providers, put together from their parts once per gateway."""

from collections.abc import Sequence

from services.accounts.accounts import Accounts
from services.accounts.store import AccountStores
from services.audit import Audit
from services.lookups import Clock
from services.oidc.flows import Flows
from services.oidc.identities import Identities
from services.oidc.limits import DEFAULTS, OidcLimits
from services.oidc.provider import Provider
from services.oidc.sealing import Sealing
from services.oidc.store import IdentityStore
from services.outgoing.client import Outgoing
from storage.crypto import KeyRing
from storage.oidc_providers import OidcProvider


class Oidc:
    """`public_url` is where browsers reach this API; a login may return to pages of these `origins`."""

    def __init__(
        self,
        providers: Sequence[OidcProvider],
        outgoing: Outgoing,
        keys: KeyRing,
        identities: IdentityStore,
        stores: AccountStores,
        accounts: Accounts,
        audit: Audit,
        clock: Clock,
        *,
        public_url: str,
        origins: Sequence[str],
        limits: OidcLimits = DEFAULTS,
    ) -> None:
        self.limits = limits
        self.public_url = public_url
        known = [Provider(each, outgoing, clock, limits) for each in providers]
        self.flows = Flows(known, Sealing(keys), identities, clock, limits, public_url=public_url, origins=origins)
        self.identities = Identities(self.flows, identities, stores, accounts, audit, clock, limits)
