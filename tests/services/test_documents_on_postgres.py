"""Documents on the real tables and the real journal: sealed, listed, audited, and there after a restart."""

import msgspec
import pytest

from actors.document_commands import AddPoint, AppendNote, Create, SetStatus, Sign
from actors.kinds import KINDS
from actors.runtime.clock import SystemClock
from actors.runtime.entity import Actor
from actors.runtime.local import LocalRuntime
from domain.errors import Forbidden, NotFound
from domain.ids import new_id
from services.access.documents import DocumentAccess
from services.audit import Audit
from services.clinic_stores import AuditStore, DocumentListings, OrganizationStore
from services.document_listings import DocumentFilter
from services.documents import Documents
from services.entities import Sender
from services.history import History
from services.locations import Address, Location, Locations
from services.organizations import Organization, Organizations
from services.products import Product, ProductCache
from services.proofs import Proofs
from services.stores import CatalogStore, LocationStore
from services.tokens import Tokens
from storage.audit import EventFilter
from storage.crypto import KeyRing
from storage.db import Database
from storage.journal.postgres import PostgresJournal
from tests.serve.house import LOCAL_KEYS, SIGNING_KEY

pytestmark = pytest.mark.stack

CLINIC = new_id()
TOXIN = new_id()
PATIENT = new_id()
PIA = Actor(new_id(), ("provider",), (CLINIC,))
ADA = Actor(new_id(), ("admin",), (CLINIC,))
STRANGER = Actor(new_id(), ("provider",), (new_id(),))
SITE = Location(
    id=new_id(),
    organization_id=CLINIC,
    name="Centre",
    address=Address(line1="Hauptstraße 1", city="Berlin", country="DE"),
    time_zone="Europe/Berlin",
)
CREATE = Create(organization_id=CLINIC, location_id=SITE.id, patient_id=PATIENT, template="neurotoxin")


@pytest.fixture
async def database(database_url):
    one = Database(database_url)
    yield one
    await one.close()


@pytest.fixture
async def clinic(database):
    """An organization with a location and a product, made as an admin makes them."""
    skin = Organization(id=CLINIC, kind="clinic", name="Skin Studio", currency="EUR", country="DE")
    clock = SystemClock()
    trail = Audit(AuditStore(database, KeyRing.ephemeral()), clock)

    async def told(organization_id, ended):
        pass

    organizations = Organizations(OrganizationStore(database), trail, clock, told)
    assert await organizations.add(ADA, skin) == (skin, False)
    assert await organizations.add(ADA, skin) == (skin, True)
    assert await organizations.get(PIA, CLINIC) == skin
    await Locations(LocationStore(database)).add(ADA, SITE)
    toxin = Product(id=TOXIN, merchant_id=CLINIC, name="Toxin", price_minor=1_200, currency="EUR")
    assert await CatalogStore(database).currency(CLINIC) == "EUR"
    assert await CatalogStore(database).add_product(toxin)


@pytest.fixture
def lived(database, database_url, clinic):
    """Run some work on documents whose hosts start and stop with it."""
    clock = SystemClock()
    tokens = Tokens(clock, signing=SIGNING_KEY)
    listings = DocumentListings(database)
    trail = Audit(AuditStore(database), clock)
    access = DocumentAccess(listings, LocationStore(database), trail, clock)

    async def live(work):
        journal = await PostgresJournal(database_url).open()
        try:
            async with LocalRuntime(journal, journal, KINDS, keys=LOCAL_KEYS) as local:
                history = History(journal, KINDS, LOCAL_KEYS)
                products = ProductCache(CatalogStore(database), clock)
                return await work(Documents(local.client, history, listings, products, Proofs(tokens), access))
        finally:
            await journal.close()

    live.tokens = tokens
    live.trail = trail
    return live


async def test_a_chart_is_signed_listed_and_there_after_a_restart(lived, database):
    document, sender = new_id(), Sender(PIA)

    async def chart(documents):
        await documents.create(sender, document, CREATE)
        point = AddPoint(point_id=new_id(), view="front", x=500, y=300, product_id=TOXIN, dose="2.5", unit="U")
        await documents.execute(sender, document, point)
        await documents.execute(sender, document, AppendNote(note_id=new_id(), text="Sealed words."))
        ready = msgspec.json.decode((await documents.execute(sender, document, SetStatus(to="ready"))).view)
        sign = Sign(meaning="Done.", printed_name="Pia", content_hash=ready["content_hash"])
        proof = lived.tokens.issue(PIA.subject, PIA.roles, PIA.organizations)
        return msgspec.json.decode((await documents.sign(sender, document, sign, proof)).view)

    async def look(documents):
        rows, last = await documents.list(sender, DocumentFilter(patient_id=PATIENT), None, 10)
        assert ([row.id for row in rows], rows[0].status, rows[0].signer, last) == (
            *([document], "signed", PIA.subject),
            None,
        )
        kinds = [entry.type for entry in await documents.history(sender, document)]
        assert {"created", "point_added", "note_appended", "signed"} <= set(kinds)
        return msgspec.json.decode((await documents.get(sender, document)).view)

    before = await lived(chart)
    assert before["status"] == "signed"
    assert await lived(look) == before
    async with database.session() as session:
        connection = await session.connection()
        rows = (await connection.exec_driver_sql("SELECT payload FROM journal WHERE kind = 'document'")).all()
    assert len(rows) == 5
    assert all(b"Sealed words" not in row.payload for row in rows)


async def test_who_saw_and_who_was_refused_is_in_the_table(lived):
    document = new_id()

    async def work(documents):
        await documents.create(Sender(PIA), document, CREATE)
        with pytest.raises(NotFound):
            await documents.get(Sender(STRANGER, "request-7"), document)
        with pytest.raises(Forbidden):
            await documents.execute(Sender(ADA), document, AppendNote(note_id=new_id(), text="x"))

    await lived(work)
    events = await lived.trail.list(ADA, EventFilter(object_id=document, patient_id=PATIENT), 10)
    assert [(one.actor, one.action, one.outcome) for one in events] == [
        (ADA.subject, "append_note", "forbidden"),
        (STRANGER.subject, "read", "not_found"),
        (PIA.subject, "create", ""),
    ]
    assert events[1].correlation == "request-7"
