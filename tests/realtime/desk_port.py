"""A real treatment document behind a real tablet's queue: what the gateway's commands come to, on a desk."""

import asyncio
from typing import Any

import msgspec

from actors.document_state import DocumentState
from actors.runtime.codec import CommandCodec
from actors.runtime.entity import Actor
from domain.errors import Invalid, Unavailable
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
        self,
        actor: Actor,
        ent: str,
        op: str,
        args: dict[str, Any],
        command_id: bytes,
        body_hash: bytes,
        correlation: str,
        device: str,
        *,
        base_ver: int | None = None,
        base_fver: int | None = None,
        hlc: str = "",
        hlc_raw: str = "",
        generation: int = 0,
    ) -> Answer:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise Unavailable("nobody there")
        answer = self._answer(command_id, body_hash, actor, op, args, device, base_fver, hlc, hlc_raw)
        if self.lost:
            self.lost -= 1
            raise Unavailable("no answer")
        return answer

    def clinical(self, ent: str, op: str) -> bool:
        return True

    async def signal(self, *_: Any) -> None:
        raise AssertionError("no signals here")

    def _answer(
        self,
        command_id: bytes,
        body_hash: bytes,
        actor: Actor,
        op: str,
        args: dict[str, Any],
        device: str,
        base_fver: int | None,
        hlc: str,
        hlc_raw: str,
    ) -> Answer:
        known = self._known.get(command_id)
        if known is not None:
            if known[0] != body_hash:
                raise Invalid("used with another body", code="idempotency_key_reused")
            return Answer(known[1].version, duplicate=True, data=known[1].data)
        fields = {**args, "type": op}
        if base_fver is not None:
            fields["base_version"] = base_fver
        before = self.desk.version
        decision = self.desk.do(self._codec.command(_pack(fields)), actor, device, hlc, hlc_raw)
        answer = Answer(self.desk.version, data=decision.reply, noop=self.desk.version == before)
        if not answer.noop:
            self._known[command_id] = (body_hash, answer)
            self.rows[command_id] = answer.version
        return answer
