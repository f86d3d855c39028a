"""Provider sessions on the real journal and tables: a queue's count, its results and its quarantine after a restart."""

import pytest

from actors.kinds import KINDS
from actors.runtime.clock import SystemClock
from actors.runtime.entity import Actor
from actors.runtime.local import LocalRuntime
from actors.session_commands import Resolve
from domain.errors import Conflict
from domain.ids import new_id
from services.clinic_stores import SessionListings
from services.entities import SESSION
from services.session_listings import SessionFilter
from services.sessions import SessionEntry, Sessions
from services.stores import LocationStore
from storage.db import Database
from storage.journal.postgres import PostgresJournal

pytestmark = pytest.mark.stack

CLINIC, TABLET = new_id(), new_id()
PIA = Actor(new_id(), ("provider",), (CLINIC,))

DONE = SessionEntry(epoch=1, seq=1, hash=b"1", result={"status": "applied", "ver": 4})
REFUSED = SessionEntry(
    epoch=1,
    seq=2,
    hash=b"2",
    result={"status": "rejected", "code": "unknown_point"},
    command={"ent": "document/d-1", "op": "perform_point", "args": {"units": "10"}},
    item_id=new_id(),
)


async def test_a_tablet_goes_on_where_it_was_after_a_restart(database_url):
    database = Database(database_url)
    listings = SessionListings(database)

    async def lived(work):
        journal = await PostgresJournal(database_url).open()
        try:
            async with LocalRuntime(journal, journal, KINDS) as local:
                return await work(Sessions(local.client, LocationStore(database), listings, SystemClock()), local)
        finally:
            await journal.close()

    async def first(sessions, local):
        opened = await sessions.open(PIA, TABLET, 1, 1, "c-1", "")
        await sessions.record(PIA, opened.session_id, opened.generation, [DONE, REFUSED])
        return opened

    async def second(sessions, local):
        opened = await sessions.open(PIA, TABLET, 1, 2, "c-2", "")
        kept = await sessions.settled(PIA, opened.session_id, 1)
        assert [(each.seq, each.hash, each.result) for each in kept] == [
            (each.seq, each.hash, each.result) for each in (DONE, REFUSED)
        ]
        with pytest.raises(Conflict):
            await sessions.record(PIA, opened.session_id, 1, [DONE])
        (row,) = await sessions.list(PIA, SessionFilter(quarantined=True), None, 10)
        assert (row.id, row.quarantined, row.user_id) == (opened.session_id, 1, PIA.subject)
        resolve = Resolve(item_id=REFUSED.item_id, action="discard", reason="charted on paper")
        await local.client.ask(SESSION, opened.session_id, resolve, actor=PIA)
        assert await sessions.list(PIA, SessionFilter(quarantined=True), None, 10) == []
        return opened

    try:
        before, after = await lived(first), await lived(second)
        assert (before.session_id, after.last_seq) == (after.session_id, 2)
        assert after.generation == before.generation + 1
    finally:
        await database.close()
