"""All use-cases of accounts, put together from their parts once per gateway."""

from services.accounts.alerts import AdminAlerts
from services.accounts.api_keys import ApiKeys, KeyCheck
from services.accounts.attempts import Attempts
from services.accounts.enrolment import Enrolments
from services.accounts.factors import SecondFactors
from services.accounts.invitations import Invitations
from services.accounts.limits import DEFAULTS, AccountLimits
from services.accounts.logins import Logins
from services.accounts.mailed import MailedTokens
from services.accounts.members import Members
from services.accounts.passkeys import Passkeys
from services.accounts.passwords import Passwords
from services.accounts.people import People
from services.accounts.preferences import PersonalSettings
from services.accounts.profiles import Profiles
from services.accounts.proving import Prover
from services.accounts.recovery import Recovery
from services.accounts.registration import Registration
from services.accounts.relying_party import RelyingParty
from services.accounts.revocations import Publisher, Revocations
from services.accounts.service_accounts import ServiceAccounts
from services.accounts.step_up import StepUp
from services.accounts.store import AccountStores
from services.audit import Audit
from services.background import Background
from services.lookups import Clock
from services.mail.mailer import Mailer
from services.mail.post import Post
from services.tokens import Tokens
from storage.accounts.api_keys import ApiKeyTables
from storage.accounts.factors import FactorTables
from storage.accounts.invitations import InvitationTables
from storage.accounts.logins import LoginTables
from storage.accounts.lookup import Vault
from storage.accounts.memberships import MembershipTables
from storage.accounts.people import PeopleTables
from storage.accounts.revocations import RevocationTables
from storage.accounts.users import UserTables
from storage.crypto import KeyRing
from storage.db import Database


class Accounts:
    """Close it before the stores: what is being mailed is finished first."""

    def __init__(
        self,
        stores: AccountStores,
        tokens: Tokens,
        mailer: Mailer,
        audit: Audit,
        clock: Clock,
        *,
        sender: str,
        app_url: str = "",
        limits: AccountLimits = DEFAULTS,
        passwords: Passwords | None = None,
        publisher: Publisher | None = None,
        party: RelyingParty | None = None,
    ) -> None:
        """`publisher` tells the other gateways what was taken back; passkeys are for `party`."""
        self.background = Background(limits.background_tasks_max)
        self.passwords = passwords or Passwords(limits)
        post = self.post = Post(mailer, self.background, clock, sender=sender, app_url=app_url)
        mailed = MailedTokens(stores.users, post, clock, limits)
        attempts, party = Attempts(stores.logins, clock, limits), party or RelyingParty()
        prover = Prover(stores, self.passwords, attempts)
        self.limits = limits
        revocations = self.revocations = Revocations(stores.revocations, tokens.revoked, clock, publisher)
        self.invitations = Invitations(stores, post, audit, clock, limits)
        self.registration = Registration(
            stores.users, prover, self.passwords, mailed, post, clock, audit, self.invitations
        )
        self.recovery = Recovery(
            stores, prover, self.passwords, mailed, post, self.background, revocations, audit, clock
        )
        self.factors = SecondFactors(stores.factors, attempts, post, audit, clock, limits)
        self.enrolments = Enrolments(
            stores, self.factors, attempts, revocations, post, audit, clock, limits, issuer=party.name
        )
        self.passkeys = Passkeys(stores, self.factors, self.enrolments, audit, clock, limits, party)
        self.step_up = StepUp(stores.factors, clock, limits)
        self.logins = Logins(stores, tokens, prover, self.factors, self.passkeys, revocations, audit, clock, limits)
        self.alerts = AdminAlerts(stores, post, self.background)
        self.members = Members(stores, revocations, audit, clock)
        self.keys = ApiKeys(stores.keys, stores, revocations, post, self.alerts, audit, clock)
        self.key_check = KeyCheck(stores.keys, stores, revocations, clock)
        self.services = ServiceAccounts(stores.keys, revocations, audit, clock)
        self.profiles = Profiles(stores.users, clock)
        self.personal = PersonalSettings(stores.people, self.profiles, clock, limits)
        self.people = People(stores, revocations, post, audit, clock, limits)

    async def close(self) -> None:
        await self.background.close()
        self.passwords.close()


def postgres_stores(database: Database, keys: KeyRing) -> AccountStores:
    vault = Vault(database, keys)
    return AccountStores(
        UserTables(database, vault),
        LoginTables(database, vault),
        MembershipTables(database),
        PeopleTables(database, vault),
        RevocationTables(database),
        ApiKeyTables(database),
        FactorTables(database, vault),
        InvitationTables(database, vault),
    )
