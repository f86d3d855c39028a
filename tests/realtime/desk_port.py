"""A real treatment document behind a real tablet's queue: what the gateway's commands come to, on a desk."""

import asyncio
from typing import Any

import msgspec

from actors.document_state import DocumentState
from actors.runtime.codec import CommandCodec
from domain.errors import Invalid, Unavailable
from services.entities import Sender
from tests.actors.desk import Desk
from tests.realtime.entities import Answer

_pack = msgspec.msgpack.Encoder().encode


class DeskPort:
    """Exactly once by command id, as a host does it. `away`: so many commands do not arrive; `lost`: so many are
    executed and nobody hears of it. `rows` says which version a command made."""

    def __init__(self, desk: Desk[DocumentState]) -> None:
        self.desk = desk
        self.away = 0
        self.lost = 0
        self.rows: dict[bytes, int] = {}
        self._known: dict[bytes, tuple[bytes, Answer]] = {}
        self._codec: CommandCodec[DocumentState] = CommandCodec(desk.kind)

    async def execute(
        self, sender: Sender, ent: str, op: str, args: dict[str, Any], base_fver: int | None = None
    ) -> Answer:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise Unavailable("nobody there")
        answer = self._answer(sender, op, args, base_fver)
        if self.lost:
            self.lost -= 1
            raise Unavailable("no answer")
        return answer

    def clinical(self, ent: str, op: str) -> bool:
        return True

    async def signal(self, *_: Any) -> None:
        raise AssertionError("no signals here")

    def _answer(self, sender: Sender, op: str, args: dict[str, Any], base_fver: int | None) -> Answer:
        command_id, body_hash = sender.command_id, sender.body_hash
        assert command_id is not None
        assert body_hash is not None
        known = self._known.get(command_id)
        if known is not None:
            if known[0] != body_hash:
                raise Invalid("used with another body", code="idempotency_key_reused")
            return Answer(known[1].version, duplicate=True, data=known[1].data)
        fields = {**args, "type": op}
        if base_fver is not None:
            fields["base_version"] = base_fver
        before = self.desk.version
        command = self._codec.command(_pack(fields))
        decision = self.desk.do(command, sender.actor, sender.device, sender.hlc, sender.hlc_raw)
        answer = Answer(self.desk.version, data=decision.reply, noop=self.desk.version == before)
        if not answer.noop:
            self._known[command_id] = (body_hash, answer)
            self.rows[command_id] = answer.version
        return answer
