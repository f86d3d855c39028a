"""The audit trail as use-cases see it: durable before anybody sees, bounded, for the organization's admins."""

import asyncio

import pytest

from actors.runtime.entity import Actor
from domain.errors import NotFound, Unavailable
from domain.ids import new_id
from services import audit
from services.audit import READ, Audit, Seen, masked_email
from storage.audit import Event, EventFilter
from tests.serve.clinic import CLINIC, OTHER_CLINIC, MemoryAudit
from tests.serve.house import ManualClock

PIA = Actor(new_id(), ("provider",), (CLINIC,))
ADA = Actor(new_id(), ("admin",), (CLINIC,))


class Gate(MemoryAudit):
    """Writes when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.open = asyncio.Event()
        self.failure: Exception | None = None

    async def add(self, events):
        self.batches.append(len(events))
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        await super().add(events)


async def turn():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_note_returns_when_it_is_written():
    store, clock = Gate(), ManualClock()
    note = asyncio.create_task(Audit(store, clock).note(PIA, READ, "document", "d1", patient_id="p1", device="t1"))
    await turn()
    assert not note.done()
    store.open.set()
    await note
    (found,) = store.kept
    assert found == Event(
        position=1,
        at_ms=clock.ms,
        actor=PIA.subject,
        action="read",
        kind="document",
        object_id="d1",
        patient_id="p1",
        device="t1",
        purpose="operations",
    )


async def test_what_comes_in_during_a_write_is_the_next_batch():
    store = Gate()
    trail = Audit(store, ManualClock())
    notes = [asyncio.create_task(trail.note(PIA, READ, "document", f"d{n}")) for n in range(3)]
    await turn()
    assert store.batches == [3]
    notes += [asyncio.create_task(trail.note(PIA, READ, "document", f"e{n}")) for n in range(4)]
    await turn()
    store.open.set()
    await asyncio.gather(*notes)
    assert store.batches == [3, 4]
    assert [one.object_id for one in store.kept] == ["d0", "d1", "d2", "e0", "e1", "e2", "e3"]


async def test_a_trail_that_cannot_be_written_is_told_to_whoever_waits_and_tried_again_by_the_next():
    store = Gate()
    store.open.set()
    store.failure = Unavailable("away")
    trail = Audit(store, ManualClock())
    notes = await asyncio.gather(
        *(trail.note(PIA, READ, "document", f"d{n}") for n in range(3)), return_exceptions=True
    )
    assert all(isinstance(one, Unavailable) for one in notes)
    store.failure = None
    await trail.note(PIA, READ, "document", "d4")
    assert [one.object_id for one in store.kept] == ["d4"]


async def test_past_its_bound_the_trail_refuses_instead_of_growing():
    store = Gate()
    trail = Audit(store, ManualClock())
    objects = [Seen(kind="document", id=f"d{n}") for n in range(audit.EVENTS_PER_BATCH_MAX)]
    fitting = audit.EVENTS_WAITING_MAX // len(objects)
    notes = [asyncio.create_task(trail.note_all(PIA, READ, objects)) for _ in range(fitting)]
    await turn()
    with pytest.raises(Unavailable) as caught:
        await trail.note(PIA, READ, "document", "one too many")
    assert caught.value.failure.code == "audit_full"
    store.open.set()
    await asyncio.gather(*notes)
    await trail.note(PIA, READ, "document", "now")
    assert store.batches == [audit.EVENTS_PER_BATCH_MAX] * fitting + [1]


async def test_whoever_gives_up_does_not_take_their_event_back():
    store = Gate()
    trail = Audit(store, ManualClock())
    note = asyncio.create_task(trail.note(PIA, READ, "document", "d1"))
    await turn()
    note.cancel()
    await asyncio.gather(note, return_exceptions=True)
    store.open.set()
    await trail.close()
    assert [one.object_id for one in store.kept] == ["d1"]


async def test_the_trail_of_an_organization_is_for_its_own_admins():
    trail = Audit(MemoryAudit(), ManualClock())
    await trail.note(PIA, READ, "document", "d1", organization_id=CLINIC)
    await trail.note(PIA, READ, "document", "d2", organization_id=OTHER_CLINIC)
    await trail.note(PIA, READ, "document", "d3")
    assert [one.object_id for one in await trail.list(ADA, EventFilter(), 10)] == ["d1"]
    foreign = EventFilter(organization_ids=(OTHER_CLINIC,))
    assert [one.object_id for one in await trail.list(ADA, foreign, 10)] == ["d1"]
    assert await trail.list(Actor(new_id(), ("admin",)), EventFilter(), 10) == ()
    with pytest.raises(NotFound):
        await trail.list(PIA, EventFilter(), 10)


async def test_only_who_runs_the_platform_may_have_the_chain_verified():
    trail = Audit(MemoryAudit(), ManualClock())
    await trail.note(PIA, READ, "document", "d1")
    found = await trail.verify(Actor(new_id(), ("admin",)), after=0, limit=10)
    assert (found.ok, found.checked, found.head_position) == (True, 1, 1)
    for other in (PIA, ADA, Actor(new_id(), ("customer",))):
        with pytest.raises(NotFound):
            await trail.verify(other, after=0, limit=10)


@pytest.mark.parametrize(
    ("address", "masked"),
    [("ada@example.test", "a***@e***.test"), ("b@x.co.uk", "b***@x***.uk"), ("c@localhost", "c***@***localhost")],
)
def test_a_masked_address_keeps_no_more_than_its_first_letters(address, masked):
    assert masked_email(address) == masked
