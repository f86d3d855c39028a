"""A person with a life on the real tables and journal: what an export has to show and an erasure to take out."""

import zipfile
from collections.abc import Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import insert

from actors.cart_commands import AddLine, BeginCheckout, CompleteCheckout, Create, Terms
from actors.document_commands import AppendNote
from actors.document_commands import Create as CreateDocument
from actors.kinds import KINDS
from actors.order_commands import Address, AssignCourier, Place, ReportPosition, SetStatus
from actors.runtime.clock import SystemClock
from actors.runtime.codec import KindCodec
from actors.runtime.entity import SYSTEM, Actor
from actors.runtime.local import LocalRuntime
from domain.ids import new_id
from domain.lines import Line
from services.accounts.accounts import postgres_stores
from services.clinic_stores import AuditStore
from services.history import History
from services.jobs.running import Handler, JobRunner
from services.jobs.service import Jobs
from services.privacy.entities import PersonalEntities
from services.privacy.erasure import Erasing
from services.privacy.export import Exporting, path_of, place_of
from services.privacy.limits import DEFAULTS
from storage.accounts.records import LoginRecord, MembershipRecord, UserRecord, UserStatus
from storage.accounts.secret_tokens import new_token
from storage.audit import AuditTables, Event
from storage.crypto import KeyRing
from storage.db import Database
from storage.jobs import JobRecord, JobTables
from storage.journal.postgres import PostgresJournal
from storage.models import Base, Organization
from storage.privacy.accounts import ErasedAccounts
from storage.privacy.personal import PersonalTables
from storage.privacy.records import PrivacyTables
from storage.privacy.rewriting import JournalRewriting
from storage.sealed_files import read_sealed

EMAIL, NAME, STREET, NOTE = "grace@hopper.example", "Grace Hopper", "17 Compiler Lane", "left at the blue door"
MERCHANT, CLINIC, SITE = new_id(), new_id(), new_id()
STAFF = Actor(new_id(), ("merchant_staff",), (MERCHANT,))
PIA = Actor(new_id(), ("provider",), (CLINIC,))
CLOCK = SystemClock()


class Household:
    """`grace` orders, is a patient, and delivers for others; `other` is somebody whom nothing may happen to."""

    def __init__(self, database: Database, journal: PostgresJournal, runtime: LocalRuntime, keys: KeyRing, folder):
        self.database, self.keys, self.folder = database, keys, folder
        self.journal = journal
        self.client = runtime.client
        self.codecs = {name: KindCodec(kind, keys) for name, kind in KINDS.items()}
        self.grace, self.other = new_id(), new_id()
        self.stores = postgres_stores(database, keys)
        self.store = JobTables(database)
        self.jobs = Jobs(self.store, CLOCK)
        self.records = PrivacyTables(database, keys)
        tables = PersonalTables(database, keys)
        self.entities = PersonalEntities(
            runtime.client, History(journal, KINDS, keys), JournalRewriting(database), KINDS, keys
        )
        self.exporting = Exporting(tables, self.records, self.entities, folder, CLOCK, DEFAULTS)
        accounts, trail = ErasedAccounts(database, keys), AuditStore(database, keys)
        self.erasing = Erasing(tables, self.records, self.entities, accounts, trail, folder, CLOCK)

    @property
    def runner(self) -> JobRunner:
        handlers = {"user_export": self.exporting.run, "user_erasure": self.erasing.run}
        return JobRunner(self.store, handlers, CLOCK)

    async def run(self, job: JobRecord, holder: str, handlers: Mapping[str, Handler]) -> None:
        await JobRunner(self.store, handlers, CLOCK).run(job, holder)

    async def settle_in(self) -> None:
        async with self.database.session() as session:
            for id_, kind in ((MERCHANT, "merchant"), (CLINIC, "clinic")):
                await session.execute(insert(Organization).values(id=id_, kind=kind, name="O", currency="EUR"))
        for id_, email, name in ((self.grace, EMAIL, NAME), (self.other, "bob@example.com", "Bob")):
            await self._account(id_, email, name)
        self.order_id = await self.order(self.grace, courier=self.other)
        self.delivered_id = await self.order(self.other, courier=self.grace)
        self.document_id = new_id()
        create = CreateDocument(organization_id=CLINIC, location_id=SITE, patient_id=self.grace, template="toxin")
        await self.client.ask("document", self.document_id, create, actor=PIA)
        note = AppendNote(note_id=new_id(), text="Ice applied to Grace.")
        await self.client.ask("document", self.document_id, note, actor=PIA)
        seen = Event(
            at_ms=CLOCK.now_ms(), actor=PIA.subject, action="read", kind="document", object_id=self.document_id
        )
        await AuditTables(self.database, self.keys).add([msgspec.structs.replace(seen, patient_id=self.grace)])

    async def _account(self, user_id: str, email: str, name: str) -> None:
        now = CLOCK.now_ms()
        user = UserRecord(
            id=user_id, email=email, name=name, status=UserStatus.ACTIVE, created_at_ms=now, updated_at_ms=now
        )
        assert await self.stores.users.add_user(user)
        login = LoginRecord(
            id=new_id(),
            user_id=user_id,
            organization_id="",
            device=f"{name}'s phone",
            auth_time_ms=now,
            created_at_ms=now,
            last_used_at_ms=now,
            expires_at_ms=now + 1_000_000,
        )
        assert await self.stores.logins.open_login(login, new_token(), now + 1_000_000, password_hash="")
        await self.stores.members.add_membership(
            MembershipRecord(user_id=user_id, organization_id=MERCHANT, role="billing"), now
        )

    async def order(self, user_id: str, courier: str, *, until: str = "completed") -> str:
        """An order with an address, from a cart, delivered by `courier`."""
        cart_id, order_id, owner = new_id(), new_id(), Actor(user_id, ("customer",))
        address = Address(line1=STREET, city="Arlington", country="US")
        await self.client.ask("cart", cart_id, Create("EUR", MERCHANT), actor=owner)
        line = AddLine(
            product_id="soup",
            name="Soup",
            unit_price_minor=400,
            currency="EUR",
            merchant_id=MERCHANT,
            instructions=NOTE,
        )
        await self.client.ask("cart", cart_id, line, actor=owner)
        terms = Terms(address=address, instructions=NOTE)
        await self.client.ask("cart", cart_id, BeginCheckout(order_id, terms=terms), actor=owner)
        lines = (
            Line(line_id="1", product_id="soup", name="Soup", unit_price_minor=400, quantity=1, instructions=NOTE),
        )
        place = Place(
            cart_id=cart_id,
            user_id=user_id,
            merchant_id=MERCHANT,
            currency="EUR",
            lines=lines,
            subtotal_minor=400,
            total_minor=400,
            address=address,
            instructions=NOTE,
        )
        await self.client.ask("order", order_id, place, actor=SYSTEM)
        await self.client.ask("cart", cart_id, CompleteCheckout(order_id), actor=SYSTEM)
        rider = Actor(courier, ("courier",))
        for step, actor in (
            *((status, STAFF) for status in ("accepted", "preparing", "ready")),
            *((status, rider) for status in ("picked_up", "out_for_delivery", "delivered")),
            ("completed", SYSTEM),
        ):
            await self.client.ask("order", order_id, SetStatus(to=step), actor=actor)
            if step == "preparing":
                await self.client.ask("order", order_id, AssignCourier(courier), actor=STAFF)
            if step == "out_for_delivery":
                await self.client.ask("order", order_id, ReportPosition(lat=38.8816, lon=-77.091), actor=rider)
            if step == until:
                break
        return order_id

    async def export(self) -> dict[str, Any]:
        """The files of a new export of Grace."""
        job = await self.jobs.start("user_export", self.grace, owner=self.grace, person=self.grace)
        assert await self.runner.run_due("p1") == 1
        found = await self.records.export(self.grace, CLOCK.now_ms())
        assert found is not None
        assert found.id == job.id
        content = b"".join(read_sealed(path_of(self.folder, found.id), found.file_key, place_of(found.id)))
        assert len(content) == found.size_bytes
        with zipfile.ZipFile(BytesIO(content)) as archive:
            assert archive.testzip() is None
            return {name: msgspec.json.decode(archive.read(name)) for name in archive.namelist()}

    async def erase(self) -> dict[str, Any]:
        job = await self.jobs.start("user_erasure", self.grace, owner="system", person=self.grace)
        assert await self.runner.run_due("p1") == 1
        ended = await self.store.job(job.id)
        assert ended is not None
        assert ended.status == "succeeded", ended.error
        return ended.result

    async def everything(self) -> str:
        """All that the database says, with the journal and the sealed columns of accounts opened."""
        found = []
        async with self.database.session() as session:
            for table in Base.metadata.sorted_tables:
                rows = (await session.execute(sa.select(table))).all()
                found += [repr(tuple(row)) for row in rows]
                if table.name == "journal":
                    found += [repr(self.codecs[row.kind].opened(row.id, row.version, row.payload)) for row in rows]
        for user_id in (self.grace, self.other):
            user = await self.stores.users.user(user_id)
            assert user is not None
            found += [user.email, user.name]
        return "\n".join(found)


@asynccontextmanager
async def open_household(url: str, folder):
    keys = KeyRing.ephemeral()
    database = Database(url)
    journal = await PostgresJournal(url).open()
    async with LocalRuntime(journal, journal, KINDS, keys=keys) as runtime:
        household = Household(database, journal, runtime, keys, folder)
        await household.settle_in()
        yield household
    await journal.close()
    await database.close()
