"""Accounts as tests use them: a clock of their own, mail in a list, cheap hashing."""

import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from pwdlib.hashers.argon2 import Argon2Hasher

from services.accounts.accounts import Accounts
from services.accounts.passwords import Passwords
from services.accounts.registration import NewUser
from services.accounts.store import AccountStores
from services.audit import Audit
from services.organizations import OrganizationStore
from services.tokens import Clock, Tokens
from tests.serve.clinic import MemoryAudit

PASSWORD = "umbrella walnut 7 trombone"
OTHER_PASSWORD = "granite teapot 9 meridian"

CHEAP = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass
class Mailbox:
    """`services.mail.mailer.Mailer`."""

    sent: list[EmailMessage] = field(default_factory=list)

    async def send(self, message: EmailMessage) -> None:
        self.sent.append(message)

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.sent if mail["To"].lower() == address.lower()]

    def code(self, address: str) -> str:
        """The token in the newest mail to this address that has one."""
        texts = "\n".join(text_of(mail) for mail in self.to(address))
        return re.findall(r"^Code: (\S+)$", texts, re.MULTILINE)[-1]


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return part.get_content()


def make_accounts(stores: AccountStores, tokens: Tokens, clock: Clock, audit: Audit, mailer: Mailbox) -> Accounts:
    return Accounts(
        stores,
        tokens,
        mailer,
        audit,
        clock,
        sender="Atrium <no-reply@example.test>",
        passwords=Passwords(hashing=CHEAP),
    )


@dataclass
class People:
    accounts: Accounts
    stores: AccountStores
    clock: Any
    mail: Mailbox
    tokens: Tokens
    trail: MemoryAudit
    organizations: OrganizationStore

    async def set_active(self, organization_id: str, *, active: bool) -> None:
        """As `services.organizations` does it, after whom accounts are told."""
        assert await self.organizations.set_active(organization_id, active=active, now_ms=self.clock.now_ms())
        if not active:
            await self.accounts.revocations.outdate(organization_id)

    async def settled(self) -> None:
        await self.accounts.background.settled()

    async def register(self, email: str, password: str = PASSWORD, **more: str) -> None:
        wanted = {"name": "Ada", **more}
        await self.accounts.registration.register(NewUser(email=email, password=password, **wanted))
        await self.settled()

    async def join(self, email: str, password: str = PASSWORD, **more: str) -> str:
        """Register and confirm; the id."""
        await self.register(email, password, **more)
        return (await self.accounts.registration.verify(self.mail.code(email))).id
