"""A ledger for tests: the real provider session, one desk each, whose views the gateway can watch."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.runtime.entity import Actor
from actors.session import SessionKind
from actors.session_commands import Ack, Close, Open, Outcome, Recall, Record, Touch, session_id_of
from actors.session_state import SessionState
from domain.errors import Unavailable
from realtime.ports import Admission, Entry
from tests.actors.desk import Desk
from tests.realtime.entities import Entities

PIA = Actor("pia", ("provider",), ("clinic-1",))


class DeskLedger:
    """`hold` keeps records until `release`; `failing` is raised by them instead. `lost_answers`: so many records are
    kept, and nobody is told."""

    def __init__(self, entities: Entities) -> None:
        self.desks: dict[str, Desk[SessionState]] = {}
        self.records: list[list[tuple[int, int]]] = []
        self.failing: Exception | None = None
        self.hold = False
        self.lost_answers = 0
        self.closed: list[int] = []
        self._entities = entities
        self._gate = asyncio.Event()

    def release(self) -> None:
        self.hold = False
        self._gate.set()
        self._gate = asyncio.Event()

    def desk(self, device_id: str, subject: str = "pia") -> Desk[SessionState]:
        session_id = session_id_of(subject, device_id)
        return self.desks.setdefault(session_id, Desk(SessionKind(), session_id))

    def do(self, session_id: str, command: Any, actor: Actor) -> dict[str, Any]:
        desk = self.desks[session_id]
        before = desk.version
        reply = desk.do(command, actor).reply or {}
        if desk.version != before:
            self._entities.put(f"session/{session_id}", desk.view())
        return reply

    async def open(
        self, actor: Actor, device_id: str, epoch: int, first_unacked: int, conn_id: str, place: str, login_ms: int
    ) -> Admission:
        await asyncio.sleep(0)
        desk = self.desk(device_id, actor.subject)
        command = Open(
            device_id=device_id,
            epoch=epoch,
            first_unacked=first_unacked,
            conn_id=conn_id,
            organizations=actor.organizations,
            location_id=place,
            login_ms=login_ms,
        )
        reply = self.do(desk.id, command, actor)
        return msgspec.convert({**reply, "session_id": desk.id}, Admission)

    async def settled(self, actor: Actor, admission: Admission, epoch: int) -> list[Entry]:
        await asyncio.sleep(0)
        reply = self.do(admission.session_id, Recall(epoch=epoch), actor)
        return [
            Entry(epoch=epoch, seq=seq, hash=hashed, result=msgspec.msgpack.decode(packed))
            for seq, hashed, packed in reply["results"]
        ]

    async def record(self, actor: Actor, admission: Admission, entries: Sequence[Entry]) -> None:
        await asyncio.sleep(0)
        if self.hold:
            await self._gate.wait()
        if self.failing is not None:
            raise self.failing
        outcomes = tuple(msgspec.convert(msgspec.structs.asdict(entry), Outcome) for entry in entries)
        self.do(admission.session_id, Record(generation=admission.generation, entries=outcomes), actor)
        self.records.append([(entry.epoch, entry.seq) for entry in entries])
        if self.lost_answers:
            self.lost_answers -= 1
            raise Unavailable("no answer")

    async def acked(self, actor: Actor, admission: Admission, epoch: int, upto: int) -> None:
        self.do(admission.session_id, Ack(epoch=epoch, upto=upto), actor)

    async def touch(self, actor: Actor, admission: Admission) -> None:
        self.do(admission.session_id, Touch(generation=admission.generation), actor)

    async def close(self, actor: Actor, admission: Admission) -> None:
        self.closed.append(admission.generation)
        self.do(admission.session_id, Close(generation=admission.generation), actor)
