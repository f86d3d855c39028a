"""Who keeps the count of a device's queue: its provider session for a clinic's staff, the device for all others."""

from collections.abc import Sequence

import msgspec

from actors.runtime.entity import Actor
from domain.errors import NotFound
from realtime.ports import Admission, DeviceKeepsCount, Entry
from services.access.check import where
from services.access.policy import Permission
from services.sessions import SessionEntry, Sessions


class SessionLedger:
    """`realtime.ports.Ledger`. An admission without `session_id` is the device's own."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._device = DeviceKeepsCount()

    async def open(
        self, actor: Actor, device_id: str, epoch: int, first_unacked: int, conn_id: str, place: str, login_ms: int
    ) -> Admission:
        if not device_id or not where(actor, Permission.SESSION_KEEP):
            return await self._device.open(actor, device_id, epoch, first_unacked, conn_id, place, login_ms)
        try:
            opened = await self._sessions.open(actor, device_id, epoch, first_unacked, conn_id, place, login_ms)
        except NotFound:
            if not place:
                raise
            # Not a place of theirs: its channels will say so. The queue is theirs all the same.
            opened = await self._sessions.open(actor, device_id, epoch, first_unacked, conn_id, "", login_ms)
        return Admission(**msgspec.structs.asdict(opened))

    async def settled(self, actor: Actor, admission: Admission, epoch: int) -> list[Entry]:
        if not admission.session_id:
            return await self._device.settled(actor, admission, epoch)
        found = await self._sessions.settled(actor, admission.session_id, epoch)
        return [Entry(epoch=each.epoch, seq=each.seq, hash=each.hash, result=each.result) for each in found]

    async def record(self, actor: Actor, admission: Admission, entries: Sequence[Entry]) -> None:
        if admission.session_id:
            outcomes = [SessionEntry(**msgspec.structs.asdict(entry)) for entry in entries]
            await self._sessions.record(actor, admission.session_id, admission.generation, outcomes)

    async def acked(self, actor: Actor, admission: Admission, epoch: int, upto: int) -> None:
        if admission.session_id:
            await self._sessions.acked(actor, admission.session_id, epoch, upto)

    async def touch(self, actor: Actor, admission: Admission) -> None:
        if admission.session_id:
            await self._sessions.touch(actor, admission.session_id, admission.generation)

    async def close(self, actor: Actor, admission: Admission) -> None:
        if admission.session_id:
            await self._sessions.close(actor, admission.session_id, admission.generation)
